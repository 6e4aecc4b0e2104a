// SPDX-License-Identifier: Apache-2.0
/*
 * What metrics.c keeps and metrics_text.c writes: families and their series.
 */
#pragma once

#include "base/metrics.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct series {
    char *key; /* label values, each with its NUL */
    size_t key_len;
    double value;    /* of a histogram: the sum */
    uint64_t count;  /* of a histogram */
    uint64_t *found; /* of a histogram: observations in each bucket, not cumulated */
};

struct metric_family {
    struct metrics *owner;
    size_t number; /* in the order of declaration */
    char *name;
    char *help;
    enum metric_type type;
    bool is_collected;
    char *label_text; /* the names; labels point into it */
    struct str labels[METRICS_LABELS_MAX];
    size_t label_count;
    double *buckets;
    size_t bucket_count;
    struct map *series; /* of a stored one, under the mutex of its owner */
};

/* HELP and TYPE. */
void metrics_text_head(struct buf *out, const struct metric_family *f);
/* The lines of one series. */
void metrics_text_series(struct buf *out, const struct metric_family *f, const struct series *s);
/* The line of a counter or gauge that is not stored. */
void metrics_text_value(struct buf *out, const struct metric_family *f, const char *const *values,
                        double value);
