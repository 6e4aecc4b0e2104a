// SPDX-License-Identifier: Apache-2.0
/*
 * What may be created: how many repositories a namespace, and which at all.
 */
#include "api/admission.h"
#include "base/mem.h"
#include "ensure_priv.h"

static void refill(struct bucket *b, int64_t now_ms, int64_t per_minute)
{
    b->tokens += (double)(now_ms - b->at_ms) * (double)per_minute / 60000;
    if (b->tokens > (double)per_minute)
        b->tokens = (double)per_minute;
    b->at_ms = now_ms;
}

/* A namespace that asked for nothing for a minute has all of its creations again: no need to
 * remember it. */
static void drop_idle_locked(struct ensure *e, int64_t now_ms)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(e->buckets); it != NULL; it = next) {
        next = map_next(it);
        const struct bucket *b = map_value(it);
        if (now_ms - b->at_ms >= 60000)
            mem_free(map_remove(e->buckets, map_key(it)));
    }
}

bool ensure_take_creation_locked(struct ensure *e, struct str namespace, int64_t per_minute)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    struct bucket *b = map_get(e->buckets, namespace);
    if (b == NULL) {
        if (map_count(e->buckets) >= ENSURE_NAMESPACES_MAX)
            drop_idle_locked(e, now_ms);
        if (map_count(e->buckets) >= ENSURE_NAMESPACES_MAX)
            return false;
        b = mem_alloc(sizeof *b);
        *b = (struct bucket){(double)per_minute, now_ms};
        (void)map_put(e->buckets, namespace, b);
    }
    refill(b, now_ms, per_minute);
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}

bool ensure_is_allowed(const struct ensure *e, struct str repository)
{
    for (size_t i = 0; i < e->o.allowed_prefix_count; i++)
        if (api_glob_match(e->o.allowed_prefixes[i], repository))
            return true;
    return e->o.allowed_prefix_count == 0;
}
