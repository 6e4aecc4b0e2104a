// SPDX-License-Identifier: Apache-2.0
/*
 * Versions of the past: what each change of an account setting, a template or a repository has
 * replaced, in a ring of the last EMU_HISTORY_CHANGES_MAX, and the view of the state at a moment
 * that going back over them gives. It costs a change one entry and no copy: what is replaced moves
 * here.
 */
#include "base/mem.h"
#include "change_priv.h"
#include "store_impl_priv.h"

#include <stdlib.h>

enum kind { SETTING, TEMPLATE, REPOSITORY };

struct version {
    enum kind kind;
    int64_t until_mono_ms;
    size_t index; /* of a setting */
    char *key;
    char *setting; /* what was there; all NULL: nothing */
    struct emu_template *template;
    struct emu_repository *repository;
};

struct emu_history {
    size_t first; /* index of the oldest */
    size_t count;
    struct version versions[EMU_HISTORY_CHANGES_MAX];
};

struct emu_history *emu_history_new(void)
{
    return mem_alloc(sizeof(struct emu_history));
}

static void version_fini(struct version *v)
{
    mem_free(v->key);
    mem_free(v->setting);
    emu_template_free(v->template);
    emu_repository_free(v->repository);
    *v = (struct version){0};
}

struct emu_history *emu_history_free(struct emu_history *h)
{
    if (h == NULL)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(h->versions); i++)
        version_fini(&h->versions[i]);
    return mem_free(h);
}

static void add(struct emu_history *h, struct version v)
{
    size_t at = (h->first + h->count) % EMU_HISTORY_CHANGES_MAX;

    if (h->count == EMU_HISTORY_CHANGES_MAX)
        h->first = (h->first + 1) % EMU_HISTORY_CHANGES_MAX;
    else
        h->count++;
    version_fini(&h->versions[at]);
    h->versions[at] = v;
}

void emu_history_setting(struct emu_history *h, int64_t mono_ms, size_t index, char *before)
{
    add(h, (struct version){
               .kind = SETTING, .until_mono_ms = mono_ms, .index = index, .setting = before});
}

void emu_history_template(struct emu_history *h, int64_t mono_ms, struct str prefix,
                          struct emu_template *before)
{
    add(h, (struct version){.kind = TEMPLATE,
                            .until_mono_ms = mono_ms,
                            .key = mem_dup(prefix.ptr, prefix.len),
                            .template = before});
}

void emu_history_repository(struct emu_history *h, int64_t mono_ms, struct str name,
                            struct emu_repository *before)
{
    add(h, (struct version){.kind = REPOSITORY,
                            .until_mono_ms = mono_ms,
                            .key = mem_dup(name.ptr, name.len),
                            .repository = before});
}

/* ---- the view ---- */

static struct map *copy_map(const struct map *from)
{
    struct map *to = map_new();

    for (struct map_entry *it = map_first(from); it; it = map_next(it))
        (void)map_put(to, map_key(it), map_value(it));
    return to;
}

static void put_back(struct map *m, const char *key, void *before)
{
    if (before != NULL)
        (void)map_put(m, str_from(key), before);
    else
        (void)map_remove(m, str_from(key));
}

static void go_back(struct emu_store *view, const struct version *v)
{
    switch (v->kind) {
    case SETTING:
        view->settings[v->index] = v->setting;
        return;
    case TEMPLATE:
        put_back(view->templates, v->key, v->template);
        return;
    case REPOSITORY:
        put_back(view->repositories, v->key, v->repository);
        return;
    }
}

static int compare_templates(const void *a, const void *b)
{
    uint64_t x = (*(struct emu_template *const *)a)->seq;
    uint64_t y = (*(struct emu_template *const *)b)->seq;

    return x < y ? -1 : x > y;
}

static int compare_repositories(const void *a, const void *b)
{
    uint64_t x = (*(struct emu_repository *const *)a)->seq;
    uint64_t y = (*(struct emu_repository *const *)b)->seq;

    return x < y ? -1 : x > y;
}

/* Pages are by order of creation, and what was deleted comes back at the end. */
static struct map *sort(struct map *m, int (*compare)(const void *a, const void *b),
                        struct str (*key_of)(const void *value))
{
    size_t n = 0;
    void **values = mem_alloc_array(map_count(m), sizeof(*values));
    struct map *sorted = map_new();

    for (struct map_entry *it = map_first(m); it; it = map_next(it))
        values[n++] = map_value(it);
    if (n > 1)
        qsort(values, n, sizeof(*values), compare);
    for (size_t i = 0; i < n; i++)
        (void)map_put(sorted, key_of(values[i]), values[i]);
    mem_free(values);
    map_free(m, NULL);
    return sorted;
}

static struct str key_of_template(const void *value)
{
    return str_from(((const struct emu_template *)value)->prefix);
}

static struct str key_of_repository(const void *value)
{
    return str_from(((const struct emu_repository *)value)->name);
}

struct emu_store *emu_store_view_locked(struct emu_store *s, int64_t mono_ms)
{
    struct emu_store *view = mem_alloc(sizeof(*view));
    const struct emu_history *h = s->history;

    view->behavior = s->behavior;
    view->clock = s->clock;
    view->blobs = s->blobs;
    memcpy(view->account, s->account, sizeof(view->account));
    memcpy(view->region, s->region, sizeof(view->region));
    memcpy(view->settings, s->settings, sizeof(view->settings));
    view->templates = copy_map(s->templates);
    view->repositories = copy_map(s->repositories);
    for (size_t i = h->count; i > 0; i--) {
        const struct version *v = &h->versions[(h->first + i - 1) % EMU_HISTORY_CHANGES_MAX];

        if (v->until_mono_ms <= mono_ms)
            break;
        go_back(view, v);
    }
    view->templates = sort(view->templates, compare_templates, key_of_template);
    view->repositories = sort(view->repositories, compare_repositories, key_of_repository);
    return view;
}

struct emu_store *emu_store_view_free(struct emu_store *view)
{
    if (view == NULL)
        return NULL;
    /* what it shows belongs to the store and its history */
    map_free(view->templates, NULL);
    map_free(view->repositories, NULL);
    return mem_free(view);
}
