// SPDX-License-Identifier: Apache-2.0
/*
 * Reading values: types, members, elements, checked access by path, comparison.
 */
#include "base/mem.h"
#include "json_priv.h"

#include <stdint.h>
#include <string.h>

enum json_type json_type(const struct json *v)
{
    switch (v != NULL ? json_item(v)->type & 0xff : cJSON_NULL) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

bool json_is_null(const struct json *v)
{
    return json_type(v) == JSON_NULL;
}

bool json_is_string(const struct json *v)
{
    return json_type(v) == JSON_STRING;
}

bool json_is_object(const struct json *v)
{
    return json_type(v) == JSON_OBJECT;
}

bool json_is_array(const struct json *v)
{
    return json_type(v) == JSON_ARRAY;
}

const struct json *json_first(const struct json *v)
{
    return v != NULL ? json_of(json_item(v)->child) : NULL;
}

const struct json *json_next(const struct json *child)
{
    return child != NULL ? json_of(json_item(child)->next) : NULL;
}

struct str json_key(const struct json *member)
{
    return member != NULL ? str_from(json_item(member)->string) : STR_NULL;
}

size_t json_count(const struct json *v)
{
    size_t n = 0;
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it))
        n++;
    return n;
}

const struct json *json_get_str(const struct json *v, struct str key)
{
    if (!json_is_object(v) || str_is_null(key))
        return NULL;
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it))
        if (str_eq(json_key(it), key))
            return it;
    return NULL;
}

const struct json *json_get(const struct json *v, const char *key)
{
    return json_get_str(v, str_from(key));
}

const struct json *json_path(const struct json *v, const char *path)
{
    struct str rest = str_from(path);
    struct str step;
    while (v != NULL && str_next(&rest, '.', &step))
        v = json_get_str(v, step);
    return v;
}

struct str json_str_or_null(const struct json *v)
{
    return json_is_string(v) ? str_from(json_item(v)->valuestring) : STR_NULL;
}

bool json_i64(const struct json *v, int64_t *ret)
{
    *ret = 0;
    if (json_type(v) != JSON_NUMBER || !json_is_exact(v))
        return false;
    const double d = json_item(v)->valuedouble; /* |d| <= 2^53; valueint would saturate */
    const int64_t whole = (int64_t)d;
    if ((double)whole != d)
        return false;
    *ret = whole;
    return true;
}

int64_t json_i64_or(const struct json *v, int64_t fallback)
{
    int64_t n;
    return json_i64(v, &n) ? n : fallback;
}

bool json_bool_or(const struct json *v, bool fallback)
{
    return json_type(v) == JSON_BOOL ? cJSON_IsTrue(json_item(v)) != 0 : fallback;
}

double json_double_or(const struct json *v, double fallback)
{
    return json_type(v) == JSON_NUMBER ? json_item(v)->valuedouble : fallback;
}

static const char *kind_of(const struct json *v)
{
    if (v == NULL)
        return "absent";
    switch (json_type(v)) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "a boolean";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "a list";
    case JSON_OBJECT:
        return "an object";
    }
    return "unknown";
}

bool json_want_str(const struct json *v, const char *path, struct str *ret, struct err *e)
{
    *ret = STR_NULL;
    const struct json *found = json_path(v, path);
    if (!json_is_string(found))
        return err_set(e, ERR_INVALID, "InvalidJSON", "%s must be a string, but is %s", path,
                       kind_of(found));
    *ret = json_str_or_null(found);
    return true;
}

bool json_want_i64(const struct json *v, const char *path, int64_t *ret, struct err *e)
{
    const struct json *found = json_path(v, path);
    if (json_i64(found, ret))
        return true;
    if (json_type(found) != JSON_NUMBER)
        return err_set(e, ERR_INVALID, "InvalidJSON", "%s must be a whole number, but is %s", path,
                       kind_of(found));
    return err_set(e, ERR_INVALID, "InvalidJSON",
                   "%s must be a whole number between -2^53 and 2^53", path);
}

static bool equal_members(const struct json *a, const struct json *b);

// The depth of both is at most JSON_MAX_DEPTH.
// NOLINTNEXTLINE(misc-no-recursion)
bool json_equal(const struct json *a, const struct json *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || json_type(a) != json_type(b))
        return false;
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return cJSON_IsTrue(json_item(a)) == cJSON_IsTrue(json_item(b));
    case JSON_NUMBER:
        /* doubles of numbers that are not exact may be equal though the numbers are not */
        return json_is_exact(a) && json_is_exact(b) &&
               !(json_item(a)->valuedouble < json_item(b)->valuedouble) &&
               !(json_item(a)->valuedouble > json_item(b)->valuedouble);
    case JSON_STRING:
        return strcmp(json_item(a)->valuestring, json_item(b)->valuestring) == 0;
    case JSON_ARRAY:
        break;
    case JSON_OBJECT:
        return equal_members(a, b);
    }
    const struct json *x = json_first(a);
    const struct json *y = json_first(b);
    while (x != NULL && y != NULL && json_equal(x, y)) {
        x = json_next(x);
        y = json_next(y);
    }
    return x == NULL && y == NULL;
}

static const cJSON **sorted_members(const struct json *object, size_t count)
{
    const cJSON **members = mem_alloc_array(count, sizeof(const cJSON *));
    size_t n = 0;
    for (const cJSON *it = json_item(object)->child; it != NULL; it = it->next)
        members[n++] = it;
    json_sort_members(members, n);
    return members;
}

// NOLINTNEXTLINE(misc-no-recursion)
static bool equal_sorted(const struct json *a, const struct json *b, size_t count)
{
    const cJSON **x = sorted_members(a, count);
    const cJSON **y = sorted_members(b, count);
    bool is_equal = true;
    for (size_t i = 0; i < count && is_equal; i++)
        is_equal =
            strcmp(x[i]->string, y[i]->string) == 0 && json_equal(json_of(x[i]), json_of(y[i]));
    mem_free(x);
    mem_free(y);
    return is_equal;
}

// NOLINTNEXTLINE(misc-no-recursion)
static bool equal_members(const struct json *a, const struct json *b)
{
    const size_t count = json_count(a);
    if (count != json_count(b))
        return false;
    if (count > JSON_SMALL_OBJECT)
        return equal_sorted(a, b, count);
    for (const struct json *it = json_first(a); it != NULL; it = json_next(it)) {
        const struct json *other = json_get_str(b, json_key(it));
        if (other == NULL || !json_equal(it, other))
            return false;
    }
    return true;
}
