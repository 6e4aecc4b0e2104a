// SPDX-License-Identifier: Apache-2.0
/*
 * Fault rules by the clock: the bucket of a throttle, and whom a rule is for. What rules do to
 * requests is tests/contract/test_emulator_faults.py.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "fault_priv.h"
#include "limits_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct clock_fake clock;
    struct emu_faults *faults;
    struct arena arena;
};

static void start(struct fixture *f)
{
    *f = (struct fixture){0};
    clock_fake_init(&f->clock, 1700000000000);
    f->faults = emu_faults_new(&f->clock.clock);
}

static void stop(struct fixture *f)
{
    emu_faults_stop(f->faults);
    f->faults = emu_faults_free(f->faults);
    arena_fini(&f->arena);
}

static uint64_t add(struct fixture *f, const char *json)
{
    struct err e = ERR_INIT;
    uint64_t id = 0;

    if (!emu_faults_add(f->faults, str_from(json), &id, &e))
        fail_msg("%s: %s", json, e.msg);
    return id;
}

static struct emu_fault ask(struct fixture *f, const char *api, const char *operation)
{
    struct emu_fault_subject subject = {.api = str_from(api),
                                        .operation = str_from(operation),
                                        .access_key_id = STR("key"),
                                        .name = STR("team/app"),
                                        .action = STR("ecr:Something"),
                                        .resource = STR("arn:r"),
                                        .caller = STR("arn:c")};

    return emu_faults_choose(f->faults, &subject, &f->arena);
}

static bool is_refused(struct fixture *f)
{
    struct emu_fault fault = ask(f, "ecr", "X");

    return emu_fault_is_refusal(&fault);
}

static void bucket_fills_with_time(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    (void)add(&f, "{\"throttle\":{\"perSecond\":2,\"burst\":3}}");
    for (int i = 0; i < 3; i++)
        assert_false(is_refused(&f));
    assert_true(is_refused(&f));
    clock_fake_advance(&f.clock, 499);
    assert_true(is_refused(&f));
    clock_fake_advance(&f.clock, 1);
    assert_false(is_refused(&f));
    assert_true(is_refused(&f));
    /* never more than the burst */
    clock_fake_advance(&f.clock, 3600 * 1000);
    for (int i = 0; i < 3; i++)
        assert_false(is_refused(&f));
    assert_true(is_refused(&f));
    stop(&f);
}

static void slow_bucket_has_a_burst_of_one(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    (void)add(&f, "{\"throttle\":{\"perSecond\":0.5}}");
    assert_false(is_refused(&f));
    assert_true(is_refused(&f));
    clock_fake_advance(&f.clock, 2000);
    assert_false(is_refused(&f));
    stop(&f);
}

static void a_bucket_with_tokens_lets_later_rules_look(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    uint64_t first = add(&f, "{\"throttle\":{\"perSecond\":1,\"burst\":1}}");
    uint64_t second = add(&f, "{\"fail\":{}}");
    assert_int_equal(ask(&f, "ecr", "X").rule, second);
    assert_int_equal(ask(&f, "ecr", "X").rule, first);
    assert_true(emu_faults_remove(f.faults, first));
    assert_false(emu_faults_remove(f.faults, first));
    assert_int_equal(ask(&f, "ecr", "X").rule, second);
    stop(&f);
}

