// SPDX-License-Identifier: Apache-2.0
/*
 * The OCI registry side of the emulator (/v2/), as Amazon ECR shows it: Basic authentication with
 * a token of GetAuthorizationToken, ECR's error envelope and texts, repositories created on push,
 * blobs mounted under ECR's rules. emulator.c routes "/v2" to emu_v2_handler; the rest is for the
 * v2*.c files alone.
 *
 * A request is routed once, in begin(), to a row of the table in v2.c: {kind of path, method,
 * begin, chunk, end}. Failures are noted with v2_fail() and sent when the body was read (a client
 * that is cut off while it sends sees a broken connection instead of the reason), except for a
 * client that waits with `Expect: 100-continue`, which is told at once.
 *
 * Memory of a request is constant: layers go to the blob store as they come, a manifest is
 * collected up to EMU_MANIFEST_MAX.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "blob_priv.h"
#include "server_priv.h"
#include "store_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    V2_TAG_MAX = 128,       /* OCI: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
    V2_PAGE_MAX = 1000,     /* entries of one tags/list or _catalog page, and the default */
    V2_BUSY_WAIT_MS = 5000, /* for an upload whose last connection broke, to be let go */
    V2_REFERRERS_MAX = 1000 /* descriptors in one answer of the referrers API */
};

extern const struct emu_handler emu_v2_handler;

/* --- v2_path.c: what a request says, read strictly; all pure -------------------------------- */

enum v2_kind {
    V2_UNKNOWN,
    V2_BASE,         /* /v2/ */
    V2_CATALOG,      /* /v2/_catalog */
    V2_TAGS,         /* /v2/<name>/tags/list */
    V2_MANIFEST,     /* /v2/<name>/manifests/<reference> */
    V2_BLOB,         /* /v2/<name>/blobs/<reference> */
    V2_UPLOAD_START, /* /v2/<name>/blobs/uploads[/] */
    V2_UPLOAD,       /* /v2/<name>/blobs/uploads/<reference> */
    V2_REFERRERS     /* /v2/<name>/referrers/<reference> */
};
struct v2_target {
    enum v2_kind kind;
    struct str name;      /* as sent: not checked against the grammar */
    struct str reference; /* tag, digest or upload id, likewise */
};
/* Views into path. The words of the API are looked for from the right, because a repository may
 * be called "team/blobs" or "manifests/app". */
struct v2_target v2_parse_path(struct str path);
bool v2_is_tag(struct str s);
/* "0-1023", the Content-Range of a chunk (distribution specification: ^[0-9]+-[0-9]+$). */
bool v2_parse_content_range(struct str s, int64_t *ret_start, int64_t *ret_end) BERTH_NODISCARD;

enum v2_range {
    V2_RANGE_ALL,          /* no range, or one of a form that a server may ignore (RFC 9110) */
    V2_RANGE_PART,         /* *ret_start and *ret_len */
    V2_RANGE_UNSATISFIABLE /* 416 */
};
/* The Range header of a GET for a blob of size bytes: one range of bytes. */
enum v2_range v2_parse_range(struct str header, int64_t size, int64_t *ret_start, int64_t *ret_len);
/* Does this Accept value (one header line) take media_type? Parameters are ignored. */
bool v2_accepts(struct str accept, struct str media_type);
/* "application/json; charset=utf-8" -> "application/json". */
struct str v2_media_type(struct str content_type);

/* --- the request ------------------------------------------------------------------------------ */

struct v2_state {
    struct v2_target target;
    const struct v2_operation *operation;
    /* uploads */
    struct blob_session *session; /* acquired: goes back in done() at the latest */
    struct str digest;            /* what the body must have; absent: not the last part */
    bool has_range;               /* the chunk came with Content-Range */
    int64_t range_len;
    int64_t size_before; /* of the session, before this body */
    int64_t body_bytes;
    /* manifests */
    struct buf manifest;
    /* a failure to be sent */
    int error_status; /* 0: none */
    const char *error_code;
    struct str error_message;
};

static inline struct v2_state *v2_state(struct emu_request *r)
{
    return (struct v2_state *)r->state;
}

struct v2_operation {
    enum v2_kind kind;
    const char *method;
    void (*begin)(struct emu_request *r, struct v2_state *s);
    bool (*chunk)(struct emu_request *r, struct v2_state *s, const void *p, size_t n);
    void (*end)(struct emu_request *r, struct v2_state *s);
};

/* --- v2_reply.c ------------------------------------------------------------------------------- */

/* Notes a failure: the first one counts. Returns false. code: static or in the
 * arena, in the words of the distribution specification. */
bool v2_fail(struct emu_request *r, int status, const char *code, const char *fmt, ...)
    BERTH_PRINTF(4, 5);
/* The same for a refusal of the store. */
bool v2_fail_store(struct emu_request *r, const struct emu_error *x);
/* The same for one of the blob store. */
bool v2_fail_blob(struct emu_request *r, enum blob_result result, const struct err *e);
/* Sends what was noted; true where there was something. */
bool v2_send_failure(struct emu_request *r);
/* "http://host" as the client called us: from Host where that is sane, else the endpoint. */
struct str v2_origin(struct emu_request *r);
/* Sets Location to origin and path. */
void v2_reply_location(struct emu_request *r, const char *fmt, ...) BERTH_PRINTF(2, 3);
/* A reply without body. */
void v2_reply_empty(struct emu_request *r, int status);
/* Notes NAME_INVALID where the target's name is not a repository name of ECR. */
bool v2_check_name(struct emu_request *r) BERTH_NODISCARD;
/* Looks the repository of the target up, store locked; notes NAME_INVALID or NAME_UNKNOWN. */
struct emu_repository *v2_repository_locked(struct emu_request *r) BERTH_NODISCARD;

/* --- the operations, by file ------------------------------------------------------------------ */

/* v2_upload.c */
void v2_upload_start_begin(struct emu_request *r, struct v2_state *s);
void v2_upload_start_end(struct emu_request *r, struct v2_state *s);
void v2_upload_patch_begin(struct emu_request *r, struct v2_state *s);
void v2_upload_patch_end(struct emu_request *r, struct v2_state *s);
void v2_upload_put_begin(struct emu_request *r, struct v2_state *s);
void v2_upload_put_end(struct emu_request *r, struct v2_state *s);
bool v2_upload_chunk(struct emu_request *r, struct v2_state *s, const void *p, size_t n);
void v2_upload_get(struct emu_request *r, struct v2_state *s);
void v2_upload_delete(struct emu_request *r, struct v2_state *s);
/* v2_blob.c */
void v2_blob_get(struct emu_request *r, struct v2_state *s);
void v2_blob_head(struct emu_request *r, struct v2_state *s);
/* v2_manifest.c */
void v2_manifest_get(struct emu_request *r, struct v2_state *s);
void v2_manifest_put_begin(struct emu_request *r, struct v2_state *s);
bool v2_manifest_chunk(struct emu_request *r, struct v2_state *s, const void *p, size_t n);
void v2_manifest_put(struct emu_request *r, struct v2_state *s);
/* v2_list.c */
void v2_tags_list(struct emu_request *r, struct v2_state *s);
void v2_catalog(struct emu_request *r, struct v2_state *s);
void v2_referrers(struct emu_request *r, struct v2_state *s);
