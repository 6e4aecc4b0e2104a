// SPDX-License-Identifier: Apache-2.0
/*
 * Half-made repositories: which are completed, and which are nobody's business but their owner's.
 */
#include "engine.h"

static const struct fake_repository *repository(struct engine *g, const char *name)
{
    return fake_ecr_find(&g->ecr, name);
}

/* After a scan; until the task is over. */
static void complete(struct engine *g)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    engine_scan(g);
    ensure_complete(g->ensure, STR("default"));
    (void)pthread_mutex_lock(&g->ensure->mutex);
    while (g->ensure->task_count > 0 && clock_mono_ms(clock_system()) < until)
        (void)thread_cond_wait_ms(&g->cond, &g->ensure->mutex, 5);
    assert_int_equal(g->ensure->task_count, 0);
    (void)pthread_mutex_unlock(&g->ensure->mutex);
}

static void what_a_crash_left_is_completed_once(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/none", "team");
    fake_ecr_put_text(fake_ecr_add(&g->ecr, "team/half", "team")->policy, STR(POLICY));
    complete(g);
    assert_string_equal(repository(g, "team/none")->policy, POLICY);
    assert_string_equal(repository(g, "team/none")->lifecycle, LIFECYCLE);
    assert_string_equal(repository(g, "team/half")->lifecycle, LIFECYCLE);
    assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy team/half"), 0);
    assert_true(engine_has_news(g, "RepositoryCompleted team/none"));
    const size_t asked = g->ecr.asked;
    complete(g);
    assert_int_equal(g->ecr.asked, asked);
    /* one of the same name that was made later is another one */
    fake_ecr_remove(&g->ecr, "team/none");
    fake_ecr_add(&g->ecr, "team/none", "team")->created_at_s += 5;
    complete(g);
    assert_string_equal(repository(g, "team/none")->policy, POLICY);
    engine_free(g);
}

static void what_we_made_needs_no_look(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    const size_t asked = g->ecr.asked;
    complete(g);
    assert_int_equal(g->ecr.asked, asked);
    engine_free(g);
}

static void what_is_not_half_made_stays(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    const int64_t now_s = clock_unix_ms(clock_system()) / 1000;
    char templates[2048];
    /* "edited" has got its policies an hour after the repository was made */
    (void)snprintf(templates, sizeof templates,
                   "[" TEMPLATE("team", POLICIES, "1") "," TEMPLATE("plain", "", "1") "," TEMPLATE(
                       "edited", POLICIES, "%lld") "]",
                   (long long)now_s - 3600);
    g->ecr.templates = templates;
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/foreign", "");
    (void)fake_ecr_add(&g->ecr, "team/other", "plain"); /* made when "plain" covered it */
    fake_ecr_put_text(fake_ecr_add(&g->ecr, "team/theirs", "team")->policy, STR("\"theirs\""));
    fake_ecr_add(&g->ecr, "team/old", "team")->created_at_s = now_s - 25 * 3600;
    fake_ecr_add(&g->ecr, "edited/before", "edited")->created_at_s = now_s - 7200;
    (void)fake_ecr_add(&g->ecr, "edited/after", "edited");
    (void)fake_ecr_add(&g->ecr, "plain/a", "plain");
    (void)fake_ecr_add(&g->ecr, "none/a", "team");
    complete(g);
    static const char *const kept[] = {"team/foreign",  "team/other", "team/old",
                                       "edited/before", "plain/a",    "none/a"};
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        assert_string_equal(repository(g, kept[i])->policy, "");
        assert_string_equal(repository(g, kept[i])->lifecycle, "");
    }
    assert_string_equal(repository(g, "team/theirs")->policy, "\"theirs\"");
    assert_string_equal(repository(g, "team/theirs")->lifecycle, LIFECYCLE);
    assert_string_equal(repository(g, "edited/after")->policy, POLICY);
    engine_free(g);
}

static void what_cannot_be_seen_is_looked_at_again(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/a", "team");
    /* a read that is behind, then one that is not allowed */
    fake_ecr_refuse(&g->ecr, "DescribeRepositories", "team/a", 1, 400,
                    "RepositoryNotFoundException");
    fake_ecr_refuse(&g->ecr, "GetRepositoryPolicy", "team/a", 1, 400, "AccessDeniedException");
    complete(g);
    assert_string_equal(repository(g, "team/a")->policy, "");
    complete(g);
    assert_string_equal(repository(g, "team/a")->policy, "");
    complete(g);
    assert_string_equal(repository(g, "team/a")->policy, POLICY);
    engine_free(g);
}

/* One that ECR will never take does not hold up the others, and is not asked for ever. */
static void one_that_cannot_be_completed_holds_up_none(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    fake_ecr_add(&g->ecr, "team/bad", "team")->created_at_s += 10; /* the newest: first */
    (void)fake_ecr_add(&g->ecr, "team/good", "team");
    fake_ecr_refuse(&g->ecr, "SetRepositoryPolicy", "team/bad", 0, 400,
                    "InvalidParameterException");
    complete(g);
    assert_string_equal(repository(g, "team/good")->policy, POLICY);
    assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy team/bad"), 1);
    complete(g);
    assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy team/bad"), 1);
    engine_free(g);
}

static void what_is_held_waits(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct directory_template t = {.object = STR("object"),
                                   .registry = STR("default"),
                                   .prefix = STR("team"),
                                   .applied_for = ECR_FOR_CREATE_ON_PUSH,
                                   .is_held = true,
                                   .spec = STR("{\"prefix\":\"team\",\"appliedFor\":"
                                               "[\"CREATE_ON_PUSH\"]}")};
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/a", "object");
    directory_template_put(g->directory, &t);
    complete(g);
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, true);
    complete(g);
    engine_publish(g, "default", g->registry, DIRECTORY_CLOSED, false);
    complete(g);
    assert_int_equal(g->ecr.asked, 0);
    t.is_held = false;
    directory_template_put(g->directory, &t);
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, false);
    complete(g);
    assert_string_equal(repository(g, "team/a")->policy, POLICY);
    engine_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_crash_left_is_completed_once),
        cmocka_unit_test(what_we_made_needs_no_look),
        cmocka_unit_test(what_is_not_half_made_stays),
        cmocka_unit_test(what_cannot_be_seen_is_looked_at_again),
        cmocka_unit_test(one_that_cannot_be_completed_holds_up_none),
        cmocka_unit_test(what_is_held_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
