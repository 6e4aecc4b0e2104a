// SPDX-License-Identifier: Apache-2.0
/*
 * The comparison of what is wanted with what AWS has: absent, empty and AWS' default are one, sets
 * have no order, lists with a key are compared key by key, documents by their meaning.
 */
#include "base/clock.h"
#include "json/write.h"
#include "schema/schema.h"
#include "schema_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct differ {
    struct arena *a;
    struct schema_diff *ret;
    size_t cap;
    bool wants_texts;
};

static struct str cut(struct differ *d, struct str s)
{
    return str_is_null(s) ? s : arena_copy(d->a, str_cut_utf8(s, SCHEMA_TEXT_MAX));
}

static void add(struct differ *d, struct str field, struct str desired, struct str observed)
{
    struct schema_diff *r = d->ret;
    if (r->count == d->cap) {
        d->cap = d->cap == 0 ? 8 : d->cap * 2;
        struct schema_difference *grown = arena_new_array(d->a, struct schema_difference, d->cap);
        if (r->count > 0)
            memcpy(grown, r->items, r->count * sizeof(*grown));
        r->items = grown;
    }
    r->items[r->count++] = (struct schema_difference){
        d->wants_texts ? arena_copy(d->a, field) : STR_NULL,
        d->wants_texts ? cut(d, desired) : STR_NULL,
        d->wants_texts ? cut(d, observed) : STR_NULL,
    };
}

static struct str path_of(struct differ *d, struct str parent, const struct field *f)
{
    if (!d->wants_texts)
        return STR_NULL;
    if (str_is_empty(parent))
        return str_from(f->name);
    return arena_printf(d->a, "%.*s.%s", STR_ARG(parent), f->name);
}

/* --- values as text -------------------------------------------------------------------------- */

static struct str scalar_text(struct differ *d, const struct field *f, const void *object)
{
    const void *at = schema_at(f, object);
    char text[CLOCK_TEXT_MAX];
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_DOCUMENT: {
        struct str s = *(const struct str *)at;
        if (!str_is_empty(s))
            return s;
        return f->aws_default != NULL ? str_from(f->aws_default) : STR_NULL;
    }
    case FIELD_BOOL: {
        const struct schema_bool *b = at;
        return !b->has ? STR_NULL : b->value ? STR("true") : STR("false");
    }
    case FIELD_INT:
        if (!((const struct schema_i64 *)at)->has)
            return STR_NULL;
        return arena_printf(d->a, "%" PRId64, ((const struct schema_i64 *)at)->value);
    case FIELD_DURATION:
    case FIELD_TIME:
        if (!((const struct schema_i64 *)at)->has)
            return STR_NULL;
        if (f->kind == FIELD_TIME)
            schema_time_text(((const struct schema_i64 *)at)->value, text);
        else
            schema_duration_text(((const struct schema_i64 *)at)->value, text);
        return arena_copy(d->a, str_from(text));
    case FIELD_OBJECT:
    case FIELD_STR_LIST:
    case FIELD_LIST:
        break;
    }
    return STR_NULL;
}

static struct str json_text(struct differ *d, const struct field *f, const void *object)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(SCHEMA_ELEMENT_TEXT_MAX);
    struct json_writer w = json_writer_to(&out);
    schema_write_value(f, object, &w);
    return arena_copy(d->a, buf_str(&out));
}

/* An element of a list with a key, without that key: a lone other field as its value, more as
 * JSON. */
static struct str element_text(struct differ *d, const struct field *f, const void *element)
{
    if (!d->wants_texts)
        return STR_NULL;
    if (f->sub->count == 2) {
        const struct field *other = &f->sub->fields[strcmp(f->sub->fields[0].name, f->key) == 0];
        struct str s = scalar_text(d, other, element);
        return str_is_null(s) ? STR("") : s;
    }
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(SCHEMA_ELEMENT_TEXT_MAX);
    struct json_writer w = json_writer_to(&out);
    json_begin_object(&w);
    schema_encode_cr(f->sub, element, &w);
    json_end(&w);
    return arena_copy(d->a, buf_str(&out));
}

/* --- by kind --------------------------------------------------------------------------------- */

static void diff_object(struct differ *d, const struct schema *s, struct str path, const void *x,
                        const void *y);

static void diff_scalar(struct differ *d, const struct field *f, struct str path, const void *x,
                        const void *y)
{
    struct str want = scalar_text(d, f, x);
    struct str have = scalar_text(d, f, y);
    bool same = str_eq(want, have) && str_is_null(want) == str_is_null(have);
    if (!same && !str_is_null(want) && !str_is_null(have) && f->format != NULL &&
        f->format->equal != NULL)
        same = f->format->equal(want, have);
    if (!same)
        add(d, path_of(d, path, f), want, have);
}

static int compare_strs(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static struct schema_list sorted(struct differ *d, const struct schema_list *l)
{
    struct schema_list copy = {arena_new_array(d->a, struct str, l->count), l->count};
    if (l->count > 0) {
        memcpy(copy.items, l->items, l->count * sizeof(struct str));
        qsort(copy.items, l->count, sizeof(struct str), compare_strs);
    }
    return copy;
}

static bool contains(const struct schema_list *l, struct str s)
{
    const struct str *items = l->items;
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(items[i], s))
            return true;
    return false;
}

