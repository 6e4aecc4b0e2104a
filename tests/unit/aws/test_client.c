// SPDX-License-Identifier: Apache-2.0
/*
 * One call with its attempts, against a scripted HTTP client and a clock that stands still.
 */
#include "aws/client.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/thread.h"
#include "fake_aws.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TARGET "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
static const struct fake_step ok_step = {
    .status = 200,
    .body = "{\"a\":1}",
    .headers = {{{STR_INIT("x-amzn-requestid")}, {STR_INIT("r-ok")}}}};

struct fixture {
    struct fake_aws aws;
    struct aws_credentials_provider *credentials;
    struct metrics *metrics;
    struct aws_limiter *limiter;
    struct aws_client *client;
    double random;
    int64_t wait_ms; /* how far the clock goes on between attempts */
};

static double fixed_random(void *arg)
{
    struct fixture *f = arg;
    clock_fake_advance(&f->aws.clock, f->wait_ms);
    return f->random;
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    struct aws_credentials *c = NULL;
    struct err e = ERR_INIT;
    struct aws_credentials_values v = {STR("AKID"), STR("SECRETKEY"), STR("SESSIONTOKEN"), 0, "x"};
    assert_true(aws_credentials_new(&v, &c, &e));
    fake_aws_init(&f->aws, 1700000000000);
    f->wait_ms = 1000;
    f->credentials = aws_credentials_static_new(c);
    f->metrics = metrics_new();
    f->limiter = aws_limiter_new(100, &f->aws.clock.clock);
    struct aws_client_options o = {
        .http = &f->aws.http,
        .credentials = f->credentials,
        .clock = &f->aws.clock.clock,
        .limiter = f->limiter,
        .metrics = f->metrics,
        .region = STR("eu-west-1"),
        .user_agent = STR("berth/1"),
        .random = fixed_random,
        .random_arg = f,
    };
    assert_true(aws_client_new(&o, &f->client, &e));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    f->client = aws_client_free(f->client);
    f->limiter = aws_limiter_free(f->limiter);
    f->metrics = metrics_free(f->metrics);
    f->credentials = aws_credentials_provider_free(f->credentials);
    fake_aws_fini(&f->aws);
    mem_free(f);
    return 0;
}

static bool call(struct fixture *f, const struct fake_step *steps, size_t count,
                 const struct aws_scope *scope, struct aws_reply *ret, struct err *e)
{
    fake_aws_script(&f->aws, steps, count);
    return aws_json_call(f->client, TARGET, AWS_RATE_READ, STR("{\"q\":1}"), scope, ret, e);
}

static void assert_metric(struct fixture *f, const char *line)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1024 * 1024);
    metrics_render(f->metrics, &out);
    if (!str_contains(buf_str(&out), str_from(line)))
        fail_msg("no %s in\n%s", line, buf_cstr(&out));
}

static void test_request(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    struct aws_scope scope = {.user_agent_suffix = STR(" reconcile/7")};
    assert_true(call(f, &ok_step, 1, &scope, &r, &e));
    assert_int_equal(json_i64_or(json_get(r.json, "a"), 0), 1);
    assert_string_equal(r.request_id, "r-ok");
    assert_int_equal(r.attempts, 1);
    const struct http_request *rq = &f->aws.last;
    assert_string_equal(rq->method, "POST");
    assert_true(str_eq_cstr(rq->url, "https://api.ecr.eu-west-1.amazonaws.com/"));
    assert_true(str_eq_cstr(rq->body, "{\"q\":1}"));
    assert_true(str_eq_cstr(fake_aws_header(rq, "x-amz-target"), TARGET));
    assert_true(str_eq_cstr(fake_aws_header(rq, "content-type"), "application/x-amz-json-1.1"));
    assert_true(str_eq_cstr(fake_aws_header(rq, "user-agent"), "berth/1 reconcile/7"));
    assert_true(str_eq_cstr(fake_aws_header(rq, "x-amz-date"), "20231114T221320Z"));
    assert_true(str_eq_cstr(fake_aws_header(rq, "x-amz-security-token"), "SESSIONTOKEN"));
    assert_true(str_starts_with(
        fake_aws_header(rq, "authorization"),
        STR("AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-west-1/ecr/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, ")));
    assert_int_equal(rq->max_body_bytes, AWS_REPLY_MAX_BYTES);
    assert_int_equal(rq->timeout_ms, AWS_ATTEMPT_TIMEOUT_MS);
    assert_metric(
        f,
        "berth_aws_api_requests_total{service=\"ecr\",operation=\"DescribeRepositories\",outcome="
        "\"success\"} 1\n");
}

