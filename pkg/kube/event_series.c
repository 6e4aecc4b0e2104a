// SPDX-License-Identifier: Apache-2.0
/*
 * Series and limits of events; see event_series_priv.h.
 */
#include "base/map.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "event_series_priv.h"
#include "kube/object.h"

#include <stdio.h>

/* A bucket is kept as time: a call costs one interval of refilling. */
struct bucket {
    int64_t credit_ms;
    int64_t mono_ms;
};

struct event_table {
    struct map *series;  /* hash of what was said -> struct event_series, latest said last */
    struct map *buckets; /* hash of object and reason -> struct bucket */
};

/* The note: at most what the server takes, and text in any case. */
static struct str copy_note(struct arena *a, struct str note)
{
    bool is_utf8 = str_is_utf8(note);
    struct str cut = str_cut_utf8(note, KUBE_EVENT_NOTE_MAX_BYTES);
    if (!is_utf8 && cut.len > KUBE_EVENT_NOTE_MAX_BYTES)
        cut.len = KUBE_EVENT_NOTE_MAX_BYTES;
    char *text = arena_alloc(a, cut.len + 1); /* a thousand of them may be kept for minutes */
    for (size_t i = 0; i < cut.len; i++)
        text[i] = !is_utf8 && (unsigned char)cut.ptr[i] >= 0x80 ? '?' : cut.ptr[i];
    return str_n(text, cut.len);
}

struct event *kube_event_new(const struct kube_object *regarding, enum kube_event_type type,
                             const char *reason, const char *action, struct str note)
{
    struct event *ev = mem_alloc(sizeof(*ev));
    struct arena *a = &ev->arena;
    ev->api_version = arena_copy(a, kube_object_api_version(regarding));
    ev->kind = arena_copy(a, kube_object_kind(regarding));
    ev->namespace = arena_copy(a, kube_object_namespace(regarding));
    ev->name = arena_copy(a, kube_object_name(regarding));
    ev->uid = arena_copy(a, kube_object_uid(regarding));
    ev->resource_version = arena_copy(a, kube_object_resource_version(regarding));
    ev->type = type;
    ev->reason = arena_copy(a, str_cut_utf8(str_from(reason), EVENT_FIELD_MAX_BYTES));
    ev->action = arena_copy(a, str_cut_utf8(str_from(action), EVENT_FIELD_MAX_BYTES));
    ev->note = copy_note(a, note);
    return ev;
}

struct event *kube_event_free(struct event *ev)
{
    if (ev)
        arena_fini(&ev->arena);
    return mem_free(ev);
}

static void series_free(void *value)
{
    struct event_series *s = value;
    kube_event_free(s->event);
    mem_free(s->object_name);
    mem_free(s);
}

static void bucket_free(void *value)
{
    mem_free(value);
}

struct event_table *kube_event_table_new(void)
{
    struct event_table *t = mem_alloc(sizeof(*t));
    t->series = map_new();
    t->buckets = map_new();
    return t;
}

struct event_table *kube_event_table_free(struct event_table *t)
{
    if (t == NULL)
        return NULL;
    map_free(t->series, series_free);
    map_free(t->buckets, bucket_free);
    return mem_free(t);
}

static void hash_part(struct crypto_hash *h, struct str s)
{
    crypto_hash_add(h, s.ptr, s.len);
    crypto_hash_add(h, "", 1); /* so that parts do not run into one another */
}

static void object_hash(struct crypto_hash *h, const struct event *ev)
{
    hash_part(h, ev->api_version);
    hash_part(h, ev->kind);
    hash_part(h, ev->namespace);
    hash_part(h, ev->name);
    hash_part(h, ev->uid);
    hash_part(h, ev->reason);
}

static void bucket_key(const struct event *ev, char key[static CRYPTO_SHA256_HEX + 1])
{
    struct crypto_hash *h = crypto_hash_new();
    object_hash(h, ev);
    crypto_hash_hex(h, key);
    crypto_hash_free(h);
}

static void series_key(const struct event *ev, char key[static CRYPTO_SHA256_HEX + 1])
{
    struct crypto_hash *h = crypto_hash_new();
    object_hash(h, ev);
    hash_part(h, ev->type == KUBE_EVENT_WARNING ? STR("Warning") : STR("Normal"));
    hash_part(h, ev->action);
    hash_part(h, ev->note);
    crypto_hash_hex(h, key);
    crypto_hash_free(h);
}

static void drop_oldest(struct event_table *t)
{
    struct map_entry *first = map_first(t->series);
    series_free(map_remove(t->series, map_key(first)));
}

