// SPDX-License-Identifier: Apache-2.0
/*
 * The walk over a request and its shape. ECR words a broken constraint as "Invalid parameter at
 * '<member>' failed to satisfy constraint: '<why>'".
 */
#include "base/buf.h"
#include "json/json.h"
#include "validate_priv.h"

#include <stdio.h>
#include <string.h>

enum { WHY_MAX = 1024 };

const struct emu_operation_model *emu_operation_model(struct str name)
{
    for (size_t i = 0; i < emu_n_operation_models; i++)
        if (str_eq_cstr(name, emu_operation_models[i].name))
            return &emu_operation_models[i];
    return NULL;
}

static bool fail_why(struct emu_error *x, const char *member, const char *why)
{
    return emu_fail(x, EMU_INVALID_PARAMETER,
                    "Invalid parameter at '%s' failed to satisfy constraint: '%s'", member, why);
}

static bool fail_number(struct emu_error *x, const char *member, const char *what, int64_t bound)
{
    char why[WHY_MAX];

    snprintf(why, sizeof(why), "must have %s %lld", what, (long long)bound);
    return fail_why(x, member, why);
}

static bool fail_type(struct emu_error *x, const char *member, const char *want)
{
    return emu_fail(x, EMU_SERIALIZATION, "'%s' must be %s", member, want);
}

static bool fail_enum(struct emu_error *x, const char *member, const struct emu_shape *shape)
{
    struct buf why BERTH_CLEANUP(buf_fini) = BUF_INIT(WHY_MAX);

    buf_append_cstr(&why, "must satisfy enum value set: [");
    for (size_t i = 0; i < shape->n_values; i++)
        buf_printf(&why, "%s%s", i > 0 ? ", " : "", shape->values[i]);
    buf_append_char(&why, ']');
    return fail_why(x, member, buf_cstr(&why));
}

/* AWS counts characters, not bytes. */
static size_t count_characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
            n++;
    return n;
}

static bool check_string(const struct emu_shape *shape, const char *member, struct str s,
                         struct emu_error *x)
{
    int64_t len = (int64_t)count_characters(s);
    char why[WHY_MAX];

    if (shape->min >= 0 && len < shape->min)
        return fail_number(x, member, "length greater than or equal to", shape->min);
    if (shape->max >= 0 && len > shape->max)
        return fail_number(x, member, "length less than or equal to", shape->max);
    if (shape->values != NULL) {
        for (size_t i = 0; i < shape->n_values; i++)
            if (str_eq_cstr(s, shape->values[i]))
                return true;
        return fail_enum(x, member, shape);
    }
    if (shape->pattern == NULL || emu_pattern_match(shape->pattern, s) == EMU_MATCH)
        return true;
    snprintf(why, sizeof(why), "must satisfy regular expression '%s'", shape->pattern);
    return fail_why(x, member, why);
}

static bool check_integer(const struct emu_shape *shape, const char *member, const struct json *v,
                          struct emu_error *x)
{
    int64_t n = 0;

    if (!json_i64(v, &n))
        return fail_type(x, member, "an integer");
    if (shape->min >= 0 && n < shape->min)
        return fail_number(x, member, "value greater than or equal to", shape->min);
    if (shape->max >= 0 && n > shape->max)
        return fail_number(x, member, "value less than or equal to", shape->max);
    return true;
}

/* The nesting of the model's inputs is at most four; json_parse() bounds that of the request. */
static bool check(const struct emu_shape *shape, const char *member, const struct json *v,
                  struct emu_error *x);

static bool check_list(const struct emu_shape *shape, const char *member, const struct json *v,
                       struct emu_error *x)
{
    int64_t count = (int64_t)json_count(v);

    if (!json_is_array(v))
        return fail_type(x, member, "a list");
    if (shape->min >= 0 && count < shape->min)
        return fail_number(x, member, "length greater than or equal to", shape->min);
    if (shape->max >= 0 && count > shape->max)
        return fail_number(x, member, "length less than or equal to", shape->max);
    for (const struct json *it = json_first(v); it; it = json_next(it))
        if (json_is_null(it) ? !fail_why(x, member, "must not contain null")
                             : !check(shape->element, member, it, x))
            return false;
    return true;
}

static bool check_structure(const struct emu_shape *shape, const char *member, const struct json *v,
                            struct emu_error *x)
{
    if (!json_is_object(v))
        return fail_type(x, member, "a structure");
    for (size_t i = 0; i < shape->n_members; i++) {
        const struct emu_member *m = &shape->members[i];
        const struct json *value = json_get(v, m->name);

        if (json_is_null(value)) {
            if (m->is_required)
                return fail_why(x, m->name, "must not be null");
            continue;
        }
        if (!check(m->shape, m->name, value, x))
            return false;
    }
    return true;
}

static bool check(const struct emu_shape *shape, const char *member, const struct json *v,
                  struct emu_error *x)
{
    switch (shape->type) {
    case EMU_SHAPE_STRUCTURE:
        return check_structure(shape, member, v, x);
    case EMU_SHAPE_LIST:
        return check_list(shape, member, v, x);
    case EMU_SHAPE_STRING:
        if (!json_is_string(v))
            return fail_type(x, member, "a string");
        return check_string(shape, member, json_str_or_null(v), x);
    case EMU_SHAPE_INTEGER:
        return check_integer(shape, member, v, x);
    case EMU_SHAPE_BOOLEAN:
        return json_type(v) == JSON_BOOL || fail_type(x, member, "a boolean");
    }
    return false;
}

bool emu_validate(const struct emu_shape *shape, const struct json *in, struct emu_error *x)
{
    return check_structure(shape, "input", in, x);
}
