// SPDX-License-Identifier: Apache-2.0
/*
 * The blob store: sessions, links, mounts, references, and what is left on disk after each.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "blob_priv.h"
#include "crypto/crypto.h"

#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define REPO_A   STR("team-a/app")
#define REPO_B   STR("team-b/app")
#define MANIFEST STR("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
#define OTHER    STR("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

struct fixture {
    char parent[64];
    struct clock_fake clock;
    struct blobs *blobs;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err e = ERR_INIT;
    snprintf(f->parent, sizeof(f->parent), "/tmp/test_blob_XXXXXX");
    assert_non_null(mkdtemp(f->parent));
    clock_fake_init(&f->clock, 1767225600000);
    f->blobs = blobs_new(f->parent, &f->clock.clock, &e);
    assert_non_null(f->blobs);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    blobs_free(f->blobs);
    /* the store took its directory along: the parent is empty */
    assert_int_equal(rmdir(f->parent), 0);
    mem_free(f);
    return 0;
}

/* Files in the store's directory. */
static size_t count_files(const struct fixture *f)
{
    size_t count = 0;
    DIR *parent = opendir(f->parent);
    assert_non_null(parent);
    for (struct dirent *sub; (sub = readdir(parent)) != NULL;) {
        char path[400];
        if (sub->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", f->parent, sub->d_name);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (struct dirent *it; (it = readdir(d)) != NULL;)
            count += it->d_name[0] != '.';
        closedir(d);
    }
    closedir(parent);
    return count;
}

struct digest {
    char text[BLOB_DIGEST_MAX];
};

static struct digest digest_of(struct str content)
{
    struct digest d;
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_sha256_hex(content, hex);
    snprintf(d.text, sizeof(d.text), "sha256:%s", hex);
    return d;
}

static struct blob_session *begin(struct fixture *f, struct str repository)
{
    struct err e = ERR_INIT;
    char id[BLOB_UPLOAD_ID_MAX];
    struct blob_session *s;
    assert_int_equal(blobs_session_start(f->blobs, repository, id, &e), BLOB_OK);
    assert_int_equal(blobs_session_acquire(f->blobs, repository, str_from(id), 0, &s), BLOB_OK);
    assert_string_equal(blob_session_id(s), id);
    return s;
}

static void write_all(struct blob_session *s, struct str content)
{
    struct err e = ERR_INIT;
    assert_int_equal(blob_session_write(s, content.ptr, content.len, &e), BLOB_OK);
}

/* What the state does with an upload that is complete. */
static enum blob_result commit(struct fixture *f, struct blob_session *s, struct str repository,
                               struct str digest, int64_t *size)
{
    struct err e = ERR_INIT;
    enum blob_result result = blobs_session_keep(f->blobs, s, digest, size, &e);
    if (result != BLOB_OK)
        return result;
    assert_true(blobs_link(f->blobs, repository, digest, false));
    blobs_unpin(f->blobs, digest);
    return BLOB_OK;
}

static enum blob_mount mount(struct fixture *f, struct str from, struct str to, struct str digest,
                             int64_t *size)
{
    enum blob_mount result = blobs_may_mount(f->blobs, from, to, digest, size);
    if (result == BLOB_MOUNT_OK)
        assert_true(blobs_link(f->blobs, to, digest, true));
    return result;
}

static struct digest upload(struct fixture *f, struct str repository, struct str content)
{
    struct digest d = digest_of(content);
    int64_t size;
    struct blob_session *s = begin(f, repository);
    write_all(s, content);
    assert_int_equal(commit(f, s, repository, str_from(d.text), &size), BLOB_OK);
    assert_int_equal(size, content.len);
    return d;
}

static void push_manifest(struct fixture *f, struct str repository, struct str manifest,
                          struct digest *d)
{
    struct str digest = str_from(d->text);
    bool is_missing;
    assert_true(blobs_manifest_begin(f->blobs, repository, manifest, &digest, 1, &is_missing));
    blobs_manifest_end(f->blobs, repository, manifest, true);
}

static bool has(struct fixture *f, struct str repository, const struct digest *d)
{
    struct blob_info info;
    return blobs_find(f->blobs, repository, str_from(d->text), &info);
}

/* --- digests ---------------------------------------------------------------------------------- */

static void digest_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *digest;
        bool want;
    } cases[] = {
        {"good", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", true},
        {"empty", "", false},
        {"no algorithm", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false},
        {"upper case", "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
         false},
        {"a digit short", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
         false},
        {"a digit long", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
         false},
        {"a path", "sha256:../44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85555",
         false},
        {"other algorithm",
         "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (blob_digest_is_valid(str_from(cases[i].digest)) != cases[i].want)
            fail_msg("%s", cases[i].name);
    }
}

/* --- uploads ---------------------------------------------------------------------------------- */

static void upload_in_pieces_and_read_back(void **state)
{
    struct fixture *f = *state;
    struct digest d = digest_of(STR("hello, world"));
    struct blob_session *s = begin(f, REPO_A);
    struct str id = str_from(blob_session_id(s));
    char id_copy[BLOB_UPLOAD_ID_MAX];
    snprintf(id_copy, sizeof(id_copy), "%.*s", STR_ARG(id));
    write_all(s, STR("hello, "));
    blobs_session_release(f->blobs, s);
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_A, str_from(id_copy), 0, &s), BLOB_OK);
    assert_int_equal(blob_session_size(s), 7);
    write_all(s, STR("world"));
    assert_false(has(f, REPO_A, &d));
    assert_int_equal(commit(f, s, REPO_A, str_from(d.text), NULL), BLOB_OK);

    int64_t size;
    char content[32] = {0};
    int fd = blobs_open(f->blobs, REPO_A, str_from(d.text), &size);
    assert_true(fd >= 0);
    assert_int_equal(size, 12);
    assert_int_equal(read(fd, content, sizeof(content)), 12);
    assert_string_equal(content, "hello, world");
    close(fd);
    /* the digest alone opens nothing */
    assert_int_equal(blobs_open(f->blobs, REPO_B, str_from(d.text), &size), -1);
    /* the session is over */
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_A, str_from(id_copy), 0, &s),
                     BLOB_UNKNOWN);
    assert_int_equal(count_files(f), 1);
}

