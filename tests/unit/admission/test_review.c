// SPDX-License-Identifier: Apache-2.0
/*
 * AdmissionReviews: what is read of one, what is refused and why, the timeout of the query, and the
 * answer.
 */
#include "review_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 64 * 1024 };

#define REVIEW(REQUEST)                                                                            \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":" REQUEST "}"
#define POD "\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}"

static void reads_what_is_needed(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    struct review r;
    assert_true(json_parse(
        STR(REVIEW("{\"uid\":\"u-1\",\"kind\":{\"group\":\"apps\",\"version\":\"v2\",\"kind\":"
                   "\"Deployment\"},\"resource\":7,\"requestKind\":\"?\",\"subResource\":\"scale\","
                   "\"namespace\":\"ns\",\"name\":\"n\",\"operation\":\"UPDATE\",\"dryRun\":true,"
                   "\"userInfo\":[],\"object\":{\"a\":1},\"oldObject\":{\"a\":2}}")),
        TEXT_MAX, &doc, &e));
    assert_true(review_decode(json_root(doc), &r, &e));
    assert_true(str_eq_cstr(r.uid, "u-1"));
    assert_true(str_eq_cstr(r.group, "apps"));
    assert_true(str_eq_cstr(r.version, "v2"));
    assert_true(str_eq_cstr(r.kind, "Deployment"));
    assert_true(str_eq_cstr(r.subresource, "scale"));
    assert_true(str_eq_cstr(r.namespace, "ns"));
    assert_true(str_eq_cstr(r.name, "n"));
    assert_true(str_eq_cstr(r.operation, "UPDATE"));
    assert_true(r.is_dry_run);
    assert_int_equal(json_i64_or(json_get(r.object, "a"), 0), 1);
    assert_int_equal(json_i64_or(json_get(r.old_object, "a"), 0), 2);
}

static void needs_little(void **state)
{
    (void)state;
    static const char *const least[] = {
        REVIEW("{\"uid\":\"u\"," POD "}"),
        REVIEW("{\"uid\":\"u\"," POD ",\"object\":null,\"oldObject\":null,\"dryRun\":null,"
               "\"namespace\":null,\"name\":null,\"operation\":null,\"subResource\":null}"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(least); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
        struct err e = ERR_INIT;
        struct review r;
        assert_true(json_parse(str_from(least[i]), TEXT_MAX, &doc, &e));
        assert_true(review_decode(json_root(doc), &r, &e));
        assert_null(r.object);
        assert_null(r.old_object);
        assert_false(r.is_dry_run);
        assert_int_equal(r.namespace.len + r.name.len + r.operation.len + r.subresource.len, 0);
    }
}

static const struct {
    const char *text, *want;
} refused[] = {
    {"null", "must be an AdmissionReview of admission.k8s.io/v1"},
    {"[]", "must be an AdmissionReview"},
    {"{}", "must be an AdmissionReview"},
    {"{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\",\"request\":{}}",
     "must be an AdmissionReview of admission.k8s.io/v1"},
    {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"Review\",\"request\":{}}",
     "must be an AdmissionReview"},
    {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
     "request: must be an object"},
    {REVIEW("null"), "request: must be an object"},
    {REVIEW("[]"), "request: must be an object"},
    {REVIEW("{" POD "}"), "request.uid: must have 1 to 128 characters"},
    {REVIEW("{\"uid\":\"\"," POD "}"), "request.uid: must have 1 to 128 characters"},
    {REVIEW("{\"uid\":7," POD "}"), "request.uid: must be a string"},
    {REVIEW("{\"uid\":\"u\"}"), "request.kind: must be an object"},
    {REVIEW("{\"uid\":\"u\",\"kind\":\"Pod\"}"), "request.kind: must be an object"},
    {REVIEW("{\"uid\":\"u\",\"kind\":{\"group\":1}}"), "request.kind.group: must be a string"},
    {REVIEW("{\"uid\":\"u\",\"kind\":{\"version\":[]}}"), "request.kind.version: must be a string"},
    {REVIEW("{\"uid\":\"u\",\"kind\":{\"kind\":{}}}"), "request.kind.kind: must be a string"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"subResource\":1}"), "request.subResource: must be a string"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"namespace\":1}"), "request.namespace: must be a string"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"name\":{}}"), "request.name: must be a string"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"operation\":true}"), "request.operation: must be a string"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"object\":[]}"), "request.object: must be an object"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"oldObject\":\"\"}"), "request.oldObject: must be an object"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"dryRun\":\"true\"}"),
     "request.dryRun: must be true or false"},
    {REVIEW("{\"uid\":\"u\"," POD ",\"dryRun\":1}"), "request.dryRun: must be true or false"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
        struct err e = ERR_INIT;
        struct review r;
        assert_true(json_parse(str_from(refused[i].text), TEXT_MAX, &doc, &e));
        if (review_decode(json_root(doc), &r, &e))
            fail_msg("%s is taken", refused[i].text);
        if (strstr(e.msg, refused[i].want) == NULL)
            fail_msg("%s: %s", refused[i].text, e.msg);
        assert_int_equal(e.cls, ERR_INVALID);
    }
}

