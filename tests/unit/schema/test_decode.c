// SPDX-License-Identifier: Apache-2.0
/*
 * Decoding and validating: every kind of field, and the path and words of each refusal.
 */
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void takes_everything(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct sample s;
    assert_true(sample_decode(
        "{\"name\":\"abc\",\"mode\":\"FAST\",\"note\":\"\",\"hidden\":\"h\",\"ref\":{\"name\":"
        "\"r\"},"
        "\"document\":{\"a\": [1, true]},\"on\":false,\"count\":10,\"every\":\"1h30m\","
        "\"at\":\"2026-01-02T03:04:05.678Z\",\"colours\":[\"RED\",\"BLUE\"],\"steps\":[],"
        "\"pairs\":[{\"key\":\"k\",\"value\":\"\"}],\"points\":null,\"unknown\":1,"
        "\"inner\":{\"type\":\"X\",\"level\":3}}",
        &a, &s, &e));
    assert_string_equal(s.name.ptr, "abc");
    assert_non_null(s.note.ptr); /* empty is not absent */
    assert_int_equal(s.note.len, 0);
    assert_string_equal(s.ref_name.ptr, "r");
    assert_string_equal(s.document.ptr, "{\"a\":[1,true]}");
    assert_true(s.on.has && !s.on.value);
    assert_int_equal(s.count.value, 10);
    assert_int_equal(s.every.value, 5400000);
    assert_int_equal(s.at.value, 1767323045678);
    assert_int_equal(s.colours.count, 2);
    assert_string_equal(((struct str *)s.colours.items)[1].ptr, "BLUE");
    assert_non_null(s.steps.items);
    assert_int_equal(s.steps.count, 0);
    assert_string_equal(((struct sample_pair *)s.pairs.items)[0].key.ptr, "k");
    assert_null(s.points.items);
    assert_true(s.inner.has);
    assert_int_equal(s.inner.level.value, 3);
}

static void takes_nothing(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct sample s;
    memset(&s, 0xff, sizeof(s));
    assert_true(schema_decode_cr(&sample_table, NULL, &a, &s, &e));
    assert_null(s.name.ptr);
    assert_false(s.on.has || s.count.has || s.inner.has);
    assert_null(s.pairs.items);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want;
    } cases[] = {
        {"[]", "spec: must be an object"},
        {"{\"name\":1}", "spec.name: must be a string"},
        {"{\"name\":\"a\"}", "spec.name: must have at least 2 characters, has 1"},
        {"{\"name\":\"abcdef\"}", "spec.name: must have at most 5 characters, has 6"},
        {"{\"name\":\"aBc\"}", "spec.name: must be a lower-case word, not \"aBc\""},
        {"{\"mode\":\"fast\"}", "spec.mode: must be one of SLOW, FAST, not \"fast\""},
        {"{\"note\":\"x\"}", "spec.name: name must be given with note"},
        {"{\"ref\":{}}", "spec.ref.name: must be given"},
        {"{\"ref\":{\"name\":2}}", "spec.ref.name: must be a string"},
        {"{\"document\":5}", "spec.document: must be a JSON text or an object"},
        {"{\"document\":[]}", "spec.document: must be a JSON text or an object"},
        {"{\"document\":\"x\"}", "spec.document: must begin with a brace"},
        {"{\"document\":\"\"}", NULL},
        {"{\"document\":{\"a\":\"0123456789012345678901234567890123456789\"}}",
         "spec.document: must have at most 40 characters, has 48"},
        {"{\"document\":{\"a\":9007199254740993}}",
         "spec.document: must be shorter, and without numbers that JSON readers round"},
        {"{\"on\":\"true\"}", "spec.on: must be true or false"},
        {"{\"count\":1.5}", "spec.count: must be an integer"},
        {"{\"count\":0}", "spec.count: must be between 1 and 10, is 0"},
        {"{\"every\":\"9s\"}", "spec.every: must be between 10s and 24h, is 9s"},
        {"{\"every\":\"24h1s\"}", "spec.every: must be between 10s and 24h, is 24h1s"},
        {"{\"every\":\"60000ms\"}", "spec.every: must be a duration such as 90s, 5m or 1h30m"},
        {"{\"every\":\"\"}", "spec.every: must be a duration such as 90s, 5m or 1h30m"},
        {"{\"every\":\"99999999999999999999h\"}",
         "spec.every: must be a duration such as 90s, 5m or 1h30m"},
        {"{\"every\":60}", "spec.every: must be a duration such as 90s, 5m or 1h30m"},
        {"{\"at\":\"yesterday\"}", "spec.at: must be a date"},
        {"{\"at\":17}", "spec.at: must be a date"},
        {"{\"colours\":[]}", "spec.colours: must have at least 1 element, has 0"},
        {"{\"colours\":\"RED\"}", "spec.colours: must be a list"},
        {"{\"colours\":[\"RED\",\"PINK\"]}",
         "spec.colours[1]: must be one of RED, GREEN, BLUE, not \"PINK\""},
        {"{\"colours\":[\"RED\",\"RED\"]}", "spec.colours: must not have \"RED\" twice"},
        {"{\"colours\":[null]}", "spec.colours[0]: must be a string"},
        {"{\"steps\":[\"a\",\"a\"]}", NULL}, /* a list, not a set */
        {"{\"steps\":[\"a\",\"b\",\"c\",\"d\"]}",
         "spec.steps: must have at most 3 elements, has 4"},
        {"{\"pairs\":[{\"key\":\"k\"},{\"key\":\"k\"}]}", "spec.pairs: must not have \"k\" twice"},
        {"{\"pairs\":[{\"value\":\"v\"}]}", "spec.pairs[0].key: must be given"},
        {"{\"pairs\":[7]}", "spec.pairs[0]: must be an object"},
        {"{\"points\":[{\"key\":\"k\"},{\"key\":\"k\"}]}", NULL},
        {"{\"inner\":{}}", "spec.inner.type: must be given"},
        {"{\"inner\":{\"type\":\"X\",\"level\":10}}",
         "spec.inner.level: must be between 0 and 9, is 10"},
        /* characters, not bytes */
        {"{\"pairs\":[{\"key\":\"\u00e4\u00f6\u00fc\u00df\"}]}", NULL},
        {"{\"pairs\":[{\"key\":\"\u00e4\u00f6\u00fc\u00dfx\"}]}",
         "spec.pairs[0].key: must have at most 4 characters, has 5"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct sample s;
        bool ok = sample_decode(cases[i].input, &a, &s, &e);
        if (ok != (cases[i].want == NULL))
            fail_msg("%s: %s", cases[i].input, ok ? "taken" : e.msg);
        if (ok)
            continue;
        assert_string_equal(e.msg, cases[i].want);
        assert_int_equal(e.cls, ERR_INVALID);
        assert_string_equal(e.reason, "InvalidSpec");
    }
}

