// SPDX-License-Identifier: Apache-2.0
/*
 * Every documented rule of lifecycle policies, by policies that are right and the smallest change
 * that makes each wrong.
 */
#include "policy_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RULE(PRIORITY, SELECTION, ACTION)                                                          \
    "{\"rulePriority\":" PRIORITY ",\"selection\":{" SELECTION "},\"action\":{" ACTION "}}"
#define RULES(LIST)    "{\"rules\":[" LIST "]}"
#define EXPIRE         "\"type\":\"expire\""
#define ARCHIVE        "\"type\":\"transition\",\"targetStorageClass\":\"archive\""
#define COUNT          "\"countType\":\"imageCountMoreThan\",\"countNumber\":1"
#define SINCE(WHAT)    "\"countType\":\"" WHAT "\",\"countUnit\":\"days\",\"countNumber\":1"
#define ANY            "\"tagStatus\":\"any\","
#define UNTAGGED       "\"tagStatus\":\"untagged\","
#define PREFIXES(LIST) "\"tagStatus\":\"tagged\",\"tagPrefixList\":[" LIST "],"
#define PATTERNS(LIST) "\"tagStatus\":\"tagged\",\"tagPatternList\":[" LIST "],"
#define IN_ARCHIVE                                                                                 \
    "\"storageClass\":\"archive\",\"countType\":\"sinceImageTransitioned\","                       \
    "\"countUnit\":\"days\",\"countNumber\":90"

static const struct {
    const char *name;
    const char *text;
} right[] = {
    {"count", RULES(RULE("1", ANY COUNT, EXPIRE))},
    {"days", RULES(RULE("7", UNTAGGED SINCE("sinceImagePushed"), EXPIRE))},
    {"prefix", RULES(RULE("1", PREFIXES("\"v\",\"w\"") COUNT, EXPIRE))},
    {"pattern", RULES(RULE("1", PATTERNS("\"*a*b*c*\"") COUNT, EXPIRE))},
    {"standard", RULES(RULE("1", ANY "\"storageClass\":\"standard\"," COUNT, EXPIRE))},
    {"transition", RULES(RULE("1", ANY SINCE("sinceImagePulled"), ARCHIVE))},
    {"transition by age", RULES(RULE("1", ANY SINCE("sinceImagePushed"), ARCHIVE))},
    {"archive", RULES(RULE("1", ANY IN_ARCHIVE, EXPIRE))},
    {"any in both classes",
     RULES(RULE("2", ANY COUNT, EXPIRE) "," RULE("1", ANY IN_ARCHIVE, EXPIRE))},
    {"untagged in both classes",
     RULES(RULE("2", UNTAGGED COUNT, EXPIRE) "," RULE("1", UNTAGGED IN_ARCHIVE, EXPIRE))},
    {"order of rules is free",
     RULES(RULE("9", ANY COUNT, EXPIRE) "," RULE("3", UNTAGGED COUNT, EXPIRE))},
    {"same text as prefix and as pattern",
     RULES(RULE("1", PREFIXES("\"a\"") COUNT, EXPIRE) "," RULE("2", PATTERNS("\"a\"") COUNT,
                                                               EXPIRE))},
    {"description", "{\"rules\":[{\"rulePriority\":1,\"description\":\"\",\"selection\":{" ANY COUNT
                    "},\"action\":{" EXPIRE "}}]}"},
};

#define NO_MATCH "instance failed to match exactly one schema (matched 0 out of 2)"
#define LOWER(MIN, FOUND)                                                                          \
    "numeric instance is lower than the required minimum (minimum: " MIN ", found: " FOUND ")"
#define LACKS(NAME) "object has missing required properties ([\"" NAME "\"])"
#define MORE(NAME)                                                                                 \
    "object instance has properties which are not allowed by the schema: ([\"" NAME "\"])"

