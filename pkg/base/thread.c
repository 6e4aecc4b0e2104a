// SPDX-License-Identifier: Apache-2.0
/*
 * Threads and deadlines over pthread.
 */
#include "base/thread.h"

#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(int rc, const char *what)
{
    if (rc != 0) {
        char text[128];
        (void)fprintf(stderr, "%s: %s\n", what, strerror_r(rc, text, sizeof text));
        abort();
    }
}

struct start {
    void (*fn)(void *arg);
    void *arg;
};

static void *run(void *p)
{
    struct start s = *(struct start *)p;
    mem_free(p);
    s.fn(s.arg);
    return NULL;
}

void thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    struct start *s = mem_alloc(sizeof *s);
    *s = (struct start){fn, arg};
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask");
    must(pthread_create(&t->id, NULL, run, s), "cannot start a thread");
    must(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
    t->is_running = true;
    (void)pthread_setname_np(t->id, name);
}

void thread_join(struct thread *t)
{
    if (!t->is_running)
        return;
    must(pthread_join(t->id, NULL), "pthread_join");
    t->is_running = false;
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr), "pthread_condattr_init");
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(cond, &attr), "pthread_cond_init");
    (void)pthread_condattr_destroy(&attr);
}

bool thread_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        must(pthread_cond_wait(cond, mutex), "pthread_cond_wait");
        return true;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanos = until.tv_nsec + timeout_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(timeout_ms / 1000 + nanos / 1000000000);
    until.tv_nsec = (long)(nanos % 1000000000);
    int rc = pthread_cond_timedwait(cond, mutex, &until);
    if (rc != ETIMEDOUT)
        must(rc, "pthread_cond_timedwait");
    return rc == 0;
}

void stopper_init(struct stopper *s)
{
    must(pthread_mutex_init(&s->mutex, NULL), "pthread_mutex_init");
    thread_cond_init(&s->cond);
    s->is_stopped = false;
}

void stopper_fini(struct stopper *s)
{
    (void)pthread_cond_destroy(&s->cond);
    (void)pthread_mutex_destroy(&s->mutex);
}

void stopper_stop(struct stopper *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->is_stopped = true;
    (void)pthread_cond_broadcast(&s->cond);
    (void)pthread_mutex_unlock(&s->mutex);
}

bool stopper_is_stopped(struct stopper *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool is_stopped = s->is_stopped;
    (void)pthread_mutex_unlock(&s->mutex);
    return is_stopped;
}

static int64_t mono_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool stopper_wait_ms(struct stopper *s, int64_t timeout_ms)
{
    int64_t until = mono_ms() + timeout_ms;
    (void)pthread_mutex_lock(&s->mutex);
    while (!s->is_stopped) {
        int64_t left = timeout_ms < 0 ? -1 : until - mono_ms();
        if (timeout_ms >= 0 && left <= 0)
            break;
        (void)thread_cond_wait_ms(&s->cond, &s->mutex, left);
    }
    bool is_stopped = s->is_stopped;
    (void)pthread_mutex_unlock(&s->mutex);
    return is_stopped;
}
