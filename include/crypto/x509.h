// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates for the webhook: a signer (a CA of our own), leaves that it signs, and bundles of
 * those that are trusted. Keys are ECDSA P-256; serial numbers have 128 random bits (RFC 5280,
 * 4.1.2.2). Texts are PEM. Any thread.
 *
 * ERR_INVALID (InvalidCertificate) where a text cannot be read; messages never quote a key.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CRYPTO_PEM_MAX = 64 * 1024,
    CRYPTO_BUNDLE_MAX = 32, /* certificates of a bundle; more are not looked at */
    CRYPTO_FINGERPRINT = 65 /* SHA-256 of the DER in lower-case hex, with NUL */
};

struct crypto_cert_info {
    int64_t not_before_unix_ms;
    int64_t not_after_unix_ms;
    bool is_ca;
    char fingerprint[CRYPTO_FINGERPRINT];
};

/* A self-signed CA that may sign leaves only. Appended to the buffers; key is a secret: wipe it. */
bool crypto_signer_new(struct str common_name, int64_t not_before_unix_ms,
                       int64_t not_after_unix_ms, struct buf *cert, struct buf *key,
                       struct err *e) BERTH_NODISCARD;

struct crypto_leaf {
    struct str common_name;
    const struct str *dns_names; /* an IP address as text becomes an IP entry */
    size_t dns_name_count;
    int64_t not_before_unix_ms;
    int64_t not_after_unix_ms; /* cut to the signer's */
};
/* A server certificate with a key of its own, signed by the signer. */
bool crypto_leaf_new(const struct crypto_leaf *o, struct str signer_cert, struct str signer_key,
                     struct buf *cert, struct buf *key, struct err *e) BERTH_NODISCARD;

/* The first certificate of the text. */
bool crypto_cert_read(struct str pem, struct crypto_cert_info *ret, struct err *e) BERTH_NODISCARD;
/* Does the key belong to the first certificate? */
bool crypto_key_matches(struct str cert, struct str key);

/* Calls each(arg) for every certificate of a bundle that can be read, with its own PEM text; what
 * cannot be read is passed over. */
typedef void crypto_cert_fn(void *arg, const struct crypto_cert_info *info, struct str pem);
void crypto_bundle_each(struct str bundle, crypto_cert_fn *each, void *arg);
/* Is the certificate (its first) in the bundle? */
bool crypto_bundle_has(struct str bundle, struct str cert);
