// SPDX-License-Identifier: Apache-2.0
/*
 * The queue, the workers and the way back.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "calls_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A handler of a body above this takes its time: others should not wait behind it. */
enum { SMALL_BODY_BYTES = 32 * 1024 };

/* Where the loop thread runs a handler itself, that handler's answer goes here. */
static _Thread_local struct inline_answer {
    uint64_t id;
    bool is_there;
    struct answer answer;
} * inline_answer;

struct job *calls_job_new(struct calls *q, uint64_t id, struct str path, struct str query,
                          size_t max_bytes)
{
    struct job *j = mem_alloc(sizeof(*j) + path.len + query.len + 1);
    j->calls = q;
    memcpy(j->text, path.ptr, path.len);
    if (query.len > 0)
        memcpy(j->text + path.len, query.ptr, query.len);
    j->call = (struct web_call){
        .id = id,
        .path = str_n(j->text, path.len),
        .query = str_is_null(query) ? STR_NULL : str_n(j->text + path.len, query.len),
        .body = BUF_INIT(max_bytes),
    };
    return j;
}

struct job *calls_job_free(struct job *j)
{
    if (j == NULL)
        return NULL;
    atomic_fetch_sub(&j->calls->body_bytes, j->counted);
    buf_fini(&j->call.body);
    return mem_free(j);
}

bool calls_job_append(struct job *j, const void *bytes, size_t n)
{
    const size_t before = atomic_fetch_add(&j->calls->body_bytes, n);
    j->counted += n;
    if (before + n > j->calls->o->max_calls_bytes)
        return false;
    buf_append_bytes(&j->call.body, bytes, n);
    return buf_ok(&j->call.body);
}

bool calls_put(struct calls *q, struct job *take_job)
{
    pthread_mutex_lock(&q->mutex);
    const bool has_room = q->queued < q->o->queue;
    if (has_room) {
        take_job->next = NULL;
        *q->last = take_job;
        q->last = &take_job->next;
        q->queued++;
    }
    pthread_mutex_unlock(&q->mutex);
    q->has_new = q->has_new || has_room;
    return has_room;
}

void calls_flush(struct calls *q)
{
    if (!q->has_new)
        return;
    q->has_new = false;
    pthread_mutex_lock(&q->mutex);
    if (q->first != NULL && q->idle > 0)
        pthread_cond_signal(&q->cond);
    pthread_mutex_unlock(&q->mutex);
}

/* NULL where *at is the end. */
static struct job *remove_locked(struct calls *q, struct job **at)
{
    struct job *j = *at;
    if (j == NULL)
        return NULL;
    *at = j->next;
    if (q->last == &j->next)
        q->last = at;
    q->queued--;
    return j;
}

void calls_forget(struct calls *q, uint64_t id)
{
    pthread_mutex_lock(&q->mutex);
    struct job **at = &q->first;
    while (*at != NULL && (*at)->call.id != id)
        at = &(*at)->next;
    struct job *j = remove_locked(q, at);
    pthread_mutex_unlock(&q->mutex);
    calls_job_free(j);
}

int calls_queued(struct calls *q)
{
    pthread_mutex_lock(&q->mutex);
    const int queued = q->queued;
    pthread_mutex_unlock(&q->mutex);
    return queued;
}

/* The worker that was woken wakes the next where there is work for more than one. A small body is
 * handled in less time than it takes to wake somebody: a single one behind it waits. */
static bool needs_help_locked(const struct calls *q, const struct job *mine)
{
    return q->first != NULL && q->idle > 0 &&
           (q->queued > 1 || mine->call.body.len > SMALL_BODY_BYTES);
}

