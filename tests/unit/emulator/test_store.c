// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of the store: which template a push gets, what is created from it, which tags move,
 * which blobs are mounted, what goes with an image.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "crypto/crypto.h"
#include "store_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ACCOUNT "123456789012"
#define OCI     "application/vnd.oci.image.manifest.v1+json"

struct fixture {
    struct clock_fake clock;
    struct blobs *blobs;
    struct emu_store *store;
};

static void start(struct fixture *f, const struct emulator_behavior *behavior)
{
    struct err e = ERR_INIT;

    clock_fake_init(&f->clock, 1700000000000);
    f->blobs = blobs_new(NULL, &f->clock.clock, &e);
    assert_non_null(f->blobs);
    f->store = emu_store_new(behavior, &f->clock.clock, f->blobs, STR(ACCOUNT), STR("us-east-1"));
    emu_store_lock(f->store);
}

static void stop(struct fixture *f)
{
    emu_store_unlock(f->store);
    f->store = emu_store_free(f->store);
    f->blobs = blobs_free(f->blobs);
}

static struct emu_template *add_template(struct fixture *f, const char *prefix, unsigned purposes)
{
    struct emu_template *t = mem_alloc(sizeof(*t));
    struct emu_error x = EMU_ERROR_INIT;

    t->prefix = mem_strdup(prefix);
    t->applied_for = purposes;
    assert_true(emu_store_add_template_locked(f->store, t, &x));
    return t;
}

/* ---- templates ---- */

static const struct {
    const char *repository;
    const char *by_purpose; /* prefix of the match when purposes are looked at first */
    const char *by_length;  /* … when the longest prefix is taken first */
} covered[] = {
    {"prod/x", "prod", "prod"},
    {"prod/team/x", "prod/team", "prod/team"},
    {"prod/team", "prod", "prod"}, /* a prefix does not cover its own name */
    {"prod/teams/x", "prod", "prod"},
    {"production/x", "ROOT", "ROOT"},
    {"prod", "ROOT", "ROOT"},
    {"prod/cache/x", "prod", NULL}, /* applied for pull-through only */
    {"prod/cache/team/y", "prod", NULL},
    {"x", "ROOT", "ROOT"},
};

static void test_which_template(void **state)
{
    (void)state;
    for (int is_longest_first = 0; is_longest_first < 2; is_longest_first++) {
        struct emulator_behavior behavior = {.is_longest_prefix_first = is_longest_first == 1};
        struct fixture f;

        start(&f, &behavior);
        (void)add_template(&f, "prod", EMU_CREATE_ON_PUSH);
        (void)add_template(&f, "prod/cache", EMU_PULL_THROUGH_CACHE);
        (void)add_template(&f, "prod/team/", EMU_CREATE_ON_PUSH | EMU_REPLICATION);
        (void)add_template(&f, "ROOT", EMU_CREATE_ON_PUSH);
        for (size_t i = 0; i < ARRAY_SIZE(covered); i++) {
            const char *want = is_longest_first ? covered[i].by_length : covered[i].by_purpose;
            const struct emu_template *got = emu_store_match_template_locked(
                f.store, str_from(covered[i].repository), EMU_CREATE_ON_PUSH);

            assert_int_equal(got != NULL, want != NULL);
            if (want != NULL)
                assert_string_equal(got->prefix, want);
        }
        assert_null(emu_store_match_template_locked(f.store, STR("other/x"), EMU_REPLICATION));
        stop(&f);
    }
}

static void test_trailing_slash(void **state)
{
    struct emulator_behavior distinct = {.is_slash_distinct = true};
    struct emulator_behavior same = {0};
    struct emu_template *t = NULL;
    struct fixture f;

    (void)state;
    start(&f, &same);
    t = add_template(&f, "a/", EMU_CREATE_ON_PUSH);
    assert_ptr_equal(t, emu_store_template_locked(f.store, STR("a")));
    stop(&f);
    start(&f, &distinct);
    t = add_template(&f, "a/", EMU_CREATE_ON_PUSH);
    assert_ptr_not_equal(t, add_template(&f, "a", EMU_REPLICATION));
    assert_string_equal(
        emu_store_match_template_locked(f.store, STR("a/b"), EMU_CREATE_ON_PUSH)->prefix, "a/");
    stop(&f);
}

