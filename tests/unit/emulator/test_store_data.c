// SPDX-License-Identifier: Apache-2.0
/*
 * The state on disk: all that a store has comes back, from records and from a snapshot; what cannot
 * be written is not done.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "change_priv.h"
#include "crypto/crypto.h"
#include "journal_priv.h"
#include "store_impl_priv.h"
#include "store_priv.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ACCOUNT "123456789012"
#define OCI     "application/vnd.oci.image.manifest.v1+json"
#define INDEX   "application/vnd.oci.image.index.v1+json"

enum { STATE_TEXT_MAX = 1024 * 1024 };

struct fixture {
    char dir[64];
    char blob_dir[96];
    struct clock_fake clock;
    struct blobs *blobs;
    struct emu_store *store;
};

static bool try_start(struct fixture *f, const struct emulator_behavior *behavior,
                      const char *account, const char *region, struct err *e)
{
    f->blobs = blobs_open_directory(f->blob_dir, &f->clock.clock, e);
    assert_non_null(f->blobs);
    f->store =
        emu_store_new(behavior, &f->clock.clock, f->blobs, str_from(account), str_from(region));
    return emu_store_load(f->store, f->dir, e);
}

static void start(struct fixture *f)
{
    struct emulator_behavior behavior = {0};
    struct err e = ERR_INIT;

    if (!try_start(f, &behavior, ACCOUNT, "us-east-1", &e))
        fail_msg("%s", e.msg);
}

static void stop(struct fixture *f)
{
    f->store = emu_store_free(f->store);
    f->blobs = blobs_free(f->blobs);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/test_data_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->blob_dir, sizeof(f->blob_dir), "%s/blobs", f->dir);
    clock_fake_init(&f->clock, 1700000000000);
    *state = f;
    return 0;
}

static size_t each_blob_file(const struct fixture *f, bool is_removing)
{
    size_t n = 0;
    DIR *d = opendir(f->blob_dir);

    assert_non_null(d);
    for (struct dirent *it; (it = readdir(d)) != NULL;) {
        if (it->d_name[0] == '.')
            continue;
        n++;
        if (is_removing)
            assert_int_equal(unlinkat(dirfd(d), it->d_name, 0), 0);
    }
    closedir(d);
    return n;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char path[96];

    stop(f);
    (void)each_blob_file(f, true);
    assert_int_equal(rmdir(f->blob_dir), 0);
    snprintf(path, sizeof(path), "%s/journal", f->dir);
    (void)unlink(path);
    assert_int_equal(rmdir(f->dir), 0);
    mem_free(f);
    return 0;
}

/* ---- a state with something of everything ---- */

static void upload(struct fixture *f, const char *repository, const char *bytes,
                   char digest[static BLOB_DIGEST_MAX])
{
    struct err e = ERR_INIT;
    struct emu_error x = EMU_ERROR_INIT;
    struct blob_session *s = NULL;
    int64_t size = 0;
    char id[BLOB_UPLOAD_ID_MAX];
    char hex[CRYPTO_SHA256_HEX + 1];
    struct str name = str_from(repository);

    crypto_sha256_hex(str_from(bytes), hex);
    snprintf(digest, BLOB_DIGEST_MAX, "sha256:%s", hex);
    assert_int_equal(blobs_session_start(f->blobs, name, id, &e), BLOB_OK);
    assert_int_equal(blobs_session_acquire(f->blobs, name, str_from(id), 0, &s), BLOB_OK);
    assert_int_equal(blob_session_write(s, bytes, strlen(bytes), &e), BLOB_OK);
    assert_int_equal(blobs_session_keep(f->blobs, s, str_from(digest), &size, &e), BLOB_OK);
    assert_true(emu_store_link_locked(f->store, name, str_from(digest), size, &x));
    blobs_unpin(f->blobs, str_from(digest));
}

