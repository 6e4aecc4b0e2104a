// SPDX-License-Identifier: Apache-2.0
/*
 * The blob store: layers and configurations as files, and who may see them.
 *
 * A blob is one file named by its SHA-256; it exists once however many repositories have it. What
 * a repository has are *links* (repository, digest): made by an upload or a mount, and looked at
 * before any byte is served, so that a digest alone opens nothing. A pushed manifest *references*
 * links of its repository. A link that loses its last reference goes, as ECR cleans layers that no
 * image has ("may be cleaned up at any time"); a link that never had one (a push that is under way)
 * stays until its repository goes. A blob without links is unlinked.
 *
 * Uploads are sessions with a temporary file and a running hash: memory is constant whatever the
 * size. A session is used by one request at a time (acquire, write, release or commit).
 *
 * Files live in a directory of this store's own, made inside the directory given and removed by
 * blobs_free(); or, with blobs_open_directory(), in a directory that stays. Then a blob is on disk
 * before it can be linked, and its file goes only after the record that it is not needed any more
 * is on disk (blobs_take_dead()). Which links there are is in the journal of the state, whose lock
 * is held by who makes and drops them.
 *
 * Any thread; one mutex inside, which is not held while layer bytes are written, hashed or synced.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOB_SESSIONS_MAX = 256,            /* open at one time, over all repositories */
    BLOB_SESSION_IDLE_MS = 3600 * 1000, /* a session untouched for longer is dropped */
    BLOB_UPLOAD_ID_MAX = 37,            /* a UUID and NUL */
    BLOB_DIGEST_MAX = 72,               /* "sha256:", 64 hex digits and NUL */
};
/* ECR: "maximum layer size 52,000 MiB" (service quotas). */
#define BLOB_SIZE_MAX_BYTES ((int64_t)52000 * 1024 * 1024)

struct blobs;
struct blob_session;
struct map;

/* parent: where the store makes its directory; NULL means $TMPDIR, else /tmp. clock must outlive
 * the store. ERR_INVALID or ERR_DENIED where the directory cannot be made. */
struct blobs *blobs_new(const char *parent, const struct clock *clock,
                        struct err *e) BERTH_NODISCARD;
/* The same in `dir` itself (made if it is absent), whose files stay. Next, the links are told by
 * blobs_adopt() and blobs_link(), and blobs_settle() ends that. */
struct blobs *blobs_open_directory(const char *dir, const struct clock *clock,
                                   struct err *e) BERTH_NODISCARD;
/* Drops all sessions, and removes the directory unless it is one that stays. No session may be
 * acquired. */
struct blobs *blobs_free(struct blobs *b);
BERTH_DEFINE_CLEANUP(struct blobs *, blobs_free);

/* "sha256:" and 64 lower-case hex digits: the only form that ECR stores. */
bool blob_digest_is_valid(struct str digest);

/* --- links ------------------------------------------------------------------------------------ */

struct blob_info {
    int64_t size_bytes;
    bool is_mounted;    /* the link was made by a mount, not by an upload */
    bool is_referenced; /* by a pushed manifest of this repository */
};
/* False where the repository has no such link (*ret is zeroed). */
bool blobs_find(struct blobs *b, struct str repository, struct str digest,
                struct blob_info *ret) BERTH_NODISCARD;
/* A file descriptor to read the blob, which the caller closes and which stays good when the blob
 * goes meanwhile; -1 where the repository has no such link (or no descriptor is left). */
int blobs_open(struct blobs *b, struct str repository, struct str digest,
               int64_t *ret_size_bytes) BERTH_NODISCARD;

enum blob_mount {
    BLOB_MOUNT_OK,          /* it may be linked; *ret_size_bytes would be saved */
    BLOB_MOUNT_THERE,       /* the target has the link already; nothing is saved */
    BLOB_MOUNT_NO_SOURCE,   /* `from` has no such link */
    BLOB_MOUNT_UNREFERENCED /* `from` has it, but no manifest pushed there names it */
};
/* May the blob of `from` be linked into `to`? The rules on accounts and repositories (opt-in,
 * encryption, pull-through) are the caller's; that on pushed manifests is kept here. */
enum blob_mount blobs_may_mount(struct blobs *b, struct str from, struct str to, struct str digest,
                                int64_t *ret_size_bytes) BERTH_NODISCARD;
/* Links the blob, which is pinned or linked somewhere, into the repository; a link that is there
 * stays. False: there is no such blob. */
bool blobs_link(struct blobs *b, struct str repository, struct str digest,
                bool is_mounted) BERTH_NODISCARD;
/* Calls fn for each link of the repository; fn calls nothing of the blob store. */
void blobs_links_each(struct blobs *b, struct str repository,
                      void (*fn)(void *arg, struct str digest, const struct blob_info *info),
                      void *arg);

