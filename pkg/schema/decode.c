// SPDX-License-Identifier: Apache-2.0
/*
 * JSON to struct, for custom resources and for AWS' replies: one walk over the table, which
 * differs between the two only in keys, in the form of dates and documents, and in whose fault a
 * wrong type is.
 */
#include "base/clock.h"
#include "base/num.h"
#include "json/json.h"
#include "schema/schema.h"
#include "schema_priv.h"

#include <assert.h>
#include <string.h>

struct decoder {
    struct arena *a;
    struct err *e;
    bool is_aws;
};

static bool wrong_type(const struct decoder *d, const struct schema_path *path, const char *must)
{
    char where[SCHEMA_PATH_TEXT];
    schema_path_text(path, where);
    if (d->is_aws)
        return err_set(d->e, ERR_RETRY, "BadResponse", "unexpected reply: %s must be %s", where,
                       must);
    return err_set(d->e, ERR_INVALID, "InvalidSpec", "%s: must be %s", where, must);
}

static bool decode_object(const struct decoder *d, const struct schema *s, const struct json *v,
                          void *out, const struct schema_path *path);

static bool decode_str(const struct decoder *d, const struct json *v, struct str *out,
                       const struct schema_path *path)
{
    if (!json_is_string(v))
        return wrong_type(d, path, "a string");
    *out = arena_copy(d->a, json_str_or_null(v));
    return true;
}

/* A string as it is, or an object as compact JSON; no longer than the longest we accept. */
static bool decode_document(const struct decoder *d, const struct field *f, const struct json *v,
                            struct str *out, const struct schema_path *path)
{
    if (json_is_string(v))
        return decode_str(d, v, out, path);
    if (d->is_aws || !json_is_object(v))
        return wrong_type(d, path, d->is_aws ? "a string" : "a JSON text or an object");
    /* 4 bytes hold any character; what is longer in characters validation refuses by number */
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT((size_t)f->max * 4 + 4);
    json_print(v, &text);
    if (!buf_ok(&text))
        return wrong_type(d, path, "shorter, and without numbers that JSON readers round");
    *out = arena_copy(d->a, buf_str(&text));
    return true;
}

static bool decode_time(const struct decoder *d, const struct json *v, struct schema_i64 *out,
                        const struct schema_path *path)
{
    const double limit_s = 1e11; /* the year 5138: beyond it is no date */
    bool ok;
    if (d->is_aws && json_type(v) == JSON_NUMBER) {
        double s = json_double_or(v, 2 * limit_s);
        ok = s > -limit_s && s < limit_s;
        out->value = ok ? (int64_t)(s * 1000 + (s < 0 ? -0.5 : 0.5)) : 0;
    } else {
        ok = json_is_string(v) && clock_parse_rfc3339(json_str_or_null(v), &out->value);
    }
    out->has = ok;
    if (!ok)
        return wrong_type(d, path, "a date");
    return true;
}

static bool decode_duration(const struct decoder *d, const struct json *v, struct schema_i64 *out,
                            const struct schema_path *path)
{
    struct str s = json_str_or_null(v);
    out->has = schema_duration_matches(s) && num_parse_duration_ms(s, &out->value);
    if (!out->has)
        return wrong_type(d, path, "a duration such as 90s, 5m or 1h30m");
    return true;
}

static bool decode_list(const struct decoder *d, const struct field *f, const struct json *v,
                        struct schema_list *out, const struct schema_path *path)
{
    if (!json_is_array(v))
        return wrong_type(d, path, "a list");
    size_t size = f->kind == FIELD_STR_LIST ? sizeof(struct str) : f->sub->size;
    char *items = arena_alloc_array(d->a, json_count(v), size);
    size_t i = 0;
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it), i++) {
        struct schema_path here = {path, NULL, i};
        void *at = items + i * size;
        if (f->kind == FIELD_STR_LIST ? !decode_str(d, it, at, &here)
                                      : !decode_object(d, f->sub, it, at, &here))
            return false;
    }
    *out = (struct schema_list){items, i};
    return true;
}

/* Where nothing of it was given it would pass for absent afterwards, so it is checked here. */
static bool decode_inline(const struct decoder *d, const struct field *f, const struct json *v,
                          void *at, const struct schema_path *path)
{
    return decode_object(d, f->sub, v, at, path) &&
           (d->is_aws || schema_validate(f->sub, at, path, d->e));
}

static bool decode_field(const struct decoder *d, const struct field *f, const struct json *v,
                         void *object, const struct schema_path *path)
{
    void *at = schema_at_mut(f, object);
    switch (f->kind) {
    case FIELD_STR:
        return decode_str(d, v, at, path);
    case FIELD_DOCUMENT:
        return decode_document(d, f, v, at, path);
    case FIELD_BOOL:
        if (json_type(v) != JSON_BOOL)
            return wrong_type(d, path, "true or false");
        *(struct schema_bool *)at = (struct schema_bool){true, json_bool_or(v, false)};
        return true;
    case FIELD_INT: {
        struct schema_i64 *n = at;
        n->has = json_i64(v, &n->value);
        if (!n->has)
            return wrong_type(d, path, "an integer");
        return true;
    }
    case FIELD_DURATION:
        return decode_duration(d, v, at, path);
    case FIELD_TIME:
        return decode_time(d, v, at, path);
    case FIELD_OBJECT:
        if (f->flags & FIELD_INLINE)
            return decode_inline(d, f, v, at, path);
        *(bool *)at = true;
        return decode_object(d, f->sub, v, at, path);
    case FIELD_STR_LIST:
    case FIELD_LIST:
        return decode_list(d, f, v, at, path);
    }
    return true;
}

/* out is zeroed, but for `has` of an embedded object. */
static bool decode_object(const struct decoder *d, const struct schema *s, const struct json *v,
                          void *out, const struct schema_path *path)
{
    if (!json_is_object(v))
        return wrong_type(d, path, "an object");
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        const char *key = d->is_aws ? schema_aws_key(f) : f->name;
        const struct json *member = key != NULL ? json_get(v, key) : NULL;
        struct schema_path here = {path, key, 0};
        if (json_is_null(member))
            continue;
        if (!decode_field(d, f, member, out, &here))
            return false;
    }
    return true;
}

bool schema_decode_cr(const struct schema *s, const struct json *value, struct arena *a, void *out,
                      struct err *e)
{
    struct decoder d = {a, e, false};
    struct schema_path root = {NULL, s->name, 0};
    memset(out, 0, s->size);
    if (!json_is_null(value) && !decode_object(&d, s, value, out, &root))
        return false;
    return schema_validate(s, out, &root, e);
}

bool schema_decode_aws(const struct schema *s, const struct json *value, struct arena *a, void *out,
                       struct err *e)
{
    struct decoder d = {a, e, true};
    struct schema_path root = {NULL, s->name, 0};
    memset(out, 0, s->size);
    return decode_object(&d, s, value, out, &root);
}
