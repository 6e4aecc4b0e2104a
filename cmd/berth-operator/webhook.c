// SPDX-License-Identifier: Apache-2.0
/*
 * Wiring of the webhook.
 */
#include "webhook.h"

#include "admission/admission.h"
#include "admission/webhooks.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "certs/certs.h"
#include "ensure/ensure.h"
#include "kube/client.h"
#include "kube/events.h"
#include "reconcile/controller.h"
#include "registry/directory.h"
#include "web/server.h"
#include "web/tls.h"
#include "webhook_metrics.h"

#include <pthread.h>

/* The Service of the chart and of manifests/: what the API server calls the webhook by. */
#define SERVICE_NAME "berth-webhook"

enum {
    /* A request that waits for ECR holds its connection, HTTP/1.1 being what the API server speaks
     * here: what is parked must leave room, or the next request waits outside and is never told
     * "Overloaded". API servers keep up to 25 open each, idle. */
    MAX_CONNECTIONS = 2 * ENSURE_PARKED_MAX,
    CALL_TIMEOUT_MS = 30 * 1000,
    /* Nearly all reviews: deciding one of 5 kB takes some 15 us, and handing it to a worker and
     * back about as much. Bigger ones go to the workers, so that small ones never wait behind them.
     */
    INLINE_BYTES = 16 * 1024,
    NAMES_MAX = 3
};

struct webhook {
    struct webhook_options o;
    struct arena arena;
    struct directory *directory;
    struct ensure *ensure;
    struct admission_kinds *kinds;
    struct admission *admission;
    struct web_tls *tls;
    struct certs *certs;
    struct web_server *server;
    struct webhook_metrics server_metrics;
    pthread_mutex_t mutex; /* held while the controller is told, so that it lives so long; and the
                              certificates, while they are set and asked by it */
    struct controller *controller; /* of events */
    struct stopper never;          /* waits are for their whole time */
    int64_t drain_until_mono_ms;
    bool is_serving;
};

static void on_news(void *arg, const struct ensure_news *news)
{
    struct webhook *w = arg;
    if (str_is_null(news->template_object))
        return;
    (void)pthread_mutex_lock(&w->mutex);
    if (w->controller != NULL)
        controller_template_event(w->controller, news->template_object, news->is_failure,
                                  news->reason, "Admission", news->message);
    (void)pthread_mutex_unlock(&w->mutex);
}

static void set_controller(struct webhook *w, struct controller *c)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->controller = c;
    (void)pthread_mutex_unlock(&w->mutex);
}

static void start_engine(struct webhook *w)
{
    const struct config_admission *c = &w->o.config->admission;
    const struct ensure_options ensure = {
        .directory = w->directory,
        .clock = clock_system(),
        .log = w->o.log,
        .metrics = w->o.metrics,
        .choice = c->choice,
        .allowed_prefixes = c->allowed_prefixes.items,
        .allowed_prefix_count = c->allowed_prefixes.count,
        .on_news = on_news,
        .arg = w,
    };
    w->ensure = ensure_start(&ensure);
    const struct admission_options admission = {
        .directory = w->directory,
        .ensure = w->ensure,
        .clock = clock_system(),
        .log = w->o.log,
        .metrics = w->o.metrics,
        .kinds = w->kinds,
        .unmanaged_registries = c->unmanaged_registries,
        .choice = c->choice,
    };
    w->admission = admission_new(&admission);
}

static bool listen_on(struct webhook *w, struct err *e)
{
    static const char *const paths[] = {"/validate", NULL};
    const struct config_webhook *c = &w->o.config->webhook;
    const struct web_options o = {
        .listen = c->address,
        .name = "webhook",
        .max_connections = MAX_CONNECTIONS,
        .log = w->o.log,
        .tls = w->tls,
        .call_handler = admission_handle,
        .call_arg = w->admission,
        .call_paths = paths,
        .workers = c->workers,
        .inline_bytes = INLINE_BYTES,
        .call_timeout_ms = CALL_TIMEOUT_MS,
    };
    if (!web_server_new(&o, &w->server, e))
        return false;
    admission_set_server(w->admission, w->server);
    webhook_metrics_start(&w->server_metrics, w->o.metrics, w->server, MAX_CONNECTIONS);
    return true;
}

bool webhook_new(const struct webhook_options *o, struct webhook **ret, struct err *e)
{
    struct webhook *w = mem_alloc(sizeof *w);
    w->o = *o;
    (void)pthread_mutex_init(&w->mutex, NULL);
    stopper_init(&w->never);
    w->directory = directory_new();
    w->tls = web_tls_new();
    const struct schema_list *kinds = &o->config->admission.kinds;
    if (admission_kinds_new(kinds->items, kinds->count, &w->kinds, e)) {
        start_engine(w);
        if (listen_on(w, e)) {
            *ret = w;
            return true;
        }
    }
    *ret = webhook_free(w);
    return false;
}