static bool is_subset(const struct schema_list *x, const struct schema_list *y)
{
    const struct str *items = x->items;
    for (size_t i = 0; i < x->count; i++)
        if (!contains(y, items[i]))
            return false;
    return true;
}

static bool same_in_order(const struct schema_list *x, const struct schema_list *y)
{
    const struct str *a = x->items;
    const struct str *b = y->items;
    for (size_t i = 0; i < x->count; i++)
        if (i >= y->count || !str_eq(a[i], b[i]))
            return false;
    return x->count == y->count;
}

static void diff_str_list(struct differ *d, const struct field *f, struct str path, const void *x,
                          const void *y)
{
    const struct schema_list *want = schema_at(f, x);
    const struct schema_list *have = schema_at(f, y);
    bool is_set = (f->flags & FIELD_SET) != 0;
    if (is_set ? is_subset(want, have) && is_subset(have, want) : same_in_order(want, have))
        return;
    struct str texts[2] = {STR_NULL, STR_NULL};
    const struct schema_list *lists[2] = {want, have};
    for (int i = 0; i < 2 && d->wants_texts; i++) {
        struct schema_list l = is_set ? sorted(d, lists[i]) : *lists[i];
        struct field plain = *f;
        plain.offset = 0;
        if (l.count > 0)
            texts[i] = json_text(d, &plain, &l);
    }
    add(d, path_of(d, path, f), texts[0], texts[1]);
}

static const void *find_by_key(const struct field *f, const struct schema_list *l, struct str key)
{
    const struct field *k = schema_field(f->sub, f->key);
    for (size_t i = 0; i < l->count; i++) {
        const void *element = schema_element(f, l, i);
        if (str_eq(schema_str_at(k, element), key))
            return element;
    }
    return NULL;
}

static bool same_object(struct differ *d, const struct schema *s, const void *x, const void *y)
{
    struct schema_diff sub = {0};
    struct differ quiet = {d->a, &sub, 0, false};
    diff_object(&quiet, s, STR_NULL, x, y);
    return sub.count == 0;
}

static struct str key_path(struct differ *d, const struct field *f, struct str path, struct str key)
{
    if (!d->wants_texts)
        return STR_NULL;
    struct str list = path_of(d, path, f);
    return arena_printf(d->a, "%.*s[%.*s]", STR_ARG(list), STR_ARG(key));
}

static void diff_map(struct differ *d, const struct field *f, struct str path, const void *x,
                     const void *y)
{
    const struct schema_list *want = schema_at(f, x);
    const struct schema_list *have = schema_at(f, y);
    const struct field *k = schema_field(f->sub, f->key);
    for (size_t i = 0; i < want->count; i++) {
        const void *mine = schema_element(f, want, i);
        struct str key = schema_str_at(k, mine);
        const void *theirs = find_by_key(f, have, key);
        if (theirs == NULL)
            add(d, key_path(d, f, path, key), element_text(d, f, mine), STR_NULL);
        else if (!same_object(d, f->sub, mine, theirs))
            add(d, key_path(d, f, path, key), element_text(d, f, mine), element_text(d, f, theirs));
    }
    for (size_t i = 0; i < have->count; i++) {
        const void *theirs = schema_element(f, have, i);
        struct str key = schema_str_at(k, theirs);
        if (find_by_key(f, want, key) == NULL)
            add(d, key_path(d, f, path, key), STR_NULL, element_text(d, f, theirs));
    }
}

static void diff_list(struct differ *d, const struct field *f, struct str path, const void *x,
                      const void *y)
{
    const struct schema_list *want = schema_at(f, x);
    const struct schema_list *have = schema_at(f, y);
    bool same = want->count == have->count;
    for (size_t i = 0; same && i < want->count; i++)
        same = same_object(d, f->sub, schema_element(f, want, i), schema_element(f, have, i));
    if (same)
        return;
    bool texts = d->wants_texts;
    add(d, path_of(d, path, f), texts && want->count > 0 ? json_text(d, f, x) : STR_NULL,
        texts && have->count > 0 ? json_text(d, f, y) : STR_NULL);
}

static void diff_object(struct differ *d, const struct schema *s, struct str path, const void *x,
                        const void *y)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        if (schema_aws_key(f) == NULL)
            continue;
        if (f->kind == FIELD_OBJECT)
            /* an absent object is a zeroed struct: all its fields are absent */
            diff_object(d, f->sub, path_of(d, path, f), schema_at(f, x), schema_at(f, y));
        else if (f->kind == FIELD_STR_LIST)
            diff_str_list(d, f, path, x, y);
        else if (f->kind == FIELD_LIST && f->key != NULL)
            diff_map(d, f, path, x, y);
        else if (f->kind == FIELD_LIST)
            diff_list(d, f, path, x, y);
        else
            diff_scalar(d, f, path, x, y);
    }
}

void schema_diff(const struct schema *s, const void *desired, const void *observed, struct arena *a,
                 struct schema_diff *ret)
{
    *ret = (struct schema_diff){0};
    struct differ d = {a, ret, 0, true};
    diff_object(&d, s, STR_NULL, desired, observed);
}

bool schema_equal(const struct schema *s, const void *x, const void *y)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct schema_diff diff = {0};
    struct differ d = {&a, &diff, 0, false};
    diff_object(&d, s, STR_NULL, x, y);
    return diff.count == 0;
}
