// SPDX-License-Identifier: Apache-2.0
/*
 * The handlers of the listeners. On their loop threads; nothing here blocks.
 */
#include "probes.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/str.h"
#include "reconcile/controller.h"

void probes_init(struct probes *p, struct metrics *m)
{
    *p = (struct probes){.metrics = m, .started_unix_ms = clock_unix_ms(clock_system())};
    pthread_mutex_init(&p->mutex, NULL);
}

void probes_fini(struct probes *p)
{
    pthread_mutex_destroy(&p->mutex);
}

void probes_set_controller(struct probes *p, struct controller *c)
{
    pthread_mutex_lock(&p->mutex);
    p->controller = c;
    pthread_mutex_unlock(&p->mutex);
}

void probes_set_stopping(struct probes *p)
{
    pthread_mutex_lock(&p->mutex);
    p->is_stopping = true;
    p->controller = NULL;
    pthread_mutex_unlock(&p->mutex);
}

static void say(struct web_response *rs, int status, const char *text)
{
    rs->status = status;
    buf_append_cstr(&rs->body, text);
}

static void not_found(struct web_response *rs, const char *known)
{
    rs->status = 404;
    buf_printf(&rs->body, "not found; served here: %s\n", known);
}

/* NULL where ready. */
static const char *why_not_ready(struct probes *p)
{
    pthread_mutex_lock(&p->mutex);
    const char *why = NULL;
    if (p->is_stopping)
        why = "not ready: stopping\n";
    else if (p->controller == NULL)
        why = "not ready: starting\n";
    else if (!controller_is_synced(p->controller))
        why = "not ready: RegistrySettings and RepositoryCreationTemplate have not been listed "
              "from the API server yet; the log says why\n";
    pthread_mutex_unlock(&p->mutex);
    return why;
}

static void ready(struct probes *p, struct web_response *rs)
{
    const char *why = why_not_ready(p);
    say(rs, why != NULL ? 503 : 200, why != NULL ? why : "ok");
}

void probes_health(void *arg, const struct web_request *rq, struct web_response *rs)
{
    struct probes *p = arg;
    if (str_eq(rq->path, STR("/healthz")))
        say(rs, 200, "ok");
    else if (str_eq(rq->path, STR("/readyz")))
        ready(p, rs);
    else
        not_found(rs, "/healthz, /readyz");
}

void probes_metrics(void *arg, const struct web_request *rq, struct web_response *rs)
{
    struct probes *p = arg;
    if (!str_eq(rq->path, STR("/metrics"))) {
        not_found(rs, "/metrics");
        return;
    }
    process_metrics_update(p->metrics, p->started_unix_ms);
    rs->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(p->metrics, &rs->body);
}
