// SPDX-License-Identifier: Apache-2.0
/*
 * Blobs in a directory that stays: which files belong to it at a start, and when a file that no
 * link needs may go.
 */
#include "base/mem.h"
#include "blob_impl_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void blobs_adopt(struct blobs *b, struct str digest, int64_t size_bytes)
{
    pthread_mutex_lock(&b->mutex);
    if (map_get(b->blobs, digest) == NULL)
        (void)blobs_add_locked(b, digest, size_bytes);
    pthread_mutex_unlock(&b->mutex);
}

static bool check_file(const struct blobs *b, const struct blob *blob, struct err *e)
{
    char *path BERTH_CLEANUP(mem_freecp) = blobs_path(b, str_from(blob->digest));
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT
                   ? err_set(e, ERR_INVALID, "BlobMissing",
                             "%s is missing: put it back from a copy, or start with an empty "
                             "directory",
                             path)
                   : err_set_errno(e, errno, "look at %s", path);
    return st.st_size == blob->size_bytes ||
           err_set(e, ERR_INVALID, "BlobDamaged",
                   "%s has %lld bytes and should have %lld: put it back from a copy, or start with "
                   "an empty directory",
                   path, (long long)st.st_size, (long long)blob->size_bytes);
}

/* Only names that an emulator gives: anything else is somebody's. */
static bool is_ours(struct str name)
{
    bool is_upload = name.len == BLOB_UPLOAD_ID_MAX - 1 && name.ptr[8] == '-';
    return is_upload || blob_digest_is_valid(name);
}

static bool remove_strays_locked(const struct blobs *b, struct err *e)
{
    DIR *d = opendir(b->dir);
    struct dirent *it;
    if (d == NULL)
        return err_set_errno(e, errno, "read the directory %s", b->dir);
    while ((it = readdir(d)) != NULL) { // NOLINT(concurrency-mt-unsafe): d is ours alone
        struct str name = str_from(it->d_name);
        if (is_ours(name) && map_get(b->blobs, name) == NULL)
            unlinkat(dirfd(d), it->d_name, 0);
    }
    closedir(d);
    return true;
}

bool blobs_settle(struct blobs *b, struct err *e)
{
    bool is_ok = true;
    struct map_entry *next;
    pthread_mutex_lock(&b->mutex);
    for (struct map_entry *it = map_first(b->blobs); it && is_ok; it = next) {
        struct blob *blob = map_value(it);
        next = map_next(it);
        if (blob->links == 0)
            blobs_destroy_locked(b, blob);
        else
            is_ok = check_file(b, blob, e);
    }
    b->dead = map_free(b->dead, NULL);
    b->dead = map_new();
    is_ok = is_ok && remove_strays_locked(b, e);
    pthread_mutex_unlock(&b->mutex);
    return is_ok;
}

bool blobs_sync_directory(const struct blobs *b, struct err *e)
{
    int fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_ok = fd >= 0 && fsync(fd) == 0;
    if (!is_ok)
        err_set_errno(e, errno, "sync the directory %s", b->dir);
    if (fd >= 0)
        close(fd);
    return is_ok;
}

struct map *blobs_take_dead(struct blobs *b)
{
    struct map *empty = map_new();
    pthread_mutex_lock(&b->mutex);
    struct map *dead = b->dead;
    b->dead = empty;
    pthread_mutex_unlock(&b->mutex);
    return dead;
}

void blobs_bury(struct blobs *b, const struct map *dead)
{
    pthread_mutex_lock(&b->mutex);
    for (struct map_entry *it = map_first(dead); it; it = map_next(it)) {
        struct blob *blob = map_get(b->blobs, map_key(it));
        /* one that lived and died again since waits for its newer record */
        if (blob != NULL && blob->links + blob->pins == 0 && map_get(b->dead, map_key(it)) == NULL)
            blobs_destroy_locked(b, blob);
    }
    pthread_mutex_unlock(&b->mutex);
}
