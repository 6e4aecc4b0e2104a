// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON 1.1 client: one call with its attempts.
 */
#include "aws/client.h"

#include "aws/endpoint.h"
#include "aws/limiter.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/thread.h"
#include "client_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "json/json.h"
#include "sigv4_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENDPOINT_MAX = 1024, USER_AGENT_MAX = 512, REQUEST_HEADERS = 3 };

struct aws_client {
    struct aws_client_options o; /* its strings point to what follows */
    struct arena arena;
    struct str url;
    struct metric_family *requests;
    struct metric_family *durations;
    struct metric_family *throttled;
    struct metric_family *retries;
    struct metric_family *waits;
    const char *service;                 /* of the metrics */
    atomic_int_fast64_t expires_unix_ms; /* of the credentials that were used last; 0: never */
    struct stopper never;                /* what a call without a stopper waits on */
    pthread_mutex_t mutex;               /* of what follows */
    struct aws_retry_quota quota;
    int64_t skew_ms;
};

static double random_number(void *arg BERTH_UNUSED)
{
    uint32_t n = 0;
    crypto_random(&n, sizeof n);
    return (double)n / 4294967296.0;
}

/* The endpoint with a path, which is what is sent and signed. */
static bool make_url(struct str endpoint, struct arena *a, struct str *ret, struct err *e)
{
    struct sigv4_url parts;
    if (endpoint.len > ENDPOINT_MAX)
        return err_set(e, ERR_INVALID, "InvalidURL", "an endpoint must be shorter than %d bytes",
                       ENDPOINT_MAX);
    if (!sigv4_url_split(endpoint, &parts, e))
        return err_wrap(e, "endpoint %.*s", STR_ARG(endpoint));
    if (!str_is_null(parts.query))
        return err_set(e, ERR_INVALID, "InvalidURL", "endpoint %.*s must have no query",
                       STR_ARG(endpoint));
    *ret = arena_printf(a, "%.*s%s", STR_ARG(endpoint), parts.path.len == 0 ? "/" : "");
    return true;
}

