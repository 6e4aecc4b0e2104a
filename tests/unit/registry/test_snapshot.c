// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots: which read supersedes which write, and how many repositories a template covers.
 */
#include "ecr/prefix.h"
#include "json/json.h"
#include "registry_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_precedence(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct registry_versions v;
        bool read_wins;
    } cases[] = {
        {"read began 30 s after", {.write_ms = 1, .read_started_ms = 30001}, true},
        {"stale: created, not in the read", {.write_ms = 5, .read_started_ms = 6}, false},
        {"stale: read began before the write", {.write_ms = 5, .read_started_ms = 1}, false},
        {"stale: older update",
         {.is_in_read = true,
          .read_created_at = 1,
          .write_created_at = 1,
          .read_updated_at = 5,
          .write_updated_at = 9},
         false},
        {"caught up",
         {.is_in_read = true,
          .read_created_at = 1,
          .write_created_at = 1,
          .read_updated_at = 9,
          .write_updated_at = 9,
          .is_same = true},
         true},
        {"the same again, of an older date",
         {.is_in_read = true,
          .read_created_at = 1,
          .write_created_at = 1,
          .read_updated_at = 5,
          .write_updated_at = 9,
          .is_same = true},
         false},
        {"same date, other content",
         {.is_in_read = true,
          .read_created_at = 1,
          .write_created_at = 1,
          .read_updated_at = 9,
          .write_updated_at = 9},
         false},
        {"changed behind our back",
         {.is_in_read = true,
          .read_created_at = 1,
          .write_created_at = 1,
          .read_updated_at = 10,
          .write_updated_at = 9},
         true},
        {"created anew behind our back",
         {.is_in_read = true,
          .read_created_at = 20,
          .write_created_at = 1,
          .read_updated_at = 0,
          .write_updated_at = 9},
         true},
        {"deleted, still in the read",
         {.was_deleted = true, .is_in_read = true, .read_created_at = 1, .write_created_at = 1},
         false},
        {"deleted, gone", {.was_deleted = true}, true},
        {"deleted, created anew",
         {.was_deleted = true, .is_in_read = true, .read_created_at = 7, .write_created_at = 1},
         true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (registry_read_wins(&cases[i].v) != cases[i].read_wins)
            fail_msg("%s", cases[i].name);
    }
}

static void add(struct registry_read *read, const char *prefix)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"prefix\":\"%s\",\"appliedFor\":[\"CREATE_ON_PUSH\"],"
                   "\"imageTagMutability\":\"MUTABLE\",\"encryptionConfiguration\":"
                   "{\"encryptionType\":\"AES256\"},\"createdAt\":1.5,\"updatedAt\":2.5}",
                   prefix);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    assert_true(json_parse(str_from(text), sizeof text, &doc, &e));
    assert_true(registry_read_add(read, json_root(doc), &e));
}

static void scan_add(struct registry_scan *scan, const char *name)
{
    char text[512];
    (void)snprintf(text, sizeof text, "{\"repositoryName\":\"%s\"}", name);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    assert_true(json_parse(str_from(text), sizeof text, &doc, &e));
    assert_true(registry_scan_add(scan, json_root(doc), &e));
}

/* A path of one to four segments of few letters, so that prefixes meet repositories. */
static void random_path(char *text)
{
    size_t n = 0;
    for (int i = 0, segments = 1 + rand() % 4; i < segments; i++) {
        if (i != 0)
            text[n++] = '/';
        text[n++] = (char)('a' + rand() % 3);
        if (rand() % 3 == 0)
            text[n++] = (char)('a' + rand() % 2);
    }
    text[n] = '\0';
}

/* The counts are those of the function that decides for everybody. */
static void check_against_choose(const struct registry_read *read, const struct registry_scan *scan)
{
    int64_t *covered = registry_cover(read, scan);
    struct ecr_candidate candidates[32];
    int64_t want[32] = {0};
    for (size_t i = 0; i < read->count; i++)
        candidates[i] = (struct ecr_candidate){read->entries[i].key, ECR_FOR_CREATE_ON_PUSH};
    for (size_t i = 0; i < scan->count; i++) {
        ptrdiff_t at = ecr_prefix_choose(candidates, read->count, scan->items[i].name, 0,
                                         ECR_CHOOSE_FILTERED_LONGEST);
        if (at >= 0)
            want[at]++;
    }
    for (size_t i = 0; i < read->count; i++) {
        assert_int_equal(covered[i], want[i]);
        assert_int_equal(registry_cover_one(read, scan, read->entries[i].key), want[i]);
    }
    free(covered);
}

static void test_cover_agrees_with_choose(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 60; round++) {
        struct registry_read *read = registry_read_new(0);
        struct registry_scan *scan = registry_scan_new(0);
        char text[32];
        if (round % 2 == 0)
            add(read, "ROOT");
        for (int i = 0; i < 12; i++) {
            random_path(text);
            registry_read_finish(read);
            if (strlen(text) > 1 && registry_read_find(read, str_from(text)) == NULL)
                add(read, text);
        }
        registry_read_finish(read);
        for (int i = 0; i < 200; i++) {
            random_path(text);
            scan_add(scan, text);
        }
        registry_scan_finish(scan);
        check_against_choose(read, scan);
        registry_scan_free(scan);
        registry_read_unref(read);
    }
}

static void test_find_is_by_the_normalised_prefix(void **state)
{
    (void)state;
    struct registry_read *read = registry_read_new(0);
    add(read, "prod/");
    add(read, "dev");
    registry_read_finish(read);
    const struct registry_entry *entry = registry_read_find(read, STR("prod"));
    assert_non_null(entry);
    /* calls to AWS use AWS's spelling */
    assert_true(str_eq(entry->observed.spec.prefix, STR("prod/")));
    assert_int_equal(entry->observed.created_at.value, 1500);
    assert_null(registry_read_find(read, STR("pro")));
    registry_read_unref(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_cover_agrees_with_choose),
        cmocka_unit_test(test_find_is_by_the_normalised_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
