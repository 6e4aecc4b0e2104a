// SPDX-License-Identifier: Apache-2.0
/*
 * Secrets, random bytes and comparing without telling by time. The bytes of a secret sit behind
 * their length in one allocation, which is overwritten before it is freed.
 */
#include "base/mem.h"
#include "crypto/crypto.h"
#include "crypto_priv.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <limits.h>

struct secret {
    size_t len;
    char bytes[]; /* and a NUL */
};

void crypto_random(void *p, size_t n)
{
    uint8_t *at = p;
    while (n > 0) {
        int piece = n > INT_MAX ? INT_MAX : (int)n;
        if (RAND_bytes(at, piece) != 1)
            crypto_priv_broken("RAND_bytes");
        at += piece;
        n -= (size_t)piece;
    }
}

void crypto_uuid(char ret[static 37])
{
    uint8_t r[16];
    char hex[33];
    crypto_random(r, sizeof(r));
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40); /* version 4 */
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80); /* the variant of RFC 4122 */
    crypto_hex(r, sizeof(r), hex);
    static const uint8_t groups[] = {8, 4, 4, 4, 12};
    char *to = ret;
    const char *from = hex;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (i > 0)
            *to++ = '-';
        memcpy(to, from, groups[i]);
        to += groups[i];
        from += groups[i];
    }
    *to = '\0';
}

bool crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void crypto_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}

struct secret *secret_new(struct str s)
{
    struct secret *secret = mem_alloc(sizeof(*secret) + s.len + 1);
    secret->len = s.len;
    if (s.len > 0)
        memcpy(secret->bytes, s.ptr, s.len);
    return secret;
}

struct secret *secret_free(struct secret *s)
{
    if (s != NULL)
        OPENSSL_cleanse(s, sizeof(*s) + s->len + 1);
    return mem_free(s);
}

struct str secret_reveal(const struct secret *s)
{
    return s == NULL ? STR_NULL : str_n(s->bytes, s->len);
}