static const struct {
    const char *name;
    const char *text;
    const char *why;
} wrong[] = {
    {"no JSON", "{\"rules\":", "Could not map policyString into LifecyclePolicy."},
    {"no object", "[]", "Could not map policyString into LifecyclePolicy."},
    {"no rules", "{}", LACKS("rules")},
    {"empty rules", RULES(""), NO_MATCH},
    {"rules of another type", "{\"rules\":{}}", NO_MATCH},
    {"more than rules", "{\"rules\":[],\"version\":1}", MORE("version")},
    {"no priority", "{\"rules\":[{\"selection\":{" ANY COUNT "},\"action\":{" EXPIRE "}}]}",
     LACKS("rulePriority")},
    {"no selection", "{\"rules\":[{\"rulePriority\":1,\"action\":{" EXPIRE "}}]}",
     LACKS("selection")},
    {"no action", "{\"rules\":[{\"rulePriority\":1,\"selection\":{" ANY COUNT "}}]}",
     LACKS("action")},
    {"no type", RULES(RULE("1", ANY COUNT, "")), LACKS("type")},
    {"no tagStatus", RULES(RULE("1", COUNT, EXPIRE)), LACKS("tagStatus")},
    {"no countType", RULES(RULE("1", ANY "\"countNumber\":1", EXPIRE)), LACKS("countType")},
    {"no countNumber", RULES(RULE("1", ANY "\"countType\":\"imageCountMoreThan\"", EXPIRE)),
     LACKS("countNumber")},
    {"unknown in rule",
     "{\"rules\":[{\"rulePriority\":1,\"x\":1,\"selection\":{" ANY COUNT "},\"action\":{" EXPIRE
     "}}]}",
     MORE("x")},
    {"unknown in selection", RULES(RULE("1", "\"x\":1," ANY COUNT, EXPIRE)), MORE("x")},
    {"unknown in action", RULES(RULE("1", ANY COUNT, EXPIRE ",\"x\":1")), MORE("x")},
    {"priority 0", RULES(RULE("0", ANY COUNT, EXPIRE)), LOWER("1", "0")},
    {"priority is no integer", RULES(RULE("1.5", ANY COUNT, EXPIRE)),
     "instance type does not match any allowed primitive type (allowed: [\"integer\"])"},
    {"count 0",
     RULES(RULE("1", ANY "\"countType\":\"imageCountMoreThan\",\"countNumber\":0", EXPIRE)),
     LOWER("1", "0")},
    {"unknown status", RULES(RULE("1", "\"tagStatus\":\"x\"," COUNT, EXPIRE)),
     "instance value (\"x\") not found in enum (possible values: "
     "[\"tagged\",\"untagged\",\"any\"])"},
    {"unknown action", RULES(RULE("1", ANY COUNT, "\"type\":\"x\"")),
     "instance value (\"x\") not found in enum (possible values: [\"expire\",\"transition\"])"},
    {"unknown unit",
     RULES(RULE("1",
                ANY "\"countType\":\"sinceImagePushed\",\"countUnit\":\"weeks\","
                    "\"countNumber\":1",
                EXPIRE)),
     "instance value (\"weeks\") not found in enum (possible values: [\"days\"])"},
    {"tagged without a list", RULES(RULE("1", "\"tagStatus\":\"tagged\"," COUNT, EXPIRE)),
     NO_MATCH},
    {"tagged with an empty list", RULES(RULE("1", PREFIXES("") COUNT, EXPIRE)), NO_MATCH},
    {"tagged with both lists",
     RULES(RULE("1", PREFIXES("\"a\"") "\"tagPatternList\":[\"b\"]," COUNT, EXPIRE)), NO_MATCH},
    {"list of numbers", RULES(RULE("1", PREFIXES("1") COUNT, EXPIRE)), NO_MATCH},
    {"any with a list", RULES(RULE("1", ANY "\"tagPrefixList\":[\"a\"]," COUNT, EXPIRE)), NO_MATCH},
    {"five wildcards", RULES(RULE("1", PATTERNS("\"*****\"") COUNT, EXPIRE)),
     "a tag pattern has more than 4 wildcards"},
    {"count with a unit", RULES(RULE("1", ANY "\"countUnit\":\"days\"," COUNT, EXPIRE)), NO_MATCH},
    {"days without a unit",
     RULES(RULE("1", ANY "\"countType\":\"sinceImagePushed\",\"countNumber\":1", EXPIRE)),
     NO_MATCH},
    {"expire by pull", RULES(RULE("1", ANY SINCE("sinceImagePulled"), EXPIRE)),
     "countType sinceImagePulled is only allowed with the action transition"},
    {"transition without target", RULES(RULE("1", ANY COUNT, "\"type\":\"transition\"")), NO_MATCH},
    {"expire with target",
     RULES(RULE("1", ANY COUNT, EXPIRE ",\"targetStorageClass\":\"archive\"")), NO_MATCH},
    {"transition to standard",
     RULES(RULE("1", ANY COUNT, "\"type\":\"transition\",\"targetStorageClass\":\"standard\"")),
     "instance value (\"standard\") not found in enum (possible values: [\"archive\"])"},
    {"transitioned in standard",
     RULES(RULE("1",
                ANY "\"countType\":\"sinceImageTransitioned\",\"countUnit\":\"days\","
                    "\"countNumber\":90",
                EXPIRE)),
     "countType sinceImageTransitioned is only allowed with the action expire and storageClass "
     "archive"},
    {"transitioned with transition", RULES(RULE("1", ANY IN_ARCHIVE, ARCHIVE)),
     "countType sinceImageTransitioned is only allowed with the action expire and storageClass "
     "archive"},
    {"transitioned too early",
     RULES(RULE("1",
                ANY "\"storageClass\":\"archive\",\"countType\":\"sinceImageTransitioned\","
                    "\"countUnit\":\"days\",\"countNumber\":89",
                EXPIRE)),
     LOWER("90", "89")},
    {"count in archive", RULES(RULE("1", ANY "\"storageClass\":\"archive\"," COUNT, EXPIRE)),
     "storageClass archive is only allowed with countType sinceImageTransitioned"},
    {"same priority", RULES(RULE("1", UNTAGGED COUNT, EXPIRE) "," RULE("1", ANY COUNT, EXPIRE)),
     "rulePriority must be unique"},
    {"any is not last", RULES(RULE("1", ANY COUNT, EXPIRE) "," RULE("2", UNTAGGED COUNT, EXPIRE)),
     "a rule with tagStatus any must have the highest rulePriority"},
    {"two any", RULES(RULE("1", ANY COUNT, EXPIRE) "," RULE("2", ANY COUNT, EXPIRE)),
     "only one rule may select tagStatus any"},
    {"two untagged", RULES(RULE("1", UNTAGGED COUNT, EXPIRE) "," RULE("2", UNTAGGED COUNT, EXPIRE)),
     "only one rule may select tagStatus untagged"},
    {"the same prefixes twice",
     RULES(RULE("1", PREFIXES("\"a\",\"b\"") COUNT,
                EXPIRE) "," RULE("2", PREFIXES("\"b\",\"a\"") COUNT, EXPIRE)),
     "tag lists must be unique among the rules"},
};

