// SPDX-License-Identifier: Apache-2.0
/*
 * Threads, and waiting with a deadline. Every thread is joined by who started it; every wait has
 * a deadline and a wake-up. Failures of the pthread calls below are programming errors or a
 * machine out of resources at start, and abort.
 */
#pragma once

#include "base/compiler.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
    pthread_t id;
    bool is_running;
};

/* Starts fn(arg) with all signals blocked (main takes them by sigwait). name: <= 15 characters,
 * seen in top and gdb. */
void thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg);
/* Waits for its end; does nothing where it was never started. */
void thread_join(struct thread *t);

/* A condition on the monotonic clock. */
void thread_cond_init(pthread_cond_t *cond);
/* Waits on cond (mutex held) for at most timeout_ms (< 0: for ever). False on time-out. */
bool thread_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_ms);

/* A flag that is raised once and wakes all who wait: the way to stop loops. */
struct stopper {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_stopped;
};
void stopper_init(struct stopper *s);
void stopper_fini(struct stopper *s);
void stopper_stop(struct stopper *s);
bool stopper_is_stopped(struct stopper *s);
/* Sleeps for timeout_ms or until stopped; true when stopped. */
bool stopper_wait_ms(struct stopper *s, int64_t timeout_ms);
