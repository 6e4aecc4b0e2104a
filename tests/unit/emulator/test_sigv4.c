// SPDX-License-Identifier: Apache-2.0
/*
 * The check of signatures against AWS's published vectors, two of ECR's form, and headers that
 * break the grammar.
 */
#include "sigv4_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECRET STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
#define CREDENTIAL(SERVICE)                                                                        \
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" SERVICE "/aws4_request, "

static const struct {
    const char *name;
    const char *method;
    const char *target;
    const char *authorization;
    const char *body;
    struct sigv4_header headers[6];
    const char *want;
} vectors[] = {
    {"get-vanilla",
     "GET",
     "/",
     CREDENTIAL("service") "SignedHeaders=host;x-amz-date, Signature=x",
     "",
     {{{STR_INIT("Host")}, {STR_INIT("example.amazonaws.com")}},
      {{STR_INIT("X-Amz-Date")}, {STR_INIT("20150830T123600Z")}}},
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-vanilla",
     "POST",
     "/",
     CREDENTIAL("service") "SignedHeaders=host;x-amz-date, Signature=x",
     "",
     {{{STR_INIT("Host")}, {STR_INIT("example.amazonaws.com")}},
      {{STR_INIT("X-Amz-Date")}, {STR_INIT("20150830T123600Z")}}},
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"get-vanilla-with-session-token",
     "GET",
     "/",
     CREDENTIAL("service") "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=x",
     "",
     {{{STR_INIT("Host")}, {STR_INIT("example.amazonaws.com")}},
      {{STR_INIT("X-Amz-Date")}, {STR_INIT("20150830T123600Z")}},
      {{STR_INIT("X-Amz-Security-Token")},
       {STR_INIT("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")}}},
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"ecr",
     "POST",
     "/",
     CREDENTIAL("ecr") "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=x",
     "{}",
     {{{STR_INIT("host")}, {STR_INIT("api.ecr.us-east-1.amazonaws.com")}},
      {{STR_INIT("X-AMZ-TARGET")},
       {STR_INIT("AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")}},
      {{STR_INIT("X-Amz-Date")}, {STR_INIT("20150830T123600Z")}},
      {{STR_INIT("not-signed")}, {STR_INIT("x")}},
      {{STR_INIT("Content-Type")}, {STR_INIT("  application/x-amz-json-1.1 ")}}},
     "adcb9360aa1eb25c8096e6831252706b795ab4650a0728a113f9a2e75d213979"},
    {"ecr with a session token",
     "POST",
     "/",
     CREDENTIAL("ecr") "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
                       "x-amz-target, Signature=x",
     "{}",
     {{{STR_INIT("host")}, {STR_INIT("api.ecr.us-east-1.amazonaws.com")}},
      {{STR_INIT("x-amz-target")},
       {STR_INIT("AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")}},
      {{STR_INIT("x-amz-date")}, {STR_INIT("20150830T123600Z")}},
      {{STR_INIT("x-amz-security-token")}, {STR_INIT("TOKEN")}},
      {{STR_INIT("content-type")}, {STR_INIT("application/x-amz-json-1.1")}}},
     "7a12627b73219988acb79c9286ee633d65843ee7397b2b13ad74df1ac5917426"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct sigv4_request r = {.method = str_from(vectors[i].method),
                                  .target = str_from(vectors[i].target),
                                  .headers = vectors[i].headers,
                                  .n_headers = ARRAY_SIZE(vectors[i].headers),
                                  .body = str_from(vectors[i].body)};
        struct sigv4_claim claim;
        const char *missing = NULL;
        char got[SIGV4_HEX + 1];

        while (r.n_headers > 0 && str_is_null(r.headers[r.n_headers - 1].name))
            r.n_headers--;
        assert_true(sigv4_parse(str_from(vectors[i].authorization), &claim, &missing));
        assert_true(str_eq(claim.access_key_id, STR("AKIDEXAMPLE")));
        sigv4_compute(&r, &claim, sigv4_header(&r, "x-amz-date"), SECRET, &arena, got);
        assert_string_equal(got, vectors[i].want);
    }
}