static void test_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        struct emu_error x = EMU_ERROR_INIT;
        bool is_ok = emu_lifecycle_check(str_from(right[i].text), "LifecyclePolicyText", &x);

        if (!is_ok)
            print_error("%s: %s\n", right[i].name, x.message);
        assert_true(is_ok);
    }
}

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct emu_error x = EMU_ERROR_INIT;
        char want[1024];

        snprintf(want, sizeof(want),
                 "Invalid parameter at 'M' failed to satisfy constraint: 'Lifecycle policy "
                 "validation failure: %s'",
                 wrong[i].why);
        if (emu_lifecycle_check(str_from(wrong[i].text), "M", &x))
            print_error("%s is accepted\n", wrong[i].name);
        assert_int_equal(x.code, EMU_INVALID_PARAMETER);
        assert_string_equal(x.message, want);
    }
}

static void test_fifty_rules(void **state)
{
    (void)state;
    for (int n = 50; n <= 51; n++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(64 * 1024);
        struct emu_error x = EMU_ERROR_INIT;

        buf_append_cstr(&text, "{\"rules\":[");
        for (int i = 1; i <= n; i++)
            buf_printf(&text,
                       "%s{\"rulePriority\":%d,\"selection\":{\"tagStatus\":\"tagged\","
                       "\"tagPrefixList\":[\"p%d\"]," COUNT "},\"action\":{" EXPIRE "}}",
                       i > 1 ? "," : "", i, i);
        buf_append_cstr(&text, "]}");
        assert_int_equal(emu_lifecycle_check(buf_str(&text), "M", &x), n == 50);
        assert_int_equal(strstr(x.message, "at most 50 rules") != NULL, n == 51);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_fifty_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
