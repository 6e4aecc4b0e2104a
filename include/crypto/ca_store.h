// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates to trust, parsed once and shared by all TLS connections. Left to itself libcurl
 * 7.88 parses the whole bundle for each connection: with Debian's 144 certificates that is 22 ms
 * of CPU and 1.5 MB a connection, against 1.5 ms and 0.2 MB with a shared store.
 *
 * A store is immutable; any thread may use it, and TLS contexts that took it keep it alive.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

struct crypto_ca_store;

/* ERR_INVALID, BadCertificate, where pem holds no certificate or one that cannot be read. */
bool crypto_ca_store_new(struct str pem, struct crypto_ca_store **ret,
                         struct err *e) BERTH_NODISCARD;
/* The system's: a bundle file and a directory of hashed names, as libcurl was built with; either
 * may be NULL. ERR_INVALID, BadCertificate, where neither can be used. */
bool crypto_ca_store_system(const char *file, const char *dir, struct crypto_ca_store **ret,
                            struct err *e) BERTH_NODISCARD;
/* NULL is fine; returns NULL. */
struct crypto_ca_store *crypto_ca_store_free(struct crypto_ca_store *s);
BERTH_DEFINE_CLEANUP(struct crypto_ca_store *, crypto_ca_store_free);
/* ssl_ctx: OpenSSL's SSL_CTX. Takes the place of whatever it trusted. */
void crypto_ca_store_use(const struct crypto_ca_store *s, void *ssl_ctx);
