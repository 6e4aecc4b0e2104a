// SPDX-License-Identifier: Apache-2.0
/*
 * The signer against AWS's own test suite (every folder of vectors/), against two vectors for ECR
 * that two other implementations agree on, and its borders.
 */
#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "sigv4_priv.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { VECTOR_MAX = 65536, VECTORS = 34 };
#define KEY_ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define STS_TOKEN                                                                                  \
    "AQoDYXdzEPT//////////"                                                                        \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth" \
    "Ax7mSEI/"                                                                                     \
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q" \
    "6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKT" \
    "r4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static int64_t vector_time(void)
{
    int64_t t = 0;
    assert_true(clock_parse_amz(STR("20150830T123600Z"), &t));
    return t;
}

static struct aws_credentials *credentials(const char *token)
{
    struct aws_credentials *c = NULL;
    struct err e = ERR_INIT;
    struct aws_credentials_values v = {STR(KEY_ID), STR(SECRET), str_from(token), 0, "test"};
    assert_true(aws_credentials_new(&v, &c, &e));
    return c;
}

static struct str read_vector(struct arena *a, const char *name, const char *extension)
{
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(VECTOR_MAX);
    struct err e = ERR_INIT;
    struct str path =
        arena_printf(a, "%s/vectors/%s/%s.%s", TEST_SOURCE_DIR, name, name, extension);
    if (!file_read(path.ptr, &b, &e))
        fail_msg("%s", e.msg);
    return arena_copy(a, buf_str(&b));
}

/* Reads "METHOD target HTTP/1.1", headers (with folded lines) and body. */
static void parse_request(struct arena *a, struct str text, struct aws_sigv4_request *rq,
                          struct http_header *headers)
{
    struct str rest = text;
    struct str line;
    struct str host = STR_NULL;
    assert_true(str_next(&rest, '\n', &line));
    ptrdiff_t first = str_index(line, ' ');
    ptrdiff_t last = str_rindex(line, ' ');
    rq->method = arena_cstr(a, str_n(line.ptr, (size_t)first));
    struct str target = str_n(line.ptr + first + 1, (size_t)(last - first - 1));
    while (str_next(&rest, '\n', &line) && line.len > 0) {
        if (line.ptr[0] == ' ') {
            struct http_header *h = &headers[rq->header_count - 1];
            h->value = arena_printf(a, "%.*s %.*s", STR_ARG(h->value), STR_ARG(line));
            continue;
        }
        struct http_header *h = &headers[rq->header_count++];
        assert_true(str_cut(line, ':', &h->name, &h->value));
        if (str_eq_nocase(h->name, STR("host")))
            host = h->value;
    }
    rq->headers = headers;
    rq->payload = rest;
    rq->url = arena_printf(a, "https://%.*s%.*s", STR_ARG(host), STR_ARG(target));
}

static void assert_str(struct str got, struct str want, const char *name, const char *what)
{
    if (!str_eq(got, want))
        fail_msg("%s: %s is\n%.*s\nand should be\n%.*s", name, what, STR_ARG(got), STR_ARG(want));
}

static void check_vector(const char *name)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_header headers[HTTP_MAX_HEADERS];
    struct err e = ERR_INIT;
    const char *token = NULL;
    if (strstr(name, "post-sts") == name)
        token = STS_TOKEN;
    if (strcmp(name, "get-vanilla-with-session-token") == 0)
        token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = credentials(token);
    struct aws_sigv4_request rq = {
        .credentials = c,
        .region = STR("us-east-1"),
        .service = STR("service"),
        .unix_ms = vector_time(),
        .is_token_unsigned = strcmp(name, "post-sts-header-after") == 0,
    };
    parse_request(&a, read_vector(&a, name, "req"), &rq, headers);
    struct aws_sigv4_signed got;
    if (!aws_sigv4_sign(&rq, &a, &got, &e))
        fail_msg("%s: %s", name, e.msg);
    assert_str(got.canonical_request, read_vector(&a, name, "creq"), name, "canonical request");
    assert_str(got.string_to_sign, read_vector(&a, name, "sts"), name, "string to sign");
    struct http_header *last = &got.headers[got.count - 1];
    assert_str(last->name, STR("authorization"), name, "last header");
    assert_str(last->value, read_vector(&a, name, "authz"), name, "authorization");
    assert_int_equal(got.count, token != NULL ? 3 : 2);
}