static void test_an_answer_without_request_id(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    assert_true(call(f, &(struct fake_step){.status = 200, .body = "{}"}, 1, NULL, &r, &e));
    assert_true(json_is_object(r.json));
    assert_string_equal(r.request_id, "");
}

static void test_retries(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    const struct fake_step steps[] = {
        {.cls = ERR_RETRY, .reason = "ConnectionLost"},
        {.status = 400,
         .body = "{\"__type\":\"ThrottlingException\",\"message\":\"Rate "
                 "exceeded\"}"},
        ok_step,
    };
    assert_true(call(f, steps, ARRAY_SIZE(steps), NULL, &r, &e));
    assert_false(err_is_set(&e));
    assert_int_equal(r.attempts, 3);
    assert_metric(
        f,
        "berth_aws_api_requests_total{service=\"ecr\",operation=\"DescribeRepositories\",outcome="
        "\"throttled\"} 1\n");
    assert_metric(
        f,
        "berth_aws_api_requests_total{service=\"ecr\",operation=\"DescribeRepositories\",outcome="
        "\"retry\"} 1\n");
    assert_metric(
        f, "berth_aws_api_throttled_total{service=\"ecr\",operation=\"DescribeRepositories\"} 1\n");
    assert_metric(
        f, "berth_aws_api_retries_total{service=\"ecr\",operation=\"DescribeRepositories\"} 2\n");
    assert_metric(f, "berth_aws_api_request_duration_seconds_count{service=\"ecr\",operation="
                     "\"DescribeRepositories\"} 3\n");
    assert_metric(f, "berth_aws_rate_limit_wait_seconds_count{share=\"read\"} 3\n");
    assert_true(aws_limiter_rate(f->limiter) < 75);
}

static void test_gives_up(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct fake_step step;
        enum err_class cls;
        const char *reason;
        size_t attempts;
        const char *msg;
    } cases[] = {
        {{.status = 429, .body = "slow"},
         ERR_THROTTLED,
         "HTTP429",
         3,
         "after 3 attempts: DescribeRepositories: HTTP429: slow"},
        {{.status = 500, .body = "{\"__type\":\"ServerException\"}"},
         ERR_RETRY,
         "ServerException",
         3,
         "after 3 attempts: DescribeRepositories: ServerException"},
        {{.cls = ERR_RETRY, .reason = "Timeout"},
         ERR_RETRY,
         "Timeout",
         3,
         "after 3 attempts: DescribeRepositories: POST host:443: failed"},
        {{.status = 200, .body = "<html>"}, ERR_RETRY, "BadResponse", 3, NULL},
        {{.status = 200, .body = "[]"}, ERR_RETRY, "BadResponse", 3, NULL},
        {{.status = 200, .body = ""}, ERR_RETRY, "BadResponse", 3, NULL},
        {{.status = 200}, ERR_RETRY, "BadResponse", 3, NULL},
        {{.cls = ERR_INVALID, .reason = "TooLarge"}, ERR_INVALID, "TooLarge", 1, NULL},
        {{.status = 400, .body = "{\"__type\":\"LimitExceededException\"}"},
         ERR_QUOTA,
         "LimitExceededException",
         1,
         "DescribeRepositories: LimitExceededException"},
        {{.status = 400, .body = "{\"__type\":\"ValidationException\",\"message\":\"no\"}"},
         ERR_INVALID,
         "ValidationException",
         1,
         "DescribeRepositories: ValidationException: no"},
        {{.status = 403, .body = "{\"__type\":\"AccessDeniedException\"}"},
         ERR_DENIED,
         "AccessDeniedException",
         1,
         NULL},
        {{.status = 403,
          .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"no "
                  "match\"}"},
         ERR_CREDENTIALS,
         "InvalidSignatureException",
         1,
         NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
        struct err e = ERR_INIT;
        clock_fake_advance(&f->aws.clock, 120000); /* the limiter recovers */
        assert_false(call(f, &cases[i].step, 1, NULL, &r, &e));
        if (e.cls != cases[i].cls || f->aws.asked != cases[i].attempts)
            fail_msg("case %zu: %s after %zu", i, e.msg, f->aws.asked);
        assert_string_equal(e.reason, cases[i].reason);
        assert_null(r.doc);
        if (cases[i].msg != NULL)
            assert_string_equal(e.msg, cases[i].msg);
    }
}

