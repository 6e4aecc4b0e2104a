// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of ECR's own registry names.
 */
#include "base/str.h"
#include "ecr/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *region; /* NULL: is none */
        bool is_fips, is_dualstack;
    } cases[] = {
        {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", false, false},
        {"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1", true, false},
        {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false},
        {"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false},
        {"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1", false, false},
        {"123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1", false, true},
        {"123456789012.dkr-ecr-fips.us-east-1.on.aws", "us-east-1", true, true},
        {"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true},
        {"123456789012.DKR.ecr.EU-west-1.AmazonAWS.com", "EU-west-1", false, false},
        {"123456789012.dkr-ecr.eu-west-1.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.eu-west-1.on.aws", NULL, false, false},
        {"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com", NULL, false, false},
        {"123456789012.dkr.ecr.eu-west-1.evil.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr..amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.-x.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.eu-west-1.amazonaws.com:443", NULL, false, false},
        {"12345678901.dkr.ecr.eu-west-1.amazonaws.com", NULL, false, false},
        {"1234567890123.dkr.ecr.eu-west-1.amazonaws.com", NULL, false, false},
        {"x123456789012.dkr.ecr.eu-west-1.amazonaws.com", NULL, false, false},
        {"public.ecr.aws", NULL, false, false},
        {"123456789012", NULL, false, false},
        {"123456789012.dkr.ecr.eu-west-1", NULL, false, false},
        {"", NULL, false, false},
        {NULL, NULL, false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ecr_host got;
        bool is_ok = ecr_host_parse(str_from(cases[i].host), &got);
        if (is_ok != (cases[i].region != NULL))
            fail_msg("%s", cases[i].host);
        if (!is_ok) {
            assert_true(str_is_null(got.account_id));
            continue;
        }
        assert_true(str_eq_cstr(got.account_id, "123456789012"));
        assert_true(str_eq_cstr(got.region, cases[i].region));
        assert_int_equal(got.is_fips, cases[i].is_fips);
        assert_int_equal(got.is_dualstack, cases[i].is_dualstack);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