static void declare_metrics(struct aws_client *c)
{
    static const double seconds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
    static const double wait_seconds[] = {0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
    struct metrics *m = c->o.metrics;
    c->requests = metrics_counter(m, "berth_aws_api_requests_total",
                                  "Requests sent to AWS, by operation and outcome.",
                                  "service,operation,outcome");
    c->durations = metrics_histogram(m, "berth_aws_api_request_duration_seconds",
                                     "How long one request to AWS took.", "service,operation",
                                     seconds, ARRAY_SIZE(seconds));
    c->throttled =
        metrics_counter(m, "berth_aws_api_throttled_total",
                        "Requests that AWS refused because of their rate.", "service,operation");
    c->retries = metrics_counter(m, "berth_aws_api_retries_total",
                                 "Requests that repeated one that failed.", "service,operation");
    c->waits = metrics_histogram(m, "berth_aws_rate_limit_wait_seconds",
                                 "How long a request waited for this process's own rate limit.",
                                 "share", wait_seconds, ARRAY_SIZE(wait_seconds));
}

bool aws_client_new(const struct aws_client_options *o, struct aws_client **ret, struct err *e)
{
    struct buf endpoint BERTH_CLEANUP(buf_fini) = BUF_INIT(ENDPOINT_MAX);
    *ret = NULL;
    if (!aws_region_validate(o->region, e))
        return err_wrap(e, "region \"%.*s\"", STR_ARG(str_cut_utf8(o->region, AWS_REGION_MAX)));
    if (str_is_empty(o->endpoint))
        aws_endpoint_default(o->region, &endpoint);
    else
        buf_append(&endpoint, o->endpoint);
    struct arena arena = ARENA_INIT;
    struct str url;
    if (!make_url(buf_ok(&endpoint) ? buf_str(&endpoint) : o->endpoint, &arena, &url, e)) {
        arena_fini(&arena);
        return false;
    }
    struct aws_client *c = mem_alloc(sizeof *c);
    c->o = *o;
    c->arena = arena;
    c->url = url;
    c->o.endpoint = arena_copy(&c->arena, buf_str(&endpoint));
    c->o.region = arena_copy(&c->arena, o->region);
    c->o.service = arena_copy(&c->arena, str_is_empty(o->service) ? STR("ecr") : o->service);
    c->service = c->o.service.ptr; /* NUL-terminated, as all copies of an arena */
    atomic_init(&c->expires_unix_ms, 0);
    c->o.user_agent =
        arena_copy(&c->arena, str_is_empty(o->user_agent) ? STR("berth") : o->user_agent);
    c->o.clock = o->clock != NULL ? o->clock : clock_system();
    c->o.random = o->random != NULL ? o->random : random_number;
    c->quota = AWS_RETRY_QUOTA_INIT;
    stopper_init(&c->never);
    (void)pthread_mutex_init(&c->mutex, NULL);
    declare_metrics(c);
    *ret = c;
    return true;
}

struct aws_client *aws_client_free(struct aws_client *c)
{
    if (c == NULL)
        return NULL;
    (void)pthread_mutex_destroy(&c->mutex);
    stopper_fini(&c->never);
    arena_fini(&c->arena);
    return mem_free(c);
}

struct str aws_client_region(const struct aws_client *c)
{
    return c->o.region;
}

struct str aws_client_endpoint(const struct aws_client *c)
{
    return c->o.endpoint;
}

const struct clock *aws_client_clock(const struct aws_client *c)
{
    return c->o.clock;
}

int64_t aws_client_skew_ms(struct aws_client *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    int64_t skew_ms = c->skew_ms;
    (void)pthread_mutex_unlock(&c->mutex);
    return skew_ms;
}

int64_t aws_client_credentials_expire_unix_ms(const struct aws_client *c)
{
    return atomic_load(&c->expires_unix_ms);
}

void aws_reply_fini(struct aws_reply *r)
{
    r->doc = json_doc_free(r->doc);
    r->json = NULL;
}

/* One call, as its attempts see it. */
struct call {
    struct aws_client *client;
    struct str target;
    const char *operation;
    enum aws_rate_class cls;
    struct str body;
    struct str user_agent;
    int64_t deadline_ms;
    struct stopper *stopper;
    bool is_skew_corrected;
    bool is_repeat;
};

static bool out_of_time(const struct call *c, struct err *e)
{
    return err_set(e, ERR_RETRY, "DeadlineExceeded", "%s: no time left", c->operation);
}

/* Builds, signs and sends. */
static bool exchange(const struct call *c, const struct aws_credentials *credentials,
                     int64_t signed_unix_ms, struct arena *a, struct http_response *ret,
                     struct err *e)
{
    struct aws_client *client = c->client;
    struct http_header headers[REQUEST_HEADERS + AWS_SIGV4_ADDS_MAX] = {
        {STR("content-type"), STR("application/x-amz-json-1.1")},
        {STR("x-amz-target"), c->target},
        {STR("user-agent"), c->user_agent},
    };
    struct aws_sigv4_request rq = {
        .method = "POST",
        .url = client->url,
        .headers = headers,
        .header_count = REQUEST_HEADERS,
        .payload = c->body,
        .credentials = credentials,
        .region = client->o.region,
        .service = client->o.service,
        .unix_ms = signed_unix_ms,
    };
    struct aws_sigv4_signed adds;
    if (!aws_sigv4_sign(&rq, a, &adds, e))
        return err_wrap(e, "%s", c->operation);
    for (size_t i = 0; i < adds.count; i++)
        headers[REQUEST_HEADERS + i] = adds.headers[i];
    int64_t left_ms = c->deadline_ms - clock_mono_ms(client->o.clock);
    if (left_ms <= 0)
        return out_of_time(c, e);
    struct http_request http = {
        .method = "POST",
        .url = client->url,
        .headers = headers,
        .header_count = REQUEST_HEADERS + adds.count,
        .body = c->body,
        .connect_timeout_ms = AWS_CONNECT_TIMEOUT_MS,
        .timeout_ms = left_ms < AWS_ATTEMPT_TIMEOUT_MS ? left_ms : AWS_ATTEMPT_TIMEOUT_MS,
        .max_body_bytes = AWS_REPLY_MAX_BYTES,
        .cancel = client->o.cancel,
    };
    return http_send(client->o.http, &http, a, ret, e) || err_wrap(e, "%s", c->operation);
}

/* A success: the answer as a document. Even an answer that says nothing is "{}": an empty one was
 * lost on the way, and taken for "{}" it would say that there are no templates. */
static bool read_reply(const struct call *c, const struct http_response *r, struct aws_reply *ret,
                       struct err *e)
{
    struct err why = ERR_INIT;
    aws_request_id(r, ret->request_id);
    if (!json_parse(r->body, AWS_REPLY_MAX_BYTES, &ret->doc, &why) ||
        !json_is_object(json_root(ret->doc))) {
        aws_reply_fini(ret);
        (void)err_set(e, ERR_RETRY, "BadResponse",
                      "%s: the answer is no JSON object: is the endpoint one of ECR's? %s%s%s%s",
                      c->operation, why.msg, ret->request_id[0] ? " (request id " : "",
                      ret->request_id, ret->request_id[0] ? ")" : "");
        e->http_status = r->status;
        return false;
    }
    ret->json = json_root(ret->doc);
    return true;
}

/* Learns AWS's clock from an answer that refuses the signature's date. */
static bool correct_skew(struct call *c, const struct err *e, const struct http_response *r,
                         int64_t signed_unix_ms)
{
    int64_t aws_unix_ms = 0;
    if (c->is_skew_corrected || !aws_is_skewed(e, r, signed_unix_ms, &aws_unix_ms))
        return false;
    int64_t skew_ms = aws_unix_ms - clock_unix_ms(c->client->o.clock);
    (void)pthread_mutex_lock(&c->client->mutex);
    c->client->skew_ms = skew_ms;
    (void)pthread_mutex_unlock(&c->client->mutex);
    c->is_skew_corrected = true;
    return true;
}

static void count_exchange(const struct call *c, int64_t began_ms, bool is_ok, const struct err *e)
{
    struct aws_client *client = c->client;
    const char *values[] = {client->service, c->operation,
                            is_ok ? "success" : err_class_name(e->cls)};
    double seconds = (double)(clock_mono_ms(client->o.clock) - began_ms) / 1000.0;
    metric_add(client->requests, values, 1);
    metric_observe(client->durations, values, seconds);
    if (c->is_repeat)
        metric_add(client->retries, values, 1);
    if (is_ok || e->cls != ERR_THROTTLED)
        return;
    metric_add(client->throttled, values, 1);
    if (client->o.limiter != NULL)
        aws_limiter_throttled(client->o.limiter);
}

/* Waits for the rate limit. */
static bool wait_for_rate(const struct call *c, struct err *e)
{
    static const char *const shares[AWS_RATE_CLASSES] = {
        [AWS_RATE_READ] = "read",
        [AWS_RATE_WRITE] = "write",
        [AWS_RATE_ADMISSION] = "admission",
    };
    const struct aws_client *client = c->client;
    if (client->o.limiter == NULL)
        return true;
    int64_t began_ms = clock_mono_ms(client->o.clock);
    if (!aws_limiter_take(client->o.limiter, c->cls, c->deadline_ms, c->stopper, e))
        return err_wrap(e, "%s", c->operation);
    double seconds = (double)(clock_mono_ms(client->o.clock) - began_ms) / 1000.0;
    metric_observe(client->waits, (const char *[]){shares[c->cls]}, seconds);
    return true;
}

/* One attempt; *ret_is_again: it failed by the clock, which is now corrected. */
static bool attempt(struct call *c, struct aws_reply *ret, bool *ret_is_again, struct err *e)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct aws_credentials *credentials BERTH_CLEANUP(aws_credentials_unrefp) = NULL;
    struct aws_client *client = c->client;
    struct http_response response = {0};
    *ret_is_again = false;
    if (!wait_for_rate(c, e))
        return false;
    if (!aws_credentials_get(client->o.credentials, &credentials, e))
        return err_wrap(e, "%s", c->operation);
    atomic_store(&client->expires_unix_ms, aws_credentials_expires_unix_ms(credentials));
    int64_t signed_unix_ms = clock_unix_ms(client->o.clock) + aws_client_skew_ms(client);
    int64_t began_ms = clock_mono_ms(client->o.clock);
    bool is_ok = exchange(c, credentials, signed_unix_ms, &arena, &response, e);
    /* AWS may have done what it was asked before the connection broke */
    if (is_ok && response.sent > 1)
        ret->attempts += response.sent - 1;
    if (is_ok) {
        is_ok = response.status >= 200 && response.status < 300
                    ? read_reply(c, &response, ret, e)
                    : aws_error_from(&response, c->operation, credentials, e);
        *ret_is_again = !is_ok && correct_skew(c, e, &response, signed_unix_ms);
    }
    count_exchange(c, began_ms, is_ok, e);
    return is_ok;
}

