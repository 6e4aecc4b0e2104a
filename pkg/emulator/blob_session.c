// SPDX-License-Identifier: Apache-2.0
/*
 * Uploads: a session is a temporary file that grows and a hash that runs along, so that a layer of
 * any size costs one read of each byte and no memory. Bytes are written outside the store's mutex,
 * by the one request that acquired the session; a session that must go while it is in use is marked
 * doomed and goes when that request lets it go.
 */
#include "base/mem.h"
#include "base/thread.h"
#include "blob_impl_priv.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct blob_session {
    char id[BLOB_UPLOAD_ID_MAX];
    char *repository;
    char *path;
    int fd;
    struct crypto_hash *hash;
    int64_t size_bytes;
    int64_t touched_mono_ms;
    bool is_acquired;
    bool is_doomed;
};

static void free_session(struct blob_session *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->path != NULL)
        unlink(s->path);
    crypto_hash_free(s->hash);
    mem_free(s->path);
    mem_free(s->repository);
    mem_free(s);
}

/* Ends a session that its caller holds, or that nobody does. */
static void end_locked(struct blobs *b, struct blob_session *s)
{
    map_remove(b->sessions, str_from(s->id));
    free_session(s);
    pthread_cond_broadcast(&b->released);
}

void blobs_drop_sessions_locked(struct blobs *b, struct str repository)
{
    struct map_entry *next;
    for (struct map_entry *it = map_first(b->sessions); it; it = next) {
        struct blob_session *s = map_value(it);
        next = map_next(it);
        if (!str_is_null(repository) && !str_eq_cstr(repository, s->repository))
            continue;
        if (s->is_acquired)
            s->is_doomed = true;
        else
            end_locked(b, s);
    }
}

static void drop_idle_locked(struct blobs *b)
{
    int64_t now = clock_mono_ms(b->clock);
    struct map_entry *next;
    for (struct map_entry *it = map_first(b->sessions); it; it = next) {
        struct blob_session *s = map_value(it);
        next = map_next(it);
        if (!s->is_acquired && now - s->touched_mono_ms > BLOB_SESSION_IDLE_MS)
            end_locked(b, s);
    }
}

enum blob_result blobs_session_start(struct blobs *b, struct str repository,
                                     char ret_id[static BLOB_UPLOAD_ID_MAX], struct err *e)
{
    struct blob_session *s = mem_alloc(sizeof(*s));
    crypto_uuid(s->id);
    s->repository = mem_dup(repository.ptr, repository.len);
    s->path = blobs_path(b, str_from(s->id));
    s->hash = crypto_hash_new();
    s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ret_id[0] = '\0';
    if (s->fd < 0) {
        err_set_errno(e, errno, "make the file of an upload in %s", b->dir);
        free_session(s);
        return BLOB_IO;
    }
    pthread_mutex_lock(&b->mutex);
    drop_idle_locked(b);
    bool is_full = map_count(b->sessions) >= BLOB_SESSIONS_MAX;
    if (!is_full) {
        s->touched_mono_ms = clock_mono_ms(b->clock);
        map_put(b->sessions, str_from(s->id), s);
        snprintf(ret_id, BLOB_UPLOAD_ID_MAX, "%s", s->id);
    }
    pthread_mutex_unlock(&b->mutex);
    if (is_full)
        free_session(s);
    return is_full ? BLOB_FULL : BLOB_OK;
}

static enum blob_result acquire_locked(struct blobs *b, struct str repository, struct str id,
                                       struct blob_session **ret)
{
    struct blob_session *s = map_get(b->sessions, id);
    if (s == NULL || s->is_doomed || !str_eq_cstr(repository, s->repository))
        return BLOB_UNKNOWN;
    if (s->is_acquired)
        return BLOB_BUSY;
    s->is_acquired = true;
    *ret = s;
    return BLOB_OK;
}

enum blob_result blobs_session_acquire(struct blobs *b, struct str repository, struct str id,
                                       int64_t wait_ms, struct blob_session **ret)
{
    int64_t until_mono_ms = clock_mono_ms(clock_system()) + wait_ms;
    enum blob_result result;
    *ret = NULL;
    pthread_mutex_lock(&b->mutex);
    drop_idle_locked(b);
    while ((result = acquire_locked(b, repository, id, ret)) == BLOB_BUSY) {
        int64_t left_ms = until_mono_ms - clock_mono_ms(clock_system());
        if (left_ms <= 0)
            break;
        b->waiting++;
        (void)thread_cond_wait_ms(&b->released, &b->mutex, left_ms);
        b->waiting--;
    }
    pthread_mutex_unlock(&b->mutex);
    return result;
}

void blobs_session_release(struct blobs *b, struct blob_session *s)
{
    pthread_mutex_lock(&b->mutex);
    s->is_acquired = false;
    s->touched_mono_ms = clock_mono_ms(b->clock);
    if (s->is_doomed)
        end_locked(b, s);
    pthread_cond_broadcast(&b->released);
    pthread_mutex_unlock(&b->mutex);
}

