// SPDX-License-Identifier: Apache-2.0
/*
 * The blob store's tables: which blobs there are, which repository may see which of them, and
 * which manifests keep them. Everything here is short work on maps under one mutex, plus open(2),
 * rename(2) and unlink(2), which the kernel answers from memory.
 */
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "blob_impl_priv.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

char *blobs_path(const struct blobs *b, struct str name)
{
    struct buf path = BUF_INIT(PATH_BYTES_MAX);
    buf_printf(&path, "%s/%.*s", b->dir, STR_ARG(name));
    return buf_take(&path);
}

bool blob_digest_is_valid(struct str digest)
{
    if (digest.len != BLOB_DIGEST_MAX - 1 || !str_starts_with(digest, STR("sha256:")))
        return false;
    for (size_t i = sizeof("sha256:") - 1; i < digest.len; i++) {
        char c = digest.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static void free_manifest(void *value)
{
    struct blob_manifest *m = value;
    map_free(m->digests, NULL);
    mem_free(m);
}

static void free_plain(void *value)
{
    mem_free(value);
}

static void free_repository(void *value)
{
    struct blob_repository *r = value;
    map_free(r->manifests, free_manifest);
    map_free(r->links, free_plain);
    mem_free(r);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Takes dir. */
static struct blobs *new_in(char *dir, const struct clock *clock)
{
    struct blobs *b = mem_alloc(sizeof(*b));
    b->clock = clock;
    b->dir = dir;
    pthread_mutex_init(&b->mutex, NULL);
    thread_cond_init(&b->released);
    b->blobs = map_new();
    b->repositories = map_new();
    b->sessions = map_new();
    b->dead = map_new();
    return b;
}

struct blobs *blobs_new(const char *parent, const struct clock *clock, struct err *e)
{
    if (parent == NULL)
        parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    struct buf path BERTH_CLEANUP(buf_fini) = BUF_INIT(PATH_BYTES_MAX - NAME_MAX);
    buf_printf(&path, "%s/ecr-emulator-XXXXXX", parent);
    if (!buf_ok(&path)) {
        err_set(e, ERR_INVALID, "BlobDirectory",
                "the directory for blobs has a path that is too long: name a shorter one");
        return NULL;
    }
    char *dir = buf_take(&path);
    if (mkdtemp(dir) == NULL) {
        err_set_errno(e, errno, "make a directory for blobs in %s", parent);
        mem_free(dir);
        return NULL;
    }
    return new_in(dir, clock);
}

struct blobs *blobs_open_directory(const char *dir, const struct clock *clock, struct err *e)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        err_set_errno(e, errno, "make the directory %s", dir);
        return NULL;
    }
    struct blobs *b = new_in(mem_strdup(dir), clock);
    b->is_kept = true;
    return b;
}

/* The directory is ours alone and flat: what is left in it goes, then it. */
static void remove_directory(const char *dir)
{
    DIR *d = opendir(dir);
    if (d != NULL) {
        struct dirent *it;
        while ((it = readdir(d)) != NULL) { // NOLINT(concurrency-mt-unsafe): d is ours alone
            if (it->d_type == DT_REG)
                unlinkat(dirfd(d), it->d_name, 0);
        }
        closedir(d);
    }
    rmdir(dir);
}

struct blobs *blobs_free(struct blobs *b)
{
    if (b == NULL)
        return NULL;
    pthread_mutex_lock(&b->mutex);
    blobs_drop_sessions_locked(b, STR_NULL);
    pthread_mutex_unlock(&b->mutex);
    assert(map_count(b->sessions) == 0);
    map_free(b->sessions, NULL);
    map_free(b->repositories, free_repository);
    map_free(b->blobs, free_plain);
    map_free(b->dead, NULL);
    if (!b->is_kept)
        remove_directory(b->dir);
    pthread_cond_destroy(&b->released);
    pthread_mutex_destroy(&b->mutex);
    mem_free(b->dir);
    mem_free(b);
    return NULL;
}

void blobs_stats(struct blobs *b, struct blobs_stats *ret)
{
    *ret = (struct blobs_stats){0};
    pthread_mutex_lock(&b->mutex);
    ret->sessions = map_count(b->sessions);
    ret->waiting = b->waiting;
    for (struct map_entry *it = map_first(b->blobs); it; it = map_next(it)) {
        const struct blob *blob = map_value(it);
        if (blob->links + blob->pins == 0)
            continue; /* it goes soon */
        ret->blobs++;
        ret->links += blob->links;
        ret->size_bytes += blob->size_bytes;
    }
    pthread_mutex_unlock(&b->mutex);
}

/* --- links ------------------------------------------------------------------------------------ */

struct blob_repository *blobs_repository_locked(struct blobs *b, struct str name, bool create)
{
    struct blob_repository *r = map_get(b->repositories, name);
    if (r != NULL || !create)
        return r;
    r = mem_alloc(sizeof(*r));
    r->links = map_new();
    r->manifests = map_new();
    map_put(b->repositories, name, r);
    return r;
}

struct blob_link *blobs_link_locked(struct blob_repository *r, struct blob *blob)
{
    struct blob_link *link = mem_alloc(sizeof(*link));
    link->blob = blob;
    blob->links++;
    map_put(r->links, str_from(blob->digest), link);
    return link;
}

static struct blob_link *link_of_locked(struct blobs *b, struct str repository, struct str digest)
{
    struct blob_repository *r = blobs_repository_locked(b, repository, false);
    return r ? map_get(r->links, digest) : NULL;
}

struct blob *blobs_add_locked(struct blobs *b, struct str digest, int64_t size_bytes)
{
    struct blob *blob = mem_alloc(sizeof(*blob));
    snprintf(blob->digest, sizeof(blob->digest), "%.*s", STR_ARG(digest));
    blob->size_bytes = size_bytes;
    map_put(b->blobs, digest, blob);
    return blob;
}

/* Readers that have the file open keep reading. */
void blobs_destroy_locked(struct blobs *b, struct blob *blob)
{
    char *path BERTH_CLEANUP(mem_freecp) = blobs_path(b, str_from(blob->digest));
    unlink(path);
    map_remove(b->blobs, str_from(blob->digest));
    mem_free(blob);
}

void blobs_let_go_locked(struct blobs *b, struct blob *blob)
{
    if (blob->links + blob->pins > 0)
        return;
    if (b->is_kept)
        map_put(b->dead, str_from(blob->digest), blob);
    else
        blobs_destroy_locked(b, blob);
}

static void unlink_locked(struct blobs *b, struct blob_link *link)
{
    struct blob *blob = link->blob;
    mem_free(link);
    blob->links--;
    blobs_let_go_locked(b, blob);
}

bool blobs_find(struct blobs *b, struct str repository, struct str digest, struct blob_info *ret)
{
    *ret = (struct blob_info){0};
    pthread_mutex_lock(&b->mutex);
    const struct blob_link *link = link_of_locked(b, repository, digest);
    if (link != NULL)
        *ret = (struct blob_info){.size_bytes = link->blob->size_bytes,
                                  .is_mounted = link->is_mounted,
                                  .is_referenced = link->references > 0};
    pthread_mutex_unlock(&b->mutex);
    return link != NULL;
}

int blobs_open(struct blobs *b, struct str repository, struct str digest, int64_t *ret_size_bytes)
{
    int fd = -1;
    *ret_size_bytes = 0;
    pthread_mutex_lock(&b->mutex);
    const struct blob_link *link = link_of_locked(b, repository, digest);
    if (link != NULL) {
        char *path BERTH_CLEANUP(mem_freecp) = blobs_path(b, str_from(link->blob->digest));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            *ret_size_bytes = link->blob->size_bytes;
    }
    pthread_mutex_unlock(&b->mutex);
    return fd;
}

static enum blob_mount may_mount_locked(struct blobs *b, struct str from, struct str to,
                                        struct str digest, int64_t *ret_size_bytes)
{
    const struct blob_link *source = link_of_locked(b, from, digest);
    if (source == NULL)
        return BLOB_MOUNT_NO_SOURCE;
    if (source->references == 0)
        return BLOB_MOUNT_UNREFERENCED;
    if (link_of_locked(b, to, digest) != NULL)
        return BLOB_MOUNT_THERE;
    *ret_size_bytes = source->blob->size_bytes;
    return BLOB_MOUNT_OK;
}

enum blob_mount blobs_may_mount(struct blobs *b, struct str from, struct str to, struct str digest,
                                int64_t *ret_size_bytes)
{
    *ret_size_bytes = 0;
    pthread_mutex_lock(&b->mutex);
    enum blob_mount result = may_mount_locked(b, from, to, digest, ret_size_bytes);
    pthread_mutex_unlock(&b->mutex);
    return result;
}

bool blobs_link(struct blobs *b, struct str repository, struct str digest, bool is_mounted)
{
    pthread_mutex_lock(&b->mutex);
    struct blob *blob = map_get(b->blobs, digest);
    if (blob != NULL) {
        struct blob_repository *r = blobs_repository_locked(b, repository, true);
        if (map_get(r->links, digest) == NULL)
            blobs_link_locked(r, blob)->is_mounted = is_mounted;
    }
    pthread_mutex_unlock(&b->mutex);
    return blob != NULL;
}

void blobs_links_each(struct blobs *b, struct str repository,
                      void (*fn)(void *arg, struct str digest, const struct blob_info *info),
                      void *arg)
{
    pthread_mutex_lock(&b->mutex);
    const struct blob_repository *r = blobs_repository_locked(b, repository, false);
    for (struct map_entry *it = r ? map_first(r->links) : NULL; it; it = map_next(it)) {
        const struct blob_link *link = map_value(it);
        struct blob_info info = {.size_bytes = link->blob->size_bytes,
                                 .is_mounted = link->is_mounted,
                                 .is_referenced = link->references > 0};
        fn(arg, map_key(it), &info);
    }
    pthread_mutex_unlock(&b->mutex);
}

/* --- manifests -------------------------------------------------------------------------------- */

static void hold_locked(struct blob_repository *r, struct blob_manifest *m,
                        const struct str *digests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (map_get(m->digests, digests[i]) != NULL)
            continue;
        struct blob_link *link = map_get(r->links, digests[i]);
        link->references++;
        map_put(m->digests, digests[i], link);
    }
}