struct event_series *kube_event_table_add(struct event_table *t, struct event *ev)
{
    char key[CRYPTO_SHA256_HEX + 1];
    series_key(ev, key);
    struct event_series *s = map_remove(t->series, str_from(key));
    if (s && ev->mono_ms - s->last_mono_ms > KUBE_EVENT_SERIES_MS) {
        series_free(s);
        s = NULL;
    }
    int64_t unix_ms = ev->unix_ms, mono_ms = ev->mono_ms;
    if (s == NULL) {
        s = mem_alloc(sizeof(*s));
        s->event = ev;
    } else {
        kube_event_free(ev);
    }
    s->count++;
    s->last_unix_ms = unix_ms;
    s->last_mono_ms = mono_ms;
    if (map_count(t->series) >= EVENT_SERIES_MAX)
        drop_oldest(t);
    (void)map_put(t->series, str_from(key), s); /* removed and put: the table is in order of age */
    return s;
}

static void refill(struct bucket *b, int64_t mono_ms)
{
    const int64_t full_ms = (int64_t)KUBE_EVENT_BURST * KUBE_EVENT_REFILL_MS;
    if (mono_ms > b->mono_ms) {
        b->credit_ms += mono_ms - b->mono_ms;
        b->mono_ms = mono_ms;
    }
    if (b->credit_ms > full_ms)
        b->credit_ms = full_ms;
}

bool kube_event_table_may_send(struct event_table *t, const struct event_series *s, int64_t mono_ms)
{
    char key[CRYPTO_SHA256_HEX + 1];
    bucket_key(s->event, key);
    struct bucket *b = map_get(t->buckets, str_from(key));
    if (b == NULL) {
        b = mem_alloc(sizeof(*b));
        b->credit_ms = (int64_t)KUBE_EVENT_BURST * KUBE_EVENT_REFILL_MS;
        b->mono_ms = mono_ms;
        (void)map_put(t->buckets, str_from(key), b);
    }
    refill(b, mono_ms);
    if (b->credit_ms < KUBE_EVENT_REFILL_MS)
        return false;
    b->credit_ms -= KUBE_EVENT_REFILL_MS;
    return true;
}

void kube_event_table_expire(struct event_table *t, int64_t mono_ms)
{
    const int64_t full_ms = (int64_t)KUBE_EVENT_BURST * KUBE_EVENT_REFILL_MS;
    for (struct map_entry *it = map_first(t->series), *after; it; it = after) {
        struct event_series *s = map_value(it);
        after = map_next(it);
        if (mono_ms - s->last_mono_ms > KUBE_EVENT_SERIES_MS)
            series_free(map_remove(t->series, map_key(it)));
    }
    for (struct map_entry *it = map_first(t->buckets), *after; it; it = after) {
        struct bucket *b = map_value(it);
        after = map_next(it);
        refill(b, mono_ms);
        if (b->credit_ms >= full_ms) /* as good as a new one */
            bucket_free(map_remove(t->buckets, map_key(it)));
    }
}

struct event_series *kube_event_table_next_unsent(struct event_table *t, int64_t mono_ms)
{
    for (struct map_entry *it = map_first(t->series); it; it = map_next(it)) {
        struct event_series *s = map_value(it);
        if (s->count > s->sent_count && kube_event_table_may_send(t, s, mono_ms))
            return s;
    }
    return NULL;
}

size_t kube_event_table_count(const struct event_table *t)
{
    return map_count(t->series);
}

/* Names of objects may have more characters (RBAC's have colons) than a DNS subdomain. */
static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

void kube_event_series_rename(struct event_series *s, uint64_t entropy)
{
    char name[KUBE_NAME_MAX + 1];
    size_t most = KUBE_NAME_MAX - EVENT_NAME_HEX - 1, n = 0;
    for (size_t i = 0; i < s->event->name.len && n < most; i++)
        name[n++] = is_name_char(s->event->name.ptr[i]) ? s->event->name.ptr[i] : '-';
    while (n > 0 && (name[n - 1] == '-' || name[n - 1] == '.'))
        n--;
    size_t start = 0;
    while (start < n && (name[start] == '-' || name[start] == '.'))
        start++;
    char full[KUBE_NAME_MAX + 1];
    (void)snprintf(full, sizeof(full), "%.*s%s%016llx", (int)(n - start), name + start,
                   n > start ? "." : "", (unsigned long long)entropy);
    mem_free(s->object_name);
    s->object_name = mem_strdup(full);
}

const char *kube_event_series_namespace(const struct event_series *s)
{
    return str_is_empty(s->event->namespace) ? "default" : s->event->namespace.ptr;
}
