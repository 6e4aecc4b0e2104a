// SPDX-License-Identifier: Apache-2.0
/*
 * The controller's metrics: what they are is declared in measure.c and nowhere else, what of them
 * is collected at a scrape in measure_collect.c. docs/reference/metrics.md is for people.
 */
#pragma once

#include "base/metrics.h"
#include "reconcile_priv.h"

/* Objects with series of their own. 5,000 with the longest names are 11 MB of text. */
enum { MEASURED_OBJECTS_MAX = 5000 };

enum measured_kind { MEASURED_SETTINGS, MEASURED_TEMPLATES };
enum { MEASURED_KINDS = 2 };

struct measures {
    struct controller *c;
    struct metrics *metrics; /* NULL: nothing is measured */
    /* passes */
    struct metric_family *passes, *errors, *terminal_errors, *pass_seconds, *active_workers;
    /* drift and time to Ready */
    struct metric_family *drift_detected, *drift_corrected, *ready_seconds;
    /* collected, of objects */
    struct metric_family *resources, *condition, *left_out;
    /* collected, of registries */
    struct metric_family *snapshot_age, *snapshot_items, *snapshot_interval, *snapshot_success;
    struct metric_family *rate, *rate_max, *expiration;

    pthread_mutex_t mutex;
    struct map *readiness; /* "kind/name" -> struct readiness; under the mutex */
};

/* metrics_collector; arg is the struct measures. */
void measures_collect(void *arg, struct metrics_scrape *s);

/* The label of a kind: its name in the API. */
const char *measured_kind_name(enum measured_kind kind);
