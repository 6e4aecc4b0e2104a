// SPDX-License-Identifier: Apache-2.0
/*
 * The journal's file: opened, appended to, synced by a group, replaced by a snapshot.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/thread.h"
#include "journal_impl_priv.h"
#include "journal_priv.h"
#include "limits_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, SNAPSHOT_BUFFER_BYTES = 1024 * 1024 };

struct journal {
    const struct journal_reader *reader;
    char *dir;
    char *path;
    char *new_path; /* of a snapshot until it is renamed */
    pthread_mutex_t mutex;
    pthread_cond_t synced;
    int fd;
    uint64_t size; /* of the records in it */
    uint64_t durable;
    uint64_t long_at;  /* size from which on it is long */
    uint64_t rewrites; /* files before this one */
    bool is_syncing;
    bool is_broken;
};

struct journal_rewrite {
    int fd;
    uint64_t written;
    struct buf pending;
    int errnum; /* 0: all went well so far */
};

static char *path_in(const char *dir, const char *name)
{
    struct buf path = BUF_INIT(PATH_BYTES_MAX);

    buf_printf(&path, "%s/%s", dir, name);
    return buf_take(&path);
}

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static bool sync_directory(const char *dir)
{
    int fd BERTH_CLEANUP(close_fd) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0;
}

/* ---- the lock ---- */

static int fail_locked(const char *dir, int fd, struct err *e)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    (void)close(fd);
    err_set(e, ERR_CONFLICT, "DirectoryInUse",
            "the directory %s is in use by another ecr-emulator%s%s: stop it, or name another "
            "directory",
            dir, n > 0 ? ", process " : "", n > 0 ? pid : "");
    return -1;
}

/* A new one is on disk when its parent is. */
static bool make_directory(const char *dir, struct err *e)
{
    char *parent BERTH_CLEANUP(mem_freecp) = path_in(dir, "..");

    if (mkdir(dir, 0700) == 0)
        return sync_directory(parent) || err_set_errno(e, errno, "sync the directory %s", parent);
    return errno == EEXIST || err_set_errno(e, errno, "make the directory %s", dir);
}

