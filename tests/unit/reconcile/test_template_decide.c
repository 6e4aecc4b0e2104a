// SPDX-License-Identifier: Apache-2.0
/*
 * Deciding about templates: a table of the cases that people know by name, and invariants over all
 * combinations of facts.
 */
#include "reconcile_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SINCE = 1000000, OURS = 1000500, THEIRS = 2000000 };

#define OPEN      .gate = GATE_OPEN, .has_read = true
#define OWNED     .has_ownership = true, .owned_since = SINCE, .owned_created_at = OURS
#define PENDING   .has_ownership = true, .owned_since = SINCE
#define GONE      .is_deleting = true, .is_gone = true
#define IN_AWS(t) .is_in_aws = true, .aws_created_at = (t)

static const struct {
    const char *name;
    struct template_facts facts;
    enum template_action want;
} named_cases[] = {
    {"new", {OPEN}, TEMPLATE_CREATE},
    {"registry missing", {.gate = GATE_MISSING}, TEMPLATE_WAIT},
    {"first read under way", {.gate = GATE_FRESH}, TEMPLATE_WAIT},
    {"registry removed",
     {.gate = GATE_MISSING, .has_read = true, OWNED, IN_AWS(OURS)},
     TEMPLATE_WAIT},
    {"registry paused",
     {.gate = GATE_NOT_READY, .has_read = true, OWNED, IN_AWS(OURS)},
     TEMPLATE_WAIT},
    {"another read is wanted first",
     {.gate = GATE_FRESH, .has_read = true, OWNED, IN_AWS(OURS)},
     TEMPLATE_WAIT},
    {"equal one is there while reads fail",
     {.gate = GATE_FAILING, .has_read = true, IN_AWS(THEIRS)},
     TEMPLATE_WAIT},
    {"crash after Create while reads fail",
     {.gate = GATE_FAILING, .has_read = true, PENDING, IN_AWS(OURS)},
     TEMPLATE_WAIT},
    {"new while reads fail", {.gate = GATE_FAILING, .has_read = true}, TEMPLATE_WAIT},
    {"in sync while reads fail",
     {.gate = GATE_FAILING, .has_read = true, OWNED, IN_AWS(OURS)},
     TEMPLATE_IN_SYNC},
    {"as declared", {OPEN, OWNED, IN_AWS(OURS)}, TEMPLATE_IN_SYNC},
    {"drift", {OPEN, OWNED, IN_AWS(OURS), .is_different = true}, TEMPLATE_UPDATE},
    {"drift, read-only",
     {OPEN, OWNED, IN_AWS(OURS), .is_different = true, .is_read_only = true},
     TEMPLATE_REPORT_DRIFT},
    {"vanished", {OPEN, OWNED}, TEMPLATE_CREATE},
    {"vanished, read-only", {OPEN, OWNED, .is_read_only = true}, TEMPLATE_REPORT_DRIFT},
    {"normalised by AWS",
     {OPEN, OWNED, IN_AWS(OURS), .is_different = true, .is_not_converging = true},
     TEMPLATE_NOT_CONVERGING},
    {"crash after Create", {OPEN, PENDING, IN_AWS(OURS)}, TEMPLATE_COMPLETE},
    {"crash before Create", {OPEN, PENDING}, TEMPLATE_CREATE},
    {"crash before Create, and an older one is there",
     {OPEN, PENDING, IN_AWS(SINCE - 3600000), .adoption = API_ADOPT_NEVER},
     TEMPLATE_REFUSE},
    {"crash after Create, AWS's clock is five minutes behind",
     {OPEN, PENDING, IN_AWS(SINCE - 300000), .adoption = API_ADOPT_NEVER},
     TEMPLATE_COMPLETE},
    {"crash before Create, and one is there that is a bit older",
     {OPEN, PENDING, IN_AWS(SINCE - 300001), .adoption = API_ADOPT_NEVER},
     TEMPLATE_REFUSE},
    {"Create failed, and another one is there that somebody made a minute before",
     {OPEN, PENDING, IN_AWS(SINCE - 60000), .is_different = true, .adoption = API_ADOPT_NEVER},
     TEMPLATE_REFUSE},
    {"the same, made after we decided",
     {OPEN, PENDING, IN_AWS(SINCE), .is_different = true, .adoption = API_ADOPT_NEVER},
     TEMPLATE_COMPLETE},
    {"the same, deleted",
     {.is_deleting = true, OPEN, PENDING, IN_AWS(SINCE - 60000), .is_different = true},
     TEMPLATE_RELEASE},
    {"replaced behind our back", {OPEN, OWNED, IN_AWS(THEIRS)}, TEMPLATE_IN_SYNC},
    {"equal one is there", {OPEN, IN_AWS(THEIRS)}, TEMPLATE_ADOPT},
    {"other one is there", {OPEN, IN_AWS(THEIRS), .is_different = true}, TEMPLATE_REFUSE},
    {"other one, Always",
     {OPEN, IN_AWS(THEIRS), .is_different = true, .adoption = API_ADOPT_ALWAYS},
     TEMPLATE_ADOPT},
    {"equal one, Never", {OPEN, IN_AWS(THEIRS), .adoption = API_ADOPT_NEVER}, TEMPLATE_REFUSE},
    {"equal one, read-only", {OPEN, IN_AWS(THEIRS), .is_read_only = true}, TEMPLATE_IN_SYNC},
    {"claim lost", {OPEN, .has_lost_claim = true}, TEMPLATE_CONFLICT},
    {"next in line", {OPEN, .has_lost_claim = true, .is_heir = true}, TEMPLATE_INHERIT},
    {"deleted, created by us", {.is_deleting = true, OPEN, OWNED, IN_AWS(OURS)}, TEMPLATE_DELETE},
    {"deleted, adopted",
     {.is_deleting = true, OPEN, OWNED, IN_AWS(OURS), .is_adopted = true},
     TEMPLATE_RELEASE},
    {"deleted, adopted, Delete",
     {.is_deleting = true,
      OPEN,
      OWNED,
      IN_AWS(OURS),
      .is_adopted = true,
      .deletion = DELETION_DELETE},
     TEMPLATE_DELETE},
    {"deleted, Retain",
     {.is_deleting = true, OPEN, OWNED, IN_AWS(OURS), .deletion = DELETION_RETAIN},
     TEMPLATE_RELEASE},
    {"deleted, Retain, registry gone",
     {.is_deleting = true, .gate = GATE_MISSING, OWNED, .deletion = DELETION_RETAIN},
     TEMPLATE_RELEASE},
    {"deleted, registry gone", {.is_deleting = true, .gate = GATE_MISSING, OWNED}, TEMPLATE_WAIT},
    {"deleted, reads fail",
     {.is_deleting = true, .gate = GATE_FAILING, .has_read = true, OWNED, IN_AWS(OURS)},
     TEMPLATE_WAIT},
    {"deleted, another's in AWS",
     {.is_deleting = true, OPEN, OWNED, IN_AWS(THEIRS)},
     TEMPLATE_RELEASE},
    {"deleted, gone in AWS", {.is_deleting = true, OPEN, OWNED}, TEMPLATE_RELEASE},
    {"deleted, an heir waits",
     {.is_deleting = true, OPEN, OWNED, IN_AWS(OURS), .has_heir = true},
     TEMPLATE_HAND_OVER},
    {"deleted between Create and its date",
     {.is_deleting = true, OPEN, PENDING, IN_AWS(OURS)},
     TEMPLATE_DELETE},
    {"past its finalizer", {GONE, OPEN, OWNED, IN_AWS(OURS)}, TEMPLATE_DELETE},
    {"past its finalizer, between Create and its date",
     {GONE, OPEN, PENDING, IN_AWS(OURS)},
     TEMPLATE_DELETE},
    {"past its finalizer, somebody claims the prefix",
     {GONE, OPEN, OWNED, IN_AWS(OURS), .has_heir = true},
     TEMPLATE_RELEASE},
    {"past its finalizer, Retain",
     {GONE, OPEN, OWNED, IN_AWS(OURS), .deletion = DELETION_RETAIN},
     TEMPLATE_RELEASE},
    {"past its finalizer, adopted",
     {GONE, OPEN, OWNED, IN_AWS(OURS), .is_adopted = true},
     TEMPLATE_RELEASE},
    {"past its finalizer, read-only",
     {GONE, OPEN, OWNED, IN_AWS(OURS), .is_read_only = true},
     TEMPLATE_RELEASE},
    {"past its finalizer, another's in AWS", {GONE, OPEN, OWNED, IN_AWS(THEIRS)}, TEMPLATE_RELEASE},
    {"past its finalizer, registry paused",
     {GONE, .gate = GATE_NOT_READY, OWNED, IN_AWS(OURS)},
     TEMPLATE_WAIT},
};

