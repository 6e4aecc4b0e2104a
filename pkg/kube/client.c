// SPDX-License-Identifier: Apache-2.0
/*
 * Authenticated exchanges: which transport (it changes with certificates), which credentials, and
 * the one retry after a 401. What is asked and what an answer means is request.c and status.c.
 */
#include "kube/client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "client_priv.h"
#include "credentials_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "kube/config.h"
#include "status_priv.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ATTEMPTS = 2, OWN_HEADERS_MAX = 4, HEADERS_MAX = OWN_HEADERS_MAX + 40 };

/* Connections made with one set of TLS material; replaced when that changes, freed by the last
 * call that uses it. */
struct transport {
    atomic_uint refs;
    uint64_t tls_generation;
    struct http_client *http;
};

struct kube_client {
    const struct kube_config *config;
    const struct clock *clock;
    const struct http_client *seam; /* NULL: transports of our own */
    char *user_agent;
    char *host; /* of the metric */
    struct metric_family *requests;
    struct kube_credentials *credentials;
    atomic_bool is_stopped;
    pthread_mutex_t mutex;
    struct transport *transport; /* NULL with a seam */
};

static struct transport *transport_unref(struct transport *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    http_client_free(t->http);
    return mem_free(t);
}
BERTH_DEFINE_CLEANUP(struct transport *, transport_unref);

static bool transport_new(const struct kube_client *c, const struct kube_cred_view *cred,
                          struct transport **ret, struct err *e)
{
    const struct kube_config *cfg = c->config;
    struct http_options o = {
        .ca_pem = cred->ca_pem,
        .client_cert_pem = cred->client_cert_pem,
        .client_key_pem = cred->client_key_pem,
        .tls_server_name = cfg->tls_server_name.ptr,
        .proxy_url = cfg->proxy_url.ptr,
        .user_agent = c->user_agent,
        .is_insecure = cfg->is_insecure,
    };
    struct http_client *http = NULL;
    if (!http_client_new(&o, &http, e))
        return err_wrap(e, "TLS settings for %s (%s)", cfg->server.ptr, cfg->source.ptr);
    struct transport *t = mem_alloc(sizeof(*t));
    atomic_init(&t->refs, 1);
    t->tls_generation = cred->tls_generation;
    t->http = http;
    *ret = t;
    return true;
}

/* The transport for these credentials, with a reference. */
static bool transport_get(struct kube_client *c, const struct kube_cred_view *cred,
                          struct transport **ret, struct err *e)
{
    bool is_fine = true;
    *ret = NULL;
    (void)pthread_mutex_lock(&c->mutex);
    /* no I/O: making one only copies and checks the settings */
    if (c->transport == NULL || c->transport->tls_generation < cred->tls_generation) {
        struct transport *next = NULL;
        is_fine = transport_new(c, cred, &next, e);
        if (is_fine) {
            transport_unref(c->transport);
            c->transport = next;
        }
    }
    if (is_fine) {
        atomic_fetch_add_explicit(&c->transport->refs, 1, memory_order_relaxed);
        *ret = c->transport;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return is_fine;
}

static char *host_of(struct str server)
{
    struct str rest = server, authority, path;
    ptrdiff_t colon = str_index(server, ':');
    if (colon >= 0 && str_starts_with(str_from_offset(server, (size_t)colon), STR("://")))
        rest = str_from_offset(server, (size_t)colon + 3);
    str_cut(rest, '/', &authority, &path);
    return mem_dup(authority.ptr ? authority.ptr : "", authority.len);
}

bool kube_client_new(const struct kube_client_options *o, struct kube_client **ret, struct err *e)
{
    *ret = NULL;
    struct kube_client *c BERTH_CLEANUP(kube_client_freep) = mem_alloc(sizeof(*c));
    (void)pthread_mutex_init(&c->mutex, NULL);
    atomic_init(&c->is_stopped, false);
    c->config = o->config;
    c->clock = o->clock ? o->clock : clock_system();
    c->seam = o->http;
    c->user_agent = mem_strdup(o->user_agent ? o->user_agent : "berth");
    c->host = host_of(o->config->server);
    if (o->metrics)
        c->requests =
            metrics_counter(o->metrics, "rest_client_requests_total",
                            "HTTP requests by status code, method and host.", "code,method,host");
    c->credentials = kube_credentials_new(o->config, c->clock);
    if (c->seam == NULL) { /* what is wrong with the certificates is better known at once */
        struct kube_cred_view view = {.ca_pem = o->config->ca_pem,
                                      .client_cert_pem = o->config->client_cert_pem};
        struct transport *probe BERTH_CLEANUP(transport_unrefp) = NULL;
        if (o->config->client_key_pem)
            view.client_key_pem = secret_reveal(o->config->client_key_pem);
        if (!transport_new(c, &view, &probe, e))
            return false;
    }
    *ret = TAKE(c);
    return true;
}

struct kube_client *kube_client_free(struct kube_client *c)
{
    if (c == NULL)
        return NULL;
    transport_unref(c->transport);
    kube_credentials_free(c->credentials);
    (void)pthread_mutex_destroy(&c->mutex);
    c->user_agent = mem_free(c->user_agent);
    c->host = mem_free(c->host);
    return mem_free(c);
}

void kube_client_stop(struct kube_client *c)
{
    atomic_store(&c->is_stopped, true);
}

const struct clock *kube_client_clock(const struct kube_client *c)
{
    return c->clock;
}

struct str kube_client_server(const struct kube_client *c)
{
    return c->config->server;
}

/* One attempt: what it holds while it runs. */
struct attempt {
    struct kube_cred *cred;
    struct transport *transport;
    const struct http_client *http;
    struct http_header headers[HEADERS_MAX];
    struct http_request rq;
};

static void attempt_fini(struct attempt *at)
{
    at->cred = kube_cred_unref(at->cred);
    at->transport = transport_unref(at->transport);
}

static void add_header(struct attempt *at, const char *name, struct str value)
{
    assert(at->rq.header_count < HEADERS_MAX);
    at->headers[at->rq.header_count++] = (struct http_header){str_from(name), value};
}

static bool attempt_init(struct attempt *at, struct kube_client *c, const struct client_request *rq,
                         struct err *e)
{
    const struct kube_config *cfg = c->config;
    if (atomic_load(&c->is_stopped))
        return err_set(e, ERR_CANCELLED, "Stopped", "%s: stopping", rq->what);
    if (!kube_credentials_get(c->credentials, &at->cred, e))
        return err_wrap(e, "%s", rq->what);
    struct kube_cred_view cred = kube_cred_view(at->cred);
    at->http = c->seam;
    if (c->seam == NULL) {
        if (!transport_get(c, &cred, &at->transport, e))
            return err_wrap(e, "%s", rq->what);
        at->http = at->transport->http;
    }
    at->rq = (struct http_request){.method = rq->method,
                                   .url = rq->url,
                                   .headers = at->headers,
                                   .body = rq->body,
                                   .timeout_ms = rq->timeout_ms,
                                   .max_body_bytes = rq->max_body_bytes,
                                   .cancel = rq->cancel};
    add_header(at, "Accept", STR("application/json"));
    if (!str_is_null(cred.authorization))
        add_header(at, "Authorization", cred.authorization);
    if (rq->content_type)
        add_header(at, "Content-Type", str_from(rq->content_type));
    for (size_t i = 0; i < cfg->header_count && at->rq.header_count < HEADERS_MAX; i++)
        at->headers[at->rq.header_count++] = cfg->headers[i];
    return true;
}

/* As client-go counts: the code, or "<error>" where there was no answer. */
static void count(struct kube_client *c, const char *method, int status)
{
    char code[16];
    (void)snprintf(code, sizeof(code), "%d", status);
    metric_add(c->requests, (const char *[]){status ? code : "<error>", method, c->host}, 1.0);
}

bool kube_client_send(struct kube_client *c, const struct client_request *rq, struct arena *a,
                      struct http_response *ret, struct err *e)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt at BERTH_CLEANUP(attempt_fini) = {0};
        *ret = (struct http_response){0};
        if (!attempt_init(&at, c, rq, e))
            return false;
        if (at.rq.timeout_ms == 0)
            at.rq.timeout_ms = KUBE_TIMEOUT_MS;
        if (at.rq.max_body_bytes == 0)
            at.rq.max_body_bytes = KUBE_ANSWER_MAX_BYTES;
        bool is_sent = http_send(at.http, &at.rq, a, ret, e);
        count(c, rq->method, is_sent ? ret->status : 0);
        if (!is_sent)
            return err_wrap(e, "%s", rq->what);
        if (ret->status != 401 || !kube_credentials_refused(c->credentials, at.cred))
            break;
    }
    return true;
}

