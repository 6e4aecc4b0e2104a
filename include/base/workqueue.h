// SPDX-License-Identifier: Apache-2.0
/*
 * A queue of keys without duplicates, as client-go's workqueue: a key that is waiting is not added
 * twice, a key that is being worked on is not given to a second worker but comes again after
 * done(), and a key that failed comes back after a delay that doubles from 5 ms to 1000 s.
 * Keys are short strings, copied in. Any thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORKQUEUE_BACKOFF_MIN_MS = 5,
    WORKQUEUE_BACKOFF_MAX_MS = 1000000,
    WORKQUEUE_KEY_MAX = 320,
    WORKQUEUE_NAMES_MAX = 8
};

struct metrics;
struct workqueue;

struct workqueue *workqueue_new(void) BERTH_NODISCARD;
/* No thread may be in it. */
struct workqueue *workqueue_free(struct workqueue *q);

/* Which keys are measured under which name. */
struct workqueue_name {
    const char *prefix; /* of the key; static text */
    const char *name;
};
/*
 * From now on client-go's metrics are exported, with its names and meaning: workqueue_depth,
 * _adds_total, _retries_total, _queue_duration_seconds, _work_duration_seconds,
 * _unfinished_work_seconds, _longest_running_processor_seconds; labels name and controller, which
 * are the same. One queue is measured as if there were one for each name (at most
 * WORKQUEUE_NAMES_MAX); a key counts for the first one whose prefix it has, else for the last.
 * Before the first key is added. m and names outlive the queue.
 */
void workqueue_measure(struct workqueue *q, struct metrics *m, const struct workqueue_name *names,
                       size_t count);

void workqueue_add(struct workqueue *q, struct str key);
/* Adds it when delay_ms have passed; an earlier date that is already set for the key stays. */
void workqueue_add_after(struct workqueue *q, struct str key, int64_t delay_ms);
/* Adds it after the key's backoff, which doubles (with each call) until workqueue_forget(). */
void workqueue_add_failed(struct workqueue *q, struct str key);
/* The key's backoff starts anew. */
void workqueue_forget(struct workqueue *q, struct str key);

/* Waits for a key and copies it (NUL-terminated) to key[WORKQUEUE_KEY_MAX]; *ret_len is its
 * length. The caller calls workqueue_done() when it is finished with it. False: shut down. */
bool workqueue_get(struct workqueue *q, char *key, size_t *ret_len) BERTH_NODISCARD;
void workqueue_done(struct workqueue *q, struct str key);
/* get() returns false from now on; what waits is dropped. */
void workqueue_shut_down(struct workqueue *q);

/* Keys ready to be worked on, and keys that wait for their date. */
size_t workqueue_depth(struct workqueue *q);
/* A worker has it: between get() and done(). */
bool workqueue_is_working(struct workqueue *q, struct str key);
/* No key is ready or being worked on; some may wait for their date. */
bool workqueue_is_idle(struct workqueue *q);
