// SPDX-License-Identifier: Apache-2.0
/*
 * Equality of IAM policies: each equivalence, each thing that is none, and random documents that
 * are written in many ways (equal) or changed in one place (unequal).
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
    if (ecr_policy_equal(str_from(a), str_from(b)) != want ||
        ecr_policy_equal(str_from(b), str_from(a)) != want)
        fail_msg("%s and %s are%s equal", a, b, want ? " not" : "");
}

#define DOC(STATEMENT) "{\"Version\":\"2012-10-17\",\"Statement\":[{" STATEMENT "}]}"

static const struct {
    const char *a, *b;
    bool want;
} equivalences[] = {
    {NULL, "", true},
    {"", "", true},
    {"", "{}", false},
    {NULL, "x", false},
    {"not json", "not json", true},
    {"not json", "not  json", false},
    {"{}", "{ }", true},
    {"[1]", "[ 1 ]", true},
    {"[1]", "[2]", false},
    {"{\"x\":1}", "{}", false},
    {"{\"x\":null}", "{}", false},
    {"[1]", "{}", false},
    {"7", "7 ", true},
    {"{}", "", false},
    /* Version */
    {"{\"Version\":7}", "{\"Version\": 7}", true},
    {"{\"Version\":7}", "{\"Version\":\"7\"}", false},
    {"{\"Version\":7}", "{}", false},
    {"{\"Version\":\"2008-10-17\"}", "{}", true},
    {"{\"Version\":\"2012-10-17\"}", "{}", false},
    {"{\"Version\":\"2012-10-17\"}", "{\"Version\":\"2008-10-17\"}", false},
    {"{\"Version\":null}", "{}", false},
    /* Id, Sid */
    {"{\"Id\":\"\"}", "{}", true},
    {"{\"Id\":\"a\"}", "{\"Id\":\"b\"}", false},
    {DOC("\"Sid\":\"\""), DOC(""), true},
    {DOC("\"Sid\":\"a\""), DOC(""), false},
    {"{\"Id\":7}", "{\"Id\": 7}", true},
    {"{\"Id\":7}", "{\"Id\":8}", false},
    {"{\"Id\":7}", "{\"Id\":\"7\"}", false},
    {"{\"Id\":7}", "{}", false},
    {"{\"Id\":null}", "{}", false},
    /* of another type than the grammar has: as they stand */
    {DOC("\"Action\":7"), DOC("\"Action\": 7"), true},
    {DOC("\"Action\":7"), DOC("\"Action\":\"7\""), false},
    {DOC("\"Action\":[7]"), DOC("\"Action\":[\"7\"]"), false},
    {DOC("\"Action\":[[\"a\"]]"), DOC("\"Action\": [[\"a\"]]"), true},
    {DOC("\"Action\":\"a\""), DOC(""), false},
    {DOC("\"Principal\":{\"AWS\":7}"), DOC("\"Principal\":{\"AWS\": 7}"), true},
    {DOC("\"Principal\":{\"AWS\":7}"), DOC("\"Principal\":{\"AWS\":\"7\"}"), false},
    {DOC("\"Principal\":{\"AWS\":[7]}"), DOC("\"Principal\":{\"AWS\":[\"x\"]}"), false},
    {DOC("\"Principal\":7"), DOC("\"Principal\": 7"), true},
    {DOC("\"Principal\":7"), DOC("\"Principal\":{}"), false},
    {DOC("\"Principal\":\"x\""), DOC(""), false},
    {DOC("\"Principal\":{}"), DOC(""), false},
    {DOC("\"NotPrincipal\":{}"), DOC(""), false},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":[\"*\"]"), true},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"Service\":\"*\"}"), false},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"AWS\":[\"*\",\"x\"]}"), false},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"AWS\":\"x\"}"), false},
    {DOC("\"NotPrincipal\":{\"AWS\":\"x\"}"), DOC("\"NotPrincipal\":{\"AWS\":[\"x\"]}"), true},
    {DOC("\"NotPrincipal\":{\"AWS\":\"x\"}"), DOC(""), false},
    {DOC("\"NotPrincipal\":\"*\""), DOC("\"NotPrincipal\":{\"AWS\":\"*\"}"), false},
    /* what looks like the root of an account, and is none */
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws-cn:iam::123456789012:root\"}"), true},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:user/root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:sts::123456789012:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:other:iam::123456789012:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"urn:aws:iam::123456789012:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::12345678901:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"), DOC("\"Principal\":{\"AWS\":\"arn\"}"),
     false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"), DOC("\"Principal\":{\"AWS\":\"arn:aws\"}"),
     false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"123456789013\"}"), false},
    /* conditions */
    {DOC("\"Condition\":7"), DOC("\"Condition\": 7"), true},
    {DOC("\"Condition\":7"), DOC("\"Condition\":8"), false},
    {DOC("\"Condition\":7"), DOC("\"Condition\":{}"), false},
    {DOC("\"Condition\":7"), DOC(""), false},
    {DOC("\"Condition\":{}"), DOC(""), false},
    {DOC("\"Condition\":{\"Bool\":7}"), DOC("\"Condition\":{\"Bool\": 7}"), true},
    {DOC("\"Condition\":{\"Bool\":7}"), DOC("\"Condition\":{\"Bool\":{}}"), false},
    {DOC("\"Condition\":{\"Bool\":{}}"), DOC("\"Condition\":{\"bool\":{}}"), false},
    {DOC("\"Condition\":{\"A\":{}}"), DOC("\"Condition\":{\"A\":{},\"B\":{}}"), false},
    {DOC("\"Condition\":{\"A\":{\"k\":1}}"), DOC("\"Condition\":{\"A\":{\"k\":1,\"l\":1}}"), false},
    {DOC("\"Condition\":{\"A\":{\"k\":1}}"), DOC("\"Condition\":{\"A\":{\"l\":1}}"), false},
    /* one name in two cases: as they stand */
    {DOC("\"Condition\":{\"A\":{\"k\":1,\"K\":2}}"), DOC("\"Condition\":{\"A\":{\"K\":2,\"k\":1}}"),
     true},
    {DOC("\"Condition\":{\"A\":{\"k\":1,\"K\":2}}"), DOC("\"Condition\":{\"A\":{\"k\":2,\"K\":1}}"),
     false},
    {DOC("\"Condition\":{\"A\":{\"k\":1,\"K\":2}}"), DOC("\"Condition\":{\"A\":{\"k\":1,\"l\":2}}"),
     false},
    {DOC("\"Condition\":{\"A\":{\"k\":null}}"), DOC("\"Condition\":{\"A\":{\"k\":\"null\"}}"),
     false},
    /* Statement */
    {"{\"Statement\":[]}", "{\"Statement\":{\"a\":1}}", false},
    {"{\"Statement\":[7]}", "{\"Statement\":7}", false},
    {"{\"Statement\":{}}", "{}", false},
    {"{\"Statement\":{\"a\":1}}", "{\"Statement\":[{\"a\":1}]}", true},
    {"{\"Statement\":[{\"a\":1},{\"b\":2}]}", "{\"Statement\":[{\"b\":2},{\"a\":1}]}", true},
    {"{\"Statement\":[{\"a\":1},{\"a\":1},{\"b\":2}]}",
     "{\"Statement\":[{\"b\":2},{\"b\":2},{\"a\":1}]}", false},
    {"{\"Statement\":[{\"a\":1},{\"a\":1}]}", "{\"Statement\":[{\"a\":1}]}", false},
    {"{\"Statement\":[{\"a\":1},{\"b\":2}]}", "{\"Statement\":{\"a\":1}}", false},
    {"{\"Statement\":[]}", "{}", false},
    {"{\"Statement\":7}", "{\"Statement\":7}", true},
    {"{\"Statement\":7}", "{\"Statement\":8}", false},
    {"{\"Statement\":[7]}", "{\"Statement\":7}", false},
    /* Effect keeps its case */
    {DOC("\"Effect\":\"Allow\""), DOC("\"Effect\":\"allow\""), false},
    {DOC("\"Effect\":\"Allow\""), DOC("\"Effect\":\"Deny\""), false},
    /* Action */
    {DOC("\"Action\":\"ecr:GetX\""), DOC("\"Action\":[\"ECR:getx\"]"), true},
    {DOC("\"Action\":[\"a\",\"b\"]"), DOC("\"Action\":[\"B\",\"A\",\"b\"]"), true},
    {DOC("\"Action\":[\"a\",\"b\"]"), DOC("\"Action\":\"a\""), false},
    {DOC("\"Action\":\"a\""), DOC("\"NotAction\":\"a\""), false},
    {DOC("\"Action\":[]"), DOC(""), false},
    {DOC("\"Action\":[1]"), DOC("\"Action\":[1]"), true},
    /* Resource keeps its case, and absent is not "*" */
    {DOC("\"Resource\":\"*\""), DOC("\"Resource\":[\"*\"]"), true},
    {DOC("\"Resource\":\"*\""), DOC(""), false},
    {DOC("\"Resource\":\"arn:A\""), DOC("\"Resource\":\"arn:a\""), false},
    {DOC("\"NotResource\":[\"a\",\"b\"]"), DOC("\"NotResource\":[\"b\",\"a\"]"), true},
    /* Principal */
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"AWS\":\"*\"}"), true},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"AWS\":[\"*\"]}"), true},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"Service\":\"*\"}"), false},
    {DOC("\"Principal\":\"*\""), DOC("\"Principal\":{\"AWS\":\"*\",\"Service\":\"x\"}"), false},
    {DOC("\"Principal\":\"*\""), DOC(""), false},
    {DOC("\"NotPrincipal\":\"*\""), DOC("\"NotPrincipal\":{\"AWS\":\"*\"}"), false},
    {DOC("\"NotPrincipal\":{\"AWS\":\"1\"}"), DOC("\"NotPrincipal\":{\"AWS\":[\"1\"]}"), true},
    {DOC("\"NotPrincipal\":{\"AWS\":\"1\"}"), DOC("\"Principal\":{\"AWS\":\"1\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:root\"}"), true},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws-cn:iam::123456789012:root\"}"), true},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::123456789013:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:role/root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"AWS\":\"arn:x:iam::123456789012:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":\"123456789012\"}"),
     DOC("\"Principal\":{\"Service\":\"123456789012\"}"), false},
    {DOC("\"Principal\":{\"Service\":\"123456789012\"}"),
     DOC("\"Principal\":{\"Service\":\"arn:aws:iam::123456789012:root\"}"), false},
    {DOC("\"Principal\":{\"AWS\":[\"111111111111\",\"222222222222\"]}"),
     DOC("\"Principal\":{\"AWS\":[\"arn:aws:iam::222222222222:root\",\"111111111111\"]}"), true},
    /* Condition */
    {DOC("\"Condition\":{\"Bool\":{\"aws:X\":\"true\"}}"),
     DOC("\"Condition\":{\"Bool\":{\"AWS:x\":[true]}}"), true},
    {DOC("\"Condition\":{\"N\":{\"k\":5}}"), DOC("\"Condition\":{\"N\":{\"k\":\"5\"}}"), true},
    {DOC("\"Condition\":{\"N\":{\"k\":5}}"), DOC("\"Condition\":{\"N\":{\"k\":\"6\"}}"), false},
    {DOC("\"Condition\":{\"N\":{\"k\":null}}"), DOC("\"Condition\":{\"N\":{\"k\":\"null\"}}"),
     false},
    {DOC("\"Condition\":{\"N\":{\"k\":[\"a\",\"b\"]}}"),
     DOC("\"Condition\":{\"N\":{\"K\":[\"b\",\"a\"]}}"), true},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\"}}"), DOC("\"Condition\":{\"N\":{\"k\":\"A\"}}"), false},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\"}}"), DOC("\"Condition\":{\"n\":{\"k\":\"a\"}}"), false},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\"}}"),
     DOC("\"Condition\":{\"N\":{\"k\":\"a\",\"l\":\"b\"}}"), false},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\"}}"),
     DOC("\"Condition\":{\"N\":{\"k\":\"a\"},\"M\":{}}"), false},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\",\"K\":\"b\"}}"),
     DOC("\"Condition\":{\"N\":{\"k\":\"a\",\"K\":\"b\"}}"), true},
    {DOC("\"Condition\":{\"N\":{\"k\":\"a\",\"K\":\"b\"}}"),
     DOC("\"Condition\":{\"N\":{\"k\":\"a\",\"K\":\"a\"}}"), false},
    {DOC("\"Condition\":{}"), DOC(""), false},
};

