// SPDX-License-Identifier: Apache-2.0
/*
 * Hashes, encodings and random bytes, over OpenSSL (known to this package only). A failure inside
 * OpenSSL here means a broken library and aborts. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRYPTO_SHA256_BYTES = 32, CRYPTO_SHA256_HEX = 64 };

void crypto_sha256(struct str data, uint8_t ret[static CRYPTO_SHA256_BYTES]);
/* 64 lower-case hex digits and NUL. */
void crypto_sha256_hex(struct str data, char ret[static CRYPTO_SHA256_HEX + 1]);
/* RFC 2104. A one-shot call: about 1 µs, of which most is the set-up of the context and not the
 * hashing; the five of a signature need no caching. key may be empty; ret may be the memory of
 * key or data. */
void crypto_hmac_sha256(struct str key, struct str data, uint8_t ret[static CRYPTO_SHA256_BYTES]);

/* Hashing in pieces. */
struct crypto_hash;
struct crypto_hash *crypto_hash_new(void) BERTH_NODISCARD; /* SHA-256 */
void crypto_hash_add(struct crypto_hash *h, const void *p, size_t n);
/* The digest so far, in hex; more may be added after. */
void crypto_hash_hex(const struct crypto_hash *h, char ret[static CRYPTO_SHA256_HEX + 1]);
struct crypto_hash *crypto_hash_free(struct crypto_hash *h);
BERTH_DEFINE_CLEANUP(struct crypto_hash *, crypto_hash_free);

void crypto_hex(const uint8_t *p, size_t n, char *ret /* 2n + 1 */);
/* RFC 4648, with padding, without line breaks. */
void crypto_base64_encode(struct str data, struct buf *out);
/* Strict: padding must be there and unused bits be zero; but blanks, tabs and line breaks are
 * skipped. False on anything else and where out is full; then nothing is appended. */
bool crypto_base64_decode(struct str text, struct buf *out) BERTH_NODISCARD;

void crypto_random(void *p, size_t n);
/* RFC 4122 version 4, 36 characters and NUL. */
void crypto_uuid(char ret[static 37]);
/* In constant time for equal lengths. */
bool crypto_equal(struct str a, struct str b);
/* Overwrites; never optimised away. */
void crypto_wipe(void *p, size_t n);

/*
 * A secret: no printf path, wiped when freed, compared in constant time. What holds one says so by
 * type, and logs and errors have no way to take it.
 */
struct secret;
struct secret *secret_new(struct str s) BERTH_NODISCARD; /* copies; absent gives "" */
struct secret *secret_free(struct secret *s);            /* wipes */
BERTH_DEFINE_CLEANUP(struct secret *, secret_free);
/* The bytes, NUL-terminated, for signing or sending; never for text that people read. Lives as
 * long as s; absent where s is NULL. */
struct str secret_reveal(const struct secret *s);
