// SPDX-License-Identifier: Apache-2.0
/*
 * Uploads of blobs, and mounts. POST opens an upload, and is the first write of a push, so that it
 * creates the repository where a template says so; it may carry the whole blob (?digest=) or ask to
 * mount one (?mount=&from=), which never fails but turns into an upload. PATCH adds bytes as they
 * come, PUT adds the last ones and names the digest.
 */
#include "base/arena.h"
#include "json/write.h"

enum { MOUNT_LOG_MAX = 4096 };
#include "v2_priv.h"

/* Location and Range of an upload: how every answer about one tells where it stands. */
static void reply_session(struct emu_request *r, int status, const char *id, int64_t size)
{
    struct str name = v2_state(r)->target.name;
    v2_reply_location(r, "/v2/%.*s/blobs/uploads/%s", STR_ARG(name), id);
    emu_reply_header(r, "Range",
                     arena_printf(&r->arena, "0-%lld", (long long)(size > 0 ? size - 1 : 0)));
    v2_reply_empty(r, status);
}

static void reply_blob(struct emu_request *r, struct str digest)
{
    struct str name = v2_state(r)->target.name;
    v2_reply_location(r, "/v2/%.*s/blobs/%.*s", STR_ARG(name), STR_ARG(digest));
    emu_reply_header(r, "Docker-Content-Digest", digest);
    v2_reply_empty(r, 201);
}

/* --- start ------------------------------------------------------------------------------------ */

/* Why a client had to upload after all is seen nowhere but in the request log. */
static void log_mount(struct emu_request *r, struct str digest, struct str from, bool is_mounted,
                      const char *why)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(MOUNT_LOG_MAX);
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_put_str(&w, "mount", digest);
    json_put_str(&w, "from", from);
    json_put_bool(&w, "mounted", is_mounted);
    if (!is_mounted)
        json_put_cstr(&w, "why", why);
    json_end(&w);
    if (json_write_ok(&w))
        r->log.body = arena_copy(&r->arena, buf_str(&text));
}

/* Finds or creates the repository, and mounts if that is asked and allowed. */
static bool prepare_push(struct emu_request *r, struct v2_state *s, bool *ret_is_mounted)
{
    struct emu_store *store = r->emu->store;
    struct emu_repository *repository;
    struct emu_error x = EMU_ERROR_INIT;
    struct str mount = emu_query(r, "mount");
    struct str from = emu_query(r, "from");
    const char *why = blob_digest_is_valid(mount) ? "no-source" : "digest";
    *ret_is_mounted = false;
    emu_store_lock(store);
    bool is_there = emu_store_repository_for_push_locked(store, s->target.name, &repository, &x);
    if (is_there && !str_is_empty(from) && blob_digest_is_valid(mount))
        *ret_is_mounted = emu_store_mount_locked(store, repository, from, mount, &why);
    emu_store_unlock(store);
    if (!is_there)
        return v2_fail_store(r, &x);
    if (*ret_is_mounted)
        s->digest = mount;
    if (!str_is_null(mount))
        log_mount(r, mount, from, *ret_is_mounted, why);
    return true;
}

void v2_upload_start_begin(struct emu_request *r, struct v2_state *s)
{
    struct err e = ERR_INIT;
    char id[BLOB_UPLOAD_ID_MAX];
    bool is_mounted;
    struct str digest = emu_query(r, "digest");
    if (!str_is_null(digest) && !blob_digest_is_valid(digest)) {
        v2_fail(r, 400, "DIGEST_INVALID", "The digest '%.*s' is not sha256: and 64 hex digits",
                STR_ARG(digest));
        return;
    }
    if (!v2_check_name(r) || !prepare_push(r, s, &is_mounted) || is_mounted)
        return;
    enum blob_result result = blobs_session_start(r->emu->blobs, s->target.name, id, &e);
    if (result == BLOB_OK) {
        s->target.reference = arena_copy(&r->arena, str_from(id));
        result = blobs_session_acquire(r->emu->blobs, s->target.name, s->target.reference,
                                       V2_BUSY_WAIT_MS, &s->session);
    }
    if (result != BLOB_OK)
        v2_fail_blob(r, result, &e);
    s->digest = digest;
}

static void commit(struct emu_request *r, struct v2_state *s)
{
    struct err e = ERR_INIT;
    struct emu_error x = EMU_ERROR_INIT;
    int64_t size;
    enum blob_result result =
        blobs_session_keep(r->emu->blobs, TAKE(s->session), s->digest, &size, &e);
    if (result != BLOB_OK) {
        v2_fail_blob(r, result, &e);
        return;
    }
    emu_store_lock(r->emu->store);
    bool is_linked = emu_store_link_locked(r->emu->store, s->target.name, s->digest, size, &x);
    emu_store_unlock(r->emu->store);
    blobs_unpin(r->emu->blobs, s->digest);
    if (is_linked)
        reply_blob(r, s->digest);
    else if (x.code == EMU_REPOSITORY_NOT_FOUND) /* it went meanwhile, and the upload with it */
        v2_fail_blob(r, BLOB_UNKNOWN, NULL);
    else
        v2_fail_store(r, &x);
}

void v2_upload_start_end(struct emu_request *r, struct v2_state *s)
{
    if (s->session == NULL) {
        reply_blob(r, s->digest); /* mounted */
    } else if (!str_is_null(s->digest) && s->body_bytes > 0) {
        commit(r, s);
    } else {
        int64_t size = blob_session_size(s->session);
        blobs_session_release(r->emu->blobs, TAKE(s->session));
        reply_session(r, 202, arena_cstr(&r->arena, s->target.reference), size);
    }
}