static void the_uid_is_bounded(void **state)
{
    (void)state;
    for (size_t n = REVIEW_UID_MAX; n <= REVIEW_UID_MAX + 1; n++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
        struct err e = ERR_INIT;
        struct review r;
        buf_printf(&text, REVIEW("{\"uid\":\"%0*d\"," POD "}"), (int)n, 0);
        assert_true(json_parse(buf_str(&text), TEXT_MAX, &doc, &e));
        assert_int_equal(review_decode(json_root(doc), &r, &e), n == REVIEW_UID_MAX);
    }
}

static const struct {
    const char *query;
    int64_t want_ms;
} timeouts[] = {
    {NULL, 10000},
    {"", 10000},
    {"timeout=5s", 5000},
    {"timeout=1s", 1000},
    {"timeout=30s", 30000},
    {"timeout=31s", 30000},
    {"timeout=1h", 30000},
    {"timeout=500ms", 500},
    {"timeout=1m", 30000},
    {"a=b&timeout=7s", 7000},
    {"timeout=x&timeout=7s", 7000},
    {"timeout=2s&timeout=7s", 2000},
    {"Timeout=5s", 10000},
    {"xtimeout=5s", 10000},
    {"timeout", 10000},
    {"timeout=", 10000},
    {"timeout=0s", 10000},
    {"timeout=-5s", 10000},
    {"timeout=5", 10000},
    {"timeout=5s ", 10000},
    {"timeout=99999999999999999999s", 10000},
    {"&&&", 10000},
};

static void reads_the_timeout(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
        const int64_t ms = review_timeout_ms(str_from(timeouts[i].query));
        if (ms != timeouts[i].want_ms)
            fail_msg("%s: %lld", timeouts[i].query, (long long)ms);
    }
}

static void answers(void **state)
{
    (void)state;
    const struct str warnings[] = {STR("one"), STR("\"two\"\n")};
    const struct {
        struct review_answer answer;
        const char *want;
    } rows[] = {
        {{.uid = STR("u"), .is_allowed = true},
         "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{"
         "\"uid\":\"u\",\"allowed\":true,\"auditAnnotations\":{\"milliseconds\":\"0\"}}}"},
        {{.uid = STR("\"\\\x01"),
          .is_allowed = true,
          .message = STR("unsaid"),
          .warnings = warnings,
          .warning_count = 2,
          .decision = STR("warn"),
          .repositories = STR("a,b"),
          .created = STR(""),
          .source = STR("ecr"),
          .milliseconds = 12},
         "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{"
         "\"uid\":\"\\\"\\\\\\u0001\",\"allowed\":true,\"warnings\":[\"one\",\"\\\"two\\\"\\n\"],"
         "\"auditAnnotations\":{\"decision\":\"warn\",\"repositories\":\"a,b\",\"source\":\"ecr\","
         "\"milliseconds\":\"12\"}}}"},
        {{.uid = STR("u"), .message = STR("no"), .created = STR("x"), .milliseconds = -1},
         "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{"
         "\"uid\":\"u\",\"allowed\":false,\"status\":{\"code\":403,\"reason\":\"Forbidden\","
         "\"message\":\"no\"},\"auditAnnotations\":{\"created\":\"x\",\"milliseconds\":\"-1\"}}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        review_encode(&rows[i].answer, &out);
        assert_true(buf_ok(&out));
        assert_string_equal(buf_cstr(&out), rows[i].want);
        struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
        review_encode(&rows[i].answer, &small);
        assert_false(buf_ok(&small));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_needed),
        cmocka_unit_test(needs_little),
        cmocka_unit_test(refuses),
        cmocka_unit_test(the_uid_is_bounded),
        cmocka_unit_test(reads_the_timeout),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
