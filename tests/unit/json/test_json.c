// SPDX-License-Identifier: Apache-2.0
/*
 * Reading values: access, numbers and their exactness, comparison, printing.
 */
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 4096 };

static struct json_doc *parse(const char *text)
{
    struct err e = ERR_INIT;
    struct json_doc *doc;
    if (!json_parse(str_from(text), LIMIT, &doc, &e))
        fail_msg("%s: %s", text, e.msg);
    return doc;
}

static void assert_str(struct str got, const char *want)
{
    if (want == NULL)
        assert_true(str_is_null(got));
    else if (!str_eq_cstr(got, want))
        fail_msg("\"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_integer;
        int64_t want;
        const char *printed; /* NULL: not exact, printing fails */
    } rows[] = {
        {"0", true, 0, "0"},
        {"-0", true, 0, "0"},
        {"7", true, 7, "7"},
        {"-123456789012", true, -123456789012, "-123456789012"},
        {"2147483648", true, 2147483648, "2147483648"},
        {"1234567890123456", true, 1234567890123456, "1234567890123456"},
        {"9007199254740991", true, 9007199254740991, "9007199254740991"},
        {"9007199254740992", true, 9007199254740992, "9007199254740992"},
        {"-9007199254740992", true, -9007199254740992, "-9007199254740992"},
        {"9007199254740993", false, 0, NULL}, /* its double is that of …992 */
        {"-9007199254740993", false, 0, NULL},
        {"9223372036854775807", false, 0, NULL},
        {"18446744073709551616", false, 0, NULL},
        {"1e400", false, 0, NULL},
        {"-1e400", false, 0, NULL},
        {"1e-400", false, 0, NULL}, /* would become 0 */
        {"0e99999999999", true, 0, "0"},
        {"1e99999999999", false, 0, NULL},
        {"1.0", true, 1, "1"},
        {"1.5e1", true, 15, "15"},
        {"100e-2", true, 1, "1"},
        {"1200E+2", true, 120000, "120000"},
        {"1e15", true, 1000000000000000, "1000000000000000"},
        {"1e16", false, 0, NULL},
        {"900719925474099.2e1", true, 9007199254740992, "9007199254740992"},
        {"1.5", false, 0, "1.5"},
        {"0.1", false, 0, "0.1"},
        {"-0.001", false, 0, "-0.001"},
        {"3.141592653589793", false, 0, "3.141592653589793"},
        {"1e-7", false, 0, "1e-07"},
        {"1.00000000000000000001", false, 0, NULL}, /* its double is 1 */
        {"4503599627370497.3", false, 0, NULL},     /* its double is whole */
        {"9007199254740992.5", false, 0, NULL},
        {"1.100000000000000000001", false, 0, NULL}, /* 22 digits */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(rows[i].text);
        const struct json *v = json_root(doc);
        int64_t n = -1;
        if (json_i64(v, &n) != rows[i].is_integer || n != rows[i].want)
            fail_msg("%s gives %lld", rows[i].text, (long long)n);
        assert_int_equal(json_i64_or(v, 42), rows[i].is_integer ? rows[i].want : 42);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        json_print(v, &out);
        if (buf_ok(&out) != (rows[i].printed != NULL))
            fail_msg("%s is printed: %s", rows[i].text, buf_cstr(&out));
        if (rows[i].printed != NULL)
            assert_str(buf_str(&out), rows[i].printed);
    }
}

/* The mark follows the number, whichever stands before it. */
static void test_inexact_among_others(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        parse("{\"a\":[1,{\"b\":9007199254740993},2],\"s\":\"9007199254740993\",\"c\":3,"
              "\"d\":[[1e400]],\"e\":4}");
    const struct json *v = json_root(doc);
    int64_t n;
    const struct json *a = json_first(json_get(v, "a"));
    assert_true(json_i64(a, &n));
    assert_false(json_i64(json_get(json_next(a), "b"), &n));
    assert_true(json_i64(json_next(json_next(a)), &n));
    assert_true(json_i64(json_get(v, "c"), &n));
    assert_false(json_i64(json_first(json_first(json_get(v, "d"))), &n));
    assert_true(json_i64(json_get(v, "e"), &n));
    assert_int_equal(n, 4);
}