/* Whatever the order of the arguments, and with or without the "=" of an empty one. */
static void test_query_is_sorted(void **state)
{
    static const struct sigv4_header headers[] = {
        {{STR_INIT("Host")}, {STR_INIT("example.amazonaws.com")}},
        {{STR_INIT("X-Amz-Date")}, {STR_INIT("20150830T123600Z")}}};
    static const char *const same[] = {"/?b=2&a=1&c", "/?a=1&b=2&c=", "/?c=&b=2&&a=1"};
    char got[ARRAY_SIZE(same)][SIGV4_HEX + 1];
    struct sigv4_claim claim;
    const char *missing = NULL;

    (void)state;
    assert_true(sigv4_parse(STR(CREDENTIAL("service") "SignedHeaders=host;x-amz-date, Signature=x"),
                            &claim, &missing));
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct sigv4_request r = {STR("GET"), str_from(same[i]), headers, 2, STR("")};

        sigv4_compute(&r, &claim, STR("20150830T123600Z"), SECRET, &arena, got[i]);
        assert_string_equal(got[i], got[0]);
    }
    assert_string_not_equal(got[0], vectors[0].want);
}

static void test_white_space_and_duplicates(void **state)
{
    static const struct sigv4_header spaced[] = {{{STR_INIT("Host")}, {STR_INIT("h")}},
                                                 {{STR_INIT("X-A")}, {STR_INIT("  a \t b  ")}},
                                                 {{STR_INIT("x-a")}, {STR_INIT("c")}}};
    static const struct sigv4_header joined[] = {{{STR_INIT("host")}, {STR_INIT("h")}},
                                                 {{STR_INIT("x-a")}, {STR_INIT("a b,c")}}};
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct sigv4_request a = {STR("POST"), STR("/"), spaced, 3, STR("x")};
    struct sigv4_request b = {STR("POST"), STR("/"), joined, 2, STR("x")};
    struct sigv4_claim claim;
    const char *missing = NULL;
    char got_a[SIGV4_HEX + 1];
    char got_b[SIGV4_HEX + 1];

    (void)state;
    assert_true(sigv4_parse(STR(CREDENTIAL("ecr") "SignedHeaders=host;x-a, Signature=x"), &claim,
                            &missing));
    sigv4_compute(&a, &claim, STR("20150830T123600Z"), SECRET, &arena, got_a);
    sigv4_compute(&b, &claim, STR("20150830T123600Z"), SECRET, &arena, got_b);
    assert_string_equal(got_a, got_b);
    assert_true(sigv4_is_signed(&claim, STR("host")));
    assert_false(sigv4_is_signed(&claim, STR("hos")));
    assert_false(sigv4_is_signed(&claim, STR("host;x-a")));
}

static void test_grammar(void **state)
{
    static const struct {
        const char *authorization;
        const char *missing; /* NULL: fine */
    } cases[] = {
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/aws4_request,SignedHeaders=h,Signature=s", NULL},
        {"AWS4-HMAC-SHA256 Signature=s, SignedHeaders=h,  Credential=K/D/R/S/aws4_request", NULL},
        {"", "Algorithm"},
        {"AWS4-HMAC-SHA256", "Algorithm"},
        {"Basic QVdTOng=", "Algorithm"},
        {"AWS4-HMAC-SHA512 Credential=K/D/R/S/aws4_request,SignedHeaders=h,Signature=s",
         "Algorithm"},
        {"AWS4-HMAC-SHA256 SignedHeaders=h,Signature=s", "Credential"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/aws4_request,SignedHeaders=h,Signature=s",
         "Credential"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/other,SignedHeaders=h,Signature=s", "Credential"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/aws4_request/x,SignedHeaders=h,Signature=s",
         "Credential"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/aws4_request,Signature=s", "SignedHeaders"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/aws4_request,SignedHeaders=,Signature=s",
         "SignedHeaders"},
        {"AWS4-HMAC-SHA256 Credential=K/D/R/S/aws4_request,SignedHeaders=h", "Signature"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sigv4_claim claim;
        const char *missing = NULL;
        bool is_ok = sigv4_parse(str_from(cases[i].authorization), &claim, &missing);

        assert_int_equal(is_ok, cases[i].missing == NULL);
        if (cases[i].missing != NULL)
            assert_string_equal(missing, cases[i].missing);
        else
            assert_true(str_eq(claim.signature, STR("s")) && str_eq(claim.service, STR("S")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_query_is_sorted),
        cmocka_unit_test(test_white_space_and_duplicates),
        cmocka_unit_test(test_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
