// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots of objects: what is read of the metadata, what happens to objects that cannot be read,
 * and the informer's store.
 */
#include "base/buf.h"
#include "base/thread.h"
#include "json/json.h"
#include "kube/object.h"
#include "store_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct kube_object *must_parse(const char *text)
{
    struct kube_object *o = NULL;
    struct err e = ERR_INIT;
    if (!kube_object_parse(str_from(text), &o, &e))
        fail_msg("%s: %s", text, e.msg);
    return o;
}

static void metadata_is_read(void **state)
{
    (void)state;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = must_parse(
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\","
        "\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":3,"
        "\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"deletionTimestamp\":"
        "\"2026-01-02T03:04:06Z\",\"annotations\":{\"k.x/y\":\"v\"},\"labels\":{\"l\":\"w\"},"
        "\"finalizers\":[\"f/1\",\"f/2\"]},\"spec\":{\"x\":1}}");
    assert_null(kube_object_undecodable(o));
    assert_string_equal(kube_object_api_version(o).ptr, "g/v1");
    assert_string_equal(kube_object_kind(o).ptr, "K");
    assert_string_equal(kube_object_name(o).ptr, "a");
    assert_string_equal(kube_object_namespace(o).ptr, "n");
    assert_string_equal(kube_object_uid(o).ptr, "u");
    assert_string_equal(kube_object_resource_version(o).ptr, "7");
    assert_int_equal(kube_object_generation(o), 3);
    assert_int_equal(kube_object_created_unix_ms(o), 1767323045000);
    assert_true(kube_object_is_deleting(o));
    assert_string_equal(kube_object_annotation(o, "k.x/y").ptr, "v");
    assert_true(str_is_null(kube_object_annotation(o, "k.x/z")));
    assert_string_equal(kube_object_label(o, "l").ptr, "w");
    assert_true(kube_object_has_finalizer(o, "f/2"));
    assert_false(kube_object_has_finalizer(o, "f"));
    assert_int_equal(kube_object_finalizer_count(o), 2);
    assert_string_equal(kube_object_finalizer(o, 1).ptr, "f/2");
    assert_true(str_is_null(kube_object_finalizer(o, 2)));
    assert_int_equal(json_i64_or(json_path(kube_object_json(o), "spec.x"), 0), 1);
}

/* Kept for long it has no tree; whoever asks has one of his own, for as long as he holds it. */
static void packed_shares_all_but_the_tree(void **state)
{
    (void)state;
    struct kube_object *o = must_parse(
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"managedFields\":[{\"m\":1}],\"labels\":{\"l\":\"w\"}},"
        "\"spec\":{\"x\":[1,2.5,\"\\u00e4\"]}}");
    struct kube_object *kept BERTH_CLEANUP(kube_object_unrefp) = kube_object_packed(o);
    struct kube_object *seen BERTH_CLEANUP(kube_object_unrefp) = kube_object_packed(kept);
    assert_ptr_equal(kube_object_name(seen).ptr, kube_object_name(o).ptr);
    assert_ptr_equal(kube_object_resource_version(seen).ptr, kube_object_resource_version(o).ptr);
    assert_ptr_not_equal(kube_object_json(seen), kube_object_json(o));
    assert_true(json_equal(kube_object_json(seen), kube_object_json(o)));
    assert_ptr_equal(kube_object_json(seen), kube_object_json(seen));
    o = kube_object_unref(o);
    assert_string_equal(kube_object_label(seen, "l").ptr, "w");
    assert_string_equal(kube_object_uid(kept).ptr, "u");
}

static void packed_keeps_why_it_cannot_be_read(void **state)
{
    (void)state;
    struct kube_object *o = must_parse("{\"metadata\":{\"name\":\"a\"},\"spec\":{\"x\":01}}");
    struct kube_object *kept BERTH_CLEANUP(kube_object_unrefp) = kube_object_packed(o);
    o = kube_object_unref(o);
    assert_non_null(kube_object_undecodable(kept));
    assert_null(kube_object_json(kept));
    assert_string_equal(kube_object_name(kept).ptr, "a");
}

static void ask(void *arg)
{
    const struct kube_object *o = arg;
    assert_int_equal(json_i64_or(json_path(kube_object_json(o), "spec.x"), 0), 1);
}

