// SPDX-License-Identifier: Apache-2.0
/*
 * The journal: what is appended is read again; a torn end is cut, damage elsewhere is refused; a
 * snapshot takes the place of a long file; one process at a time.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "journal_impl_priv.h"
#include "journal_priv.h"
#include "limits_priv.h"

#include <fcntl.h>
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

enum { FILE_MAX = 64 * 1024 * 1024, RECORDS_MAX = 64 };

struct fixture {
    char dir[64];
    char path[96];
    struct journal_reader reader;
    char *seen[RECORDS_MAX]; /* what was read */
    size_t n_seen;
    bool is_complete;
    const char *refused; /* a record that makes no sense */
    int snapshots;
};

static bool on_record(void *arg, struct str text, struct err *e)
{
    struct fixture *f = arg;

    if (f->refused != NULL && str_eq_cstr(text, f->refused))
        return err_set(e, ERR_INVALID, "Test", "nonsense");
    if (f->n_seen < RECORDS_MAX)
        f->seen[f->n_seen++] = mem_dup(text.ptr, text.len);
    return true;
}

static bool on_complete(void *arg, struct err *e)
{
    const struct fixture *f = arg;

    return f->is_complete || err_set(e, ERR_INVALID, "Test", "not complete");
}

static void on_snapshot(void *arg, struct journal_rewrite *w)
{
    struct fixture *f = arg;

    f->snapshots++;
    journal_put(w, STR("\"head\""));
    journal_put(w, STR("\"tail\""));
}

static void forget(struct fixture *f)
{
    while (f->n_seen > 0)
        mem_free(f->seen[--f->n_seen]);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/test_journal_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/journal", f->dir);
    f->reader = (struct journal_reader){on_record, on_complete, on_snapshot, f};
    f->is_complete = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char lock[96];

    snprintf(lock, sizeof(lock), "%s/lock", f->dir);
    (void)unlink(f->path);
    (void)unlink(lock);
    /* nothing else is left */
    assert_int_equal(rmdir(f->dir), 0);
    forget(f);
    mem_free(f);
    return 0;
}

static struct journal *open_journal(struct fixture *f)
{
    struct journal *j = NULL;
    struct err e = ERR_INIT;

    forget(f);
    if (!journal_open(f->dir, &f->reader, &j, &e))
        fail_msg("%s", e.msg);
    return j;
}

static void append(struct journal *j, const char *text)
{
    struct err e = ERR_INIT;

    assert_true(journal_append(j, str_from(text), &e));
    assert_true(journal_sync(j, &e));
}

/* Head and tail of the snapshot, and these. */
static void assert_seen(const struct fixture *f, const char *const *want, size_t n)
{
    assert_int_equal(f->n_seen, n + 2);
    assert_string_equal(f->seen[0], "\"head\"");
    assert_string_equal(f->seen[1], "\"tail\"");
    for (size_t i = 0; i < n; i++)
        assert_string_equal(f->seen[i + 2], want[i]);
}

static const char *const texts[] = {"[1]", "[]", "{\"a\":\"b\"}", "\"last\""};

/* The file with all texts, and the offset of each and of the end. */
static void write_all(struct fixture *f, struct buf *file, uint64_t *offsets)
{
    struct err e = ERR_INIT;
    struct stat st;
    struct journal *j = open_journal(f);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(stat(f->path, &st), 0);
        offsets[i] = (uint64_t)st.st_size;
        append(j, texts[i]);
    }
    journal_free(j);
    assert_true(file_read(f->path, file, &e));
    offsets[ARRAY_SIZE(texts)] = file->len;
}

static void put_file(const struct fixture *f, struct str bytes)
{
    int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_true(journal_write_at(fd, bytes, 0));
    close(fd);
}

static void what_is_appended_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    uint64_t offsets[ARRAY_SIZE(texts) + 1];

    write_all(f, &file, offsets);
    assert_int_equal(f->snapshots, 1);
    for (int i = 0; i < 2; i++) {
        journal_free(open_journal(f));
        assert_seen(f, texts, ARRAY_SIZE(texts));
    }
    assert_int_equal(f->snapshots, 1);
}

