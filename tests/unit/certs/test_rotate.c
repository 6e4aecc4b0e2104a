// SPDX-License-Identifier: Apache-2.0
/*
 * rotation_decide() over every combination of what there can be, against rules that are said once
 * more here, and at the moments where a step becomes due. test_fleet.c shows that these steps lose
 * no request.
 */
#include "certs_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CA_MS = 60000, LEAF_MS = 20000, NOW_MS = 1000000, WAIT_MS = 5000 };

static struct rotation_facts healthy(void)
{
    return (struct rotation_facts){
        .now_ms = NOW_MS,
        .has_signer = true,
        .signer_not_after_ms = NOW_MS + CA_MS,
        .next_live_for_ms = -1,
        .ca_lifetime_ms = CA_MS,
        .leaf_lifetime_ms = LEAF_MS,
    };
}

static enum rotation_step decide(const struct rotation_facts *f)
{
    int64_t wait_ms = -1;
    const enum rotation_step step = rotation_decide(f, &wait_ms);
    assert_in_range(wait_ms, 1, LOOK_AGAIN_MS);
    return step;
}

/* It is due one millisecond later, and says so. */
static void assert_due(struct rotation_facts f, enum rotation_step step)
{
    int64_t wait_ms = -1;
    assert_int_equal(rotation_decide(&f, &wait_ms), step);
    f.now_ms -= 1;
    f.next_live_for_ms -= f.next_live_for_ms >= 0;
    assert_int_equal(rotation_decide(&f, &wait_ms), ROTATION_NOTHING);
    assert_int_equal(wait_ms, 1);
}

static void test_moments(void **state)
{
    (void)state;
    struct rotation_facts f = healthy();
    assert_int_equal(decide(&f), ROTATION_NOTHING);
    f.signer_not_after_ms = NOW_MS + CA_MS / 3;
    assert_due(f, ROTATION_PREPARE);
    f = healthy();
    f.has_old = true;
    f.promoted_at_ms = NOW_MS - LEAF_MS;
    assert_due(f, ROTATION_DROP);
    f = healthy();
    f.has_next = true;
    f.next_not_after_ms = NOW_MS + CA_MS;
    f.next_live_for_ms = WAIT_MS;
    assert_due(f, ROTATION_PROMOTE);
    f = healthy();
    f.signer_not_after_ms = NOW_MS;
    assert_int_equal(decide(&f), ROTATION_CREATE);
    f.now_ms--;
    assert_int_equal(decide(&f), ROTATION_PREPARE);
}

static void test_waits(void **state)
{
    (void)state;
    assert_int_equal(trust_wait_ms(LEAF_MS), WAIT_MS);
    assert_int_equal(trust_wait_ms(CERTS_LEAF_LIFETIME_MS), TRUST_WAIT_MAX_MS);
    assert_int_equal(leaf_renew_at_ms(NOW_MS + LEAF_MS, LEAF_MS), NOW_MS + LEAF_MS - LEAF_MS / 3);
    /* it is shown since this moment: the whole wait */
    struct rotation_facts shown = healthy();
    int64_t shown_wait_ms = -1;
    shown.has_next = true;
    shown.next_not_after_ms = NOW_MS + CA_MS;
    shown.next_live_for_ms = 0;
    assert_int_equal(rotation_decide(&shown, &shown_wait_ms), ROTATION_NOTHING);
    assert_int_equal(shown_wait_ms, WAIT_MS);
    /* nothing is due for months: it looks again all the same */
    struct rotation_facts f = healthy();
    int64_t wait_ms = -1;
    f.ca_lifetime_ms = CERTS_CA_LIFETIME_MS;
    f.signer_not_after_ms = NOW_MS + CERTS_CA_LIFETIME_MS;
    assert_int_equal(rotation_decide(&f, &wait_ms), ROTATION_NOTHING);
    assert_int_equal(wait_ms, LOOK_AGAIN_MS);
}

/* The rules once more, in another order. */
static enum rotation_step expected(const struct rotation_facts *f)
{
    const bool has_next = f->has_next && f->next_not_after_ms > f->now_ms;
    const bool has_signer = f->has_signer && f->signer_not_after_ms > f->now_ms;
    if (!has_signer && f->memory_not_after_ms > f->now_ms)
        return ROTATION_RESTORE;
    if (!has_signer)
        return has_next ? ROTATION_PROMOTE : ROTATION_CREATE;
    if (has_next)
        return f->next_live_for_ms >= WAIT_MS ? ROTATION_PROMOTE : ROTATION_NOTHING;
    if (f->has_old && f->promoted_at_ms + LEAF_MS <= f->now_ms)
        return ROTATION_DROP;
    return f->signer_not_after_ms - CA_MS / 3 <= f->now_ms ? ROTATION_PREPARE : ROTATION_NOTHING;
}

static void test_every_combination(void **state)
{
    (void)state;
    static const int64_t ends[] = {NOW_MS - 1,         NOW_MS,         NOW_MS + 1,
                                   NOW_MS + CA_MS / 3, NOW_MS + CA_MS, NOW_MS + 10 * CA_MS};
    static const int64_t lives[] = {-1, 0, WAIT_MS - 1, WAIT_MS, 10 * WAIT_MS};
    static const int64_t promotions[] = {0, NOW_MS - LEAF_MS, NOW_MS, NOW_MS + CA_MS};
    const size_t e = ARRAY_SIZE(ends);
    const size_t total = 8 * e * e * e * ARRAY_SIZE(lives) * ARRAY_SIZE(promotions);
    int seen[ROTATION_DROP + 1] = {0};
    for (size_t i = 0; i < total; i++) {
        size_t k = i / 8;
        struct rotation_facts f = healthy();
        f.has_signer = (i & 1) != 0;
        f.has_next = (i & 2) != 0;
        f.has_old = (i & 4) != 0;
        f.signer_not_after_ms = ends[k % e];
        f.next_not_after_ms = ends[(k /= e) % e];
        f.memory_not_after_ms = f.has_signer ? 0 : ends[(k /= e) % e];
        f.next_live_for_ms = lives[(k /= e) % ARRAY_SIZE(lives)];
        f.promoted_at_ms = promotions[(k / ARRAY_SIZE(lives)) % ARRAY_SIZE(promotions)];
        const enum rotation_step step = decide(&f);
        assert_int_equal(step, expected(&f));
        seen[step]++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        assert_true(seen[i] > 0);
}

/* What is served changes its signer only where nothing is lost by it. */
static void test_leaf(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct leaf_facts f = {.is_valid = (i & 1) != 0,
                               .is_trusted = (i & 2) != 0,
                               .other_live_for_ms = WAIT_MS - 1,
                               .leaf_lifetime_ms = LEAF_MS};
        int64_t wait_ms = LOOK_AGAIN_MS;
        assert_int_equal(leaf_may_change(&f, &wait_ms), i != 3);
        assert_int_equal(wait_ms, i == 3 ? 1 : LOOK_AGAIN_MS);
        f.other_live_for_ms = WAIT_MS;
        assert_true(leaf_may_change(&f, &wait_ms));
        f.other_live_for_ms = -1;
        wait_ms = LOOK_AGAIN_MS;
        assert_int_equal(leaf_may_change(&f, &wait_ms), i != 3);
        assert_int_equal(wait_ms, i == 3 ? WAIT_MS : LOOK_AGAIN_MS);
        wait_ms = 1;
        (void)leaf_may_change(&f, &wait_ms);
        assert_int_equal(wait_ms, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_leaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