static void test_skew_is_corrected_once(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    const struct fake_step expired = {
        .status = 403,
        .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: x\"}",
        .headers = {{STR("Date"), STR("Tue, 14 Nov 2023 23:13:20 GMT")}},
    };
    const struct fake_step steps[] = {expired, ok_step};
    assert_true(call(f, steps, 2, NULL, &r, &e));
    assert_int_equal(aws_client_skew_ms(f->client), 3600000);
    assert_true(str_eq_cstr(f->aws.dates[0], "20231114T221320Z"));
    assert_true(str_eq_cstr(f->aws.dates[1], "20231114T231320Z"));
    aws_reply_fini(&r);
    /* what follows is signed with AWS's time at once, and a second refusal stands */
    assert_false(call(f, &expired, 1, NULL, &r, &e));
    assert_int_equal(f->aws.asked, 1);
    assert_true(str_eq_cstr(f->aws.dates[0], "20231114T231320Z"));
    assert_int_equal(e.cls, ERR_CREDENTIALS);
}

static void test_deadline(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    struct fake_step lost = {.cls = ERR_RETRY, .reason = "ConnectionLost"};
    struct aws_scope scope = {.deadline_mono_ms = clock_mono_ms(&f->aws.clock.clock) + 400};
    f->random = 0.5; /* the first wait is 500 ms */
    f->wait_ms = 0;
    assert_false(call(f, &lost, 1, &scope, &r, &e));
    assert_int_equal(f->aws.asked, 1);
    assert_int_equal(f->aws.last.timeout_ms, 400);
    assert_string_equal(e.reason, "ConnectionLost");
    err_clear(&e);
    clock_fake_advance(&f->aws.clock, 400);
    assert_false(call(f, &lost, 1, &scope, &r, &e));
    assert_int_equal(f->aws.asked, 0);
    assert_int_equal(e.cls, ERR_RETRY);
    assert_string_equal(e.reason, "DeadlineExceeded");
}

/* What was sent twice may have been done twice: whoever creates something has to know. */
static void test_what_libcurl_sends_again_is_an_attempt(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    const struct fake_step step = {
        .status = 400, .body = "{\"__type\":\"TemplateAlreadyExistsException\"}", .sent = 2};
    assert_false(call(f, &step, 1, NULL, &r, &e));
    assert_int_equal(e.cls, ERR_CONFLICT);
    assert_int_equal(r.attempts, 2);
}

static void test_scope_limits_attempts(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    struct aws_scope scope = {.attempts_max = 1};
    assert_false(call(f, &(struct fake_step){.status = 500}, 1, &scope, &r, &e));
    assert_int_equal(f->aws.asked, 1);
    assert_string_equal(e.msg, "DescribeRepositories: HTTP500");
}

static void test_stopper(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    struct stopper stopper;
    stopper_init(&stopper);
    stopper_stop(&stopper);
    struct aws_scope scope = {.stopper = &stopper};
    assert_false(call(f, &ok_step, 1, &scope, &r, &e));
    assert_int_equal(f->aws.asked, 0);
    assert_int_equal(e.cls, ERR_CANCELLED);
    stopper_fini(&stopper);
}

