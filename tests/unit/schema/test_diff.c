// SPDX-License-Identifier: Apache-2.0
/*
 * Comparing and encoding: what counts as the same, what a difference is called, what is sent.
 */
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Differences as "field:desired>observed;…", "-" for absent. */
static void show(const struct schema_diff *d, struct buf *out)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct schema_difference *it = &d->items[i];
        buf_append(out, it->field);
        buf_append_char(out, ':');
        buf_append(out, str_is_null(it->desired) ? STR("-") : it->desired);
        buf_append_char(out, '>');
        buf_append(out, str_is_null(it->observed) ? STR("-") : it->observed);
        buf_append_char(out, ';');
    }
}

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *x, *y, *want;
    } cases[] = {
        {"{}", "{}", ""},
        /* absent, empty and AWS' default are one */
        {"{}", "{\"mode\":\"SLOW\"}", ""},
        {"{}", "{\"mode\":\"FAST\"}", "mode:SLOW>FAST;"},
        {"{\"name\":\"ab\",\"note\":\"\"}", "{\"name\":\"ab\"}", ""},
        {"{\"name\":\"ab\",\"note\":\"n\"}", "{\"name\":\"ab\"}", "note:n>-;"},
        {"{\"pairs\":[]}", "{}", ""},
        {"{}", "{\"inner\":{\"type\":\"PLAIN\"}}", ""},
        {"{}", "{\"inner\":{\"type\":\"X\",\"level\":2}}", "inner.type:PLAIN>X;inner.level:->2;"},
        {"{\"document\":\"\"}", "{}", ""},
        /* not AWS' */
        {"{\"hidden\":\"a\",\"ref\":{\"name\":\"r\"}}", "{\"hidden\":\"b\"}", ""},
        /* documents by their format, here by length */
        {"{\"document\":\"{1}\"}", "{\"document\":\"{2}\"}", ""},
        {"{\"document\":\"{1}\"}", "{\"document\":\"{22}\"}", "document:{1}>{22};"},
        {"{\"document\":\"{1}\"}", "{}", "document:{1}>-;"},
        {"{\"on\":true}", "{\"on\":false}", "on:true>false;"},
        {"{\"on\":true}", "{}", "on:true>-;"},
        {"{\"count\":1}", "{\"count\":2}", "count:1>2;"},
        {"{\"every\":\"90s\"}", "{\"every\":\"1m30s\"}", ""},
        {"{\"every\":\"90s\"}", "{\"every\":\"2h\"}", "every:1m30s>2h;"},
        {"{\"at\":\"2026-01-02T03:04:05Z\"}", "{}", "at:2026-01-02T03:04:05Z>-;"},
        {"{\"colours\":[\"RED\",\"BLUE\"]}", "{\"colours\":[\"BLUE\",\"RED\"]}", ""},
        {"{\"colours\":[\"RED\",\"BLUE\"]}", "{\"colours\":[\"RED\"]}",
         "colours:[\"BLUE\",\"RED\"]>[\"RED\"];"},
        {"{\"steps\":[\"a\",\"b\"]}", "{\"steps\":[\"b\",\"a\"]}",
         "steps:[\"a\",\"b\"]>[\"b\",\"a\"];"},
        {"{\"steps\":[\"a\"]}", "{}", "steps:[\"a\"]>-;"},
        {"{\"pairs\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"2\"}]}",
         "{\"pairs\":[{\"key\":\"b\",\"value\":\"2\"},{\"key\":\"a\",\"value\":\"1\"}]}", ""},
        {"{\"pairs\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"\"}]}",
         "{\"pairs\":[{\"key\":\"c\",\"value\":\"3\"},{\"key\":\"a\",\"value\":\"2\"}]}",
         "pairs[a]:1>2;pairs[b]:>-;pairs[c]:->3;"},
        /* many at once */
        {"{\"name\":\"ab\",\"mode\":\"FAST\",\"note\":\"n\",\"document\":\"{1}\",\"on\":true,"
         "\"count\":1,\"colours\":[\"RED\"],\"steps\":[\"a\"],\"pairs\":[{\"key\":\"a\","
         "\"value\":\"1\"}],\"inner\":{\"type\":\"X\"}}",
         "{}",
         "name:ab>-;mode:FAST>SLOW;note:n>-;document:{1}>-;on:true>-;count:1>-;colours:[\"RED\"]>-;"
         "steps:[\"a\"]>-;pairs[a]:1>-;inner.type:X>PLAIN;"},
        {"{}", "{\"points\":[{\"key\":\"b\"}]}", "points:->[{\"key\":\"b\"}];"},
        {"{\"points\":[{\"key\":\"b\"}]}", "{}", "points:[{\"key\":\"b\"}]>-;"},
        {"{\"points\":[{\"key\":\"a\"}]}", "{\"points\":[{\"key\":\"b\"}]}",
         "points:[{\"key\":\"a\"}]>[{\"key\":\"b\"}];"},
        {"{\"points\":[{\"key\":\"a\"}]}", "{\"points\":[{\"key\":\"a\",\"value\":\"\"}]}", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct err e = ERR_INIT;
        struct sample x;
        struct sample y;
        struct schema_diff d;
        if (!sample_decode(cases[i].x, &a, &x, &e) || !sample_decode(cases[i].y, &a, &y, &e))
            fail_msg("case %zu: %s", i, e.msg);
        schema_diff(&sample_table, &x, &y, &a, &d);
        show(&d, &text);
        assert_string_equal(buf_cstr(&text), cases[i].want);
        assert_int_equal(schema_equal(&sample_table, &x, &y), d.count == 0);
        assert_int_equal(schema_equal(&sample_table, &y, &x), d.count == 0);
        assert_true(schema_equal(&sample_table, &x, &x));
    }
}

