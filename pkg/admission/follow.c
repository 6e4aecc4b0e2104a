// SPDX-License-Identifier: Apache-2.0
/*
 * Following compiled paths through an object. The depth of the recursion is the path's length, the
 * work at most the size of the object for each path.
 */
#include "base/buf.h"
#include "json/json.h"
#include "path_priv.h"

struct walk {
    const struct path *path;
    expression_fn *each;
    void *arg;
};

static bool go(const struct walk *w, const struct json *v, size_t at);

/* A leaf gives itself, or the strings that it lists. */
static bool leaf(const struct walk *w, const struct json *v)
{
    if (json_is_string(v))
        return w->each(w->arg, json_str_or_null(v));
    if (!json_is_array(v))
        return true;
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it))
        if (json_is_string(it) && !w->each(w->arg, json_str_or_null(it)))
            return false;
    return true;
}

static bool all(const struct walk *w, const struct json *v, size_t at)
{
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it))
        if (!go(w, it, at + 1))
            return false;
    return true;
}

static bool matching(const struct walk *w, const struct json *v, size_t at)
{
    const struct step *step = &w->path->steps[at];
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it))
        if (json_is_object(it) &&
            str_eq(json_str_or_null(json_get_str(it, step->name)), step->value) &&
            !go(w, it, at + 1))
            return false;
    return true;
}

static const struct json *element(const struct json *v, size_t index)
{
    const struct json *it = json_is_array(v) ? json_first(v) : NULL;
    for (; it != NULL && index > 0; index--)
        it = json_next(it);
    return it;
}

static bool go(const struct walk *w, const struct json *v, size_t at)
{
    if (v == NULL)
        return true;
    if (at == w->path->count)
        return leaf(w, v);
    const struct step *step = &w->path->steps[at];
    const bool is_container = json_is_array(v) || json_is_object(v);
    switch (step->kind) {
    case STEP_MEMBER:
        return go(w, json_is_object(v) ? json_get_str(v, step->name) : NULL, at + 1);
    case STEP_INDEX:
        return go(w, element(v, step->index), at + 1);
    case STEP_ALL:
        return !is_container || all(w, v, at);
    case STEP_MATCH:
        return !is_container || matching(w, v, at);
    }
    return true;
}

/* The one value of a path inside a text. */
static const struct json *single(const struct path *p, const struct json *v)
{
    for (size_t i = 0; i < p->count && v != NULL; i++) {
        const struct step *step = &p->steps[i];
        if (step->kind == STEP_INDEX)
            v = element(v, step->index);
        else
            v = json_is_object(v) ? json_get_str(v, step->name) : NULL;
    }
    return v;
}

static bool append_value(struct buf *out, const struct json *v)
{
    int64_t number = 0;
    if (json_is_string(v) && json_str_or_null(v).len > 0)
        buf_append(out, json_str_or_null(v));
    else if (json_type(v) == JSON_NUMBER && json_i64(v, &number))
        buf_printf(out, "%lld", (long long)number);
    else
        return false;
    return true;
}

enum { TEXT_MAX = 8192 };

/* False: a path of it leads nowhere. */
static bool expand(const struct expression *x, const struct json *object, struct str registry_host,
                   struct buf *out)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct piece *p = &x->pieces[i];
        if (p->kind == PIECE_LITERAL)
            buf_append(out, p->literal);
        else if (p->kind == PIECE_REGISTRY && !str_is_empty(registry_host))
            buf_append(out, registry_host);
        else if (p->kind == PIECE_REGISTRY || !append_value(out, single(&p->path, object)))
            return false;
    }
    return buf_ok(out);
}

bool expression_follow(const struct expression *x, const struct json *object,
                       struct str registry_host, struct arena *a, expression_fn *each, void *arg)
{
    if (!x->is_text) {
        const struct walk w = {&x->pieces[0].path, each, arg};
        return go(&w, object, 0);
    }
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    if (!expand(x, object, registry_host, &out))
        return true;
    return each(arg, arena_copy(a, buf_str(&out)));
}
