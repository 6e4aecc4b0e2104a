// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of lifecycle policies, each once broken; the documents of AWS's examples pass.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "ecr/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RULE(PRIORITY, SELECTION, ACTION)                                                          \
    "{\"rulePriority\":" PRIORITY ",\"selection\":{" SELECTION "},\"action\":{" ACTION "}}"
#define ONE(PRIORITY, SELECTION, ACTION) "{\"rules\":[" RULE(PRIORITY, SELECTION, ACTION) "]}"
#define TWO(A, B)                        "{\"rules\":[" A "," B "]}"
#define COUNT                            "\"countType\":\"imageCountMoreThan\",\"countNumber\":5"

#define DAYS   "\"countType\":\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":14"
#define PULLED "\"countType\":\"sinceImagePulled\",\"countUnit\":\"days\",\"countNumber\":14"

#define ARCHIVED(N)                                                                                \
    "\"storageClass\":\"archive\",\"countType\":\"sinceImageTransitioned\",\"countUnit\":"         \
    "\"days\",\"countNumber\":" N
#define TAGGED   "\"tagStatus\":\"tagged\","
#define UNTAGGED "\"tagStatus\":\"untagged\","
#define ANY      "\"tagStatus\":\"any\","
#define EXPIRE   "\"type\":\"expire\""
#define ARCHIVE  "\"type\":\"transition\",\"targetStorageClass\":\"archive\""