/* Both may find no tree and make one. */
static void two_threads_ask_at_once(void **state)
{
    (void)state;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        must_parse("{\"metadata\":{\"name\":\"a\"},\"spec\":{\"x\":1}}");
    for (int i = 0; i < 100; i++) {
        struct kube_object *shared BERTH_CLEANUP(kube_object_unrefp) = kube_object_packed(o);
        struct thread other = {0};
        thread_start(&other, "other", ask, shared);
        ask(shared);
        thread_join(&other);
    }
}

/* What nobody reads is dropped, in any order, and nothing else is. */
static void bookkeeping_is_dropped(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":\"1\",\"kubectl.kubernetes.io/"
        "last-applied-configuration\":\"{}\",\"y\":\"2\"},\"managedFields\":[{\"m\":1}],"
        "\"uid\":\"u\"},\"spec\":{\"managedFields\":3}}",
        "{\"metadata\":{\"managedFields\":[{\"m\":1}],\"name\":\"a\",\"annotations\":{\"y\":\"2\","
        "\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\",\"x\":\"1\"},\"uid\":\"u\"},"
        "\"spec\":{\"managedFields\":3}}",
        ("{\"metadata\":{\"managedFields\":null,\"name\":\"a\",\"uid\":\"u\",\"annotations\":{"
         "\"y\":\"2\",\"x\":\"1\"}},\"spec\":{\"managedFields\":3}}"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
        struct err e = ERR_INIT;
        assert_true(kube_object_parse(str_from(cases[i]), &o, &e));
        assert_null(kube_object_undecodable(o));
        const struct json *meta = json_get(kube_object_json(o), "metadata");
        assert_true(json_is_null(json_get(meta, "managedFields")));
        assert_true(str_is_null(
            kube_object_annotation(o, "kubectl.kubernetes.io/last-applied-configuration")));
        assert_true(str_eq_cstr(kube_object_annotation(o, "x"), "1"));
        assert_true(str_eq_cstr(kube_object_annotation(o, "y"), "2"));
        assert_true(str_eq_cstr(kube_object_name(o), "a"));
        assert_true(str_eq_cstr(kube_object_uid(o), "u"));
        assert_int_equal(json_i64_or(json_path(kube_object_json(o), "spec.managedFields"), 0), 3);
    }
}

static void absent_metadata_is_empty(void **state)
{
    (void)state;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        must_parse("{\"metadata\":{\"name\":\"a\",\"deletionTimestamp\":null}}");
    assert_string_equal(kube_object_namespace(o).ptr, "");
    assert_string_equal(kube_object_kind(o).ptr, "");
    assert_false(kube_object_is_deleting(o));
    assert_int_equal(kube_object_created_unix_ms(o), 0);
    assert_int_equal(kube_object_finalizer_count(o), 0);
}

static void bad_objects_keep_their_identity(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        /* NUL in a string, too deep, duplicate keys, NUL in the metadata itself */
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\"},\"spec\":\"\\u0000\"}",
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\"},\"spec\":"
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\"},\"x\":1,\"x\":2}",
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"annotations\":{\"x\":\"\\u0000\"},"
        "\"name\":\"a\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\"}}",
        /* cut off by the frame decoder, behind and inside the metadata */
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\"},\"spec\":{\"x\":\"abc",
        "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"deletionTimestamp\":\"t\",\"annotations\":{\"x\":\"abc",
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = must_parse(CASES[i]);
        assert_non_null(kube_object_undecodable(o));
        assert_null(kube_object_json(o));
        assert_string_equal(kube_object_api_version(o).ptr, "g/v1");
        assert_string_equal(kube_object_kind(o).ptr, "K");
        assert_string_equal(kube_object_name(o).ptr, "a");
        assert_string_equal(kube_object_namespace(o).ptr, "");
        assert_string_equal(kube_object_uid(o).ptr, "u");
        assert_string_equal(kube_object_resource_version(o).ptr, "7");
        assert_true(kube_object_is_deleting(o));
        assert_true(str_is_null(kube_object_annotation(o, "x")));
        assert_false(kube_object_has_finalizer(o, "f"));
    }
}

