// SPDX-License-Identifier: Apache-2.0
/*
 * Pull-through cache rules, as far as clients look at them: create, describe, delete. Nothing is
 * ever pulled. They are not part of what --data keeps, nor of stale reads.
 */
#include "base/mem.h"
#include "control_priv.h"
#include "store_impl_priv.h"

struct emu_cache_rule {
    uint64_t seq;
    int64_t created_ms;
    char *upstream_url;
};

void emu_cache_rule_free(void *p)
{
    struct emu_cache_rule *rule = p;
    mem_free(rule->upstream_url);
    mem_free(rule);
}

static void write_rule(struct emu_call *c, struct str prefix, const struct emu_cache_rule *rule)
{
    json_put_str(&c->w, "ecrRepositoryPrefix", prefix);
    json_put_cstr(&c->w, "upstreamRegistryUrl", rule->upstream_url);
    emu_put_time(c, "createdAt", rule->created_ms);
    json_put_cstr(&c->w, "registryId", c->emu->account);
}

static bool fail_not_found(struct emu_call *c, struct str prefix)
{
    return emu_fail(&c->x, EMU_CACHE_RULE_NOT_FOUND,
                    "The pull through cache rule with ECR repository prefix '%.*s' does not exist "
                    "in the registry with id '%s'",
                    STR_ARG(prefix), c->emu->account);
}

static bool create(struct emu_call *c)
{
    struct emu_store *s = c->store;
    struct str prefix = emu_in_str(c, "ecrRepositoryPrefix");
    struct str url = emu_in_str(c, "upstreamRegistryUrl");

    if (map_get(s->cache_rules, prefix) != NULL)
        return emu_fail(&c->x, EMU_CACHE_RULE_ALREADY_EXISTS,
                        "The pull through cache rule with ECR repository prefix '%.*s' already "
                        "exists in the registry with id '%s'",
                        STR_ARG(prefix), c->emu->account);
    struct emu_cache_rule *rule = mem_alloc(sizeof *rule);
    rule->seq = s->next_seq++;
    rule->created_ms = clock_unix_ms(s->clock);
    rule->upstream_url = mem_dup(url.ptr, url.len);
    (void)map_put(s->cache_rules, prefix, rule);
    write_rule(c, prefix, rule);
    return true;
}

static bool delete (struct emu_call *c)
{
    struct str prefix = emu_in_str(c, "ecrRepositoryPrefix");
    struct emu_cache_rule *rule = map_get(c->store->cache_rules, prefix);

    if (rule == NULL)
        return fail_not_found(c, prefix);
    write_rule(c, prefix, rule);
    (void)map_remove(c->store->cache_rules, prefix);
    emu_cache_rule_free(rule);
    return true;
}

static void write_item(struct emu_call *c, struct str prefix, const struct emu_cache_rule *rule)
{
    json_begin_object(&c->w);
    write_rule(c, prefix, rule);
    json_end(&c->w);
}

static bool write_named(struct emu_call *c, const struct json *prefixes)
{
    for (const struct json *it = json_first(prefixes); it; it = json_next(it)) {
        struct str prefix = json_str_or_null(it);
        const struct emu_cache_rule *rule = map_get(c->store->cache_rules, prefix);

        if (rule == NULL)
            return fail_not_found(c, prefix);
        write_item(c, prefix, rule);
    }
    return true;
}

static bool describe(struct emu_call *c)
{
    const struct json *prefixes = json_get(c->in, "ecrRepositoryPrefixes");
    const struct map *all = c->store->cache_rules; /* NULL in a stale view: none */
    struct emu_page page;

    if (!emu_page_read(c, "ecrRepositoryPrefixes", &page))
        return false;
    json_key_begin_array(&c->w, "pullThroughCacheRules");
    if (!json_is_null(prefixes)) {
        if (!write_named(c, prefixes))
            return false;
    } else if (all != NULL) {
        for (struct map_entry *it = map_first(all); it && !page.has_more; it = map_next(it)) {
            const struct emu_cache_rule *rule = map_value(it);

            if (emu_page_take(&page, rule->seq))
                write_item(c, map_key(it), rule);
        }
    }
    json_end(&c->w);
    emu_page_write(c, &page);
    return true;
}

const struct emu_operation emu_cache_operations[] = {
    {"CreatePullThroughCacheRule", create},
    {"DeletePullThroughCacheRule", delete},
    {"DescribePullThroughCacheRules", describe},
    {NULL, NULL},
};
