// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate of an HTTPS server, replaced while it serves.
 *
 * A holder has at most one bundle: a certificate, the chain above it and the private key, checked
 * whole before it is published, immutable and counted after. Each handshake takes the bundle that
 * is current when it begins, so a half-rotated pair is never served and no connection is cut by a
 * replacement. Before the first publication every handshake is refused with an alert.
 *
 * Servers resume no sessions (no tickets, no cache): each new connection is a full handshake and
 * sees the newest certificate.
 *
 * Thread rule: any thread, at any time between web_tls_new() and web_tls_free().
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WEB_TLS_MAX_PEM_BYTES = 64 * 1024, /* of chain and key each */
    WEB_TLS_MAX_CHAIN = 10,            /* certificates, the leaf's own included */
    WEB_TLS_SERIAL_MAX = 44,           /* RFC 5280: 20 bytes; hex, a sign, NUL */
    WEB_TLS_SHA256_MAX = 65
};

struct web_tls;

/* What a new connection is served. */
struct web_tls_info {
    int64_t not_before_unix_ms;
    int64_t not_after_unix_ms;
    char serial[WEB_TLS_SERIAL_MAX]; /* upper-case hex, as `openssl x509 -serial` prints it */
    char sha256[WEB_TLS_SHA256_MAX]; /* of the certificate's DER, lower-case hex */
    uint64_t publications;           /* how many there were: 1 after the first */
};

/* Without a bundle. Never NULL. */
struct web_tls *web_tls_new(void) BERTH_NODISCARD;
/* No server may use it any more. NULL is fine; returns NULL. */
struct web_tls *web_tls_free(struct web_tls *t);

/*
 * Serves this pair from the next handshake on. `chain`: PEM, the server's own certificate first,
 * then what signed it, upwards; `key`: PEM, one private key without a passphrase. Both are copied;
 * the caller wipes its own.
 *
 * ERR_INVALID, and what was served before stays, where one of the two is too long or cannot be
 * read, where the key is not that of the first certificate, where a certificate did not sign the
 * one before it, or where OpenSSL would not serve it (a key that is too short, a weak digest). The
 * message says which; it never quotes the key. The dates are not looked at: who publishes decides
 * whether an expired certificate is better than none (web_tls_info() has them). A pair that is
 * served already is published again without harm.
 */
bool web_tls_publish(struct web_tls *t, struct str chain, struct str key,
                     struct err *e) BERTH_NODISCARD;

/* False before the first publication (*ret is zeroed). */
bool web_tls_info(struct web_tls *t, struct web_tls_info *ret);