static void test_equivalences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(equivalences); i++)
        assert_equal(equivalences[i].a, equivalences[i].b, equivalences[i].want);
}

/* As AWS prints it back: ECR's answer to SetRepositoryPolicy in its API reference. */
static void test_reserialised(void **state)
{
    (void)state;
    assert_equal("{\"Version\":\"2008-10-17\",\"Statement\":[{\"Sid\":\"AllowPull\",\"Effect\":"
                 "\"Allow\",\"Action\":[\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],"
                 "\"Principal\":{\"AWS\":\"012345678910\"}}]}",
                 "{\n  \"Version\" : \"2008-10-17\",\n  \"Statement\" : [ {\n    \"Sid\" : "
                 "\"AllowPull\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : {\n      \"AWS\""
                 " : \"arn:aws:iam::012345678910:root\"\n    },\n    \"Action\" : [ "
                 "\"ecr:GetDownloadUrlForLayer\", \"ecr:BatchGetImage\" ]\n  } ]\n}",
                 true);
}

static void test_large_texts_are_compared_as_text(void **state)
{
    (void)state;
    struct buf a BERTH_CLEANUP(buf_fini) = BUF_INIT(200000);
    buf_append_cstr(&a, "{}");
    while (a.len < 5 * ECR_POLICY_MAX)
        buf_append_char(&a, ' ');
    assert_false(ecr_policy_equal(buf_str(&a), STR("{}")));
    assert_true(ecr_policy_equal(buf_str(&a), buf_str(&a)));
}