static void test_rate_limit(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    struct aws_scope scope = {.deadline_mono_ms = clock_mono_ms(&f->aws.clock.clock) + 100};
    aws_limiter_set_rate(f->limiter, 1);
    assert_true(call(f, &ok_step, 1, &scope, &r, &e));
    aws_reply_fini(&r);
    assert_false(call(f, &ok_step, 1, &scope, &r, &e));
    assert_int_equal(f->aws.asked, 0);
    assert_string_equal(e.reason, "RateLimited");
}

static void test_no_credentials(void **state)
{
    struct fixture *f = *state;
    struct aws_client *client BERTH_CLEANUP(aws_client_freep) = NULL;
    struct aws_credentials_provider *none BERTH_CLEANUP(aws_credentials_provider_freep) = NULL;
    struct aws_reply r = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    (void)unsetenv("AWS_ACCESS_KEY_ID");
    (void)unsetenv("AWS_SECRET_ACCESS_KEY");
    none = aws_credentials_env_new();
    struct aws_client_options o = {.http = &f->aws.http,
                                   .credentials = none,
                                   .clock = &f->aws.clock.clock,
                                   .region = STR("eu-west-1")};
    assert_true(aws_client_new(&o, &client, &e));
    fake_aws_script(&f->aws, &ok_step, 1);
    assert_false(aws_json_call(client, TARGET, AWS_RATE_READ, STR_NULL, NULL, &r, &e));
    assert_int_equal(f->aws.asked, 0);
    assert_int_equal(e.cls, ERR_CREDENTIALS);
    assert_string_equal(e.reason, "NoCredentials");
}

static void test_options(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *region, *endpoint;
        const char *want_url; /* NULL: refused */
    } cases[] = {
        {"cn-north-1", NULL, "https://api.ecr.cn-north-1.amazonaws.com.cn/"},
        {"eu-west-1", "http://127.0.0.1:4566", "http://127.0.0.1:4566/"},
        {"eu-west-1", "https://vpce.example/", "https://vpce.example/"},
        {"eu-west-1", "https://vpce.example/ecr", "https://vpce.example/ecr"},
        {"eu-west-1", "https://vpce.example/?x", NULL},
        {"eu-west-1", "vpce.example", NULL},
        {"eu-west-1.evil", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_client *c BERTH_CLEANUP(aws_client_freep) = NULL;
        struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
        struct err e = ERR_INIT;
        struct aws_client_options o = {.http = &f->aws.http,
                                       .credentials = f->credentials,
                                       .clock = &f->aws.clock.clock,
                                       .region = str_from(cases[i].region),
                                       .endpoint = str_from(cases[i].endpoint)};
        if (aws_client_new(&o, &c, &e) != (cases[i].want_url != NULL))
            fail_msg("case %zu: %s", i, e.msg);
        if (c == NULL) {
            assert_int_equal(e.cls, ERR_INVALID);
            continue;
        }
        fake_aws_script(&f->aws, &ok_step, 1);
        assert_true(aws_json_call(c, TARGET, AWS_RATE_READ, STR_NULL, NULL, &r, &e));
        assert_true(str_eq_cstr(f->aws.last.url, cases[i].want_url));
        assert_true(str_eq_cstr(f->aws.last.body, "{}"));
        assert_true(str_eq_cstr(aws_client_region(c), cases[i].region));
    }
    assert_null(aws_client_free(NULL));
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request),
        TEST(test_an_answer_without_request_id),
        TEST(test_retries),
        TEST(test_gives_up),
        TEST(test_skew_is_corrected_once),
        TEST(test_deadline),
        TEST(test_what_libcurl_sends_again_is_an_attempt),
        TEST(test_scope_limits_attempts),
        TEST(test_stopper),
        TEST(test_rate_limit),
        TEST(test_no_credentials),
        TEST(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
