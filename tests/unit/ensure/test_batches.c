// SPDX-License-Identifier: Apache-2.0
/*
 * Batches: deadlines in every state, what goes on in the background, how many are parked, who gets
 * the workers, stopping, and a storm from many threads.
 */
#include "engine.h"

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* --- deadlines -------------------------------------------------------------------------------- */

static void a_probe_that_hangs_is_answered_in_time_and_it_goes_on(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "team/a", 0, FAKE_HANG);
    ask(&q, g, "team/a", 200);
    const int64_t deadline_ms = q.batch.deadline_mono_ms;
    assert_int_equal(answer_of(&q), ENSURE_PENDING);
    assert_true(q.done_ms + LATE_MS >= deadline_ms);
    assert_int_equal(q.probed, 1);
    /* the call's own deadline is the batch's: either may be noticed first */
    assert_true(q.at_probe[0] == ENSURE_UNKNOWN || q.at_probe[0] == ENSURE_FAILED);
    asked_fini(&q);
    assert_true(engine_has_news(g, "RepositoryCreated team/a"));
    engine_free(g);
}

static void a_creation_that_hangs_is_answered_in_time_and_it_goes_on(void **state)
{
    (void)state;
    static const char *const operations[] = {"CreateRepository", "SetRepositoryPolicy",
                                             "PutLifecyclePolicy"};
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        struct engine *g = engine_new();
        struct asked q;
        struct asked late;
        engine_start(g);
        fake_ecr_upset(&g->ecr, operations[i], "team/a", 1, FAKE_HANG);
        ask(&q, g, "team/a", 400);
        assert_true(fake_ecr_wait(&g->ecr, 1));
        assert_int_equal(answer_of(&q), ENSURE_PENDING);
        asked_fini(&q);
        /* who asks now waits for the same creation, or sees the repository */
        ask(&late, g, "team/a", WAIT_MS);
        assert_true(asked_wait_probed(&late));
        fake_ecr_release(&g->ecr);
        /* of the same creation where it was still under way when this one joined */
        const enum ensure_outcome outcome = answer_of(&late);
        assert_true(outcome == ENSURE_PRESENT || (i == 0 && outcome == ENSURE_CREATED));
        asked_fini(&late);
        assert_true(engine_has_news(g, "RepositoryCreated team/a"));
        assert_int_equal(fake_ecr_asked(&g->ecr, "CreateRepository"), 1);
        engine_free(g);
    }
}

/* A call ends with the deadline of who began it; who joined it has more time. */
static void who_joins_a_probe_has_their_own_deadline(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked hasty;
    struct asked patient;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "team/a", 1, FAKE_HANG);
    ask(&hasty, g, "team/a", 300);
    assert_true(fake_ecr_wait(&g->ecr, 1));
    asked_init(&patient, g, "default", WAIT_MS);
    patient.creates = false;
    (void)asked_add(&patient, "default", "team/a");
    assert_true(ensure_submit(g->ensure, &patient.batch));
    assert_int_equal(answer_of(&hasty), ENSURE_PENDING);
    const enum ensure_outcome outcome = answer_of(&patient);
    if (outcome != ENSURE_ABSENT && outcome != ENSURE_PRESENT)
        fail_msg("%d %s", (int)outcome, patient.items[0].error.msg);
    asked_fini(&hasty);
    asked_fini(&patient);
    engine_free(g);
}

static void nothing_to_wait_for_is_answered_at_once(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    asked_init(&q, g, "default", WAIT_MS);
    assert_true(ensure_submit(g->ensure, &q.batch));
    (void)answer_of(&q);
    assert_int_equal(q.probed, 1);
    engine_publish(g, "default", g->registry, DIRECTORY_CLOSED, false);
    ask(&q, g, "team/a", WAIT_MS);
    (void)answer_of(&q);
    assert_int_equal(q.at_probe[0], ENSURE_FAILED);
    asked_fini(&q);
    engine_free(g);
}

