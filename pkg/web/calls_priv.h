// SPDX-License-Identifier: Apache-2.0
/*
 * Calls on their way to the workers, and answers on their way back. Knows no libwebsockets: the
 * loop thread puts jobs in, workers take them out and run the handler, anybody posts answers, the
 * loop thread collects them.
 */
#pragma once

#include "base/buf.h"
#include "base/thread.h"
#include "web/server.h"

#include <pthread.h>
#include <stdatomic.h>

/* A call from its headers to the end of its handler. One owner at a time: the connection while the
 * body comes in, the queue, a worker. */
struct job {
    struct job *next;
    struct calls *calls;
    struct web_call call;
    size_t counted; /* of calls->body_bytes */
    char text[];    /* path, query */
};

struct answer {
    struct answer *next;
    uint64_t id;
    int status;
    const char *content_type;
    struct buf body;
};

struct calls {
    const struct web_options *o;
    void (*wake)(void *arg); /* the loop thread, to collect */
    void *wake_arg;
    atomic_size_t body_bytes;
    struct thread *workers;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct job *first, **last; /* the queue */
    int queued;
    int idle;     /* workers that wait */
    bool has_new; /* of the loop thread: calls_flush() has something to do */
    struct answer *answers, **last_answer;
    bool is_closed;
};

void calls_init(struct calls *q, const struct web_options *o, void (*wake)(void *), void *wake_arg);
void calls_start(struct calls *q);
/* Joins the workers and drops what is queued; answers are dropped from now on. */
void calls_stop(struct calls *q);
void calls_fini(struct calls *q);

struct job *calls_job_new(struct calls *q, uint64_t id, struct str path, struct str query,
                          size_t max_bytes);
struct job *calls_job_free(struct job *j);
/* Appends to the body. False: beyond the budget of all bodies, or memory is out. */
bool calls_job_append(struct job *j, const void *bytes, size_t n);

/* False: the queue is full, and the job still the caller's. Nobody is woken before calls_flush():
 * what one turn of the loop brings is handed over with one wake-up. */
bool calls_put(struct calls *q, struct job *take_job);
void calls_flush(struct calls *q);
/* Takes a job out whose connection is gone, if it is still queued. */
void calls_forget(struct calls *q, uint64_t id);
int calls_queued(struct calls *q);

/* Runs the handler here. True: it has answered, *ret is the answer. */
bool calls_run_inline(struct job *take_job, struct answer *ret);

/* False: dropped, because nobody collects any more. Empties *take_body. */
bool calls_answer(struct calls *q, uint64_t id, int status, const char *content_type,
                  struct buf *take_body);
/* All answers that have come, in their order; free each with calls_answer_free(). */
struct answer *calls_collect(struct calls *q);
struct answer *calls_answer_free(struct answer *a);
