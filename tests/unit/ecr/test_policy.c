// SPDX-License-Identifier: Apache-2.0
/*
 * The grammar of IAM policy documents of repositories.
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

#define HEAD           "{\"Version\":\"2012-10-17\",\"Statement\":"
#define ALLOW          "\"Effect\":\"Allow\","
#define ALL            "\"Principal\":\"*\","
#define PULL           "\"Action\":\"ecr:BatchGetImage\""
#define ONE(STATEMENT) HEAD "[{" STATEMENT "}]}"

static const struct {
    const char *text;
    const char *want; /* NULL: valid */
} grammar_cases[] = {
    {ONE(ALLOW ALL PULL), NULL},
    {HEAD "{" ALLOW ALL PULL "}}", NULL},
    {"{\"Statement\":[{" ALLOW ALL PULL "}]}", NULL},
    {"{\"Version\":\"2008-10-17\",\"Id\":\"x\",\"Statement\":[{" ALLOW ALL PULL "}]}", NULL},
    {ONE("\"Sid\":\"a\",\"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":[\"1\",\"2\"]},"
         "\"NotAction\":[\"ecr:*\"],\"Resource\":\"*\",\"Condition\":{\"Bool\":{"
         "\"aws:SecureTransport\":false,\"x\":[\"a\",1]}}"),
     NULL},
    {ONE(ALLOW ALL PULL ",\"NotResource\":[\"a\"]"), NULL},
    {"", "the document must not be empty"},
    {NULL, "the document must not be empty"},
    {"x", "the document is not JSON: "},
    {"7", "the document must be an object"},
    {"{\"Version\":\"2012-10-17\"}", "Statement is required"},
    {"{\"Statement\":[],\"Statements\":1}", "Statements is not a member that the grammar has"},
    {"{\"Version\":\"2020-01-01\",\"Statement\":[]}",
     "Version must be one of 2012-10-17, 2008-10-17"},
    {"{\"Id\":1,\"Statement\":[]}", "Id must be a text"},
    {HEAD "[]}", "Statement must not be empty"},
    {HEAD "7}", "Statement must be an object"},
    {HEAD "[7]}", "Statement[0] must be an object"},
    {ONE(ALL PULL), "Statement[0].Effect is required"},
    {ONE("\"Effect\":\"allow\"," ALL PULL), "Statement[0].Effect must be one of Allow, Deny"},
    {ONE(ALLOW PULL), "Statement[0].Principal is required (or NotPrincipal)"},
    {ONE(ALLOW ALL "\"NotPrincipal\":\"*\"," PULL),
     "Statement[0].Principal must be absent where NotPrincipal is given"},
    {ONE(ALLOW "\"Principal\":\"123456789012\"," PULL),
     "Statement[0].Principal must be \"*\" or an object such as {\"AWS\": […]}"},
    {ONE(ALLOW "\"Principal\":{}," PULL), "Statement[0].Principal must not be empty"},
    {ONE(ALLOW "\"Principal\":[\"*\"]," PULL), "Statement[0].Principal must be an object"},
    {ONE(ALLOW "\"Principal\":{\"aws\":\"*\"}," PULL),
     "Statement[0].Principal.aws is not a member that the grammar has"},
    {ONE(ALLOW "\"NotPrincipal\":{\"Service\":[]}," PULL),
     "Statement[0].NotPrincipal.Service must not be empty"},
    {ONE(ALLOW "\"Principal\":{\"AWS\":[\"1\",2]}," PULL),
     "Statement[0].Principal.AWS must be a text that is not empty, or a list of such"},
    {ONE(ALLOW "\"Principal\":\"*\""), "Statement[0].Action is required"},
    {ONE(ALLOW ALL PULL ",\"NotAction\":\"x\""),
     "Statement[0].NotAction must be absent where its positive form is given"},
    {ONE(ALLOW ALL "\"Action\":[]"), "Statement[0].Action must not be empty"},
    {ONE(ALLOW ALL "\"Action\":\"\""),
     "Statement[0].Action must be a text that is not empty, or a list of such"},
    {ONE(ALLOW ALL PULL ",\"Resource\":\"a\",\"NotResource\":\"b\""),
     "Statement[0].NotResource must be absent where its positive form is given"},
    {ONE(ALLOW ALL PULL ",\"Resource\":null"),
     "Statement[0].Resource must be a text that is not empty, or a list of such"},
    {ONE(ALLOW ALL PULL ",\"Sid\":1"), "Statement[0].Sid must be a text"},
    {ONE(ALLOW ALL PULL ",\"Conditions\":{}"),
     "Statement[0].Conditions is not a member that the grammar has"},
    {ONE(ALLOW ALL PULL ",\"Condition\":[]"),
     "Statement[0].Condition must be an object of operators, each an object of keys and "
     "values"},
    {ONE(ALLOW ALL PULL ",\"Condition\":{\"Bool\":true}"),
     "Statement[0].Condition must be an object of operators, each an object of keys and "
     "values"},
    {ONE(ALLOW ALL PULL ",\"Condition\":{\"Bool\":{\"a\":[{}]}}"),
     "Statement[0].Condition must have texts, numbers and booleans as values"},
    {HEAD "[{" ALLOW ALL PULL "},{" ALLOW ALL "\"Action\":7}]}",
     "Statement[1].Action must be a text that is not empty, or a list of such"},
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(grammar_cases); i++) {
        struct err e = ERR_INIT;
        bool is_ok = ecr_policy_validate(str_from(grammar_cases[i].text), &e);
        if (is_ok != (grammar_cases[i].want == NULL))
            fail_msg("case %zu, %s: %s", i, grammar_cases[i].text, is_ok ? "taken" : e.msg);
        if (is_ok)
            continue;
        assert_int_equal(e.cls, ERR_INVALID);
        if (grammar_cases[i].want[strlen(grammar_cases[i].want) - 1] == ' ')
            assert_true(str_starts_with(str_from(e.msg), str_from(grammar_cases[i].want)));
        else
            assert_string_equal(e.msg, grammar_cases[i].want);
    }
}

static void test_length(void **state)
{
    (void)state;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(20000);
    struct err e = ERR_INIT;
    buf_append_cstr(&text, ONE(ALLOW ALL PULL));
    while (text.len < ECR_POLICY_MAX)
        buf_append_char(&text, ' ');
    assert_true(ecr_policy_validate(buf_str(&text), &e));
    buf_append_char(&text, ' ');
    assert_false(ecr_policy_validate(buf_str(&text), &e));
    assert_string_equal(e.msg, "the document must have at most 10240 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
