// SPDX-License-Identifier: Apache-2.0
/*
 * Limits by a fake clock: no minute has more creations than allowed, against a judge that remembers
 * each; how long an absence is believed; how much is remembered.
 */
#include "engine.h"

struct bench {
    struct ensure ensure;
    struct clock_fake clock;
    struct arena arena;
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    clock_fake_init(&b->clock, 1700000000000);
    b->ensure.o.clock = &b->clock.clock;
    b->ensure.quotas = map_new();
    b->ensure.absent = map_new();
}

static void free_value(void *p)
{
    mem_free(p);
}

static void bench_fini(struct bench *b)
{
    map_free(b->ensure.quotas, free_value);
    map_free(b->ensure.absent, free_value);
    arena_fini(&b->arena);
}

static bool take(struct bench *b, const char *namespace, int64_t limit, int64_t *slot)
{
    struct str key;
    return ensure_take_creation_locked(&b->ensure, STR("r"), str_from(namespace), limit, &b->arena,
                                       &key, slot);
}

static void no_minute_has_more(void **state)
{
    (void)state;
    enum { TRIES = 5000 };
    struct bench b;
    int64_t *taken = mem_alloc_array(TRIES, sizeof *taken);
    size_t count = 0;
    int64_t slot = 0;
    bench_init(&b);
    for (int i = 0; i < TRIES; i++) {
        clock_fake_advance(&b.clock, rand() % 10 == 0 ? rand() % 90000 : rand() % 700);
        const int64_t now = b.clock.mono_ms;
        size_t in_minute = 0;
        size_t in_slots = 0; /* what a coarse count may still hold against it */
        for (size_t n = count; n > 0 && taken[n - 1] > now - 65000; n--) {
            in_minute += taken[n - 1] > now - 60000;
            in_slots++;
        }
        if (take(&b, "ns", 30, &slot)) {
            assert_true(in_minute < 30);
            taken[count++] = now;
        } else {
            assert_true(in_slots >= 30);
        }
    }
    assert_true(count > 1000);
    bench_fini(&b);
    mem_free(taken);
}

static void what_is_given_back_can_be_taken(void **state)
{
    (void)state;
    struct bench b;
    int64_t slot = 0;
    bench_init(&b);
    assert_true(take(&b, "ns", 1, &slot));
    clock_fake_advance(&b.clock, 30000);
    int64_t later = 0;
    assert_false(take(&b, "ns", 1, &later));
    ensure_give_back_creation_locked(&b.ensure, STR("r ns 1"), slot);
    assert_true(take(&b, "ns", 1, &later));
    ensure_give_back_creation_locked(&b.ensure, STR("r ns 1"), slot); /* not of this one */
    assert_false(take(&b, "ns", 1, &slot));
    /* a minute later the slot counts other creations */
    clock_fake_advance(&b.clock, 65000);
    assert_true(take(&b, "ns", 1, &slot));
    ensure_give_back_creation_locked(&b.ensure, STR("r ns 1"), slot - QUOTA_SLOTS);
    assert_false(take(&b, "ns", 1, &slot));
    bench_fini(&b);
}

static void so_many_namespaces_are_remembered(void **state)
{
    (void)state;
    struct bench b;
    char name[32];
    int64_t slot = 0;
    bench_init(&b);
    for (int i = 0; i < ENSURE_NAMESPACES_MAX; i++) {
        (void)snprintf(name, sizeof name, "ns%d", i);
        assert_true(take(&b, name, 5, &slot));
    }
    assert_false(take(&b, "one-more", 5, &slot));
    assert_true(take(&b, "ns7", 5, &slot));
    assert_int_equal(map_count(b.ensure.quotas), ENSURE_NAMESPACES_MAX);
    clock_fake_advance(&b.clock, 65000);
    assert_true(take(&b, "one-more", 5, &slot));
    assert_int_equal(map_count(b.ensure.quotas), 1);
    bench_fini(&b);
}

static void absences_age(void **state)
{
    (void)state;
    struct bench b;
    char name[32];
    bench_init(&b);
    ensure_remember_absent_locked(&b.ensure, STR("r"), STR("a/b"));
    clock_fake_advance(&b.clock, ENSURE_ABSENT_MS - 1);
    assert_true(ensure_is_absent_locked(&b.ensure, STR("r"), STR("a/b")));
    assert_false(ensure_is_absent_locked(&b.ensure, STR("s"), STR("a/b")));
    clock_fake_advance(&b.clock, 1);
    assert_false(ensure_is_absent_locked(&b.ensure, STR("r"), STR("a/b")));
    ensure_remember_absent_locked(&b.ensure, STR("r"), STR("a/b"));
    ensure_forget_absent_locked(&b.ensure, STR("r"), STR("a/b"));
    assert_false(ensure_is_absent_locked(&b.ensure, STR("r"), STR("a/b")));
    for (int i = 0; i < ABSENT_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "x%d", i);
        ensure_remember_absent_locked(&b.ensure, STR("r"), str_from(name));
    }
    assert_int_equal(map_count(b.ensure.absent), ABSENT_MAX);
    clock_fake_advance(&b.clock, ENSURE_ABSENT_MS);
    ensure_remember_absent_locked(&b.ensure, STR("r"), STR("a/b"));
    assert_int_equal(map_count(b.ensure.absent), 1);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_minute_has_more),
        cmocka_unit_test(what_is_given_back_can_be_taken),
        cmocka_unit_test(so_many_namespaces_are_remembered),
        cmocka_unit_test(absences_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