static struct emu_repository *create(struct fixture *f, const char *name)
{
    struct emu_repository *r = NULL;
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_settings settings = {.mutability = EMU_MUTABLE_WITH_EXCLUSION,
                                    .encryption = EMU_KMS_KEY,
                                    .n_filters = 2,
                                    .is_scan_on_push = true};

    settings.filters[0] = mem_strdup("dev-*");
    settings.filters[1] = mem_strdup("x");
    settings.kms_key = mem_strdup("alias/a\"b\\c\n");
    settings.policy = mem_strdup("{\n  \"Version\" : \"2012-10-17\"\n}");
    settings.lifecycle = mem_strdup("{\"rules\":[]}");
    assert_true(emu_settings_tag(&settings, STR("k"), STR("v")));
    assert_true(emu_settings_tag(&settings, STR("empty"), STR("")));
    assert_true(emu_store_create_repository_locked(f->store, str_from(name), &settings, &r, &x));
    emu_settings_fini(&settings);
    return r;
}

static struct emu_template *add_template(struct fixture *f, const char *prefix)
{
    struct emu_template *t = mem_alloc(sizeof(*t));
    struct emu_error x = EMU_ERROR_INIT;

    t->prefix = mem_strdup(prefix);
    t->description = mem_strdup("of \xc3\xa9t\xc3\xa9");
    t->applied_for = EMU_CREATE_ON_PUSH | EMU_REPLICATION;
    t->custom_role_arn = mem_strdup("arn:aws:iam::123456789012:role/r");
    t->settings.mutability = EMU_IMMUTABLE;
    assert_true(emu_settings_tag(&t->settings, STR("k"), STR("v")));
    assert_true(emu_store_add_template_locked(f->store, t, &x));
    return t;
}

static struct emu_image *put(struct fixture *f, struct emu_repository *r, const char *manifest,
                             const char *media_type, const char *tag)
{
    struct emu_put_image in = {
        .manifest = str_from(manifest), .media_type = str_from(media_type), .tag = str_from(tag)};
    struct emu_image *image = NULL;
    struct emu_error x = EMU_ERROR_INIT;

    if (!emu_store_put_image_locked(f->store, r, &in, &image, &x))
        fail_msg("%s", x.message);
    return image;
}

static struct emu_image *push(struct fixture *f, struct emu_repository *r, const char *layer,
                              const char *tag)
{
    char manifest[1024];
    char config_digest[BLOB_DIGEST_MAX];
    char layer_digest[BLOB_DIGEST_MAX];

    upload(f, r->name, "{}", config_digest);
    upload(f, r->name, layer, layer_digest);
    snprintf(manifest, sizeof(manifest),
             "{\"schemaVersion\":2,\n\t\"config\":{\"digest\":\"%s\",\"mediaType\":\"a/b\"},"
             "\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}],\"annotations\":{\"q\":\"\\\"\"}"
             " }\n",
             config_digest, layer_digest, layer_digest);
    return put(f, r, manifest, OCI, tag);
}

