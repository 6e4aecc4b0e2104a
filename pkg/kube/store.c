// SPDX-License-Identifier: Apache-2.0
/*
 * The informer's copy; see store_priv.h.
 */
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "object_priv.h"
#include "store_priv.h"

#include <pthread.h>

enum { KEY_MAX_BYTES = 4096 };

struct store {
    pthread_mutex_t mutex;
    /* "namespace/name" -> struct kube_object *, each with a reference. These are packed and nobody
     * asks them for their JSON: who gets one gets a copy that shares all but the tree. */
    struct map *objects;
};

static void free_value(void *value)
{
    kube_object_unref(value);
}

/* Names have no slash, so two objects never share a key. */
static struct str key_of(struct buf *text, struct str namespace, struct str name)
{
    *text = BUF_INIT(KEY_MAX_BYTES);
    buf_append(text, str_cut_utf8(namespace, KUBE_NAME_MAX));
    buf_append_char(text, '/');
    buf_append(text, str_cut_utf8(name, 4 * KUBE_NAME_MAX));
    return buf_str(text);
}

static struct str object_key(struct buf *text, const struct kube_object *o)
{
    return key_of(text, kube_object_namespace(o), kube_object_name(o));
}

static bool is_same(const struct kube_object *a, const struct kube_object *b)
{
    return a && str_eq(kube_object_resource_version(a), kube_object_resource_version(b)) &&
           str_eq(kube_object_uid(a), kube_object_uid(b));
}

struct store *kube_store_new(void)
{
    struct store *s = mem_alloc(sizeof(*s));
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->objects = map_new();
    return s;
}

struct store *kube_store_free(struct store *s)
{
    if (s == NULL)
        return NULL;
    map_free(s->objects, free_value);
    (void)pthread_mutex_destroy(&s->mutex);
    return mem_free(s);
}

bool kube_store_put(struct store *s, const struct kube_object *o)
{
    struct buf text BERTH_CLEANUP(buf_fini);
    struct str key = object_key(&text, o);
    (void)pthread_mutex_lock(&s->mutex);
    struct kube_object *old = map_put(s->objects, key, kube_object_packed(o));
    (void)pthread_mutex_unlock(&s->mutex);
    bool is_change = !is_same(old, o);
    kube_object_unref(old);
    return is_change;
}

bool kube_store_remove(struct store *s, struct str namespace, struct str name)
{
    struct buf text BERTH_CLEANUP(buf_fini);
    struct str key = key_of(&text, namespace, name);
    (void)pthread_mutex_lock(&s->mutex);
    struct kube_object *old = map_remove(s->objects, key);
    (void)pthread_mutex_unlock(&s->mutex);
    kube_object_unref(old);
    return old != NULL;
}

static void set_alloc(struct kube_objects *set, size_t most)
{
    set->items = mem_alloc_array(most, sizeof(*set->items));
    set->count = 0;
}

void kube_store_replace(struct store *s, struct map *next, struct kube_objects *changed,
                        struct kube_objects *gone)
{
    struct map *now = map_new();
    set_alloc(changed, map_count(next));
    for (struct map_entry *it = map_first(next); it; it = map_next(it))
        (void)map_put(now, map_key(it), kube_object_packed(map_value(it)));
    (void)pthread_mutex_lock(&s->mutex);
    struct map *before = s->objects;
    s->objects = now;
    (void)pthread_mutex_unlock(&s->mutex);
    for (struct map_entry *it = map_first(next); it; it = map_next(it)) {
        struct kube_object *old = map_remove(before, map_key(it));
        if (!is_same(old, map_value(it)))
            changed->items[changed->count++] = kube_object_ref(map_value(it));
        kube_object_unref(old);
    }
    set_alloc(gone, map_count(before)); /* what was not found again */
    for (struct map_entry *it = map_first(before); it; it = map_next(it))
        gone->items[gone->count++] = kube_object_ref(map_value(it));
    map_free(before, free_value);
}

struct kube_object *kube_store_get(struct store *s, struct str namespace, struct str name)
{
    struct buf text BERTH_CLEANUP(buf_fini);
    struct str key = key_of(&text, namespace, name);
    (void)pthread_mutex_lock(&s->mutex);
    const struct kube_object *kept = map_get(s->objects, key);
    struct kube_object *o = kept != NULL ? kube_object_packed(kept) : NULL;
    (void)pthread_mutex_unlock(&s->mutex);
    return o;
}

void kube_store_list(struct store *s, struct kube_objects *ret)
{
    (void)pthread_mutex_lock(&s->mutex);
    set_alloc(ret, map_count(s->objects));
    for (struct map_entry *it = map_first(s->objects); it; it = map_next(it))
        ret->items[ret->count++] = kube_object_packed(map_value(it));
    (void)pthread_mutex_unlock(&s->mutex);
}

size_t kube_store_count(struct store *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    size_t count = map_count(s->objects);
    (void)pthread_mutex_unlock(&s->mutex);
    return count;
}

struct map *kube_staging_new(void)
{
    return map_new();
}

struct map *kube_staging_free(struct map *m)
{
    return m ? map_free(m, free_value) : NULL;
}

void kube_staging_put(struct map *m, struct kube_object *o)
{
    struct buf text BERTH_CLEANUP(buf_fini);
    kube_object_unref(map_put(m, object_key(&text, o), kube_object_packed(o)));
    kube_object_unref(o);
}

void kube_staging_remove(struct map *m, const struct kube_object *o)
{
    struct buf text BERTH_CLEANUP(buf_fini);
    kube_object_unref(map_remove(m, object_key(&text, o)));
}
