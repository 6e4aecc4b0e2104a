// SPDX-License-Identifier: Apache-2.0
/*
 * The index of claims: by template name, by registry and prefix, and by registry, so that finding
 * who else wants a prefix does not cost a walk over all objects.
 */
#include "base/mem.h"
#include "reconcile_priv.h"

#include <string.h>

struct held {
    char *registry;
    char *prefix;
};

struct claims {
    struct map *by_template; /* name -> struct held */
    struct map *by_prefix;   /* "registry\nprefix" -> struct map of names */
    struct map *by_registry; /* registry -> struct map of names */
};

struct claims *claims_new(void)
{
    struct claims *claims = mem_alloc(sizeof *claims);
    claims->by_template = map_new();
    claims->by_prefix = map_new();
    claims->by_registry = map_new();
    return claims;
}

static void held_free(void *p)
{
    struct held *held = p;
    mem_free(held->registry);
    mem_free(held->prefix);
    mem_free(held);
}

static void names_free(void *p)
{
    map_free(p, NULL);
}

struct claims *claims_free(struct claims *claims)
{
    if (claims == NULL)
        return NULL;
    map_free(claims->by_template, held_free);
    map_free(claims->by_prefix, names_free);
    map_free(claims->by_registry, names_free);
    return mem_free(claims);
}

static struct str prefix_key(struct arena *a, struct str registry, struct str prefix)
{
    return arena_printf(a, "%.*s\n%.*s", STR_ARG(registry), STR_ARG(prefix));
}

static void add_name(struct map *sets, struct str key, struct str name)
{
    static char present;
    struct map *names = map_get(sets, key);
    if (names == NULL) {
        names = map_new();
        (void)map_put(sets, key, names);
    }
    (void)map_put(names, name, &present);
}

static void remove_name(struct map *sets, struct str key, struct str name)
{
    struct map *names = map_get(sets, key);
    if (names == NULL)
        return;
    (void)map_remove(names, name);
    if (map_count(names) == 0) {
        (void)map_remove(sets, key);
        map_free(names, NULL);
    }
}

bool claims_remove_locked(struct claims *claims, struct str template, struct arena *a,
                          struct claim *ret_before)
{
    *ret_before = (struct claim){STR_NULL, STR_NULL};
    struct held *held = map_remove(claims->by_template, template);
    if (held == NULL)
        return false;
    ret_before->registry = arena_copy(a, str_from(held->registry));
    ret_before->prefix = arena_copy(a, str_from(held->prefix));
    remove_name(claims->by_prefix, prefix_key(a, ret_before->registry, ret_before->prefix),
                template);
    remove_name(claims->by_registry, ret_before->registry, template);
    held_free(held);
    return true;
}

bool claims_set_locked(struct claims *claims, struct str template, struct str registry,
                       struct str prefix, struct arena *a, struct claim *ret_before)
{
    *ret_before = (struct claim){STR_NULL, STR_NULL};
    const struct held *now = map_get(claims->by_template, template);
    if (now != NULL && str_eq_cstr(registry, now->registry) && str_eq_cstr(prefix, now->prefix))
        return false;
    (void)claims_remove_locked(claims, template, a, ret_before);
    struct held *held = mem_alloc(sizeof *held);
    held->registry = mem_dup(registry.ptr, registry.len);
    held->prefix = mem_dup(prefix.ptr, prefix.len);
    (void)map_put(claims->by_template, template, held);
    add_name(claims->by_prefix, prefix_key(a, registry, prefix), template);
    add_name(claims->by_registry, registry, template);
    return true;
}

static size_t names_of(struct map *sets, struct str key, struct arena *a, struct str **ret_names)
{
    *ret_names = NULL;
    const struct map *names = map_get(sets, key);
    if (names == NULL)
        return 0;
    struct str *list = arena_new_array(a, struct str, map_count(names));
    size_t n = 0;
    for (struct map_entry *it = map_first(names); it != NULL; it = map_next(it))
        list[n++] = arena_copy(a, map_key(it));
    *ret_names = list;
    return n;
}

size_t claims_of_prefix_locked(struct claims *claims, struct str registry, struct str prefix,
                               struct arena *a, struct str **ret_names)
{
    return names_of(claims->by_prefix, prefix_key(a, registry, prefix), a, ret_names);
}

size_t claims_of_registry_locked(struct claims *claims, struct str registry, struct arena *a,
                                 struct str **ret_names)
{
    return names_of(claims->by_registry, registry, a, ret_names);
}
