// SPDX-License-Identifier: Apache-2.0
/*
 * The rate limiter of one registry: how many calls to AWS this process makes a second.
 *
 * One token bucket fills at the rate and holds max(1, rate) tokens. Who waits is served by class
 * in proportion to its share (admission 1/2, reads 1/4, writes 1/4), first come first served
 * inside a class; a class that does not wait leaves its share to the others, so that nothing is
 * lost. When AWS throttles, the rate is multiplied by 0.7 (not below 0.5/s, once in 500 ms,
 * because calls side by side are refused side by side) and grows back to the configured one
 * within a minute. Any thread.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdint.h>

enum aws_rate_class { AWS_RATE_READ, AWS_RATE_WRITE, AWS_RATE_ADMISSION };
enum { AWS_RATE_CLASSES = 3 };

struct aws_limiter;

/* per_second: 0 is unlimited (then throttling slows nothing down). clock outlives it. */
struct aws_limiter *aws_limiter_new(double per_second, const struct clock *clock) BERTH_NODISCARD;
/* Nobody may be in it. NULL is fine; returns NULL. */
struct aws_limiter *aws_limiter_free(struct aws_limiter *l);
BERTH_DEFINE_CLEANUP(struct aws_limiter *, aws_limiter_free);

/* Another configured rate, from now on; ends a slow-down. */
void aws_limiter_set_rate(struct aws_limiter *l, double per_second);
/* The rate at this moment (0: unlimited), for metrics and status. */
double aws_limiter_rate(struct aws_limiter *l);

/*
 * Takes one token, waiting for it. deadline_mono_ms: on the limiter's clock (0: none); where the
 * next token comes later than that, it fails at once instead of waiting in vain: ERR_RETRY,
 * reason RateLimited. ERR_CANCELLED when the stopper (may be NULL) is raised.
 */
bool aws_limiter_take(struct aws_limiter *l, enum aws_rate_class cls, int64_t deadline_mono_ms,
                      struct stopper *stopper, struct err *e) BERTH_NODISCARD;

/* AWS refused a call because of its rate. */
void aws_limiter_throttled(struct aws_limiter *l);
