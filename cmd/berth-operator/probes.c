// SPDX-License-Identifier: Apache-2.0
/*
 * The handlers of the listeners. On their loop threads; nothing here blocks.
 */
#include "probes.h"

#include "base/metrics.h"
#include "base/str.h"
#include "reconcile/controller.h"
#include "webhook.h"

void probes_init(struct probes *p, struct metrics *m)
{
    *p = (struct probes){.metrics = m};
    pthread_mutex_init(&p->mutex, NULL);
}

void probes_fini(struct probes *p)
{
    pthread_mutex_destroy(&p->mutex);
}

void probes_set_controller(struct probes *p, struct controller *c, struct webhook *w)
{
    pthread_mutex_lock(&p->mutex);
    p->controller = c;
    p->webhook = w;
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

/* NULL where ready. *ret_hint: what to do about it; NULL: nothing is known. */
static const char *why_not_ready(struct probes *p, const char **ret_hint)
{
    pthread_mutex_lock(&p->mutex);
    const char *why = NULL;
    *ret_hint = NULL;
    if (p->is_stopping)
        why = "stopping";
    else if (p->controller == NULL)
        why = "starting";
    else if (!controller_is_synced(p->controller)) {
        why = "RegistrySettings and RepositoryCreationTemplate have not been listed from the API "
              "server yet; the log says why";
        *ret_hint = controller_sync_hint(p->controller);
    } else if (p->webhook != NULL) {
        why = webhook_why_not_ready(p->webhook);
        if (why == NULL && !controller_has_looked(p->controller))
            why = "the registries have not been read yet";
    }
    pthread_mutex_unlock(&p->mutex);
    return why;
}

static void ready(struct probes *p, struct web_response *rs)
{
    const char *hint;
    const char *why = why_not_ready(p, &hint);
    if (why == NULL) {
        say(rs, 200, "ok");
        return;
    }
    rs->status = 503;
    buf_printf(&rs->body, "not ready: %s\n%s%s", why, hint != NULL ? hint : "",
               hint != NULL ? "\n" : "");
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
    rs->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(p->metrics, &rs->body);
}