static void reads_aws(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct sample s;
    /* what we would refuse in a spec is fine here: AWS may grow */
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) =
        sample_parse("{\"name\":\"A name that is too "
                     "long\",\"mode\":\"WARP\",\"Remark\":\"r\",\"note\":\"not me\","
                     "\"hidden\":\"not me\",\"ref\":{\"name\":\"not me\"},\"at\":1.563223656123E9,"
                     "\"pairs\":[{\"Key\":\"k\",\"Value\":\"v\",\"More\":1}],\"colours\":[]}");
    assert_true(schema_decode_aws(&sample_table, json_root(doc), &a, &s, &e));
    assert_string_equal(s.mode.ptr, "WARP");
    assert_string_equal(s.note.ptr, "r");
    assert_null(s.hidden.ptr);
    assert_null(s.ref_name.ptr);
    assert_int_equal(s.at.value, 1563223656123);
    assert_string_equal(((struct sample_pair *)s.pairs.items)[0].value.ptr, "v");
    assert_int_equal(s.colours.count, 0);
    struct json_doc *old BERTH_CLEANUP(json_doc_freep) = sample_parse("{\"at\":-1.5}");
    assert_true(schema_decode_aws(&sample_table, json_root(old), &a, &s, &e));
    assert_int_equal(s.at.value, -1500);
}

static void refuses_what_aws_never_says(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want;
    } cases[] = {
        {"[]", "unexpected reply: spec must be an object"},
        {"{\"Remark\":1}", "unexpected reply: spec.Remark must be a string"},
        {"{\"at\":-1e300}", "unexpected reply: spec.at must be a date"},
        {"{\"at\":[]}", "unexpected reply: spec.at must be a date"},
        {"{\"at\":1e300}", "unexpected reply: spec.at must be a date"},
        {"{\"at\":\"soon\"}", "unexpected reply: spec.at must be a date"},
        {"{\"document\":{}}", "unexpected reply: spec.document must be a string"},
        {"{\"pairs\":[{\"Key\":{}}]}", "unexpected reply: spec.pairs[0].Key must be a string"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(cases[i].input);
        struct err e = ERR_INIT;
        struct sample s;
        assert_false(schema_decode_aws(&sample_table, json_root(doc), &a, &s, &e));
        assert_string_equal(e.msg, cases[i].want);
        assert_int_equal(e.cls, ERR_RETRY);
    }
}

static void table_is_checked(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_true(schema_check(&sample_table, &e));

    struct defect {
        const char *want;
        struct field row;
    } cases[] = {
        {"t.x has no doc", {.name = "x", .max = 1}},
        {"t.x lies outside its struct", {.name = "x", .max = 1, .offset = 8, .doc = "d"}},
        {"t.x is text without a maximum", {.name = "x", .doc = "d"}},
        {"t.x needs pattern, matcher and text together",
         {.name = "x", .max = 1, .doc = "d", .pattern = "^x$"}},
        {"t.x needs a sub-schema exactly where it holds objects",
         {.name = "x", .kind = FIELD_OBJECT, .doc = "d"}},
        {"t.x is optional: its immutability needs a rule on the parent",
         {.name = "x", .max = 1, .doc = "d", .flags = FIELD_IMMUTABLE}},
        {"t.x is cleared by a default that it lacks",
         {.name = "x", .max = 1, .doc = "d", .clear = FIELD_CLEAR_DEFAULT}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct schema t = {"t", sizeof(struct str), &cases[i].row, 1, NULL, NULL};
        e = ERR_INIT;
        assert_false(schema_check(&t, &e));
        assert_string_equal(e.msg, cases[i].want);
    }
    struct field twice[] = {{.name = "x", .max = 1, .doc = "d"},
                            {.name = "x", .max = 1, .doc = "d"}};
    struct schema t = {"t", sizeof(struct str), twice, 2, NULL, NULL};
    e = ERR_INIT;
    assert_false(schema_check(&t, &e));
    assert_string_equal(e.msg, "t.x is named twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_everything),
        cmocka_unit_test(takes_nothing),
        cmocka_unit_test(refuses),
        cmocka_unit_test(reads_aws),
        cmocka_unit_test(refuses_what_aws_never_says),
        cmocka_unit_test(table_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
