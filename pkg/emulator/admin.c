// SPDX-License-Identifier: Apache-2.0
/*
 * /_emulator/: what a test asks the emulator about itself, unsigned. The emulator is a tool for
 * one's own machine; nothing here shows a secret.
 *
 *   GET    /_emulator/requests[?after=SEQ]   the request log as a JSON array, oldest first
 *   DELETE /_emulator/requests               empties it
 *   GET    /_emulator/stats                  counters as a JSON object
 */
#include "base/num.h"
#include "blob_priv.h"
#include "control_priv.h"
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

static const struct {
    const char *method;
    const char *path;
    void (*run)(struct emu_request *r);
} endpoints[] = {
    {"GET", "/_emulator/requests", get_requests},
    {"DELETE", "/_emulator/requests", delete_requests},
    {"GET", "/_emulator/stats", get_stats},
};

static void begin(struct emu_request *r)
{
    bool is_path_known = false;

    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
        if (!str_eq_cstr(r->path, endpoints[i].path))
            continue;
        is_path_known = true;
        if (str_eq_cstr(r->method, endpoints[i].method)) {
            endpoints[i].run(r);
            return;
        }
    }
    if (is_path_known)
        emu_reply(r, 405, "text/plain", STR("method not allowed\n"));
    else
        emu_reply(r, 404, "text/plain",
                  STR("not found; there are /_emulator/requests and /_emulator/stats\n"));
}

const struct emu_handler emu_admin_handler = {.begin = begin};