static void wrong_digest_ends_the_session(void **state)
{
    struct fixture *f = *state;
    struct digest d = digest_of(STR("something else"));
    struct blob_session *s = begin(f, REPO_A);
    write_all(s, STR("content"));
    assert_int_equal(commit(f, s, REPO_A, str_from(d.text), NULL), BLOB_MISMATCH);
    assert_false(has(f, REPO_A, &d));
    assert_int_equal(count_files(f), 0);
}

static void truncate_goes_back(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct digest d = digest_of(STR("keep this"));
    struct blob_session *s = begin(f, REPO_A);
    write_all(s, STR("keep that and more"));
    assert_int_equal(blob_session_truncate(s, 7, &e), BLOB_OK);
    assert_int_equal(blob_session_size(s), 7);
    write_all(s, STR("is"));
    assert_int_equal(commit(f, s, REPO_A, str_from(d.text), NULL), BLOB_OK);
}

static void session_belongs_to_one_request_and_one_repository(void **state)
{
    struct fixture *f = *state;
    struct blob_session *second;
    struct blob_session *s = begin(f, REPO_A);
    struct str id = str_from(blob_session_id(s));
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_A, id, 0, &second), BLOB_BUSY);
    assert_null(second);
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_B, id, 0, &second), BLOB_UNKNOWN);
    blobs_session_cancel(f->blobs, s);
    assert_int_equal(count_files(f), 0);
}

struct waiter {
    struct fixture *fixture;
    char id[BLOB_UPLOAD_ID_MAX];
    enum blob_result result;
    struct blob_session *session;
};

static void wait_for_session(void *arg)
{
    struct waiter *w = arg;
    w->result =
        blobs_session_acquire(w->fixture->blobs, REPO_A, str_from(w->id), 60000, &w->session);
}

/* Returns when the waiter does wait: what comes after is what wakes it. */
static void start_waiter(struct thread *t, struct waiter *w)
{
    struct blobs_stats stats;
    *t = (struct thread){0};
    thread_start(t, "waiter", wait_for_session, w);
    do {
        sched_yield();
        blobs_stats(w->fixture->blobs, &stats);
    } while (stats.waiting == 0);
}

static void session_in_use_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct thread t;
    struct blob_session *s = begin(f, REPO_A);
    struct waiter w = {.fixture = f};
    snprintf(w.id, sizeof(w.id), "%s", blob_session_id(s));
    start_waiter(&t, &w);
    blobs_session_release(f->blobs, s);
    thread_join(&t);
    assert_int_equal(w.result, BLOB_OK);

    /* or found gone, when it ends instead */
    s = w.session;
    start_waiter(&t, &w);
    blobs_session_cancel(f->blobs, s);
    thread_join(&t);
    assert_int_equal(w.result, BLOB_UNKNOWN);
}

