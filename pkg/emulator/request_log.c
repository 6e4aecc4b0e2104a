// SPDX-License-Identifier: Apache-2.0
/*
 * The request log as a ring of finished JSON lines: an entry is printed once, when it comes in, so
 * that it costs one allocation and the answer to a reader is a copy.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "json/write.h"
#include "request_log_priv.h"
#include "server_priv.h"

#include <pthread.h>

enum { LOG_LINE_MAX = EMU_LOG_BODY_MAX * 2 + 16 * 1024 };

struct log_entry {
    uint64_t seq;
    char *json;
    size_t len;
};

struct emu_request_log {
    pthread_mutex_t mutex;
    uint64_t next_seq;
    size_t first; /* index of the oldest */
    size_t count;
    size_t bytes;
    struct log_entry entries[EMU_LOG_ENTRIES_MAX];
};

struct emu_request_log *emu_request_log_new(void)
{
    struct emu_request_log *l = mem_alloc(sizeof(*l));

    pthread_mutex_init(&l->mutex, NULL);
    l->next_seq = 1;
    return l;
}

static void drop_oldest_locked(struct emu_request_log *l)
{
    struct log_entry *entry = &l->entries[l->first];

    l->bytes -= entry->len;
    entry->json = mem_free(entry->json);
    l->first = (l->first + 1) % EMU_LOG_ENTRIES_MAX;
    l->count--;
}

void emu_request_log_clear(struct emu_request_log *l)
{
    pthread_mutex_lock(&l->mutex);
    while (l->count > 0)
        drop_oldest_locked(l);
    pthread_mutex_unlock(&l->mutex);
}

struct emu_request_log *emu_request_log_free(struct emu_request_log *l)
{
    if (l == NULL)
        return NULL;
    emu_request_log_clear(l);
    pthread_mutex_destroy(&l->mutex);
    return mem_free(l);
}

static void put_optional(struct json_writer *w, const char *key, struct str value)
{
    if (!str_is_null(value))
        json_put_str(w, key, value);
}

static void print_entry(const struct emu_request *r, uint64_t seq, struct buf *out)
{
    char time[CLOCK_TEXT_MAX];
    struct json_writer w = json_writer_to(out);
    struct str body = r->log.body;
    struct buf operation BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_CONNECTION_BYTES);

    if (str_is_null(r->log.operation)) {
        buf_append(&operation, r->method);
        buf_append_char(&operation, ' ');
        buf_append(&operation, r->path);
    } else {
        buf_append(&operation, r->log.operation);
    }
    clock_format_rfc3339_micro(r->started_unix_ms, time);
    json_begin_object(&w);
    json_put_int(&w, "seq", (int64_t)seq);
    json_put_cstr(&w, "time", time);
    json_put_str(&w, "api", r->log.api);
    json_put_str(&w, "operation", buf_str(&operation));
    if (!str_is_null(body) && body.len <= EMU_LOG_BODY_MAX)
        json_put_raw(&w, "body", body);
    json_put_int(&w, "status", r->has_replied ? r->status : 0);
    if (r->fault.rule != 0)
        json_put_int(&w, "fault", (int64_t)r->fault.rule);
    put_optional(&w, "error", r->log.error);
    put_optional(&w, "userAgent", r->log.user_agent);
    put_optional(&w, "accessKeyId", r->log.access_key_id);
    put_optional(&w, "requestId", str_from(r->id));
    json_end(&w);
}

void emu_request_log_add(struct emu_request_log *l, const struct emu_request *r)
{
    struct buf line BERTH_CLEANUP(buf_fini) = BUF_INIT(LOG_LINE_MAX);
    struct log_entry *entry = NULL;

    pthread_mutex_lock(&l->mutex);
    print_entry(r, l->next_seq, &line);
    if (!buf_ok(&line)) {
        buf_reset(&line);
        buf_printf(&line, "{\"seq\":%llu,\"status\":%d}", (unsigned long long)l->next_seq,
                   r->status);
    }
    while (l->count > 0 &&
           (l->count == EMU_LOG_ENTRIES_MAX || l->bytes + buf_str(&line).len > EMU_LOG_BYTES_MAX))
        drop_oldest_locked(l);
    entry = &l->entries[(l->first + l->count) % EMU_LOG_ENTRIES_MAX];
    entry->seq = l->next_seq++;
    entry->len = buf_str(&line).len;
    entry->json = mem_dup(buf_str(&line).ptr, entry->len);
    l->bytes += entry->len;
    l->count++;
    pthread_mutex_unlock(&l->mutex);
}

void emu_request_log_print(struct emu_request_log *l, uint64_t after, struct buf *out)
{
    const char *separator = "";

    buf_append_char(out, '[');
    pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->count; i++) {
        const struct log_entry *entry = &l->entries[(l->first + i) % EMU_LOG_ENTRIES_MAX];

        if (entry->seq <= after)
            continue;
        buf_append_cstr(out, separator);
        buf_append_bytes(out, entry->json, entry->len);
        separator = ",\n";
    }
    pthread_mutex_unlock(&l->mutex);
    buf_append_cstr(out, "]\n");
}
