// SPDX-License-Identifier: Apache-2.0
/*
 * What the two plain HTTP listeners answer: /healthz and /readyz on one, /metrics on the other.
 * Readiness says that this process does its work; AWS being away changes neither.
 */
#pragma once

#include "web/server.h"

#include <pthread.h>
#include <stdbool.h>

struct controller;
struct metrics;
struct webhook;

struct probes {
    struct metrics *metrics;
    pthread_mutex_t mutex; /* held while the controller is asked, so that it lives so long */
    struct controller *controller;
    struct webhook *webhook; /* NULL: none */
    bool is_stopping;
};

void probes_init(struct probes *p, struct metrics *m);
void probes_fini(struct probes *p);
/* From now on readiness is what these say (w may be NULL). Before: "starting". */
void probes_set_controller(struct probes *p, struct controller *c, struct webhook *w);
/* From now on: not ready. When it returns nobody asks the controller any more. */
void probes_set_stopping(struct probes *p);

/* web_handler of the health listener: arg is the struct probes. */
void probes_health(void *arg, const struct web_request *rq, struct web_response *rs);
/* web_handler of the metrics listener. */
void probes_metrics(void *arg, const struct web_request *rq, struct web_response *rs);