/* After a failure: waits for the next attempt; false where there is none and e stands. */
static bool wait_for_next(const struct call *c, struct aws_retry *retry, struct err *e)
{
    struct aws_client *client = c->client;
    int64_t delay_ms = 0;
    double random = client->o.random(client->o.random_arg);
    (void)pthread_mutex_lock(&client->mutex);
    bool is_again = aws_retry_next(retry, &client->quota, e, random, &delay_ms);
    (void)pthread_mutex_unlock(&client->mutex);
    /* a wait that ends after the deadline would only hide the cause */
    if (!is_again || clock_mono_ms(client->o.clock) + delay_ms >= c->deadline_ms)
        return false;
    if (stopper_wait_ms(c->stopper, delay_ms)) {
        e->cls = ERR_CANCELLED;
        return err_wrap(e, "stopped between attempts");
    }
    err_clear(e);
    return true;
}

static bool run(struct call *c, int attempts_max, struct aws_reply *ret, struct err *e)
{
    struct aws_retry retry = {.attempts_max = attempts_max};
    for (;;) {
        bool is_again = false;
        if (stopper_is_stopped(c->stopper))
            return err_set(e, ERR_CANCELLED, "Cancelled", "%s: stopped", c->operation);
        ret->attempts++;
        if (attempt(c, ret, &is_again, e))
            break;
        c->is_repeat = true;
        if (is_again) {
            err_clear(e);
            continue;
        }
        if (wait_for_next(c, &retry, e))
            continue;
        if (ret->attempts > 1)
            (void)err_wrap(e, "after %d attempts", ret->attempts);
        return false;
    }
    (void)pthread_mutex_lock(&c->client->mutex);
    aws_retry_succeeded(&retry, &c->client->quota);
    (void)pthread_mutex_unlock(&c->client->mutex);
    return true;
}

