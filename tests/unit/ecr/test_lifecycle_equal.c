// SPDX-License-Identifier: Apache-2.0
/*
 * Equality of lifecycle policies: each equivalence, each thing that is none, and random policies
 * in many forms (equal) or changed in one place (unequal).
 */
#include "base/buf.h"
#include "base/str.h"
#include "ecr/policy.h"
#include "test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_equal(const char *a, const char *b, bool want)
{
    if (ecr_lifecycle_equal(str_from(a), str_from(b)) != want ||
        ecr_lifecycle_equal(str_from(b), str_from(a)) != want)
        fail_msg("%s and %s are%s equal", a, b, want ? " not" : "");
}

#define RULES(LIST)        "{\"rules\":[" LIST "]}"
#define RULE(P, SELECTION) "{\"rulePriority\":" P ",\"selection\":{" SELECTION "}}"

static const struct {
    const char *a, *b;
    bool want;
} equivalences[] = {
    {NULL, "", true},
    {"", RULES(""), false},
    {"x", "x", true},
    {"x", " x", false},
    {RULES(""), "{ \"rules\" : [ ] }\r\n", true},
    {"{}", RULES(""), false},
    {RULES(RULE("1", "") "," RULE("2", "\"a\":1")), RULES(RULE("2", "\"a\":1") "," RULE("1", "")),
     true},
    {RULES(RULE("1", "") "," RULE("2", "\"a\":1")), RULES(RULE("1", "\"a\":1") "," RULE("2", "")),
     false},
    {RULES(RULE("1", "")), RULES(RULE("10", "")), false},
    {RULES(RULE("1", "")), RULES(RULE("1", "") "," RULE("2", "")), false},
    {RULES(RULE("1", "")), RULES(RULE("1.0", "")), true},
    /* without priorities, or with one twice: as they stand */
    {RULES("{\"a\":1},{\"b\":2}"), RULES("{\"a\":1},{\"b\":2}"), true},
    {RULES("{\"a\":1},{\"b\":2}"), RULES("{\"b\":2},{\"a\":1}"), false},
    {RULES(RULE("1", "\"a\":1") "," RULE("1", "")), RULES(RULE("1", "\"a\":1") "," RULE("1", "")),
     true},
    {RULES(RULE("1", "\"a\":1") "," RULE("1", "")), RULES(RULE("1", "") "," RULE("1", "\"a\":1")),
     false},
    {RULES(RULE("1", "") "," RULE("1", "")), RULES(RULE("1", "") "," RULE("2", "")), false},
    /* what is no policy: as it stands */
    {RULES("1,2"), RULES("1,2"), true},
    {RULES("1"), RULES("2"), false},
    {RULES(RULE("\"1\"", "")), RULES(RULE("\"1\"", "")), true},
    {RULES(RULE("1", "") ",{\"a\":1}"), RULES(RULE("1", "") ",{\"a\":1}"), true},
    {RULES(RULE("1", "") ",{\"a\":1}"), RULES(RULE("1", "") ",{\"a\":2}"), false},
    {"{\"rules\":7}", "{\"rules\": 7}", true},
    {"{\"rules\":7}", "{\"rules\":8}", false},
    {"{\"rules\":7}", "{}", false},
    {"{\"rules\":7}", RULES(""), false},
    {"{\"rules\":null}", "{}", false},
    {"[]", "{}", false},
    {RULES(RULE("1", "")), RULES("{\"rulePriority\":1}"), true}, /* nothing selected, twice */
    {"[]", "[ ]", true},
    {"7", "{}", false},
    {RULES("{\"rulePriority\":1,\"selection\":7}"),
     RULES("{\"rulePriority\":1,\"selection\":7}") " ", true},
    {RULES("{\"rulePriority\":1,\"selection\":7}"), RULES(RULE("1", "")), false},
    {RULES("{\"rulePriority\":1,\"selection\":7}"), RULES("{\"rulePriority\":1}"), false},
    {RULES("{\"rulePriority\":1,\"description\":7}"),
     RULES("{\"description\":7,\"rulePriority\":1}"), true},
    {RULES("{\"rulePriority\":1,\"description\":7}"), RULES("{\"rulePriority\":1}"), false},
    {RULES("{\"rulePriority\":1,\"description\":7}"),
     RULES("{\"rulePriority\":1,\"description\":\"\"}"), false},
    {RULES(RULE("1", "\"storageClass\":7")), RULES(RULE("1", "\"storageClass\":7") " "), true},
    {RULES(RULE("1", "\"storageClass\":7")), RULES(RULE("1", "")), false},
    {RULES(RULE("1", "\"storageClass\":7")), RULES(RULE("1", "\"storageClass\":\"standard\"")),
     false},
    {RULES(RULE("1", "\"storageClass\":\"archive\"")), RULES(RULE("1", "")), false},
    {RULES(RULE("1", "\"storageClass\":\"standard\"")), RULES(RULE("1", "")), true},
    {RULES(RULE("1", "\"tagPrefixList\":[7]")), RULES(RULE("1", "\"tagPrefixList\":[7]") " "),
     true},
    {RULES(RULE("1", "\"tagPrefixList\":[7]")), RULES(RULE("1", "\"tagPrefixList\":[\"7\"]")),
     false},
    {RULES(RULE("1", "\"tagPrefixList\":[]")), RULES(RULE("1", "")), false},
    /* tag lists */
    {RULES(RULE("1", "\"tagPrefixList\":[\"a\",\"b\"]")),
     RULES(RULE("1", "\"tagPrefixList\":[\"b\",\"a\"]")), true},
    {RULES(RULE("1", "\"tagPatternList\":[\"a\",\"b\"]")),
     RULES(RULE("1", "\"tagPatternList\":[\"b\",\"a\",\"a\"]")), true},
    {RULES(RULE("1", "\"tagPrefixList\":[\"a\",\"b\"]")),
     RULES(RULE("1", "\"tagPrefixList\":[\"a\"]")), false},
    {RULES(RULE("1", "\"tagPrefixList\":[\"a\"]")), RULES(RULE("1", "\"tagPatternList\":[\"a\"]")),
     false},
    {RULES(RULE("1", "\"tagPrefixList\":[\"a\"]")), RULES(RULE("1", "\"tagPrefixList\":[\"A\"]")),
     false},
    {RULES(RULE("1", "\"tagPrefixList\":[]")), RULES(RULE("1", "")), false},
    /* storage class */
    {RULES(RULE("1", "\"storageClass\":\"standard\"")), RULES(RULE("1", "")), true},
    {RULES(RULE("1", "\"storageClass\":\"archive\"")), RULES(RULE("1", "")), false},
    {RULES(RULE("1", "\"storageClass\":null")), RULES(RULE("1", "")), false},
    {RULES(RULE("1", "\"storageClass\":1")), RULES(RULE("1", "\"storageClass\":1")), true},
    /* description */
    {RULES("{\"rulePriority\":1,\"description\":\"\"}"), RULES("{\"rulePriority\":1}"), true},
    {RULES("{\"rulePriority\":1,\"description\":\"x\"}"), RULES("{\"rulePriority\":1}"), false},
    {RULES("{\"rulePriority\":1,\"description\":null}"), RULES("{\"rulePriority\":1}"), false},
    /* all else as JSON */
    {RULES(RULE("1", "\"countNumber\":5")), RULES(RULE("1", "\"countNumber\":6")), false},
    {RULES(RULE("1", "\"x\":1")), RULES(RULE("1", "")), false},
    {"{\"rules\":7}", "{\"rules\":7}", true},
    {"{\"rules\":7}", "{\"rules\":8}", false},
};

