// SPDX-License-Identifier: Apache-2.0
/*
 * String views: comparing, cutting, and what is UTF-8.
 */
#include "base/str.h"

#include <stdint.h>

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n != 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c != 0)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

struct str str_from_offset(struct str s, size_t from)
{
    if (from > s.len)
        from = s.len;
    return str_n(s.ptr != NULL ? s.ptr + from : NULL, s.len - from);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len != 0 && is_space(s.ptr[0]))
        s = str_from_offset(s, 1);
    while (s.len != 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

ptrdiff_t str_index(struct str s, char c)
{
    const char *at = s.len != 0 ? memchr(s.ptr, c, s.len) : NULL;
    return at != NULL ? at - s.ptr : -1;
}

ptrdiff_t str_rindex(struct str s, char c)
{
    const char *at = s.len != 0 ? memrchr(s.ptr, c, s.len) : NULL;
    return at != NULL ? at - s.ptr : -1;
}

bool str_contains(struct str s, struct str needle)
{
    if (needle.len == 0)
        return true;
    return s.len != 0 && memmem(s.ptr, s.len, needle.ptr, needle.len) != NULL;
}

bool str_cut(struct str s, char c, struct str *before, struct str *after)
{
    ptrdiff_t at = str_index(s, c);
    if (at < 0) {
        *before = s;
        *after = STR_NULL;
        return false;
    }
    *before = str_n(s.ptr, (size_t)at);
    *after = str_from_offset(s, (size_t)at + 1);
    return true;
}

bool str_next(struct str *rest, char c, struct str *part)
{
    if (str_is_null(*rest))
        return false;
    struct str after;
    (void)str_cut(*rest, c, part, &after);
    *rest = after;
    return true;
}

/* The length of the well-formed sequence at p[0..n), or 0. Ranges: Unicode 15, table 3-7. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t len = 0;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        if (p[0] == 0xf4)
            high = 0x8f;
    }
    if (len == 0 || len > n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* How many of the n bytes are ASCII from the start, counted in eights: most text is nothing else.
 */
static size_t ascii_eights(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (uint64_t eight; n - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, p + i, sizeof eight);
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return i;
}

bool str_is_utf8(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    for (size_t i = 0; i < s.len;) {
        i += ascii_eights(p + i, s.len - i);
        if (i == s.len)
            break;
        size_t n = utf8_sequence(p + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

struct str str_cut_utf8(struct str s, size_t max)
{
    if (s.len <= max)
        return s;
    size_t end = max;
    while (end > 0 && max - end < 3 && ((uint8_t)s.ptr[end] & 0xc0) == 0x80)
        end--;
    return str_n(s.ptr, end);
}
