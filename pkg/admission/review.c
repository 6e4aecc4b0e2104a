// SPDX-License-Identifier: Apache-2.0
/*
 * Decoding and encoding AdmissionReviews.
 */
#include "base/num.h"
#include "json/write.h"
#include "review_priv.h"

#include <stdio.h>

#define REVIEW_API_VERSION "admission.k8s.io/v1"
enum { TIMEOUT_DEFAULT_MS = 10000, TIMEOUT_MAX_MS = 30000 };

/* Absent is fine; another type is not. */
static bool optional_text(const struct json *v, const char *path, struct str *ret, struct err *e)
{
    if (!json_is_null(v) && !json_is_string(v))
        return err_set(e, ERR_INVALID, "InvalidReview", "request.%s: must be a string", path);
    *ret = json_is_string(v) ? json_str_or_null(v) : STR("");
    return true;
}

static bool decode_kind(const struct json *kind, struct review *ret, struct err *e)
{
    if (!json_is_object(kind))
        return err_set(e, ERR_INVALID, "InvalidReview", "request.kind: must be an object");
    return optional_text(json_get(kind, "group"), "kind.group", &ret->group, e) &&
           optional_text(json_get(kind, "version"), "kind.version", &ret->version, e) &&
           optional_text(json_get(kind, "kind"), "kind.kind", &ret->kind, e);
}

static bool decode_object(const struct json *v, const char *name, const struct json **ret,
                          struct err *e)
{
    if (!json_is_null(v) && !json_is_object(v))
        return err_set(e, ERR_INVALID, "InvalidReview", "request.%s: must be an object", name);
    *ret = json_is_object(v) ? v : NULL;
    return true;
}

bool review_decode(const struct json *root, struct review *ret, struct err *e)
{
    *ret = (struct review){0};
    if (!str_eq_cstr(json_str_or_null(json_get(root, "apiVersion")), REVIEW_API_VERSION) ||
        !str_eq_cstr(json_str_or_null(json_get(root, "kind")), "AdmissionReview"))
        return err_set(e, ERR_INVALID, "InvalidReview",
                       "must be an AdmissionReview of " REVIEW_API_VERSION);
    const struct json *request = json_get(root, "request");
    if (!json_is_object(request))
        return err_set(e, ERR_INVALID, "InvalidReview", "request: must be an object");
    if (!optional_text(json_get(request, "uid"), "uid", &ret->uid, e))
        return false;
    if (ret->uid.len == 0 || ret->uid.len > REVIEW_UID_MAX)
        return err_set(e, ERR_INVALID, "InvalidReview", "request.uid: must have 1 to %d characters",
                       REVIEW_UID_MAX);
    /* read as "no", a dry run of another type would create something */
    const struct json *dry_run = json_get(request, "dryRun");
    if (!json_is_null(dry_run) && json_type(dry_run) != JSON_BOOL)
        return err_set(e, ERR_INVALID, "InvalidReview", "request.dryRun: must be true or false");
    ret->is_dry_run = json_bool_or(dry_run, false);
    return decode_kind(json_get(request, "kind"), ret, e) &&
           optional_text(json_get(request, "subResource"), "subResource", &ret->subresource, e) &&
           optional_text(json_get(request, "namespace"), "namespace", &ret->namespace, e) &&
           optional_text(json_get(request, "name"), "name", &ret->name, e) &&
           optional_text(json_get(request, "operation"), "operation", &ret->operation, e) &&
           decode_object(json_get(request, "object"), "object", &ret->object, e) &&
           decode_object(json_get(request, "oldObject"), "oldObject", &ret->old_object, e);
}

int64_t review_timeout_ms(struct str query)
{
    struct str part;
    while (str_next(&query, '&', &part)) {
        int64_t ms = 0;
        if (str_starts_with(part, STR("timeout=")) &&
            num_parse_duration_ms(str_from_offset(part, 8), &ms) && ms > 0)
            return ms < TIMEOUT_MAX_MS ? ms : TIMEOUT_MAX_MS;
    }
    return TIMEOUT_DEFAULT_MS;
}

static void put_annotation(struct json_writer *w, const char *key, struct str value)
{
    if (!str_is_empty(value))
        json_put_str(w, key, value);
}

static void put_annotations(const struct review_answer *a, struct json_writer *w)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)a->milliseconds);
    json_key_begin_object(w, "auditAnnotations");
    put_annotation(w, "decision", a->decision);
    put_annotation(w, "repositories", a->repositories);
    put_annotation(w, "created", a->created);
    put_annotation(w, "source", a->source);
    put_annotation(w, "milliseconds", str_from(text));
    json_end(w);
}

void review_encode(const struct review_answer *a, struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    json_put_cstr(&w, "apiVersion", REVIEW_API_VERSION);
    json_put_cstr(&w, "kind", "AdmissionReview");
    json_key_begin_object(&w, "response");
    json_put_str(&w, "uid", a->uid);
    json_put_bool(&w, "allowed", a->is_allowed);
    if (!a->is_allowed) {
        json_key_begin_object(&w, "status");
        json_put_int(&w, "code", 403);
        json_put_cstr(&w, "reason", "Forbidden");
        json_put_str(&w, "message", a->message);
        json_end(&w);
    }
    if (a->warning_count > 0) {
        json_key_begin_array(&w, "warnings");
        for (size_t i = 0; i < a->warning_count; i++)
            json_str(&w, a->warnings[i]);
        json_end(&w);
    }
    put_annotations(a, &w);
    json_end(&w);
    json_end(&w);
    if (!json_write_ok(&w))
        out->failed = true;
}