bool blobs_manifest_begin(struct blobs *b, struct str repository, struct str manifest_digest,
                          const struct str *digests, size_t count, bool *is_missing)
{
    bool is_complete = true;
    pthread_mutex_lock(&b->mutex);
    struct blob_repository *r = blobs_repository_locked(b, repository, true);
    for (size_t i = 0; i < count; i++) {
        is_missing[i] = map_get(r->links, digests[i]) == NULL;
        is_complete = is_complete && !is_missing[i];
    }
    if (is_complete) {
        struct blob_manifest *m = map_get(r->manifests, manifest_digest);
        if (m == NULL) {
            m = mem_alloc(sizeof(*m));
            m->digests = map_new();
            map_put(r->manifests, manifest_digest, m);
        }
        m->pending++;
        hold_locked(r, m, digests, count);
    }
    pthread_mutex_unlock(&b->mutex);
    return is_complete;
}

/* Ends a manifest that is neither stored nor about to be. When an image is deleted, links that
 * nobody references any more go; when a push failed they stay for the next try. */
static void settle_locked(struct blobs *b, struct blob_repository *r, struct str manifest_digest,
                          bool release)
{
    struct blob_manifest *m = map_get(r->manifests, manifest_digest);
    if (m == NULL || m->is_stored || m->pending > 0)
        return;
    for (struct map_entry *it = map_first(m->digests); it; it = map_next(it)) {
        struct blob_link *link = map_value(it);
        if (--link->references == 0 && release) {
            map_remove(r->links, map_key(it));
            unlink_locked(b, link);
        }
    }
    map_remove(r->manifests, manifest_digest);
    free_manifest(m);
}

