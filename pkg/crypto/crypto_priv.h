// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of this package share: the algorithms, fetched from OpenSSL once. In OpenSSL 3
 * EVP_sha256() and HMAC() look the algorithm up, under a lock, at each call; that costs more than
 * hashing the few hundred bytes of a signature.
 */
#pragma once

#include "base/compiler.h"

#include <openssl/evp.h>

/* SHA-256 and HMAC; never NULL, live until the process ends. */
const EVP_MD *crypto_priv_sha256(void);
EVP_MAC *crypto_priv_hmac(void);

/* Prints what OpenSSL says about a call that cannot fail, and aborts. */
BERTH_NORETURN void crypto_priv_broken(const char *call);