void blobs_session_cancel(struct blobs *b, struct blob_session *s)
{
    pthread_mutex_lock(&b->mutex);
    end_locked(b, s);
    pthread_mutex_unlock(&b->mutex);
}

/* --- the bytes -------------------------------------------------------------------------------- */

const char *blob_session_id(const struct blob_session *s)
{
    return s->id;
}

int64_t blob_session_size(const struct blob_session *s)
{
    return s->size_bytes;
}

enum blob_result blob_session_write(struct blob_session *s, const void *p, size_t n, struct err *e)
{
    if ((int64_t)n > BLOB_SIZE_MAX_BYTES - s->size_bytes)
        return BLOB_TOO_LARGE;
    const char *at = p;
    size_t left = n;
    while (left > 0) {
        ssize_t done = pwrite(s->fd, at, left, s->size_bytes + (int64_t)(n - left));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            err_set_errno(e, done < 0 ? errno : EIO, "write upload %s", s->id);
            return BLOB_IO;
        }
        at += done;
        left -= (size_t)done;
    }
    crypto_hash_add(s->hash, p, n);
    s->size_bytes += (int64_t)n;
    return BLOB_OK;
}

/* Hashes the file anew: a running hash cannot go back. */
static enum blob_result hash_again(struct blob_session *s, struct err *e)
{
    char piece[16384];
    crypto_hash_free(s->hash);
    s->hash = crypto_hash_new();
    for (int64_t at = 0; at < s->size_bytes;) {
        ssize_t n = pread(s->fd, piece, sizeof(piece), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_set_errno(e, n < 0 ? errno : EIO, "read upload %s", s->id);
            return BLOB_IO;
        }
        crypto_hash_add(s->hash, piece, (size_t)n);
        at += n;
    }
    return BLOB_OK;
}

enum blob_result blob_session_truncate(struct blob_session *s, int64_t size_bytes, struct err *e)
{
    if (size_bytes >= s->size_bytes)
        return BLOB_OK;
    if (ftruncate(s->fd, size_bytes) != 0) {
        err_set_errno(e, errno, "cut upload %s", s->id);
        return BLOB_IO;
    }
    s->size_bytes = size_bytes;
    return hash_again(s, e);
}

/* Gives the file its final name, or finds that the blob is there already. */
static struct blob *keep_locked(struct blobs *b, struct blob_session *s, struct str digest,
                                struct err *e)
{
    struct blob *blob = map_get(b->blobs, digest);
    if (blob != NULL)
        return blob;
    char *path BERTH_CLEANUP(mem_freecp) = blobs_path(b, digest);
    if (rename(s->path, path) != 0) {
        err_set_errno(e, errno, "keep upload %s", s->id);
        return NULL;
    }
    s->path = (char *)mem_free(s->path);
    return blobs_add_locked(b, digest, s->size_bytes);
}

static enum blob_result pin_locked(struct blobs *b, struct blob_session *s, struct str digest,
                                   struct err *e)
{
    if (s->is_doomed)
        return BLOB_UNKNOWN;
    struct blob *blob = keep_locked(b, s, digest, e);
    if (blob == NULL)
        return BLOB_IO;
    blob->pins++;
    return BLOB_OK;
}

enum blob_result blobs_session_keep(struct blobs *b, struct blob_session *s, struct str digest,
                                    int64_t *ret_size_bytes, struct err *e)
{
    char hex[CRYPTO_SHA256_HEX + 1];
    crypto_hash_hex(s->hash, hex);
    bool is_match = blob_digest_is_valid(digest) &&
                    str_eq_cstr(str_from_offset(digest, sizeof("sha256:") - 1), hex);
    enum blob_result result = is_match ? BLOB_OK : BLOB_MISMATCH;
    int64_t size_bytes = s->size_bytes;
    if (ret_size_bytes != NULL)
        *ret_size_bytes = 0;
    if (is_match && b->is_kept && fsync(s->fd) != 0) {
        err_set_errno(e, errno, "sync upload %s", s->id);
        result = BLOB_IO;
    }
    pthread_mutex_lock(&b->mutex);
    if (result == BLOB_OK)
        result = pin_locked(b, s, digest, e);
    end_locked(b, s);
    pthread_mutex_unlock(&b->mutex);
    /* the name must be on disk before a record says that it is there */
    if (result == BLOB_OK && b->is_kept && !blobs_sync_directory(b, e)) {
        blobs_unpin(b, digest);
        result = BLOB_IO;
    }
    if (result == BLOB_OK && ret_size_bytes != NULL)
        *ret_size_bytes = size_bytes;
    return result;
}

void blobs_unpin(struct blobs *b, struct str digest)
{
    pthread_mutex_lock(&b->mutex);
    struct blob *blob = map_get(b->blobs, digest);
    if (blob != NULL && blob->pins > 0) {
        blob->pins--;
        blobs_let_go_locked(b, blob);
    }
    pthread_mutex_unlock(&b->mutex);
}
