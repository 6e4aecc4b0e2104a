// SPDX-License-Identifier: Apache-2.0
/*
 * Creations: the calls in their order, one creation however many ask, which errors are tried again,
 * and what is ours: a lost answer, somebody who is faster, somebody who comes in between.
 */
#include "engine.h"

static void what_is_missing_is_made_whole(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    ask(&q, g, "team/app", WAIT_MS);
    assert_int_equal(answer_of(&q), ENSURE_CREATED);
    assert_int_equal(q.probed, 1);
    assert_int_equal(q.at_probe[0], ENSURE_ABSENT);
    assert_true(str_eq_cstr(q.items[0].template, "team"));
    assert_false(err_is_set(&q.items[0].error));
    static const char *const calls[] = {"DescribeRepositories team/app",
                                        "CreateRepository team/app", "SetRepositoryPolicy team/app",
                                        "PutLifecyclePolicy team/app"};
    assert_int_equal(g->ecr.asked, ARRAY_SIZE(calls));
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        assert_string_equal(g->ecr.log[i], calls[i]);
    const struct fake_repository *r = fake_ecr_find(&g->ecr, "team/app");
    assert_string_equal(r->tag, "team");
    assert_string_equal(r->policy, POLICY);
    assert_string_equal(r->lifecycle, LIFECYCLE);
    assert_true(engine_has_news(g, "RepositoryCreated team/app"));
    asked_fini(&q);
    assert_int_equal(registry_repository_find(g->registry, STR("team/app")), REGISTRY_PRESENT);
    engine_free(g);
}

static void what_is_there_stays_as_it_is(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/app", "");
    assert_int_equal(outcome_of(g, "team/app", NULL), ENSURE_PRESENT);
    assert_int_equal(g->ecr.asked, 1);
    engine_free(g);
}

static void however_many_ask_it_is_made_once(void **state)
{
    (void)state;
    enum { MANY = 40 };
    struct engine *g = engine_new();
    struct asked *q = mem_alloc_array(MANY, sizeof *q);
    engine_start(g);
    fake_ecr_upset(&g->ecr, "CreateRepository", NULL, 0, FAKE_HANG);
    for (int i = 0; i < MANY; i++)
        ask(&q[i], g, "team/app", WAIT_MS);
    for (int i = 0; i < MANY; i++)
        assert_true(asked_wait_probed(&q[i]));
    assert_true(fake_ecr_wait(&g->ecr, 1));
    fake_ecr_release(&g->ecr);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(answer_of(&q[i]), ENSURE_CREATED);
        assert_true(str_eq_cstr(q[i].items[0].template, "team"));
        asked_fini(&q[i]);
    }
    assert_int_equal(fake_ecr_asked(&g->ecr, "CreateRepository"), 1);
    assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy"), 1);
    assert_int_equal(fake_ecr_asked(&g->ecr, "PutLifecyclePolicy"), 1);
    assert_int_equal(ensure_parked(g->ensure), 0);
    mem_free(q);
    engine_free(g);
}

/* --- errors ----------------------------------------------------------------------------------- */

static void some_errors_are_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *operation;
        int status;
        const char *code;
        int count; /* more than the client's own three attempts */
        bool is_over;
    } cases[] = {
        {"SetRepositoryPolicy", 400, "RepositoryNotFoundException", 2, false},
        {"PutLifecyclePolicy", 400, "RepositoryNotFoundException", 2, false},
        {"CreateRepository", 503, "ServiceUnavailable", 4, false},
        {"SetRepositoryPolicy", 400, "ThrottlingException", 4, false},
        {"CreateRepository", 400, "AccessDeniedException", 1, true},
        {"CreateRepository", 400, "LimitExceededException", 1, true},
        {"CreateRepository", 400, "InvalidParameterException", 1, true},
        {"SetRepositoryPolicy", 400, "AccessDeniedException", 1, true},
        {"PutLifecyclePolicy", 400, "ValidationException", 1, true},
    };
    struct engine *g = engine_new();
    engine_start(g);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char name[64];
        char call[128];
        struct err e = ERR_INIT;
        (void)snprintf(name, sizeof name, "team/app%zu", i);
        (void)snprintf(call, sizeof call, "%s %s", cases[i].operation, name);
        fake_ecr_refuse(&g->ecr, cases[i].operation, name, cases[i].count, cases[i].status,
                        cases[i].code);
        const enum ensure_outcome outcome = outcome_of(g, name, &e);
        if (outcome != (cases[i].is_over ? ENSURE_FAILED : ENSURE_CREATED))
            fail_msg("%s %s: %d %s", call, cases[i].code, (int)outcome, e.msg);
        const size_t asked = fake_ecr_asked(&g->ecr, call);
        assert_int_equal(asked, (size_t)cases[i].count + !cases[i].is_over);
        if (cases[i].is_over)
            assert_string_equal(e.reason, cases[i].code);
        else
            assert_false(err_is_set(&e));
    }
    assert_true(engine_has_news(g, "RepositoryCreationFailed team/app4"));
    assert_true(engine_has_news(g, "RepositoryCreationFailed team/app8"));
    engine_free(g);
}