/* --- bytes ------------------------------------------------------------------------------------ */

static bool acquire(struct emu_request *r, struct v2_state *s)
{
    emu_store_lock(r->emu->store);
    bool is_there = v2_repository_locked(r) != NULL;
    emu_store_unlock(r->emu->store);
    if (!is_there)
        return false;
    enum blob_result result = blobs_session_acquire(
        r->emu->blobs, s->target.name, s->target.reference, V2_BUSY_WAIT_MS, &s->session);
    if (result != BLOB_OK)
        return v2_fail_blob(r, result, NULL);
    s->size_before = blob_session_size(s->session);
    return true;
}

/* The Content-Range of a chunk must start where the upload stands. */
static bool check_content_range(struct emu_request *r, struct v2_state *s)
{
    struct str header = emu_header(r, "Content-Range");
    int64_t start;
    int64_t end;
    if (str_is_null(header))
        return true;
    if (!v2_parse_content_range(header, &start, &end))
        return v2_fail(r, 400, "BLOB_UPLOAD_INVALID",
                       "The Content-Range '%.*s' is not <first>-<last>", STR_ARG(header));
    if (start != s->size_before) {
        v2_reply_location(r, "/v2/%.*s/blobs/uploads/%.*s", STR_ARG(s->target.name),
                          STR_ARG(s->target.reference));
        emu_reply_header(r, "Range",
                         arena_printf(&r->arena, "0-%lld",
                                      (long long)(s->size_before > 0 ? s->size_before - 1 : 0)));
        return v2_fail(r, 416, "RANGE_INVALID",
                       "The chunk starts at byte %lld, but the upload has %lld", (long long)start,
                       (long long)s->size_before);
    }
    s->has_range = true;
    s->range_len = end - start + 1;
    if (r->body_len >= 0 && r->body_len != s->range_len)
        return v2_fail(r, 400, "SIZE_INVALID",
                       "The Content-Range says %lld bytes, the Content-Length %lld",
                       (long long)s->range_len, (long long)r->body_len);
    return true;
}

bool v2_upload_chunk(struct emu_request *r, struct v2_state *s, const void *p, size_t n)
{
    struct err e = ERR_INIT;
    if (s->session == NULL)
        return false; /* mounted: no body is wanted */
    enum blob_result result = blob_session_write(s->session, p, n, &e);
    if (result != BLOB_OK) {
        blobs_session_cancel(r->emu->blobs, TAKE(s->session));
        return v2_fail_blob(r, result, &e);
    }
    s->body_bytes += (int64_t)n;
    return true;
}

/* A chunked body is as long as it is: only now its length can be compared. */
static bool check_chunk_length(struct emu_request *r, struct v2_state *s)
{
    struct err e = ERR_INIT;
    if (!s->has_range || s->body_bytes == s->range_len)
        return true;
    enum blob_result result = blob_session_truncate(s->session, s->size_before, &e);
    if (result != BLOB_OK)
        return v2_fail_blob(r, result, &e);
    return v2_fail(r, 400, "SIZE_INVALID", "The Content-Range says %lld bytes, %lld came",
                   (long long)s->range_len, (long long)s->body_bytes);
}

void v2_upload_patch_begin(struct emu_request *r, struct v2_state *s)
{
    if (acquire(r, s))
        check_content_range(r, s);
}

void v2_upload_patch_end(struct emu_request *r, struct v2_state *s)
{
    if (!check_chunk_length(r, s))
        return;
    int64_t size = blob_session_size(s->session);
    /* the next PATCH may come before this thread is done with the request */
    blobs_session_release(r->emu->blobs, TAKE(s->session));
    reply_session(r, r->emu->behavior.is_patch_201 ? 201 : 202,
                  arena_cstr(&r->arena, s->target.reference), size);
}

void v2_upload_put_begin(struct emu_request *r, struct v2_state *s)
{
    struct str digest = emu_query(r, "digest");
    if (!acquire(r, s))
        return;
    if (!blob_digest_is_valid(digest)) {
        v2_fail(r, 400, "DIGEST_INVALID",
                "The query must have the digest of the blob: sha256: and 64 hex digits");
        return;
    }
    s->digest = digest;
    check_content_range(r, s);
}

void v2_upload_put_end(struct emu_request *r, struct v2_state *s)
{
    if (!check_chunk_length(r, s))
        return;
    if (blob_session_size(s->session) == 0) {
        v2_fail(r, 400, "BLOB_UPLOAD_INVALID",
                "The upload with id '%.*s' in the repository with name '%.*s' in registry with id "
                "'%s' cannot be completed because it does not have any parts.",
                STR_ARG(s->target.reference), STR_ARG(s->target.name), r->emu->account);
        return;
    }
    commit(r, s);
}

/* --- asking and giving up --------------------------------------------------------------------- */

void v2_upload_get(struct emu_request *r, struct v2_state *s)
{
    if (!acquire(r, s))
        return;
    blobs_session_release(r->emu->blobs, TAKE(s->session));
    reply_session(r, 204, arena_cstr(&r->arena, s->target.reference), s->size_before);
}

void v2_upload_delete(struct emu_request *r, struct v2_state *s)
{
    if (!acquire(r, s))
        return;
    blobs_session_cancel(r->emu->blobs, TAKE(s->session));
    v2_reply_empty(r, 204);
}
