// SPDX-License-Identifier: Apache-2.0
/*
 * /_emulator/: what a test asks the emulator about itself, unsigned. The emulator is a tool for
 * one's own machine; nothing here shows a secret.
 *
 *   GET    /_emulator/requests[?after=SEQ]   the request log as a JSON array, oldest first
 *   DELETE /_emulator/requests               empties it
 *   GET    /_emulator/stats                  counters as a JSON object, from the start on
 *   GET    /_emulator/repositories           what repositories are and where from, in short
 *   GET    /_emulator/faults                 the fault rules as a JSON array, in order
 *   POST   /_emulator/faults                 adds one; answers {"id": …}
 *   DELETE /_emulator/faults[/ID]            removes one, or all
 */
#include "base/num.h"
#include "blob_priv.h"
#include "control_priv.h"
#include "fault_priv.h"
#include "request_log_priv.h"

static const char json_content[] = "application/json";

static void get_requests(struct emu_request *r)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT((size_t)EMU_LOG_BYTES_MAX * 2);
    struct str text = emu_query(r, "after");
    uint64_t after = 0;

    if (!str_is_null(text) && !num_parse_u64(text, &after)) {
        emu_reply(r, 400, "text/plain", STR("after: want a number\n"));
        return;
    }
    emu_request_log_print(r->emu->log, after, &out);
    emu_reply_take(r, 200, json_content, &out);
}

static void delete_requests(struct emu_request *r)
{
    emu_request_log_clear(r->emu->log);
    emu_reply(r, 204, NULL, STR(""));
}

static void get_stats(struct emu_request *r)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct json_writer w = json_writer_to(&out);
    struct emu_stats stats;
    struct blobs_stats blobs;

    emu_store_lock(r->emu->store);
    stats = *emu_store_stats_locked(r->emu->store);
    emu_store_unlock(r->emu->store);
    blobs_stats(r->emu->blobs, &blobs);
    json_begin_object(&w);
    json_put_int(&w, "bytesUploaded", (int64_t)stats.uploaded_bytes);
    json_put_int(&w, "blobsUploaded", (int64_t)stats.uploaded_blobs);
    json_put_int(&w, "bytesMounted", (int64_t)stats.mounted_bytes);
    json_put_int(&w, "blobsMounted", (int64_t)stats.mounted_blobs);
    json_put_int(&w, "blobsStored", (int64_t)blobs.blobs);
    json_put_int(&w, "bytesStored", blobs.size_bytes);
    json_put_int(&w, "blobLinks", (int64_t)blobs.links);
    json_put_int(&w, "uploadsOpen", (int64_t)blobs.sessions);
    json_put_int(&w, "manifestBytes", (int64_t)stats.manifest_bytes);
    json_put_int(&w, "repositories", (int64_t)stats.repositories);
    json_put_int(&w, "images", (int64_t)stats.images);
    json_put_int(&w, "templates", (int64_t)stats.templates);
    json_end(&w);
    buf_append_char(&out, '\n');
    emu_reply_take(r, 200, json_content, &out);
}

static void write_repository(struct json_writer *w, const struct emu_repository *r)
{
    const struct emu_settings *s = &r->settings;

    json_begin_object(w);
    json_put_cstr(w, "name", r->name);
    json_put_bool(w, "createdOnPush", r->is_created_on_push);
    if (r->created_by_prefix != NULL)
        json_put_cstr(w, "createdByPrefix", r->created_by_prefix);
    json_put_cstr(w, "imageTagMutability", emu_mutability_name(s->mutability));
    json_put_cstr(w, "encryptionType", emu_encryption_name(s->encryption));
    if (s->kms_key != NULL)
        json_put_cstr(w, "kmsKey", s->kms_key);
    json_put_bool(w, "scanOnPush", s->is_scan_on_push);
    json_put_bool(w, "hasPolicy", s->policy != NULL);
    json_put_bool(w, "hasLifecyclePolicy", s->lifecycle != NULL);
    json_key_begin_object(w, "tags");
    for (size_t i = 0; i < s->n_tags; i++) {
        json_key_str(w, str_from(s->tags[i].key));
        json_str(w, str_from(s->tags[i].value));
    }
    json_end(w);
    json_put_int(w, "images", (int64_t)map_count(r->images));
    json_end(w);
}

