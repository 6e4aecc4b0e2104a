// SPDX-License-Identifier: Apache-2.0
/*
 * Reading metav1.Status; see status_priv.h. Names and codes are those of apimachinery's
 * pkg/apis/meta/v1/types.go.
 */
#include "base/buf.h"
#include "base/num.h"
#include "json/json.h"
#include "status_priv.h"

enum { TEXT_MAX_BYTES = 300 };

struct reading {
    int http_status;
    struct str reason;  /* "" where there is none */
    struct str message; /* "" likewise */
    const struct json *causes;
    int64_t retry_after_s;
};

static bool has_cause(const struct reading *r, struct str reason)
{
    for (const struct json *c = json_first(r->causes); c; c = json_next(c))
        if (str_eq(json_str_or_null(json_get(c, "reason")), reason))
            return true;
    return false;
}

static void read_status(struct reading *r, const struct json *status)
{
    struct str s = json_str_or_null(json_get(status, "reason"));
    r->reason = str_is_null(s) ? STR("") : s;
    s = json_str_or_null(json_get(status, "message"));
    r->message = str_is_null(s) ? STR("") : s;
    r->causes = json_path(status, "details.causes");
    int64_t after_s = json_i64_or(json_path(status, "details.retryAfterSeconds"), 0);
    if (after_s > 0)
        r->retry_after_s = after_s;
    int64_t code = json_i64_or(json_get(status, "code"), 0);
    if (r->http_status == 0 && code >= 100 && code <= 599)
        r->http_status = (int)code;
}

/* A message is put on one line: it ends in logs, conditions and events. */
static void append_one_line(struct buf *out, struct str text)
{
    text = str_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_append_char(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
}

static void write_message(struct buf *out, const struct reading *r, struct str body)
{
    if (!str_is_empty(r->message))
        append_one_line(out, r->message);
    else if (!str_is_empty(str_trim(body)) && str_is_utf8(body))
        append_one_line(out, str_cut_utf8(body, TEXT_MAX_BYTES));
    else
        buf_append(out, STR("no message"));
    for (const struct json *c = json_first(r->causes); c; c = json_next(c)) {
        struct str field = json_str_or_null(json_get(c, "field"));
        struct str message = json_str_or_null(json_get(c, "message"));
        if (str_is_empty(message) || str_contains(r->message, message))
            continue; /* Invalid repeats its causes in the message */
        buf_append(out, STR("; "));
        if (!str_is_empty(field)) {
            append_one_line(out, field);
            buf_append(out, STR(": "));
        }
        append_one_line(out, message);
    }
}

static enum err_class class_of(const struct reading *r)
{
    switch (r->http_status) {
    case 401:
        return ERR_CREDENTIALS;
    case 403:
        return str_contains(r->message, STR("exceeded quota")) ? ERR_QUOTA : ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 408:
        return ERR_RETRY;
    case 409:
        return ERR_CONFLICT;
    case 410:
        return ERR_GONE;
    case 429:
        return ERR_THROTTLED;
    default:
        break;
    }
    /* a server whose etcd went back in time does not know our resourceVersion: as good as gone */
    if (has_cause(r, STR("ResourceVersionTooLarge")))
        return ERR_GONE;
    return r->http_status >= 300 && r->http_status < 500 ? ERR_INVALID : ERR_RETRY;
}

static void fail(const struct reading *r, struct str body, const char *what, struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * ERR_MSG_MAX);
    write_message(&text, r, body);
    char reason[ERR_REASON_MAX];
    struct str cut = str_cut_utf8(r->reason, sizeof(reason) - 1);
    memcpy(reason, cut.ptr, cut.len);
    reason[cut.len] = '\0';
    err_set(e, class_of(r), reason, "%s: %s (HTTP %d)", what, buf_cstr(&text), r->http_status);
    e->http_status = r->http_status;
    int64_t after_s = r->retry_after_s;
    if (after_s > STATUS_RETRY_AFTER_MAX_S)
        after_s = STATUS_RETRY_AFTER_MAX_S;
    e->retry_after_ms = (uint32_t)(after_s * 1000);
}

static enum kube_result result_of(const struct reading *r)
{
    if (r->http_status == 404)
        return KUBE_NOT_FOUND;
    if (r->http_status == 409)
        return str_eq(r->reason, STR("AlreadyExists")) ? KUBE_EXISTS : KUBE_CONFLICT;
    return KUBE_FAILED;
}

static enum kube_result classify(int http_status, struct str body, struct str retry_after,
                                 const char *what, bool must_fail, struct err *e)
{
    struct reading r = {.http_status = http_status, .reason = STR(""), .message = STR("")};
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err ignored = ERR_INIT; /* not a Status: a proxy's page, or text */
    int64_t seconds;
    if (num_parse_i64(str_trim(retry_after), &seconds) && seconds > 0)
        r.retry_after_s = seconds;
    if (json_parse(body, STATUS_MAX_BYTES, &doc, &ignored) &&
        str_eq(json_str_or_null(json_get(json_root(doc), "kind")), STR("Status")))
        read_status(&r, json_root(doc));
    enum kube_result result = must_fail ? KUBE_FAILED : result_of(&r);
    if (result == KUBE_FAILED)
        fail(&r, body, what, e);
    return result;
}

enum kube_result kube_status_result(int http_status, struct str body, struct str retry_after,
                                    const char *what, struct err *e)
{
    return classify(http_status, body, retry_after, what, false, e);
}

bool kube_status_fail(int http_status, struct str body, struct str retry_after, const char *what,
                      struct err *e)
{
    (void)classify(http_status, body, retry_after, what, true, e);
    return false;
}
