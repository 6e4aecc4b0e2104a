// SPDX-License-Identifier: Apache-2.0
/*
 * What may be created: how many repositories a namespace, and which at all. Creations of the last
 * minute are counted in slots of some seconds, so that no minute, wherever it begins, has more than
 * the limit.
 */
#include "api/admission.h"
#include "base/mem.h"
#include "ensure_priv.h"

#include <string.h>

static uint32_t *made_in(struct quota *q, int64_t slot)
{
    return &q->made[slot % QUOTA_SLOTS];
}

/* Forgets what is older than a minute. */
static void move_on(struct quota *q, int64_t slot)
{
    if (slot - q->slot >= QUOTA_SLOTS)
        memset(q->made, 0, sizeof q->made);
    else
        for (int64_t s = q->slot + 1; s <= slot; s++)
            *made_in(q, s) = 0;
    q->slot = slot;
}

static int64_t made(const struct quota *q)
{
    int64_t n = 0;
    for (size_t i = 0; i < QUOTA_SLOTS; i++)
        n += q->made[i];
    return n;
}

/* Who created nothing for a minute has all creations again: no need to remember that. */
static void drop_idle_locked(struct ensure *e, int64_t slot)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(e->quotas); it != NULL; it = next) {
        next = map_next(it);
        struct quota *q = map_value(it);
        move_on(q, slot);
        if (made(q) == 0)
            mem_free(map_remove(e->quotas, map_key(it)));
    }
}

bool ensure_take_creation_locked(struct ensure *e, struct str registry, struct str namespace,
                                 int64_t per_minute, struct arena *a, struct str *ret_key,
                                 int64_t *ret_slot)
{
    const int64_t slot = clock_mono_ms(e->o.clock) / QUOTA_SLOT_MS;
    *ret_key = arena_printf(a, "%.*s %.*s %lld", STR_ARG(registry), STR_ARG(namespace),
                            (long long)per_minute);
    *ret_slot = slot;
    struct quota *q = map_get(e->quotas, *ret_key);
    if (q == NULL) {
        if (map_count(e->quotas) >= ENSURE_NAMESPACES_MAX)
            drop_idle_locked(e, slot);
        if (map_count(e->quotas) >= ENSURE_NAMESPACES_MAX)
            return false;
        q = mem_alloc(sizeof *q);
        q->slot = slot;
        (void)map_put(e->quotas, *ret_key, q);
    }
    move_on(q, slot);
    if (made(q) >= per_minute)
        return false;
    ++*made_in(q, slot);
    return true;
}

void ensure_give_back_creation_locked(struct ensure *e, struct str key, int64_t slot)
{
    struct quota *q = map_get(e->quotas, key);
    const bool is_counted = q != NULL && (q->slot - slot) < QUOTA_SLOTS;
    uint32_t *made_then = is_counted ? made_in(q, slot) : NULL;
    if (is_counted && *made_then > 0)
        --*made_then;
}

bool ensure_is_allowed(const struct ensure *e, struct str repository)
{
    for (size_t i = 0; i < e->o.allowed_prefix_count; i++)
        if (api_glob_match(e->o.allowed_prefixes[i], repository))
            return true;
    return e->o.allowed_prefix_count == 0;
}
