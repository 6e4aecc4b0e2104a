// SPDX-License-Identifier: Apache-2.0
/*
 * Reading one template just after it was written: what is not there yet is no answer, unless a
 * delete may have taken it away.
 */
#include "fake_aws.h"
#include "registry_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEMPLATE                                                                                   \
    "{\"prefix\":\"app\",\"appliedFor\":[\"REPLICATION\"],\"createdAt\":1700000000,"               \
    "\"updatedAt\":1700000000}"

static const struct fake_step created = {.status = 200,
                                         .body = "{\"repositoryCreationTemplate\":" TEMPLATE "}"};
static const struct fake_step listed = {.status = 200,
                                        .body = "{\"repositoryCreationTemplates\":[" TEMPLATE "]}"};
static const struct fake_step empty = {.status = 200,
                                       .body = "{\"repositoryCreationTemplates\":[]}"};
static const struct fake_step absent = {
    .status = 400, .body = "{\"__type\":\"TemplateNotFoundException\",\"message\":\"no\"}"};
static const struct fake_step denied = {
    .status = 400, .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"};

struct fixture {
    struct fake_aws aws;
    struct aws_credentials_provider *credentials;
    struct registry *registry;
};

static void nothing(void *arg, struct str name)
{
    (void)arg;
    (void)name;
}

/* Not started: it reads nothing by itself. */
static void start(struct fixture *f)
{
    struct aws_credentials_values v = {STR("KEY"), STR("not-a-secret"), STR_NULL, 0, "x"};
    struct aws_credentials *credentials = NULL;
    struct err e = ERR_INIT;
    fake_aws_init(&f->aws, 1700000000000);
    assert_true(aws_credentials_new(&v, &credentials, &e));
    f->credentials = aws_credentials_static_new(credentials);
    const struct registry_options o = {.name = STR("default"),
                                       .region = STR("eu-west-1"),
                                       .http = &f->aws.http,
                                       .credentials = f->credentials,
                                       .clock = &f->aws.clock.clock,
                                       .on_read = nothing};
    const struct registry_config config = {.requests_per_second = 1000};
    if (!registry_new(&o, &config, &f->registry, &e))
        fail_msg("%s", e.msg);
}

static void stop(struct fixture *f)
{
    f->registry = registry_unref(f->registry);
    aws_credentials_provider_free(f->credentials);
    fake_aws_fini(&f->aws);
}

static void create(struct fixture *f)
{
    static struct str applied[] = {{STR_INIT("REPLICATION")}};
    const struct api_template_spec spec = {.prefix = STR("app"), .applied_for = {applied, 1}};
    struct err e = ERR_INIT;
    int attempts = 0;
    fake_aws_script(&f->aws, &created, 1);
    if (registry_template_create(f->registry, &spec, NULL, &attempts, NULL, &e) != REGISTRY_OK)
        fail_msg("%s", e.msg);
}

static enum registry_result read_it(struct fixture *f, const struct fake_step *answer,
                                    struct err *e)
{
    struct registry_template t BERTH_CLEANUP(registry_template_fini) = {0};
    fake_aws_script(&f->aws, answer, 1);
    enum registry_result result = registry_template_read(f->registry, STR("app/"), NULL, &t, e);
    assert_int_equal(result == REGISTRY_OK, t.value != NULL);
    return result;
}

static bool is_known(struct fixture *f)
{
    struct registry_template t BERTH_CLEANUP(registry_template_fini) = {0};
    registry_template_get(f->registry, STR("app"), &t);
    return t.value != NULL;
}

static void what_was_just_written_is_not_absent(void **state)
{
    (void)state;
    const struct fake_step *answers[] = {&empty, &absent};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct fixture f;
        struct err e = ERR_INIT;
        start(&f);
        create(&f);
        clock_fake_advance(&f.aws.clock, REGISTRY_READ_LAG_MS - 1);
        assert_int_equal(read_it(&f, answers[i], &e), REGISTRY_FAILED);
        assert_int_equal(e.cls, ERR_RETRY);
        assert_string_equal(e.reason, "StaleRead");
        assert_true(is_known(&f));
        err_clear(&e);
        clock_fake_advance(&f.aws.clock, 1);
        assert_int_equal(read_it(&f, answers[i], &e), REGISTRY_NOT_FOUND);
        assert_false(err_is_set(&e));
        assert_false(is_known(&f));
        stop(&f);
    }
}

static void what_is_there_is_believed(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = ERR_INIT;
    start(&f);
    create(&f);
    assert_int_equal(read_it(&f, &listed, &e), REGISTRY_OK);
    stop(&f);
}

static void what_we_never_wrote_is_absent(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = ERR_INIT;
    start(&f);
    assert_int_equal(read_it(&f, &empty, &e), REGISTRY_NOT_FOUND);
    stop(&f);
}

static void a_delete_that_failed_may_have_been_done(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = ERR_INIT;
    start(&f);
    create(&f);
    fake_aws_script(&f.aws, &denied, 1);
    assert_int_equal(registry_template_delete(f.registry, STR("app"), NULL, NULL, &e),
                     REGISTRY_FAILED);
    err_clear(&e);
    assert_true(is_known(&f));
    assert_int_equal(read_it(&f, &empty, &e), REGISTRY_NOT_FOUND);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_just_written_is_not_absent),
        cmocka_unit_test(what_is_there_is_believed),
        cmocka_unit_test(what_we_never_wrote_is_absent),
        cmocka_unit_test(a_delete_that_failed_may_have_been_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