static void test_equivalences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(equivalences); i++)
        assert_equal(equivalences[i].a, equivalences[i].b, equivalences[i].want);
}

static void test_too_many_rules_are_compared_as_json(void **state)
{
    (void)state;
    struct buf a BERTH_CLEANUP(buf_fini) = BUF_INIT(100000);
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(100000);
    buf_append_cstr(&a, "{\"rules\":[");
    buf_append_cstr(&b, "{\"rules\":[");
    for (int i = 0; i <= ECR_LIFECYCLE_RULES_MAX; i++) {
        buf_printf(&a, "%s{\"rulePriority\":%d}", i > 0 ? "," : "", i);
        buf_printf(&b, "%s{\"rulePriority\":%d}", i > 0 ? "," : "", ECR_LIFECYCLE_RULES_MAX - i);
    }
    buf_append_cstr(&a, "]}");
    buf_append_cstr(&b, "]}");
    assert_equal(buf_cstr(&a), buf_cstr(&b), false);
    buf_append_char(&b, ' ');
    buf_append_char(&a, ' ');
    assert_equal(buf_cstr(&a), buf_cstr(&a), true);
}

enum { RULES_MAX = 4, TAGS_MAX = 3 };
struct rule {
    uint32_t tags[TAGS_MAX];
    uint32_t tag_count;
    uint32_t count;
    uint32_t days; /* 0: countType imageCountMoreThan */
    uint32_t description;
};
struct model {
    uint32_t count;
    uint32_t priority_step;
    struct rule rules[RULES_MAX];
};