static void all_of_a_batch_side_by_side(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/there", "");
    fake_ecr_upset(&g->ecr, "CreateRepository", NULL, 2, FAKE_HANG);
    asked_init(&q, g, "default", WAIT_MS);
    (void)asked_add(&q, "default", "team/a");
    (void)asked_add(&q, "default", "plain/b");
    (void)asked_add(&q, "default", "none/c");
    (void)asked_add(&q, "default", "team/there");
    assert_true(ensure_submit(g->ensure, &q.batch));
    assert_true(fake_ecr_wait(&g->ecr, 2));
    fake_ecr_release(&g->ecr);
    assert_int_equal(answer_of(&q), ENSURE_CREATED);
    assert_int_equal(q.items[1].outcome, ENSURE_CREATED);
    assert_int_equal(q.items[2].outcome, ENSURE_REFUSED);
    assert_int_equal(q.items[3].outcome, ENSURE_PRESENT);
    assert_int_equal(fake_ecr_asked(&g->ecr, "SetRepositoryPolicy plain/b"), 0);
    asked_fini(&q);
    engine_free(g);
}

/* --- images ----------------------------------------------------------------------------------- */

static void images_are_looked_up(void **state)
{
    (void)state;
    static const struct {
        const char *repository, *tag;
        enum ensure_outcome outcome;
        enum ensure_image image;
    } cases[] = {
        {"team/there", "1", ENSURE_PRESENT, ENSURE_IMAGE_PRESENT},
        {"team/there", "2", ENSURE_PRESENT, ENSURE_IMAGE_ABSENT},
        {"team/gone", "1", ENSURE_ABSENT, ENSURE_IMAGE_ABSENT},
    };
    struct engine *g = engine_new();
    engine_start(g);
    (void)fake_ecr_add(&g->ecr, "team/there", ""); /* after the scan */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked q;
        asked_init(&q, g, "default", WAIT_MS);
        q.creates = false;
        struct ensure_item *item = asked_add(&q, "default", cases[i].repository);
        item->wants_image = true;
        item->tag = str_from(cases[i].tag);
        assert_true(ensure_submit(g->ensure, &q.batch));
        assert_int_equal(answer_of(&q), cases[i].outcome);
        assert_int_equal(q.items[0].image, cases[i].image);
        asked_fini(&q);
    }
    assert_int_equal(fake_ecr_asked(&g->ecr, "DescribeRepositories"), 0);
    engine_free(g);
}

static void an_absence_is_believed_for_a_while(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    for (int i = 0; i < 3; i++) {
        struct asked q;
        asked_init(&q, g, "default", WAIT_MS);
        q.creates = false;
        (void)asked_add(&q, "default", "team/a");
        assert_true(ensure_submit(g->ensure, &q.batch));
        assert_int_equal(answer_of(&q), ENSURE_ABSENT);
        asked_fini(&q);
    }
    assert_int_equal(fake_ecr_asked(&g->ecr, "DescribeRepositories"), 1);
    /* made: no longer believed */
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_PRESENT);
    engine_free(g);
}

/* --- limits ----------------------------------------------------------------------------------- */

static enum ensure_outcome limited(struct engine *g, const char *namespace, const char *repository,
                                   int64_t per_minute)
{
    struct asked q;
    asked_init(&q, g, namespace, WAIT_MS);
    asked_add(&q, "default", repository)->creations_per_minute = per_minute;
    assert_true(ensure_submit(g->ensure, &q.batch));
    const enum ensure_outcome outcome = answer_of(&q);
    asked_fini(&q);
    return outcome;
}

static void what_made_nothing_does_not_count(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    engine_start(g);
    fake_ecr_refuse(&g->ecr, "CreateRepository", NULL, 3, 400, "AccessDeniedException");
    for (int i = 0; i < 3; i++)
        assert_int_equal(limited(g, "ns", "team/denied", 1), ENSURE_FAILED);
    assert_int_equal(limited(g, "ns", "none/uncovered", 1), ENSURE_REFUSED);
    assert_int_equal(limited(g, "ns", "team/a", 1), ENSURE_CREATED);
    assert_int_equal(limited(g, "ns", "team/b", 1), ENSURE_LIMITED);
    assert_int_equal(limited(g, "ns", "team/c", 2), ENSURE_CREATED); /* a limit of its own */
    assert_int_equal(limited(g, "other", "team/b", 1), ENSURE_CREATED);
    assert_null(fake_ecr_find(&g->ecr, "team/d"));
    engine_free(g);
}

