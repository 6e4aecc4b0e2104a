// SPDX-License-Identifier: Apache-2.0
/*
 * Counters, gauges and histograms, rendered as Prometheus text (version 0.0.4).
 *
 * A family is declared once at start with its label names; a series of it is named by label values
 * in the same order. Label values are copied; a family has at most METRICS_SERIES_MAX series and
 * counts further ones in one series whose values are "other". Names and help follow Prometheus'
 * rules (base units, _total). Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"

#include <stdint.h>

enum { METRICS_SERIES_MAX = 5000, METRICS_LABELS_MAX = 6 };

struct metrics;
struct metric_family;

struct metrics *metrics_new(void) BERTH_NODISCARD;
struct metrics *metrics_free(struct metrics *m);

/* labels: names separated by commas ("operation,outcome"), "" for none. The family lives as long
 * as m. Declaring a name again returns the same family. */
struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help,
                                      const char *labels);
struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help,
                                    const char *labels);
/* buckets: ascending upper bounds, count of them; +Inf is added. */
struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help,
                                        const char *labels, const double *buckets, size_t count);

/* values: as many C strings as the family has labels (NULL where it has none). f may be NULL
 * (does nothing), so that a library works without metrics. */
void metric_add(struct metric_family *f, const char *const *values, double amount);
void metric_set(struct metric_family *f, const char *const *values, double value);
void metric_observe(struct metric_family *f, const char *const *values, double value);
/* Removes the series with these values (an object that is gone). */
void metric_remove(struct metric_family *f, const char *const *values);

/* Appends all families, sorted by name. */
void metrics_render(struct metrics *m, struct buf *out);
