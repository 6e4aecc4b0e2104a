// SPDX-License-Identifier: Apache-2.0
/*
 * Collecting the names of members that are looked at.
 */
#include "wanted_priv.h"

static void add_name(struct wanted_level *level, struct str name, struct arena *a)
{
    if (level->names == NULL)
        level->names = arena_new_array(a, struct str, WANTED_NAMES_MAX);
    for (size_t i = 0; i < level->count; i++)
        if (str_eq(level->names[i], name))
            return;
    if (level->count == WANTED_NAMES_MAX)
        level->has_all = true;
    else
        level->names[level->count++] = name;
}

static void add_path(struct wanted *w, const struct path *p, struct arena *a)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct step *step = &p->steps[i];
        const size_t level = WANTED_OBJECT_LEVEL + i;
        if (step->kind == STEP_MEMBER)
            add_name(&w->levels[level], step->name, a);
        else
            w->levels[level].has_all = true;
        if (step->kind == STEP_MATCH && level + 1 < WANTED_LEVELS)
            add_name(&w->levels[level + 1], step->name, a);
    }
}

void wanted_init(struct wanted *w, struct arena *a)
{
    static const struct {
        size_t level;
        const char *name;
    } always[] = {
        {0, "apiVersion"}, {0, "kind"},        {0, "request"},
        {1, "uid"},        {1, "kind"},        {2, "group"},
        {2, "version"},    {2, "kind"},        {1, "namespace"},
        {1, "name"},       {1, "operation"},   {1, "subResource"},
        {1, "dryRun"},     {1, "object"},      {1, "oldObject"},
        {2, "metadata"},   {3, "annotations"}, {4, "kubernetes.io/config.mirror"},
    };
    *w = (struct wanted){0};
    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        add_name(&w->levels[always[i].level], str_from(always[i].name), a);
}

void wanted_add(struct wanted *w, const struct expression *x, struct arena *a)
{
    for (size_t i = 0; i < x->count; i++)
        if (x->pieces[i].kind == PIECE_PATH)
            add_path(w, &x->pieces[i].path, a);
}

bool wanted_has(const struct wanted *w, size_t level, struct str name)
{
    if (level >= WANTED_LEVELS)
        return false;
    const struct wanted_level *l = &w->levels[level];
    for (size_t i = 0; i < l->count && !l->has_all; i++)
        if (str_eq(l->names[i], name))
            return true;
    return l->has_all;
}