static void who_joins_a_creation_is_not_limited(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked first;
    struct asked second;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "CreateRepository", NULL, 1, FAKE_HANG);
    asked_init(&first, g, "ns", WAIT_MS);
    asked_add(&first, "default", "team/a")->creations_per_minute = 1;
    assert_true(ensure_submit(g->ensure, &first.batch));
    assert_true(fake_ecr_wait(&g->ecr, 1));
    asked_init(&second, g, "ns", WAIT_MS);
    asked_add(&second, "default", "team/a")->creations_per_minute = 1;
    assert_true(ensure_submit(g->ensure, &second.batch));
    assert_true(asked_wait_probed(&second));
    fake_ecr_release(&g->ecr);
    assert_int_equal(answer_of(&first), ENSURE_CREATED);
    assert_int_equal(answer_of(&second), ENSURE_CREATED);
    asked_fini(&first);
    asked_fini(&second);
    engine_free(g);
}

static void so_many_are_parked_and_no_more(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked *q = mem_alloc_array(ENSURE_PARKED_MAX + 1, sizeof *q);
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", NULL, 0, FAKE_HANG);
    for (size_t i = 0; i < ENSURE_PARKED_MAX; i++)
        ask(&q[i], g, "none/a", WAIT_MS);
    assert_int_equal(ensure_parked(g->ensure), ENSURE_PARKED_MAX);
    struct asked *more = &q[ENSURE_PARKED_MAX];
    asked_init(more, g, "default", WAIT_MS);
    (void)asked_add(more, "default", "none/a");
    assert_false(ensure_submit(g->ensure, &more->batch));
    assert_true(fake_ecr_wait(&g->ecr, 1));
    fake_ecr_release(&g->ecr);
    for (size_t i = 0; i < ENSURE_PARKED_MAX; i++) {
        assert_int_equal(answer_of(&q[i]), ENSURE_REFUSED);
        asked_fini(&q[i]);
    }
    assert_int_equal(more->done + more->probed, 0);
    assert_true(ensure_submit(g->ensure, &more->batch));
    (void)answer_of(more);
    asked_fini(more);
    assert_int_equal(fake_ecr_asked(&g->ecr, "DescribeRepositories"), 1);
    mem_free(q);
    engine_free(g);
}

/* --- who gets the workers --------------------------------------------------------------------- */

static void one_registry_does_not_take_all_workers(void **state)
{
    (void)state;
    enum { MANY = 20 };
    struct engine *g = engine_new();
    struct asked *q = mem_alloc_array(MANY, sizeof *q);
    struct asked other;
    g->options.threads = 4;
    engine_start(g);
    struct registry *second = engine_registry(g, "second");
    engine_publish(g, "second", second, DIRECTORY_OPEN, false);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "slow/", 0, FAKE_HANG);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "slow/%d", i);
        asked_init(&q[i], g, "default", WAIT_MS);
        struct ensure_item *item = asked_add(&q[i], "default", "");
        item->repository = arena_copy(&q[i].batch.arena, str_from(name));
        assert_true(ensure_submit(g->ensure, &q[i].batch));
    }
    assert_true(fake_ecr_wait(&g->ecr, 3));
    asked_init(&other, g, "default", WAIT_MS);
    (void)asked_add(&other, "second", "team/a");
    assert_true(ensure_submit(g->ensure, &other.batch));
    assert_int_equal(answer_of(&other), ENSURE_CREATED);
    assert_true(fake_ecr_wait(&g->ecr, 3));
    asked_fini(&other);
    fake_ecr_release(&g->ecr);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(answer_of(&q[i]), ENSURE_CREATED);
        asked_fini(&q[i]);
    }
    mem_free(q);
    registry_stop(second);
    engine_stop(g);
    directory_remove(g->directory, STR("second"));
    registry_unref(second);
    engine_free(g);
}

/* Creations that nobody waits for any more hang; who asks now is served between them. */
static void the_background_does_not_hold_up_who_asks(void **state)
{
    (void)state;
    enum { MANY = 12 };
    struct engine *g = engine_new();
    struct asked *q = mem_alloc_array(MANY, sizeof *q);
    g->options.threads = 4; /* three for a registry, one of them for nobody */
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "slow/", 0, FAKE_HANG);
    fake_ecr_upset(&g->ecr, "CreateRepository", "slow/", 0, FAKE_HANG);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "slow/%d", i);
        asked_init(&q[i], g, "default", 200);
        struct ensure_item *item = asked_add(&q[i], "default", "");
        item->repository = arena_copy(&q[i].batch.arena, str_from(name));
        assert_true(ensure_submit(g->ensure, &q[i].batch));
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(answer_of(&q[i]), ENSURE_PENDING);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    assert_int_equal(outcome_of(g, "team/b", NULL), ENSURE_CREATED);
    fake_ecr_release(&g->ecr);
    for (int i = 0; i < MANY; i++) {
        char news[64];
        (void)snprintf(news, sizeof news, "RepositoryCreated slow/%d", i);
        assert_true(engine_has_news(g, news));
        asked_fini(&q[i]);
    }
    mem_free(q);
    engine_free(g);
}

