// SPDX-License-Identifier: Apache-2.0
/*
 * The decisions of the rate limiter, without clock, lock or sleep: pure functions of a state and
 * the time. Tokens come from a bucket whose rate ramps back after a slow-down; who is served next
 * is decided by stride scheduling: each class has a virtual time that moves on by 1/share when it
 * is served, and the waiting class that is furthest behind comes first. A class that was idle
 * starts at the present virtual time, so that it saves nothing up and loses nothing.
 */
#pragma once

#include "aws/limiter.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct limiter_state {
    double limit;     /* configured, per second; 0: unlimited */
    double slowed_to; /* the rate right after the last slow-down; 0: none is in effect */
    int64_t slowed_at_ms;
    double tokens;
    int64_t filled_at_ms;
    double pass[AWS_RATE_CLASSES];
    double pass_now; /* virtual time: the pass of whom was served last */
};

/* With a full bucket. */
void limiter_state_init(struct limiter_state *s, double limit, int64_t now_ms);
/* Another limit; ends a slow-down and drops what the new bucket does not hold. */
void limiter_state_set_limit(struct limiter_state *s, double limit, int64_t now_ms);
double limiter_state_rate(const struct limiter_state *s, int64_t now_ms);
void limiter_state_fill(struct limiter_state *s, int64_t now_ms);
/* A class begins to wait. */
void limiter_state_arrive(struct limiter_state *s, enum aws_rate_class cls);
/* Takes a token for one of the waiting classes (in *ret) if there is one. */
bool limiter_state_serve(struct limiter_state *s, const bool *is_waiting,
                         enum aws_rate_class *ret) BERTH_NODISCARD;
/* Until the next whole token (the state is filled up to now); at least 1. */
int64_t limiter_state_wait_ms(const struct limiter_state *s);
/* AWS throttled. */
void limiter_state_slow_down(struct limiter_state *s, int64_t now_ms);
