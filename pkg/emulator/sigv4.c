// SPDX-License-Identifier: Apache-2.0
/*
 * SigV4, from the receiving side: the canonical request is built from what arrived, not from what
 * a signer meant.
 */
#include "base/buf.h"
#include "crypto/crypto.h"
#include "limits_priv.h"
#include "sigv4_priv.h"

#include <stdlib.h>
#include <string.h>

bool sigv4_parse(struct str authorization, struct sigv4_claim *ret, const char **ret_missing)
{
    struct str algorithm = STR_NULL;
    struct str rest = STR_NULL;
    struct str part = STR_NULL;
    struct str credential = STR_NULL;
    struct str end = STR_NULL;

    *ret = (struct sigv4_claim){0};
    *ret_missing = "Algorithm";
    if (authorization.len > SIGV4_AUTHORIZATION_MAX ||
        !str_cut(authorization, ' ', &algorithm, &rest) ||
        !str_eq(algorithm, STR("AWS4-HMAC-SHA256")))
        return false;
    while (str_next(&rest, ',', &part)) {
        struct str name = STR_NULL;
        struct str value = STR_NULL;

        if (!str_cut(str_trim(part), '=', &name, &value))
            continue;
        if (str_eq(name, STR("Credential")))
            credential = value;
        else if (str_eq(name, STR("SignedHeaders")))
            ret->signed_headers = value;
        else if (str_eq(name, STR("Signature")))
            ret->signature = value;
    }
    *ret_missing = "Credential";
    if (!str_cut(credential, '/', &ret->access_key_id, &credential) ||
        !str_cut(credential, '/', &ret->date, &credential) ||
        !str_cut(credential, '/', &ret->region, &credential) ||
        !str_cut(credential, '/', &ret->service, &end) || !str_eq(end, STR("aws4_request")))
        return false;
    *ret_missing = "SignedHeaders";
    if (str_is_empty(ret->signed_headers))
        return false;
    *ret_missing = "Signature";
    return !str_is_empty(ret->signature);
}

bool sigv4_is_signed(const struct sigv4_claim *claim, struct str name)
{
    struct str rest = claim->signed_headers;
    struct str part = STR_NULL;

    while (str_next(&rest, ';', &part))
        if (str_eq(part, name))
            return true;
    return false;
}

struct str sigv4_header(const struct sigv4_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, str_from(name)))
            return r->headers[i].value;
    return STR_NULL;
}

/* Trimmed, and each run of white space one space. */
static void append_collapsed(struct buf *out, struct str value)
{
    bool is_in_space = false;

    value = str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        bool is_space = value.ptr[i] == ' ' || value.ptr[i] == '\t';

        if (!is_space)
            buf_append_char(out, value.ptr[i]);
        else if (!is_in_space)
            buf_append_char(out, ' ');
        is_in_space = is_space;
    }
}

/* The signed headers in the order in which the signer lists them (which must be sorted: another
 * order gives another hash than AWS's). A name that was not sent gives an empty line. */
static void append_headers(struct buf *out, const struct sigv4_request *r,
                           const struct sigv4_claim *claim)
{
    struct str rest = claim->signed_headers;
    struct str name = STR_NULL;

    while (str_next(&rest, ';', &name)) {
        const char *separator = "";

        buf_append(out, name);
        buf_append_char(out, ':');
        for (size_t i = 0; i < r->n_headers; i++) {
            if (!str_eq_nocase(r->headers[i].name, name))
                continue;
            buf_append_cstr(out, separator);
            append_collapsed(out, r->headers[i].value);
            separator = ",";
        }
        buf_append_char(out, '\n');
    }
}

static int compare_arguments(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Arguments as they came, sorted; one without a value gets its "=". */
static void append_query(struct buf *out, struct str query, struct arena *arena)
{
    struct str *arguments = arena_new_array(arena, struct str, query.len / 2 + 2);
    size_t n = 0;
    struct str part = STR_NULL;

    while (str_next(&query, '&', &part))
        if (part.len > 0)
            arguments[n++] =
                str_index(part, '=') >= 0 ? part : arena_printf(arena, "%.*s=", STR_ARG(part));
    qsort(arguments, n, sizeof(*arguments), compare_arguments);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_append_char(out, '&');
        buf_append(out, arguments[i]);
    }
}

static void canonical_hash(const struct sigv4_request *r, const struct sigv4_claim *claim,
                           struct arena *arena, char ret[static SIGV4_HEX + 1])
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(8 * EMU_CONNECTION_BYTES);
    struct str path = STR_NULL;
    struct str query = STR_NULL;
    char body_hex[CRYPTO_SHA256_HEX + 1];

    (void)str_cut(r->target, '?', &path, &query);
    buf_append(&text, r->method);
    buf_append_char(&text, '\n');
    buf_append(&text, path);
    buf_append_char(&text, '\n');
    append_query(&text, query, arena);
    buf_append_char(&text, '\n');
    append_headers(&text, r, claim);
    buf_append_char(&text, '\n');
    buf_append(&text, claim->signed_headers);
    buf_append_char(&text, '\n');
    crypto_sha256_hex(r->body, body_hex);
    buf_append_cstr(&text, body_hex);
    crypto_sha256_hex(buf_str(&text), ret);
}

static struct str mac(struct str key, struct str data, uint8_t out[static CRYPTO_SHA256_BYTES])
{
    crypto_hmac_sha256(key, data, out);
    return str_n((const char *)out, CRYPTO_SHA256_BYTES);
}

void sigv4_compute(const struct sigv4_request *r, const struct sigv4_claim *claim,
                   struct str amz_date, struct str secret, struct arena *arena,
                   char ret[static SIGV4_HEX + 1])
{
    char hash[SIGV4_HEX + 1];
    uint8_t key[2][CRYPTO_SHA256_BYTES];
    struct buf seed BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(SIGV4_AUTHORIZATION_MAX * 2);

    canonical_hash(r, claim, arena, hash);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%.*s\n%.*s/%.*s/%.*s/aws4_request\n%s", STR_ARG(amz_date),
               STR_ARG(claim->date), STR_ARG(claim->region), STR_ARG(claim->service), hash);
    buf_append_cstr(&seed, "AWS4");
    buf_append(&seed, secret);
    struct str k = mac(buf_str(&seed), claim->date, key[0]);
    k = mac(k, claim->region, key[1]);
    k = mac(k, claim->service, key[0]);
    k = mac(k, STR("aws4_request"), key[1]);
    (void)mac(k, buf_str(&text), key[0]);
    crypto_hex(key[0], CRYPTO_SHA256_BYTES, ret);
    crypto_wipe(seed.ptr, seed.len);
    crypto_wipe(key, sizeof(key));
}
