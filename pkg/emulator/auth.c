// SPDX-License-Identifier: Apache-2.0
/*
 * The check of signed requests, with AWS's errors for each way in which one can be wrong, and the
 * tokens of GetAuthorizationToken.
 */
#include "auth_priv.h"
#include "base/mem.h"
#include "base/num.h"
#include "crypto/crypto.h"
#include "sigv4_priv.h"

#include <stdio.h>
#include <string.h>

enum { TOKEN_TEXT_MAX = 1024, SEAL_BYTES = 32 };

struct key_pair {
    char *id;
    struct secret *secret;
    struct secret *token; /* NULL: long-term */
};

struct emu_auth {
    struct key_pair pairs[EMULATOR_CREDENTIALS_MAX];
    size_t n;
    uint8_t seal[SEAL_BYTES];
};

static void add_pair(struct emu_auth *a, struct str id, struct str secret, struct str token)
{
    struct key_pair *pair = &a->pairs[a->n++];

    pair->id = mem_dup(id.ptr, id.len);
    pair->secret = secret_new(secret);
    pair->token = str_is_null(token) ? NULL : secret_new(token);
}

struct emu_auth *emu_auth_new(const struct emulator_credential *credentials, size_t n)
{
    struct emu_auth *a = mem_alloc(sizeof(*a));

    crypto_random(a->seal, sizeof(a->seal));
    for (size_t i = 0; i < n && i < EMULATOR_CREDENTIALS_MAX; i++)
        add_pair(a, credentials[i].access_key_id, credentials[i].secret_access_key,
                 credentials[i].session_token);
    if (n == 0)
        add_pair(a, STR("test"), STR("test"), STR_NULL);
    return a;
}

struct emu_auth *emu_auth_free(struct emu_auth *a)
{
    if (a == NULL)
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        mem_free(a->pairs[i].id);
        secret_free(a->pairs[i].secret);
        secret_free(a->pairs[i].token);
    }
    crypto_wipe(a, sizeof(*a));
    return mem_free(a);
}

static const struct key_pair *find_pair(const struct emu_auth *a, struct str id, struct str token)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct key_pair *pair = &a->pairs[i];

        if (!str_eq_cstr(id, pair->id))
            continue;
        if (pair->token == NULL ? str_is_null(token)
                                : crypto_equal(secret_reveal(pair->token), token))
            return pair;
    }
    return NULL;
}

bool emu_auth_is_temporary(const struct emu_auth *a, struct str access_key_id)
{
    for (size_t i = 0; a != NULL && i < a->n; i++)
        if (str_eq_cstr(access_key_id, a->pairs[i].id))
            return a->pairs[i].token != NULL;
    return false;
}

struct str emu_auth_claimed_key(struct str authorization)
{
    struct sigv4_claim claim;
    const char *missing = NULL;

    return sigv4_parse(authorization, &claim, &missing) ? claim.access_key_id : STR_NULL;
}

struct header_list {
    struct sigv4_header headers[EMU_HEADERS_MAX];
    size_t n;
    bool is_too_many;
};

static void collect_header(void *arg, struct str name, struct str value)
{
    struct header_list *list = arg;

    if (list->n >= EMU_HEADERS_MAX)
        list->is_too_many = true;
    else
        list->headers[list->n++] = (struct sigv4_header){name, value};
}

/* Date, region and service of the scope, and the time of the request. */
static bool check_scope(const struct emu_request *r, const struct sigv4_claim *claim,
                        struct str amz_date, const char *service, struct emu_error *x)
{
    int64_t signed_ms = 0;
    int64_t skew_ms = r->fault.effect == EMU_FAULT_SKEW ? r->fault.ms : 0;
    int64_t now_ms = clock_unix_ms(r->emu->clock) + skew_ms;
    char now[CLOCK_TEXT_MAX];

