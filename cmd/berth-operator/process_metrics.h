// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the process: berth_build_info and process_*.
 */
#pragma once

#include "base/metrics.h"

#include <stdint.h>

struct process_metrics {
    struct metrics *metrics;
    int64_t started_unix_ms;
    struct metric_family *build_info, *start_time, *cpu, *virtual_memory, *resident_memory;
    struct metric_family *open_fds, *max_fds;
};

/* Declares them, and emits them at each scrape of m until process_metrics_stop(). */
void process_metrics_start(struct process_metrics *p, struct metrics *m);
void process_metrics_stop(struct process_metrics *p);