static void get_repositories(struct emu_request *r)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_JSON_REPLY_MAX);
    struct json_writer w = json_writer_to(&out);
    const struct map *all = NULL;

    json_begin_array(&w);
    emu_store_lock(r->emu->store);
    all = emu_store_repositories_locked(r->emu->store);
    for (struct map_entry *it = map_first(all); it; it = map_next(it))
        write_repository(&w, map_value(it));
    emu_store_unlock(r->emu->store);
    json_end(&w);
    if (json_write_ok(&w))
        emu_reply_take(r, 200, json_content, &out);
    else
        emu_reply(r, 500, "text/plain", STR("the answer is too large for the emulator\n"));
}

/* ---- faults ---- */

static void get_faults(struct emu_request *r)
{
    struct buf out BERTH_CLEANUP(buf_fini) =
        BUF_INIT((size_t)EMU_FAULT_RULES_MAX * 2 * EMU_FAULT_BODY_MAX);

    emu_faults_print(r->emu->faults, &out);
    emu_reply_take(r, 200, json_content, &out);
}

static void post_fault(struct emu_request *r)
{
    const struct buf *body = r->state;
    struct err e = ERR_INIT;
    uint64_t id = 0;

    if (!buf_ok(body)) {
        emu_reply(r, 413, "text/plain", STR("a fault rule has at most 16 KiB\n"));
        return;
    }
    if (emu_faults_add(r->emu->faults, buf_str(body), &id, &e))
        emu_reply(r, 201, json_content,
                  arena_printf(&r->arena, "{\"id\":%llu}\n", (unsigned long long)id));
    else
        emu_reply(r, 400, "text/plain", arena_printf(&r->arena, "%s\n", e.msg));
}

static void delete_faults(struct emu_request *r)
{
    struct str rest = str_from_offset(r->path, strlen("/_emulator/faults"));
    uint64_t id = 0;

    if (str_is_empty(rest)) {
        emu_faults_clear(r->emu->faults);
        emu_reply(r, 204, NULL, STR(""));
        return;
    }
    if (num_parse_u64(str_from_offset(rest, 1), &id) && emu_faults_remove(r->emu->faults, id))
        emu_reply(r, 204, NULL, STR(""));
    else
        emu_reply(r, 404, "text/plain", STR("there is no fault rule of that id\n"));
}

/* ---- the handler ---- */

static const struct endpoint {
    const char *method;
    const char *path;
    void (*run)(struct emu_request *r);
    bool has_body;
    bool has_id; /* the path may go on with /ID */
} endpoints[] = {
    {"GET", "/_emulator/requests", get_requests, false, false},
    {"DELETE", "/_emulator/requests", delete_requests, false, false},
    {"GET", "/_emulator/stats", get_stats, false, false},
    {"GET", "/_emulator/repositories", get_repositories, false, false},
    {"GET", "/_emulator/faults", get_faults, false, false},
    {"POST", "/_emulator/faults", post_fault, true, false},
    {"DELETE", "/_emulator/faults", delete_faults, false, true},
};

static bool is_path_of(const struct endpoint *at, struct str path)
{
    struct str own = str_from(at->path);

    return str_eq(path, own) || (at->has_id && str_starts_with(path, own) && path.len > own.len &&
                                 path.ptr[own.len] == '/');
}

static void reply_unknown(struct emu_request *r, bool is_path_known)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);

    buf_append_cstr(&text, is_path_known ? "method not allowed" : "not found");
    buf_append_cstr(&text, "; there are");
    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
        buf_printf(&text, "%s %s %s", i > 0 ? "," : "", endpoints[i].method, endpoints[i].path);
    buf_append_char(&text, '\n');
    emu_reply_take(r, is_path_known ? 405 : 404, "text/plain", &text);
}

static void begin(struct emu_request *r)
{
    bool is_path_known = false;

    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
        const struct endpoint *at = &endpoints[i];

        if (!is_path_of(at, r->path))
            continue;
        is_path_known = true;
        if (!str_eq_cstr(r->method, at->method))
            continue;
        if (at->has_body) {
            struct buf *body = arena_new(&r->arena, struct buf);

            *body = BUF_INIT(EMU_FAULT_BODY_MAX);
            r->state = body;
        } else {
            at->run(r);
        }
        return;
    }
    reply_unknown(r, is_path_known);
}

static bool chunk(struct emu_request *r, const void *p, size_t n)
{
    struct buf *body = r->state;

    buf_append_bytes(body, p, n);
    return buf_ok(body);
}

/* The one with a body. */
static void end(struct emu_request *r)
{
    post_fault(r);
}

static void done(struct emu_request *r)
{
    if (r->state != NULL)
        buf_fini(r->state);
}

const struct emu_handler emu_admin_handler = {begin, chunk, end, done};
