// SPDX-License-Identifier: Apache-2.0
/*
 * Operations, listing by pages and the small calls, against a scripted HTTP client.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "ecr/ecr.h"
#include "fake_aws.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    struct fake_aws aws;
    struct aws_credentials_provider *credentials;
    struct aws_client *client;
    struct buf names;
    const char *refused; /* an item that each() refuses */
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    struct aws_credentials *c = NULL;
    struct err e = ERR_INIT;
    struct aws_credentials_values v = {STR("AKID"), STR("SECRETKEY"), STR_NULL, 0, "x"};
    assert_true(aws_credentials_new(&v, &c, &e));
    fake_aws_init(&f->aws, 1700000000000);
    f->credentials = aws_credentials_static_new(c);
    f->names = BUF_INIT(100000);
    struct aws_client_options o = {.http = &f->aws.http,
                                   .credentials = f->credentials,
                                   .clock = &f->aws.clock.clock,
                                   .region = STR("eu-west-1"),
                                   .attempts_max = 1};
    assert_true(aws_client_new(&o, &f->client, &e));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    f->client = aws_client_free(f->client);
    f->credentials = aws_credentials_provider_free(f->credentials);
    buf_fini(&f->names);
    fake_aws_fini(&f->aws);
    mem_free(f);
    return 0;
}

static void test_table(void **state)
{
    (void)state;
    for (int op = 0; op < ECR_OPS; op++) {
        const struct ecr_op_info *info = ecr_op_info((enum ecr_op)op);
        char action[128];
        (void)snprintf(action, sizeof action, "ecr:%s", info->name);
        assert_string_equal(info->iam_action, action);
        struct str name = str_from(info->name);
        bool is_read = str_starts_with(name, STR("Get")) || str_starts_with(name, STR("List")) ||
                       str_starts_with(name, STR("Describe"));
        assert_int_equal(info->cls, is_read ? AWS_RATE_READ : AWS_RATE_WRITE);
    }
}

static void test_call(void **state)
{
    struct fixture *f = *state;
    struct aws_reply r BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct err e = ERR_INIT;
    const struct fake_step step = {.status = 200, .body = "{\"x\":[]}"};
    fake_aws_script(&f->aws, &step, 1);
    assert_true(ecr_call(f->client, ECR_UPDATE_REPOSITORY_CREATION_TEMPLATE,
                         STR("{\"prefix\":\"a\"}"), NULL, &r, &e));
    assert_true(
        str_eq_cstr(fake_aws_header(&f->aws.last, "x-amz-target"),
                    "AmazonEC2ContainerRegistry_V20150921.UpdateRepositoryCreationTemplate"));
    assert_true(str_eq_cstr(f->aws.last.body, "{\"prefix\":\"a\"}"));
    assert_true(json_is_array(json_get(r.json, "x")));
}

static bool collect(void *arg, const struct json *item, struct err *e)
{
    struct fixture *f = arg;
    struct str name = json_str_or_null(json_get(item, "repositoryName"));
    if (f->refused != NULL && str_eq_cstr(name, f->refused))
        return err_set(e, ERR_INVALID, "Refused", "refused");
    buf_append(&f->names, name);
    buf_append_char(&f->names, ' ');
    return true;
}

static bool list(struct fixture *f, const struct fake_step *steps, size_t count, char *id,
                 struct err *e)
{
    fake_aws_script(&f->aws, steps, count);
    buf_reset(&f->names);
    return ecr_list(f->client, ECR_DESCRIBE_REPOSITORIES, STR("{\"q\":[1]}"), NULL, collect, f, id,
                    e);
}

#define PAGE(ITEMS, TOKEN) "{\"registryId\":\"123456789012\",\"repositories\":[" ITEMS "]" TOKEN "}"
#define ITEM(NAME)         "{\"repositoryName\":\"" NAME "\"}"

static void test_list(void **state)
{
    struct fixture *f = *state;
    char id[ECR_REGISTRY_ID_MAX + 1];
    struct err e = ERR_INIT;
    const struct fake_step steps[] = {
        {.status = 200, .body = PAGE(ITEM("a") "," ITEM("b"), ",\"nextToken\":\"t\\\"1\"")},
        {.status = 200, .body = PAGE("", ",\"nextToken\":\"t2\"")},
        {.status = 200, .body = PAGE(ITEM("c"), ",\"nextToken\":null")},
    };
    assert_true(list(f, steps, ARRAY_SIZE(steps), id, &e));
    assert_string_equal(buf_cstr(&f->names), "a b c ");
    assert_string_equal(id, "123456789012");
    assert_int_equal(f->aws.asked, 3);
    assert_true(str_eq_cstr(f->aws.bodies[0], "{\"q\":[1],\"maxResults\":1000}"));
    assert_true(
        str_eq_cstr(f->aws.bodies[1], "{\"q\":[1],\"maxResults\":1000,\"nextToken\":\"t\\\"1\"}"));
    assert_true(
        str_eq_cstr(f->aws.bodies[2], "{\"q\":[1],\"maxResults\":1000,\"nextToken\":\"t2\"}"));
}

