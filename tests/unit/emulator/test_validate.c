// SPDX-License-Identifier: Apache-2.0
/*
 * The tables of the model against the code that serves them, the matchers of patterns, and the walk
 * over a request.
 */
#include "control_priv.h"
#include "validate_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_every_operation_is_served(void **state)
{
    (void)state;
    assert_true(emu_n_operation_models > 20);
    for (size_t i = 0; i < emu_n_operation_models; i++) {
        struct str name = str_from(emu_operation_models[i].name);

        if (emu_operation_find(name) == NULL)
            print_error("%s has no handler\n", emu_operation_models[i].name);
        assert_non_null(emu_operation_find(name));
        assert_ptr_equal(emu_operation_model(name), &emu_operation_models[i]);
    }
    assert_null(emu_operation_find(STR("UploadLayerPart")));
    assert_null(emu_operation_model(STR("UploadLayerPart")));
    assert_null(emu_operation_find(STR_NULL));
}

static void test_every_handler_is_in_the_model(void **state)
{
    static const struct emu_operation *const tables[] = {
        emu_template_operations, emu_repository_operations, emu_policy_operations,
        emu_image_operations,    emu_registry_operations,   emu_cache_operations};
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct emu_operation *op = tables[i]; op->name != NULL; op++, n++)
            assert_non_null(emu_operation_model(str_from(op->name)));
    assert_int_equal(n, emu_n_operation_models);
}

static void test_every_pattern_is_known(void **state)
{
    (void)state;
    assert_true(emu_n_model_patterns > 0);
    for (size_t i = 0; i < emu_n_model_patterns; i++)
        assert_int_not_equal(emu_pattern_match(emu_model_patterns[i], STR("x")),
                             EMU_PATTERN_UNKNOWN);
    assert_int_equal(emu_pattern_match("[0-9]+", STR("1")), EMU_PATTERN_UNKNOWN);
}

#define NAME    "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*"
#define PREFIX  "^(" NAME "\\/?|ROOT)$"
#define FILTER  "^[0-9a-zA-Z._*-]{1,128}$"
#define KEY     "^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\\/[a-z0-9-]+"
#define KEY_ARN "arn:aws:kms:us-east-1:123456789012:key/"
#define SECRET                                                                                     \
    "^arn:aws(-\\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\\-pullthroughcache\\/"              \
    "[a-zA-Z0-9\\/_+=.@-]+$"
#define SECRET_ARN "secretsmanager:us-east-1:123456789012:secret:ecr-pullthroughcache/"

static const struct {
    const char *pattern;
    const char *text;
    bool is_match;
} matches[] = {
    {"[0-9]{12}", "123456789012", true},
    {"[0-9]{12}", "12345678901", false},
    {"[0-9]{12}", "1234567890123", false},
    {"[0-9]{12}", "12345678901a", false},
    {"[0-9]{12}", "", false},
    {NAME, "a", true},
    {NAME, "a-b--c---d", true},
    {NAME, "a_b__c.d/e", true},
    {NAME, "a___b", false},
    {NAME, "a..b", false},
    {NAME, "a_.b", false},
    {NAME, "a-", false},
    {NAME, ".a", false},
    {NAME, "a/", false},
    {NAME, "/a", false},
    {NAME, "a//b", false},
    {NAME, "a/-b", false},
    {NAME, "A", false},
    {NAME, "", false},
    {NAME, "ROOT", false},
    {PREFIX, "ROOT", true},
    {PREFIX, "ROOT/", false},
    {PREFIX, "a/b/", true},
    {PREFIX, "a/b", true},
    {PREFIX, "a//", false},
    {PREFIX, "/", false},
    {PREFIX, "", false},
    {FILTER, "v*.1-x_Z", true},
    {FILTER, "a b", false},
    {FILTER, "", false},
    {FILTER, "a?", false},
    {KEY, "", true},
    {KEY, KEY_ARN "1234abcd-12ab", true},
    {KEY, "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1", true},
    {KEY, KEY_ARN, false},
    {KEY, KEY_ARN "A", false},
    {KEY, "arn:aws:kms:us-east-1:123456789012:alias/x", false},
    {KEY, "arn:aws:s3:us-east-1:123456789012:key/x", false},
    {KEY, "arn:aws:kms::123456789012:key/x", false},
    {KEY, "arn:gcp:kms:us-east-1:123456789012:key/x", false},
    {KEY, "arn:aws:kms", false},
    {SECRET, "arn:aws:" SECRET_ARN "hub-x1_/+=.@", true},
    {SECRET, "arn:aws-us-gov:" SECRET_ARN "x", true},
    {SECRET, "arn:aws-:" SECRET_ARN "x", false},
    {SECRET, "arn:awsx:" SECRET_ARN "x", false},
    {SECRET, "arn:aws:" SECRET_ARN, false},
    {SECRET, "arn:aws:" SECRET_ARN "a b", false},
    {SECRET, "arn:aws:secretsmanager::secret:ecr-pullthroughcache/x", false},
    {SECRET, "arn:aws:secretsmanager:us east:secret:ecr-pullthroughcache/x", false},
    {SECRET, "arn:aws:secretsmanager:us-east-1:123456789012:secret:x", false},
    {SECRET, "", false},
};

