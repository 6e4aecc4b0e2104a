// SPDX-License-Identifier: Apache-2.0
/*
 * What json_parse() refuses, with which message, and what it keeps: one row for each trap of the
 * parser underneath.
 */
#include "base/mem.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { LIMIT = 16 * 1024 * 1024 };

static void expect_refused(const char *name, struct str text, const char *message)
{
    struct err e = ERR_INIT;
    struct json_doc *doc = (struct json_doc *)&e; /* must be cleared */
    if (json_parse(text, LIMIT, &doc, &e))
        fail_msg("%s: accepted", name);
    assert_null(doc);
    assert_int_equal(e.cls, ERR_INVALID);
    if (!str_eq_cstr(str_from(e.msg), message))
        fail_msg("%s: message is \"%s\", want \"%s\"", name, e.msg, message);
}

static const struct {
    const char *name;
    struct str text;
    const char *want;
} refused[] = {
    {"empty", {STR_INIT("")}, "line 1, column 1: unexpected end of the text"},
    {"white space", {STR_INIT(" \n ")}, "line 2, column 2: unexpected end of the text"},
    {"cut object", {STR_INIT("{\"a\":1")}, "line 1, column 7: unexpected end of the text"},
    {"cut list", {STR_INIT("[1,")}, "line 1, column 4: unexpected end of the text"},
    {"trailing comma", {STR_INIT("[1,]")}, "line 1, column 4: unexpected ']'"},
    {"missing comma", {STR_INIT("[1 2]")}, "line 1, column 4: unexpected '2'"},
    {"missing colon", {STR_INIT("{\"a\" 1}")}, "line 1, column 6: unexpected '1'"},
    {"key without quotes", {STR_INIT("{a:1}")}, "line 1, column 2: unexpected 'a'"},
    /* cJSON 1.7.15: one too far where a key is missing */
    {"key is a number", {STR_INIT("{1:1}")}, "line 1, column 3: unexpected ':'"},
    {"single quotes", {STR_INIT("['a']")}, "line 1, column 2: unexpected '''"},
    {"comment", {STR_INIT("[1] // x")}, "line 1, column 5: unexpected '/'"},
    {"text after the value", {STR_INIT("{}\n{}")}, "line 2, column 1: unexpected '{'"},
    {"wrong bracket", {STR_INIT("[1}")}, "line 1, column 3: unexpected '}'"},
    {"closing only", {STR_INIT("]")}, "line 1, column 1: unexpected ']'"},
    {"literal runs on", {STR_INIT("[nullx]")}, "line 1, column 6: unexpected 'x'"},
    {"literals in a row", {STR_INIT("[truefalse]")}, "line 1, column 6: unexpected 'f'"},
    {"upper case", {STR_INIT("True")}, "line 1, column 1: unexpected 'T'"},
    {"NaN", {STR_INIT("NaN")}, "line 1, column 1: unexpected 'N'"},
    {"infinity", {STR_INIT("-Infinity")}, "line 1, column 1: not a number as json has them"},
    {"leading zero", {STR_INIT("[01]")}, "line 1, column 2: not a number as json has them"},
    {"minus zero one", {STR_INIT("-01")}, "line 1, column 1: not a number as json has them"},
    {"bare point", {STR_INIT("[1.]")}, "line 1, column 2: not a number as json has them"},
    {"point first", {STR_INIT("[.5]")}, "line 1, column 2: unexpected '.'"},
    {"plus", {STR_INIT("+1")}, "line 1, column 1: unexpected '+'"},
    {"minus only", {STR_INIT("-")}, "line 1, column 1: not a number as json has them"},
    {"exponent only", {STR_INIT("1e")}, "line 1, column 1: not a number as json has them"},
    {"hexadecimal", {STR_INIT("0x10")}, "line 1, column 1: not a number as json has them"},
    {"two points", {STR_INIT("1.2.3")}, "line 1, column 1: not a number as json has them"},
    {"long number",
     {STR_INIT("1000000000000000000000000000000000000000000000000000000000000000")},
     "line 1, column 1: number of more than 63 characters"},
    {"NUL escape", {STR_INIT("\"abc\\u0000def\"")}, "line 1, column 5: \\u0000 (NUL) in a string"},
    {"NUL escape in a key",
     {STR_INIT("{\"a\\u0000\":1}")},
     "line 1, column 4: \\u0000 (NUL) in a string"},
    {"escape not hexadecimal",
     {STR_INIT("\"\\uZZZZ\"")},
     "line 1, column 2: \\u without four hexadecimal digits"},
    {"short escape",
     {STR_INIT("\"\\u12\"")},
     "line 1, column 2: \\u without four hexadecimal digits"},
    {"unknown escape", {STR_INIT("\"\\x41\"")}, "line 1, column 2: unknown escape in a string"},
    {"backslash at the end", {STR_INIT("\"a\\")}, "line 1, column 3: unknown escape in a string"},
    {"no closing quote", {STR_INIT("[\"abc")}, "line 1, column 2: string without an end"},
    {"raw NUL in a string",
     {STR_INIT("\"a\0b\"")},
     "line 1, column 3: control character 0x00 in a string (must be escaped)"},
    {"raw NUL between tokens", {STR_INIT("[1,\0002]")}, "line 1, column 4: unexpected byte 0x00"},
    {"NUL after the value", {STR_INIT("1\0")}, "line 1, column 2: unexpected byte 0x00"},
    {"raw new line in a string",
     {STR_INIT("\"a\nb\"")},
     "line 1, column 3: control character 0x0a in a string (must be escaped)"},
    {"control character between tokens",
     {STR_INIT("[1,\v2]")},
     "line 1, column 4: unexpected byte 0x0b"},
    {"byte order mark", {STR_INIT("\xef\xbb\xbf{}")}, "line 1, column 1: unexpected byte 0xef"},
    {"latin-1", {STR_INIT("\"caf\xe9\"")}, "the text is not utf-8"},
    {"overlong", {STR_INIT("\"\xc0\xaf\"")}, "the text is not utf-8"},
    {"surrogate in utf-8", {STR_INIT("\"\xed\xa0\x80\"")}, "the text is not utf-8"},
    {"lone high surrogate", {STR_INIT("\"\\ud800\"")}, "line 1, column 2: unexpected '\\'"},
    {"lone low surrogate", {STR_INIT("\"\\udc00\"")}, "line 1, column 2: unexpected '\\'"},
    {"duplicate key",
     {STR_INIT("{\"a\":1,\"b\":2,\"a\":3}")},
     "duplicate key \"a\" in the top level"},
    {"duplicate below",
     {STR_INIT("{\"spec\":{\"x\":[0,{\"images\":[{},{},{\"k\":1,\"k\":2}]}]}}")},
     "duplicate key \"k\" in spec.x[1].images[2]"},
    {"duplicate by escape",
     {STR_INIT("{\"a\":1,\"\\u0061\":2}")},
     "duplicate key \"a\" in the top level"},
    {"duplicate empty key", {STR_INIT("{\"\":1,\"\":2}")}, "duplicate key \"\" in the top level"},
    {"duplicate in a big object",
     {STR_INIT("[{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,"
               "\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0,\"q\":0,\"b\":1}]")},
     "duplicate key \"b\" in [0]"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        expect_refused(refused[i].name, refused[i].text, refused[i].want);
}

static void test_limit(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct json_doc *doc;
    assert_true(json_parse(STR("[1,2]"), 5, &doc, &e));
    doc = json_doc_free(doc);
    assert_false(json_parse(STR("[1,2]"), 4, &doc, &e));
    assert_int_equal(e.cls, ERR_INVALID);
    assert_string_equal(e.reason, "TooLarge");
    assert_string_equal(e.msg, "5 bytes are over the limit of 4 bytes");
}

/* A view that is not NUL-terminated: what stands behind it is not read. */
static void test_view(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct json_doc *doc;
    assert_true(json_parse(str_n("12345", 2), LIMIT, &doc, &e));
    assert_int_equal(json_i64_or(json_root(doc), -1), 12);
    doc = json_doc_free(doc);
    char *alone = mem_dup("77", 1); /* so that a sanitizer sees it too */
    char *exact = mem_realloc(alone, 1);
    assert_true(json_parse(str_n(exact, 1), LIMIT, &doc, &e));
    assert_int_equal(json_i64_or(json_root(doc), -1), 7);
    doc = json_doc_free(doc);
    mem_free(exact);
    assert_false(json_parse(STR_NULL, LIMIT, &doc, &e));
}

static void append_times(struct buf *b, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        buf_append_cstr(b, text);
}

static void test_depth(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    append_times(&b, "[", JSON_MAX_DEPTH);
    append_times(&b, "]", JSON_MAX_DEPTH);
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    assert_true(json_parse(buf_str(&b), LIMIT, &doc, &e));
    assert_true(json_equal(json_root(doc), json_root(doc)));
    buf_reset(&b);
    append_times(&b, "{\"a\":", JSON_MAX_DEPTH + 1);
    expect_refused("65 levels", buf_str(&b), "line 1, column 321: more than 64 levels");
    buf_reset(&b);
    append_times(&b, "[", 1000000); /* a parser that recurses first would be gone here */
    expect_refused("a million levels", buf_str(&b), "line 1, column 65: more than 64 levels");
}

static void test_values(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    buf_append_char(&b, '[');
    append_times(&b, "1,", JSON_MAX_VALUES);
    buf_append(&b, STR("1]"));
    expect_refused("too many values", buf_str(&b),
                   "line 1, column 2097154: more than 1048576 values");
}

/* 100,000 members: found by sorting. By comparing in pairs this takes minutes. */
static void test_many_members(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    buf_append_char(&b, '{');
    for (int i = 0; i < COUNT; i++)
        buf_printf(&b, "%s\"key-%d\":%d", i > 0 ? "," : "", i, i);
    const size_t open = b.len;
    buf_append_char(&b, '}');
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct json_doc *same BERTH_CLEANUP(json_doc_freep) = NULL;
    assert_true(json_parse(buf_str(&b), LIMIT, &doc, &e));
    assert_true(json_parse(buf_str(&b), LIMIT, &same, &e));
    assert_int_equal(json_count(json_root(doc)), COUNT);
    assert_int_equal(json_i64_or(json_get(json_root(doc), "key-99999"), -1), 99999);
    assert_true(json_equal(json_root(doc), json_root(same)));
    buf_truncate(&b, open);
    buf_append(&b, STR(",\"key-50000\":0}"));
    expect_refused("duplicate among many", buf_str(&b),
                   "duplicate key \"key-50000\" in the top level");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_view),    cmocka_unit_test(test_depth),
        cmocka_unit_test(test_values),  cmocka_unit_test(test_many_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
