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
    CRYPTO_BUNDLE_MAX = 32, /* blocks of a bundle; more are not looked at */
    CRYPTO_FINGERPRINT = 65 /* SHA-256 of the DER in lower-case hex, with NUL */
};

struct crypto_cert_info {
    int64_t not_before_unix_ms;
    int64_t not_after_unix_ms;
    bool is_ca;     /* a version 3 certificate that may sign others */
    bool is_strict; /* of crypto_bundle_each(); false elsewhere */
    char fingerprint[CRYPTO_FINGERPRINT];
};

/* A self-signed CA that may sign leaves only. Appended to the buffers; key is a secret: wipe it.
 * common_name: cut to 64 bytes; may not be empty. */
bool crypto_signer_new(struct str common_name, int64_t not_before_unix_ms,
                       int64_t not_after_unix_ms, struct buf *cert, struct buf *key,
                       struct err *e) BERTH_NODISCARD;

struct crypto_leaf {
    struct str common_name;      /* as that of the signer */
    const struct str *dns_names; /* one or more; an IP address as text becomes an IP entry */
    size_t dns_name_count;
    int64_t not_before_unix_ms;
    int64_t not_after_unix_ms; /* cut to the signer's */
};
/* A server certificate with a key of its own, signed by the signer. ERR_INVALID also where one of
 * the names is neither a DNS name nor an address: the message has it. */
bool crypto_leaf_new(const struct crypto_leaf *o, struct str signer_cert, struct str signer_key,
                     struct buf *cert, struct buf *key, struct err *e) BERTH_NODISCARD;

/* The first certificate of the text. */
bool crypto_cert_read(struct str pem, struct crypto_cert_info *ret, struct err *e) BERTH_NODISCARD;
/* Does the key belong to the first certificate? */
bool crypto_key_matches(struct str cert, struct str key);
/* Does the first certificate of the chain lead, by the others of it, to one of the bundle? As an
 * API server asks it: each certificate of the bundle is an end by itself, also one that is not
 * self-signed. Dates are not looked at. False where one of the two has no certificate. */
bool crypto_chain_verifies(struct str chain, struct str bundle);

/* Calls each(arg) for every certificate of a bundle that can be read, with a PEM text of its own
 * that ends with a newline; what cannot be read is passed over. info->is_strict says whether an API
 * server reads it as well: Go's encoding/pem wants both marks on lines of their own, and passes
 * over a block with headers. */
typedef void crypto_cert_fn(void *arg, const struct crypto_cert_info *info, struct str pem);
void crypto_bundle_each(struct str bundle, crypto_cert_fn *each, void *arg);
/* Is the certificate in the bundle, so that an API server finds it (is_strict)? */
bool crypto_bundle_has(struct str bundle, const char *fingerprint);