bool aws_json_call(struct aws_client *c, const char *target, enum aws_rate_class cls,
                   struct str body, const struct aws_scope *scope, struct aws_reply *ret,
                   struct err *e)
{
    static const struct aws_scope no_scope = {0};
    struct buf user_agent BERTH_CLEANUP(buf_fini) = BUF_INIT(USER_AGENT_MAX);
    struct str target_text = str_from(target);
    const struct aws_scope *s = scope != NULL ? scope : &no_scope;
    *ret = AWS_REPLY_INIT;
    buf_append(&user_agent, c->o.user_agent);
    buf_append(&user_agent, s->user_agent_suffix);
    struct call call = {
        .client = c,
        .target = target_text,
        .operation = target + str_rindex(target_text, '.') + 1,
        .cls = s->is_admission ? AWS_RATE_ADMISSION : cls,
        .body = str_is_empty(body) ? STR("{}") : body,
        .user_agent = buf_str(&user_agent),
        .deadline_ms = s->deadline_mono_ms != 0 ? s->deadline_mono_ms
                                                : clock_mono_ms(c->o.clock) + AWS_CALL_TIMEOUT_MS,
        .stopper = s->stopper != NULL ? s->stopper : &c->never,
    };
    return run(&call, s->attempts_max > 0 ? s->attempts_max : c->o.attempts_max, ret, e);
}
