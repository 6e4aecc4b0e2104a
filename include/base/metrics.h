// SPDX-License-Identifier: Apache-2.0
/*
 * Counters, gauges and histograms, rendered as Prometheus text (version 0.0.4).
 *
 * A family is declared once, with its label names; a series of it is named by label values in the
 * same order. There are two kinds of families. A *stored* one keeps its series between scrapes and
 * is changed as things happen: for what happens. A *collected* one keeps nothing; its series are
 * emitted anew at each scrape by a collector that looks at the state: for what is, so that what is
 * gone has no series and nothing has to be kept up to date.
 *
 * A label value never comes from outside unless it is bounded there. As a backstop a stored family
 * has at most METRICS_SERIES_MAX series and counts further ones in one whose values are "other".
 * Names and help follow Prometheus' rules (base units, _total). Each family is declared in one
 * place of the sources, and is a row of docs/reference/metrics.md; a test compares the two.
 *
 * Any thread. Rendering holds the lock for one stored family at a time, and none while collectors
 * run: a scrape does not hold up who counts.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"

#include <stdint.h>

enum {
    METRICS_SERIES_MAX = 1000, /* of a stored family */
    METRICS_LABELS_MAX = 6,
    METRICS_COLLECTED_MAX_BYTES = 12 * 1024 * 1024 /* of one collected family, see metric_emit() */
};

struct metrics;
struct metric_family;
struct metrics_scrape;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics *metrics_new(void) BERTH_NODISCARD;
/* No collector may be left. NULL is fine; returns NULL. */
struct metrics *metrics_free(struct metrics *m);

/* labels: names separated by commas ("operation,outcome"), "" for none. The family lives as long
 * as m. Declaring a name again returns the same family. One without labels is there from the
 * start, as 0. m may be NULL (returns NULL), so that a library works without metrics. */
struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help,
                                      const char *labels);
struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help,
                                    const char *labels);
/* buckets: ascending upper bounds, count of them; +Inf is added. */
struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help,
                                        const char *labels, const double *buckets, size_t count);
/* A collected counter or gauge: metric_emit() is all that may be done with it. */
struct metric_family *metrics_collected(struct metrics *m, enum metric_type type, const char *name,
                                        const char *help, const char *labels);

/* values: as many C strings as the family has labels (NULL where it has none). f may be NULL
 * (does nothing). */
/* The series is there from now on, as 0 (or as it is): where the values that there can be are
 * known, so that the first event is seen as a change by rate(). */
void metric_begin(struct metric_family *f, const char *const *values);
void metric_add(struct metric_family *f, const char *const *values, double amount);
void metric_set(struct metric_family *f, const char *const *values, double value);
void metric_observe(struct metric_family *f, const char *const *values, double value);
/* Removes the series with these values (an object that is gone). */
void metric_remove(struct metric_family *f, const char *const *values);

/* Called at each scrape, on the thread that renders and without a lock of metrics held: may lock
 * what it reads, must not block, and must not declare families. */
typedef void metrics_collector(void *arg, struct metrics_scrape *s);
void metrics_collect(struct metrics *m, metrics_collector *fn, void *arg);
/* The collectors of this arg are not called any more: waits for a scrape that is under way. Not
 * from a collector. */
void metrics_collect_end(struct metrics *m, const void *arg);
/* One series of a collected family; the collector emits no values twice. What would make the
 * family longer than METRICS_COLLECTED_MAX_BYTES is left out: the collector's own limit comes
 * first. f may be NULL. */
void metric_emit(struct metrics_scrape *s, const struct metric_family *f, const char *const *values,
                 double value);

/* Appends all families that have series, sorted by name. */
void metrics_render(struct metrics *m, struct buf *out);