static void fill_model(struct test_random *r, struct model *m)
{
    *m = (struct model){.count = 1 + test_random_below(r, RULES_MAX),
                        .priority_step = 1 + test_random_below(r, 5)};
    for (uint32_t i = 0; i < m->count; i++) {
        struct rule *x = &m->rules[i];
        x->tag_count = 1 + test_random_below(r, TAGS_MAX);
        for (uint32_t n = 0; n < TAGS_MAX; n++)
            x->tags[n] = 100 * i + 10 * n + test_random_below(r, 9);
        x->count = 1 + test_random_below(r, 50);
        x->days = test_random_below(r, 2);
        x->description = test_random_below(r, 3);
    }
}

static void change_model(struct test_random *r, struct model *m)
{
    struct rule *x = &m->rules[test_random_below(r, m->count)];
    switch (test_random_below(r, 6)) {
    case 0:
        x->tags[test_random_below(r, x->tag_count)] = 9999;
        return;
    case 1:
        x->count += 1;
        return;
    case 2:
        x->days = !x->days;
        return;
    case 3:
        x->description += 1;
        return;
    case 4:
        m->priority_step += 1;
        return;
    default:
        if (m->count > 1)
            m->count--;
        else
            m->rules[m->count++] = m->rules[0];
        return;
    }
}

static void shuffle(struct test_random *r, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = test_random_below(r, i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

static void write_selection(struct test_random *r, struct buf *out, const struct rule *x)
{
    uint32_t order[TAGS_MAX];
    shuffle(r, order, x->tag_count);
    buf_append_cstr(out, "\"selection\":{");
    if (test_random_below(r, 2) == 0)
        buf_append_cstr(out, "\"storageClass\": \"standard\",");
    buf_append_cstr(out, "\"tagPrefixList\":[");
    for (uint32_t i = 0; i < x->tag_count; i++)
        buf_printf(out, "%s\"t%u\"", i > 0 ? ", " : "", x->tags[order[i]]);
    buf_printf(out, "],\"countNumber\":%u,\"tagStatus\":\"tagged\",", x->count);
    buf_append_cstr(out, x->days ? "\"countUnit\":\"days\",\"countType\":\"sinceImagePushed\"}"
                                 : "\"countType\":\"imageCountMoreThan\"}");
}

static void write_model(struct test_random *r, struct buf *out, const struct model *m)
{
    uint32_t order[RULES_MAX];
    uint32_t members[4];
    shuffle(r, order, m->count);
    buf_append_cstr(out, "{\"rules\":[");
    for (uint32_t i = 0; i < m->count; i++) {
        const struct rule *x = &m->rules[order[i]];
        shuffle(r, members, 4);
        buf_printf(out, "%s\r\n{", i > 0 ? "," : "");
        for (uint32_t n = 0; n < 4; n++) {
            buf_append_cstr(out, n > 0 ? ", " : "");
            if (members[n] == 0)
                buf_printf(out, "\"rulePriority\":%u", (order[i] + 1) * m->priority_step);
            else if (members[n] == 1)
                write_selection(r, out, x);
            else if (members[n] == 2)
                buf_append_cstr(out, "\"action\":{\"type\":\"expire\"}");
            else
                buf_printf(out, "\"description\":\"d%u\"", x->description);
        }
        buf_append_char(out, '}');
    }
    buf_append_cstr(out, "]}");
}

static void test_random_documents(void **state)
{
    (void)state;
    struct test_random r = {13};
    for (int round = 0; round < 5000; round++) {
        struct buf a BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_LIFECYCLE_MAX);
        struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_LIFECYCLE_MAX);
        struct buf c BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_LIFECYCLE_MAX);
        struct err e = ERR_INIT;
        struct model m;
        fill_model(&r, &m);
        write_model(&r, &a, &m);
        write_model(&r, &b, &m);
        if (!ecr_lifecycle_validate(buf_str(&a), false, &e))
            fail_msg("%s: %s", buf_cstr(&a), e.msg);
        assert_equal(buf_cstr(&a), buf_cstr(&b), true);
        change_model(&r, &m);
        write_model(&r, &c, &m);
        assert_equal(buf_cstr(&a), buf_cstr(&c), false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equivalences),
        cmocka_unit_test(test_too_many_rules_are_compared_as_json),
        cmocka_unit_test(test_random_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