static void test_named_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(named_cases); i++) {
        if (template_decide(&named_cases[i].facts) != named_cases[i].want)
            fail_msg("%s: got action %d, want %d", named_cases[i].name,
                     (int)template_decide(&named_cases[i].facts), (int)named_cases[i].want);
    }
}

static bool writes_aws(enum template_action a)
{
    return a == TEMPLATE_CREATE || a == TEMPLATE_UPDATE || a == TEMPLATE_DELETE;
}

/* What must hold whatever the facts are: nothing of others is overwritten or deleted. */
static void check_invariants(const struct template_facts *f)
{
    enum template_action a = template_decide(f);
    bool is_ours = f->has_ownership && f->is_in_aws &&
                   (f->owned_created_at == 0
                        ? f->aws_created_at >= f->owned_since - (f->is_different ? 0 : 300000)
                        : f->aws_created_at == f->owned_created_at);
    if (writes_aws(a)) {
        assert_int_equal(f->gate, GATE_OPEN);
        assert_false(f->is_read_only);
        assert_false(f->has_lost_claim);
    }
    if (a == TEMPLATE_DELETE) {
        assert_true(f->is_deleting && is_ours && !f->has_heir);
        assert_true(f->deletion == DELETION_DELETE ||
                    (f->deletion == DELETION_ABSENT && !f->is_adopted));
        assert_true(template_wants_finalizer(f));
    }
    if (a == TEMPLATE_CREATE)
        assert_true(!f->is_in_aws && !f->is_deleting && f->has_read);
    if (a == TEMPLATE_UPDATE)
        assert_true(f->is_in_aws && f->has_ownership && f->is_different && !f->is_deleting);
    if (a == TEMPLATE_ADOPT) {
        assert_true(f->is_in_aws && f->adoption != API_ADOPT_NEVER && !f->is_read_only);
        assert_true(f->adoption == API_ADOPT_ALWAYS || !f->is_different);
    }
    if (a == TEMPLATE_IN_SYNC)
        assert_true(f->is_in_aws && !f->is_different && !f->is_deleting);
    if (f->is_deleting)
        assert_true(a == TEMPLATE_DELETE || a == TEMPLATE_RELEASE || a == TEMPLATE_WAIT ||
                    a == TEMPLATE_HAND_OVER);
    /* an object that owns nothing, or may delete nothing, never hangs in deletion */
    if (f->is_deleting && (!f->has_ownership || f->deletion == DELETION_RETAIN || f->is_read_only))
        assert_int_equal(a, TEMPLATE_RELEASE);
    if (f->is_gone)
        assert_int_not_equal(a, TEMPLATE_HAND_OVER);
    if (!f->is_deleting)
        assert_true(a != TEMPLATE_DELETE && a != TEMPLATE_RELEASE && a != TEMPLATE_HAND_OVER);
}

