// SPDX-License-Identifier: Apache-2.0
/*
 * The writer: what it writes, and that misuse and full buffers are noticed.
 */
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 4096 };

static void everything(struct json_writer *w, const struct json *v)
{
    json_begin_object(w);
    json_put_str(w, "s", STR("a\"b"));
    json_put_str(w, "absent", STR_NULL);
    json_put_cstr(w, "c", "x");
    json_put_cstr(w, "null", NULL);
    json_put_int(w, "least", INT64_MIN);
    json_put_bool(w, "b", true);
    json_put_null(w, "n");
    json_put_value(w, "v", v);
    json_put_value(w, "none", NULL);
    json_put_raw(w, "r", STR("[ 1 ]"));
    json_key_begin_array(w, "list");
    json_str(w, STR("x"));
    json_int(w, 9223372036854775807);
    json_bool(w, false);
    json_null(w);
    json_value(w, v);
    json_raw(w, STR("{}"));
    json_begin_object(w);
    json_end(w);
    json_begin_array(w);
    json_end(w);
    json_end(w);
    json_key_begin_object(w, "o");
    json_key_str(w, STR("k\n"));
    json_int(w, 1);
    json_end(w);
    json_end(w);
}

static void test_everything(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    assert_true(json_parse(STR("{\"p\":[1]}"), LIMIT, &doc, &e));
    static const struct {
        bool is_pretty;
        const char *want;
    } rows[] = {
        {false, "{\"s\":\"a\\\"b\",\"absent\":null,\"c\":\"x\",\"null\":null,"
                "\"least\":-9223372036854775808,\"b\":true,\"n\":null,\"v\":{\"p\":[1]},"
                "\"none\":null,\"r\":[ 1 ],\"list\":[\"x\",9223372036854775807,false,null,"
                "{\"p\":[1]},{},{},[]],\"o\":{\"k\\n\":1}}"},
        {true, "{\n  \"s\": \"a\\\"b\",\n  \"absent\": null,\n  \"c\": \"x\",\n  \"null\": null,\n"
               "  \"least\": -9223372036854775808,\n  \"b\": true,\n  \"n\": null,\n"
               "  \"v\": {\n    \"p\": [\n      1\n    ]\n  },\n  \"none\": null,\n"
               "  \"r\": [ 1 ],\n  \"list\": [\n    \"x\",\n    9223372036854775807,\n    false,\n"
               "    null,\n    {\n      \"p\": [\n        1\n      ]\n    },\n    {},\n    {},\n"
               "    []\n  ],\n  \"o\": {\n    \"k\\n\": 1\n  }\n}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        struct json_writer w = rows[i].is_pretty ? json_writer_pretty(&out) : json_writer_to(&out);
        everything(&w, json_root(doc));
        assert_true(json_write_ok(&w));
        assert_string_equal(buf_cstr(&out), rows[i].want);
        struct json_doc *back BERTH_CLEANUP(json_doc_freep) = NULL; /* what we write, we read */
        if (!json_parse(buf_str(&out), LIMIT, &back, &e))
            fail_msg("%s", e.msg);
    }
}

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *want;
    } rows[] = {
        {{STR_INIT("")}, "\"\""},
        {{STR_INIT("plain")}, "\"plain\""},
        {{STR_INIT("\"\\/")}, "\"\\\"\\\\/\""},
        {{STR_INIT("\b\f\n\r\t")}, "\"\\b\\f\\n\\r\\t\""},
        {{STR_INIT("a\0b\x01\x1f\x7f")}, "\"a\\u0000b\\u0001\\u001f\x7f\""},
        {{STR_INIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
         "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {{STR_INIT("x\xffy")}, "\"x\xef\xbf\xbdy\""},
        {{STR_INIT("caf\xe9")}, "\"caf\xef\xbf\xbd\""},           /* cut sequence */
        {{STR_INIT("\xc0\xaf")}, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* overlong */
        {{STR_INIT("\x80z\xe2\x82")}, "\"\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        json_escape(&out, rows[i].text);
        assert_string_equal(buf_cstr(&out), rows[i].want);
    }
}

static void value_without_key(struct json_writer *w)
{
    json_begin_object(w);
    json_int(w, 1);
    json_end(w);
}
static void object_without_key(struct json_writer *w)
{
    json_begin_object(w);
    json_begin_object(w);
    json_end(w);
    json_end(w);
}
static void key_in_list(struct json_writer *w)
{
    json_begin_array(w);
    json_put_int(w, "a", 1);
    json_end(w);
}
static void key_at_root(struct json_writer *w)
{
    json_put_int(w, "a", 1);
}
static void two_keys(struct json_writer *w)
{
    json_begin_object(w);
    json_key_str(w, STR("a"));
    json_key_str(w, STR("b"));
    json_int(w, 1);
    json_end(w);
}
static void absent_key(struct json_writer *w)
{
    json_begin_object(w);
    json_put_int(w, NULL, 1);
    json_end(w);
}
static void end_after_key(struct json_writer *w)
{
    json_begin_object(w);
    json_key_str(w, STR("a"));
    json_end(w);
}
static void end_too_often(struct json_writer *w)
{
    json_begin_array(w);
    json_end(w);
    json_end(w);
}
static void left_open(struct json_writer *w)
{
    json_begin_array(w);
}
static void nothing(struct json_writer *w)
{
    (void)w;
}
static void two_roots(struct json_writer *w)
{
    json_int(w, 1);
    json_int(w, 2);
}
static void empty_raw(struct json_writer *w)
{
    json_raw(w, STR(""));
}
static void too_deep(struct json_writer *w)
{
    for (int i = 0; i <= JSON_MAX_DEPTH; i++)
        json_begin_array(w);
    for (int i = 0; i <= JSON_MAX_DEPTH; i++)
        json_end(w);
}
static void copied_too_deep(struct json_writer *w)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    assert_true(json_parse(STR("[[1]]"), LIMIT, &doc, &e));
    for (int i = 0; i < JSON_MAX_DEPTH - 1; i++)
        json_begin_array(w);
    json_value(w, json_root(doc));
    for (int i = 0; i < JSON_MAX_DEPTH - 1; i++)
        json_end(w);
}
static void copied_inexact(struct json_writer *w)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    assert_true(json_parse(STR("[1,9007199254740993]"), LIMIT, &doc, &e));
    json_value(w, json_root(doc));
}
static void full(struct json_writer *w)
{
    w->out->max = 3;
    json_str(w, STR("abc"));
}

static void test_misuse(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*use)(struct json_writer *w);
    } rows[] = {
        {"value without key", value_without_key},
        {"object without key", object_without_key},
        {"key in a list", key_in_list},
        {"key at the root", key_at_root},
        {"two keys", two_keys},
        {"absent key", absent_key},
        {"end after a key", end_after_key},
        {"end too often", end_too_often},
        {"left open", left_open},
        {"nothing", nothing},
        {"two roots", two_roots},
        {"empty raw", empty_raw},
        {"too deep", too_deep},
        {"copied too deep", copied_too_deep},
        {"copied inexact", copied_inexact},
        {"full", full},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
        struct json_writer w = json_writer_to(&out);
        rows[i].use(&w);
        if (json_write_ok(&w))
            fail_msg("%s: not noticed: %s", rows[i].name, buf_cstr(&out));
    }
}

static void test_deepest(void **state)
{
    (void)state;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    struct json_writer w = json_writer_to(&out);
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        json_begin_array(&w);
    for (int i = 0; i < JSON_MAX_DEPTH; i++)
        json_end(&w);
    assert_true(json_write_ok(&w));
    assert_int_equal(out.len, 2 * JSON_MAX_DEPTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_deepest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