static void test_create_on_push(void **state)
{
    struct emulator_behavior behavior = {0};
    struct fixture f;
    struct emu_template *t = NULL;
    struct emu_repository *r = NULL;
    struct emu_repository *again = NULL;
    struct emu_error x = EMU_ERROR_INIT;

    (void)state;
    start(&f, &behavior);
    assert_false(emu_store_repository_for_push_locked(f.store, STR("team/app"), &r, &x));
    assert_int_equal(x.code, EMU_REPOSITORY_NOT_FOUND);
    assert_string_equal(x.message, "The repository with name 'team/app' does not exist in the "
                                   "registry with id '" ACCOUNT "'");
    t = add_template(&f, "team", EMU_CREATE_ON_PUSH);
    t->settings.mutability = EMU_IMMUTABLE;
    t->settings.policy = mem_strdup("{}");
    assert_true(emu_settings_tag(&t->settings, STR("k"), STR("v")));
    /* tags without a role */
    x = EMU_ERROR_INIT;
    assert_false(emu_store_repository_for_push_locked(f.store, STR("team/app"), &r, &x));
    assert_int_equal(x.code, EMU_REPOSITORY_NOT_FOUND);
    t->custom_role_arn = mem_strdup("arn:aws:iam::" ACCOUNT ":role/r");
    assert_true(emu_store_repository_for_push_locked(f.store, STR("team/app"), &r, &x));
    assert_true(r->is_created_on_push);
    assert_int_equal(r->settings.mutability, EMU_IMMUTABLE);
    assert_string_equal(r->settings.policy, "{}");
    assert_string_equal(r->settings.tags[0].value, "v");
    /* the template has no say over what exists */
    assert_true(emu_store_remove_template_locked(f.store, t, &x));
    assert_true(emu_store_repository_for_push_locked(f.store, STR("team/app"), &again, &x));
    assert_ptr_equal(again, r);
    /* a key without a role */
    t = add_template(&f, "kms", EMU_CREATE_ON_PUSH);
    t->settings.encryption = EMU_KMS_KEY;
    x = EMU_ERROR_INIT;
    assert_false(emu_store_repository_for_push_locked(f.store, STR("kms/a"), &r, &x));
    assert_int_equal(x.code, EMU_REPOSITORY_NOT_FOUND);
    x = EMU_ERROR_INIT;
    assert_false(emu_store_repository_for_push_locked(f.store, STR("kms/A"), &r, &x));
    assert_int_equal(x.code, EMU_INVALID_PARAMETER);
    stop(&f);
}

static void test_most_tags(void **state)
{
    struct emu_settings s = {0};
    struct emu_settings copy;

    (void)state;
    for (int i = 0; i < EMU_RESOURCE_TAGS_MAX; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "k%d", i);

        assert_true(emu_settings_tag(&s, str_n(key, (size_t)len), STR("")));
    }
    assert_false(emu_settings_tag(&s, STR("more"), STR("")));
    assert_true(emu_settings_tag(&s, STR("k7"), STR("new")));
    emu_settings_copy(&copy, &s);
    emu_settings_fini(&s);
    assert_int_equal(copy.n_tags, EMU_RESOURCE_TAGS_MAX);
    assert_string_equal(copy.tags[7].value, "new");
    emu_settings_fini(&copy);
}

/* ---- tags that move ---- */