static void test_access(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(
        "{\"metadata\":{\"name\":\"x\",\"Name\":\"y\",\"n\":3,\"labels\":{}},\"list\":[1,\"two\","
        "null,true,1.5],\"null\":null,\"\":\"empty key\",\"a.b\":1}");
    const struct json *v = json_root(doc);
    assert_true(json_is_object(v));
    assert_int_equal(json_count(v), 5);
    assert_str(json_str_or_null(json_path(v, "metadata.name")), "x");
    assert_str(json_str_or_null(json_path(v, "metadata.Name")), "y"); /* case matters */
    assert_null(json_path(v, "metadata.NAME"));
    assert_null(json_path(v, "metadata.name.x"));
    assert_null(json_path(v, "list.0"));
    assert_null(json_path(NULL, "a"));
    assert_null(json_get(v, "metadat"));
    assert_null(json_get(NULL, "x"));
    assert_non_null(json_get_str(v, str_n("listless", 4)));
    assert_null(json_get_str(v, STR_NULL));
    assert_str(json_str_or_null(json_get(v, "")), "empty key");
    assert_int_equal(json_i64_or(json_get(v, "a.b"), 0), 1);

    const struct json *list = json_get(v, "list");
    assert_true(json_is_array(list));
    assert_int_equal(json_count(list), 5);
    static const enum json_type types[] = {JSON_NUMBER, JSON_STRING, JSON_NULL, JSON_BOOL,
                                           JSON_NUMBER};
    size_t i = 0;
    for (const struct json *it = json_first(list); it != NULL; it = json_next(it)) {
        assert_int_equal(json_type(it), types[i++]);
        assert_true(str_is_null(json_key(it)));
    }
    assert_str(json_key(json_first(v)), "metadata");
    assert_null(json_first(json_path(v, "metadata.labels")));
    assert_null(json_first(json_get(v, "null")));

    assert_true(json_is_null(json_get(v, "null")));
    assert_true(json_is_null(NULL));
    assert_false(json_is_null(list));
    assert_int_equal(json_type(NULL), JSON_NULL);
    assert_true(str_is_null(json_key(NULL)));
    assert_int_equal(json_count(NULL), 0);
    assert_null(json_next(NULL));
}

static void test_fallbacks(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        parse("{\"s\":\"t\",\"b\":false,\"t\":true,\"n\":2.5}");
    const struct json *v = json_root(doc);
    assert_true(str_is_null(json_str_or_null(json_get(v, "b"))));
    assert_true(str_is_null(json_str_or_null(NULL)));
    assert_false(json_bool_or(json_get(v, "b"), true));
    assert_true(json_bool_or(json_get(v, "t"), false));
    assert_true(json_bool_or(json_get(v, "s"), true));
    assert_int_equal(json_i64_or(json_get(v, "s"), 9), 9);
    assert_true(json_double_or(json_get(v, "n"), 0) > 2.4);
    assert_true(json_double_or(json_get(v, "s"), -1) < 0);
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"\"\"", ""},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tb\"", "a\"\\/\b\f\n\r\tb"},
        {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"\xe2\x82\xac\x7f\"", "\xe2\x82\xac\x7f"},
        {" \t\r\n\"x\" \t\r\n", "x"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(rows[i].text);
        assert_str(json_str_or_null(json_root(doc)), rows[i].want);
    }
}

