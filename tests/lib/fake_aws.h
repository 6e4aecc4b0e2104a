// SPDX-License-Identifier: Apache-2.0
/*
 * A fake HTTP client for tests of the AWS client: answers by a script, keeps what was asked.
 * Header-only. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "http/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_AWS_STEPS = 16, FAKE_AWS_HEADERS = 4 };

struct fake_step {
    int status; /* 0: the exchange fails with `cls` and `reason` */
    enum err_class cls;
    const char *reason;
    const char *body;
    struct http_header headers[FAKE_AWS_HEADERS];
    int64_t took_ms; /* the clock moves on by this */
    int sent;        /* how often libcurl sent it; 0: once */
};

struct fake_aws {
    struct http_client http;
    struct clock_fake clock;
    struct arena arena; /* of what was asked */
    const struct fake_step *steps;
    size_t step_count;
    size_t asked; /* the last step answers all further requests */
    struct http_request last;
    struct str bodies[FAKE_AWS_STEPS];
    struct str authorizations[FAKE_AWS_STEPS];
    struct str dates[FAKE_AWS_STEPS];
};

static inline struct str fake_aws_header(const struct http_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, str_from(name)))
            return rq->headers[i].value;
    return STR_NULL;
}

static inline bool fake_aws_send(void *impl, const struct http_request *rq, struct arena *a,
                                 struct http_response *ret, struct err *e)
{
    struct fake_aws *f = impl;
    size_t n = f->asked < f->step_count ? f->asked : f->step_count - 1;
    const struct fake_step *s = &f->steps[n];
    struct http_header *kept = arena_new_array(&f->arena, struct http_header, rq->header_count);
    for (size_t i = 0; i < rq->header_count; i++)
        kept[i] = (struct http_header){arena_copy(&f->arena, rq->headers[i].name),
                                       arena_copy(&f->arena, rq->headers[i].value)};
    f->last = *rq;
    f->last.headers = kept;
    f->last.url = arena_copy(&f->arena, rq->url);
    f->last.body = arena_copy(&f->arena, rq->body);
    if (f->asked < FAKE_AWS_STEPS) {
        f->bodies[f->asked] = f->last.body;
        f->authorizations[f->asked] = fake_aws_header(&f->last, "authorization");
        f->dates[f->asked] = fake_aws_header(&f->last, "x-amz-date");
    }
    f->asked++;
    clock_fake_advance(&f->clock, s->took_ms);
    if (s->status == 0)
        return err_set(e, s->cls, s->reason, "POST host:443: failed");
    *ret = (struct http_response){.status = s->status, .sent = s->sent != 0 ? s->sent : 1};
    ret->body = arena_copy(a, str_from(s->body != NULL ? s->body : ""));
    ret->headers = arena_new_array(a, struct http_header, FAKE_AWS_HEADERS);
    for (size_t i = 0; i < FAKE_AWS_HEADERS && s->headers[i].name.len > 0; i++)
        ret->headers[ret->header_count++] = s->headers[i];
    return true;
}

static inline void fake_aws_init(struct fake_aws *f, int64_t unix_ms)
{
    *f = (struct fake_aws){.http = {.send = fake_aws_send}};
    f->http.impl = f;
    clock_fake_init(&f->clock, unix_ms);
}

static inline void fake_aws_fini(struct fake_aws *f)
{
    arena_fini(&f->arena);
}

/* From now on these answers. */
static inline void fake_aws_script(struct fake_aws *f, const struct fake_step *steps, size_t count)
{
    f->steps = steps;
    f->step_count = count;
    f->asked = 0;
}
