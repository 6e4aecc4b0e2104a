// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook's handler: a call of the web server becomes a request, or is refused as malformed.
 */
#include "admission/admission.h"

#include "base/mem.h"
#include "request_priv.h"
#include "wanted_priv.h"
#include "web/server.h"

#include <time.h>

const char *const admission_malformed[2] = {"error", "Malformed"};

int64_t admission_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void declare_metrics(struct admission *a)
{
    static const double seconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,    0.25,  0.5,    1,     2.5,  5,     10};
    struct metrics *m = a->o.metrics;
    if (m == NULL)
        return;
    a->requests = metrics_counter(m, "berth_admission_requests_total",
                                  "Admission requests answered, by the worst of their images.",
                                  "decision,reason");
    a->seconds = metrics_histogram(
        m, "berth_admission_duration_seconds",
        "Time that a request took: decode, lookup, ecr (only where it waited for it), total.",
        "step", seconds, ARRAY_SIZE(seconds));
    admission_begin_metrics(a);
}

struct admission *admission_new(const struct admission_options *o)
{
    struct admission *a = mem_alloc(sizeof *a);
    a->o = *o;
    declare_metrics(a);
    return a;
}

struct admission *admission_free(struct admission *a)
{
    return a != NULL ? mem_free(a) : NULL;
}

void admission_set_server(struct admission *a, struct web_server *s)
{
    a->server = s;
}

static int64_t margin_ms(int64_t timeout_ms)
{
    const int64_t eighth = timeout_ms / 8;
    if (eighth < ADMISSION_MARGIN_MIN_MS)
        return ADMISSION_MARGIN_MIN_MS;
    return eighth < ADMISSION_MARGIN_MAX_MS ? eighth : ADMISSION_MARGIN_MAX_MS;
}

static struct request *request_new(struct admission *a, const struct web_call *call)
{
    struct request *r = mem_alloc(sizeof *r);
    const int64_t timeout_ms = review_timeout_ms(call->query);
    r->a = a;
    r->call_id = call->id;
    r->began_us = admission_now_us();
    r->deadline_mono_ms = call->started_mono_ms + timeout_ms - margin_ms(timeout_ms);
    if (r->deadline_mono_ms > call->deadline_mono_ms)
        r->deadline_mono_ms = call->deadline_mono_ms;
    return r;
}

static bool decode(struct request *r, struct buf *body, struct err *e)
{
    if (body->len > 0)
        buf_truncate(body,
                     review_prune(admission_kinds_wanted(r->a->o.kinds), body->ptr, body->len));
    return json_parse(buf_str(body), REVIEW_MAX_BYTES, &r->doc, e) &&
           review_decode(json_root(r->doc), &r->review, e);
}

/* Nobody who speaks the protocol sends such a thing: the API server then does what its
 * configuration's failurePolicy says. */
static void refuse(struct admission *a, const struct web_call *call, const struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(ERR_MSG_MAX + 32);
    buf_printf(&body, "not an admission review: %s\n", e->msg);
    metric_add(a->requests, admission_malformed, 1);
    log_warn(a->o.log, "admission request is malformed", KV_ERR(e));
    web_server_answer(a->server, call->id, 400, "text/plain; charset=utf-8", &body);
}

void admission_handle(void *arg, struct web_call *call)
{
    struct admission *a = arg;
    struct err e = ERR_INIT;
    struct request *r BERTH_CLEANUP(request_freep) = request_new(a, call);
    if (!decode(r, &call->body, &e)) {
        refuse(a, call, &e);
        return;
    }
    request_collect(r);
    const int64_t decoded_us = admission_now_us();
    metric_observe(a->seconds, (const char *[]){"decode"},
                   (double)(decoded_us - r->began_us) / 1e6);
    request_look_up(r);
    metric_observe(a->seconds, (const char *[]){"lookup"},
                   (double)(admission_now_us() - decoded_us) / 1e6);
    request_run(TAKE(r));
}