/* A policy as numbers, so that it can be written in many ways and changed in one. */
enum { STATEMENTS = 3, VALUES = 3, FIELDS = 6 };
struct statement {
    uint32_t field[FIELDS]; /* sid, effect, principal account, resource, key, not-action */
    uint32_t actions[VALUES];
    uint32_t action_count;
    uint32_t values[VALUES];
    uint32_t value_count;
};
struct model {
    uint32_t version;
    uint32_t count;
    struct statement statements[STATEMENTS];
};

static void fill_model(struct test_random *r, struct model *m)
{
    *m = (struct model){.version = test_random_below(r, 2),
                        .count = 1 + test_random_below(r, STATEMENTS)};
    for (uint32_t i = 0; i < m->count; i++) {
        struct statement *s = &m->statements[i];
        for (int f = 0; f < FIELDS; f++)
            s->field[f] = test_random_below(r, 4);
        s->action_count = 1 + test_random_below(r, VALUES);
        s->value_count = 1 + test_random_below(r, VALUES);
        /* distinct, or else a change might be none */
        for (uint32_t n = 0; n < VALUES; n++) {
            s->actions[n] = 10 * n + test_random_below(r, 9);
            s->values[n] = 10 * n + test_random_below(r, 9);
        }
    }
}

/* Changes one thing to what it cannot be yet. */
static void change_model(struct test_random *r, struct model *m)
{
    struct statement *s = &m->statements[test_random_below(r, m->count)];
    switch (test_random_below(r, 5)) {
    case 0:
        m->version = !m->version;
        return;
    case 1: {
        uint32_t f = test_random_below(r, FIELDS);
        s->field[f] = f == 1 || f == 5 ? s->field[f] ^ 1 : 100 + s->field[f];
        return;
    }
    case 2:
        s->actions[test_random_below(r, s->action_count)] = 99;
        return;
    case 3:
        s->values[test_random_below(r, s->value_count)] = 99;
        return;
    default:
        /* one more or one less statement */
        if (m->count > 1)
            m->count--;
        else
            m->statements[m->count++] = m->statements[0];
        return;
    }
}

