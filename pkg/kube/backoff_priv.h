// SPDX-License-Identifier: Apache-2.0
/*
 * The delays of client-go's reflector: 0.8 s doubling to 30 s, each with up to 100 % of jitter, so
 * that many clients do not come back together. Starts anew when nothing failed for two minutes.
 * One thread.
 */
#pragma once

#include <stdint.h>

enum { BACKOFF_MIN_MS = 800, BACKOFF_MAX_MS = 30 * 1000, BACKOFF_RESET_MS = 2 * 60 * 1000 };

struct backoff {
    int64_t min_ms;
    int64_t next_ms;
    int64_t last_mono_ms; /* when the last delay was given out */
};

struct backoff kube_backoff_new(int64_t min_ms);
/* The delay before the next attempt, at most BACKOFF_MAX_MS. entropy: a random number. */
int64_t kube_backoff_next_ms(struct backoff *b, int64_t now_mono_ms, uint32_t entropy);