struct directory *webhook_directory(struct webhook *w)
{
    return w->directory;
}

struct ensure *webhook_ensure(struct webhook *w)
{
    return w->ensure;
}

static bool start_certs(struct webhook *w, struct err *e)
{
    const struct config_webhook *c = &w->o.config->webhook;
    const char *namespace = w->o.namespace;
    const struct str service[NAMES_MAX] = {
        arena_printf(&w->arena, SERVICE_NAME ".%s.svc", namespace),
        arena_printf(&w->arena, SERVICE_NAME ".%s.svc.cluster.local", namespace),
        arena_printf(&w->arena, SERVICE_NAME ".%s", namespace),
    };
    const bool has_names = c->dns_names.count > 0;
    const struct certs_options o = {
        .mode = c->certs_mode,
        .kube = w->o.kube,
        .tls = w->tls,
        .clock = clock_system(),
        .log = w->o.log,
        .metrics = w->o.metrics,
        .namespace = namespace,
        .secret = c->secret.ptr,
        .directory = c->directory.ptr,
        .webhook = c->configuration.len > 0 ? c->configuration.ptr : NULL,
        .dns_names = has_names ? c->dns_names.items : service,
        .dns_name_count = has_names ? c->dns_names.count : NAMES_MAX,
        .ca_lifetime_ms = c->ca_lifetime_ms,
        .leaf_lifetime_ms = c->leaf_lifetime_ms,
        .instance = w->o.instance,
    };
    struct certs *certs = NULL;
    if (!certs_start(&o, &certs, e))
        return false;
    (void)pthread_mutex_lock(&w->mutex);
    w->certs = certs;
    (void)pthread_mutex_unlock(&w->mutex);
    return true;
}

struct question {
    struct str host;
    bool is_asked_about;
};

static void answer_question(void *arg, const struct json *live)
{
    struct question *q = arg;
    q->is_asked_about = webhooks_ask_about(live, q->host);
}

bool webhook_is_host_admitted(void *arg, struct str host)
{
    struct webhook *w = arg;
    struct question q = {host, true};
    /* the controller runs before the certificates do */
    (void)pthread_mutex_lock(&w->mutex);
    if (w->certs != NULL)
        (void)certs_look_at_live(w->certs, answer_question, &q);
    (void)pthread_mutex_unlock(&w->mutex);
    return q.is_asked_about;
}

bool webhook_start(struct webhook *w, struct controller *c, struct err *e)
{
    set_controller(w, c);
    if (!start_certs(w, e))
        return false;
    web_server_start(w->server);
    w->is_serving = true;
    log_info(w->o.log, "serving", KV_CSTR("what", "webhook"),
             KV_CSTR("address", web_server_address(w->server)));
    return true;
}

const char *webhook_why_not_ready(struct webhook *w)
{
    const char *why = NULL;
    return certs_is_ready(w->certs, &why) ? NULL : why;
}

void webhook_begin_drain(struct webhook *w)
{
    if (!w->is_serving)
        return;
    /* who was never trusted was never called: nobody has to learn that it goes */
    const int64_t drain_ms = certs_is_ready(w->certs, NULL) ? w->o.config->webhook.drain_ms : 0;
    w->drain_until_mono_ms = clock_mono_ms(clock_system()) + drain_ms;
    web_server_drain(w->server);
}

int64_t webhook_drain_limit_ms(const struct webhook *w)
{
    return w->o.config->webhook.drain_ms + WEBHOOK_FINISH_MS + WEBHOOK_SLACK_MS;
}

void webhook_drain(struct webhook *w)
{
    if (w->is_serving) {
        const int64_t left_ms = w->drain_until_mono_ms - clock_mono_ms(clock_system());
        (void)stopper_wait_ms(&w->never, left_ms > 0 ? left_ms : 0);
        if (!web_server_finish(w->server, WEBHOOK_FINISH_MS))
            log_warn(w->o.log, "admission requests were cut", KV_CSTR("what", "webhook"));
    }
    set_controller(w, NULL);
}

void webhook_stop_engine(struct webhook *w)
{
    w->ensure = ensure_stop(w->ensure);
}

struct webhook *webhook_free(struct webhook *w)
{
    if (w == NULL)
        return NULL;
    w->certs = certs_stop(w->certs);
    /* the server was told to finish: what is answered now is dropped by it */
    w->ensure = ensure_stop(w->ensure);
    webhook_metrics_stop(&w->server_metrics);
    w->server = web_server_stop(w->server);
    w->admission = admission_free(w->admission);
    w->kinds = admission_kinds_free(w->kinds);
    w->directory = directory_free(w->directory);
    w->tls = web_tls_free(w->tls);
    stopper_fini(&w->never);
    (void)pthread_mutex_destroy(&w->mutex);
    arena_fini(&w->arena);
    return mem_free(w);
}
