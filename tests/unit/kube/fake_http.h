// SPDX-License-Identifier: Apache-2.0
/*
 * A struct http_client that plays a script: each exchange takes the next line of it, checks that
 * it was expected, and answers. What was asked is kept for the test to look at. Streams send their
 * body in pieces of `split` bytes and then end, fail, or hang until fake_http_release(). Failures
 * of expectation are reported by the test's own thread, in fake_http_check().
 */
#pragma once

#include "base/mem.h"
#include "base/thread.h"
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* the lines of a script leave out what they do not need */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum fake_end { FAKE_ENDS, FAKE_HANGS, FAKE_BREAKS };

struct fake_line {
    const char *method;
    const char *url; /* must be in the URL */
    int status;      /* 0: no answer, ERR_RETRY ConnectFailed */
    const char *body;
    enum fake_end end; /* of a stream */
    const char *retry_after;
};

struct fake_asked {
    char *method, *url, *body, *authorization, *content_type;
    int64_t timeout_ms;
};

enum { FAKE_ASKED_MAX = 256 };
struct fake_http {
    struct http_client client;
    const struct fake_line *script;
    size_t count, at;
    size_t split; /* 0: whole bodies */
    char problem[512];
    struct fake_asked asked[FAKE_ASKED_MAX];
    size_t asked_count;
    bool is_released;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

static inline char *fake_header(const struct http_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, str_from(name)))
            return mem_dup(rq->headers[i].value.ptr, rq->headers[i].value.len);
    return NULL;
}

/* The line that answers rq; NULL where the script is at its end. */
static inline const struct fake_line *fake_next(struct fake_http *f, const struct http_request *rq)
{
    const struct fake_line *line = NULL;
    pthread_mutex_lock(&f->mutex);
    char *url = mem_dup(rq->url.ptr, rq->url.len);
    if (f->asked_count < FAKE_ASKED_MAX)
        f->asked[f->asked_count++] = (struct fake_asked){
            .method = mem_strdup(rq->method),
            .url = mem_strdup(url),
            .body = mem_dup(rq->body.ptr ? rq->body.ptr : "", rq->body.len),
            .authorization = fake_header(rq, "Authorization"),
            .content_type = fake_header(rq, "Content-Type"),
            .timeout_ms = rq->timeout_ms,
        };
    if (f->at < f->count)
        line = &f->script[f->at++];
    if (line && f->problem[0] == '\0' &&
        (strcmp(line->method, rq->method) != 0 || strstr(url, line->url) == NULL))
        snprintf(f->problem, sizeof(f->problem), "line %zu wants %s %s, got %s %s", f->at,
                 line->method, line->url, rq->method, url);
    mem_free(url);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
    return line;
}

static inline bool fake_no_answer(struct err *e)
{
    return err_set(e, ERR_RETRY, "ConnectFailed", "fake: no answer");
}

static inline bool fake_send(void *impl, const struct http_request *rq, struct arena *a,
                             struct http_response *ret, struct err *e)
{
    const struct fake_line *line = fake_next(impl, rq);
    *ret = (struct http_response){0};
    if (line == NULL || line->status == 0)
        return fake_no_answer(e);
    ret->status = line->status;
    ret->body = arena_copy(a, str_from(line->body ? line->body : ""));
    if (line->retry_after) {
        ret->headers = arena_new(a, struct http_header);
        ret->headers[0] = (struct http_header){STR("Retry-After"), str_from(line->retry_after)};
        ret->header_count = 1;
    }
    return true;
}

static inline bool fake_hang(struct fake_http *f, struct err *e)
{
    pthread_mutex_lock(&f->mutex);
    while (!f->is_released)
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
    return err_set(e, ERR_CANCELLED, "Cancelled", "fake: cancelled");
}

static inline bool fake_stream(void *impl, const struct http_request *rq, int64_t idle_ms,
                               struct http_cancel *cancel, const struct http_stream_ops *ops,
                               void *arg, struct err *e)
{
    struct fake_http *f = impl;
    (void)idle_ms;
    (void)cancel;
    const struct fake_line *line = fake_next(f, rq);
    if (line == NULL)
        return fake_hang(f, e);
    if (line->status == 0)
        return fake_no_answer(e);
    struct http_header header = {STR("Retry-After"), str_from(line->retry_after)};
    struct http_response head = {
        .status = line->status, .headers = &header, .header_count = line->retry_after ? 1 : 0};
    if (!ops->on_response(arg, &head))
        return true;
    struct str rest = str_from(line->body ? line->body : "");
    while (rest.len > 0) {
        size_t n = f->split && f->split < rest.len ? f->split : rest.len;
        if (!ops->on_data(arg, str_n(rest.ptr, n)))
            return true;
        rest = str_from_offset(rest, n);
    }
    if (line->end == FAKE_HANGS)
        return fake_hang(f, e);
    return line->end == FAKE_ENDS || err_set(e, ERR_RETRY, "ConnectionLost", "fake: cut");
}

static inline void fake_http_init(struct fake_http *f, const struct fake_line *script, size_t count)
{
    *f = (struct fake_http){
        .client = {fake_send, fake_stream, NULL, f}, .script = script, .count = count};
    pthread_mutex_init(&f->mutex, NULL);
    thread_cond_init(&f->changed);
}

/* Waits (at most 20 s) until n exchanges were begun; false: they were not. */
static inline bool fake_http_wait(struct fake_http *f, size_t n)
{
    pthread_mutex_lock(&f->mutex);
    while (f->asked_count < n && thread_cond_wait_ms(&f->changed, &f->mutex, 20000))
        ;
    bool is_there = f->asked_count >= n;
    pthread_mutex_unlock(&f->mutex);
    return is_there;
}

static inline void fake_http_release(struct fake_http *f)
{
    pthread_mutex_lock(&f->mutex);
    f->is_released = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

/* The script was kept to, and played to its end. */
static inline void fake_http_check(struct fake_http *f)
{
    if (f->problem[0])
        fail_msg("%s", f->problem);
    assert_int_equal(f->at, f->count);
}

static inline void fake_http_fini(struct fake_http *f)
{
    for (size_t i = 0; i < f->asked_count; i++) {
        mem_free(f->asked[i].method);
        mem_free(f->asked[i].url);
        mem_free(f->asked[i].body);
        mem_free(f->asked[i].authorization);
        mem_free(f->asked[i].content_type);
    }
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
}