    if (!clock_parse_amz(amz_date, &signed_ms))
        return emu_fail(x, EMU_INCOMPLETE_SIGNATURE,
                        "Date must be in ISO-8601 'basic format'. Got '%.*s'. See "
                        "http://en.wikipedia.org/wiki/ISO_8601",
                        STR_ARG(str_cut_utf8(amz_date, 64)));
    if (!str_eq(claim->date, str_n(amz_date.ptr, 8)))
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version "
                        "of date from HTTP");
    if (!str_eq_cstr(claim->region, r->emu->region))
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "Credential should be scoped to a valid region, not '%.*s'.",
                        STR_ARG(str_cut_utf8(claim->region, 64)));
    if (!str_eq_cstr(claim->service, service))
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "Credential should be scoped to correct service: '%s'.", service);
    clock_format_amz(now_ms, now);
    if (signed_ms < now_ms - EMU_CLOCK_SKEW_MS)
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "Signature expired: %.*s is now earlier than 5 min. before %s",
                        STR_ARG(amz_date), now);
    if (signed_ms > now_ms + EMU_CLOCK_SKEW_MS)
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "Signature not yet current: %.*s is still later than 5 min. after %s",
                        STR_ARG(amz_date), now);
    return true;
}

/* Host, X-Amz-Date and each other X-Amz- header must be under the signature. */
static bool check_signed_headers(const struct header_list *list, const struct sigv4_claim *claim,
                                 struct emu_error *x)
{
    if (!sigv4_is_signed(claim, STR("host")))
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "'Host' or ':authority' must be a 'SignedHeader' in the AWS "
                        "Authorization.");
    for (size_t i = 0; i < list->n; i++) {
        struct str name = list->headers[i].name;
        char lower[64];

        if (name.len < 6 || !str_eq_nocase(str_n(name.ptr, 6), STR("x-amz-")))
            continue;
        if (name.len >= sizeof(lower))
            continue; /* none of AWS's: nothing reads it */
        for (size_t c = 0; c < name.len; c++)
            lower[c] =
                (char)(name.ptr[c] >= 'A' && name.ptr[c] <= 'Z' ? name.ptr[c] | 0x20 : name.ptr[c]);
        if (!sigv4_is_signed(claim, str_n(lower, name.len)))
            return emu_fail(x, EMU_INVALID_SIGNATURE,
                            "'%.*s' must be a 'SignedHeader' in the AWS Authorization.",
                            STR_ARG(name));
    }
    return true;
}

static bool parse_claim(const struct sigv4_request *request, struct sigv4_claim *claim,
                        struct emu_error *x)
{
    struct str authorization = sigv4_header(request, "authorization");
    const char *missing = "";

    if (str_is_null(authorization))
        return emu_fail(x, EMU_MISSING_TOKEN, "Missing Authentication Token");
    if (sigv4_parse(authorization, claim, &missing))
        return true;
    if (strcmp(missing, "Algorithm") == 0)
        return emu_fail(x, EMU_INCOMPLETE_SIGNATURE,
                        "Unsupported AWS 'algorithm' in the "
                        "Authorization header");
    return emu_fail(x, EMU_INCOMPLETE_SIGNATURE, "Authorization header requires '%s' parameter.",
                    missing);
}

bool emu_auth_check(struct emu_request *r, struct str body, const char *service,
                    struct str *ret_key, bool *ret_is_temporary, struct emu_error *x)
{
    struct header_list *list = arena_new(&r->arena, struct header_list);
    struct sigv4_request request = {.method = r->method, .target = r->target, .body = body};
    struct sigv4_claim claim = {0};
    const struct key_pair *pair = NULL;
    char want[SIGV4_HEX + 1];

