// SPDX-License-Identifier: Apache-2.0
/*
 * The decisions of the rate limiter; see limiter_priv.h.
 */
#include "limiter_priv.h"

#include <stdbool.h>
#include <stdint.h>

/* botocore's adaptive mode has the same factor, floor and bucket of time */
static const double slow_factor = 0.7;
static const double slow_floor = 0.5;
enum { SLOW_ONCE_IN_MS = 500, RECOVERY_MS = 60000 };

/* 1 / share; the order is that of ties */
static const struct {
    enum aws_rate_class cls;
    double stride;
} classes[AWS_RATE_CLASSES] = {
    {AWS_RATE_ADMISSION, 2.0},
    {AWS_RATE_READ, 4.0},
    {AWS_RATE_WRITE, 4.0},
};

/* A whole token but for what adding fractions loses. */
static const double whole = 1.0 - 1e-9;

static double burst(const struct limiter_state *s)
{
    return s->limit > 1.0 ? s->limit : 1.0;
}

void limiter_state_init(struct limiter_state *s, double limit, int64_t now_ms)
{
    *s = (struct limiter_state){.limit = limit, .filled_at_ms = now_ms};
    s->tokens = burst(s);
}

double limiter_state_rate(const struct limiter_state *s, int64_t now_ms)
{
    if (s->limit <= 0 || s->slowed_to <= 0)
        return s->limit;
    double rate =
        s->slowed_to + s->limit * (double)(now_ms - s->slowed_at_ms) / (double)RECOVERY_MS;
    return rate < s->limit ? rate : s->limit;
}

void limiter_state_fill(struct limiter_state *s, int64_t now_ms)
{
    if (now_ms <= s->filled_at_ms)
        return;
    /* the mean of both ends: exact while the rate ramps up, near it where the ramp ends */
    double rate = (limiter_state_rate(s, s->filled_at_ms) + limiter_state_rate(s, now_ms)) / 2;
    s->tokens += rate * (double)(now_ms - s->filled_at_ms) / 1000.0;
    s->filled_at_ms = now_ms;
    double most = limiter_state_rate(s, now_ms);
    most = most > 1.0 ? most : 1.0;
    if (s->tokens > most)
        s->tokens = most;
}

void limiter_state_arrive(struct limiter_state *s, enum aws_rate_class cls)
{
    if (s->pass[cls] < s->pass_now)
        s->pass[cls] = s->pass_now;
}

void limiter_state_set_limit(struct limiter_state *s, double limit, int64_t now_ms)
{
    limiter_state_fill(s, now_ms);
    s->limit = limit;
    s->slowed_to = 0;
    if (s->tokens > burst(s))
        s->tokens = burst(s);
}

bool limiter_state_serve(struct limiter_state *s, const bool *is_waiting, enum aws_rate_class *ret)
{
    int best = -1;
    for (int i = 0; i < AWS_RATE_CLASSES; i++)
        if (is_waiting[classes[i].cls] &&
            (best < 0 || s->pass[classes[i].cls] < s->pass[classes[best].cls]))
            best = i;
    if (best < 0 || (s->limit > 0 && s->tokens < whole))
        return false;
    enum aws_rate_class cls = classes[best].cls;
    s->tokens -= s->limit > 0 ? 1.0 : 0.0;
    s->pass_now = s->pass[cls];
    s->pass[cls] += classes[best].stride;
    *ret = cls;
    return true;
}

int64_t limiter_state_wait_ms(const struct limiter_state *s)
{
    double rate = limiter_state_rate(s, s->filled_at_ms);
    double missing = 1.0 - s->tokens;
    if (rate <= 0 || missing <= 0)
        return 1;
    return 1 + (int64_t)(missing * 1000.0 / rate);
}

void limiter_state_slow_down(struct limiter_state *s, int64_t now_ms)
{
    if (s->limit <= 0 || (s->slowed_to > 0 && now_ms - s->slowed_at_ms < SLOW_ONCE_IN_MS))
        return;
    limiter_state_fill(s, now_ms);
    double floor = s->limit < slow_floor ? s->limit : slow_floor;
    double rate = limiter_state_rate(s, now_ms) * slow_factor;
    s->slowed_to = rate > floor ? rate : floor;
    s->slowed_at_ms = now_ms;
    /* what was saved up would be the next burst to be throttled */
    s->tokens = s->tokens < 0 ? s->tokens : 0;
}