static const struct {
    const char *rule;
    const char *api;
    const char *operation;
    enum emu_fault_effect want;
} whom[] = {
    {"{\"fail\":{}}", "v2", "GET /v2/", EMU_FAULT_FAIL},
    {"{\"match\":{\"api\":\"ecr\"},\"fail\":{}}", "v2", "GET /v2/", EMU_FAULT_NONE},
    {"{\"match\":{\"api\":\"sts\"},\"fail\":{}}", "sts", "GetCallerIdentity", EMU_FAULT_FAIL},
    {"{\"match\":{\"operation\":\"Put*\"},\"fail\":{}}", "ecr", "PutImage", EMU_FAULT_FAIL},
    {"{\"match\":{\"operation\":\"Put*\"},\"fail\":{}}", "ecr", "put", EMU_FAULT_NONE},
    {"{\"match\":{\"operation\":\"Put\"},\"fail\":{}}", "ecr", "PutImage", EMU_FAULT_NONE},
    {"{\"match\":{\"operation\":\"PUT /v2/*/manifests/*\"},\"fail\":{}}", "v2",
     "PUT /v2/a/b/manifests/v1", EMU_FAULT_FAIL},
    {"{\"match\":{\"operation\":\"PUT /v2/*/manifests/*\"},\"fail\":{}}", "v2",
     "GET /v2/a/b/manifests/v1", EMU_FAULT_NONE},
    {"{\"match\":{\"accessKeyId\":\"k*\"},\"fail\":{}}", "ecr", "X", EMU_FAULT_FAIL},
    {"{\"match\":{\"userAgent\":\"x*\"},\"fail\":{}}", "ecr", "X", EMU_FAULT_NONE},
    {"{\"match\":{\"name\":\"team/*\"},\"fail\":{}}", "ecr", "X", EMU_FAULT_FAIL},
    {"{\"match\":{\"name\":\"team/app\"},\"fail\":{}}", "v2", "X", EMU_FAULT_FAIL},
    {"{\"match\":{\"name\":\"team\"},\"fail\":{}}", "ecr", "X", EMU_FAULT_NONE},
    {"{\"expire\":\"key\"}", "ecr", "X", EMU_FAULT_EXPIRE},
    {"{\"expire\":\"key2\"}", "ecr", "X", EMU_FAULT_NONE},
    {"{\"deny\":{\"action\":\"ecr:Some*\",\"resource\":\"arn:*\"}}", "ecr", "X", EMU_FAULT_DENY},
    {"{\"deny\":{\"action\":\"ecr:Some*\",\"resource\":\"arn:x\"}}", "ecr", "X", EMU_FAULT_NONE},
    {"{\"deny\":{\"action\":\"ecr:Other\"}}", "ecr", "X", EMU_FAULT_NONE},
    /* reads, and writes of templates, only */
    {"{\"stale\":{\"ms\":1}}", "ecr", "DescribeRepositories", EMU_FAULT_STALE},
    {"{\"stale\":{\"ms\":1}}", "ecr", "CreateRepository", EMU_FAULT_NONE},
    {"{\"stale\":{\"ms\":1}}", "v2", "DescribeRepositories", EMU_FAULT_NONE},
    {"{\"normalise\":{\"description\":\"x\"}}", "ecr", "UpdateRepositoryCreationTemplate",
     EMU_FAULT_NORMALISE},
    {"{\"normalise\":{\"description\":\"x\"}}", "ecr", "CreateRepository", EMU_FAULT_NONE},
};

static void whom_a_rule_is_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(whom); i++) {
        struct fixture f;

        start(&f);
        (void)add(&f, whom[i].rule);
        struct emu_fault got = ask(&f, whom[i].api, whom[i].operation);
        if (got.effect != whom[i].want)
            fail_msg("%s for %s %s: effect %d", whom[i].rule, whom[i].api, whom[i].operation,
                     (int)got.effect);
        assert_int_equal(got.rule != 0, whom[i].want != EMU_FAULT_NONE);
        stop(&f);
    }
}

static const struct {
    const char *rule;
    const char *api;
    int status;
    const char *type;
    const char *message;
} said[] = {
    {"{\"fail\":{}}", "ecr", 500, "InternalFailure", "The request processing has failed."},
    {"{\"fail\":{\"status\":503,\"type\":\"T\",\"message\":\"m\"}}", "ecr", 503, "T", "m"},
    {"{\"fail\":{}}", "v2", 500, "UNKNOWN", "The request processing has failed."},
    {"{\"quota\":\"full\"}", "ecr", 400, "LimitExceededException", "full"},
    {"{\"quota\":\"full\"}", "v2", 403, "DENIED", "full"},
    {"{\"deny\":{\"action\":\"*\",\"status\":403}}", "ecr", 403, "AccessDeniedException",
     "User: arn:c is not authorized to perform: ecr:Something on resource: arn:r because no "
     "identity-based policy allows the ecr:Something action"},
};

static void what_a_refusal_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        struct fixture f;

        start(&f);
        (void)add(&f, said[i].rule);
        struct emu_fault got = ask(&f, said[i].api, "X");
        /* its texts are the request's: the rule may go */
        emu_faults_clear(f.faults);
        assert_true(emu_fault_is_refusal(&got));
        assert_int_equal(got.status, said[i].status);
        assert_true(str_eq_cstr(got.type, said[i].type));
        assert_true(str_eq_cstr(got.message, said[i].message));
        stop(&f);
    }
}

static void without_rules(void **state)
{
    struct emu_fault_subject subject = {.api = STR("ecr")};
    struct arena arena = ARENA_INIT;

    (void)state;
    assert_int_equal(emu_faults_choose(NULL, &subject, &arena).effect, EMU_FAULT_NONE);
    emu_faults_wait(NULL, 1000000);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_fills_with_time),
        cmocka_unit_test(slow_bucket_has_a_burst_of_one),
        cmocka_unit_test(a_bucket_with_tokens_lets_later_rules_look),
        cmocka_unit_test(whom_a_rule_is_for),
        cmocka_unit_test(what_a_refusal_says),
        cmocka_unit_test(without_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
