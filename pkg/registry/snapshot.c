// SPDX-License-Identifier: Apache-2.0
/*
 * Snapshots: templates sorted by prefix, repositories sorted by name, and which covers which.
 */
#include "base/mem.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "registry_priv.h"

#include <stdio.h>
#include <stdlib.h>

int64_t registry_unix_ms(const struct json *seconds)
{
    double value = json_double_or(seconds, 0);
    return value > 0 && value < 1e12 ? (int64_t)(value * 1000) : 0;
}

struct registry_read *registry_read_new(int64_t started_mono_ms)
{
    struct registry_read *read = mem_alloc(sizeof *read);
    atomic_init(&read->refs, 1);
    read->started_mono_ms = started_mono_ms;
    return read;
}

struct registry_read *registry_read_ref(struct registry_read *read)
{
    atomic_fetch_add_explicit(&read->refs, 1, memory_order_relaxed);
    return read;
}

struct registry_read *registry_read_unref(struct registry_read *read)
{
    if (read == NULL || atomic_fetch_sub_explicit(&read->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    arena_fini(&read->arena);
    mem_free(read->entries);
    return mem_free(read);
}

bool registry_read_add(struct registry_read *read, const struct json *item, struct err *e)
{
    if (read->count == REGISTRY_TEMPLATES_MAX)
        return err_set(e, ERR_INVALID, "TooMany", "the registry has more than %d templates",
                       REGISTRY_TEMPLATES_MAX);
    if (read->count == read->cap) {
        read->cap = read->cap != 0 ? read->cap * 2 : 1;
        read->entries = mem_realloc(read->entries, read->cap * sizeof *read->entries);
    }
    struct registry_entry *entry = &read->entries[read->count];
    if (!api_template_from_aws(item, &read->arena, &entry->observed, e))
        return false;
    entry->key = api_prefix_normalise(entry->observed.spec.prefix);
    read->count++;
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct registry_entry *x = a;
    const struct registry_entry *y = b;
    int c = str_cmp(x->key, y->key);
    return c != 0 ? c : str_cmp(x->observed.spec.prefix, y->observed.spec.prefix);
}

void registry_read_finish(struct registry_read *read)
{
    if (read->count < 2)
        return;
    qsort(read->entries, read->count, sizeof *read->entries, by_key);
    size_t kept = 1;
    for (size_t i = 1; i < read->count; i++) {
        if (!str_eq(read->entries[i].key, read->entries[kept - 1].key))
            read->entries[kept++] = read->entries[i];
    }
    read->count = kept;
}

/* Index of key, or -1. */
static ptrdiff_t index_of(const struct registry_read *read, struct str key)
{
    size_t low = 0;
    size_t high = read->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(read->entries[mid].key, key);
        if (c == 0)
            return (ptrdiff_t)mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

const struct registry_entry *registry_read_find(const struct registry_read *read, struct str key)
{
    ptrdiff_t i = index_of(read, key);
    return i >= 0 ? &read->entries[i] : NULL;
}

struct registry_scan *registry_scan_new(int64_t started_mono_ms)
{
    struct registry_scan *scan = mem_alloc(sizeof *scan);
    scan->started_mono_ms = started_mono_ms;
    return scan;
}

struct registry_scan *registry_scan_free(struct registry_scan *scan)
{
    if (scan == NULL)
        return NULL;
    arena_fini(&scan->arena);
    mem_free(scan->items);
    return mem_free(scan);
}

/* Most repositories are encrypted alike: a value that the one before has too is not kept twice. */
static struct str keep(struct registry_scan *scan, struct str before, struct str s)
{
    return !str_is_null(s) && str_eq(before, s) ? before : arena_copy(&scan->arena, s);
}

bool registry_scan_add(struct registry_scan *scan, const struct json *item, struct err *e)
{
    struct str name = STR_NULL;
    if (!json_want_str(item, "repositoryName", &name, e))
        return false;
    if (scan->count == REGISTRY_REPOSITORIES_MAX)
        return err_set(e, ERR_INVALID, "TooMany", "the registry has more than %d repositories",
                       REGISTRY_REPOSITORIES_MAX);
    if (scan->count == scan->cap) {
        scan->cap = scan->cap != 0 ? scan->cap * 2 : 64;
        scan->items = mem_realloc(scan->items, scan->cap * sizeof *scan->items);
    }
    const struct json *encryption = json_get(item, "encryptionConfiguration");
    struct str type = json_str_or_null(json_get(encryption, "encryptionType"));
    const struct registry_repository before =
        scan->count > 0 ? scan->items[scan->count - 1] : (struct registry_repository){0};
    scan->items[scan->count++] = (struct registry_repository){
        arena_copy(&scan->arena, name),
        keep(scan, before.encryption_type, str_is_null(type) ? STR("AES256") : type),
        keep(scan, before.kms_key, json_str_or_null(json_get(encryption, "kmsKey"))),
        registry_unix_ms(json_get(item, "createdAt")),
    };
    return true;
}

bool registry_scan_add_rule(struct registry_scan *scan, const struct json *item, struct err *e)
{
    struct str prefix = STR_NULL;
    if (!json_want_str(item, "ecrRepositoryPrefix", &prefix, e))
        return false;
    if (scan->rule_count == REGISTRY_RULES_MAX)
        return err_set(e, ERR_INVALID, "TooMany",
                       "the registry has more than %d pull-through cache rules",
                       REGISTRY_RULES_MAX);
    if (scan->rules == NULL)
        scan->rules = arena_new_array(&scan->arena, struct str, REGISTRY_RULES_MAX);
    scan->rules[scan->rule_count++] = arena_copy(&scan->arena, ecr_prefix_normalise(prefix));
    return true;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct registry_repository *)a)->name,
                   ((const struct registry_repository *)b)->name);
}