/* The order of n things. */
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

static const char *blank(struct test_random *r)
{
    static const char *const blanks[] = {"", "", " ", "\n  ", "\t"};
    return blanks[test_random_below(r, 5)];
}

/* A list in any order, or a scalar where it has one element and the die says so. */
static void write_list(struct test_random *r, struct buf *out, const char *form, const char *other,
                       const uint32_t *values, uint32_t count)
{
    uint32_t order[VALUES];
    bool is_scalar = count == 1 && test_random_below(r, 2) == 0;
    shuffle(r, order, count);
    buf_append_cstr(out, is_scalar ? "" : "[");
    for (uint32_t i = 0; i < count; i++) {
        const char *chosen = test_random_below(r, 2) == 0 ? form : other;
        const char *mark = strchr(chosen, '#');
        buf_printf(out, "%s%s%.*s%u%s", i > 0 ? "," : "", blank(r), (int)(mark - chosen), chosen,
                   values[order[i]], mark + 1);
    }
    buf_append_cstr(out, is_scalar ? "" : "]");
}

static void write_member(struct test_random *r, struct buf *out, const struct statement *s,
                         uint32_t member)
{
    switch (member) {
    case 0:
        buf_printf(out, "\"Sid\":\"s%u\"", s->field[0]);
        return;
    case 1:
        buf_printf(out, "\"Effect\":%s\"%s\"", blank(r), s->field[1] % 2 ? "Allow" : "Deny");
        return;
    case 2:
        buf_append_cstr(out, "\"Principal\":{\"AWS\":");
        write_list(r, out, "\"111111111#\"", "\"arn:aws:iam::111111111#:root\"",
                   &(uint32_t){100 + s->field[2]}, 1);
        buf_append_char(out, '}');
        return;
    case 3:
        buf_append_cstr(out, "\"Resource\":");
        write_list(r, out, "\"r#\"", "\"r#\"", &s->field[3], 1);
        return;
    case 4:
        buf_printf(out, "\"Condition\":{\"Op\":{%s\"%s%u\":", blank(r),
                   test_random_below(r, 2) ? "aws:key" : "AWS:Key", s->field[4]);
        write_list(r, out, "\"#\"", "#", s->values, s->value_count);
        buf_append_cstr(out, "}}");
        return;
    default:
        buf_append_cstr(out, s->field[5] % 2 ? "\"NotAction\":" : "\"Action\":");
        write_list(r, out, "\"ecr:Action#\"", "\"ECR:aCTION#\"", s->actions, s->action_count);
        return;
    }
}

