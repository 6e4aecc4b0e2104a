// SPDX-License-Identifier: Apache-2.0
/*
 * The hand-written matchers against the pattern texts of the CRD, which regcomp() reads too as far
 * as these texts go: on examples, on each example with each character changed, and on random text
 * of the characters that matter.
 */
#include "api/api.h"
#include "api_priv.h"
#include "ecr/prefix.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { RANDOM_TEXTS = 20000, TEXT_MAX = 48 };

static const struct pattern_case {
    const char *pattern;
    bool (*matches)(struct str s);
    const char *alphabet;
    const char *good[10];
    const char *bad[14];
} cases[] = {
    {API_REGION_PATTERN,
     api_region_matches,
     "ab-1",
     {"eu-west-1", "us-gov-east-1", "eusc-de-east-1", "us-iso-east-12", "cn-north-1"},
     {"", "eu-west", "eu-west-", "-eu-west-1", "eu--west-1", "eu-west-1a", "EU-west-1", "eu-1",
      "eu-west-1-2", "eu_west_1", "eu-we5t-1"}},
    {API_ENDPOINT_PATTERN,
     api_endpoint_matches,
     "a1.-:/[]",
     {"https://a", "http://a.example:5000/", "https://[::1]:80", "http://127.0.0.1",
      "https://VPCE-1.example", "https://[2001:DB8::1]"},
     {"", "https://", "https:///", "https://a:", "https://a:123456", "https://a/b", "ftp://a",
      "https://-a", "https://a-", "https://[]", "https://[::1", "https://a b", "https://u@a"}},
    {API_LOOPBACK_PATTERN,
     api_loopback_matches,
     "127.0:/",
     {"http://127.0.0.1", "http://127.0.0.1:5000/", "http://localhost", "http://[::1]:1",
      "http://127.255.255.999", "http://localhost:80"},
     {"", "https://127.0.0.1", "http://127.0.0", "http://127.0.0.1.2", "http://128.0.0.1",
      "http://127.0.0.1.", "http://localhosts", "http://localhost.a", "http://127.0.0.0001",
      "http://[::2]", "http://127..0.1", "http://127.0.0.1:", "http://localhost/x"}},
    {API_NAME_PATTERN,
     api_name_matches,
     "a1-.A",
     {"default", "a", "a.b", "a-1.b-2", "0"},
     {"", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", "a.-b"}},
    {API_CONDITION_TYPE_PATTERN,
     api_condition_type_matches,
     "aA1-_./",
     {"Ready", "a", "example.com/Ready", "A.b_c-d"},
     {"", "/Ready", "a/", "A/Ready", "a/b/c", "-a", "a-", "a b"}},
    {API_REASON_PATTERN,
     api_reason_matches,
     "aA1_,:",
     {"Available", "a", "A_", "A:b", "A,b9"},
     {"", "1A", "_A", "A:", "A,", "A b", ":"}},
    /* of package ecr: the pairs that the tables use */
    {ECR_PREFIX_PATTERN,
     ecr_prefix_matches,
     "a1._-/",
     {"ROOT", "a", "team-a/api", "team-a/", "a__b", "a---b", "a.b/c"},
     {"", "/", "a//b", "/a", "a___b", "a..b", "ROOT/", "a.", "root_", "Team"}},
    {ECR_FILTER_PATTERN,
     ecr_filter_matches,
     "aA1._*-/",
     {"latest", "*", "dev-*"},
     {"", "a/b", "a b"}},
    {ECR_KMS_KEY_PATTERN,
     ecr_kms_key_matches,
     "arn:ws1",
     {"arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
      "arn:aws-cn:kms:cn-north-1:123456789012:key/a"},
     {"", "alias/a", "arn:aws:kms:eu-west-1:123456789012:alias/a",
      "arn:aws:kms:eu-west-1:12345678901:key/a", "arn:aws:kms:eu-west-1:123456789012:key/"}},
    {ECR_ROLE_ARN_PATTERN,
     ecr_role_arn_matches,
     "arn:ws1/",
     {"arn:aws:iam::123456789012:role/r", "arn:aws-us-gov:iam::123456789012:role/p/q/r",
      "arn:aws:iam::123456789012:role/a+b=c,d.e@f-g_h"},
     {"", "arn:aws:iam::123456789012:user/r", "arn:aws:iam::123456789012:role/",
      "arn:aws:iam:eu:123456789012:role/r", "arn:aws:iam::123456789012:role/a b"}},
    {ECR_ACCOUNT_ID_PATTERN,
     ecr_account_id_matches,
     "1a",
     {"123456789012"},
     {"", "12345678901", "1234567890123"}},
    {ECR_REGISTRY_HOST_PATTERN,
     ecr_registry_host_matches,
     "a1.-:[]",
     {"localhost:5000", "127.0.0.1:80", "registry.example", "[::1]:5000", "a"},
     {"", "a:", ":80", "a:123456", "A", "a/b", "-a", "a-.b", "[::1", "a..b"}},
};

static bool by_pattern(const regex_t *re, const char *text)
{
    return regexec(re, text, 0, NULL, 0) == 0;
}

static void agree(const struct pattern_case *c, const regex_t *re, const char *text)
{
    bool want = by_pattern(re, text);
    bool have = c->matches(str_from(text));
    if (want != have)
        fail_msg("\"%s\" and %s: the function says %d", text, c->pattern, have);
}

/* xorshift: the same texts in each run */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void agree_on_changes(const struct pattern_case *c, const regex_t *re, const char *text)
{
    static const char others[] = "aZ09-_./:*[] \xc3";
    char changed[128];
    size_t len = strlen(text);
    assert_true(len + 2 < sizeof(changed));
    for (size_t i = 0; i <= len; i++)
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            /* replaced, then put in between */
            memcpy(changed, text, len + 1);
            changed[i] = others[k];
            changed[i == len ? len + 1 : len] = '\0';
            agree(c, re, changed);
            memcpy(changed + i + 1, text + i, len - i + 1);
            agree(c, re, changed);
        }
}

static void functions_are_their_patterns(void **state)
{
    (void)state;
    uint32_t random = 0x2545f491;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct pattern_case *c = &cases[i];
        regex_t re;
        assert_int_equal(regcomp(&re, c->pattern, REG_EXTENDED | REG_NOSUB), 0);
        for (size_t k = 0; k < ARRAY_SIZE(c->good) && c->good[k] != NULL; k++) {
            if (!by_pattern(&re, c->good[k]))
                fail_msg("\"%s\" is good for %s", c->good[k], c->pattern);
            agree(c, &re, c->good[k]);
            agree_on_changes(c, &re, c->good[k]);
        }
        for (size_t k = 0; k < ARRAY_SIZE(c->bad) && c->bad[k] != NULL; k++) {
            if (by_pattern(&re, c->bad[k]))
                fail_msg("\"%s\" is bad for %s", c->bad[k], c->pattern);
            agree(c, &re, c->bad[k]);
        }
        for (int n = 0; n < RANDOM_TEXTS; n++) {
            char text[TEXT_MAX + 1];
            size_t letters = strlen(c->alphabet);
            /* half of them go on where a good one ends, so that many match */
            size_t len = 0;
            if (n % 2 == 0) {
                len = strlen(c->good[0]) < TEXT_MAX / 2 ? strlen(c->good[0]) : TEXT_MAX / 2;
                memcpy(text, c->good[0], len);
            }
            for (size_t more = next_random(&random) % 10; more > 0; more--)
                text[len++] = c->alphabet[next_random(&random) % letters];
            text[len] = '\0';
            agree(c, &re, text);
        }
        regfree(&re);
    }
}

static void nul_bytes_do_not_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[128];
        size_t len = strlen(cases[i].good[0]);
        memcpy(text, cases[i].good[0], len);
        text[len] = '\0';
        assert_false(cases[i].matches(str_n(text, len + 1)));
        assert_false(cases[i].matches(STR_NULL));
    }
}

/* Every pattern of the tables is among the cases, with the same function. */
static void expect_cases(const struct schema *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        bool is_found = f->pattern == NULL;
        for (size_t k = 0; k < ARRAY_SIZE(cases) && !is_found; k++)
            is_found = strcmp(cases[k].pattern, f->pattern) == 0 && cases[k].matches == f->matches;
        if (!is_found)
            fail_msg("%s.%s: no case for its pattern", s->name, f->name);
        if (f->sub != NULL)
            expect_cases(f->sub);
    }
}

static void every_pattern_is_a_case(void **state)
{
    (void)state;
    expect_cases(api_template_schema());
    expect_cases(api_settings_schema());
    expect_cases(api_template_status_schema());
    expect_cases(api_settings_status_schema());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_their_patterns),
        cmocka_unit_test(nul_bytes_do_not_match),
        cmocka_unit_test(every_pattern_is_a_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