static int by_size(const void *a, const void *b)
{
    const struct api_mount_group *x = a;
    const struct api_mount_group *y = b;
    if (x->repositories.value != y->repositories.value)
        return x->repositories.value < y->repositories.value ? 1 : -1;
    int c = str_cmp(x->encryption_type, y->encryption_type);
    return c != 0 ? c : str_cmp(x->kms_key, y->kms_key);
}

/* One group a pair of encryption type and key, found through a map. */
static void add_to_group(struct map *groups, const struct registry_repository *repository,
                         struct arena *a)
{
    char id[ECR_KMS_KEY_MAX + 64];
    int n = snprintf(id, sizeof id, "%.*s %.*s", STR_ARG(repository->encryption_type),
                     STR_ARG(repository->kms_key));
    struct str key = str_n(id, n > 0 && (size_t)n < sizeof id ? (size_t)n : 0);
    struct api_mount_group *group = map_get(groups, key);
    if (group == NULL) {
        group = arena_new(a, struct api_mount_group);
        group->encryption_type = repository->encryption_type;
        group->kms_key = repository->kms_key;
        group->repositories.has = true;
        (void)map_put(groups, key, group);
    }
    group->repositories.value++;
}

/* The groups of repositories that can mount blobs from each other: same encryption, same key. */
static void group_by_encryption(struct registry_scan *scan)
{
    struct map *groups = map_new();
    for (size_t i = 0; i < scan->count; i++)
        add_to_group(groups, &scan->items[i], &scan->arena);
    size_t n = 0;
    scan->groups = arena_new_array(&scan->arena, struct api_mount_group, map_count(groups));
    for (struct map_entry *it = map_first(groups); it != NULL; it = map_next(it))
        scan->groups[n++] = *(struct api_mount_group *)map_value(it);
    map_free(groups, NULL);
    if (n > 1)
        qsort(scan->groups, n, sizeof *scan->groups, by_size);
    scan->group_count = n < API_MOUNT_GROUPS_MAX ? n : API_MOUNT_GROUPS_MAX;
}

void registry_scan_finish(struct registry_scan *scan)
{
    if (scan->count > 1)
        qsort(scan->items, scan->count, sizeof *scan->items, by_name);
    group_by_encryption(scan);
}

/* The template that covers a repository, by index, or -1. What ecr_prefix_choose() says with
 * wanted = 0, found by the repository's path instead of by all templates (a test holds both to
 * each other): a scan of 100,000 repositories takes milliseconds with 1,000 templates. */
static ptrdiff_t cover_of(const struct registry_read *read, struct str repository)
{
    struct str path = repository;
    for (ptrdiff_t slash = str_rindex(path, '/'); slash >= 0; slash = str_rindex(path, '/')) {
        path.len = (size_t)slash;
        ptrdiff_t i = index_of(read, path);
        if (i >= 0)
            return i;
    }
    return index_of(read, STR(ECR_PREFIX_ROOT));
}

int64_t *registry_cover(const struct registry_read *read, const struct registry_scan *scan)
{
    int64_t *covered = mem_alloc_array(read->count + 1, sizeof *covered);
    for (size_t i = 0; i < scan->count; i++) {
        ptrdiff_t at = cover_of(read, scan->items[i].name);
        if (at >= 0)
            covered[at]++;
    }
    return covered;
}

int64_t registry_cover_one(const struct registry_read *read, const struct registry_scan *scan,
                           struct str key)
{
    int64_t n = 0;
    for (size_t i = 0; i < scan->count; i++) {
        if (!ecr_prefix_covers(key, scan->items[i].name))
            continue;
        ptrdiff_t at = cover_of(read, scan->items[i].name);
        /* a longer prefix that is known already takes it away */
        if (at < 0 || ecr_prefix_is_root(read->entries[at].key) ||
            (!ecr_prefix_is_root(key) && read->entries[at].key.len <= key.len))
            n++;
    }
    return n;
}