/* Cut after each byte of the records behind the snapshot: what is whole before it is there, the
 * rest of the file goes, and the journal goes on. */
static void torn_end_is_cut(void **state)
{
    struct fixture *f = *state;
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    uint64_t offsets[ARRAY_SIZE(texts) + 1];

    write_all(f, &file, offsets);
    for (uint64_t len = offsets[0]; len <= file.len; len++) {
        const char *want[ARRAY_SIZE(texts) + 1];
        size_t n = 0;
        struct journal *j = NULL;

        put_file(f, str_n(file.ptr, len));
        j = open_journal(f);
        while (n < ARRAY_SIZE(texts) && offsets[n + 1] <= len) {
            want[n] = texts[n];
            n++;
        }
        assert_seen(f, want, n);
        append(j, "[\"more\"]");
        journal_free(j);
        want[n] = "[\"more\"]";
        journal_free(open_journal(f));
        assert_seen(f, want, n + 1);
    }
}

static void assert_refused(struct fixture *f, uint64_t offset, const char *what)
{
    struct journal *j = NULL;
    struct err e = ERR_INIT;
    char want[32];

    forget(f);
    snprintf(want, sizeof(want), "offset %llu", (unsigned long long)offset);
    assert_false(journal_open(f->dir, &f->reader, &j, &e));
    assert_null(j);
    assert_non_null(strstr(e.msg, f->path));
    assert_non_null(strstr(e.msg, want));
    assert_non_null(strstr(e.msg, what));
}

/* Each byte of each record but the last, changed: refused at the offset of the record. */
static void damage_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    uint64_t offsets[ARRAY_SIZE(texts) + 1];
    struct stat st;

    write_all(f, &file, offsets);
    for (size_t i = 0; i + 1 < ARRAY_SIZE(texts); i++) {
        for (uint64_t at = offsets[i]; at < offsets[i + 1]; at++) {
            file.ptr[at] ^= 1;
            put_file(f, buf_str(&file));
            file.ptr[at] ^= 1;
            assert_refused(f, offsets[i], "damaged");
            /* and left as it is */
            assert_int_equal(stat(f->path, &st), 0);
            assert_int_equal(st.st_size, file.len);
        }
    }
    file.ptr[3] ^= 1;
    put_file(f, buf_str(&file));
    assert_refused(f, 0, "damaged");
}

/* Two records that were not synced, of which the disk kept the second only: nobody was told. */
static void torn_in_the_middle_of_what_was_not_synced(void **state)
{
    struct fixture *f = *state;
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    struct err e = ERR_INIT;
    struct journal *j = open_journal(f);
    struct stat st;

    append(j, "[1]");
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(journal_append(j, STR("[2]"), &e));
    assert_true(journal_append(j, STR("[3]"), &e));
    journal_free(j);
    assert_true(file_read(f->path, &file, &e));
    file.ptr[st.st_size + 2] ^= 1;
    put_file(f, buf_str(&file));
    journal_free(open_journal(f));
    assert_seen(f, (const char *const[]){"[1]"}, 1);
}

static void reader_may_refuse(void **state)
{
    struct fixture *f = *state;
    struct buf file BERTH_CLEANUP(buf_fini) = BUF_INIT(FILE_MAX);
    uint64_t offsets[ARRAY_SIZE(texts) + 1];
    struct journal *j = NULL;
    struct err e = ERR_INIT;

    write_all(f, &file, offsets);
    f->refused = "[]";
    assert_refused(f, offsets[1], "nonsense");
    f->refused = NULL;
    f->is_complete = false;
    forget(f);
    assert_false(journal_open(f->dir, &f->reader, &j, &e));
    assert_non_null(strstr(e.msg, "not complete"));
}

static void no_journal_at_all(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"x", "hello, this is somebody's file\nwith lines\n"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        put_file(f, str_from(files[i]));
        assert_refused(f, 0, "damaged");
    }
}