static void write_model(struct test_random *r, struct buf *out, const struct model *m)
{
    uint32_t order[STATEMENTS + 1];
    uint32_t members[FIELDS];
    bool is_object = m->count == 1 && test_random_below(r, 2) == 0;
    bool has_version = m->version == 1 || test_random_below(r, 2) == 0;
    const char *version =
        m->version == 1 ? "\"Version\":\"2012-10-17\"" : "\"Version\":\"2008-10-17\"";
    bool is_first = test_random_below(r, 2) == 0;
    shuffle(r, order, m->count);
    buf_printf(out, "{%s%s\"Statement\":%s", is_first && has_version ? version : "",
               is_first && has_version ? "," : "", is_object ? "" : "[");
    for (uint32_t i = 0; i < m->count; i++) {
        shuffle(r, members, FIELDS);
        buf_printf(out, "%s%s{", i > 0 ? "," : "", blank(r));
        for (uint32_t n = 0; n < FIELDS; n++) {
            buf_printf(out, "%s%s", n > 0 ? "," : "", blank(r));
            write_member(r, out, &m->statements[order[i]], members[n]);
        }
        buf_printf(out, "%s}", blank(r));
    }
    buf_printf(out, "%s%s%s}", is_object ? "" : "]", !is_first && has_version ? "," : "",
               !is_first && has_version ? version : "");
}

static void test_random_documents(void **state)
{
    (void)state;
    struct test_random r = {11};
    for (int round = 0; round < 5000; round++) {
        struct buf a BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_POLICY_MAX);
        struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_POLICY_MAX);
        struct buf c BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_POLICY_MAX);
        struct err e = ERR_INIT;
        struct model m;
        fill_model(&r, &m);
        write_model(&r, &a, &m);
        write_model(&r, &b, &m);
        if (!ecr_policy_validate(buf_str(&a), &e))
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
        cmocka_unit_test(test_reserialised),
        cmocka_unit_test(test_large_texts_are_compared_as_text),
        cmocka_unit_test(test_random_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