/* --- what is ours ----------------------------------------------------------------------------- */

static void an_answer_that_was_lost_is_found_again(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    /* by the client's second attempt, and by the engine's second try */
    static const int lost[] = {1, 3};
    for (size_t i = 0; i < ARRAY_SIZE(lost); i++) {
        const char *name = i == 0 ? "team/a1" : "team/a3";
        fake_ecr_upset(&g->ecr, "CreateRepository", name, 1, FAKE_LOSE);
        if (lost[i] > 1)
            fake_ecr_refuse(&g->ecr, "CreateRepository", name, lost[i] - 1, 503,
                            "ServiceUnavailable");
        assert_int_equal(outcome_of(g, name, NULL), ENSURE_CREATED);
        assert_string_equal(fake_ecr_find(&g->ecr, name)->policy, POLICY);
        assert_string_equal(fake_ecr_find(&g->ecr, name)->lifecycle, LIFECYCLE);
    }
    engine_free(g);
}

/* DescribeRepositories lags behind CreateRepository. */
static void what_is_ours_may_not_be_shown_at_once(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    fake_ecr_upset(&g->ecr, "CreateRepository", "team/a", 1, FAKE_LOSE);
    fake_ecr_refuse(&g->ecr, "DescribeRepositories", "team/a", 3, 400,
                    "RepositoryNotFoundException");
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    assert_string_equal(fake_ecr_find(&g->ecr, "team/a")->policy, POLICY);
    engine_free(g);
}

struct other {
    struct fake_ecr *ecr;
    const char *name, *tag;
};

static void others_make_it(void *arg)
{
    const struct other *o = arg;
    fake_ecr_remove(o->ecr, o->name);
    (void)fake_ecr_add(o->ecr, o->name, o->tag);
}

static void whoever_is_faster_has_it(void **state)
{
    (void)state;
    static const char *const tags[] = {"", "team"};
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) { /* a person, another replica */
        struct engine *g = engine_new();
        engine_start(g);
        struct other o = {&g->ecr, "team/a", tags[i]};
        fake_ecr_act(&g->ecr, "CreateRepository", NULL, others_make_it, &o);
        assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_PRESENT);
        assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy"), 0);
        engine_free(g);
    }
}

/* Our answer is unclear, but what is there is somebody else's, or of another template. */
static void what_has_not_our_tag_is_not_ours(void **state)
{
    (void)state;
    static const char *const tags[] = {"", "plain"};
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        struct engine *g = engine_new();
        struct err e = ERR_INIT;
        engine_start(g);
        struct other o = {&g->ecr, "team/a", tags[i]};
        fake_ecr_refuse(&g->ecr, "CreateRepository", "team/a", 1, 503, "ServiceUnavailable");
        fake_ecr_act(&g->ecr, "CreateRepository", "team/a", others_make_it, &o);
        assert_int_equal(outcome_of(g, "team/a", &e), ENSURE_PRESENT);
        assert_false(err_is_set(&e));
        assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy"), 0);
        assert_int_equal(fake_ecr_asked(&g->ecr, "PutLifecyclePolicy"), 0);
        engine_free(g);
    }
}

/* Deleted and made anew by somebody else while a policy was tried again. */
static void what_took_its_place_is_left_alone(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    struct other o = {&g->ecr, "team/a", ""};
    fake_ecr_refuse(&g->ecr, "SetRepositoryPolicy", "team/a", 1, 400,
                    "RepositoryNotFoundException");
    fake_ecr_act(&g->ecr, "ListTagsForResource", "team/a", others_make_it, &o);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_PRESENT);
    assert_string_equal(fake_ecr_find(&g->ecr, "team/a")->policy, "");
    assert_string_equal(fake_ecr_find(&g->ecr, "team/a")->lifecycle, "");
    engine_free(g);
}

static void others_put_a_policy(void *arg)
{
    struct fake_ecr *ecr = arg;
    fake_ecr_put_text(fake_ecr_find(ecr, "team/a")->policy, STR("\"theirs\""));
}

static void a_policy_that_came_in_between_stays(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    fake_ecr_refuse(&g->ecr, "SetRepositoryPolicy", "team/a", 1, 400,
                    "RepositoryNotFoundException");
    fake_ecr_act(&g->ecr, "ListTagsForResource", "team/a", others_put_a_policy, &g->ecr);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    assert_string_equal(fake_ecr_find(&g->ecr, "team/a")->policy, "\"theirs\"");
    assert_string_equal(fake_ecr_find(&g->ecr, "team/a")->lifecycle, LIFECYCLE);
    engine_free(g);
}

/* --- refusals, and what changes meanwhile ------------------------------------------------------
 */

static void refused(struct engine *g, const char *repository, const char *reason)
{
    struct err e = ERR_INIT;
    const enum ensure_outcome outcome = outcome_of(g, repository, &e);
    if (outcome != ENSURE_REFUSED || strcmp(e.reason, reason) != 0)
        fail_msg("%s: %d %s %s", repository, (int)outcome, e.reason, e.msg);
    assert_int_equal(fake_ecr_asked(&g->ecr, "CreateRepository"), 0);
}

