// SPDX-License-Identifier: Apache-2.0
/*
 * What the registry reads from a request: path, tag, ranges, Accept.
 */
#include "v2_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum v2_kind kind;
        const char *name;
        const char *reference;
    } cases[] = {
        {"/v2", V2_BASE, "", ""},
        {"/v2/", V2_BASE, "", ""},
        {"/v2/_catalog", V2_CATALOG, "", ""},
        {"/v2/app/tags/list", V2_TAGS, "app", ""},
        {"/v2/team/app/tags/list", V2_TAGS, "team/app", ""},
        {"/v2/team/app/manifests/v1", V2_MANIFEST, "team/app", "v1"},
        {"/v2/app/blobs/sha256:00", V2_BLOB, "app", "sha256:00"},
        {"/v2/app/blobs/uploads/", V2_UPLOAD_START, "app", ""},
        {"/v2/app/blobs/uploads", V2_UPLOAD_START, "app", ""},
        {"/v2/app/blobs/uploads/8a0c", V2_UPLOAD, "app", "8a0c"},
        {"/v2/app/referrers/sha256:00", V2_REFERRERS, "app", "sha256:00"},
        /* repositories named with words of the API */
        {"/v2/manifests/app/manifests/v1", V2_MANIFEST, "manifests/app", "v1"},
        {"/v2/team/blobs/blobs/uploads/", V2_UPLOAD_START, "team/blobs", ""},
        {"/v2/blobs/uploads/blobs/uploads/x", V2_UPLOAD, "blobs/uploads", "x"},
        {"/v2/tags/list/tags/list", V2_TAGS, "tags/list", ""},
        {"/v2/blobs/manifests/uploads", V2_MANIFEST, "blobs", "uploads"},
        /* names are left to the grammar of names */
        {"/v2/UPPER/../x/manifests/v1", V2_MANIFEST, "UPPER/../x", "v1"},
        {"/v2//a/manifests/v1", V2_MANIFEST, "/a", "v1"},
        /* no part of the API */
        {"/v1/", V2_UNKNOWN, "", ""},
        {"/v2/app", V2_UNKNOWN, "", ""},
        {"/v2/manifests/v1", V2_UNKNOWN, "", ""},
        {"/v2/blobs/uploads/", V2_UNKNOWN, "", ""},
        {"/v2/app/manifests/", V2_UNKNOWN, "", ""},
        {"/v2/app/uploads/x", V2_UNKNOWN, "", ""},
        {"/v2/app/manifests/v1/x", V2_UNKNOWN, "", ""},
        {"/v2/_catalog/x", V2_UNKNOWN, "", ""},
        {"", V2_UNKNOWN, "", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct v2_target got = v2_parse_path(str_from(cases[i].path));
        if (got.kind != cases[i].kind || !str_eq_cstr(got.name, cases[i].name) ||
            !str_eq_cstr(got.reference, cases[i].reference))
            fail_msg("%s: kind %d, name %.*s, reference %.*s", cases[i].path, (int)got.kind,
                     STR_ARG(got.name), STR_ARG(got.reference));
    }
}

