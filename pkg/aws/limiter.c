// SPDX-License-Identifier: Apache-2.0
/*
 * The rate limiter: who waits, in what order, and sleeping until it is their turn. Each waiter
 * sleeps until the next token is due and then hands out what is there, to whom it is due: the
 * owner of the token is asleep until the same moment, so that nobody has to be woken.
 */
#include "aws/limiter.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "limiter_priv.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* How late a waiter may notice that the rate was raised. */
enum { NAP_MAX_MS = 250 };

struct waiter {
    struct waiter *next;
    bool is_served;
};

struct aws_limiter {
    const struct clock *clock;
    struct stopper never;  /* what they sleep on who have no stopper */
    pthread_mutex_t mutex; /* of what follows */
    struct limiter_state state;
    struct waiter *first[AWS_RATE_CLASSES];
};

struct aws_limiter *aws_limiter_new(double per_second, const struct clock *clock)
{
    struct aws_limiter *l = mem_alloc(sizeof *l);
    l->clock = clock;
    stopper_init(&l->never);
    (void)pthread_mutex_init(&l->mutex, NULL);
    limiter_state_init(&l->state, per_second > 0 ? per_second : 0, clock_mono_ms(clock));
    return l;
}

struct aws_limiter *aws_limiter_free(struct aws_limiter *l)
{
    if (l == NULL)
        return NULL;
    (void)pthread_mutex_destroy(&l->mutex);
    stopper_fini(&l->never);
    return mem_free(l);
}

void aws_limiter_set_rate(struct aws_limiter *l, double per_second)
{
    int64_t now_ms = clock_mono_ms(l->clock);
    (void)pthread_mutex_lock(&l->mutex);
    limiter_state_set_limit(&l->state, per_second > 0 ? per_second : 0, now_ms);
    (void)pthread_mutex_unlock(&l->mutex);
}

double aws_limiter_rate(struct aws_limiter *l)
{
    int64_t now_ms = clock_mono_ms(l->clock);
    (void)pthread_mutex_lock(&l->mutex);
    double rate = limiter_state_rate(&l->state, now_ms);
    (void)pthread_mutex_unlock(&l->mutex);
    return rate;
}

void aws_limiter_throttled(struct aws_limiter *l)
{
    int64_t now_ms = clock_mono_ms(l->clock);
    (void)pthread_mutex_lock(&l->mutex);
    limiter_state_slow_down(&l->state, now_ms);
    (void)pthread_mutex_unlock(&l->mutex);
}

static void enqueue_locked(struct aws_limiter *l, enum aws_rate_class cls, struct waiter *w)
{
    struct waiter **at = &l->first[cls];
    if (*at == NULL)
        limiter_state_arrive(&l->state, cls);
    while (*at != NULL)
        at = &(*at)->next;
    *at = w;
}

static void leave_locked(struct aws_limiter *l, enum aws_rate_class cls, const struct waiter *w)
{
    struct waiter **at = &l->first[cls];
    while (*at != NULL && *at != w)
        at = &(*at)->next;
    if (*at != NULL)
        *at = w->next;
}

static void hand_out_locked(struct aws_limiter *l, int64_t now_ms)
{
    bool is_waiting[AWS_RATE_CLASSES];
    enum aws_rate_class cls = AWS_RATE_READ;
    limiter_state_fill(&l->state, now_ms);
    for (;;) {
        for (int i = 0; i < AWS_RATE_CLASSES; i++)
            is_waiting[i] = l->first[i] != NULL;
        if (!limiter_state_serve(&l->state, is_waiting, &cls))
            return;
        l->first[cls]->is_served = true;
        l->first[cls] = l->first[cls]->next;
    }
}

/* One look: served, or how long to sleep; false where the deadline comes first. */
static bool look(struct aws_limiter *l, struct waiter *w, int64_t deadline_ms, int64_t *ret_nap_ms)
{
    int64_t now_ms = clock_mono_ms(l->clock);
    (void)pthread_mutex_lock(&l->mutex);
    hand_out_locked(l, now_ms);
    int64_t wait_ms = w->is_served ? 0 : limiter_state_wait_ms(&l->state);
    (void)pthread_mutex_unlock(&l->mutex);
    *ret_nap_ms = wait_ms < NAP_MAX_MS ? wait_ms : NAP_MAX_MS;
    return wait_ms == 0 || deadline_ms == 0 || now_ms + wait_ms <= deadline_ms;
}

bool aws_limiter_take(struct aws_limiter *l, enum aws_rate_class cls, int64_t deadline_mono_ms,
                      struct stopper *stopper, struct err *e)
{
    struct waiter w = {0};
    struct stopper *bed = stopper != NULL ? stopper : &l->never;
    int64_t nap_ms = 0;
    bool is_stopped = stopper_is_stopped(bed);
    if (is_stopped)
        return err_set(e, ERR_CANCELLED, "Cancelled", "stopped before it was sent");
    (void)pthread_mutex_lock(&l->mutex);
    enqueue_locked(l, cls, &w);
    (void)pthread_mutex_unlock(&l->mutex);
    bool is_in_time = look(l, &w, deadline_mono_ms, &nap_ms);
    while (nap_ms > 0 && is_in_time && !is_stopped) {
        is_stopped = stopper_wait_ms(bed, nap_ms);
        is_in_time = look(l, &w, deadline_mono_ms, &nap_ms);
    }
    (void)pthread_mutex_lock(&l->mutex);
    bool is_served = w.is_served;
    if (!is_served)
        leave_locked(l, cls, &w);
    (void)pthread_mutex_unlock(&l->mutex);
    if (is_stopped)
        return err_set(e, ERR_CANCELLED, "Cancelled", "stopped before it was sent");
    return is_served || err_set(e, ERR_RETRY, "RateLimited",
                                "no time left to wait for the rate limit of this process");
}
