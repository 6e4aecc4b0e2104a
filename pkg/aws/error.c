// SPDX-License-Identifier: Apache-2.0
/*
 * What AWS says when it refuses, as our error. JSON 1.1: the code in "__type" (with namespace and
 * URI perhaps) or in the header x-amzn-errortype, the text in "message" or "Message". What stands
 * between us and AWS answers too: with HTML, with nothing.
 */
#include "aws/client.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "base/str.h"
#include "client_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    ERROR_BODY_MAX = 1024 * 1024,
    MESSAGE_MAX = 640, /* of AWS's message in ours: leaves room for context and request id */
    FOREIGN_MAX = 160, /* of a text that is not AWS's */
    SECRET_MIN = 8,
    CODE_MAX = ERR_REASON_MAX - 1,
    RETRY_AFTER_MAX_MS = 60000,
    SKEW_MIN_MS = 60000 /* less than this cannot be why: AWS allows 5 minutes */
};

static const struct {
    const char *code;
    enum err_class cls;
} codes[] = {
    /* the SDKs' list of throttling codes, less LimitExceededException */
    {"Throttling", ERR_THROTTLED},
    {"ThrottlingException", ERR_THROTTLED},
    {"ThrottledException", ERR_THROTTLED},
    {"ThrottleException", ERR_THROTTLED},
    {"RequestThrottled", ERR_THROTTLED},
    {"RequestThrottledException", ERR_THROTTLED},
    {"TooManyRequestsException", ERR_THROTTLED},
    {"ProvisionedThroughputExceededException", ERR_THROTTLED},
    {"TransactionInProgressException", ERR_THROTTLED},
    {"RequestLimitExceeded", ERR_THROTTLED},
    {"BandwidthLimitExceeded", ERR_THROTTLED},
    {"SlowDown", ERR_THROTTLED},
    {"EC2ThrottledException", ERR_THROTTLED},
    {"LimitExceededException", ERR_QUOTA},
    {"ServiceQuotaExceededException", ERR_QUOTA},
    {"InternalFailure", ERR_RETRY},
    {"InternalError", ERR_RETRY},
    {"InternalServerError", ERR_RETRY},
    {"ServerException", ERR_RETRY},
    {"ServiceUnavailable", ERR_RETRY},
    {"ServiceUnavailableException", ERR_RETRY},
    {"RequestTimeout", ERR_RETRY},
    {"RequestTimeoutException", ERR_RETRY},
    {"RequestAbortedException", ERR_RETRY},
    {"PriorRequestNotComplete", ERR_RETRY},
    {"IDPCommunicationError", ERR_RETRY},
    /* the endpoint lacks it (a region, an emulator), whatever was asked: not the spec's fault */
    {"UnknownOperationException", ERR_RETRY},
    {"AccessDenied", ERR_DENIED},
    {"AccessDeniedException", ERR_DENIED},
    {"UnauthorizedOperation", ERR_DENIED},
    {"AuthorizationError", ERR_DENIED},
    {"NotAuthorized", ERR_DENIED},
    {"OptInRequired", ERR_DENIED},
    {"BlockedByOrganizationPolicyException", ERR_DENIED},
    {"UnrecognizedClientException", ERR_CREDENTIALS},
    {"InvalidClientTokenId", ERR_CREDENTIALS},
    {"InvalidAccessKeyId", ERR_CREDENTIALS},
    {"ExpiredToken", ERR_CREDENTIALS},
    {"ExpiredTokenException", ERR_CREDENTIALS},
    {"InvalidToken", ERR_CREDENTIALS},
    {"InvalidSignatureException", ERR_CREDENTIALS},
    {"SignatureDoesNotMatch", ERR_CREDENTIALS},
    {"IncompleteSignature", ERR_CREDENTIALS},
    {"IncompleteSignatureException", ERR_CREDENTIALS},
    {"MissingAuthenticationToken", ERR_CREDENTIALS},
    {"MissingAuthenticationTokenException", ERR_CREDENTIALS},
    {"AuthFailure", ERR_CREDENTIALS},
    {"RequestExpired", ERR_CREDENTIALS},
    {"RequestInTheFuture", ERR_CREDENTIALS},
    {"RequestTimeTooSkewed", ERR_CREDENTIALS},
    {"RepositoryNotEmptyException", ERR_CONFLICT},
    {"LifecyclePolicyPreviewInProgressException", ERR_CONFLICT},
};

