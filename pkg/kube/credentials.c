// SPDX-License-Identifier: Apache-2.0
/*
 * The credentials of a client as they are now; see credentials_priv.h.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "credentials_priv.h"
#include "crypto/crypto.h"
#include "kube/config.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* A file as it was when it was read: rotation replaces the file or a link on the way to it. */
struct file_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
    int64_t read_mono_ms;
    bool was_read;
};

struct kube_cred {
    atomic_uint refs;
    struct secret *authorization; /* "Bearer …" or NULL */
    char *ca_pem;                 /* NULL: none */
    char *client_cert_pem;
    struct secret *client_key_pem;
    uint64_t tls_generation;
    int64_t expires_unix_ms; /* 0: does not say */
    bool has_plugin_certificate;
    struct file_mark token_mark, ca_mark, cert_mark, key_mark;
};

struct kube_credentials {
    const struct kube_config *config;
    const struct clock *clock;
    pthread_mutex_t mutex;
    pthread_cond_t refreshed;
    struct kube_cred *current; /* NULL: none yet */
    bool is_refused;           /* current is not to be used again */
    bool is_refreshing;        /* one thread at a time */
    uint64_t refreshes;        /* that have ended, well or not */
    struct err last;           /* of the last one; clear where it went well */
    uint64_t tls_generation;   /* of the refreshing thread */
};

struct kube_cred_view kube_cred_view(const struct kube_cred *c)
{
    return (struct kube_cred_view){
        .authorization = c->authorization ? secret_reveal(c->authorization) : STR_NULL,
        .ca_pem = str_from(c->ca_pem),
        .client_cert_pem = str_from(c->client_cert_pem),
        .client_key_pem = c->client_key_pem ? secret_reveal(c->client_key_pem) : STR_NULL,
        .tls_generation = c->tls_generation,
    };
}

struct kube_cred *kube_cred_unref(struct kube_cred *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    c->authorization = secret_free(c->authorization);
    c->client_key_pem = secret_free(c->client_key_pem);
    c->ca_pem = mem_free(c->ca_pem);
    c->client_cert_pem = mem_free(c->client_cert_pem);
    return mem_free(c);
}

static struct kube_cred *cred_ref(struct kube_cred *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static char *str_dup_or_null(struct str s)
{
    return str_is_null(s) ? NULL : mem_dup(s.ptr, s.len);
}

struct kube_credentials *kube_credentials_new(const struct kube_config *config,
                                              const struct clock *clock)
{
    struct kube_credentials *s = mem_alloc(sizeof(*s));
    s->config = config;
    s->clock = clock;
    (void)pthread_mutex_init(&s->mutex, NULL);
    thread_cond_init(&s->refreshed);
    return s;
}

struct kube_credentials *kube_credentials_free(struct kube_credentials *s)
{
    if (s == NULL)
        return NULL;
    kube_cred_unref(s->current);
    (void)pthread_cond_destroy(&s->refreshed);
    (void)pthread_mutex_destroy(&s->mutex);
    return mem_free(s);
}

static bool file_has_changed(const char *path, const struct file_mark *m, int64_t now_mono_ms)
{
    struct stat st;
    if (!m->was_read || now_mono_ms - m->read_mono_ms >= CREDENTIALS_FILE_TTL_MS)
        return true;
    if (stat(path, &st) != 0)
        return false; /* keep what we have; the minute will tell */
    return st.st_dev != m->dev || st.st_ino != m->ino || st.st_size != m->size ||
           st.st_mtim.tv_sec != m->mtime.tv_sec || st.st_mtim.tv_nsec != m->mtime.tv_nsec;
}

/* The mark is taken before the file is read: a change in between is seen the next time. */
static bool file_load(const char *path, struct file_mark *m, int64_t now_mono_ms, struct buf *out,
                      struct err *e)
{
    struct stat st;
    *m = (struct file_mark){.read_mono_ms = now_mono_ms, .was_read = true};
    if (stat(path, &st) == 0) {
        m->dev = st.st_dev;
        m->ino = st.st_ino;
        m->size = st.st_size;
        m->mtime = st.st_mtim;
    }
    return file_read(path, out, e);
}

/* A token becomes a header: what would break the header is refused. */
static struct secret *bearer(struct str token)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_TOKEN_MAX_BYTES + 16);
    token = str_trim(token);
    for (size_t i = 0; i < token.len; i++)
        if ((unsigned char)token.ptr[i] <= 0x20 || token.ptr[i] == 0x7f)
            return NULL;
    if (token.len == 0 || token.len > KUBE_TOKEN_MAX_BYTES)
        return NULL;
    buf_append(&text, STR("Bearer "));
    buf_append(&text, token);
    struct secret *s = secret_new(buf_str(&text));
    crypto_wipe(text.ptr, text.len);
    return s;
}