static void work(void *arg)
{
    struct calls *q = arg;
    pthread_mutex_lock(&q->mutex);
    while (!q->is_closed) {
        struct job *j = remove_locked(q, &q->first);
        if (j == NULL) {
            q->idle++;
            (void)thread_cond_wait_ms(&q->cond, &q->mutex, -1);
            q->idle--;
            continue;
        }
        if (needs_help_locked(q, j))
            pthread_cond_signal(&q->cond);
        pthread_mutex_unlock(&q->mutex);
        /* who asked has been told 504, or soon is */
        if (clock_mono_ms(clock_system()) < j->call.deadline_mono_ms)
            q->o->call_handler(q->o->call_arg, &j->call);
        calls_job_free(j);
        pthread_mutex_lock(&q->mutex);
    }
    pthread_mutex_unlock(&q->mutex);
}

bool calls_run_inline(struct job *take_job, struct answer *ret)
{
    const struct calls *q = take_job->calls;
    struct inline_answer slot = {.id = take_job->call.id};
    inline_answer = &slot;
    q->o->call_handler(q->o->call_arg, &take_job->call);
    inline_answer = NULL;
    calls_job_free(take_job);
    *ret = slot.answer;
    return slot.is_there;
}

bool calls_answer(struct calls *q, uint64_t id, int status, const char *content_type,
                  struct buf *take_body)
{
    struct answer a = {.id = id, .status = status, .content_type = content_type};
    if (take_body != NULL) {
        a.body = *take_body;
        *take_body = BUF_INIT(a.body.max);
    }
    if (inline_answer != NULL && inline_answer->id == id && !inline_answer->is_there) {
        inline_answer->answer = a;
        inline_answer->is_there = true;
        return true;
    }
    struct answer *heap = mem_alloc(sizeof(*heap));
    *heap = a;
    pthread_mutex_lock(&q->mutex);
    const bool is_taken = !q->is_closed;
    const bool was_empty = q->answers == NULL;
    if (is_taken) {
        *q->last_answer = heap;
        q->last_answer = &heap->next;
    }
    pthread_mutex_unlock(&q->mutex);
    if (!is_taken)
        calls_answer_free(heap);
    else if (was_empty) /* else it is on its way already */
        q->wake(q->wake_arg);
    return is_taken;
}

struct answer *calls_collect(struct calls *q)
{
    pthread_mutex_lock(&q->mutex);
    struct answer *all = q->answers;
    q->answers = NULL;
    q->last_answer = &q->answers;
    pthread_mutex_unlock(&q->mutex);
    return all;
}

struct answer *calls_answer_free(struct answer *a)
{
    if (a == NULL)
        return NULL;
    buf_fini(&a->body);
    return mem_free(a);
}

void calls_init(struct calls *q, const struct web_options *o, void (*wake)(void *), void *wake_arg)
{
    q->o = o;
    q->wake = wake;
    q->wake_arg = wake_arg;
    pthread_mutex_init(&q->mutex, NULL);
    thread_cond_init(&q->cond);
    q->last = &q->first;
    q->last_answer = &q->answers;
    q->workers = mem_alloc_array((size_t)o->workers, sizeof(*q->workers));
}

void calls_start(struct calls *q)
{
    if (q->o->call_handler == NULL)
        return;
    for (int i = 0; i < q->o->workers; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%.10s-%d", q->o->name, i % 1000);
        thread_start(&q->workers[i], name, work, q);
    }
}

void calls_stop(struct calls *q)
{
    pthread_mutex_lock(&q->mutex);
    q->is_closed = true;
    pthread_cond_broadcast(&q->cond);
    pthread_mutex_unlock(&q->mutex);
    for (int i = 0; i < q->o->workers; i++)
        thread_join(&q->workers[i]);
    pthread_mutex_lock(&q->mutex);
    while (q->first != NULL)
        calls_job_free(remove_locked(q, &q->first));
    pthread_mutex_unlock(&q->mutex);
    struct answer *next = calls_collect(q);
    while (next != NULL) {
        struct answer *a = next;
        next = a->next;
        calls_answer_free(a);
    }
}

void calls_fini(struct calls *q)
{
    q->workers = mem_free(q->workers);
    pthread_cond_destroy(&q->cond);
    pthread_mutex_destroy(&q->mutex);
}
