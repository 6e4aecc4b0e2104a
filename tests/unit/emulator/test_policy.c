// SPDX-License-Identifier: Apache-2.0
/*
 * Repository policies: the grammar that ECR demands, and the form in which it gives them back.
 */
#include "policy_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define POLICY(STATEMENT) "{\"Version\":\"2012-10-17\",\"Statement\":[" STATEMENT "]}"
#define ALLOW             "\"Effect\":\"Allow\","
#define ALL               "\"Principal\":\"*\","
#define PULL              "\"Action\":\"ecr:BatchGetImage\""

static void test_form(void **state)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct emu_error x = EMU_ERROR_INIT;

    (void)state;
    assert_true(emu_policy_normalise(
        STR("{\"Statement\":[{\"Condition\":{\"StringLike\":{\"aws:x\":[\"a\",\"b\"]},"
            "\"Bool\":{}},\"Resource\":\"*\",\"Action\":[\"ecr:A\",\"ecr:B\"],"
            "\"Principal\":{\"AWS\":\"123456789012\",\"Service\":[\"x.amazonaws.com\"]},"
            "\"Effect\":\"Deny\",\"Sid\":\"s\"},{\"Effect\":\"Allow\",\"Principal\":\"*\","
            "\"NotAction\":\"*\"}],\"Version\":\"2008-10-17\"}"),
        "PolicyText", &out, &x));
    assert_string_equal(buf_cstr(&out), "{\n"
                                        "  \"Version\" : \"2008-10-17\",\n"
                                        "  \"Statement\" : [ {\n"
                                        "    \"Sid\" : \"s\",\n"
                                        "    \"Effect\" : \"Deny\",\n"
                                        "    \"Principal\" : {\n"
                                        "      \"AWS\" : \"123456789012\",\n"
                                        "      \"Service\" : [ \"x.amazonaws.com\" ]\n"
                                        "    },\n"
                                        "    \"Action\" : [ \"ecr:A\", \"ecr:B\" ],\n"
                                        "    \"Resource\" : \"*\",\n"
                                        "    \"Condition\" : {\n"
                                        "      \"StringLike\" : {\n"
                                        "        \"aws:x\" : [ \"a\", \"b\" ]\n"
                                        "      },\n"
                                        "      \"Bool\" : { }\n"
                                        "    }\n"
                                        "  }, {\n"
                                        "    \"Effect\" : \"Allow\",\n"
                                        "    \"Principal\" : \"*\",\n"
                                        "    \"NotAction\" : \"*\"\n"
                                        "  } ]\n"
                                        "}");
}

static const struct {
    const char *text;
    bool is_right;
} cases[] = {
    {POLICY("{" ALLOW ALL PULL "}"), true},
    {"{\"Statement\":{" ALLOW ALL PULL "}}", true},
    {"{\"Id\":\"x\",\"Statement\":{" ALLOW ALL PULL "}}", true},
    {POLICY("{" ALLOW ALL "\"Action\":[\"ECR:*\",\"*\"]}"), true},
    {POLICY("{" ALLOW ALL "\"NotAction\":\"ecr:x\"}"), true},
    {POLICY("{" ALLOW "\"NotPrincipal\":\"*\"," PULL "}"), true},
    {POLICY("{" ALLOW ALL PULL ",\"Resource\":[\"*\"]}"), true},
    {POLICY("{" ALLOW ALL PULL ",\"NotResource\":\"*\"}"), true},
    {POLICY("{" ALLOW ALL PULL ",\"Condition\":{\"Bool\":{\"k\":true}}}"), true},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":[\"123456789012\",\"*\"]}," PULL "}"), true},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"arn:aws-cn:iam::123456789012:root\"}," PULL "}"),
     true},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"arn:aws:sts::123456789012:assumed-role/a/b\"}," PULL
            "}"),
     true},
    {POLICY("{" ALLOW "\"Principal\":{\"Federated\":\"x\"}," PULL "}"), true},

    {"", false},
    {"{", false},
    {"null", false},
    {"{}", false},
    {"{\"Statement\":[]}", false},
    {"{\"Statement\":\"x\"}", false},
    {"{\"Statement\":[1]}", false},
    {"{\"Version\":\"2012-10-18\",\"Statement\":{" ALLOW ALL PULL "}}", false},
    {"{\"Version\":1,\"Statement\":{" ALLOW ALL PULL "}}", false},
    {"{\"Id\":1,\"Statement\":{" ALLOW ALL PULL "}}", false},
    {"{\"More\":1,\"Statement\":{" ALLOW ALL PULL "}}", false},
    {POLICY("{" ALL PULL "}"), false},
    {POLICY("{\"Effect\":\"allow\"," ALL PULL "}"), false},
    {POLICY("{" ALLOW PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":\"x\"," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":[]}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"12345678901\"}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"arn:aws:iam::x:root\"}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"arn:aws:s3::123456789012:x\"}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:\"}," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":{\"aws\":\"*\"}," PULL "}"), false},
    {POLICY("{" ALLOW ALL "\"NotPrincipal\":\"*\"," PULL "}"), false},
    {POLICY("{" ALLOW "\"Principal\":\"*\"}"), false},
    {POLICY("{" ALLOW ALL "\"Action\":\"ecr:\"}"), false},
    {POLICY("{" ALLOW ALL "\"Action\":[1]}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"NotAction\":\"ecr:x\"}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Resource\":\"*\",\"NotResource\":\"*\"}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Resource\":\"\"}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Sid\":1}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Condition\":\"x\"}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Condition\":{\"Bool\":true}}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Condition\":{\"Bool\":{\"k\":{}}}}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Condition\":{\"Bool\":{\"k\":[[]]}}}"), false},
    {POLICY("{" ALLOW ALL PULL ",\"Extra\":1}"), false},
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct emu_error x = EMU_ERROR_INIT;
        bool is_ok = emu_policy_normalise(str_from(cases[i].text), "PolicyText", &out, &x);

        if (is_ok != cases[i].is_right)
            print_error("%s\n", cases[i].text);
        assert_int_equal(is_ok, cases[i].is_right);
        assert_int_equal(x.code, is_ok ? EMU_OK : EMU_INVALID_PARAMETER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
