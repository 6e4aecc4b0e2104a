// SPDX-License-Identifier: Apache-2.0
/*
 * Which template covers a repository: tables, and random prefixes against an oracle that works by
 * lists of path segments.
 */
#include "base/str.h"
#include "ecr/prefix.h"
#include "test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_covers(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *repository;
        bool want;
    } cases[] = {
        {"prod", "prod/x", true},
        {"prod", "prod/x/y", true},
        {"prod/", "prod/x", true},
        {"prod", "production/x", false},
        {"prod", "prod", false},
        {"prod/", "prod", false},
        {"prod", "prod/", false},
        {"prod/x", "prod/x/y", true},
        {"prod/x", "prod/xy", false},
        {"prod/x", "prod", false},
        {"prod", "x/prod/y", false},
        {"ROOT", "prod", true},
        {"ROOT", "a/b/c", true},
        {"ROOT", "", false},
        {"", "x", false},
        {"", "/x", false},
        {"/", "x", false},
        {"ROOT/", "ROOT/x", true},
        {"prod", "", false},
        {NULL, "x", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (ecr_prefix_covers(str_from(cases[i].prefix), str_from(cases[i].repository)) !=
            cases[i].want)
            fail_msg("%s and %s", cases[i].prefix, cases[i].repository);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(ecr_prefix_equal(STR("prod"), STR("prod/")));
    assert_true(ecr_prefix_equal(STR("prod/"), STR("prod/")));
    assert_false(ecr_prefix_equal(STR("prod"), STR("prod/x")));
    assert_true(str_eq_cstr(ecr_prefix_normalise(STR("a/b/")), "a/b"));
    assert_true(str_eq_cstr(ecr_prefix_normalise(STR("ROOT")), "ROOT"));
    assert_int_equal(ecr_prefix_normalise(STR("/")).len, 0);
    assert_int_equal(ecr_prefix_normalise(STR_NULL).len, 0);
    assert_true(ecr_prefix_is_root(STR("ROOT")));
    assert_false(ecr_prefix_is_root(STR("root")));
}

static void test_words(void **state)
{
    (void)state;
    static const uint32_t bits[] = {ECR_FOR_CREATE_ON_PUSH, ECR_FOR_PULL_THROUGH_CACHE,
                                    ECR_FOR_REPLICATION};
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        assert_int_equal(ecr_applied_for_parse(str_from(ecr_applied_for_word(bits[i]))), bits[i]);
    assert_int_equal(ecr_applied_for_parse(STR("CREATE_ON_PUSH")), ECR_FOR_CREATE_ON_PUSH);
    assert_int_equal(ecr_applied_for_parse(STR("SOMETHING_NEW")), 0);
    assert_null(ecr_applied_for_word(ECR_FOR_CREATE_ON_PUSH | ECR_FOR_REPLICATION));
    assert_null(ecr_applied_for_word(0));
}

#define PUSH  ECR_FOR_CREATE_ON_PUSH
#define CACHE ECR_FOR_PULL_THROUGH_CACHE

static void test_choose(void **state)
{
    (void)state;
    static const struct {
        const char *prefixes[4];
        uint32_t bits[4];
        const char *repository;
        uint32_t wanted;
        ptrdiff_t want, want_longest;
    } cases[] = {
        {{"prod", "prod/team"}, {PUSH, PUSH}, "prod/team/x", PUSH, 1, 1},
        {{"prod/team", "prod"}, {PUSH, PUSH}, "prod/team/x", PUSH, 0, 0},
        {{"prod", "prod/team"}, {PUSH, PUSH}, "prod/team", PUSH, 0, 0},
        {{"ROOT", "prod"}, {PUSH, PUSH}, "prod/x", PUSH, 1, 1},
        {{"ROOT", "prod"}, {PUSH, PUSH}, "dev/x", PUSH, 0, 0},
        {{"a", "b"}, {PUSH, PUSH}, "c/x", PUSH, -1, -1},
        {{"x", "ROOT"}, {PUSH, PUSH}, "x/y", PUSH, 0, 0}, /* ROOT is longer as a word */
        {{"prod", "prod/team", "ROOT"}, {PUSH, CACHE, PUSH}, "prod/team/x", PUSH, 0, -1},
        {{"prod/team", "ROOT"}, {CACHE, PUSH}, "prod/team/x", PUSH, 1, -1},
        {{"prod/team", "ROOT"}, {CACHE, PUSH}, "prod/team/x", 0, 0, 0},
        {{"prod"}, {PUSH | CACHE}, "prod/x", CACHE, 0, 0},
        {{"prod"}, {0}, "prod/x", CACHE, -1, -1},
        {{"prod/", "prod"}, {PUSH, PUSH}, "prod/x", PUSH, 0, 0},
        {{"prod/", "prod"}, {CACHE, PUSH}, "prod/x", PUSH, 1, 1},
        {{"prod", "prod/"}, {PUSH, CACHE}, "prod/x", PUSH, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ecr_candidate c[4];
        size_t n = 0;
        for (; n < 4 && cases[i].prefixes[n] != NULL; n++)
            c[n] = (struct ecr_candidate){str_from(cases[i].prefixes[n]), cases[i].bits[n]};
        struct str repository = str_from(cases[i].repository);
        ptrdiff_t got =
            ecr_prefix_choose(c, n, repository, cases[i].wanted, ECR_CHOOSE_FILTERED_LONGEST);
        ptrdiff_t longest =
            ecr_prefix_choose(c, n, repository, cases[i].wanted, ECR_CHOOSE_LONGEST_FILTERED);
        if (got != cases[i].want || longest != cases[i].want_longest)
            fail_msg("case %zu: %td and %td", i, got, longest);
    }
    assert_int_equal(ecr_prefix_choose(NULL, 0, STR("a/b"), PUSH, ECR_CHOOSE_FILTERED_LONGEST), -1);
}

/* The oracle: how many segments of the repository the prefix stands for; -1: not covered. */
static int oracle_depth(const char *prefix, const char *repository)
{
    char p[300];
    char r[300];
    (void)snprintf(p, sizeof p, "%s%s", prefix,
                   prefix[0] && prefix[strlen(prefix) - 1] == '/' ? "" : "/");
    (void)snprintf(r, sizeof r, "%s", repository);
    if (strcmp(prefix, "ROOT") == 0)
        return 0;
    if (strstr(r, p) != r || r[strlen(p)] == '\0')
        return -1;
    int depth = 0;
    for (const char *c = p; *c != '\0'; c++)
        depth += *c == '/';
    return depth;
}

static ptrdiff_t oracle(char prefixes[][32], const uint32_t *bits, size_t count,
                        const char *repository, uint32_t wanted, enum ecr_choice how)
{
    for (int depth = 16; depth >= 0; depth--) {
        bool is_shielded = false;
        for (size_t i = 0; i < count; i++) {
            if (oracle_depth(prefixes[i], repository) != depth)
                continue;
            if ((bits[i] & wanted) == wanted)
                return (ptrdiff_t)i;
            is_shielded = true;
        }
        if (is_shielded && how == ECR_CHOOSE_LONGEST_FILTERED)
            return -1;
    }
    return -1;
}

/* "a/bb/a" with up to `most` segments, and sometimes a slash at the end. */
static void random_path(struct test_random *r, uint32_t most, bool has_slash, char *ret)
{
    size_t used = 0;
    for (uint32_t n = 1 + test_random_below(r, most); n > 0; n--) {
        static const char *const words[] = {"a", "b", "aa", "ab"};
        used += (size_t)snprintf(ret + used, 32 - used, "%s%s", used > 0 ? "/" : "",
                                 words[test_random_below(r, 4)]);
    }
    if (has_slash && test_random_below(r, 4) == 0)
        (void)snprintf(ret + used, 32 - used, "/");
}

static void test_choose_as_the_oracle(void **state)
{
    (void)state;
    struct test_random r = {7};
    int covered = 0;
    enum { ROUNDS = 50000, CANDIDATES = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        char prefixes[CANDIDATES][32];
        uint32_t bits[CANDIDATES];
        struct ecr_candidate c[CANDIDATES];
        char repository[32];
        size_t count = test_random_below(&r, CANDIDATES + 1);
        for (size_t i = 0; i < count; i++) {
            random_path(&r, 3, true, prefixes[i]);
            if (test_random_below(&r, 8) == 0)
                (void)snprintf(prefixes[i], 32, "ROOT");
            bits[i] = test_random_below(&r, 8);
            c[i] = (struct ecr_candidate){str_from(prefixes[i]), bits[i]};
        }
        random_path(&r, 4, false, repository);
        uint32_t wanted = test_random_below(&r, 4) == 0 ? 0 : 1U << test_random_below(&r, 3);
        enum ecr_choice how = test_random_below(&r, 2) == 0 ? ECR_CHOOSE_FILTERED_LONGEST
                                                            : ECR_CHOOSE_LONGEST_FILTERED;
        ptrdiff_t want = oracle(prefixes, bits, count, repository, wanted, how);
        ptrdiff_t got = ecr_prefix_choose(c, count, str_from(repository), wanted, how);
        covered += want >= 0;
        if (got != want)
            fail_msg("round %d, %s: %td, the oracle says %td", round, repository, got, want);
    }
    assert_in_range(covered, ROUNDS / 10, ROUNDS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_choose_as_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