static const struct {
    const char *text;
    const char *want; /* NULL: valid */
} rule_cases[] = {
    /* valid */
    {ONE("1", UNTAGGED DAYS, EXPIRE), NULL},
    {ONE("1", ANY COUNT, EXPIRE), NULL},
    {ONE("7", TAGGED "\"tagPrefixList\":[\"v\",\"w\"]," COUNT, EXPIRE), NULL},
    {ONE("1", TAGGED "\"tagPatternList\":[\"*a*b*c*\"]," COUNT, EXPIRE), NULL},
    {ONE("1", ANY PULLED, ARCHIVE), NULL},
    {ONE("1", ANY COUNT, ARCHIVE), NULL},
    {ONE("1", ANY ARCHIVED("90"), EXPIRE), NULL},
    {ONE("1", ANY "\"storageClass\":\"standard\"," COUNT, EXPIRE), NULL},
    {TWO(RULE("2", ANY DAYS, ARCHIVE), RULE("1", ANY ARCHIVED("365"), EXPIRE)), NULL},
    {TWO(RULE("2", UNTAGGED DAYS, EXPIRE), RULE("1", UNTAGGED ARCHIVED("90"), EXPIRE)), NULL},
    {TWO(RULE("9", ANY COUNT, EXPIRE), RULE("3", UNTAGGED DAYS, EXPIRE)), NULL},
    {TWO(RULE("3", UNTAGGED DAYS, EXPIRE), RULE("9", ANY COUNT, EXPIRE)), NULL},
    {TWO(RULE("1", TAGGED "\"tagPatternList\":[\"a\"]," COUNT, EXPIRE),
         RULE("2", TAGGED "\"tagPrefixList\":[\"a\"]," COUNT, EXPIRE)),
     NULL},
    {TWO(RULE("1", TAGGED "\"tagPrefixList\":[\"a\"]," COUNT, EXPIRE),
         RULE("2", TAGGED "\"tagPatternList\":[\"a\"]," COUNT, EXPIRE)),
     NULL},
    {"{\"rules\":[{\"rulePriority\":1,\"description\":\"\",\"selection\":{" ANY COUNT
     "},\"action\":{" EXPIRE "}}]}",
     NULL},
    /* the document */
    {"", "the document must not be empty"},
    {NULL, "the document must not be empty"},
    {"{", "the document is not JSON: "},
    {"[]", "the document must be an object"},
    {"{}", "rules is required"},
    {"{\"rules\":[],\"x\":1}", "x is not a member that the grammar has"},
    {"{\"rules\":[]}", "rules must be a list that is not empty"},
    {"{\"rules\":{}}", "rules must be a list that is not empty"},
    {"{\"rules\":[7]}", "rules[0] must be an object"},
    /* a rule */
    {"{\"rules\":[{}]}", "rules[0].rulePriority is required"},
    {"{\"rules\":[{\"rulePriority\":1,\"action\":{}}]}", "rules[0].selection is required"},
    {"{\"rules\":[{\"rulePriority\":1,\"selection\":{}}]}", "rules[0].action is required"},
    {ONE("0", ANY COUNT, EXPIRE), "rules[0].rulePriority must be at least 1"},
    {ONE("\"1\"", ANY COUNT, EXPIRE), "rules[0].rulePriority must be a whole number"},
    {ONE("1.5", ANY COUNT, EXPIRE), "rules[0].rulePriority must be a whole number"},
    {ONE("1e400", ANY COUNT, EXPIRE), "rules[0].rulePriority must be a whole number"},
    {"{\"rules\":[{\"rulePriority\":1,\"description\":7,\"selection\":{},\"action\":{}}]}",
     "rules[0].description must be a text"},
    /* its selection */
    {ONE("1", COUNT, EXPIRE), "rules[0].selection.tagStatus is required"},
    {ONE("1", "\"tagStatus\":\"all\"," COUNT, EXPIRE),
     "rules[0].selection.tagStatus must be one of tagged, untagged, any"},
    {ONE("1", "\"tagStatus\":null," COUNT, EXPIRE),
     "rules[0].selection.tagStatus must be one of tagged, untagged, any"},
    {ONE("1", ANY COUNT ",\"tagList\":[]", EXPIRE),
     "rules[0].selection.tagList is not a member that the grammar has"},
    {ONE("1", TAGGED COUNT, EXPIRE),
     "rules[0].selection must have exactly one of tagPatternList and tagPrefixList, because "
     "tagStatus is tagged"},
    {ONE("1", TAGGED "\"tagPrefixList\":[\"a\"],\"tagPatternList\":[\"a\"]," COUNT, EXPIRE),
     "rules[0].selection must have exactly one of tagPatternList and tagPrefixList, because "
     "tagStatus is tagged"},
    {ONE("1", TAGGED "\"tagPrefixList\":[]," COUNT, EXPIRE),
     "rules[0].selection.tagPrefixList must be a list that is not empty"},
    {ONE("1", TAGGED "\"tagPrefixList\":\"a\"," COUNT, EXPIRE),
     "rules[0].selection.tagPrefixList must be a list that is not empty"},
    {ONE("1", TAGGED "\"tagPrefixList\":[\"a\",\"\"]," COUNT, EXPIRE),
     "rules[0].selection.tagPrefixList[1] must be a text that is not empty"},
    {ONE("1", TAGGED "\"tagPatternList\":[1]," COUNT, EXPIRE),
     "rules[0].selection.tagPatternList[0] must be a text that is not empty"},
    {ONE("1", TAGGED "\"tagPatternList\":[\"a\",\"*a*b*c*d*\"]," COUNT, EXPIRE),
     "rules[0].selection.tagPatternList[1] must have at most 4 wildcards '*'"},
    {ONE("1", TAGGED "\"tagPrefixList\":[\"*a*b*c*d*\"]," COUNT, EXPIRE), NULL},
    {ONE("1", ANY "\"tagPrefixList\":[\"a\"]," COUNT, EXPIRE),
     "rules[0].selection.tagPrefixList must be absent unless tagStatus is tagged"},
    {ONE("1", UNTAGGED "\"tagPatternList\":[\"a\"]," COUNT, EXPIRE),
     "rules[0].selection.tagPatternList must be absent unless tagStatus is tagged"},
    {ONE("1", ANY "\"countNumber\":5", EXPIRE), "rules[0].selection.countType is required"},
    {ONE("1", ANY "\"countType\":\"imageCountMoreThan\"", EXPIRE),
     "rules[0].selection.countNumber is required"},
    {ONE("1", ANY "\"countType\":\"imageCount\",\"countNumber\":5", EXPIRE),
     "rules[0].selection.countType must be one of imageCountMoreThan, sinceImagePushed, "
     "sinceImagePulled, sinceImageTransitioned"},
    {ONE("1", ANY "\"countType\":\"imageCountMoreThan\",\"countNumber\":0", EXPIRE),
     "rules[0].selection.countNumber must be at least 1"},
    {ONE("1", ANY COUNT ",\"countUnit\":\"days\"", EXPIRE),
     "rules[0].selection.countUnit must be absent where countType is imageCountMoreThan"},
    {ONE("1", ANY "\"countType\":\"sinceImagePushed\",\"countNumber\":5", EXPIRE),
     "rules[0].selection.countUnit must be days, because countType counts days"},
    {ONE("1", ANY "\"countType\":\"sinceImagePushed\",\"countNumber\":5,\"countUnit\":\"weeks\"",
         EXPIRE),
     "rules[0].selection.countUnit must be days"},
    {ONE("1", ANY "\"storageClass\":\"cold\"," COUNT, EXPIRE),
     "rules[0].selection.storageClass must be one of standard, archive"},
    /* its action */
    {ONE("1", ANY COUNT, ""), "rules[0].action.type is required"},
    {ONE("1", ANY COUNT, "\"type\":\"delete\""),
     "rules[0].action.type must be one of expire, transition"},
    {ONE("1", ANY COUNT, EXPIRE ",\"targetStorageClass\":\"archive\""),
     "rules[0].action.targetStorageClass must be absent unless type is transition"},
    {ONE("1", ANY COUNT, "\"type\":\"transition\""),
     "rules[0].action.targetStorageClass must be archive, because type is transition"},
    {ONE("1", ANY COUNT, "\"type\":\"transition\",\"targetStorageClass\":\"cold\""),
     "rules[0].action.targetStorageClass must be archive"},
    /* its parts together */
    {ONE("1", ANY PULLED, EXPIRE),
     "rules[0].action.type must be transition where countType is sinceImagePulled"},
    {ONE("1", ANY "\"storageClass\":\"archive\"," COUNT, EXPIRE),
     "rules[0].selection.storageClass must be standard unless countType is "
     "sinceImageTransitioned"},
    {ONE("1",
         ANY "\"countType\":\"sinceImageTransitioned\",\"countUnit\":\"days\","
             "\"countNumber\":90",
         EXPIRE),
     "rules[0].selection.storageClass must be archive where countType is "
     "sinceImageTransitioned"},
    {ONE("1", ANY ARCHIVED("90"), ARCHIVE),
     "rules[0].action.type must be expire where countType is sinceImageTransitioned"},
    {ONE("1", ANY ARCHIVED("89"), EXPIRE),
     "rules[0].selection.countNumber must be at least 90 where countType is "
     "sinceImageTransitioned"},
    /* rules together */
    {TWO(RULE("1", UNTAGGED COUNT, EXPIRE), RULE("1", ANY COUNT, EXPIRE)),
     "rules[1].rulePriority must differ from that of rules[0]"},
    {TWO(RULE("1", UNTAGGED COUNT, EXPIRE), RULE("2", UNTAGGED DAYS, EXPIRE)),
     "rules[1].selection.tagStatus must not be untagged once more, as already in rules[0]"},
    {TWO(RULE("1", ANY COUNT, EXPIRE), RULE("2", ANY DAYS, EXPIRE)),
     "rules[1].selection.tagStatus must not be any once more, as already in rules[0]"},
    {TWO(RULE("1", ANY COUNT, EXPIRE), RULE("2", UNTAGGED DAYS, EXPIRE)),
     "rules[0].rulePriority must be the highest, because tagStatus is any, and so above that "
     "of rules[1]"},
    {TWO(RULE("2", UNTAGGED COUNT, EXPIRE), RULE("1", ANY DAYS, EXPIRE)),
     "rules[1].rulePriority must be the highest, because tagStatus is any, and so above that "
     "of rules[0]"},
    {TWO(RULE("1", TAGGED "\"tagPrefixList\":[\"a\",\"b\"]," COUNT, EXPIRE),
         RULE("2", TAGGED "\"tagPrefixList\":[\"b\",\"a\"]," DAYS, EXPIRE)),
     "rules[1].selection.tagPrefixList must not have the same prefixes as that of rules[0]"},
    {TWO(RULE("1", TAGGED "\"tagPrefixList\":[\"a\",\"b\"]," COUNT, EXPIRE),
         RULE("2", TAGGED "\"tagPrefixList\":[\"a\"]," DAYS, EXPIRE)),
     NULL},
    {TWO(RULE("1", ANY COUNT, EXPIRE), RULE("2", ANY "\"countType\":7", EXPIRE)),
     "rules[1].selection.countNumber is required"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rule_cases); i++) {
        struct err e = ERR_INIT;
        bool is_ok = ecr_lifecycle_validate(str_from(rule_cases[i].text), true, &e);
        if (is_ok != (rule_cases[i].want == NULL))
            fail_msg("case %zu, %s: %s", i, rule_cases[i].text, is_ok ? "taken" : e.msg);
        if (is_ok)
            continue;
        assert_int_equal(e.cls, ERR_INVALID);
        if (rule_cases[i].want[strlen(rule_cases[i].want) - 1] == ' ')
            assert_true(str_starts_with(str_from(e.msg), str_from(rule_cases[i].want)));
        else
            assert_string_equal(e.msg, rule_cases[i].want);
    }
}