static void test_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
        enum emu_match got = emu_pattern_match(matches[i].pattern, str_from(matches[i].text));

        if (got != (matches[i].is_match ? EMU_MATCH : EMU_NO_MATCH))
            print_error("%s on '%s'\n", matches[i].pattern, matches[i].text);
        assert_int_equal(got, matches[i].is_match ? EMU_MATCH : EMU_NO_MATCH);
    }
}

/* Linear: a long text that nearly matches answers at once. */
static void test_patterns_are_not_exponential(void **state)
{
    static char text[200000];

    (void)state;
    memset(text, 'a', sizeof(text) - 2);
    for (size_t i = 1; i < sizeof(text) - 2; i += 2)
        text[i] = '-';
    text[sizeof(text) - 2] = '!';
    assert_int_equal(emu_pattern_match(PREFIX, str_from(text)), EMU_NO_MATCH);
    assert_int_equal(emu_pattern_match(NAME, str_n(text, sizeof(text) - 3)), EMU_MATCH);
}

static const struct {
    const char *operation;
    const char *in;
    enum emu_code code;
    const char *message; /* NULL: any */
} requests[] = {
    {"DescribeRegistry", "{}", EMU_OK, NULL},
    {"DescribeRegistry", "[]", EMU_SERIALIZATION, "'input' must be a structure"},
    {"PutAccountSetting", "{\"name\":\"n\"}", EMU_INVALID_PARAMETER,
     "Invalid parameter at 'value' failed to satisfy constraint: 'must not be null'"},
    {"PutAccountSetting", "{\"name\":\"\",\"value\":\"v\"}", EMU_INVALID_PARAMETER,
     "Invalid parameter at 'name' failed to satisfy constraint: 'must have length greater than or "
     "equal to 1'"},
    {"PutAccountSetting", "{\"name\":1,\"value\":\"v\"}", EMU_SERIALIZATION,
     "'name' must be a string"},
    {"DescribeRepositories", "{\"maxResults\":1001}", EMU_INVALID_PARAMETER,
     "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must have value less than "
     "or equal to 1000'"},
    {"DescribeRepositories", "{\"maxResults\":\"1\"}", EMU_SERIALIZATION, NULL},
    {"DescribeRepositories", "{\"maxResults\":1000,\"nextToken\":null}", EMU_OK, NULL},
    {"PutImageTagMutability", "{\"repositoryName\":\"ab\",\"imageTagMutability\":\"X\"}",
     EMU_INVALID_PARAMETER,
     "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'must satisfy enum "
     "value set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'"},
    {"DeleteRepository", "{\"repositoryName\":\"AB\"}", EMU_INVALID_PARAMETER,
     "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular "
     "expression '" NAME "''"},
    {"BatchGetImage", "{\"repositoryName\":\"ab\",\"imageIds\":[]}", EMU_INVALID_PARAMETER, NULL},
    {"BatchGetImage", "{\"repositoryName\":\"ab\",\"imageIds\":[{\"imageTag\":\"\"}]}",
     EMU_INVALID_PARAMETER,
     "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must have length greater "
     "than or equal to 1'"},
    {"BatchGetImage", "{\"repositoryName\":\"ab\",\"imageIds\":[{\"imageTag\":\"t\"}]}", EMU_OK,
     NULL},
};

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        const struct emu_operation_model *model =
            emu_operation_model(str_from(requests[i].operation));
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
        struct err e = ERR_INIT;
        struct emu_error x = EMU_ERROR_INIT;

        assert_true(json_parse(str_from(requests[i].in), 4096, &doc, &e));
        assert_int_equal(emu_validate(model->input, json_root(doc), &x),
                         requests[i].code == EMU_OK);
        assert_int_equal(x.code, requests[i].code);
        if (requests[i].message != NULL)
            assert_string_equal(x.message, requests[i].message);
    }
}

static void test_every_failure_has_a_name_and_a_status(void **state)
{
    (void)state;
    for (int code = EMU_OK + 1; code < EMU_CODE_COUNT; code++) {
        assert_true(str_ends_with(str_from(emu_code_type((enum emu_code)code)), STR("Exception")));
        assert_in_range(emu_code_status((enum emu_code)code), 400, 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_is_served),
        cmocka_unit_test(test_every_handler_is_in_the_model),
        cmocka_unit_test(test_every_pattern_is_known),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_are_not_exponential),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_every_failure_has_a_name_and_a_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
