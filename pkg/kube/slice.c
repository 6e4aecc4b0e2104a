// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting JSON text into values without building a tree; see slice_priv.h.
 */
#include "slice_priv.h"

enum { SLICE_NONE = -1 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct str t, size_t at)
{
    while (at < t.len && is_space(t.ptr[at]))
        at++;
    return at;
}

/* at is on the opening quote; the index after the closing one. */
static ptrdiff_t skip_string(struct str t, size_t at)
{
    for (at++; at < t.len; at++) {
        if (t.ptr[at] == '"')
            return (ptrdiff_t)at + 1;
        if (t.ptr[at] == '\\')
            at++;
    }
    return SLICE_NONE;
}

/* A number or a word: up to what ends it. At the end of the text it may be cut off. */
static ptrdiff_t skip_scalar(struct str t, size_t at)
{
    size_t start = at;
    while (at < t.len && !is_space(t.ptr[at]) && t.ptr[at] != ',' && t.ptr[at] != '}' &&
           t.ptr[at] != ']')
        at++;
    return at == t.len || at == start ? SLICE_NONE : (ptrdiff_t)at;
}

static ptrdiff_t skip_container(struct str t, size_t at)
{
    size_t depth = 0;
    while (at < t.len) {
        char c = t.ptr[at];
        if (c == '"') {
            ptrdiff_t end = skip_string(t, at);
            if (end < 0)
                return SLICE_NONE;
            at = (size_t)end;
            continue;
        }
        at++;
        if (c == '{' || c == '[')
            depth++;
        if ((c == '}' || c == ']') && --depth == 0)
            return (ptrdiff_t)at;
    }
    return SLICE_NONE;
}

/* at is on the first byte of a value; the index after it, or SLICE_NONE where it does not end. */
static ptrdiff_t skip_value(struct str t, size_t at)
{
    if (at >= t.len)
        return SLICE_NONE;
    if (t.ptr[at] == '"')
        return skip_string(t, at);
    if (t.ptr[at] == '{' || t.ptr[at] == '[')
        return skip_container(t, at);
    return skip_scalar(t, at);
}

static void note_member(struct str key, struct str value, const char *const *keys, size_t count,
                        struct str *ret)
{
    for (size_t i = 0; i < count; i++)
        if (str_is_null(ret[i]) && str_eq_cstr(key, keys[i]))
            ret[i] = value;
}

bool kube_slice_members(struct str text, const char *const *keys, size_t count, struct str *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = STR_NULL;
    size_t at = skip_space(text, 0);
    if (at >= text.len || text.ptr[at] != '{')
        return false;
    at++;
    for (;;) {
        at = skip_space(text, at);
        if (at >= text.len || text.ptr[at] != '"')
            return true;
        ptrdiff_t end = skip_string(text, at);
        if (end < 0)
            return true;
        struct str key = str_n(text.ptr + at + 1, (size_t)end - at - 2);
        at = skip_space(text, (size_t)end);
        if (at >= text.len || text.ptr[at] != ':')
            return true;
        at = skip_space(text, at + 1);
        end = skip_value(text, at);
        if (end < 0)
            return true;
        note_member(key, str_n(text.ptr + at, (size_t)end - at), keys, count, ret);
        at = skip_space(text, (size_t)end);
        if (at >= text.len || text.ptr[at] != ',')
            return true;
        at++;
    }
}

bool kube_slice_next_element(struct str array, size_t *at, struct str *ret)
{
    size_t i = skip_space(array, *at);
    char opens = *at == 0 ? '[' : ',';
    *ret = STR_NULL;
    if (i >= array.len || array.ptr[i] != opens)
        return false;
    i = skip_space(array, i + 1);
    if (i < array.len && array.ptr[i] == ']')
        return false;
    ptrdiff_t end = skip_value(array, i);
    if (end < 0)
        return false;
    *ret = str_n(array.ptr + i, (size_t)end - i);
    *at = (size_t)end;
    return true;
}

struct str kube_slice_plain_string(struct str value)
{
    if (value.len < 2 || value.ptr[0] != '"' || str_index(value, '\\') >= 0)
        return STR_NULL;
    return str_n(value.ptr + 1, value.len - 2);
}
