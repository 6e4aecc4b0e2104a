// SPDX-License-Identifier: Apache-2.0
/*
 * Reading blobs, whole or in part. ECR answers with a redirect to S3; the emulator sends the bytes
 * itself, from the file, so that a client needs to reach one address only.
 */
#include "base/arena.h"
#include "v2_priv.h"

#include <unistd.h>

#define BLOB_CONTENT_TYPE "application/octet-stream"

static void reply_range(struct emu_request *r, int fd, int64_t size)
{
    int64_t start;
    int64_t len;
    switch (v2_parse_range(emu_header(r, "Range"), size, &start, &len)) {
    case V2_RANGE_UNSATISFIABLE:
        close(fd);
        emu_reply_header(r, "Content-Range",
                         arena_printf(&r->arena, "bytes */%lld", (long long)size));
        v2_fail(r, 416, "RANGE_INVALID", "The blob has %lld bytes", (long long)size);
        return;
    case V2_RANGE_PART:
        emu_reply_header(r, "Content-Range",
                         arena_printf(&r->arena, "bytes %lld-%lld/%lld", (long long)start,
                                      (long long)(start + len - 1), (long long)size));
        emu_reply_fd(r, 206, BLOB_CONTENT_TYPE, fd, (uint64_t)start, (uint64_t)len);
        return;
    case V2_RANGE_ALL:
        emu_reply_fd(r, 200, BLOB_CONTENT_TYPE, fd, 0, (uint64_t)size);
        return;
    }
}

static bool fail_unknown(struct emu_request *r, const struct v2_state *s)
{
    return v2_fail(r, 404, "BLOB_UNKNOWN",
                   "The layer with digest '%.*s' does not exist in the repository with name "
                   "'%.*s' in registry with id '%s'",
                   STR_ARG(s->target.reference), STR_ARG(s->target.name), r->emu->account);
}

static bool check_target(struct emu_request *r, const struct v2_state *s)
{
    emu_store_lock(r->emu->store);
    bool is_there = v2_repository_locked(r) != NULL;
    emu_store_unlock(r->emu->store);
    if (!is_there)
        return false;
    if (!blob_digest_is_valid(s->target.reference))
        return v2_fail(r, 400, "DIGEST_INVALID",
                       "The digest '%.*s' is not sha256: and 64 hex digits",
                       STR_ARG(s->target.reference));
    return true;
}

static void set_headers(struct emu_request *r, struct str digest)
{
    emu_reply_header(r, "Docker-Content-Digest", digest);
    emu_reply_header(r, "Accept-Ranges", STR("bytes"));
}

void v2_blob_get(struct emu_request *r, struct v2_state *s)
{
    int64_t size = 0;
    if (!check_target(r, s))
        return;
    int fd = blobs_open(r->emu->blobs, s->target.name, s->target.reference, &size);
    if (fd < 0) {
        fail_unknown(r, s);
        return;
    }
    set_headers(r, s->target.reference);
    reply_range(r, fd, size);
}

void v2_blob_head(struct emu_request *r, struct v2_state *s)
{
    struct blob_info info;
    if (!check_target(r, s))
        return;
    if (!blobs_find(r->emu->blobs, s->target.name, s->target.reference, &info)) {
        fail_unknown(r, s);
        return;
    }
    set_headers(r, s->target.reference);
    emu_reply_head(r, 200, BLOB_CONTENT_TYPE, (uint64_t)info.size_bytes);
}
