// SPDX-License-Identifier: Apache-2.0
/*
 * Contention: mends that are undone are repeated at doubling intervals, and told from the third on.
 */
#include "reconcile_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { INTERVAL = 60000 };

/* A rival who undoes at every look, which comes every interval: when is it mended? */
static void test_intervals_double(void **state)
{
    (void)state;
    static const int64_t want[] = {0, 1, 3, 7, 15, 31, 63, 123, 183, 243};
    struct contention c = {0};
    size_t mends = 0;
    for (int64_t look = 0; look <= 243; look++) {
        int64_t now = look * INTERVAL;
        if (contention_wait_ms(&c, now, INTERVAL) != 0)
            continue;
        assert_true(mends < ARRAY_SIZE(want));
        assert_int_equal(look, want[mends]);
        /* told once two mends were undone, so from the third on */
        assert_int_equal(contention_is_told(&c, now, INTERVAL), mends >= 2);
        contention_mended(&c, now);
        mends++;
    }
    assert_int_equal(mends, ARRAY_SIZE(want));
}

static void test_the_wait_is_what_is_left(void **state)
{
    (void)state;
    struct contention c = {0};
    contention_mended(&c, 1000);
    assert_int_equal(contention_wait_ms(&c, 1000 + 10000, INTERVAL), INTERVAL - 10000);
    /* asked again for the same drift: it is not undone twice */
    assert_int_equal(contention_wait_ms(&c, 1000 + 20000, INTERVAL), INTERVAL - 20000);
    assert_int_equal(contention_wait_ms(&c, 1000 + INTERVAL - 1, INTERVAL), 1);
    assert_int_equal(contention_wait_ms(&c, 1000 + INTERVAL, INTERVAL), 0);
    assert_int_equal(c.undone, 1);
}

static void test_what_held_long_is_no_contention(void **state)
{
    (void)state;
    struct contention c = {0};
    for (int64_t day = 0; day < 10; day++) {
        assert_int_equal(contention_wait_ms(&c, day * 86400000, INTERVAL), 0);
        assert_false(contention_is_told(&c, day * 86400000, INTERVAL));
        contention_mended(&c, day * 86400000);
    }
}

/* Three intervals are what tells a rival from chance. */
static void test_how_long_is_long(void **state)
{
    (void)state;
    struct contention c = {0};
    contention_mended(&c, 1000);
    assert_int_equal(contention_wait_ms(&c, 1000 + 3 * INTERVAL, INTERVAL), 0);
    assert_int_equal(c.undone, 1);
    contention_mended(&c, 1000);
    assert_int_equal(contention_wait_ms(&c, 1000 + 3 * INTERVAL + 1, INTERVAL), 0);
    assert_int_equal(c.undone, 0);
    assert_int_equal(contention_wait_ms(&c, 1000 + 3 * INTERVAL + 2, INTERVAL), 0);
}

static void test_peace_after_a_mend_that_holds(void **state)
{
    (void)state;
    struct contention c = {0};
    int64_t now = 0;
    for (int i = 0; i < 3; i++) {
        now += contention_wait_ms(&c, now, INTERVAL);
        contention_mended(&c, now);
        now += 1000;
    }
    assert_int_equal(c.undone, 2);
    /* the interval is two drift intervals now: told while the mend is younger than four */
    assert_true(contention_is_told(&c, c.mended_at_ms + 4 * INTERVAL, INTERVAL));
    assert_false(contention_is_told(&c, c.mended_at_ms + 4 * INTERVAL + 1, INTERVAL));
    assert_int_equal(contention_wait_ms(&c, now, INTERVAL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_double),
        cmocka_unit_test(test_the_wait_is_what_is_left),
        cmocka_unit_test(test_what_held_long_is_no_contention),
        cmocka_unit_test(test_how_long_is_long),
        cmocka_unit_test(test_peace_after_a_mend_that_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
