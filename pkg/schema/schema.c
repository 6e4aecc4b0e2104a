// SPDX-License-Identifier: Apache-2.0
/*
 * Access to fields by their row, the texts that errors and differences show, and the check that a
 * table is sound.
 */
#include "schema/schema.h"

#include "base/clock.h"
#include "base/num.h"
#include "schema_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

void schema_path_text(const struct schema_path *p, char *text)
{
    const struct schema_path *chain[16];
    size_t n = 0;
    for (; p != NULL && n < ARRAY_SIZE(chain); p = p->up)
        chain[n++] = p;
    size_t len = 0;
    text[0] = '\0';
    while (n > 0 && len < SCHEMA_PATH_TEXT - 1) {
        const struct schema_path *step = chain[--n];
        int wrote;
        if (step->name == NULL)
            wrote = snprintf(text + len, SCHEMA_PATH_TEXT - len, "[%zu]", step->index);
        else
            wrote = snprintf(text + len, SCHEMA_PATH_TEXT - len, "%s%s", len > 0 ? "." : "",
                             step->name);
        len += wrote > 0 ? (size_t)wrote : 0;
    }
}

const char *schema_aws_key(const struct field *f)
{
    if (f->aws == NULL)
        return f->name;
    return f->aws[0] != '\0' ? f->aws : NULL;
}

const void *schema_at(const struct field *f, const void *object)
{
    return (const char *)object + f->offset;
}

void *schema_at_mut(const struct field *f, void *object)
{
    return (char *)object + f->offset;
}

struct str schema_str_at(const struct field *f, const void *object)
{
    return *(const struct str *)schema_at(f, object);
}

static bool any_present(const struct schema *s, const void *object)
{
    for (size_t i = 0; i < s->count; i++)
        if (schema_is_present(&s->fields[i], object))
            return true;
    return false;
}

bool schema_is_present(const struct field *f, const void *object)
{
    const void *at = schema_at(f, object);
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_DOCUMENT:
        return ((const struct str *)at)->ptr != NULL;
    case FIELD_BOOL:
        return ((const struct schema_bool *)at)->has;
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_TIME:
        return ((const struct schema_i64 *)at)->has;
    case FIELD_OBJECT:
        return (f->flags & FIELD_INLINE) ? any_present(f->sub, at) : *(const bool *)at;
    case FIELD_STR_LIST:
    case FIELD_LIST:
        return ((const struct schema_list *)at)->items != NULL;
    }
    return false;
}

const void *schema_element(const struct field *f, const struct schema_list *l, size_t i)
{
    size_t size = f->kind == FIELD_STR_LIST ? sizeof(struct str) : f->sub->size;
    return (const char *)l->items + i * size;
}

void schema_duration_text(int64_t ms, char *text)
{
    if (ms % 1000 != 0 || ms <= 0) {
        (void)snprintf(text, SCHEMA_DURATION_TEXT, "%" PRId64 "ms", ms);
        return;
    }
    const struct {
        int64_t ms;
        char unit;
    } units[] = {{3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (ms < units[i].ms)
            continue;
        int wrote = snprintf(text + len, SCHEMA_DURATION_TEXT - len, "%" PRId64 "%c",
                             ms / units[i].ms, units[i].unit);
        len += wrote > 0 ? (size_t)wrote : 0;
        ms %= units[i].ms;
    }
}

bool schema_duration_matches(struct str s)
{
    bool has_digit = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c >= '0' && c <= '9') {
            has_digit = true;
            continue;
        }
        if (!has_digit || (c != 'h' && c != 'm' && c != 's'))
            return false;
        has_digit = false;
    }
    return s.len > 0 && !has_digit;
}

void schema_time_text(int64_t unix_ms, char *text)
{
    if (unix_ms % 1000 == 0)
        clock_format_rfc3339(unix_ms, text);
    else
        clock_format_rfc3339_micro(unix_ms, text);
}

size_t schema_chars(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

const struct field *schema_field(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &s->fields[i];
    return NULL;
}

static size_t kind_size(const struct field *f)
{
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_DOCUMENT:
        return sizeof(struct str);
    case FIELD_BOOL:
        return sizeof(struct schema_bool);
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_TIME:
        return sizeof(struct schema_i64);
    case FIELD_OBJECT:
        return f->sub != NULL ? f->sub->size : 0;
    case FIELD_STR_LIST:
    case FIELD_LIST:
        return sizeof(struct schema_list);
    }
    return 0;
}

/* What is wrong with the row itself; NULL: nothing. */
static const char *row_defect(const struct schema *s, const struct field *f)
{
    bool has_sub = f->kind == FIELD_OBJECT || f->kind == FIELD_LIST;
    bool is_list = f->kind == FIELD_STR_LIST || f->kind == FIELD_LIST;
    if (f->doc == NULL || f->doc[0] == '\0')
        return "has no doc";
    if ((f->sub != NULL) != has_sub)
        return "needs a sub-schema exactly where it holds objects";
    if (f->offset + kind_size(f) > s->size)
        return "lies outside its struct";
    if ((f->flags & FIELD_INLINE) &&
        (f->kind != FIELD_OBJECT || f->offset != 0 || f->sub->size != s->size))
        return "is inline, but its offsets are not the parent's";
    if ((f->pattern != NULL) != (f->matches != NULL) ||
        (f->pattern != NULL) != (f->pattern_says != NULL))
        return "needs pattern, matcher and text together";
    if (is_list != (f->max_items > 0))
        return "needs max_items exactly where it is a list";
    bool is_text = f->kind == FIELD_STR || f->kind == FIELD_STR_LIST || f->kind == FIELD_DOCUMENT;
    if (is_text && f->values == NULL && f->max <= 0)
        return "is text without a maximum";
    if ((f->flags & FIELD_IMMUTABLE) && !(f->flags & FIELD_REQUIRED))
        return "is optional: its immutability needs a rule on the parent";
    if (f->key != NULL && (f->kind != FIELD_LIST || schema_field(f->sub, f->key) == NULL))
        return "has a key that its elements lack";
    if (f->clear == FIELD_CLEAR_DEFAULT && f->kind != FIELD_OBJECT && f->aws_default == NULL)
        return "is cleared by a default that it lacks";
    return NULL;
}

bool schema_check(const struct schema *s, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        const char *defect = row_defect(s, f);
        if (defect == NULL && schema_field(s, f->name) != f)
            defect = "is named twice";
        if (defect != NULL)
            return err_set(e, ERR_BUG, "BadTable", "%s.%s %s", s->name, f->name, defect);
        if (f->sub != NULL && !schema_check(f->sub, e))
            return err_wrap(e, "%s", s->name);
    }
    return true;
}

struct schema_list schema_texts_copy(const struct schema_list *from, struct arena *a)
{
    if (from->items == NULL)
        return *from;
    struct str *items = arena_new_array(a, struct str, from->count);
    for (size_t i = 0; i < from->count; i++)
        items[i] = arena_copy(a, ((const struct str *)from->items)[i]);
    return (struct schema_list){items, from->count};
}
