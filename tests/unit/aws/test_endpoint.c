// SPDX-License-Identifier: Apache-2.0
/*
 * Regions, partitions and host names.
 */
#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_partitions(void **state)
{
    (void)state;
    static const struct {
        const char *region, *partition, *suffix;
    } cases[] = {
        {"eu-west-1", "aws", "amazonaws.com"},
        {"us-east-1", "aws", "amazonaws.com"},
        {"il-central-1", "aws", "amazonaws.com"},
        {"mx-central-1", "aws", "amazonaws.com"},
        {"zz-tomorrow-1", "aws", "amazonaws.com"},
        {"cn-north-1", "aws-cn", "amazonaws.com.cn"},
        {"us-gov-west-1", "aws-us-gov", "amazonaws.com"},
        {"us-iso-east-1", "aws-iso", "c2s.ic.gov"},
        {"us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"},
        {"eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"},
        {"us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"},
        {"eusc-de-east-1", "aws-eusc", "amazonaws.eu"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf want BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        struct buf got BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        struct str region = str_from(cases[i].region);
        assert_string_equal(aws_partition(region), cases[i].partition);
        aws_endpoint_default(region, &got);
        buf_printf(&want, "https://api.ecr.%s.%s", cases[i].region, cases[i].suffix);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
        buf_reset(&got);
        buf_reset(&want);
        aws_registry_host(STR("123456789012"), region, &got);
        buf_printf(&want, "123456789012.dkr.ecr.%s.%s", cases[i].region, cases[i].suffix);
        assert_string_equal(buf_cstr(&got), buf_cstr(&want));
    }
}

static void test_region(void **state)
{
    (void)state;
    static const struct {
        const char *region;
        bool is_ok;
    } cases[] = {
        {"eu-west-1", true},      {"us-gov-east-1", true},   {"us-isob-east-1", true},
        {"eusc-de-east-1", true}, {"ap-southeast-12", true}, {"", false},
        {"eu-west", false},       {"eu-1", false},           {"-west-1", false},
        {"eu--1", false},         {"eu-west-", false},       {"eu-west--1", false},
        {"EU-west-1", false},     {"eu-we.st-1", false},     {"eu-west-1.evil.com", false},
        {"eur-west-1", false},    {"eu-west-123", false},    {"eu-west-a", false},
        {"eu-west-1/", false},    {"eu/west-1", false},      {"eu-averyveryverylongname-1", false},
    };
    regex_t re;
    assert_int_equal(regcomp(&re, AWS_REGION_PATTERN, REG_EXTENDED | REG_NOSUB), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        if (aws_region_validate(str_from(cases[i].region), &e) != cases[i].is_ok)
            fail_msg("%s", cases[i].region);
        assert_int_equal(e.cls, cases[i].is_ok ? ERR_NONE : ERR_INVALID);
        if (strlen(cases[i].region) <= AWS_REGION_MAX)
            assert_int_equal(regexec(&re, cases[i].region, 0, NULL, 0) == 0, cases[i].is_ok);
    }
    regfree(&re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