/* Everything that a change can be is in it at least once. */
static void fill(struct fixture *f)
{
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_repository *r = NULL;
    struct emu_repository *other = NULL;
    struct emu_image *image = NULL;
    struct emu_template *t = NULL;
    const char *why = NULL;
    char text[512];

    emu_store_lock(f->store);
    assert_true(emu_store_put_setting_locked(f->store, STR("BLOB_MOUNTING"), STR("ENABLED"), &x));
    t = emu_template_copy(add_template(f, "team"));
    t->description = mem_free(t->description);
    clock_fake_advance(&f->clock, 1234);
    assert_true(emu_store_update_template_locked(f->store, t, &x));
    assert_true(emu_store_remove_template_locked(f->store, add_template(f, "gone"), &x));
    (void)add_template(f, "ROOT");
    r = create(f, "by/hand");
    assert_true(emu_store_remove_repository_locked(f->store, create(f, "by/nobody"), &x));
    r = emu_repository_copy(r);
    r->settings.policy = mem_free(r->settings.policy);
    assert_true(emu_store_update_repository_locked(f->store, r, &x));
    assert_true(emu_store_repository_for_push_locked(f->store, STR("team/app"), &r, &x));
    image = push(f, r, "a layer", "v1");
    (void)put(f, r, image->manifest, OCI, "v2");
    clock_fake_advance(&f->clock, 5);
    emu_store_pulled_locked(f->store, r, image);
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":[{\"digest\":\"%s\"}],"
             "\"subject\":{\"digest\":\"%s\"}}",
             image->digest, image->digest);
    (void)put(f, r, text, INDEX, "index");
    (void)push(f, r, "another layer", "moved");
    image = push(f, r, "a third layer", "third");
    other = emu_store_repository_locked(f->store, STR("by/hand"), &x);
    assert_true(emu_store_untag_locked(f->store, r, STR("v2"), &x));
    (void)push(f, other, "of another", "t");
    assert_true(emu_store_remove_image_locked(f->store, r, image, &x));
    r = create(f, "target");
    assert_true(emu_store_mount_locked(f->store, r, STR("by/hand"),
                                       str_from(push(f, other, "of another", "t2")->layers[1]),
                                       &why));
    (void)push(f, other, "yet another", "t2"); /* moves the tag */
    emu_store_unlock(f->store);
}

/* ---- what a store has, as text ---- */

static void print_link(void *arg, struct str digest, const struct blob_info *info)
{
    buf_printf(arg, "    link %.*s %lld mounted %d referenced %d\n", STR_ARG(digest),
               (long long)info->size_bytes, info->is_mounted, info->is_referenced);
}

static void print_change(struct buf *out, const struct emu_change *c)
{
    struct json_writer w = json_writer_to(out);

    emu_change_write(&w, c);
    buf_append_char(out, '\n');
}

static void print_state(struct fixture *f, struct buf *out)
{
    struct emu_store *s = f->store;

    emu_store_lock(s);
    buf_printf(out, "mounting %s\n", emu_store_setting_locked(s, STR("BLOB_MOUNTING")));
    for (struct map_entry *it = map_first(s->templates); it; it = map_next(it))
        print_change(out,
                     &(struct emu_change){.kind = EMU_CHANGE_TEMPLATE, .template = map_value(it)});
    for (struct map_entry *it = map_first(s->repositories); it; it = map_next(it)) {
        struct emu_repository *r = map_value(it);

        print_change(out, &(struct emu_change){.kind = EMU_CHANGE_REPOSITORY, .repository = r});
        blobs_links_each(f->blobs, map_key(it), print_link, out);
        for (struct map_entry *at = map_first(r->images); at; at = map_next(at)) {
            struct emu_image *i = map_value(at);

            print_change(out, &(struct emu_change){.kind = EMU_CHANGE_IMAGE, .image = i});
            buf_printf(out, "    layers %zu children %zu parents %u subject %s type %s tags",
                       i->n_layers, i->n_children, i->parents, i->subject ? i->subject : "-",
                       i->artifact_type ? i->artifact_type : "-");
            for (size_t n = 0; n < i->n_tags; n++) {
                assert_ptr_equal(map_get(r->tags, str_from(i->tags[n])), i);
                buf_printf(out, " %s", i->tags[n]);
            }
            buf_append_char(out, '\n');
        }
    }
    buf_printf(out, "%llu images, %llu bytes, %llu templates, %llu repositories\n",
               (unsigned long long)s->stats.images, (unsigned long long)s->stats.manifest_bytes,
               (unsigned long long)s->stats.templates, (unsigned long long)s->stats.repositories);
    buf_printf(out, "next %llu\n", (unsigned long long)s->next_seq);
    emu_store_unlock(s);
    assert_true(buf_ok(out));
}

static void flush(struct fixture *f)
{
    struct err e = ERR_INIT;

    assert_true(emu_store_flush(f->store, &e));
}

