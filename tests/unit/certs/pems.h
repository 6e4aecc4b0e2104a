// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates for tests: signers that are made once a process.
 */
#pragma once

#include "base/buf.h"
#include "crypto/x509.h"

#include <stdint.h>
#include <stdlib.h>

enum { PEM_NOW_MS = 1800000000, PEM_LIFE_MS = 3600 * 1000 };

struct pem {
    struct buf cert, key;
    char fingerprint[CRYPTO_FINGERPRINT];
};

static inline void pem_signer(struct pem *p, int64_t not_after_ms)
{
    struct crypto_cert_info info;
    struct err e = ERR_INIT;
    p->cert = BUF_INIT(CRYPTO_PEM_MAX);
    p->key = BUF_INIT(CRYPTO_PEM_MAX);
    if (!crypto_signer_new(STR("signer"), 0, not_after_ms, &p->cert, &p->key, &e) ||
        !crypto_cert_read(buf_str(&p->cert), &info, &e))
        abort();
    memcpy(p->fingerprint, info.fingerprint, sizeof p->fingerprint);
}

static inline void pem_fini(struct pem *p)
{
    buf_fini(&p->cert);
    buf_fini(&p->key);
}
