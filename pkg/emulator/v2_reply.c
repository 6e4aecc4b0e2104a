// SPDX-License-Identifier: Apache-2.0
/*
 * Answers of the registry that all its operations share: ECR's error envelope, the table from the
 * store's refusals (in the words of ECR's API) to status and code of the registry API, Location.
 */
#include "base/arena.h"
#include "json/write.h"
#include "v2_priv.h"

#include <stdarg.h>

enum { ERROR_BODY_MAX = 16 * 1024, ERROR_TEXT_MAX = 4096, HOST_MAX = 255 };

bool v2_fail(struct emu_request *r, int status, const char *code, const char *fmt, ...)
{
    struct v2_state *s = v2_state(r);
    if (s->error_status != 0)
        return false;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(ERROR_TEXT_MAX);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    s->error_status = status;
    s->error_code = code;
    s->error_message = arena_copy(&r->arena, buf_str(&text));
    return false;
}

struct v2_refusal {
    enum emu_code code;
    int status;
    const char *name;
};
/* What is not in the table is a failure of the emulator itself: 500 UNKNOWN. */
static const struct v2_refusal refusals[] = {
    {EMU_REPOSITORY_NOT_FOUND, 404, "NAME_UNKNOWN"},
    {EMU_IMAGE_NOT_FOUND, 404, "MANIFEST_UNKNOWN"},
    /* seen for manifests that ECR cannot read */
    {EMU_INVALID_PARAMETER, 405, "UNSUPPORTED"},
    {EMU_IMAGE_TAG_ALREADY_EXISTS, 400, "TAG_INVALID"},
    {EMU_IMAGE_DIGEST_DOES_NOT_MATCH, 400, "DIGEST_INVALID"},
    {EMU_LAYERS_NOT_FOUND, 404, "BLOB_UPLOAD_UNKNOWN"},
    {EMU_REFERENCED_IMAGES_NOT_FOUND, 404, "MANIFEST_BLOB_UNKNOWN"},
    /* a quota, not a rate: 429 would make clients try again at once */
    {EMU_LIMIT_EXCEEDED, 403, "DENIED"},
    {EMU_KMS, 403, "DENIED"},
    {EMU_THROTTLING, 429, "TOOMANYREQUESTS"},
};

static int status_of(const struct emulator *emu, const struct v2_refusal *refusal)
{
    const struct emulator_behavior *b = &emu->behavior;
    if (refusal->code == EMU_IMAGE_TAG_ALREADY_EXISTS && b->tag_invalid_status != 0)
        return b->tag_invalid_status;
    if ((refusal->code == EMU_LAYERS_NOT_FOUND ||
         refusal->code == EMU_REFERENCED_IMAGES_NOT_FOUND) &&
        b->missing_layers_status != 0)
        return b->missing_layers_status;
    return refusal->status;
}

bool v2_fail_store(struct emu_request *r, const struct emu_error *x)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        if (refusals[i].code == x->code)
            return v2_fail(r, status_of(r->emu, &refusals[i]), refusals[i].name, "%s", x->message);
    }
    return v2_fail(r, 500, "UNKNOWN", "%s", x->message);
}

bool v2_fail_blob(struct emu_request *r, enum blob_result result, const struct err *e)
{
    const struct v2_state *s = v2_state(r);
    const char *account = r->emu->account;
    switch (result) {
    case BLOB_UNKNOWN:
        return v2_fail(r, 404, "BLOB_UPLOAD_UNKNOWN",
                       "The upload with id '%.*s' in the repository with name '%.*s' in registry "
                       "with id '%s' does not exist",
                       STR_ARG(s->target.reference), STR_ARG(s->target.name), account);
    case BLOB_BUSY:
        return v2_fail(r, 409, "BLOB_UPLOAD_INVALID",
                       "The upload with id '%.*s' is in use by another request",
                       STR_ARG(s->target.reference));
    case BLOB_FULL:
        return v2_fail(r, 429, "TOOMANYREQUESTS", "Rate exceeded");
    case BLOB_TOO_LARGE:
        return v2_fail(r, 413, "SIZE_INVALID", "A layer has at most %lld bytes",
                       (long long)BLOB_SIZE_MAX_BYTES);
    case BLOB_MISMATCH:
        return v2_fail(r, 400, "DIGEST_INVALID",
                       "The digest '%.*s' is not that of the uploaded content", STR_ARG(s->digest));
    case BLOB_IO:
        return v2_fail(r, 500, "UNKNOWN", "%s", e->msg);
    case BLOB_OK:
        break;
    }
    return v2_fail(r, 500, "UNKNOWN", "no failure to report");
}

bool v2_send_failure(struct emu_request *r)
{
    const struct v2_state *s = v2_state(r);
    if (s->error_status == 0)
        return false;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(ERROR_BODY_MAX);
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_key_begin_array(&w, "errors");
    json_begin_object(&w);
    json_put_cstr(&w, "code", s->error_code);
    json_put_str(&w, "message", s->error_message);
    json_end(&w);
    json_end(&w);
    json_end(&w);
    r->log.error = str_from(s->error_code);
    emu_reply_take(r, s->error_status, "application/json", &body);
    return true;
}

/* A name or address and a port: anything else would be copied into a Location as it is. */
static bool is_host(struct str s)
{
    if (s.len == 0 || s.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == ':' || c == '[' || c == ']'))
            return false;
    }
    return true;
}

struct str v2_origin(struct emu_request *r)
{
    struct str host = emu_header(r, "Host");
    struct str endpoint = str_from(r->emu->endpoint);
    if (!is_host(host))
        return endpoint;
    const char *scheme = str_starts_with(endpoint, STR("https://")) ? "https" : "http";
    return arena_printf(&r->arena, "%s://%.*s", scheme, STR_ARG(host));
}

void v2_reply_location(struct emu_request *r, const char *fmt, ...)
{
    struct buf path BERTH_CLEANUP(buf_fini) = BUF_INIT(ERROR_TEXT_MAX);
    buf_append(&path, v2_origin(r));
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&path, fmt, ap);
    va_end(ap);
    emu_reply_header(r, "Location", arena_copy(&r->arena, buf_str(&path)));
}

void v2_reply_empty(struct emu_request *r, int status)
{
    emu_reply(r, status, NULL, STR(""));
}

bool v2_check_name(struct emu_request *r)
{
    if (emu_repository_name_ok(v2_state(r)->target.name))
        return true;
    return v2_fail(
        r, 400, "NAME_INVALID",
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular "
        "expression "
        "'[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''");
}

struct emu_repository *v2_repository_locked(struct emu_request *r)
{
    struct emu_error x = EMU_ERROR_INIT;
    if (!v2_check_name(r))
        return NULL;
    struct emu_repository *repository =
        emu_store_repository_locked(r->emu->store, v2_state(r)->target.name, &x);
    if (repository == NULL)
        v2_fail_store(r, &x);
    return repository;
}
