// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the webhook's server: berth_webhook_*, what it counts (web/server.h) as Prometheus
 * has it. What its requests were answered is counted by admission and ensure.
 */
#pragma once

#include "base/metrics.h"

struct web_server;

struct webhook_metrics {
    struct metrics *metrics;
    struct web_server *server;
    struct metric_family *connections, *max_connections, *in_flight, *queued, *body_bytes;
    struct metric_family *answered, *refused, *timed_out, *dropped, *failed_handshakes;
    int connections_limit;
};

/* Declares them, and emits them at each scrape of m until webhook_metrics_stop(). The server
 * outlives that; connections_limit: how many it takes at a time. */
void webhook_metrics_start(struct webhook_metrics *w, struct metrics *m, struct web_server *server,
                           int connections_limit);
/* Idempotent; not from a scrape. */
void webhook_metrics_stop(struct webhook_metrics *w);