static void some_are_never_made(void **state)
{
    (void)state;
    static const struct str allowed[] = {
        {STR_INIT("team/*")}, {STR_INIT("pt/*")}, {STR_INIT("no*")}};
    struct engine *g = engine_new();
    g->options.allowed_prefixes = allowed;
    g->options.allowed_prefix_count = ARRAY_SIZE(allowed);
    g->ecr.pull_through = "[{\"ecrRepositoryPrefix\":\"pt\"}]";
    engine_start(g);
    const struct directory_template held = {.object = STR("held"),
                                            .registry = STR("default"),
                                            .prefix = STR("team/held"),
                                            .applied_for = ECR_FOR_CREATE_ON_PUSH,
                                            .is_held = true,
                                            .spec = STR("{\"prefix\":\"team/held\",\"appliedFor\":"
                                                        "[\"CREATE_ON_PUSH\"]}")};
    directory_template_put(g->directory, &held);
    refused(g, "plain/a", "NotAllowed");
    refused(g, "pt/a", "PullThrough");
    refused(g, "none/a", "Uncovered");
    refused(g, "team/held/a", "TemplateHeld");
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, true);
    refused(g, "team/a", "ReadOnly");
    engine_free(g);
}

static void closes(void *arg)
{
    struct engine *g = arg;
    engine_publish(g, "default", g->registry, DIRECTORY_CLOSED, false);
}

static void goes(void *arg)
{
    struct engine *g = arg;
    directory_remove(g->directory, STR("default"));
}

static void is_unread(void *arg)
{
    struct engine *g = arg;
    engine_publish(g, "default", g->registry, DIRECTORY_UNREAD, false);
}

/* ... while it is probed. */
static void what_changed_since_is_heeded(void **state)
{
    (void)state;
    void (*const changes[])(void *) = {closes, goes};
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct engine *g = engine_new();
        engine_start(g);
        fake_ecr_act(&g->ecr, "DescribeRepositories", "team/a", changes[i], g);
        refused(g, "team/a", "RegistryNotReady");
        engine_free(g);
    }
}

/* A registry whose templates and pull-through rules are not known makes nothing, and is waited for.
 */
static void an_unread_registry_is_waited_for(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    fake_ecr_act(&g->ecr, "DescribeRepositories", "team/a", is_unread, g);
    ask(&q, g, "team/a", 300);
    assert_int_equal(answer_of(&q), ENSURE_PENDING);
    assert_string_equal(q.items[0].error.reason, "RegistryNotReady");
    asked_fini(&q);
    assert_int_equal(fake_ecr_asked(&g->ecr, "CreateRepository"), 0);
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, false);
    assert_true(engine_has_news(g, "RepositoryCreated team/a"));
    engine_free(g);
}

/* The registry's object was changed: a new client takes the old one's place under a creation. */
static void a_new_client_goes_on(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "CreateRepository", "team/a", 1, FAKE_HANG);
    ask(&q, g, "team/a", WAIT_MS);
    assert_true(fake_ecr_wait(&g->ecr, 1));
    struct registry *old = g->registry;
    registry_stop(old);
    g->registry = engine_registry(g, "default");
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, false);
    assert_int_equal(answer_of(&q), ENSURE_CREATED);
    asked_fini(&q);
    registry_unref(old);
    engine_free(g);
}

/* Its calls are cut, and the answer does not wait for the deadline. */
static void a_registry_that_goes_answers(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "team/a", 0, FAKE_HANG);
    ask(&q, g, "team/a", WAIT_MS);
    q.creates = false;
    assert_true(fake_ecr_wait(&g->ecr, 1));
    directory_remove(g->directory, STR("default"));
    registry_stop(g->registry);
    assert_int_equal(answer_of(&q), ENSURE_FAILED);
    assert_string_equal(q.items[0].error.reason, "RegistryNotReady");
    asked_fini(&q);
    engine_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_made_whole),
        cmocka_unit_test(what_is_there_stays_as_it_is),
        cmocka_unit_test(however_many_ask_it_is_made_once),
        cmocka_unit_test(some_errors_are_tried_again),
        cmocka_unit_test(an_answer_that_was_lost_is_found_again),
        cmocka_unit_test(what_is_ours_may_not_be_shown_at_once),
        cmocka_unit_test(whoever_is_faster_has_it),
        cmocka_unit_test(what_has_not_our_tag_is_not_ours),
        cmocka_unit_test(what_took_its_place_is_left_alone),
        cmocka_unit_test(a_policy_that_came_in_between_stays),
        cmocka_unit_test(some_are_never_made),
        cmocka_unit_test(what_changed_since_is_heeded),
        cmocka_unit_test(an_unread_registry_is_waited_for),
        cmocka_unit_test(a_new_client_goes_on),
        cmocka_unit_test(a_registry_that_goes_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