static size_t position(struct engine *g, const char *what)
{
    for (size_t i = 0; i < g->ecr.asked; i++)
        if (strcmp(g->ecr.log[i], what) == 0)
            return i;
    fail_msg("%s was not asked", what);
    return 0;
}

static void what_somebody_waits_for_comes_first(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked first;
    struct asked gone;
    struct asked q;
    g->options.threads = 1;
    engine_start(g);
    fake_ecr_upset(&g->ecr, "DescribeRepositories", "slow/", 1, FAKE_HANG);
    ask(&first, g, "slow/a", WAIT_MS);
    assert_true(fake_ecr_wait(&g->ecr, 1));
    ask(&gone, g, "team/background", 50);
    assert_int_equal(answer_of(&gone), ENSURE_PENDING);
    ask(&q, g, "team/front", WAIT_MS);
    fake_ecr_release(&g->ecr);
    assert_int_equal(answer_of(&q), ENSURE_CREATED);
    assert_int_equal(answer_of(&first), ENSURE_CREATED);
    assert_true(engine_has_news(g, "RepositoryCreated team/background"));
    engine_stop(g);
    assert_true(position(g, "PutLifecyclePolicy team/front") <
                position(g, "CreateRepository team/background"));
    asked_fini(&first);
    asked_fini(&gone);
    asked_fini(&q);
    engine_free(g);
}

/* The pause between tries grows; who asks does not wait out its longest. */
static void who_asks_hastens_the_next_try(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct asked q;
    engine_start(g);
    fake_ecr_refuse(&g->ecr, "CreateRepository", "team/a", 0, 400, "ThrottlingException");
    ask(&q, g, "team/a", 100);
    assert_int_equal(answer_of(&q), ENSURE_PENDING);
    asked_fini(&q);
    (void)pthread_mutex_lock(&g->ensure->mutex);
    struct task *t = g->ensure->tasks;
    assert_non_null(t);
    while (t->is_running || t->not_before_ms == 0) {
        (void)thread_cond_wait_ms(&g->cond, &g->ensure->mutex, 5);
    }
    t->not_before_ms = now_ms() + 1000000;
    t->retry_ms = 1000000;
    (void)pthread_mutex_unlock(&g->ensure->mutex);
    fake_ecr_release(&g->ecr);
    assert_int_equal(outcome_of(g, "team/a", NULL), ENSURE_CREATED);
    engine_free(g);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void stopping_answers_all(void **state)
{
    (void)state;
    static const char *const operations[] = {"DescribeRepositories", "CreateRepository",
                                             "SetRepositoryPolicy"};
    enum { MANY = 20 };
    for (size_t o = 0; o < ARRAY_SIZE(operations); o++) {
        struct engine *g = engine_new();
        struct asked *q = mem_alloc_array(MANY, sizeof *q);
        engine_start(g);
        fake_ecr_upset(&g->ecr, operations[o], NULL, 0, FAKE_HANG);
        for (int i = 0; i < MANY; i++)
            ask(&q[i], g, i % 2 == 0 ? "team/a" : "team/b", WAIT_MS);
        assert_true(fake_ecr_wait(&g->ecr, 2));
        const int64_t began_ms = now_ms();
        engine_stop(g);
        assert_true(now_ms() - began_ms < WAIT_MS / 2);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(q[i].done, 1);
            assert_true(q[i].probed <= 1);
            assert_int_not_equal(q[i].items[0].outcome, ENSURE_CREATED);
            asked_fini(&q[i]);
        }
        mem_free(q);
        engine_free(g);
    }
}

/* --- a storm ---------------------------------------------------------------------------------- */

enum { STORMERS = 8, EACH = 60, NAMES = 40 };
struct stormer {
    struct engine *engine;
    struct thread thread;
    struct asked q[EACH];
    char names[EACH][24];
    unsigned seed;
    int refused;
};