static void test_filters(void **state)
{
    static const struct {
        const char *filter;
        const char *tag;
        bool is_match;
    } cases[] = {
        {"latest", "latest", true},
        {"latest", "latest1", false},
        {"latest", "late", false},
        {"*", "anything", true},
        {"*", "", true},
        {"v*", "v", true},
        {"v*", "xv", false},
        {"*-rc", "1-rc", true},
        {"*-rc", "1-rc-2", false},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "abc", true},
        {"a*b*c", "acb", false},
        {"*ab", "aaab", true},
        {"*aab*", "aaaab", true},
        {"", "", true},
        {"", "a", false},
        {"a.c", "abc", false},
        {"**", "x", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(emu_filter_matches(str_from(cases[i].filter), str_from(cases[i].tag)),
                         cases[i].is_match);
}

static void test_mutability(void **state)
{
    static char filter[] = "v*";
    static const struct {
        enum emu_mutability mutability;
        bool is_v1_immutable;
        bool is_latest_immutable;
    } cases[] = {
        {EMU_MUTABLE, false, false},
        {EMU_IMMUTABLE, true, true},
        {EMU_IMMUTABLE_WITH_EXCLUSION, false, true},
        {EMU_MUTABLE_WITH_EXCLUSION, true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct emu_repository r = {.settings = {.mutability = cases[i].mutability}};

        r.settings.filters[0] = filter;
        r.settings.n_filters = i < 2 ? 0 : 1;
        assert_int_equal(emu_repository_is_tag_immutable(&r, STR("v1")), cases[i].is_v1_immutable);
        assert_int_equal(emu_repository_is_tag_immutable(&r, STR("latest")),
                         cases[i].is_latest_immutable);
    }
}

/* ---- images and blobs ---- */

/* Uploads bytes; *digest is 72 characters. */
static void upload(struct fixture *f, const char *repository, const char *bytes, char *digest)
{
    struct err e = ERR_INIT;
    struct emu_error x = EMU_ERROR_INIT;
    struct blob_session *s = NULL;
    int64_t size = 0;
    char id[BLOB_UPLOAD_ID_MAX];
    char hex[CRYPTO_SHA256_HEX + 1];

    crypto_sha256_hex(str_from(bytes), hex);
    snprintf(digest, BLOB_DIGEST_MAX, "sha256:%s", hex);
    assert_int_equal(blobs_session_start(f->blobs, str_from(repository), id, &e), BLOB_OK);
    assert_int_equal(blobs_session_acquire(f->blobs, str_from(repository), str_from(id), 0, &s),
                     BLOB_OK);
    assert_int_equal(blob_session_write(s, bytes, strlen(bytes), &e), BLOB_OK);
    assert_int_equal(blobs_session_keep(f->blobs, s, str_from(digest), &size, &e), BLOB_OK);
    assert_true(emu_store_link_locked(f->store, str_from(repository), str_from(digest), size, &x));
    blobs_unpin(f->blobs, str_from(digest));
}

static struct emu_repository *create(struct fixture *f, const char *name, const char *kms_key)
{
    struct emu_repository *r = NULL;
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_settings settings = {0};

    if (kms_key != NULL) {
        settings.encryption = EMU_KMS_KEY;
        settings.kms_key = kms_key[0] ? mem_strdup(kms_key) : NULL;
    }
    assert_true(emu_store_create_repository_locked(f->store, str_from(name), &settings, &r, &x));
    emu_settings_fini(&settings);
    return r;
}

static void print_manifest(char *out, size_t size, const char *config, const char *layer)
{
    snprintf(out, size,
             "{\"schemaVersion\":2,\"mediaType\":\"" OCI "\",\"config\":{\"digest\":\"%s\"},"
             "\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}",
             config, layer, layer);
}

static enum emu_code put(struct fixture *f, struct emu_repository *r, const char *manifest,
                         const char *tag, struct emu_image **ret)
{
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_put_image in = {.manifest = str_from(manifest), .tag = str_from(tag)};
    bool is_ok = emu_store_put_image_locked(f->store, r, &in, ret, &x);

    assert_int_equal(is_ok, x.code == EMU_OK);
    return x.code;
}

static void test_life_of_an_image(void **state)
{
    struct emulator_behavior behavior = {0};
    struct fixture f;
    struct emu_repository *r = NULL;
    struct emu_image *image = NULL;
    struct emu_error x = EMU_ERROR_INIT;
    struct blob_info info;
    char config[BLOB_DIGEST_MAX];
    char layer[BLOB_DIGEST_MAX];
    char manifest[1024];

    (void)state;
    start(&f, &behavior);
    r = create(&f, "team/app", NULL);
    upload(&f, "team/app", "{}", config);
    snprintf(layer, sizeof(layer), "sha256:%064d", 0);
    print_manifest(manifest, sizeof(manifest), config, layer);
    assert_int_equal(put(&f, r, manifest, "v1", &image), EMU_LAYERS_NOT_FOUND);
    assert_null(image);
    upload(&f, "team/app", "a layer", layer);
    print_manifest(manifest, sizeof(manifest), config, layer);
    assert_int_equal(put(&f, r, manifest, "v1", &image), EMU_OK);
    assert_int_equal(image->size_bytes, strlen("{}") + strlen("a layer"));
    assert_int_equal(image->n_layers, 2);
    assert_int_equal(image->pushed_ms, 1700000000000);
    assert_ptr_equal(emu_repository_image_locked(r, STR("v1")), image);
    assert_ptr_equal(emu_repository_image_locked(r, str_from(image->digest)), image);
    assert_true(blobs_find(f.blobs, STR("team/app"), str_from(layer), &info));
    assert_true(info.is_referenced);
    /* /v2/ answers 201 to the same again, and wants the image */
    assert_int_equal(put(&f, r, manifest, "v1", &image), EMU_IMAGE_ALREADY_EXISTS);
    assert_non_null(image);
    assert_int_equal(put(&f, r, manifest, NULL, &image), EMU_IMAGE_ALREADY_EXISTS);
    assert_int_equal(put(&f, r, manifest, "v2", &image), EMU_OK);
    assert_int_equal(image->n_tags, 2);
    assert_true(emu_store_untag_locked(f.store, r, STR("v1"), &x));
    assert_null(emu_repository_image_locked(r, STR("v1")));
    assert_int_equal(image->n_tags, 1);
    assert_true(emu_store_remove_image_locked(f.store, r, image, &x));
    assert_null(emu_repository_image_locked(r, STR("v2")));
    assert_false(blobs_find(f.blobs, STR("team/app"), str_from(layer), &info));
    assert_int_equal(emu_store_stats_locked(f.store)->manifest_bytes, 0);
    stop(&f);
}

static void test_mount(void **state)
{
    struct emulator_behavior behavior = {0};
    struct fixture f;
    struct emu_repository *source = NULL;
    struct emu_repository *target = NULL;
    struct emu_image *image = NULL;
    struct emu_error x = EMU_ERROR_INIT;
    const char *why = NULL;
    char config[BLOB_DIGEST_MAX];
    char layer[BLOB_DIGEST_MAX];
    char manifest[1024];
    struct str digest = STR_NULL;

    (void)state;
    start(&f, &behavior);
    source = create(&f, "source", NULL);
    target = create(&f, "target", NULL);
    upload(&f, "source", "{}", config);
    upload(&f, "source", "a layer", layer);
    digest = str_from(layer);
    assert_false(emu_store_mount_locked(f.store, target, STR("source"), digest, &why));
    assert_string_equal(why, "disabled");
    assert_true(emu_store_put_setting_locked(f.store, STR("BLOB_MOUNTING"), STR("ENABLED"), &x));
    assert_false(emu_store_mount_locked(f.store, target, STR("source"), digest, &why));
    assert_string_equal(why, "unreferenced");
    print_manifest(manifest, sizeof(manifest), config, layer);
    assert_int_equal(put(&f, source, manifest, "v1", &image), EMU_OK);
    assert_false(emu_store_mount_locked(f.store, target, STR_NULL, digest, &why));
    assert_string_equal(why, "no-source");
    assert_false(emu_store_mount_locked(f.store, target, STR("target"), digest, &why));
    assert_false(emu_store_mount_locked(f.store, target, STR("nowhere"), digest, &why));
    assert_string_equal(why, "no-source");
    assert_true(emu_store_mount_locked(f.store, target, STR("source"), digest, &why));
    assert_int_equal(emu_store_stats_locked(f.store)->mounted_bytes, strlen("a layer"));
    /* once is enough */
    assert_true(emu_store_mount_locked(f.store, target, STR("source"), digest, &why));
    assert_int_equal(emu_store_stats_locked(f.store)->mounted_blobs, 1);
    /* what is mounted stays, whatever becomes of source and setting */
    assert_true(emu_store_put_setting_locked(f.store, STR("BLOB_MOUNTING"), STR("DISABLED"), &x));
    assert_true(emu_store_remove_repository_locked(f.store, source, &x));
    upload(&f, "target", "{}", config);
    assert_int_equal(put(&f, target, manifest, "v1", &image), EMU_OK);
    stop(&f);
}

static void test_mount_wants_the_same_encryption(void **state)
{
    static const struct {
        const char *source; /* NULL: AES256; "": the managed key */
        const char *target;
        bool is_mounted;
    } cases[] = {
        {NULL, NULL, true}, {NULL, "", false},  {"", "", true},
        {"", "k1", false},  {"k1", "k1", true}, {"k1", "k2", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct emulator_behavior behavior = {0};
        struct fixture f;
        struct emu_repository *source = NULL;
        struct emu_repository *target = NULL;
        struct emu_image *image = NULL;
        struct emu_error x = EMU_ERROR_INIT;
        const char *why = NULL;
        char config[BLOB_DIGEST_MAX];
        char manifest[1024];

        start(&f, &behavior);
        source = create(&f, "source", cases[i].source);
        target = create(&f, "target", cases[i].target);
        upload(&f, "source", "{}", config);
        print_manifest(manifest, sizeof(manifest), config, config);
        assert_int_equal(put(&f, source, manifest, "v1", &image), EMU_OK);
        assert_true(
            emu_store_put_setting_locked(f.store, STR("BLOB_MOUNTING"), STR("ENABLED"), &x));
        assert_int_equal(
            emu_store_mount_locked(f.store, target, STR("source"), str_from(config), &why),
            cases[i].is_mounted);
        if (!cases[i].is_mounted)
            assert_string_equal(why, "encryption");
        stop(&f);
    }
}

static void test_limits(void **state)
{
    struct emulator_behavior behavior = {.max_templates = 1, .control_calls_per_second = 2};
    struct fixture f;
    struct emu_template *t = mem_alloc(sizeof(*t));
    struct emu_error x = EMU_ERROR_INIT;

    (void)state;
    start(&f, &behavior);
    (void)add_template(&f, "a", EMU_CREATE_ON_PUSH);
    t->prefix = mem_strdup("b");
    assert_false(emu_store_add_template_locked(f.store, t, &x));
    assert_int_equal(x.code, EMU_LIMIT_EXCEEDED);
    emu_template_free(t);
    assert_true(emu_store_take_call_locked(f.store));
    assert_true(emu_store_take_call_locked(f.store));
    assert_false(emu_store_take_call_locked(f.store));
    clock_fake_advance(&f.clock, 1000);
    assert_true(emu_store_take_call_locked(f.store));
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_template),
        cmocka_unit_test(test_trailing_slash),
        cmocka_unit_test(test_create_on_push),
        cmocka_unit_test(test_most_tags),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_mutability),
        cmocka_unit_test(test_life_of_an_image),
        cmocka_unit_test(test_mount),
        cmocka_unit_test(test_mount_wants_the_same_encryption),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
