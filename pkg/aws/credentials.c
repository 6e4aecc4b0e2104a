// SPDX-License-Identifier: Apache-2.0
/*
 * Credentials as a counted value, and the two providers that need no I/O: fixed ones, and the
 * environment.
 */
#include "aws/credentials.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct aws_credentials {
    atomic_int references;
    char *access_key_id;
    struct secret *secret_access_key;
    struct secret *session_token;
    int64_t expires_unix_ms;
    const char *source;
};

/* Visible ASCII: what may stand in a header. */
static bool is_header_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

bool aws_credentials_new(const struct aws_credentials_values *values, struct aws_credentials **ret,
                         struct err *e)
{
    const char *source = values->source != NULL ? values->source : "static";
    *ret = NULL;
    if (values->access_key_id.len == 0 || values->access_key_id.len > AWS_ACCESS_KEY_ID_MAX ||
        !is_header_text(values->access_key_id))
        return err_set(e, ERR_CREDENTIALS, "InvalidCredentials",
                       "the access key id from %s is empty, too long or has characters that none "
                       "has",
                       source);
    if (values->secret_access_key.len == 0 || values->secret_access_key.len > AWS_SECRET_KEY_MAX ||
        !is_header_text(values->secret_access_key))
        return err_set(e, ERR_CREDENTIALS, "InvalidCredentials",
                       "the secret access key from %s is empty, too long or has characters that "
                       "none has",
                       source);
    if (values->session_token.len > AWS_SESSION_TOKEN_MAX || !is_header_text(values->session_token))
        return err_set(e, ERR_CREDENTIALS, "InvalidCredentials",
                       "the session token from %s is too long or has characters that none has",
                       source);
    struct aws_credentials *c = mem_alloc(sizeof *c);
    atomic_init(&c->references, 1);
    c->access_key_id = mem_dup(values->access_key_id.ptr, values->access_key_id.len);
    c->secret_access_key = secret_new(values->secret_access_key);
    if (values->session_token.len > 0)
        c->session_token = secret_new(values->session_token);
    c->expires_unix_ms = values->expires_unix_ms;
    c->source = source;
    *ret = c;
    return true;
}

struct aws_credentials *aws_credentials_ref(struct aws_credentials *c)
{
    (void)atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

struct aws_credentials *aws_credentials_unref(struct aws_credentials *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    c->access_key_id = mem_free(c->access_key_id);
    c->secret_access_key = secret_free(c->secret_access_key);
    c->session_token = secret_free(c->session_token);
    return mem_free(c);
}

struct str aws_credentials_access_key_id(const struct aws_credentials *c)
{
    return str_from(c->access_key_id);
}

const struct secret *aws_credentials_secret_key(const struct aws_credentials *c)
{
    return c->secret_access_key;
}

const struct secret *aws_credentials_session_token(const struct aws_credentials *c)
{
    return c->session_token;
}

int64_t aws_credentials_expires_unix_ms(const struct aws_credentials *c)
{
    return c->expires_unix_ms;
}

const char *aws_credentials_source(const struct aws_credentials *c)
{
    return c->source;
}

struct aws_credentials_provider *aws_credentials_provider_free(struct aws_credentials_provider *p)
{
    if (p == NULL)
        return NULL;
    p->free(p->impl);
    return mem_free(p);
}

/* What a provider without I/O knows: credentials, or why it has none. */
struct fixed {
    struct aws_credentials *credentials;
    struct err error;
};

static bool fixed_get(void *impl, struct aws_credentials **ret_ref, struct err *e)
{
    struct fixed *f = impl;
    *ret_ref = NULL;
    if (f->credentials == NULL) {
        *e = f->error;
        return false;
    }
    *ret_ref = aws_credentials_ref(f->credentials);
    return true;
}

static void fixed_free(void *impl)
{
    struct fixed *f = impl;
    f->credentials = aws_credentials_unref(f->credentials);
    mem_free(f);
}

static struct aws_credentials_provider *fixed_new(struct aws_credentials *take_c,
                                                  const struct err *error)
{
    struct fixed *f = mem_alloc(sizeof *f);
    f->credentials = take_c;
    f->error = *error;
    struct aws_credentials_provider *p = mem_alloc(sizeof *p);
    *p = (struct aws_credentials_provider){fixed_get, fixed_free, f};
    return p;
}

struct aws_credentials_provider *aws_credentials_static_new(struct aws_credentials *take_c)
{
    return fixed_new(take_c, &ERR_INIT);
}

/* The environment variable, absent where unset or empty, as the SDKs read it. */
static struct str env(const char *name)
{
    struct str s = str_from(getenv(name)); /* NOLINT(concurrency-mt-unsafe): see the header */
    return s.len > 0 ? s : STR_NULL;
}

static bool env_read(struct aws_credentials **ret, struct err *e)
{
    struct aws_credentials_values v = {
        .access_key_id = env("AWS_ACCESS_KEY_ID"),
        .secret_access_key = env("AWS_SECRET_ACCESS_KEY"),
        .session_token = env("AWS_SESSION_TOKEN"),
        .source = "environment",
    };
    struct str expiration = env("AWS_CREDENTIAL_EXPIRATION");
    if (str_is_null(v.session_token))
        v.session_token = env("AWS_SECURITY_TOKEN");
    if (str_is_null(v.access_key_id) && str_is_null(v.secret_access_key))
        return err_set(e, ERR_CREDENTIALS, "NoCredentials",
                       "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
                       "AWS_SESSION_TOKEN for temporary ones)");
    if (str_is_null(v.access_key_id) || str_is_null(v.secret_access_key))
        return err_set(e, ERR_CREDENTIALS, "InvalidCredentials",
                       "AWS credentials are incomplete: %s is set and %s is not; set both",
                       str_is_null(v.access_key_id) ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
                       str_is_null(v.access_key_id) ? "AWS_ACCESS_KEY_ID"
                                                    : "AWS_SECRET_ACCESS_KEY");
    if (!str_is_null(expiration) && !clock_parse_rfc3339(expiration, &v.expires_unix_ms))
        return err_set(e, ERR_CREDENTIALS, "InvalidCredentials",
                       "AWS_CREDENTIAL_EXPIRATION must be a date such as 2026-01-02T03:04:05Z");
    return aws_credentials_new(&v, ret, e);
}

struct aws_credentials_provider *aws_credentials_env_new(void)
{
    struct aws_credentials *c = NULL;
    struct err e = ERR_INIT;
    bool has_credentials = env_read(&c, &e);
    assert(has_credentials == (c != NULL));
    return fixed_new(c, &e);
}