static bool load_token_file(struct kube_credentials *s, const struct kube_cred *old,
                            struct kube_cred *c, struct err *e)
{
    const struct kube_config *cfg = s->config;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_TOKEN_MAX_BYTES);
    struct err why = ERR_INIT;
    int64_t now_mono_ms = clock_mono_ms(s->clock);
    bool is_read = file_load(cfg->token_file.ptr, &c->token_mark, now_mono_ms, &text, &why);
    if (is_read)
        c->authorization = bearer(buf_str(&text));
    if (text.ptr)
        crypto_wipe(text.ptr, text.len);
    if (c->authorization)
        return true;
    /* while it cannot be read, what was read last (or the token beside it) serves on */
    c->token_mark.was_read = false;
    if (old && old->authorization)
        c->authorization = secret_new(secret_reveal(old->authorization));
    else if (cfg->token)
        c->authorization = bearer(secret_reveal(cfg->token));
    if (c->authorization)
        return true;
    return err_set(e, ERR_CREDENTIALS, "TokenFile", "token file %s: %s", cfg->token_file.ptr,
                   is_read ? "does not hold a token" : why.msg);
}

static bool load_exec(struct kube_credentials *s, struct kube_cred *c, struct err *e)
{
    struct exec_credential x BERTH_CLEANUP(kube_exec_credential_fini) = {0};
    if (!kube_exec_run(s->config->exec, &x, e))
        return false;
    c->expires_unix_ms = x.expires_unix_ms;
    if (x.token)
        c->authorization = bearer(secret_reveal(x.token));
    if (x.token && !c->authorization)
        return err_set(e, ERR_CREDENTIALS, "PluginAnswer",
                       "credential plug-in %s gave a token that cannot be sent in a header",
                       s->config->exec->command);
    if (x.client_cert_pem) {
        c->has_plugin_certificate = true;
        c->client_cert_pem = TAKE(x.client_cert_pem);
        c->client_key_pem = TAKE(x.client_key_pem);
    }
    return true;
}

/* The content of a file into text; where there is none or it cannot be read, what we have. */
static struct str load_pem(const struct kube_credentials *s, struct str path, struct file_mark *m,
                           struct str have, struct buf *text)
{
    struct err ignored = ERR_INIT;
    if (str_is_null(path) || !file_load(path.ptr, m, clock_mono_ms(s->clock), text, &ignored) ||
        str_is_empty(buf_str(text)))
        return have;
    return buf_str(text);
}

static void load_ca(struct kube_credentials *s, const struct kube_cred *old, struct kube_cred *c)
{
    const struct kube_config *cfg = s->config;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_PEM_MAX_BYTES);
    struct str have = old ? str_from(old->ca_pem) : cfg->ca_pem;
    c->ca_pem = str_dup_or_null(load_pem(s, cfg->ca_file, &c->ca_mark, have, &text));
}

/* Certificate and key are two files: read between the two writes of a rotation they do not belong
 * together, the next connection fails, and the call after that reads both again. */
static void load_certificate(struct kube_credentials *s, const struct kube_cred *old,
                             struct kube_cred *c)
{
    const struct kube_config *cfg = s->config;
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_PEM_MAX_BYTES);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_PEM_MAX_BYTES);
    bool has_old = old && old->client_key_pem && !old->has_plugin_certificate;
    struct str have_cert = has_old ? str_from(old->client_cert_pem) : cfg->client_cert_pem;
    struct str have_key = secret_reveal(has_old ? old->client_key_pem : cfg->client_key_pem);
    c->client_cert_pem =
        str_dup_or_null(load_pem(s, cfg->client_cert_file, &c->cert_mark, have_cert, &cert));
    c->client_key_pem = secret_new(load_pem(s, cfg->client_key_file, &c->key_mark, have_key, &key));
    if (key.ptr)
        crypto_wipe(key.ptr, key.len);
}

static bool same_text(const char *a, const char *b)
{
    return str_eq(str_from(a), str_from(b));
}

/* What the plug-in said still serves: only a file has changed. */
static void keep_exec(const struct kube_cred *old, struct kube_cred *c)
{
    c->expires_unix_ms = old->expires_unix_ms;
    if (old->authorization)
        c->authorization = secret_new(secret_reveal(old->authorization));
    if (old->has_plugin_certificate) {
        c->has_plugin_certificate = true;
        c->client_cert_pem = str_dup_or_null(str_from(old->client_cert_pem));
        c->client_key_pem = secret_new(secret_reveal(old->client_key_pem));
    }
}