static void long_journal_becomes_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct journal *j = open_journal(f);
    size_t n = 1024 * 1024;
    char *big BERTH_CLEANUP(mem_freecp) = mem_alloc(n + 1);
    struct stat st;

    memset(big, 'x', n);
    for (int i = 0; i < EMU_JOURNAL_COMPACT_MIN / 1024 / 1024; i++) {
        assert_int_equal(f->snapshots, 1);
        assert_true(journal_append(j, str_n(big, n), &e));
        journal_compact(j);
    }
    assert_int_equal(f->snapshots, 2);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(st.st_size < 1024);
    append(j, "[1]");
    journal_free(j);
    journal_free(open_journal(f));
    assert_seen(f, (const char *const[]){"[1]"}, 1);
}

static void record_of_the_largest_size(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct journal *j = open_journal(f);
    char *big BERTH_CLEANUP(mem_freecp) = mem_alloc((size_t)EMU_RECORD_MAX + 1);

    memset(big, 'x', (size_t)EMU_RECORD_MAX + 1);
    assert_false(journal_append(j, str_n(big, (size_t)EMU_RECORD_MAX + 1), &e));
    err_clear(&e);
    assert_true(journal_append(j, str_n(big, EMU_RECORD_MAX), &e));
    assert_true(journal_sync(j, &e));
    journal_free(j);
    journal_free(open_journal(f));
    assert_int_equal(f->n_seen, 3);
    assert_int_equal(strlen(f->seen[2]), EMU_RECORD_MAX);
}

/* A write that fits in part: an error, the file as before, and the next one that fits is kept. */
static void full_disk(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct journal *j = open_journal(f);
    struct rlimit before;
    struct rlimit limit;
    struct stat st;
    char big[4096];

    append(j, "[1]");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)st.st_size + 200;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    memset(big, 'x', sizeof(big));
    assert_false(journal_append(j, str_n(big, sizeof(big)), &e));
    assert_non_null(strstr(e.msg, f->path));
    err_clear(&e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    append(j, "[2]");
    journal_free(j);
    journal_free(open_journal(f));
    assert_seen(f, (const char *const[]){"[1]", "[2]"}, 2);
}

static void one_process_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char pid[32];
    int fd = journal_lock(f->dir, &e);

    assert_true(fd >= 0);
    assert_int_equal(journal_lock(f->dir, &e), -1);
    assert_int_equal(e.cls, ERR_CONFLICT);
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_non_null(strstr(e.msg, pid));
    assert_non_null(strstr(e.msg, f->dir));
    close(fd);
    err_clear(&e);
    fd = journal_lock(f->dir, &e);
    assert_true(fd >= 0);
    close(fd);
}

struct writer {
    struct thread thread;
    struct journal *journal;
    pthread_mutex_t *mutex; /* as the store's lock */
    int failed;
};

static void write_many(void *arg)
{
    struct writer *w = arg;

    for (int i = 0; i < 10; i++) {
        struct err e = ERR_INIT;

        pthread_mutex_lock(w->mutex);
        if (!journal_append(w->journal, STR("[\"of many\"]"), &e))
            w->failed++;
        journal_compact(w->journal);
        pthread_mutex_unlock(w->mutex);
        if (!err_is_set(&e) && !journal_sync(w->journal, &e))
            w->failed++;
    }
}

static void many_writers_share_the_sync(void **state)
{
    struct fixture *f = *state;
    struct journal *j = open_journal(f);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct writer writers[4];

    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        writers[i] = (struct writer){.journal = j, .mutex = &mutex};
        thread_start(&writers[i].thread, "writer", write_many, &writers[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
        thread_join(&writers[i].thread);
        assert_int_equal(writers[i].failed, 0);
    }
    journal_free(j);
    journal_free(open_journal(f));
    assert_int_equal(f->n_seen, 2 + 10 * ARRAY_SIZE(writers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_appended_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_end_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_in_the_middle_of_what_was_not_synced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reader_may_refuse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_journal_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_journal_becomes_a_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(record_of_the_largest_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_writers_share_the_sync, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
