// SPDX-License-Identifier: Apache-2.0
/*
 * Signature Version 4: the steps of "Create a signed AWS API request" (IAM user guide), in their
 * order: canonical request, string to sign, signing key, signature, Authorization header.
 */
#include "aws/sigv4.h"

#include "aws/credentials.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "sigv4_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { DATE_LEN = 8 };

void aws_sigv4_key(const struct secret *secret_key, struct str date, struct str region,
                   struct str service, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    static const char prefix[] = "AWS4";
    char first[sizeof prefix - 1 + AWS_SECRET_KEY_MAX];
    struct str secret = secret_reveal(secret_key);
    size_t n = secret.len < AWS_SECRET_KEY_MAX ? secret.len : AWS_SECRET_KEY_MAX;
    memcpy(first, prefix, sizeof prefix - 1);
    if (n > 0)
        memcpy(first + sizeof prefix - 1, secret.ptr, n);
    const struct str steps[] = {date, region, service, STR("aws4_request")};
    struct str key = str_n(first, sizeof prefix - 1 + n);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        uint8_t next[CRYPTO_SHA256_BYTES];
        crypto_hmac_sha256(key, steps[i], next);
        memcpy(ret, next, sizeof next);
        crypto_wipe(next, sizeof next);
        key = str_n((const char *)ret, CRYPTO_SHA256_BYTES);
    }
    crypto_wipe(first, sizeof first);
}

static bool is_ours(const struct aws_sigv4_request *rq, struct str name)
{
    return str_eq_nocase(name, STR("x-amz-date")) ||
           str_eq_nocase(name, STR("x-amz-security-token")) ||
           (rq->is_body_hash_sent && str_eq_nocase(name, STR("x-amz-content-sha256")));
}

static void add(struct aws_sigv4_signed *ret, struct str name, struct str value)
{
    ret->headers[ret->count++] = (struct http_header){name, value};
}

/* What the signature covers: the caller's headers, host, and those that the signer adds. */
static const struct http_header *collect(const struct aws_sigv4_request *rq,
                                         const struct sigv4_url *url,
                                         const struct aws_sigv4_signed *adds, struct arena *a,
                                         size_t *ret_count)
{
    struct http_header *all =
        arena_new_array(a, struct http_header, rq->header_count + adds->count + 1);
    size_t count = 0;
    bool has_host = false;
    for (size_t i = 0; i < rq->header_count; i++) {
        has_host = has_host || str_eq_nocase(rq->headers[i].name, STR("host"));
        if (!is_ours(rq, rq->headers[i].name))
            all[count++] = rq->headers[i];
    }
    if (!has_host)
        all[count++] = (struct http_header){STR("host"), url->authority};
    for (size_t i = 0; i < adds->count; i++)
        all[count++] = adds->headers[i];
    *ret_count = count;
    return all;
}

/* The canonical request, and the names of the signed headers. */
static bool canonical_request(const struct aws_sigv4_request *rq, const char *body_hash,
                              struct arena *a, struct aws_sigv4_signed *ret, struct str *ret_names,
                              struct err *e)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX);
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX);
    struct sigv4_url url;
    size_t count = 0;
    if (!sigv4_url_split(rq->url, &url, e))
        return false;
    const struct http_header *all = collect(rq, &url, ret, a, &count);
    buf_append_cstr(&out, rq->method);
    buf_append_char(&out, '\n');
    sigv4_canonical_path(url.path, rq->is_path_kept, &out);
    buf_append_char(&out, '\n');
    if (!sigv4_canonical_query(url.query, a, &out, e))
        return false;
    buf_append_char(&out, '\n');
    if (!sigv4_canonical_headers(all, count, a, &out, &names, e))
        return false;
    buf_printf(&out, "\n%s\n%s", buf_cstr(&names), body_hash);
    if (!buf_ok(&out) || !buf_ok(&names))
        return err_set(e, ERR_INVALID, "RequestTooLarge",
                       "path, query and headers of a request must be shorter than %d bytes",
                       AWS_SIGV4_CANONICAL_MAX);
    ret->canonical_request = arena_copy(a, buf_str(&out));
    *ret_names = arena_copy(a, buf_str(&names));
    return true;
}

static struct str signature_of(const struct aws_sigv4_request *rq, struct str date,
                               struct str string_to_sign, struct arena *a)
{
    uint8_t key[CRYPTO_SHA256_BYTES];
    uint8_t mac[CRYPTO_SHA256_BYTES];
    char hex[CRYPTO_SHA256_HEX + 1];
    aws_sigv4_key(aws_credentials_secret_key(rq->credentials), date, rq->region, rq->service, key);
    crypto_hmac_sha256(str_n((const char *)key, sizeof key), string_to_sign, mac);
    crypto_wipe(key, sizeof key);
    crypto_hex(mac, sizeof mac, hex);
    return arena_copy(a, str_from(hex));
}

bool aws_sigv4_sign(const struct aws_sigv4_request *rq, struct arena *a,
                    struct aws_sigv4_signed *ret, struct err *e)
{
    char stamp[CLOCK_TEXT_MAX];
    char body_hash[CRYPTO_SHA256_HEX + 1];
    char request_hash[CRYPTO_SHA256_HEX + 1];
    struct str names;
    const struct secret *token = aws_credentials_session_token(rq->credentials);
    *ret = (struct aws_sigv4_signed){0};
    if (rq->header_count > HTTP_MAX_HEADERS)
        return err_set(e, ERR_INVALID, "RequestTooLarge", "a request must have at most %d headers",
                       HTTP_MAX_HEADERS);
    clock_format_amz(rq->unix_ms, stamp);
    crypto_sha256_hex(str_is_null(rq->payload) ? STR("") : rq->payload, body_hash);
    struct str when = arena_copy(a, str_from(stamp));
    struct str date = str_n(when.ptr, DATE_LEN);
    add(ret, STR("x-amz-date"), when);
    if (rq->is_body_hash_sent)
        add(ret, STR("x-amz-content-sha256"), arena_copy(a, str_from(body_hash)));
    if (token != NULL && !rq->is_token_unsigned)
        add(ret, STR("x-amz-security-token"), arena_copy(a, secret_reveal(token)));
    if (!canonical_request(rq, body_hash, a, ret, &names, e))
        return false;
    if (token != NULL && rq->is_token_unsigned)
        add(ret, STR("x-amz-security-token"), arena_copy(a, secret_reveal(token)));
    crypto_sha256_hex(ret->canonical_request, request_hash);
    struct str scope = arena_printf(a, "%.*s/%.*s/%.*s/aws4_request", STR_ARG(date),
                                    STR_ARG(rq->region), STR_ARG(rq->service));
    ret->string_to_sign = arena_printf(a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%s", STR_ARG(when),
                                       STR_ARG(scope), request_hash);
    ret->signature = signature_of(rq, date, ret->string_to_sign, a);
    struct str id = aws_credentials_access_key_id(rq->credentials);
    add(ret, STR("authorization"),
        arena_printf(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
                     STR_ARG(id), STR_ARG(scope), STR_ARG(names), STR_ARG(ret->signature)));
    return true;
}