static void test_vectors(void **state)
{
    (void)state;
    int count = 0;
    DIR *d = opendir(TEST_SOURCE_DIR "/vectors");
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.' || strchr(entry->d_name, '-') == NULL)
            continue;
        check_vector(entry->d_name);
        count++;
    }
    (void)closedir(d);
    assert_int_equal(count, VECTORS);
}

static void check_ecr(const char *token, const char *want_signature, const char *want_hash)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = credentials(token);
    const struct http_header headers[] = {
        {STR("User-Agent"), STR("not signed")},
        {STR("Content-Type"), STR("application/x-amz-json-1.1")},
        {STR("X-Amz-Date"), STR("20010101T000000Z")}, /* the signer's own wins */
        {STR("X-Amz-Target"), STR("AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")},
    };
    struct aws_sigv4_request rq = {
        .method = "POST",
        .url = STR("https://api.ecr.us-east-1.amazonaws.com"),
        .headers = headers,
        .header_count = ARRAY_SIZE(headers),
        .payload = STR("{}"),
        .credentials = c,
        .region = STR("us-east-1"),
        .service = STR("ecr"),
        .unix_ms = vector_time(),
    };
    struct aws_sigv4_signed got;
    assert_true(aws_sigv4_sign(&rq, &a, &got, &e));
    if (want_hash != NULL) {
        char hash[CRYPTO_SHA256_HEX + 1];
        crypto_sha256_hex(got.canonical_request, hash);
        assert_string_equal(hash, want_hash);
    }
    assert_str(got.signature, str_from(want_signature), "ecr", "signature");
}

static void test_ecr_vectors(void **state)
{
    (void)state;
    check_ecr(NULL, "adcb9360aa1eb25c8096e6831252706b795ab4650a0728a113f9a2e75d213979",
              "21b073abb461ad833aaa00e2e64e8d7eeb1677b3c73e38f9247a1617fb940e57");
    check_ecr("TOKEN", "7a12627b73219988acb79c9286ee633d65843ee7397b2b13ad74df1ac5917426", NULL);
}

static void test_signing_key(void **state)
{
    (void)state;
    struct secret *s = secret_new(STR(SECRET));
    uint8_t key[CRYPTO_SHA256_BYTES];
    char hex[CRYPTO_SHA256_HEX + 1];
    aws_sigv4_key(s, STR("20150830"), STR("us-east-1"), STR("ecr"), key);
    crypto_hex(key, sizeof key, hex);
    assert_string_equal(hex, "68ce73d35403d53a9f776a559e665298d12bf3a0b3404de623a49073e6efe760");
    s = secret_free(s);
}

