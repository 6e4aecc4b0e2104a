// SPDX-License-Identifier: Apache-2.0
/*
 * The generators: OpenAPI of each kind of field, YAML's quoting, the reference page.
 */
#include "sample.h"
#include "schema/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void writes_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want;
    } cases[] = {
        {"{}", "{}\n"},
        {"[]", "[]\n"},
        {"5", "5\n"},
        {"{\"a\":1,\"b\":true,\"c\":null,\"d\":{},\"e\":[]}",
         "a: 1\nb: true\nc: null\nd: {}\ne: []\n"},
        {"{\"a\":{\"b\":{\"c\":\"d\"}}}", "a:\n  b:\n    c: d\n"},
        {"{\"a\":[1,{\"b\":2,\"c\":3},[4,5]]}",
         "a:\n  - 1\n  - b: 2\n    c: 3\n  - - 4\n    - 5\n"},
        /* what YAML would read as something else is quoted */
        {"[\"true\",\"No\",\"null\",\"y\",\"1\",\"\",\".inf\",\"~\",\"-1\"]",
         "- \"true\"\n- \"No\"\n- \"null\"\n- \"y\"\n- \"1\"\n- \"\"\n- \".inf\"\n- \"~\"\n- "
         "\"-1\"\n"},
        {"[\"a: b\",\"a #b\",\"a \",\" a\",\"a\\nb\",\"*a\",\"{a\"]",
         "- \"a: b\"\n- \"a #b\"\n- \"a \"\n- \" a\"\n- \"a\\nb\"\n- \"*a\"\n- \"{a\"\n"},
        {"[\".spec.x\",\"a b's (c), d?\",\"x\\\\y\"]", "- .spec.x\n- a b's (c), d?\n- x\\y\n"},
        {"{\"true\":1}", "\"true\": 1\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(cases[i].input);
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
        schema_json_to_yaml(json_root(doc), &out);
        assert_string_equal(buf_cstr(&out), cases[i].want);
    }
}

static void folds_long_text(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(
        "{\"a\":\"One sentence that is so long that nobody wants to read it in a single line: it "
        "goes on and on # and on, and then it ends.\"}");
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    schema_json_to_yaml(json_root(doc), &out);
    assert_string_equal(buf_cstr(&out),
                        "a: >-\n  One sentence that is so long that nobody wants to read it in a "
                        "single line: it goes on and on #\n  and on, and then it ends.\n");
}

static struct json_doc *openapi_of(const struct schema *s)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct json_writer w = json_writer_to(&out);
    schema_to_openapi(s, &w);
    assert_true(json_write_ok(&w));
    return sample_parse(buf_cstr(&out));
}