struct str aws_error_code(struct str raw)
{
    struct str before;
    struct str after;
    ptrdiff_t hash = -1;
    /* "ns#Code:http://host/#fragment": the URI is cut first */
    (void)str_cut(raw, ':', &before, &after);
    hash = str_rindex(before, '#');
    return str_trim(str_from_offset(before, (size_t)(hash + 1)));
}

/* AWS names what it finds wrong with a request. Where nothing is named, somebody on the way
 * answered (a proxy that is being restarted says 404 to all), and the next try may reach AWS. */
static enum err_class class_of_status(int status, bool has_code)
{
    if (status == 429)
        return ERR_THROTTLED;
    if (status == 401)
        return ERR_CREDENTIALS;
    if (status == 403)
        return ERR_DENIED;
    return has_code && status < 500 && status != 408 ? ERR_INVALID : ERR_RETRY;
}

enum err_class aws_error_class(struct str code, int http_status)
{
    struct str c = aws_error_code(code);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_eq_cstr(c, codes[i].code))
            return codes[i].cls;
    if (str_ends_with(c, STR("NotFoundException")))
        return ERR_NOT_FOUND;
    if (str_ends_with(c, STR("AlreadyExistsException")))
        return ERR_CONFLICT;
    return class_of_status(http_status, !str_is_empty(c));
}

/* s as one line of visible text: no controls, white space as one blank, well-formed UTF-8. */
static void plain_text(struct str s, size_t max, char *ret)
{
    size_t n = 0;
    bool is_pending = false;
    s = str_is_utf8(s) ? str_cut_utf8(s, max) : STR("(not text)");
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c == 0x7f) {
            is_pending = n > 0;
            continue;
        }
        if (is_pending)
            ret[n++] = ' ';
        is_pending = false;
        ret[n++] = (char)c;
    }
    ret[n] = '\0';
}

void aws_request_id(const struct http_response *r, char ret[static AWS_REQUEST_ID_MAX + 1])
{
    struct str id = http_header_get(r, "x-amzn-requestid");
    size_t n = 0;
    if (str_is_empty(id))
        id = http_header_get(r, "x-amz-request-id");
    for (size_t i = 0; i < id.len && n < AWS_REQUEST_ID_MAX; i++)
        if (id.ptr[i] > ' ' && id.ptr[i] <= '~')
            ret[n++] = id.ptr[i];
    ret[n] = '\0';
}

/* One too short for AWS to have issued it ("test" of an emulator) is a word of other texts too. */
static bool has_secret(struct str text, const struct secret *s)
{
    return s != NULL && secret_reveal(s).len >= SECRET_MIN && str_contains(text, secret_reveal(s));
}

/* AWS answers a wrong signature with the canonical request it expected, token and all. */
static struct str without_credentials(struct str message, const struct aws_credentials *c)
{
    static const char *const marks[] = {"The Canonical String", "The String-to-Sign"};
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        struct str mark = str_from(marks[i]);
        for (size_t at = 0; at + mark.len <= message.len; at++)
            if (str_eq(str_n(message.ptr + at, mark.len), mark))
                message.len = at;
    }
    if (c != NULL && (has_secret(message, aws_credentials_secret_key(c)) ||
                      has_secret(message, aws_credentials_session_token(c))))
        return STR("(the message is withheld, because it repeats the credentials)");
    return message;
}