int journal_lock(const char *dir, struct err *e)
{
    char *path BERTH_CLEANUP(mem_freecp) = path_in(dir, "lock");
    char pid[24];
    int fd = -1;

    if (!make_directory(dir, e))
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_set_errno(e, errno, "open %s", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return fail_locked(dir, fd, e);
    /* for the message above only: who holds the lock has it, whatever stands there */
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    if (ftruncate(fd, 0) != 0 || !journal_write_at(fd, str_from(pid), 0)) {
        err_set_errno(e, errno, "write %s", path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* ---- snapshots ---- */

static void write_pending(struct journal_rewrite *w)
{
    if (w->errnum == 0 && !buf_ok(&w->pending))
        w->errnum = ENOMEM;
    if (w->errnum == 0 && !journal_write_at(w->fd, buf_str(&w->pending), w->written))
        w->errnum = errno;
    w->written += w->pending.len;
    buf_reset(&w->pending);
}

void journal_put(struct journal_rewrite *w, struct str text)
{
    /* nobody sees the file before it is whole and on disk: all before the record is durable */
    journal_frame_print(&w->pending, text, w->written + w->pending.len);
    if (w->pending.len >= SNAPSHOT_BUFFER_BYTES || !buf_ok(&w->pending))
        write_pending(w);
}

static bool write_snapshot(struct journal *j, int *ret_fd, uint64_t *ret_size, struct err *e)
{
    struct journal_rewrite w = {
        .fd = open(j->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
        .pending = BUF_INIT(SNAPSHOT_BUFFER_BYTES + EMU_RECORD_MAX + JOURNAL_FRAME_BYTES + 1)};

    if (w.fd < 0)
        return err_set_errno(e, errno, "make %s", j->new_path);
    j->reader->snapshot(j->reader->arg, &w);
    write_pending(&w);
    buf_fini(&w.pending);
    if (w.errnum == 0 && fsync(w.fd) != 0)
        w.errnum = errno;
    if (w.errnum == 0 && rename(j->new_path, j->path) != 0)
        w.errnum = errno;
    if (w.errnum != 0) {
        (void)close(w.fd);
        (void)unlink(j->new_path);
        return err_set_errno(e, w.errnum, "write %s", j->new_path);
    }
    *ret_fd = w.fd;
    *ret_size = w.written;
    return true;
}

static uint64_t long_after(uint64_t size)
{
    uint64_t at = size * EMU_JOURNAL_COMPACT_FACTOR;

    return at < EMU_JOURNAL_COMPACT_MIN ? EMU_JOURNAL_COMPACT_MIN : at;
}

/* Takes fd. */
static bool take_snapshot(struct journal *j, int fd, uint64_t size, struct err *e)
{
    bool is_ok = false;

    pthread_mutex_lock(&j->mutex);
    while (j->is_syncing)
        (void)thread_cond_wait_ms(&j->synced, &j->mutex, -1);
    if (j->fd >= 0)
        (void)close(j->fd);
    j->fd = fd;
    j->rewrites++;
    j->size = j->durable = size;
    j->long_at = long_after(size);
    /* until the name is on disk, the old file may be what a crash leaves */
    is_ok = sync_directory(j->dir);
    if (!is_ok) {
        j->is_broken = true;
        err_set_errno(e, errno, "sync the directory %s", j->dir);
    }
    pthread_cond_broadcast(&j->synced);
    pthread_mutex_unlock(&j->mutex);
    return is_ok;
}

void journal_compact(struct journal *j)
{
    struct err e = ERR_INIT;
    int fd = -1;
    uint64_t size = 0;

    if (j->size < j->long_at)
        return;
    /* where that fails the old file goes on, and what breaks the journal is told by journal_sync()
     */
    if (!write_snapshot(j, &fd, &size, &e) || !take_snapshot(j, fd, size, &e))
        j->long_at = j->size + EMU_JOURNAL_COMPACT_MIN;
}

/* ---- life ---- */

static bool read_file(struct journal *j, uint64_t file_size, uint64_t *ret_end, struct err *e)
{
    const struct journal_reader *reader = j->reader;
    void *bytes = file_size > 0 ? mmap(NULL, file_size, PROT_READ, MAP_PRIVATE, j->fd, 0) : NULL;
    bool is_ok = false;

    *ret_end = 0;
    if (bytes == MAP_FAILED)
        return err_set_errno(e, errno, "read %s", j->path);
    is_ok = journal_frames_each(str_n(bytes ? bytes : "", file_size), j->path, reader->record,
                                reader->arg, ret_end, e);
    if (bytes != NULL)
        (void)munmap(bytes, file_size);
    if (!is_ok)
        return false;
    return reader->complete(reader->arg, e) || err_wrap(e, "%s", j->path);
}

static bool open_existing(struct journal *j, struct err *e)
{
    struct stat st;
    uint64_t end = 0;

    if (fstat(j->fd, &st) != 0)
        return err_set_errno(e, errno, "read %s", j->path);
    if (!read_file(j, (uint64_t)st.st_size, &end, e))
        return false;
    if (end < (uint64_t)st.st_size && ftruncate(j->fd, (off_t)end) != 0)
        return err_set_errno(e, errno, "cut %s", j->path);
    /* a record that was written and not synced counts from now on */
    if (fsync(j->fd) != 0)
        return err_set_errno(e, errno, "sync %s", j->path);
    j->size = j->durable = end;
    j->long_at = long_after(0);
    return true;
}

static bool begin(struct journal *j, struct err *e)
{
    int fd = -1;
    uint64_t size = 0;

    j->fd = open(j->path, O_RDWR | O_CLOEXEC);
    if (j->fd >= 0)
        return open_existing(j, e);
    if (errno != ENOENT)
        return err_set_errno(e, errno, "open %s", j->path);
    return write_snapshot(j, &fd, &size, e) && take_snapshot(j, fd, size, e);
}

bool journal_open(const char *dir, const struct journal_reader *reader, struct journal **ret,
                  struct err *e)
{
    struct journal *j = mem_alloc(sizeof(*j));

    *ret = NULL;
    j->reader = reader;
    j->dir = mem_strdup(dir);
    j->path = path_in(dir, "journal");
    j->new_path = path_in(dir, "journal.new");
    j->fd = -1;
    pthread_mutex_init(&j->mutex, NULL);
    thread_cond_init(&j->synced);
    if (!begin(j, e)) {
        journal_free(j);
        return false;
    }
    *ret = j;
    return true;
}

struct journal *journal_free(struct journal *j)
{
    if (j == NULL)
        return NULL;
    if (j->fd >= 0)
        (void)close(j->fd);
    pthread_cond_destroy(&j->synced);
    pthread_mutex_destroy(&j->mutex);
    mem_free(j->dir);
    mem_free(j->path);
    mem_free(j->new_path);
    return mem_free(j);
}

/* ---- records ---- */

static bool fail_broken(const struct journal *j, struct err *e)
{
    return err_set(e, ERR_INVALID, "JournalBroken",
                   "the disk under %s failed: start again when it works", j->path);
}

bool journal_append(struct journal *j, struct str text, struct err *e)
{
    struct buf frame BERTH_CLEANUP(buf_fini) = BUF_INIT(JOURNAL_FRAME_BYTES + EMU_RECORD_MAX + 1);
    bool is_broken = false;
    uint64_t durable = 0;

    pthread_mutex_lock(&j->mutex);
    is_broken = j->is_broken;
    durable = j->durable;
    pthread_mutex_unlock(&j->mutex);
    if (is_broken)
        return fail_broken(j, e);
    journal_frame_print(&frame, text, durable);
    if (!buf_ok(&frame) || text.len > EMU_RECORD_MAX)
        return err_set(e, ERR_INVALID, "TooLarge", "a record of the journal is too large");
    /* size is changed by this thread and under the mutex only: read without */
    if (!journal_write_at(j->fd, buf_str(&frame), j->size)) {
        int errnum = errno;

        /* what was written of it is torn: it goes, or the next record goes over it */
        if (ftruncate(j->fd, (off_t)j->size) != 0)
            errnum = errno;
        return err_set_errno(e, errnum, "write %s", j->path);
    }
    pthread_mutex_lock(&j->mutex);
    j->size += frame.len;
    pthread_mutex_unlock(&j->mutex);
    return true;
}

/* The one who comes first syncs for all who have appended until then. */
static void sync_as_leader(struct journal *j)
{
    uint64_t upto = j->size;
    int fd = j->fd;
    bool is_ok = false;

    j->is_syncing = true;
    pthread_mutex_unlock(&j->mutex);
    is_ok = fdatasync(fd) == 0;
    pthread_mutex_lock(&j->mutex);
    j->is_syncing = false;
    if (is_ok)
        j->durable = upto;
    else
        j->is_broken = true;
    pthread_cond_broadcast(&j->synced);
}

bool journal_sync(struct journal *j, struct err *e)
{
    bool is_ok = false;
    uint64_t rewrites = 0;
    uint64_t upto = 0;

    pthread_mutex_lock(&j->mutex);
    rewrites = j->rewrites;
    upto = j->size;
    /* another file holds all that this one had, and is durable */
    while (!j->is_broken && j->rewrites == rewrites && j->durable < upto) {
        if (j->is_syncing)
            (void)thread_cond_wait_ms(&j->synced, &j->mutex, -1);
        else
            sync_as_leader(j);
    }
    is_ok = !j->is_broken;
    pthread_mutex_unlock(&j->mutex);
    return is_ok || fail_broken(j, e);
}