/* --- a directory that stays ------------------------------------------------------------------- */

/* While links are told: a blob of that size should be in the directory. */
void blobs_adopt(struct blobs *b, struct str digest, int64_t size_bytes);
/* All links were told: checks that each has its file, and removes what none names: uploads that
 * were under way, blobs that are not needed any more. ERR_INVALID: a file is missing or of another
 * size. */
bool blobs_settle(struct blobs *b, struct err *e) BERTH_NODISCARD;
/* The digests (as keys) of blobs that lost their last link since the last call; the caller frees
 * the map. Once it is on disk that they did, blobs_bury() removes their files, unless they are
 * needed again. */
struct map *blobs_take_dead(struct blobs *b) BERTH_NODISCARD;
void blobs_bury(struct blobs *b, const struct map *dead);

/* --- manifests -------------------------------------------------------------------------------- */

/*
 * A manifest that names `count` blobs is about to be stored: begin checks that the repository has
 * links for all of them and holds these, so that no deletion at the same moment takes one away.
 * False: is_missing[i] (an array of count) says which are absent, and nothing is held. After true,
 * exactly one blobs_manifest_end() follows: is_stored tells whether the image is in the store now.
 * A manifest that is pushed again (also by two requests at once) and duplicate digests are fine.
 */
bool blobs_manifest_begin(struct blobs *b, struct str repository, struct str manifest_digest,
                          const struct str *digests, size_t count,
                          bool *is_missing) BERTH_NODISCARD;
void blobs_manifest_end(struct blobs *b, struct str repository, struct str manifest_digest,
                        bool is_stored);
/* The image was deleted (BatchDeleteImage, lifecycle): its references go, and links that lose
 * their last one with them. Unknown manifests are ignored. */
void blobs_drop_manifest(struct blobs *b, struct str repository, struct str manifest_digest);
/* The repository was deleted: links, references and sessions. Blobs mounted elsewhere stay there.
 * Unknown repositories are ignored. */
void blobs_drop_repository(struct blobs *b, struct str repository);

struct blobs_stats {
    size_t blobs;       /* distinct files */
    size_t links;       /* over all repositories */
    size_t sessions;    /* open */
    size_t waiting;     /* requests that wait for a session in use */
    int64_t size_bytes; /* of the distinct files */
};
void blobs_stats(struct blobs *b, struct blobs_stats *ret);

/* --- upload sessions -------------------------------------------------------------------------- */

enum blob_result {
    BLOB_OK,
    BLOB_UNKNOWN,   /* no such session in this repository (or dropped as idle) */
    BLOB_BUSY,      /* another request is using it at this moment */
    BLOB_FULL,      /* BLOB_SESSIONS_MAX are open */
    BLOB_TOO_LARGE, /* BLOB_SIZE_MAX_BYTES would be passed; nothing was written */
    BLOB_MISMATCH,  /* the digest is not that of the bytes: the session is over */
    BLOB_IO         /* the file system failed: *e says how; the session is over */
};

/* Opens a session and gives its id. */
enum blob_result blobs_session_start(struct blobs *b, struct str repository,
                                     char ret_id[static BLOB_UPLOAD_ID_MAX],
                                     struct err *e) BERTH_NODISCARD;
/* Takes the session for this request alone: until release, commit or cancel. One that another
 * request is using is waited for, wait_ms at most: a client that lost its connection comes back
 * before the server has seen that. */
enum blob_result blobs_session_acquire(struct blobs *b, struct str repository, struct str id,
                                       int64_t wait_ms, struct blob_session **ret) BERTH_NODISCARD;
void blobs_session_release(struct blobs *b, struct blob_session *s);
/* Ends it without a blob. */
void blobs_session_cancel(struct blobs *b, struct blob_session *s);

/* The calls below are for who acquired the session. */
const char *blob_session_id(const struct blob_session *s);
int64_t blob_session_size(const struct blob_session *s);
enum blob_result blob_session_write(struct blob_session *s, const void *p, size_t n,
                                    struct err *e) BERTH_NODISCARD;
/* Forgets all after the first size_bytes (a chunk that broke off, of a wrong length). */
enum blob_result blob_session_truncate(struct blob_session *s, int64_t size_bytes,
                                       struct err *e) BERTH_NODISCARD;
/* Makes the bytes a blob, on disk where the directory stays, and ends the session whatever the
 * result. The blob is pinned until blobs_unpin(); the caller links it in between. BLOB_UNKNOWN: the
 * repository was deleted meanwhile. *ret_size_bytes (may be NULL) is the size on success. */
enum blob_result blobs_session_keep(struct blobs *b, struct blob_session *s, struct str digest,
                                    int64_t *ret_size_bytes, struct err *e) BERTH_NODISCARD;
/* A blob without links and pins goes. */
void blobs_unpin(struct blobs *b, struct str digest);