static void sessions_are_bounded_and_expire(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char id[BLOB_UPLOAD_ID_MAX];
    char refused[BLOB_UPLOAD_ID_MAX];
    struct blob_session *s;
    for (int i = 0; i < BLOB_SESSIONS_MAX; i++)
        assert_int_equal(blobs_session_start(f->blobs, REPO_A, id, &e), BLOB_OK);
    assert_int_equal(blobs_session_start(f->blobs, REPO_A, refused, &e), BLOB_FULL);
    assert_string_equal(refused, "");
    assert_int_equal(count_files(f), BLOB_SESSIONS_MAX);

    clock_fake_advance(&f->clock, BLOB_SESSION_IDLE_MS);
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_A, str_from(id), 0, &s), BLOB_OK);
    clock_fake_advance(&f->clock, 1);
    /* all went but the one in use, whose clock starts anew when it is let go */
    assert_int_equal(blobs_session_start(f->blobs, REPO_A, refused, &e), BLOB_OK);
    assert_int_equal(count_files(f), 2);
    blobs_session_release(f->blobs, s);
    assert_int_equal(blobs_session_acquire(f->blobs, REPO_A, str_from(id), 0, &s), BLOB_OK);
    blobs_session_cancel(f->blobs, s);
}

static void repository_deleted_while_uploading(void **state)
{
    struct fixture *f = *state;
    struct digest d = digest_of(STR("late"));
    struct blob_session *s = begin(f, REPO_A);
    struct blob_session *again;
    write_all(s, STR("late"));
    blobs_drop_repository(f->blobs, REPO_A);
    assert_int_equal(
        blobs_session_acquire(f->blobs, REPO_A, str_from(blob_session_id(s)), 0, &again),
        BLOB_UNKNOWN);
    assert_int_equal(commit(f, s, REPO_A, str_from(d.text), NULL), BLOB_UNKNOWN);
    assert_false(has(f, REPO_A, &d));
    s = begin(f, REPO_A);
    blobs_drop_repository(f->blobs, REPO_A);
    blobs_session_release(f->blobs, s);
    assert_int_equal(count_files(f), 0);
}

/* --- sharing ---------------------------------------------------------------------------------- */

static void same_bytes_twice_are_one_file(void **state)
{
    struct fixture *f = *state;
    struct blobs_stats stats;
    struct digest d = upload(f, REPO_A, STR("shared"));
    upload(f, REPO_A, STR("shared"));
    upload(f, REPO_B, STR("shared"));
    blobs_stats(f->blobs, &stats);
    assert_int_equal(stats.blobs, 1);
    assert_int_equal(stats.links, 2);
    assert_int_equal(stats.size_bytes, 6);
    blobs_drop_repository(f->blobs, REPO_A);
    assert_false(has(f, REPO_A, &d));
    assert_true(has(f, REPO_B, &d));
    blobs_drop_repository(f->blobs, REPO_B);
    assert_int_equal(count_files(f), 0);
}

static void mount_wants_a_pushed_manifest(void **state)
{
    struct fixture *f = *state;
    int64_t size;
    struct blob_info info;
    struct digest d = upload(f, REPO_A, STR("layer"));
    struct str digest = str_from(d.text);
    assert_int_equal(mount(f, REPO_B, REPO_A, digest, &size), BLOB_MOUNT_NO_SOURCE);
    assert_int_equal(mount(f, REPO_A, REPO_B, digest, &size), BLOB_MOUNT_UNREFERENCED);
    assert_false(has(f, REPO_B, &d));
    push_manifest(f, REPO_A, MANIFEST, &d);
    assert_int_equal(mount(f, REPO_A, REPO_B, digest, &size), BLOB_MOUNT_OK);
    assert_int_equal(size, 5);
    assert_true(blobs_find(f->blobs, REPO_B, digest, &info));
    assert_true(info.is_mounted);
    assert_false(info.is_referenced);
    assert_int_equal(mount(f, REPO_A, REPO_B, digest, &size), BLOB_MOUNT_THERE);
    assert_int_equal(size, 0);
    /* what is mounted outlives its source, but is no source itself before a manifest names it */
    blobs_drop_repository(f->blobs, REPO_A);
    assert_true(has(f, REPO_B, &d));
    assert_int_equal(mount(f, REPO_B, REPO_A, digest, &size), BLOB_MOUNT_UNREFERENCED);
}

static void manifest_with_missing_blobs(void **state)
{
    struct fixture *f = *state;
    struct blob_info info;
    struct digest d = upload(f, REPO_A, STR("layer"));
    struct str digests[] = {str_from(d.text), OTHER, str_from(d.text)};
    bool is_missing[3];
    assert_false(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, digests, 3, is_missing));
    assert_false(is_missing[0]);
    assert_true(is_missing[1]);
    assert_false(is_missing[2]);
    assert_true(blobs_find(f->blobs, REPO_A, str_from(d.text), &info));
    assert_false(info.is_referenced);
}