static void big_objects_are_undecodable(void **state)
{
    (void)state;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * KUBE_OBJECT_MAX_BYTES);
    buf_append(&text, STR("{\"metadata\":{\"name\":\"big\"},\"spec\":\""));
    for (int i = 0; i < KUBE_OBJECT_MAX_BYTES / 16; i++)
        buf_append(&text, STR("0123456789abcdef"));
    buf_append(&text, STR("\"}"));
    assert_true(buf_ok(&text));
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = must_parse(buf_cstr(&text));
    assert_non_null(kube_object_undecodable(o));
    assert_string_equal(kube_object_name(o).ptr, "big");
}

static void objects_without_a_name_are_refused(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "{\"metadata\":{}}",
        "{}",
        "[]",
        "",
        "{\"metadata\":{\"name\":\"a\\u0000b\"}}",
        "{\"metadata\":{\"name\":7}}",
        "{\"metadata\":{\"na",
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct kube_object *o = NULL;
        struct err e = ERR_INIT;
        assert_false(kube_object_parse(str_from(CASES[i]), &o, &e));
        assert_null(o);
        assert_int_equal(e.cls, ERR_INVALID);
    }
}

static struct kube_object *version(const char *name, const char *uid, const char *rv)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(512);
    buf_printf(&text,
               "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"%s\","
               "\"resourceVersion\":\"%s\"}}",
               name, uid, rv);
    return must_parse(buf_cstr(&text));
}

static bool put(struct store *s, const char *name, const char *uid, const char *rv)
{
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = version(name, uid, rv);
    return kube_store_put(s, o);
}

static void store_tells_changes(void **state)
{
    (void)state;
    struct store *s = kube_store_new();
    assert_true(put(s, "a", "u", "1"));
    assert_false(put(s, "a", "u", "1"));
    assert_true(put(s, "a", "u", "2"));
    assert_true(put(s, "b", "u2", "2"));
    assert_int_equal(kube_store_count(s), 2);
    struct kube_object *a BERTH_CLEANUP(kube_object_unrefp) = kube_store_get(s, STR("n"), STR("a"));
    assert_string_equal(kube_object_resource_version(a).ptr, "2");
    assert_null(kube_store_get(s, STR(""), STR("a")));
    assert_true(kube_store_remove(s, STR("n"), STR("a")));
    assert_false(kube_store_remove(s, STR("n"), STR("a")));
    kube_store_free(s);
    assert_string_equal(kube_object_name(a).ptr, "a"); /* a reference outlives the store */
}

static void store_replaces(void **state)
{
    (void)state;
    struct store *s = kube_store_new();
    (void)put(s, "same", "u1", "1");
    (void)put(s, "changed", "u2", "1");
    (void)put(s, "recreated", "u3", "1");
    (void)put(s, "gone", "u4", "1");
    struct map *next = kube_staging_new();
    kube_staging_put(next, version("same", "u1", "1"));
    kube_staging_put(next, version("changed", "u2", "0"));
    kube_staging_put(next, version("changed", "u2", "2")); /* twice in one list: the last */
    kube_staging_put(next, version("recreated", "u5", "1"));
    kube_staging_put(next, version("new", "u6", "3"));
    struct kube_objects changed, gone, all;
    kube_store_replace(s, next, &changed, &gone);
    assert_int_equal(changed.count, 3);
    assert_int_equal(gone.count, 1);
    assert_string_equal(kube_object_name(gone.items[0]).ptr, "gone");
    kube_store_list(s, &all);
    assert_int_equal(all.count, 4);
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        kube_store_get(s, STR("n"), STR("changed"));
    assert_string_equal(kube_object_resource_version(o).ptr, "2");
    kube_objects_fini(&changed);
    kube_objects_fini(&gone);
    kube_objects_fini(&all);
    kube_objects_fini(&all);
    kube_staging_free(next);
    kube_store_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_read),
        cmocka_unit_test(packed_shares_all_but_the_tree),
        cmocka_unit_test(packed_keeps_why_it_cannot_be_read),
        cmocka_unit_test(two_threads_ask_at_once),
        cmocka_unit_test(bookkeeping_is_dropped),
        cmocka_unit_test(absent_metadata_is_empty),
        cmocka_unit_test(bad_objects_keep_their_identity),
        cmocka_unit_test(big_objects_are_undecodable),
        cmocka_unit_test(objects_without_a_name_are_refused),
        cmocka_unit_test(store_tells_changes),
        cmocka_unit_test(store_replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
