// SPDX-License-Identifier: Apache-2.0
/*
 * AWS credentials, and the seam that they come through.
 *
 * struct aws_credentials is immutable and counted, so that a call in flight keeps the ones it was
 * signed with while a provider renews its own. The secret parts are struct secret: they have no
 * way into a log or an error. The access key id is no secret (AWS prints it in its errors), but
 * is not logged either. Any thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/crypto.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest id, key and token that are taken from outside (session tokens are about 1 KiB;
 * AWS warns that they may grow). */
enum { AWS_ACCESS_KEY_ID_MAX = 256, AWS_SECRET_KEY_MAX = 1024, AWS_SESSION_TOKEN_MAX = 16384 };

struct aws_credentials;

struct aws_credentials_values {
    struct str access_key_id;
    struct str secret_access_key;
    struct str session_token; /* absent for long-term keys */
    int64_t expires_unix_ms;  /* 0: never */
    const char *source;       /* where they came from, for people: "environment"; static text */
};

/* Copies the values. ERR_CREDENTIALS (reason InvalidCredentials) where id or key is empty, one is
 * too long, or the id or token has characters that cannot stand in a header. */
bool aws_credentials_new(const struct aws_credentials_values *values, struct aws_credentials **ret,
                         struct err *e) BERTH_NODISCARD;
struct aws_credentials *aws_credentials_ref(struct aws_credentials *c) BERTH_NODISCARD;
/* Wipes and frees with the last reference. NULL is fine; returns NULL. */
struct aws_credentials *aws_credentials_unref(struct aws_credentials *c);
BERTH_DEFINE_CLEANUP(struct aws_credentials *, aws_credentials_unref);

/* Views that live as long as a reference is held. */
struct str aws_credentials_access_key_id(const struct aws_credentials *c);
const struct secret *aws_credentials_secret_key(const struct aws_credentials *c);
const struct secret *aws_credentials_session_token(const struct aws_credentials *c); /* or NULL */
int64_t aws_credentials_expires_unix_ms(const struct aws_credentials *c);            /* 0: never */
const char *aws_credentials_source(const struct aws_credentials *c);

/*
 * Where credentials come from; one of the test seams. get() may be called from any thread at the
 * same time, may block for I/O of its own (bounded by itself), and gives a reference that the
 * caller drops. It fails with ERR_CREDENTIALS where a person must act, ERR_RETRY where trying
 * again may help.
 */
struct aws_credentials_provider {
    bool (*get)(void *impl, struct aws_credentials **ret_ref, struct err *e);
    void (*free)(void *impl);
    void *impl;
};

static inline bool aws_credentials_get(const struct aws_credentials_provider *p,
                                       struct aws_credentials **ret_ref, struct err *e)
{
    return p->get(p->impl, ret_ref, e);
}
/* Nobody may be in it. NULL is fine; returns NULL. */
struct aws_credentials_provider *aws_credentials_provider_free(struct aws_credentials_provider *p);
BERTH_DEFINE_CLEANUP(struct aws_credentials_provider *, aws_credentials_provider_free);

/* Always gives c (its reference is taken over). For tests, and for keys given by configuration. */
struct aws_credentials_provider *
aws_credentials_static_new(struct aws_credentials *take_c) BERTH_NODISCARD;

/*
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, with AWS_SESSION_TOKEN (or its older name
 * AWS_SECURITY_TOKEN) and AWS_CREDENTIAL_EXPIRATION (RFC 3339), read once, here: call it before
 * threads start. What is wrong with them is reported by get(): ERR_CREDENTIALS with reason
 * NoCredentials where neither is set, InvalidCredentials where one is missing or malformed.
 */
struct aws_credentials_provider *aws_credentials_env_new(void) BERTH_NODISCARD;