static void storm(void *arg)
{
    struct stormer *s = arg;
    for (int i = 0; i < EACH; i++) {
        struct asked *q = &s->q[i];
        (void)snprintf(s->names[i], sizeof s->names[i], "team/%d", rand_r(&s->seed) % NAMES);
        asked_init(q, s->engine, "default", rand_r(&s->seed) % 4 == 0 ? 1 : WAIT_MS);
        (void)asked_add(q, "default", s->names[i]);
        (void)asked_add(q, "default", "team/all");
        while (!ensure_submit(s->engine->ensure, &q->batch)) { /* too many are parked */
            (void)pthread_mutex_lock(&s->engine->mutex);
            (void)thread_cond_wait_ms(&s->engine->cond, &s->engine->mutex, 20);
            (void)pthread_mutex_unlock(&s->engine->mutex);
        }
    }
}

static void a_storm_makes_each_once(void **state)
{
    (void)state;
    struct engine *g = engine_new();
    struct stormer *s = mem_alloc_array(STORMERS, sizeof *s);
    engine_start(g);
    for (unsigned i = 0; i < STORMERS; i++) {
        s[i].engine = g;
        s[i].seed = i;
        thread_start(&s[i].thread, "stormer", storm, &s[i]);
    }
    for (int i = 0; i < STORMERS; i++)
        thread_join(&s[i].thread);
    for (int i = 0; i < STORMERS * EACH; i++) {
        struct asked *q = &s[i / EACH].q[i % EACH];
        const enum ensure_outcome outcome = answer_of(q);
        assert_int_equal(q->probed, 1);
        if (outcome != ENSURE_CREATED && outcome != ENSURE_PRESENT && outcome != ENSURE_PENDING)
            fail_msg("%d %s", (int)outcome, q->items[0].error.msg);
        asked_fini(q);
    }
    for (int i = 0; i < NAMES; i++) {
        char news[32];
        (void)snprintf(news, sizeof news, "team/%d", i);
        /* the last of the background may still be at it */
        const int64_t until = now_ms() + WAIT_MS;
        struct err e = ERR_INIT;
        enum ensure_outcome outcome = ENSURE_UNKNOWN;
        while (outcome != ENSURE_PRESENT && outcome != ENSURE_CREATED && now_ms() < until)
            outcome = outcome_of(g, news, &e);
        assert_string_equal(fake_ecr_find(&g->ecr, news)->tag, "team");
    }
    engine_stop(g);
    assert_int_equal(fake_ecr_asked(&g->ecr, "CreateRepository team/all"), 1);
    mem_free(s);
    engine_free(g);
}

static void a_storm_is_stopped(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        struct engine *g = engine_new();
        struct asked *q = mem_alloc_array(ENSURE_PARKED_MAX, sizeof *q);
        struct stormer *names = mem_alloc(sizeof *names);
        engine_start(g);
        for (int i = 0; i < EACH; i++) {
            (void)snprintf(names->names[i], sizeof names->names[i], "team/%d", i);
            ask(&q[i], g, names->names[i], i % 3 == 0 ? 1 : WAIT_MS);
        }
        for (unsigned i = 0; i < round; i++)
            assert_true(asked_wait_probed(&q[i * 10]));
        engine_stop(g);
        for (int i = 0; i < EACH; i++) {
            assert_int_equal(q[i].done, 1);
            asked_fini(&q[i]);
        }
        mem_free(names);
        mem_free(q);
        engine_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_that_hangs_is_answered_in_time_and_it_goes_on),
        cmocka_unit_test(a_creation_that_hangs_is_answered_in_time_and_it_goes_on),
        cmocka_unit_test(who_joins_a_probe_has_their_own_deadline),
        cmocka_unit_test(nothing_to_wait_for_is_answered_at_once),
        cmocka_unit_test(all_of_a_batch_side_by_side),
        cmocka_unit_test(images_are_looked_up),
        cmocka_unit_test(an_absence_is_believed_for_a_while),
        cmocka_unit_test(what_made_nothing_does_not_count),
        cmocka_unit_test(who_joins_a_creation_is_not_limited),
        cmocka_unit_test(so_many_are_parked_and_no_more),
        cmocka_unit_test(one_registry_does_not_take_all_workers),
        cmocka_unit_test(the_background_does_not_hold_up_who_asks),
        cmocka_unit_test(what_somebody_waits_for_comes_first),
        cmocka_unit_test(who_asks_hastens_the_next_try),
        cmocka_unit_test(stopping_answers_all),
        cmocka_unit_test(a_storm_makes_each_once),
        cmocka_unit_test(a_storm_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