struct stream {
    struct kube_client *client;
    const struct client_request *rq;
    bool (*on_data)(void *arg, struct str data);
    void *arg;
    int status;         /* 0: no answer yet */
    struct buf refusal; /* the body of an answer that is no 200 */
    struct buf retry_after;
};

static void stream_fini(struct stream *s)
{
    buf_fini(&s->refusal);
    buf_fini(&s->retry_after);
}

static bool on_response(void *arg, const struct http_response *r)
{
    struct stream *s = arg;
    s->status = r->status;
    count(s->client, s->rq->method, r->status);
    if (r->status != 200)
        buf_append(&s->retry_after, http_header_get(r, "Retry-After"));
    return true;
}

static bool on_stream_data(void *arg, struct str data)
{
    struct stream *s = arg;
    if (s->status == 200)
        return s->on_data(s->arg, data);
    buf_append(&s->refusal, data);
    return buf_ok(&s->refusal);
}

bool kube_client_stream(struct kube_client *c, const struct client_request *rq, int64_t idle_ms,
                        struct http_cancel *cancel, bool (*on_data)(void *arg, struct str data),
                        void *arg, struct err *e)
{
    static const struct http_stream_ops OPS = {on_response, on_stream_data};
    for (int i = 0;; i++) {
        struct attempt at BERTH_CLEANUP(attempt_fini) = {0};
        struct stream s BERTH_CLEANUP(stream_fini) = {
            c, rq, on_data, arg, 0, BUF_INIT(STATUS_MAX_BYTES), BUF_INIT(64)};
        if (!attempt_init(&at, c, rq, e))
            return false;
        struct err why = ERR_INIT;
        bool is_fine = at.http->stream(at.http->impl, &at.rq, idle_ms, cancel, &OPS, &s, &why);
        if (s.status == 0)
            count(c, rq->method, 0);
        if (!is_fine && (s.status == 0 || s.status == 200 || why.cls == ERR_CANCELLED)) {
            *e = why;
            return err_wrap(e, "%s", rq->what);
        }
        if (s.status == 200)
            return true;
        if (s.status == 401 && i + 1 < ATTEMPTS &&
            kube_credentials_refused(c->credentials, at.cred))
            continue;
        return kube_status_fail(s.status, buf_str(&s.refusal), buf_str(&s.retry_after), rq->what,
                                e);
    }
}