static void tags(void **state)
{
    (void)state;
    static const char longest[] =
        "_23456789a123456789b123456789c123456789d123456789e123456789f12345"
        "6789g123456789h123456789i123456789j123456789k123456789l12345678";
    static const struct {
        const char *tag;
        bool want;
    } cases[] = {
        {"v1", true},   {"_", true},    {"1.0-rc.1", true},  {longest, true},
        {"", false},    {".v1", false}, {"-", false},        {"a:b", false},
        {"a/b", false}, {"a b", false}, {"\xc3\xa9", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (v2_is_tag(str_from(cases[i].tag)) != cases[i].want)
            fail_msg("%s", cases[i].tag);
    }
    assert_int_equal(sizeof(longest) - 1, V2_TAG_MAX);
    assert_false(
        v2_is_tag(str_n("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                        V2_TAG_MAX + 1)));
}

static void content_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool want;
        int64_t start;
        int64_t end;
    } cases[] = {
        {"0-0", true, 0, 0},
        {"0-1023", true, 0, 1023},
        {"1024-2047", true, 1024, 2047},
        {"", false, 0, 0},
        {"5", false, 0, 0},
        {"5-", false, 0, 0},
        {"-5", false, 0, 0},
        {"5-4", false, 0, 0},
        {"bytes 0-5/6", false, 0, 0},
        {"0-5/6", false, 0, 0},
        {"+1-5", false, 0, 0},
        {"0--1", false, 0, 0},
        {" 0-5", false, 0, 0},
        {"0-9223372036854775808", false, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t start;
        int64_t end;
        bool got = v2_parse_content_range(str_from(cases[i].header), &start, &end);
        if (got != cases[i].want || start != cases[i].start || end != cases[i].end)
            fail_msg("%s", cases[i].header);
    }
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *header; /* for a blob of 1000 bytes */
        enum v2_range want;
        int64_t start;
        int64_t len;
    } cases[] = {
        {NULL, V2_RANGE_ALL, 0, 1000},
        {"bytes=0-0", V2_RANGE_PART, 0, 1},
        {"bytes=0-999", V2_RANGE_PART, 0, 1000},
        {"bytes=500-", V2_RANGE_PART, 500, 500},
        {"bytes=500-5000", V2_RANGE_PART, 500, 500},
        {"bytes=-100", V2_RANGE_PART, 900, 100},
        {"bytes=-5000", V2_RANGE_PART, 0, 1000},
        {"bytes=999-", V2_RANGE_PART, 999, 1},
        {"bytes=1000-", V2_RANGE_UNSATISFIABLE, 0, 1000},
        {"bytes=1000-1001", V2_RANGE_UNSATISFIABLE, 0, 1000},
        {"bytes=-0", V2_RANGE_UNSATISFIABLE, 0, 1000},
        /* forms that may be ignored */
        {"bytes=5-4", V2_RANGE_ALL, 0, 1000},
        {"bytes=0-1,3-4", V2_RANGE_ALL, 0, 1000},
        {"bytes=-", V2_RANGE_ALL, 0, 1000},
        {"bytes=a-b", V2_RANGE_ALL, 0, 1000},
        {"items=0-1", V2_RANGE_ALL, 0, 1000},
        {"bytes=0-9223372036854775808", V2_RANGE_ALL, 0, 1000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t start;
        int64_t len;
        enum v2_range got = v2_parse_range(str_from(cases[i].header), 1000, &start, &len);
        if (got != cases[i].want || start != cases[i].start || len != cases[i].len)
            fail_msg("%s: %d, %lld + %lld", cases[i].header, (int)got, (long long)start,
                     (long long)len);
    }
}

static void media_types(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        const char *type;
        bool want;
    } cases[] = {
        {"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.index.v1+json",
         true},
        {"*/*", "application/vnd.oci.image.index.v1+json", true},
        {"application/*", "application/vnd.oci.image.index.v1+json", true},
        {"text/html, application/vnd.oci.image.index.v1+json;q=0.5",
         "application/vnd.oci.image.index.v1+json", true},
        {"Application/VND.oci.image.index.v1+json", "application/vnd.oci.image.index.v1+json",
         true},
        {"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
         false},
        {"application/vnd.oci.image.index.v1+json+x", "application/vnd.oci.image.index.v1+json",
         false},
        {"text/*", "application/json", false},
        {"", "application/json", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (v2_accepts(str_from(cases[i].accept), str_from(cases[i].type)) != cases[i].want)
            fail_msg("%s", cases[i].accept);
    }
    assert_true(
        str_eq_cstr(v2_media_type(STR("application/json; charset=utf-8")), "application/json"));
    assert_true(str_eq_cstr(v2_media_type(STR(" a/b ")), "a/b"));
    assert_true(str_is_null(v2_media_type(STR_NULL)));
    assert_true(str_is_null(v2_media_type(STR(" ; x=y"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),  cmocka_unit_test(tags),        cmocka_unit_test(content_ranges),
        cmocka_unit_test(ranges), cmocka_unit_test(media_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