static void test_list_ends(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *body, *refused;
        const char *want_reason; /* NULL: success */
        size_t want_asked;
    } cases[] = {
        {"no list", "{}", NULL, NULL, 1},
        {"null", "{\"repositories\":null}", NULL, NULL, 1},
        {"empty token", PAGE(ITEM("a"), ",\"nextToken\":\"\""), NULL, NULL, 1},
        {"token repeats", PAGE(ITEM("a"), ",\"nextToken\":\"t\""), NULL, "BadResponse", 2},
        {"no array", "{\"repositories\":{}}", NULL, "BadResponse", 1},
        {"item refused", PAGE(ITEM("a"), ""), "a", "Refused", 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct fake_step step = {.status = 200, .body = cases[i].body};
        struct err e = ERR_INIT;
        char id[ECR_REGISTRY_ID_MAX + 1];
        f->refused = cases[i].refused;
        bool is_ok = list(f, &step, 1, id, &e);
        if (is_ok != (cases[i].want_reason == NULL) || f->aws.asked != cases[i].want_asked)
            fail_msg("%s: %s after %zu", cases[i].name, e.msg, f->aws.asked);
        if (!is_ok)
            assert_string_equal(e.reason, cases[i].want_reason);
    }
}

static void test_list_fails_as_the_call(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    const struct fake_step steps[] = {
        {.status = 200, .body = PAGE(ITEM("a"), ",\"nextToken\":\"t\"")},
        {.status = 400, .body = "{\"__type\":\"ThrottlingException\"}"},
    };
    assert_false(list(f, steps, ARRAY_SIZE(steps), NULL, &e));
    assert_int_equal(e.cls, ERR_THROTTLED);
}

static char endless_body[256];
static bool endless_send(void *impl, const struct http_request *rq, struct arena *a,
                         struct http_response *ret, struct err *e)
{
    struct fixture *f = impl;
    (void)snprintf(endless_body, sizeof endless_body, PAGE("", ",\"nextToken\":\"%zu\""),
                   f->aws.asked);
    f->aws.asked++;
    (void)rq;
    (void)e;
    *ret = (struct http_response){.status = 200, .body = arena_copy(a, str_from(endless_body))};
    return true;
}

static void test_endless_list_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    f->aws.http = (struct http_client){.send = endless_send, .impl = f};
    assert_false(
        ecr_list(f->client, ECR_DESCRIBE_REPOSITORIES, STR_NULL, NULL, collect, f, NULL, &e));
    assert_int_equal(f->aws.asked, ECR_PAGES_MAX);
    assert_string_equal(e.reason, "BadResponse");
}

static void test_registry_id(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"{\"registryId\":\"123456789012\",\"replicationConfiguration\":{}}", "123456789012"},
        {"{\"registryId\":\"1\"}", NULL},
        {"{\"registryId\":123456789012}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct fake_step step = {.status = 200, .body = cases[i].body};
        char id[ECR_REGISTRY_ID_MAX + 1];
        struct err e = ERR_INIT;
        fake_aws_script(&f->aws, &step, 1);
        assert_int_equal(ecr_registry_id(f->client, NULL, id, &e), cases[i].want != NULL);
        assert_string_equal(id, cases[i].want != NULL ? cases[i].want : "");
        assert_true(
            str_ends_with(fake_aws_header(&f->aws.last, "x-amz-target"), STR(".DescribeRegistry")));
    }
}

static void test_settings(void **state)
{
    struct fixture *f = *state;
    char value[ECR_SETTING_MAX + 1];
    struct err e = ERR_INIT;
    const struct fake_step step = {.status = 200,
                                   .body = "{\"name\":\"BLOB_MOUNTING\",\"value\":\"ENABLED\"}"};
    fake_aws_script(&f->aws, &step, 1);
    assert_true(ecr_account_setting_get(f->client, NULL, STR("BLOB_MOUNTING"), value, &e));
    assert_string_equal(value, "ENABLED");
    assert_true(str_eq_cstr(f->aws.last.body, "{\"name\":\"BLOB_MOUNTING\"}"));
    assert_true(ecr_account_setting_put(f->client, NULL, STR("BLOB_MOUNTING"), STR("ENABLED"),
                                        value, NULL, &e));
    assert_true(
        str_eq_cstr(f->aws.last.body, "{\"name\":\"BLOB_MOUNTING\",\"value\":\"ENABLED\"}"));
    assert_true(
        str_ends_with(fake_aws_header(&f->aws.last, "x-amz-target"), STR(".PutAccountSetting")));
    const struct fake_step bad = {.status = 200, .body = "{}"};
    fake_aws_script(&f->aws, &bad, 1);
    assert_false(ecr_account_setting_get(f->client, NULL, STR("BLOB_MOUNTING"), value, &e));
    assert_string_equal(e.reason, "BadResponse");
    err_clear(&e);
    const struct fake_step denied = {
        .status = 403, .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"};
    fake_aws_script(&f->aws, &denied, 1);
    assert_false(ecr_account_setting_put(f->client, NULL, STR("X"), STR("Y"), value, NULL, &e));
    assert_string_equal(e.msg, "account setting X: PutAccountSetting: AccessDeniedException: no");
    assert_string_equal(value, "");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_table),
        TEST(test_call),
        TEST(test_list),
        TEST(test_list_ends),
        TEST(test_list_fails_as_the_call),
        TEST(test_endless_list_is_bounded),
        TEST(test_registry_id),
        TEST(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