static void assert_same_state(const struct buf *want, const struct buf *got)
{
    assert_true(want->len > 1000);
    assert_string_equal(buf_cstr(want), buf_cstr(got));
}

static void all_comes_back(void **state)
{
    struct fixture *f = *state;
    struct buf want BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    struct buf got BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    struct buf again BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    size_t files = 0;

    start(f);
    fill(f);
    flush(f);
    print_state(f, &want);
    files = each_blob_file(f, false);
    stop(f);
    start(f);
    print_state(f, &got);
    assert_same_state(&want, &got);
    assert_int_equal(each_blob_file(f, false), files);
    /* the same once more, from a snapshot */
    emu_store_lock(f->store);
    f->store->journal = journal_free(f->store->journal);
    emu_store_unlock(f->store);
    char path[96];
    snprintf(path, sizeof(path), "%s/journal", f->dir);
    assert_int_equal(unlink(path), 0);
    struct err e = ERR_INIT;
    f->store->load = mem_free(f->store->load);
    assert_true(emu_store_load(f->store, f->dir, &e));
    stop(f);
    start(f);
    print_state(f, &again);
    assert_same_state(&want, &again);
}

static void blob_files_go_only_when_that_is_on_disk(void **state)
{
    struct fixture *f = *state;
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_repository *r = NULL;
    char digest[BLOB_DIGEST_MAX];

    start(f);
    emu_store_lock(f->store);
    r = create(f, "a/b");
    upload(f, "a/b", "bytes", digest);
    assert_int_equal(each_blob_file(f, false), 1);
    assert_true(emu_store_remove_repository_locked(f->store, r, &x));
    assert_int_equal(each_blob_file(f, false), 1);
    /* needed again before it went */
    (void)create(f, "c/d");
    upload(f, "c/d", "bytes", digest);
    emu_store_unlock(f->store);
    flush(f);
    assert_int_equal(each_blob_file(f, false), 1);
    emu_store_lock(f->store);
    r = emu_store_repository_locked(f->store, STR("c/d"), &x);
    assert_true(emu_store_remove_repository_locked(f->store, r, &x));
    emu_store_unlock(f->store);
    flush(f);
    assert_int_equal(each_blob_file(f, false), 0);
}

static void strays_go_at_a_start(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct blob_session *s = NULL;
    char id[BLOB_UPLOAD_ID_MAX];
    char digest[BLOB_DIGEST_MAX];
    int64_t size = 0;
    char hex[CRYPTO_SHA256_HEX + 1];

    /* an upload that nobody ended, and a blob of which no record says that it is a repository's */
    f->blobs = blobs_open_directory(f->blob_dir, &f->clock.clock, &e);
    crypto_sha256_hex(STR("x"), hex);
    snprintf(digest, sizeof(digest), "sha256:%s", hex);
    assert_int_equal(blobs_session_start(f->blobs, STR("a/b"), id, &e), BLOB_OK);
    assert_int_equal(blobs_session_acquire(f->blobs, STR("a/b"), str_from(id), 0, &s), BLOB_OK);
    assert_int_equal(blob_session_write(s, "x", 1, &e), BLOB_OK);
    assert_int_equal(blobs_session_keep(f->blobs, s, str_from(digest), &size, &e), BLOB_OK);
    f->blobs = blobs_free(f->blobs);
    assert_int_equal(each_blob_file(f, false), 1);
    start(f);
    assert_int_equal(each_blob_file(f, false), 0);
}