static void deleted_image_releases_its_blobs(void **state)
{
    struct fixture *f = *state;
    struct digest shared = upload(f, REPO_A, STR("shared"));
    struct digest single = upload(f, REPO_A, STR("single"));
    struct digest pending = upload(f, REPO_A, STR("of a push under way"));
    struct str both[] = {str_from(shared.text), str_from(single.text)};
    bool is_missing[2];
    assert_true(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, both, 2, is_missing));
    blobs_manifest_end(f->blobs, REPO_A, MANIFEST, true);
    push_manifest(f, REPO_A, OTHER, &shared);
    blobs_drop_manifest(f->blobs, REPO_A, MANIFEST);
    assert_true(has(f, REPO_A, &shared));
    assert_false(has(f, REPO_A, &single));
    assert_true(has(f, REPO_A, &pending));
    blobs_drop_manifest(f->blobs, REPO_A, OTHER);
    assert_false(has(f, REPO_A, &shared));
    assert_int_equal(count_files(f), 1);
}

static void refused_push_keeps_its_blobs(void **state)
{
    struct fixture *f = *state;
    struct blob_info info;
    struct digest d = upload(f, REPO_A, STR("layer"));
    struct str digest = str_from(d.text);
    bool is_missing;
    assert_true(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, &digest, 1, &is_missing));
    blobs_manifest_end(f->blobs, REPO_A, MANIFEST, false);
    assert_true(blobs_find(f->blobs, REPO_A, digest, &info));
    assert_false(info.is_referenced);
    /* of two pushes of one manifest at once, the refused one does not undo the other */
    assert_true(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, &digest, 1, &is_missing));
    assert_true(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, &digest, 1, &is_missing));
    blobs_manifest_end(f->blobs, REPO_A, MANIFEST, true);
    blobs_manifest_end(f->blobs, REPO_A, MANIFEST, false);
    assert_true(blobs_find(f->blobs, REPO_A, digest, &info));
    assert_true(info.is_referenced);
}

static void deletion_waits_for_a_push_of_the_same_manifest(void **state)
{
    struct fixture *f = *state;
    struct digest d = upload(f, REPO_A, STR("layer"));
    struct str digest = str_from(d.text);
    bool is_missing;
    push_manifest(f, REPO_A, MANIFEST, &d);
    assert_true(blobs_manifest_begin(f->blobs, REPO_A, MANIFEST, &digest, 1, &is_missing));
    blobs_drop_manifest(f->blobs, REPO_A, MANIFEST);
    assert_true(has(f, REPO_A, &d));
    blobs_manifest_end(f->blobs, REPO_A, MANIFEST, true);
    blobs_drop_manifest(f->blobs, REPO_A, MANIFEST);
    assert_false(has(f, REPO_A, &d));
}

static void reader_outlives_deletion(void **state)
{
    struct fixture *f = *state;
    int64_t size;
    char content[16] = {0};
    struct digest d = upload(f, REPO_A, STR("layer"));
    int fd = blobs_open(f->blobs, REPO_A, str_from(d.text), &size);
    assert_true(fd >= 0);
    blobs_drop_repository(f->blobs, REPO_A);
    assert_int_equal(count_files(f), 0);
    assert_int_equal(read(fd, content, sizeof(content)), 5);
    assert_string_equal(content, "layer");
    close(fd);
}

static void directory_that_is_not_there(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_null(blobs_new("/proc/no-such-directory", clock_system(), &e));
    assert_true(err_is_set(&e));
    assert_non_null(strstr(e.msg, "/proc/no-such-directory"));
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_grammar),
        WITH_STORE(upload_in_pieces_and_read_back),
        WITH_STORE(wrong_digest_ends_the_session),
        WITH_STORE(truncate_goes_back),
        WITH_STORE(session_belongs_to_one_request_and_one_repository),
        WITH_STORE(session_in_use_is_waited_for),
        WITH_STORE(sessions_are_bounded_and_expire),
        WITH_STORE(repository_deleted_while_uploading),
        WITH_STORE(same_bytes_twice_are_one_file),
        WITH_STORE(mount_wants_a_pushed_manifest),
        WITH_STORE(manifest_with_missing_blobs),
        WITH_STORE(deleted_image_releases_its_blobs),
        WITH_STORE(refused_push_keeps_its_blobs),
        WITH_STORE(deletion_waits_for_a_push_of_the_same_manifest),
        WITH_STORE(reader_outlives_deletion),
        cmocka_unit_test(directory_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