/* aws-c-auth's post-x-www-form-urlencoded, whose context asks for sign_body. */
static void test_body_hash_is_signed(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = credentials(NULL);
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/x-www-form-urlencoded")},
        {STR("Host"), STR("example.amazonaws.com")},
        {STR("Content-Length"), STR("13")},
    };
    struct aws_sigv4_request rq = {
        .method = "POST",
        .url = STR("https://example.amazonaws.com/"),
        .headers = headers,
        .header_count = ARRAY_SIZE(headers),
        .payload = STR("Param1=value1"),
        .credentials = c,
        .region = STR("us-east-1"),
        .service = STR("service"),
        .unix_ms = vector_time(),
        .is_body_hash_sent = true,
    };
    struct aws_sigv4_signed got;
    assert_true(aws_sigv4_sign(&rq, &a, &got, &e));
    assert_str(got.signature,
               STR("d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"), "form",
               "signature");
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool is_kept;
        const char *want;
    } cases[] = {
        {"", false, "/"},
        {"", true, "/"},
        {"/a%20b", false, "/a%2520b"},
        {"/a//b/", false, "/a/b/"},
        {"/a//b/", true, "/a//b/"},
        {"/../a/./b/../c", false, "/a/c"},
        {"/a/..", false, "/"},
        {"/a*(~)", false, "/a%2A%28~%29"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        sigv4_canonical_path(str_from(cases[i].path), cases[i].is_kept, &out);
        assert_str(buf_str(&out), str_from(cases[i].want), cases[i].path, "path");
    }
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *want;
    } cases[] = {
        {"", ""},
        {"a", "a="},
        {"a=", "a="},
        {"&&b=1&a=2&", "a=2&b=1"},
        {"a=2&a=1&A=3", "A=3&a=1&a=2"},
        {"a=b=c", "a=b%3Dc"},
        {"a=%zz%4", "a=%25zz%254"},
        {"a=%2f+x%20y", "a=%2F%2Bx%20y"},
        {"a-b=1&a=2", "a=2&a-b=1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        struct err e = ERR_INIT;
        assert_true(sigv4_canonical_query(str_from(cases[i].query), &a, &out, &e));
        assert_str(buf_str(&out), str_from(cases[i].want), cases[i].query, "query");
    }
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"https://h/x", "h"},
        {"https://h:443", "h"},
        {"http://h:80/", "h"},
        {"https://h:80/", "h:80"},
        {"http://127.0.0.1:4566?x", "127.0.0.1:4566"},
        {"HTTPS://[::1]:8443/", "[::1]:8443"},
        {"ftp://h/", NULL},
        {"https://", NULL},
        {"https:///x", NULL},
        {"https://u@h/", NULL},
        {"https://h/#f", NULL},
        {"https://h/\n", NULL},
        {"h", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sigv4_url url;
        struct err e = ERR_INIT;
        bool is_ok = sigv4_url_split(str_from(cases[i].url), &url, &e);
        if (is_ok != (cases[i].want != NULL))
            fail_msg("%s: %s", cases[i].url, is_ok ? "taken" : "refused");
        if (is_ok)
            assert_str(url.authority, str_from(cases[i].want), cases[i].url, "host");
        else
            assert_int_equal(e.cls, ERR_INVALID);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct aws_credentials *c BERTH_CLEANUP(aws_credentials_unrefp) = credentials(NULL);
    struct http_header header = {STR("x"), STR("a\r\nevil: 1")};
    struct aws_sigv4_request rq = {
        .method = "POST",
        .url = STR("https://h/"),
        .headers = &header,
        .header_count = 1,
        .credentials = c,
        .region = STR("us-east-1"),
        .service = STR("ecr"),
    };
    struct aws_sigv4_signed got;
    struct err e = ERR_INIT;
    assert_false(aws_sigv4_sign(&rq, &a, &got, &e));
    assert_string_equal(e.reason, "InvalidHeader");
    header.value = STR("fine");
    err_clear(&e);
    assert_true(aws_sigv4_sign(&rq, &a, &got, &e));
    char *big = arena_alloc(&a, AWS_SIGV4_CANONICAL_MAX);
    memset(big, 'x', AWS_SIGV4_CANONICAL_MAX);
    header.value = str_n(big, AWS_SIGV4_CANONICAL_MAX);
    assert_false(aws_sigv4_sign(&rq, &a, &got, &e));
    assert_string_equal(e.reason, "RequestTooLarge");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),     cmocka_unit_test(test_ecr_vectors),
        cmocka_unit_test(test_signing_key), cmocka_unit_test(test_body_hash_is_signed),
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_queries),
        cmocka_unit_test(test_hosts),       cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
