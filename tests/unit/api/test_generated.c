// SPDX-License-Identifier: Apache-2.0
/*
 * What is in the tree is what the tables say now: run `make generate` after a change of a table.
 * And the tables are sound.
 */
#include "api/api.h"
#include "api_priv.h"
#include "base/file.h"
#include "json/json.h"
#include "json/write.h"
#include "schema/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_MAX = 4 << 20, CRD_MAX = 100000 };

#define ROOT TEST_SOURCE_DIR "/../../../"

static void expect_file(const char *path, bool (*generate)(struct buf *out))
{
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    struct buf made BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    struct err e = ERR_INIT;
    if (!file_read(path, &file, &e))
        fail_msg("%s", e.msg);
    assert_true(generate(&made));
    if (!str_eq(buf_str(&file), buf_str(&made)))
        fail_msg("%s is not what berth-crdgen makes now", path);
}

static void files_are_fresh(void **state)
{
    (void)state;
    expect_file(ROOT "manifests/crds.yaml", api_generate_crds);
    expect_file(ROOT "docs/reference/api.md", api_generate_reference);
}

static void a_full_buffer_is_noticed(void **state)
{
    (void)state;
    bool (*const generators[])(struct buf *) = {api_generate_crds, api_generate_reference,
                                                api_generate_tables};
    for (size_t i = 0; i < ARRAY_SIZE(generators); i++) {
        struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
        assert_false(generators[i](&small));
    }
}

static void tables_are_sound(void **state)
{
    (void)state;
    const struct schema *const tables[] = {
        api_template_schema(),        api_settings_schema(),       api_template_status_schema(),
        api_settings_status_schema(), &api_account_settings_table, &api_condition_table};
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        struct err e = ERR_INIT;
        if (!schema_check(tables[i], &e))
            fail_msg("%s", e.msg);
    }
}

/* No `default` below spec, at any depth; and everything has a bound. */
static void expect_bounded(const struct json *schema, const char *name)
{
    assert_null(json_get(schema, "default"));
    struct str type = json_str_or_null(json_get(schema, "type"));
    bool is_bounded = json_get(schema, "maxLength") != NULL || json_get(schema, "enum") != NULL ||
                      json_get(schema, "format") != NULL;
    if (str_eq(type, STR("string")) && !is_bounded)
        fail_msg("%s is a string without maxLength", name);
    if (str_eq(type, STR("array")) && json_get(schema, "maxItems") == NULL)
        fail_msg("%s is a list without maxItems", name);
    const struct json *items = json_get(schema, "items");
    if (items != NULL)
        expect_bounded(items, name);
    for (const struct json *it = json_first(json_get(schema, "properties")); it != NULL;
         it = json_next(it))
        expect_bounded(it, json_key(it).ptr);
}

static void crds_are_bounded(void **state)
{
    (void)state;
    const struct schema_kind *const kinds[] = {api_template_kind(), api_settings_kind()};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(CRD_MAX);
        struct json_writer w = json_writer_to(&out);
        struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
        struct err e = ERR_INIT;
        schema_kind_to_crd(kinds[i], &w);
        assert_true(json_write_ok(&w));
        assert_true(json_parse(buf_str(&out), CRD_MAX, &doc, &e));
        const struct json *version = json_first(json_path(json_root(doc), "spec.versions"));
        const struct json *properties = json_path(version, "schema.openAPIV3Schema.properties");
        expect_bounded(json_get(properties, "spec"), "spec");
        struct str note =
            json_str_or_null(json_get(json_path(json_root(doc), "metadata.annotations"),
                                      "kustomize.toolkit.fluxcd.io/substitute"));
        assert_true(str_eq(note, STR("disabled")));
        assert_null(json_path(json_root(doc), "metadata.creationTimestamp"));
        assert_null(json_get(json_root(doc), "status"));
    }
}

static void every_reason_is_explained_once(void **state)
{
    (void)state;
    size_t count;
    const struct api_reason *r = api_reasons(&count);
    assert_int_equal(count, 23);
    for (size_t i = 0; i < count; i++) {
        assert_true(api_reason_matches(str_from(r[i].name)));
        assert_true(strlen(r[i].doc) > 10);
        bool is_known = strcmp(r[i].condition, API_CONDITION_READY) == 0 ||
                        strcmp(r[i].condition, API_CONDITION_SYNCED) == 0;
        assert_true(is_known);
        for (size_t k = i + 1; k < count; k++)
            assert_string_not_equal(r[i].name, r[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_fresh),
        cmocka_unit_test(a_full_buffer_is_noticed),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(crds_are_bounded),
        cmocka_unit_test(every_reason_is_explained_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