static uint32_t retry_after_ms(const struct http_response *r)
{
    uint64_t n = 0;
    struct str ms = http_header_get(r, "x-amz-retry-after");
    struct str s = http_header_get(r, "retry-after");
    if (num_parse_u64(ms, &n))
        return (uint32_t)(n < RETRY_AFTER_MAX_MS ? n : RETRY_AFTER_MAX_MS);
    if (num_parse_u64(s, &n))
        return (uint32_t)(n < RETRY_AFTER_MAX_MS / 1000 ? n * 1000 : RETRY_AFTER_MAX_MS);
    return 0;
}

static struct str message_of(const struct json *body, struct str text)
{
    struct str message = json_str_or_null(json_get(body, "message"));
    if (str_is_null(message))
        message = json_str_or_null(json_get(body, "Message"));
    return json_is_object(body) ? message : str_cut_utf8(text, FOREIGN_MAX);
}

bool aws_error_from(const struct http_response *r, const char *operation,
                    const struct aws_credentials *credentials, struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err ignored = ERR_INIT;
    char request_id[AWS_REQUEST_ID_MAX + 1];
    char code_text[CODE_MAX + 1];
    char message_text[MESSAGE_MAX + 1];
    bool is_json = json_parse(r->body, ERROR_BODY_MAX, &doc, &ignored);
    const struct json *body = is_json ? json_root(doc) : NULL;
    struct str code = json_str_or_null(json_get(body, "__type"));
    if (str_is_empty(code))
        code = http_header_get(r, "x-amzn-errortype");
    code = aws_error_code(code);
    struct str message = without_credentials(message_of(body, r->body), credentials);
    plain_text(code, CODE_MAX, code_text);
    plain_text(message, MESSAGE_MAX, message_text);
    aws_request_id(r, request_id);
    if (code_text[0] == '\0')
        (void)snprintf(code_text, sizeof code_text, "HTTP%d", r->status);
    (void)err_set(e, aws_error_class(code, r->status), code_text, "%s: %s%s%s%s%s%s", operation,
                  code_text, message_text[0] ? ": " : "", message_text,
                  request_id[0] ? " (request id " : "", request_id, request_id[0] ? ")" : "");
    e->http_status = r->status;
    e->retry_after_ms = retry_after_ms(r);
    return false;
}

bool aws_parse_http_date(struct str s, int64_t *ret_unix_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    enum { DATE_LEN = 29 };
    char text[32];
    *ret_unix_ms = 0;
    if (s.len != DATE_LEN || s.ptr[3] != ',' || s.ptr[4] != ' ' || s.ptr[7] != ' ' ||
        s.ptr[11] != ' ' || s.ptr[16] != ' ' || !str_ends_with(s, STR(" GMT")))
        return false;
    int month = 0;
    while (month < 12 && memcmp(months + 3 * month, s.ptr + 8, 3) != 0)
        month++;
    if (month == 12)
        return false;
    /* the parser of RFC 3339 checks the numbers */
    (void)snprintf(text, sizeof text, "%.4s-%02d-%.2sT%.8sZ", s.ptr + 12, month + 1, s.ptr + 5,
                   s.ptr + 17);
    return clock_parse_rfc3339(str_from(text), ret_unix_ms);
}

bool aws_is_skewed(const struct err *e, const struct http_response *r, int64_t signed_unix_ms,
                   int64_t *ret_unix_ms)
{
    static const char *const reasons[] = {"RequestExpired", "RequestInTheFuture",
                                          "RequestTimeTooSkewed"};
    struct str msg = str_from(e->msg);
    bool is_date = false;
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        is_date = is_date || str_eq_cstr(str_from(e->reason), reasons[i]);
    /* InvalidSignatureException has both wrong keys and wrong clocks; the text tells them apart */
    is_date = is_date ||
              (e->cls == ERR_CREDENTIALS && (str_contains(msg, STR("Signature expired")) ||
                                             str_contains(msg, STR("Signature not yet current"))));
    if (!is_date || !aws_parse_http_date(http_header_get(r, "date"), ret_unix_ms))
        return false;
    int64_t off = *ret_unix_ms - signed_unix_ms;
    return off > SKEW_MIN_MS || off < -SKEW_MIN_MS;
}
