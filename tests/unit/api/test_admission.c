// SPDX-License-Identifier: Apache-2.0
/*
 * spec.admission: globs against a judge that tries everything, and which rule holds.
 */
#include "api/admission.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* By the definition alone. */
static bool judge(const char *glob, const char *text)
{
    if (*glob == '\0')
        return *text == '\0';
    if (*glob == '*')
        return judge(glob + 1, text) || (*text != '\0' && judge(glob, text + 1));
    return *text != '\0' && (*glob == '?' || *glob == *text) && judge(glob + 1, text + 1);
}

static void random_text(char *to, size_t max, const char *letters)
{
    const size_t n = (size_t)rand() % (max + 1);
    for (size_t i = 0; i < n; i++)
        to[i] = letters[(size_t)rand() % strlen(letters)];
    to[n] = '\0';
}

static void globs_as_the_judge_says(void **state)
{
    (void)state;
    size_t matched = 0;
    for (int i = 0; i < 200000; i++) {
        char glob[12];
        char text[12];
        random_text(glob, 8, "ab/**?");
        random_text(text, 9, "ab/");
        const bool is_match = api_glob_match(str_from(glob), str_from(text));
        matched += is_match;
        if (is_match != judge(glob, text))
            fail_msg("\"%s\" and \"%s\": %d", glob, text, is_match);
    }
    assert_true(matched > 10000 && matched < 190000);
}

static void globs_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *text;
        bool is_match;
    } cases[] = {
        {"*", "", true},           {"", "", true},
        {"", "a", false},          {"team/*", "team/a/b", true},
        {"team/*", "team", false}, {"*/b", "a/b", true},
        {"a?c", "abc", true},      {"a?c", "ac", false},
        {"[a]", "a", false}, /* no classes, no escapes */
        {"\\*", "*", false},       {"Team/*", "team/a", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (api_glob_match(str_from(cases[i].glob), str_from(cases[i].text)) != cases[i].is_match)
            fail_msg("\"%s\" and \"%s\"", cases[i].glob, cases[i].text);
}

/* "*a*a*a…b" over "aaaa…": product of the lengths, not exponential. */
static void a_hostile_glob_takes_no_time(void **state)
{
    (void)state;
    char glob[API_ADMISSION_GLOB_MAX + 1];
    char *text = mem_alloc(100001);
    memset(text, 'a', 100000);
    for (size_t i = 0; i < API_ADMISSION_GLOB_MAX; i++)
        glob[i] = i % 2 == 0 ? '*' : 'a';
    glob[API_ADMISSION_GLOB_MAX - 1] = 'b';
    glob[API_ADMISSION_GLOB_MAX] = '\0';
    assert_false(api_glob_match(str_from(glob), str_from(text)));
    text[99999] = 'b';
    assert_true(api_glob_match(str_from(glob), str_from(text)));
    mem_free(text);
}

/* --- what holds ------------------------------------------------------------------------------- */

static struct str team_globs[] = {{STR_INIT("team-*")}};
static struct str kube_globs[] = {{STR_INIT("kube")}, {STR_INIT("infra-?")}};
static struct str prefix_globs[] = {{STR_INIT("prod/*")}};
static struct api_admission_rule rules[] = {
    {.namespaces = {team_globs, 1},
     .prefixes = {prefix_globs, 1},
     .fields = {.uncovered_repository = {STR_INIT("Deny")},
                .creations_per_minute = {.has = true, .value = 5}}},
    {.namespaces = {kube_globs, 2}, .fields = {.ensure_repositories = {STR_INIT("Never")}}},
    {.prefixes = {prefix_globs, 1}, .fields = {.on_error = {STR_INIT("Allow")}}},
};
static const struct api_admission admission = {
    .has = true,
    .fields = {.ensure_repositories = {STR_INIT("PushOnly")}, .on_error = {STR_INIT("Deny")}},
    .rules = {rules, ARRAY_SIZE(rules)},
};

static void without_anything_the_defaults_hold(void **state)
{
    (void)state;
    const struct api_admission none = {0};
    const struct api_admission_choice c = api_admission_choose(&none, STR("ns"), STR("a/b"));
    assert_int_equal(c.ensure_repositories, API_ENSURE_ALWAYS);
    assert_int_equal(c.uncovered_repository, API_ACTION_WARN);
    assert_int_equal(c.missing_image, API_ACTION_ALLOW);
    assert_int_equal(c.invalid_reference, API_ACTION_WARN);
    assert_int_equal(c.on_error, API_ACTION_WARN);
    assert_int_equal(c.creations_per_minute, API_CREATIONS_PER_MINUTE);
    assert_int_equal(c.rule, -1);
}

static void the_first_rule_that_matches_holds(void **state)
{
    (void)state;
    static const struct {
        const char *namespace, *repository;
        ptrdiff_t rule;
    } cases[] = {
        {"team-a", "prod/x", 0}, /* both must match */
        {"team-a", "dev/x", -1},  {"kube", "dev/x", 1},
        {"kube", "prod/x", 1}, /* before the third */
        {"infra-1", "prod/x", 1}, {"infra-12", "prod/x", 2},
        {"", "prod/x", 2}, /* a cluster-scoped object */
        {"default", "prod", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct api_admission_choice c = api_admission_choose(
            &admission, str_from(cases[i].namespace), str_from(cases[i].repository));
        if (c.rule != cases[i].rule)
            fail_msg("%s %s: %td", cases[i].namespace, cases[i].repository, c.rule);
    }
}

static void what_a_rule_leaves_out_is_as_outside(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct api_admission copy = api_admission_copy(&admission, &a);
    const struct api_admission *both[] = {&admission, &copy};
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        struct api_admission_choice c = api_admission_choose(both[i], STR("team-a"), STR("prod/x"));
        assert_int_equal(c.ensure_repositories, API_ENSURE_PUSH_ONLY);
        assert_int_equal(c.uncovered_repository, API_ACTION_DENY);
        assert_int_equal(c.on_error, API_ACTION_DENY);
        assert_int_equal(c.creations_per_minute, 5);
        c = api_admission_choose(both[i], STR("kube"), STR("prod/x"));
        assert_int_equal(c.ensure_repositories, API_ENSURE_OFF);
        assert_int_equal(c.on_error, API_ACTION_DENY);
        c = api_admission_choose(both[i], STR("x"), STR("prod/x"));
        assert_int_equal(c.on_error, API_ACTION_ALLOW);
        assert_int_equal(c.creations_per_minute, API_CREATIONS_PER_MINUTE);
    }
    assert_ptr_not_equal(copy.rules.items, admission.rules.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_as_the_judge_says),
        cmocka_unit_test(globs_by_hand),
        cmocka_unit_test(a_hostile_glob_takes_no_time),
        cmocka_unit_test(without_anything_the_defaults_hold),
        cmocka_unit_test(the_first_rule_that_matches_holds),
        cmocka_unit_test(what_a_rule_leaves_out_is_as_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