static void test_invariants_over_all_facts(void **state)
{
    (void)state;
    static const int64_t owned[] = {0, OURS};
    static const int64_t aws[] = {OURS, THEIRS, SINCE - 3600000, SINCE - 60000};
    unsigned checked = 0;
    for (unsigned bits = 0; bits < 1 << 11; bits++) {
        for (unsigned rest = 0; rest < 5 * 3 * 3 * 2 * 4; rest++) {
            struct template_facts f = {
                .is_deleting = bits & 1,
                .is_gone = (bits & 1025) == 1025, /* never without is_deleting */
                .is_read_only = bits & 2,
                .has_read = bits & 4,
                .has_lost_claim = bits & 8,
                .has_heir = bits & 16,
                .is_heir = bits & 32,
                .has_ownership = bits & 64,
                .is_adopted = bits & 128,
                .is_in_aws = bits & 256,
                .is_different = bits & 512,
                .gate = (enum gate)(rest % 5),
                .adoption = (enum api_adoption)(rest / 5 % 3),
                .deletion = (enum template_deletion)(rest / 15 % 3),
                .owned_since = SINCE,
                .owned_created_at = owned[rest / 45 % 2],
                .aws_created_at = aws[rest / 90],
            };
            check_invariants(&f);
            checked++;
        }
    }
    assert_int_equal(checked, 2048 * 360);
}

static void test_finalizer_only_where_deletion_would_call_aws(void **state)
{
    (void)state;
    struct template_facts f = {OPEN, OWNED};
    assert_true(template_wants_finalizer(&f));
    f.is_adopted = true;
    assert_false(template_wants_finalizer(&f));
    f.deletion = DELETION_DELETE;
    assert_true(template_wants_finalizer(&f));
    f.is_read_only = true;
    assert_false(template_wants_finalizer(&f));
    f = (struct template_facts){OPEN};
    assert_false(template_wants_finalizer(&f));
}

static void test_claimants(void **state)
{
    (void)state;
    static const struct claimant cases[][3] = {
        /* the first of each wins */
        {{{STR_INIT("b")}, true, false, 9}, {{STR_INIT("a")}, false, false, 1}},
        {{{STR_INIT("b")}, false, false, 1}, {{STR_INIT("a")}, false, false, 2}},
        {{{STR_INIT("a")}, false, false, 1}, {{STR_INIT("b")}, false, false, 1}},
        {{{STR_INIT("b")}, false, false, 5}, {{STR_INIT("a")}, false, true, 1}},
        {{{STR_INIT("b")}, true, true, 5}, {{STR_INIT("a")}, false, false, 1}},
        {{{STR_INIT("b")}, true, false, 5}, {{STR_INIT("a")}, true, true, 1}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct claimant forth[] = {cases[i][0], cases[i][1]};
        struct claimant back[] = {cases[i][1], cases[i][0]};
        assert_int_equal(claimants_winner(forth, 2), 0);
        assert_int_equal(claimants_winner(back, 2), 1);
        /* of two that are alike the first, so that a look from each comes to the same */
        struct claimant alike[] = {cases[i][0], cases[i][0]};
        assert_int_equal(claimants_winner(alike, 2), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_cases),
        cmocka_unit_test(test_invariants_over_all_facts),
        cmocka_unit_test(test_finalizer_only_where_deletion_would_call_aws),
        cmocka_unit_test(test_claimants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
