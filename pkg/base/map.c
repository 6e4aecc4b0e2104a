// SPDX-License-Identifier: Apache-2.0
/*
 * The string map, over uthash.
 */
#include "base/map.h"

#include "base/mem.h"

#define HASH_NONFATAL_OOM    0
#define uthash_malloc(sz)    mem_alloc(sz)
#define uthash_free(ptr, sz) ((void)(sz), (void)mem_free(ptr))
#include <uthash.h>

struct map_entry {
    UT_hash_handle hh;
    void *value;
    size_t len;
    char key[];
};

struct map {
    struct map_entry *head;
};

struct map *map_new(void)
{
    return mem_alloc(sizeof(struct map));
}

/* uthash's macros trip -Wconversion and friends: they stand in the two functions below only. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wpragmas"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wextra-semi-stmt"
#pragma GCC diagnostic ignored "-Wcomma"
#endif
static struct map_entry *find(const struct map *m, struct str key)
{
    struct map_entry *found = NULL;
    HASH_FIND(hh, m->head, key.ptr != NULL ? key.ptr : "", key.len, found);
    return found;
}

static void insert(struct map *m, struct map_entry *entry)
{
    HASH_ADD_KEYPTR(hh, m->head, entry->key, entry->len, entry);
}

static void unlink_entry(struct map *m, struct map_entry *entry)
{
    HASH_DEL(m->head, entry);
}
#pragma GCC diagnostic pop

struct map *map_free(struct map *m, void (*free_value)(void *value))
{
    if (m == NULL)
        return NULL;
    while (m->head != NULL) {
        struct map_entry *entry = m->head;
        unlink_entry(m, entry);
        if (free_value != NULL)
            free_value(entry->value);
        mem_free(entry);
    }
    return mem_free(m);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_entry *entry = find(m, key);
    return entry != NULL ? entry->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    struct map_entry *entry = find(m, key);
    if (entry != NULL) {
        void *before = entry->value;
        entry->value = value;
        return before;
    }
    entry = mem_alloc(sizeof *entry + key.len + 1);
    entry->value = value;
    entry->len = key.len;
    if (key.len != 0)
        memcpy(entry->key, key.ptr, key.len);
    insert(m, entry);
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_entry *entry = find(m, key);
    if (entry == NULL)
        return NULL;
    void *value = entry->value;
    unlink_entry(m, entry);
    mem_free(entry);
    return value;
}

size_t map_count(const struct map *m)
{
    return HASH_COUNT(m->head);
}

struct map_entry *map_first(const struct map *m)
{
    return m->head;
}

struct map_entry *map_next(struct map_entry *it)
{
    return it->hh.next;
}

struct str map_key(const struct map_entry *it)
{
    return str_n(it->key, it->len);
}

void *map_value(const struct map_entry *it)
{
    return it->value;
}