static void describes_fields(void **state)
{
    (void)state;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = openapi_of(&sample_table);
    static const struct {
        const char *field, *want;
    } cases[] = {
        {"name",
         "{\"description\":\"A field.\",\"type\":\"string\",\"minLength\":2,\"maxLength\":5,"
         "\"pattern\":\"^[a-z]+$\"}"},
        {"mode", "{\"description\":\"A field.\",\"type\":\"string\",\"enum\":[\"SLOW\",\"FAST\"]}"},
        {"on", "{\"description\":\"A field.\",\"type\":\"boolean\"}"},
        {"count", "{\"description\":\"A field.\",\"type\":\"integer\",\"format\":\"int64\","
                  "\"minimum\":1,\"maximum\":10}"},
        {"every",
         "{\"description\":\"A field.\",\"type\":\"string\",\"maxLength\":20,"
         "\"pattern\":\"^([0-9]+(h|m|s))+$\",\"x-kubernetes-validations\":[{\"rule\":"
         "\"duration(self) >= duration('10s') && duration(self) <= duration('24h')\",\"message\":"
         "\"every must be between 10s and 24h\"}]}"},
        {"at", "{\"description\":\"A field.\",\"type\":\"string\",\"format\":\"date-time\"}"},
        {"document", "{\"description\":\"A field.\",\"x-kubernetes-preserve-unknown-fields\":true,"
                     "\"maxLength\":40,\"maxItems\":0,\"minimum\":1,\"maximum\":0,"
                     "\"not\":{\"enum\":[true,false,[]]}}"},
        {"colours",
         "{\"description\":\"A field.\",\"type\":\"array\",\"minItems\":1,\"maxItems\":3,"
         "\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":\"string\","
         "\"enum\":[\"RED\",\"GREEN\",\"BLUE\"]}}"},
        {"inner",
         "{\"description\":\"A field.\",\"type\":\"object\",\"properties\":{\"type\":{"
         "\"description\":\"A field.\",\"type\":\"string\",\"maxLength\":10},\"level\":{"
         "\"description\":\"A field.\",\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0,"
         "\"maximum\":9}},\"required\":[\"type\"]}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json_doc *want BERTH_CLEANUP(json_doc_freep) = sample_parse(cases[i].want);
        const struct json *found = json_get(json_get(json_root(doc), "properties"), cases[i].field);
        if (!json_equal(found, json_root(want))) {
            struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
            json_print(found, &out);
            fail_msg("%s: %s", cases[i].field, buf_cstr(&out));
        }
    }
    const struct json *pairs = json_path(json_root(doc), "properties.pairs");
    assert_string_equal(json_str_or_null(json_get(pairs, "x-kubernetes-list-type")).ptr, "map");
    assert_int_equal(json_count(json_get(json_root(doc), "x-kubernetes-validations")), 2);
    assert_null(json_get(json_root(doc), "required"));
}

static void marks_immutable_fields(void **state)
{
    (void)state;
    static const struct field rows[] = {
        {.name = "x", .max = 1, .doc = "d", .flags = FIELD_REQUIRED | FIELD_IMMUTABLE}};
    static const struct schema t = {"spec", sizeof(struct str), rows, 1, NULL, NULL};
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = openapi_of(&t);
    const struct json *rules =
        json_get(json_path(json_root(doc), "properties.x"), "x-kubernetes-validations");
    assert_string_equal(json_str_or_null(json_get(json_first(rules), "rule")).ptr,
                        "self == oldSelf");
}

static void makes_a_crd(void **state)
{
    (void)state;
    static const char *const short_names[] = {"smp", NULL};
    static const struct schema_column columns[] = {
        {"Name", "string", ".spec.name", false, "Its name."},
        {"Mode", "string", ".spec.mode", true, "A | B."}};
    const struct schema_kind k = {.group = "g.example",
                                  .version = "v1",
                                  .kind = "Sample",
                                  .plural = "samples",
                                  .singular = "sample",
                                  .short_names = short_names,
                                  .spec = &sample_table,
                                  .status = &sample_inner_table,
                                  .columns = columns,
                                  .column_count = 2,
                                  .doc = "Sample is a sample."};
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct json_writer w = json_writer_to(&out);
    schema_kind_to_crd(&k, &w);
    assert_true(json_write_ok(&w));
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(buf_cstr(&out));
    const struct json *crd = json_root(doc);
    const struct json *version = json_first(json_path(crd, "spec.versions"));
    assert_string_equal(json_str_or_null(json_path(crd, "metadata.name")).ptr, "samples.g.example");
    assert_null(json_path(crd, "spec.names.categories")); /* no empty list */
    assert_null(json_get(version, "selectableFields"));
    const struct json *status = json_path(version, "schema.openAPIV3Schema.properties.status");
    assert_int_equal(json_i64_or(json_path(status, "default.observedGeneration"), 0), -1);
    assert_non_null(json_path(status, "properties.level"));

    struct buf page BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    schema_kind_to_markdown(&k, &page);
    assert_true(buf_ok(&page));
    assert_non_null(strstr(buf_cstr(&page), "| Mode | with `-o wide` | A \\| B. |"));
    assert_non_null(strstr(buf_cstr(&page), "### `spec.pairs[]`"));
    assert_non_null(strstr(buf_cstr(&page), "- name must be given with note"));
    assert_null(strstr(buf_cstr(&page), "Categories"));
}

static void lists_rows(void **state)
{
    (void)state;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    struct json_writer w = json_writer_to(&out);
    json_begin_array(&w);
    schema_to_table(&sample_table, &w);
    json_end(&w);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(buf_cstr(&out));
    size_t found = 0;
    for (const struct json *row = json_first(json_root(doc)); row != NULL; row = json_next(row)) {
        struct str path = json_str_or_null(json_get(row, "path"));
        struct str aws = json_str_or_null(json_get(row, "aws"));
        if (str_eq(path, STR("pairs[].key"))) {
            assert_string_equal(aws.ptr, "pairs[].Key");
            found++;
        } else if (str_eq(path, STR("ref.name")) || str_eq(path, STR("hidden"))) {
            assert_null(aws.ptr);
            found++;
        }
    }
    assert_int_equal(found, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_yaml),      cmocka_unit_test(folds_long_text),
        cmocka_unit_test(describes_fields), cmocka_unit_test(marks_immutable_fields),
        cmocka_unit_test(makes_a_crd),      cmocka_unit_test(lists_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