    *ret_key = STR_NULL;
    *ret_is_temporary = false;
    emu_headers_each(r, collect_header, list);
    request.headers = list->headers;
    request.n_headers = list->n;
    if (list->is_too_many)
        return emu_fail(x, EMU_INCOMPLETE_SIGNATURE, "The request has more than %d headers",
                        EMU_HEADERS_MAX);
    if (!parse_claim(&request, &claim, x))
        return false;
    struct str amz_date = sigv4_header(&request, "x-amz-date");
    if (str_is_null(amz_date) || !sigv4_is_signed(&claim, STR("x-amz-date")))
        return emu_fail(x, EMU_INCOMPLETE_SIGNATURE,
                        "Authorization header requires existence of a signed 'X-Amz-Date' header.");
    *ret_key = arena_copy(&r->arena, str_cut_utf8(claim.access_key_id, 128));
    if (!check_scope(r, &claim, amz_date, service, x) || !check_signed_headers(list, &claim, x))
        return false;
    pair = find_pair(r->emu->auth, claim.access_key_id,
                     sigv4_header(&request, "x-amz-security-token"));
    if (pair == NULL)
        return emu_fail(x, EMU_UNRECOGNIZED_CLIENT,
                        "The security token included in the request is invalid.");
    sigv4_compute(&request, &claim, amz_date, secret_reveal(pair->secret), &r->arena, want);
    if (!crypto_equal(str_n(want, SIGV4_HEX), claim.signature))
        return emu_fail(x, EMU_INVALID_SIGNATURE,
                        "The request signature we calculated does not match the signature you "
                        "provided. Check your AWS Secret Access Key and signing method. Consult "
                        "the service documentation for details.");
    if (r->fault.effect == EMU_FAULT_EXPIRE)
        return emu_fail(x, EMU_EXPIRED_TOKEN,
                        "The security token included in the request is expired");
    *ret_is_temporary = pair->token != NULL;
    return true;
}

/* ---- registry tokens: base64("<expires ms>|<access key id>|<hmac of both>") ---- */

static void seal(const struct emu_auth *a, struct str payload, char ret[static 65])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];

    crypto_hmac_sha256(str_n((const char *)a->seal, sizeof(a->seal)), payload, digest);
    crypto_hex(digest, sizeof(digest), ret);
}

void emu_token_issue(const struct emulator *emu, struct str access_key_id, struct buf *out,
                     int64_t *ret_expires_unix_ms)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TOKEN_TEXT_MAX);
    char mac[65];

    *ret_expires_unix_ms = clock_unix_ms(emu->clock) + EMU_TOKEN_LIFE_MS;
    buf_printf(&text, "%lld|%.*s", (long long)*ret_expires_unix_ms, STR_ARG(access_key_id));
    seal(emu->auth, buf_str(&text), mac);
    buf_append_char(&text, '|');
    buf_append_cstr(&text, mac);
    crypto_base64_encode(buf_str(&text), out);
}

enum emu_token_state emu_token_check(const struct emulator *emu, struct str password,
                                     struct arena *arena, struct str *ret_access_key_id)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TOKEN_TEXT_MAX);
    ptrdiff_t last = 0;
    int64_t expires_ms = 0;
    struct str expires = STR_NULL;
    struct str key = STR_NULL;
    char want[65];

    *ret_access_key_id = STR_NULL;
    if (password.len > 2 * TOKEN_TEXT_MAX || !crypto_base64_decode(password, &text) ||
        !buf_ok(&text))
        return EMU_TOKEN_INVALID;
    last = str_rindex(buf_str(&text), '|');
    if (last < 0)
        return EMU_TOKEN_INVALID;
    struct str payload = str_n(buf_str(&text).ptr, (size_t)last);
    seal(emu->auth, payload, want);
    if (!crypto_equal(str_from(want), str_from_offset(buf_str(&text), (size_t)last + 1)) ||
        !str_cut(payload, '|', &expires, &key) || !num_parse_i64(expires, &expires_ms))
        return EMU_TOKEN_INVALID;
    *ret_access_key_id = arena_copy(arena, key);
    return clock_unix_ms(emu->clock) < expires_ms ? EMU_TOKEN_OK : EMU_TOKEN_EXPIRED;
}
