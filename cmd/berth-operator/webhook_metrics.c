// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the webhook's server, read from it at each scrape.
 */
#include "webhook_metrics.h"

#include "web/server.h"

static void collect(void *arg, struct metrics_scrape *s)
{
    const struct webhook_metrics *w = arg;
    const struct web_counts n = web_server_counts(w->server);
    metric_emit(s, w->connections, NULL, n.connections);
    metric_emit(s, w->max_connections, NULL, w->connections_limit);
    metric_emit(s, w->in_flight, NULL, n.calls);
    metric_emit(s, w->queued, NULL, n.queued);
    metric_emit(s, w->body_bytes, NULL, (double)n.body_bytes);
    metric_emit(s, w->answered, NULL, (double)n.answered);
    metric_emit(s, w->refused, (const char *const[]){"bytes"}, (double)n.refused_bytes);
    metric_emit(s, w->refused, (const char *const[]){"queue"}, (double)n.refused_queue);
    metric_emit(s, w->timed_out, NULL, (double)n.timed_out);
    metric_emit(s, w->dropped, NULL, (double)n.dropped);
    metric_emit(s, w->failed_handshakes, NULL, (double)n.failed_handshakes);
}

static struct metric_family *gauge(struct metrics *m, const char *name, const char *help)
{
    return metrics_collected(m, METRIC_GAUGE, name, help, "");
}

static struct metric_family *counter(struct metrics *m, const char *name, const char *help,
                                     const char *labels)
{
    return metrics_collected(m, METRIC_COUNTER, name, help, labels);
}

void webhook_metrics_start(struct webhook_metrics *w, struct metrics *m, struct web_server *server,
                           int connections_limit)
{
    *w = (struct webhook_metrics){
        .metrics = m,
        .server = server,
        .connections_limit = connections_limit,
        .connections = gauge(m, "berth_webhook_connections",
                             "Open connections, those in the TLS handshake included."),
        .max_connections =
            gauge(m, "berth_webhook_max_connections", "Connections that are served at a time."),
        .in_flight = gauge(m, "berth_webhook_requests_in_flight",
                           "Requests from their headers to the end of their answer."),
        .queued = gauge(m, "berth_webhook_requests_queued", "Requests that wait for a worker."),
        .body_bytes = gauge(m, "berth_webhook_request_body_bytes",
                            "Memory that the bodies of requests take at this moment."),
        .answered = counter(m, "berth_webhook_requests_answered_total",
                            "Requests that were answered, whatever the answer.", ""),
        .refused = counter(m, "berth_webhook_requests_refused_total",
                           "Requests refused with 503 because too much was under way.", "cause"),
        .timed_out = counter(m, "berth_webhook_requests_timed_out_total",
                             "Requests whose body or answer did not come in time.", ""),
        .dropped = counter(m, "berth_webhook_answers_dropped_total",
                           "Answers that nobody waited for any more.", ""),
        .failed_handshakes = counter(m, "berth_webhook_failed_handshakes_total",
                                     "Connections that ended before TLS was set up.", ""),
    };
    metrics_collect(m, collect, w);
}

void webhook_metrics_stop(struct webhook_metrics *w)
{
    if (w->server == NULL)
        return;
    metrics_collect_end(w->metrics, w);
    w->server = NULL;
}
