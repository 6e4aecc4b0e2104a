// SPDX-License-Identifier: Apache-2.0
/*
 * What blob.c (links, references) and blob_session.c (uploads) share. Nobody else includes it: the
 * contract is blob_priv.h. Names ending in _locked() want blobs.mutex held.
 */
#pragma once

#include "base/map.h"
#include "base/str.h"
#include "blob_priv.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct blob {
    int64_t size_bytes;
    size_t links;
    size_t pins; /* uploads that are about to link it */
    char digest[BLOB_DIGEST_MAX];
};

struct blob_link {
    struct blob *blob;
    size_t references; /* manifests, stored or being stored, that name it */
    bool is_mounted;
};

struct blob_manifest {
    bool is_stored;
    size_t pending;      /* begins without their end */
    struct map *digests; /* digest -> its struct blob_link: a set */
};

struct blob_repository {
    struct map *links;     /* digest -> struct blob_link */
    struct map *manifests; /* manifest digest -> struct blob_manifest */
};

struct blobs {
    const struct clock *clock;
    char *dir;
    bool is_kept; /* the directory stays */
    pthread_mutex_t mutex;
    pthread_cond_t released;  /* a session was let go or ended */
    size_t waiting;           /* in blobs_session_acquire() */
    struct map *blobs;        /* digest -> struct blob */
    struct map *repositories; /* name -> struct blob_repository */
    struct map *sessions;     /* id -> struct blob_session */
    struct map *dead;         /* digest: without links and pins, its file still there */
};

/* "<dir>/<name>", to be freed. */
char *blobs_path(const struct blobs *b, struct str name);
struct blob_repository *blobs_repository_locked(struct blobs *b, struct str name, bool create);
/* Adds the link and counts it on the blob. */
struct blob_link *blobs_link_locked(struct blob_repository *r, struct blob *blob);
/* A new blob of the table, without links. */
struct blob *blobs_add_locked(struct blobs *b, struct str digest, int64_t size_bytes);
/* Where nobody needs the blob any more, it and its file go, now or when that may be. */
void blobs_let_go_locked(struct blobs *b, struct blob *blob);
/* fsync() of the directory. */
bool blobs_sync_directory(const struct blobs *b, struct err *e) BERTH_NODISCARD;
/* Frees the blob and removes its file. */
void blobs_destroy_locked(struct blobs *b, struct blob *blob);
/* Ends the sessions of a repository (absent: all): those in use at their release. */
void blobs_drop_sessions_locked(struct blobs *b, struct str repository);