static void test_want(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        parse("{\"spec\":{\"region\":\"eu-west-1\",\"n\":5,\"half\":0.5,\"big\":9007199254740993,"
              "\"z\":null,\"l\":[],\"b\":true}}");
    const struct json *v = json_root(doc);
    static const struct {
        const char *path;
        bool is_integer;
        const char *want; /* the message */
    } rows[] = {
        {"spec.region", false, NULL},
        {"spec.n", true, NULL},
        {"spec.n", false, "spec.n must be a string, but is a number"},
        {"spec.z", false, "spec.z must be a string, but is null"},
        {"spec.x", false, "spec.x must be a string, but is absent"},
        {"spec.l", false, "spec.l must be a string, but is a list"},
        {"spec", false, "spec must be a string, but is an object"},
        {"spec.b", true, "spec.b must be a whole number, but is a boolean"},
        {"spec.region", true, "spec.region must be a whole number, but is a string"},
        {"spec.half", true, "spec.half must be a whole number between -2^53 and 2^53"},
        {"spec.big", true, "spec.big must be a whole number between -2^53 and 2^53"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = ERR_INIT;
        struct str s = STR("before");
        int64_t n = 1;
        const bool ok = rows[i].is_integer ? json_want_i64(v, rows[i].path, &n, &e)
                                           : json_want_str(v, rows[i].path, &s, &e);
        assert_int_equal(ok, rows[i].want == NULL);
        assert_string_equal(e.msg, rows[i].want != NULL ? rows[i].want : "");
        assert_int_equal(e.cls, ok ? ERR_NONE : ERR_INVALID);
        if (ok && rows[i].is_integer)
            assert_int_equal(n, 5);
        else if (ok)
            assert_str(s, "eu-west-1");
        else
            assert_true(rows[i].is_integer ? n == 0 : str_is_null(s));
    }
}

static void test_equal(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool want;
    } rows[] = {
        {"1", "1.0", true},
        {"1", "2", false},
        {"1", "\"1\"", false},
        {"null", "false", false},
        {"true", "true", true},
        {"true", "false", false},
        {"null", "null", true},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"a\"", "\"b\"", false},
        {"[]", "{}", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1,2,3]", false},
        {"[1,2,3]", "[1,2]", false},
        {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":null}", "{}", false},
        {"{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":2}}}", false},
        {"9007199254740993", "9007199254740993", false}, /* nobody can say */
        {"{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
         "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,\"17\":1}",
         "{\"17\":1,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,"
         "\"10\":0,\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0}",
         true},
        {"{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
         "\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":0,\"17\":1}",
         "{\"17\":1,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,"
         "\"10\":0,\"11\":0,\"12\":0,\"13\":0,\"14\":0,\"15\":0,\"16\":2}",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_doc *a BERTH_CLEANUP(json_doc_freep) = parse(rows[i].a);
        struct json_doc *b BERTH_CLEANUP(json_doc_freep) = parse(rows[i].b);
        if (json_equal(json_root(a), json_root(b)) != rows[i].want ||
            json_equal(json_root(b), json_root(a)) != rows[i].want)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        assert_false(json_equal(json_root(a), NULL));
    }
    assert_true(json_equal(NULL, NULL));
}

static void test_print(void **state)
{
    (void)state;
    static const struct {
        const char *text, *compact, *pretty;
    } rows[] = {
        {" [ ] ", "[]", "[]"},
        {"{ }", "{}", "{}"},
        {"[[],{},[1]]", "[[],{},[1]]", "[\n  [],\n  {},\n  [\n    1\n  ]\n]"},
        {"{\"b\":1,\"a\":{\"x\":[null,true,false,\"s\"]},\"c\":[]}",
         "{\"b\":1,\"a\":{\"x\":[null,true,false,\"s\"]},\"c\":[]}",
         "{\n  \"b\": 1,\n  \"a\": {\n    \"x\": [\n      null,\n      true,\n      false,\n"
         "      \"s\"\n    ]\n  },\n  \"c\": []\n}"},
        {"\"\\u001f\\u20ac/\\/\"", "\"\\u001f\xe2\x82\xac//\"", "\"\\u001f\xe2\x82\xac//\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = parse(rows[i].text);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        json_print(json_root(doc), &out);
        assert_true(buf_ok(&out));
        assert_str(buf_str(&out), rows[i].compact);
        buf_reset(&out);
        json_print_pretty(json_root(doc), &out);
        assert_true(buf_ok(&out));
        assert_str(buf_str(&out), rows[i].pretty);
    }
}

/* A part of a document prints without what stands beside it. */
static void test_print_part(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        parse("{\"a\":{\"b\":[1,2]},\"c\":3,\"deep\":{\"d\":4}}");
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    json_print(json_get(json_root(doc), "a"), &out);
    json_print(json_get(json_root(doc), "c"), &out);
    json_print(json_get(json_root(doc), "absent"), &out);
    assert_str(buf_str(&out), "{\"b\":[1,2]}3null");
    struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(5);
    json_print(json_root(doc), &small);
    assert_false(buf_ok(&small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),   cmocka_unit_test(test_inexact_among_others),
        cmocka_unit_test(test_access),     cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_strings),    cmocka_unit_test(test_want),
        cmocka_unit_test(test_equal),      cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