static void write_rules(struct buf *out, int count)
{
    buf_append_cstr(out, "{\"rules\":[");
    for (int i = 1; i <= count; i++)
        buf_printf(out,
                   "%s{\"rulePriority\":%d,\"selection\":{" TAGGED
                   "\"tagPatternList\":[\"a\"]," COUNT "},\"action\":{" EXPIRE "}}",
                   i > 1 ? "," : "", i);
    buf_append_cstr(out, "]}");
}

static void test_number_of_rules(void **state)
{
    (void)state;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(100000);
    struct err e = ERR_INIT;
    write_rules(&text, ECR_LIFECYCLE_RULES_MAX);
    assert_true(ecr_lifecycle_validate_template(buf_str(&text), &e));
    buf_reset(&text);
    write_rules(&text, ECR_LIFECYCLE_RULES_MAX + 1);
    assert_false(ecr_lifecycle_validate_template(buf_str(&text), &e));
    assert_string_equal(e.msg, "rules must have at most 50 rules");
}

static void test_lengths(void **state)
{
    (void)state;
    static const char start[] =
        "{\"rules\":[{\"rulePriority\":1,\"selection\":{" ANY
        "\"countType\":\"imageCountMoreThan\",\"countNumber\":5},\"action\":{" EXPIRE
        "},\"description\":\"";
    static const char end[] = "\"}]}";
    static const struct {
        size_t characters;
        bool is_template, is_ok;
    } cases[] = {
        {ECR_LIFECYCLE_MAX, true, true},
        {ECR_LIFECYCLE_MAX, false, true},
        {ECR_LIFECYCLE_MAX + 1, true, false},
        {ECR_LIFECYCLE_MAX + 1, false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(100000);
        struct err e = ERR_INIT;
        buf_append_cstr(&text, start);
        /* two bytes a character */
        for (size_t n = sizeof start - 1 + sizeof end - 1; n < cases[i].characters; n++)
            buf_append_cstr(&text, "\xc3\xa4");
        buf_append_cstr(&text, end);
        if (ecr_lifecycle_validate(buf_str(&text), cases[i].is_template, &e) != cases[i].is_ok)
            fail_msg("case %zu: %s", i, e.msg);
    }
    struct err e = ERR_INIT;
    struct str brief = STR("{\"rules\":[]}");
    assert_false(ecr_lifecycle_validate(brief, false, &e));
    assert_string_equal(e.msg, "the document must have at least 100 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_number_of_rules),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
