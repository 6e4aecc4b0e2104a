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
        {"123456789012.dkr.ecr.eu_west-1.amazonaws.com", "eu_west-1", false, false},
        {"123456789012.dkr.ecr._x.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.a~b.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.a[b.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.a@b.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.ecr.a!b.amazonaws.com", NULL, false, false},
        {"123456789012.dkr.", NULL, false, false},
        {"123456789012.docker.ecr.eu-west-1.amazonaws.com", NULL, false, false},
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

#define L31 "aaaaaaaaaabbbbbbbbbbccccccccccd"
#define L63 L31 L31 "x"

static void test_validate(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *want; /* NULL: is one */
    } cases[] = {
        {"registry.example.com", NULL},
        {"registry.example.com:5000", NULL},
        {"localhost", NULL},
        {"host:1", NULL},
        {"a-b.c9:65535", NULL},
        {"[::1]", NULL},
        {"[fe80::1.2]:443", NULL},
        {L63 ".x", NULL},
        {L63 "y.x", "at most 63 characters between dots"},
        {"x." L63 "y", "at most 63 characters between dots"},
        {L63 "." L63 "." L63 "." L31 ":80", NULL},
        {L63 "." L63 "." L63 "." L63 ".x", "must have at most"},
        {"host", "must have a dot or a port"},
        {"host:0", "must have a port of 1 to 65535"},
        {"host:65536", "must have a port of 1 to 65535"},
        {"host:", "must be a host name"},
        {"host:123456", "must be a host name"},
        {"host:8x", "must be a host name"},
        {"host:/0", "must be a host name"},
        {"host:5:6", "must be a host name"},
        {"[::1", "must be a host name"},
        {"[]", "must be a host name"},
        {"[::g]", "must be a host name"},
        {"[::/]", "must be a host name"},
        {"[::@]", "must be a host name"},
        {"[::1]443", "must be a host name"},
        {"[::1]:", "must be a host name"},
        {"Host.x", "must be a host name"},
        {"a_b.x", "must be a host name"},
        {"a..x", "must be a host name"},
        {".x", "must be a host name"},
        {"x.", "must be a host name"},
        {"-a.x", "must be a host name"},
        {"a-.x", "must be a host name"},
        {"~a.x", "must be a host name"},
        {"a{.x", "must be a host name"},
        {"", "must be a host name"},
        {":80", "must be a host name"},
        {NULL, "must be a host name"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        bool is_ok = ecr_registry_host_validate(str_from(cases[i].host), &e);
        if (is_ok != (cases[i].want == NULL))
            fail_msg("%s: %s", cases[i].host, e.msg);
        if (!is_ok && strstr(e.msg, cases[i].want) == NULL)
            fail_msg("%s: %s", cases[i].host, e.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_validate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