static void missing_and_short_blobs_are_refused(void **state)
{
    struct fixture *f = *state;
    struct emulator_behavior behavior = {0};
    char digest[BLOB_DIGEST_MAX];
    char path[256];

    start(f);
    emu_store_lock(f->store);
    (void)create(f, "a/b");
    upload(f, "a/b", "bytes", digest);
    emu_store_unlock(f->store);
    flush(f);
    stop(f);
    snprintf(path, sizeof(path), "%s/%s", f->blob_dir, digest);
    for (int i = 0; i < 2; i++) {
        struct err e = ERR_INIT;

        if (i == 0)
            assert_int_equal(truncate(path, 4), 0);
        else
            assert_int_equal(unlink(path), 0);
        assert_false(try_start(f, &behavior, ACCOUNT, "us-east-1", &e));
        assert_non_null(strstr(e.msg, path));
        assert_non_null(strstr(e.msg, i == 0 ? "has 4 bytes" : "missing"));
        stop(f);
    }
}

static void another_registry_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *account;
        const char *region;
        bool is_slash_distinct;
        const char *says;
    } rows[] = {
        {"210987654321", "us-east-1", false, "account 123456789012"},
        {ACCOUNT, "eu-west-1", false, "region us-east-1"},
        {ACCOUNT, "us-east-1", true, "trailingSlash same"},
    };

    start(f);
    fill(f);
    stop(f);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct emulator_behavior behavior = {.is_slash_distinct = rows[i].is_slash_distinct};
        struct err e = ERR_INIT;

        assert_false(try_start(f, &behavior, rows[i].account, rows[i].region, &e));
        assert_int_equal(e.cls, ERR_INVALID);
        assert_non_null(strstr(e.msg, rows[i].says));
        stop(f);
    }
    start(f);
}

/* Nothing that fails to be written is done; reads go on, and so does the rest when there is room
 * again. */
static void full_disk_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf want BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    struct buf got BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    struct buf after BERTH_CLEANUP(buf_fini) = BUF_INIT(STATE_TEXT_MAX);
    struct emu_error x[6];
    struct emu_template *t = NULL;
    struct emu_repository *r = NULL;
    struct emu_repository *made = NULL;
    struct emu_settings settings = {0};
    struct rlimit before;
    struct rlimit none;
    char path[96];
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(x); i++)
        x[i] = EMU_ERROR_INIT;
    start(f);
    fill(f);
    flush(f);
    print_state(f, &want);
    snprintf(path, sizeof(path), "%s/journal", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)st.st_size + 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    emu_store_lock(f->store);
    t = emu_store_template_locked(f->store, STR("team"));
    r = emu_store_repository_locked(f->store, STR("team/app"), &x[0]);
    assert_false(
        emu_store_put_setting_locked(f->store, STR("BLOB_MOUNTING"), STR("DISABLED"), &x[0]));
    assert_false(emu_store_remove_template_locked(f->store, t, &x[1]));
    assert_false(
        emu_store_create_repository_locked(f->store, STR("new/one"), &settings, &made, &x[2]));
    assert_null(made);
    assert_false(emu_store_remove_repository_locked(f->store, r, &x[3]));
    assert_false(emu_store_untag_locked(f->store, r, STR("v1"), &x[4]));
    assert_false(emu_store_remove_image_locked(
        f->store, r, emu_repository_image_locked(r, STR("moved")), &x[5]));
    emu_store_unlock(f->store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < ARRAY_SIZE(x); i++)
        assert_int_equal(x[i].code, EMU_SERVER);
    print_state(f, &got);
    assert_same_state(&want, &got);
    emu_store_lock(f->store);
    x[0] = EMU_ERROR_INIT;
    assert_true(
        emu_store_put_setting_locked(f->store, STR("BLOB_MOUNTING"), STR("DISABLED"), &x[0]));
    emu_store_unlock(f->store);
    flush(f);
    stop(f);
    start(f);
    print_state(f, &after);
    assert_memory_equal(buf_cstr(&after), "mounting DISABLED", strlen("mounting DISABLED"));
    assert_string_equal(strchr(buf_cstr(&after), '\n'), strchr(buf_cstr(&want), '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blob_files_go_only_when_that_is_on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strays_go_at_a_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_and_short_blobs_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_registry_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_changes_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