/* What the table of sample.h has not: elements of three fields, which are shown as JSON, and a
 * format that says nothing of equality. */
struct triple {
    struct str key, left, right;
};
struct shelf {
    struct str label;
    struct schema_list triples;
};
static bool is_fine(struct str s, struct err *e)
{
    (void)s;
    (void)e;
    return true;
}
static const struct field_format label_format = {"label", is_fine, NULL};
static const struct field triple_fields[] = {
    {.name = "key", .kind = FIELD_STR, .flags = FIELD_REQUIRED, OFF(struct triple, key)},
    {.name = "left", .kind = FIELD_STR, OFF(struct triple, left)},
    {.name = "right", .kind = FIELD_STR, OFF(struct triple, right)},
};
static const struct schema triple_table = {
    "triples", sizeof(struct triple), triple_fields, ARRAY_SIZE(triple_fields), NULL, NULL};
static const struct field shelf_fields[] = {
    {.name = "label", .kind = FIELD_STR, .format = &label_format, OFF(struct shelf, label)},
    {.name = "triples",
     .kind = FIELD_LIST,
     .sub = &triple_table,
     .key = "key",
     OFF(struct shelf, triples)},
};
static const struct schema shelf_table = {
    "shelf", sizeof(struct shelf), shelf_fields, ARRAY_SIZE(shelf_fields), NULL, NULL};

static void shows_elements_of_many_fields(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct triple same = {STR("a"), STR("1"), STR("2")};
    struct triple mine[] = {same, {STR("b"), STR("1"), STR("2")}};
    struct triple theirs[] = {same, {STR("c"), STR("1"), STR_NULL}};
    struct shelf x = {STR("one"), {mine, 2}};
    struct shelf y = {STR("two"), {theirs, 2}};
    struct schema_diff d;
    schema_diff(&shelf_table, &x, &y, &a, &d);
    show(&d, &text);
    assert_string_equal(buf_cstr(&text),
                        "label:one>two;"
                        "triples[b]:{\"key\":\"b\",\"left\":\"1\",\"right\":\"2\"}>-;"
                        "triples[c]:->{\"key\":\"c\",\"left\":\"1\"};");
    assert_false(schema_equal(&shelf_table, &x, &y));
    assert_true(schema_equal(&shelf_table, &x, &x));
}