static bool load(struct kube_credentials *s, const struct kube_cred *old, bool must_ask,
                 struct kube_cred *c, struct err *e)
{
    const struct kube_config *cfg = s->config;
    load_ca(s, old, c);
    if (!str_is_null(cfg->token_file)) {
        if (!load_token_file(s, old, c, e))
            return false;
    } else if (cfg->token) {
        c->authorization = bearer(secret_reveal(cfg->token));
        if (!c->authorization)
            return err_set(e, ERR_CREDENTIALS, "Token",
                           "the token of the kubeconfig cannot be sent in a header");
    } else if (cfg->exec && !must_ask) {
        keep_exec(old, c);
    } else if (cfg->exec && !load_exec(s, c, e)) {
        return false;
    }
    if (!c->client_cert_pem && cfg->client_key_pem)
        load_certificate(s, old, c);
    bool is_same_tls = old && same_text(old->ca_pem, c->ca_pem) &&
                       same_text(old->client_cert_pem, c->client_cert_pem) &&
                       str_eq(kube_cred_view(old).client_key_pem, kube_cred_view(c).client_key_pem);
    if (!is_same_tls)
        s->tls_generation++;
    c->tls_generation = s->tls_generation;
    return true;
}

static bool uses_plugin(const struct kube_config *cfg)
{
    return cfg->exec && !cfg->token && str_is_null(cfg->token_file);
}

static bool has_expired(const struct kube_credentials *s, const struct kube_cred *c)
{
    return c->expires_unix_ms > 0 && clock_unix_ms(s->clock) >= c->expires_unix_ms;
}

static bool is_file_stale(const struct kube_credentials *s, struct str path,
                          const struct file_mark *m)
{
    return !str_is_null(path) && file_has_changed(path.ptr, m, clock_mono_ms(s->clock));
}

/* STALE: a better one may be had, but this one still serves. */
enum freshness { FRESH, STALE, UNUSABLE };

static enum freshness judge(const struct kube_credentials *s, const struct kube_cred *c)
{
    const struct kube_config *cfg = s->config;
    if (c == NULL)
        return UNUSABLE;
    if (uses_plugin(cfg) && has_expired(s, c))
        return UNUSABLE;
    bool is_stale =
        is_file_stale(s, cfg->token_file, &c->token_mark) ||
        is_file_stale(s, cfg->ca_file, &c->ca_mark) ||
        (!c->has_plugin_certificate && (is_file_stale(s, cfg->client_cert_file, &c->cert_mark) ||
                                        is_file_stale(s, cfg->client_key_file, &c->key_mark)));
    return is_stale ? STALE : FRESH;
}

/* The mutex is held on entry and on return, not while the work is done. */
static bool refresh_locked(struct kube_credentials *s, struct err *e)
{
    struct kube_cred *next = mem_alloc(sizeof(*next));
    struct kube_cred *old = s->current; /* stays: only the refreshing thread replaces it */
    struct err why = ERR_INIT;
    bool must_ask = old == NULL || s->is_refused || has_expired(s, old);
    atomic_init(&next->refs, 1);
    s->is_refreshing = true;
    (void)pthread_mutex_unlock(&s->mutex);
    bool is_loaded = load(s, old, must_ask, next, &why);
    (void)pthread_mutex_lock(&s->mutex);
    s->is_refreshing = false;
    s->refreshes++;
    s->last = why;
    (void)pthread_cond_broadcast(&s->refreshed);
    if (!is_loaded) {
        kube_cred_unref(next);
        *e = why;
        return false;
    }
    s->is_refused = false;
    s->current = next;
    kube_cred_unref(old);
    return true;
}

/* Another thread refreshes: its result is ours, so that a plug-in that fails is not run again by
 * each who waits for it. */
static bool wait_locked(struct kube_credentials *s, struct err *e)
{
    uint64_t before = s->refreshes;
    while (s->refreshes == before)
        (void)thread_cond_wait_ms(&s->refreshed, &s->mutex, EXEC_TIMEOUT_MS);
    if (!err_is_set(&s->last))
        return true;
    *e = s->last;
    return false;
}

bool kube_credentials_get(struct kube_credentials *s, struct kube_cred **ret, struct err *e)
{
    bool is_fine = true;
    *ret = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    struct kube_cred *seen BERTH_CLEANUP(kube_cred_unrefp) =
        s->current ? cred_ref(s->current) : NULL;
    (void)pthread_mutex_unlock(&s->mutex);
    enum freshness state = judge(s, seen); /* looks at files: not under the mutex */
    (void)pthread_mutex_lock(&s->mutex);
    if (s->current != seen)
        state = FRESH; /* somebody else was quicker */
    else if (s->is_refused)
        state = UNUSABLE;
    if (s->is_refreshing)
        is_fine = state != UNUSABLE || wait_locked(s, e);
    else if (state != FRESH)
        is_fine = refresh_locked(s, e);
    if (is_fine)
        *ret = cred_ref(s->current);
    (void)pthread_mutex_unlock(&s->mutex);
    return is_fine;
}

bool kube_credentials_refused(struct kube_credentials *s, const struct kube_cred *used)
{
    const struct kube_config *cfg = s->config;
    (void)pthread_mutex_lock(&s->mutex);
    bool is_other = s->current != used;
    bool can_refresh = uses_plugin(cfg) || !str_is_null(cfg->token_file);
    if (!is_other && can_refresh)
        s->is_refused = true;
    (void)pthread_mutex_unlock(&s->mutex);
    return is_other || can_refresh;
}