void blobs_manifest_end(struct blobs *b, struct str repository, struct str manifest_digest,
                        bool is_stored)
{
    pthread_mutex_lock(&b->mutex);
    struct blob_repository *r = blobs_repository_locked(b, repository, false);
    struct blob_manifest *m = r ? map_get(r->manifests, manifest_digest) : NULL;
    /* absent where the repository was deleted in between */
    if (m != NULL && m->pending > 0) {
        m->pending--;
        m->is_stored = m->is_stored || is_stored;
        settle_locked(b, r, manifest_digest, false);
    }
    pthread_mutex_unlock(&b->mutex);
}

void blobs_drop_manifest(struct blobs *b, struct str repository, struct str manifest_digest)
{
    pthread_mutex_lock(&b->mutex);
    struct blob_repository *r = blobs_repository_locked(b, repository, false);
    struct blob_manifest *m = r ? map_get(r->manifests, manifest_digest) : NULL;
    if (m != NULL) {
        m->is_stored = false;
        settle_locked(b, r, manifest_digest, true);
    }
    pthread_mutex_unlock(&b->mutex);
}

static void drop_repository_locked(struct blobs *b, struct blob_repository *r)
{
    for (struct map_entry *it = map_first(r->links); it; it = map_next(it))
        unlink_locked(b, map_value(it));
    map_free(r->links, NULL);
    map_free(r->manifests, free_manifest);
    mem_free(r);
}

void blobs_drop_repository(struct blobs *b, struct str repository)
{
    pthread_mutex_lock(&b->mutex);
    blobs_drop_sessions_locked(b, repository);
    struct blob_repository *r = map_remove(b->repositories, repository);
    if (r != NULL)
        drop_repository_locked(b, r);
    pthread_mutex_unlock(&b->mutex);
}
