// SPDX-License-Identifier: Apache-2.0
/*
 * SHA-256 and HMAC-SHA-256 over OpenSSL's EVP interface, at once and in pieces. None of this fails
 * with a working library, so a failure aborts with OpenSSL's own words instead of giving every
 * signature an error path that nobody can test.
 */
#include "base/mem.h"
#include "crypto/crypto.h"
#include "crypto_priv.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct crypto_hash {
    EVP_MD_CTX *ctx;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC *hmac;

BERTH_NORETURN void crypto_priv_broken(const char *call)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    fprintf(stderr, "berth: OpenSSL is broken: %s failed: %s\n", call, text);
    abort();
}

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (sha256 == NULL || hmac == NULL)
        crypto_priv_broken("fetching SHA256 and HMAC");
}

const EVP_MD *crypto_priv_sha256(void)
{
    pthread_once(&once, fetch);
    return sha256;
}

EVP_MAC *crypto_priv_hmac(void)
{
    pthread_once(&once, fetch);
    return hmac;
}

void crypto_sha256(struct str data, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    if (EVP_Digest(data.ptr, data.len, ret, NULL, crypto_priv_sha256(), NULL) != 1)
        crypto_priv_broken("EVP_Digest");
}

void crypto_sha256_hex(struct str data, char ret[static CRYPTO_SHA256_HEX + 1])
{
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(data, digest);
    crypto_hex(digest, sizeof(digest), ret);
}

void crypto_hmac_sha256(struct str key, struct str data, uint8_t ret[static CRYPTO_SHA256_BYTES])
{
    char digest_name[] = "SHA256"; /* OSSL_PARAM wants it writable */
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(crypto_priv_hmac());
    size_t n = 0;
    /* a NULL key means "the key of before" to EVP_MAC_init(), so an absent one goes as "" */
    const uint8_t *key_bytes = (const uint8_t *)(key.ptr ? key.ptr : "");
    if (ctx == NULL || EVP_MAC_init(ctx, key_bytes, key.len, params) != 1 ||
        EVP_MAC_update(ctx, (const uint8_t *)data.ptr, data.len) != 1 ||
        EVP_MAC_final(ctx, ret, &n, CRYPTO_SHA256_BYTES) != 1)
        crypto_priv_broken("EVP_MAC");
    EVP_MAC_CTX_free(ctx); /* wipes its copy of the key */
}

struct crypto_hash *crypto_hash_new(void)
{
    struct crypto_hash *h = mem_alloc(sizeof(*h));
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, crypto_priv_sha256(), NULL) != 1)
        crypto_priv_broken("EVP_DigestInit_ex2");
    return h;
}

void crypto_hash_add(struct crypto_hash *h, const void *p, size_t n)
{
    if (EVP_DigestUpdate(h->ctx, p, n) != 1)
        crypto_priv_broken("EVP_DigestUpdate");
}

void crypto_hash_hex(const struct crypto_hash *h, char ret[static CRYPTO_SHA256_HEX + 1])
{
    /* finishing ends a context, so a copy is finished and h goes on */
    uint8_t digest[CRYPTO_SHA256_BYTES];
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (copy == NULL || EVP_MD_CTX_copy_ex(copy, h->ctx) != 1 ||
        EVP_DigestFinal_ex(copy, digest, NULL) != 1)
        crypto_priv_broken("EVP_DigestFinal_ex");
    EVP_MD_CTX_free(copy);
    crypto_hex(digest, sizeof(digest), ret);
}

struct crypto_hash *crypto_hash_free(struct crypto_hash *h)
{
    if (h != NULL)
        EVP_MD_CTX_free(h->ctx);
    return mem_free(h);
}
