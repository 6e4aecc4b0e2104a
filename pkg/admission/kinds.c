// SPDX-License-Identifier: Apache-2.0
/*
 * The table of kinds: what is built in, and what the configuration adds to it.
 */
#include "admission/kinds.h"

#include "base/map.h"
#include "base/mem.h"
#include "json/json.h"
#include "wanted_priv.h"

#include <string.h>

/* One kind's compiled entry; those of one group and kind are chained. */
struct entry {
    struct schema_list versions; /* of struct str; empty: all */
    enum admission_purpose purpose;
    struct expression *images;
    size_t count;
    struct entry *next;
};

struct admission_kinds {
    struct arena arena;
    struct map *by_kind; /* "group/kind" -> struct entry */
    struct wanted wanted;
};

/* --- what is built in ------------------------------------------------------------------------- */

struct builtin {
    const char *group;
    const char *kind;
    const char *root; /* of a Pod's spec; NULL: images below */
    enum admission_purpose purpose;
    const char *images[4];
};

static const struct builtin builtins[] = {
    {"", "Pod", ".spec", ADMISSION_PULL, {NULL}},
    {"", "ReplicationController", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"apps", "Deployment", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"apps", "ReplicaSet", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"apps", "StatefulSet", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"apps", "DaemonSet", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"batch", "Job", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"batch", "CronJob", ".spec.jobTemplate.spec.template.spec", ADMISSION_PULL, {NULL}},
    {"serving.knative.dev", "Service", ".spec.template.spec", ADMISSION_PULL, {NULL}},
    {"kpack.io",
     "Image",
     NULL,
     ADMISSION_PUSH,
     {".spec.tag", ".spec.additionalTags[*]", ".spec.cache.registry.tag", NULL}},
    {"tekton.dev",
     "TaskRun",
     NULL,
     ADMISSION_PUSH,
     {".spec.params[name=IMAGE].value", ".spec.params[name=image].value", NULL}},
    {"tekton.dev",
     "PipelineRun",
     NULL,
     ADMISSION_PUSH,
     {".spec.params[name=IMAGE].value", ".spec.params[name=image].value", NULL}},
};

static const char *const pod_images[] = {"containers[*].image", "initContainers[*].image",
                                         "ephemeralContainers[*].image",
                                         "volumes[*].image.reference"};

/* --- building --------------------------------------------------------------------------------- */

static struct str key_of(struct arena *a, struct str group, struct str kind)
{
    return arena_printf(a, "%.*s/%.*s", STR_ARG(group), STR_ARG(kind));
}

static void add_entry(struct admission_kinds *k, struct str group, struct str kind,
                      struct entry *entry)
{
    const struct str key = key_of(&k->arena, group, kind);
    for (size_t i = 0; i < entry->count; i++)
        wanted_add(&k->wanted, &entry->images[i], &k->arena);
    entry->next = map_get(k->by_kind, key);
    (void)map_put(k->by_kind, key, entry);
}

static bool add_builtin(struct admission_kinds *k, const struct builtin *b, struct err *e)
{
    struct entry *entry = arena_new(&k->arena, struct entry);
    entry->purpose = b->purpose;
    entry->images = arena_new_array(&k->arena, struct expression, ARRAY_SIZE(pod_images));
    for (size_t i = 0; i < ARRAY_SIZE(pod_images); i++) {
        if (b->root == NULL && b->images[i] == NULL)
            break;
        const struct str path = b->root != NULL
                                    ? arena_printf(&k->arena, "%s.%s", b->root, pod_images[i])
                                    : str_from(b->images[i]);
        if (!expression_compile(path, &k->arena, &entry->images[entry->count++], e))
            return false;
    }
    add_entry(k, str_from(b->group), str_from(b->kind), entry);
    return true;
}

static bool add_configured(struct admission_kinds *k, const struct admission_kind *from,
                           struct err *e)
{
    if (str_is_empty(from->kind))
        return err_set(e, ERR_INVALID, "InvalidKind", "kind must be given");
    if (from->images.count == 0 || from->images.count > ADMISSION_PATHS_MAX)
        return err_set(e, ERR_INVALID, "InvalidKind", "images must hold 1 to %d paths",
                       ADMISSION_PATHS_MAX);
    struct entry *entry = arena_new(&k->arena, struct entry);
    entry->purpose = from->purpose;
    entry->versions = schema_texts_copy(&from->versions, &k->arena);
    entry->images = arena_new_array(&k->arena, struct expression, from->images.count);
    entry->count = from->images.count;
    for (size_t i = 0; i < entry->count; i++)
        if (!expression_compile(((const struct str *)from->images.items)[i], &k->arena,
                                &entry->images[i], e))
            return err_wrap(e, "images[%zu]", i);
    add_entry(k, from->group, from->kind, entry);
    return true;
}

static bool build(struct admission_kinds *k, const struct admission_kind *more, size_t count,
                  struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
        if (!add_builtin(k, &builtins[i], e))
            return err_wrap(e, "built-in %s", builtins[i].kind);
    if (count > ADMISSION_KINDS_MAX)
        return err_set(e, ERR_INVALID, "InvalidKind", "there may be at most %d kinds",
                       ADMISSION_KINDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!add_configured(k, &more[i], e))
            return err_wrap(e, "kinds[%zu]", i);
    return true;
}

bool admission_kinds_new(const struct admission_kind *more, size_t count,
                         struct admission_kinds **ret, struct err *e)
{
    struct admission_kinds *k = mem_alloc(sizeof *k);
    k->by_kind = map_new();
    wanted_init(&k->wanted, &k->arena);
    *ret = build(k, more, count, e) ? k : admission_kinds_free(k);
    return *ret != NULL;
}

struct admission_kinds *admission_kinds_free(struct admission_kinds *k)
{
    if (k == NULL)
        return NULL;
    map_free(k->by_kind, NULL);
    arena_fini(&k->arena);
    return mem_free(k);
}

/* --- using ------------------------------------------------------------------------------------ */

static bool has_version(const struct entry *entry, struct str version)
{
    const struct str *items = entry->versions.items;
    for (size_t i = 0; i < entry->versions.count; i++)
        if (str_eq(items[i], version))
            return true;
    return entry->versions.count == 0;
}

const struct wanted *admission_kinds_wanted(const struct admission_kinds *k)
{
    return &k->wanted;
}

static const struct entry *entries_of(const struct admission_kinds *k, struct str group,
                                      struct str kind)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    return map_get(k->by_kind, key_of(&a, group, kind));
}

bool admission_kinds_has(const struct admission_kinds *k, struct str group, struct str version,
                         struct str kind)
{
    for (const struct entry *it = entries_of(k, group, kind); it != NULL; it = it->next)
        if (has_version(it, version))
            return true;
    return false;
}

struct giver {
    bool (*image)(void *arg, struct str image, enum admission_purpose);
    void *arg;
    enum admission_purpose purpose;
};

static bool give(void *arg, struct str text)
{
    const struct giver *g = arg;
    return g->image(g->arg, text, g->purpose);
}

bool admission_kinds_images(const struct admission_kinds *k, const struct admission_source *source,
                            struct arena *a,
                            bool (*image)(void *arg, struct str image, enum admission_purpose),
                            void *arg)
{
    const struct entry *it = entries_of(k, source->group, source->kind);
    for (; it != NULL; it = it->next) {
        if (!has_version(it, source->version))
            continue;
        struct giver g = {image, arg, it->purpose};
        for (size_t i = 0; i < it->count; i++)
            if (!expression_follow(&it->images[i], source->object, source->registry_host, a, give,
                                   &g))
                return false;
    }
    return true;
}