static void cuts_texts_between_characters(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct sample x = {0};
    struct sample y = {0};
    struct schema_diff d;
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text + SCHEMA_TEXT_MAX - 1, "\xc3\xa4", 2); /* would be cut in two */
    x.note = str_n(text, sizeof(text));
    schema_diff(&sample_table, &x, &y, &a, &d);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.items[0].desired.len, SCHEMA_TEXT_MAX - 1);
    assert_true(str_is_utf8(d.items[0].desired));
}

static void sends(void **state)
{
    (void)state;
    static const char everything[] =
        "{\"name\":\"ab\",\"mode\":\"FAST\",\"note\":\"n\",\"hidden\":\"h\",\"ref\":{\"name\":"
        "\"r\"},"
        "\"document\":\"{ }\",\"on\":true,\"count\":3,\"colours\":[\"RED\"],"
        "\"pairs\":[{\"key\":\"k\",\"value\":\"v\"}],\"inner\":{\"type\":\"X\"}}";
    static const char sent[] =
        "{\"name\":\"ab\",\"mode\":\"FAST\",\"Remark\":\"n\",\"document\":\"{ }\",\"on\":true,"
        "\"count\":3,\"colours\":[\"RED\"],\"pairs\":[{\"Key\":\"k\",\"Value\":\"v\"}],"
        "\"inner\":{\"type\":\"X\"}}";
    static const struct {
        const char *input;
        enum schema_mode mode;
        const char *want;
    } cases[] = {
        {"{}", SCHEMA_CREATE, "{}"},
        {"{}", SCHEMA_COMPLETE,
         "{\"mode\":\"SLOW\",\"Remark\":\"\",\"document\":\"\",\"pairs\":[],"
         "\"inner\":{\"type\":\"PLAIN\"}}"},
        {everything, SCHEMA_CREATE, sent},
        {everything, SCHEMA_COMPLETE, sent},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct json_writer w = json_writer_to(&out);
        struct err e = ERR_INIT;
        struct sample s;
        assert_true(sample_decode(cases[i].input, &a, &s, &e));
        json_begin_object(&w);
        schema_encode_aws(&sample_table, &s, cases[i].mode, &w);
        json_end(&w);
        assert_true(json_write_ok(&w));
        assert_string_equal(buf_cstr(&out), cases[i].want);
    }
}

static void writes_what_it_read(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{}",
        "{\"name\":\"ab\",\"mode\":\"FAST\",\"note\":\"\",\"hidden\":\"h\",\"ref\":{\"name\":\"r\"}"
        ","
        "\"document\":\"{}\",\"on\":false,\"count\":1,\"every\":\"1h30m\","
        "\"at\":\"2026-01-02T03:04:05.678000Z\",\"colours\":[\"RED\"],\"steps\":[],"
        "\"pairs\":[{\"key\":\"k\"}],\"points\":[],\"inner\":{\"type\":\"X\",\"level\":0}}",
        "{\"at\":\"2026-01-02T03:04:05Z\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        struct json_writer w = json_writer_to(&out);
        struct err e = ERR_INIT;
        struct sample s;
        assert_true(sample_decode(cases[i], &a, &s, &e));
        json_begin_object(&w);
        schema_encode_cr(&sample_table, &s, &w);
        json_end(&w);
        assert_true(json_write_ok(&w));
        assert_string_equal(buf_cstr(&out), cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(shows_elements_of_many_fields),
        cmocka_unit_test(cuts_texts_between_characters),
        cmocka_unit_test(sends),
        cmocka_unit_test(writes_what_it_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
