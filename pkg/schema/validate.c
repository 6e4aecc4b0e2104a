// SPDX-License-Identifier: Apache-2.0
/*
 * Checks a decoded object against its table: what the CRD's schema and rules check at the API
 * server, once more at our own border (an object may be older than its CRD), and what only this
 * process can check, such as policy documents.
 */
#include "schema/schema.h"
#include "schema_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SHOWN_MAX = 64 }; /* of a refused value in a message */

static bool refuse(const struct schema_path *path, struct err *e, const char *fmt, ...)
    BERTH_PRINTF(3, 4);

static bool refuse(const struct schema_path *path, struct err *e, const char *fmt, ...)
{
    char where[SCHEMA_PATH_TEXT];
    char why[ERR_MSG_MAX / 2];
    va_list ap;
    schema_path_text(path, where);
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "InvalidSpec", "%s: %s", where, why);
}

static bool in_values(const char *const *values, struct str s)
{
    for (; *values != NULL; values++)
        if (str_eq_cstr(s, *values))
            return true;
    return false;
}

static bool refuse_value(const struct field *f, struct str s, const struct schema_path *path,
                         struct err *e)
{
    char list[256];
    size_t len = 0;
    list[0] = '\0';
    for (size_t i = 0; f->values[i] != NULL && len < sizeof(list); i++) {
        int wrote =
            snprintf(list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", f->values[i]);
        len += wrote > 0 ? (size_t)wrote : 0;
    }
    struct str shown = str_cut_utf8(s, SHOWN_MAX);
    return refuse(path, e, "must be %s%s, not \"%.*s\"", f->values[1] != NULL ? "one of " : "",
                  list, STR_ARG(shown));
}

static bool validate_text(const struct field *f, struct str s, const struct schema_path *path,
                          struct err *e)
{
    size_t chars = schema_chars(s);
    if (f->values != NULL && !in_values(f->values, s))
        return refuse_value(f, s, path, e);
    if (f->max > 0 && chars > (size_t)f->max)
        return refuse(path, e, "must have at most %" PRId64 " characters, has %zu", f->max, chars);
    if (f->min > 0 && chars < (size_t)f->min)
        return refuse(path, e, "must have at least %" PRId64 " characters, has %zu", f->min, chars);
    if (f->matches != NULL && !f->matches(s)) {
        struct str shown = str_cut_utf8(s, SHOWN_MAX);
        return refuse(path, e, "%s, not \"%.*s\"", f->pattern_says, STR_ARG(shown));
    }
    /* an empty document is no document: it is what clears it at AWS */
    if (f->format != NULL && f->format->validate != NULL && s.len > 0) {
        struct err why = ERR_INIT;
        if (!f->format->validate(s, &why))
            return refuse(path, e, "%s", why.msg);
    }
    return true;
}

static bool validate_number(const struct field *f, int64_t n, const struct schema_path *path,
                            struct err *e)
{
    if (f->max == 0 || (n >= f->min && n <= f->max))
        return true;
    if (f->kind != FIELD_DURATION)
        return refuse(path, e, "must be between %" PRId64 " and %" PRId64 ", is %" PRId64, f->min,
                      f->max, n);
    char least[SCHEMA_DURATION_TEXT];
    char most[SCHEMA_DURATION_TEXT];
    char is[SCHEMA_DURATION_TEXT];
    schema_duration_text(f->min, least);
    schema_duration_text(f->max, most);
    schema_duration_text(n, is);
    return refuse(path, e, "must be between %s and %s, is %s", least, most, is);
}

/* What makes an element the same as another: itself, or its key. */
static struct str element_key(const struct field *f, const struct schema_list *l, size_t i)
{
    const void *element = schema_element(f, l, i);
    if (f->kind == FIELD_STR_LIST)
        return *(const struct str *)element;
    return schema_str_at(schema_field(f->sub, f->key), element);
}

static bool validate_unique(const struct field *f, const struct schema_list *l,
                            const struct schema_path *path, struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = i + 1; k < l->count; k++) {
            struct str key = element_key(f, l, i);
            if (!str_eq(key, element_key(f, l, k)))
                continue;
            key = str_cut_utf8(key, SHOWN_MAX);
            return refuse(path, e, "must not have \"%.*s\" twice", STR_ARG(key));
        }
    return true;
}

static bool validate_list(const struct field *f, const struct schema_list *l,
                          const struct schema_path *path, struct err *e)
{
    if (l->count < f->min_items)
        return refuse(path, e, "must have at least %" PRIu32 " element%s, has %zu", f->min_items,
                      f->min_items == 1 ? "" : "s", l->count);
    if (l->count > f->max_items)
        return refuse(path, e, "must have at most %" PRIu32 " elements, has %zu", f->max_items,
                      l->count);
    for (size_t i = 0; i < l->count; i++) {
        struct schema_path here = {path, NULL, i};
        const void *element = schema_element(f, l, i);
        if (f->kind == FIELD_STR_LIST ? !validate_text(f, *(const struct str *)element, &here, e)
                                      : !schema_validate(f->sub, element, &here, e))
            return false;
    }
    if ((f->flags & FIELD_SET) || f->key != NULL)
        return validate_unique(f, l, path, e);
    return true;
}

static bool validate_field(const struct field *f, const void *object,
                           const struct schema_path *path, struct err *e)
{
    const void *at = schema_at(f, object);
    if (!schema_is_present(f, object))
        return !(f->flags & FIELD_REQUIRED) || refuse(path, e, "must be given");
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_DOCUMENT:
        return validate_text(f, *(const struct str *)at, path, e);
    case FIELD_INT:
    case FIELD_DURATION:
        return validate_number(f, ((const struct schema_i64 *)at)->value, path, e);
    case FIELD_OBJECT:
        return schema_validate(f->sub, at, path, e);
    case FIELD_STR_LIST:
    case FIELD_LIST:
        return validate_list(f, (const struct schema_list *)at, path, e);
    case FIELD_BOOL:
    case FIELD_TIME:
        return true;
    }
    return true;
}

static bool validate_rules(const struct schema_rule *r, const void *object,
                           const struct schema_path *path, struct err *e)
{
    for (; r != NULL && r->rule != NULL; r++) {
        if (r->holds == NULL || r->holds(object))
            continue;
        struct schema_path here = {path, r->field_path != NULL ? r->field_path + 1 : NULL, 0};
        return refuse(r->field_path != NULL ? &here : path, e, "%s", r->message);
    }
    return true;
}

bool schema_validate(const struct schema *s, const void *object, const struct schema_path *path,
                     struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        struct schema_path here = {path, f->name, 0};
        if (!validate_field(f, object, &here, e))
            return false;
    }
    return validate_rules(s->rules, object, path, e);
}
