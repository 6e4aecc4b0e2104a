// SPDX-License-Identifier: Apache-2.0
/*
 * struct str: a view of bytes, passed by value. It owns nothing and need not be NUL-terminated;
 * whoever made it says how long it lives (an arena, a document, a literal). Absent is ptr == NULL,
 * which is different from empty. Comparisons are bytewise. All functions are pure.
 */
#pragma once

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR_NULL ((struct str){NULL, 0})
/* From a string literal; usable in static initialisers as {STR_INIT("x")}. */
#define STR_INIT(lit) "" lit, sizeof(lit) - 1
#define STR(lit)      ((struct str){STR_INIT(lit)})
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).ptr ? (s).ptr : "")

static inline struct str str_from(const char *cstr)
{
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}
static inline struct str str_n(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}
static inline bool str_is_null(struct str s)
{
    return s.ptr == NULL;
}
/* Absent or empty. */
static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_eq_cstr(struct str a, const char *b)
{
    return str_eq(a, str_from(b));
}
static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_n(s.ptr, prefix.len), prefix);
}
static inline bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_n(s.ptr + (s.len - suffix.len), suffix.len), suffix);
}
/* < 0, 0, > 0, bytewise; a prefix sorts first. */
int str_cmp(struct str a, struct str b);
/* ASCII only. */
bool str_eq_nocase(struct str a, struct str b);
/* The bytes from `from` on; from may be past the end (gives empty). */
struct str str_from_offset(struct str s, size_t from);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* Index of the first (last) c, or -1. */
ptrdiff_t str_index(struct str s, char c);
ptrdiff_t str_rindex(struct str s, char c);
bool str_contains(struct str s, struct str needle);
/* Splits at the first c: false (and *before = s, *after = absent) where there is none. */
bool str_cut(struct str s, char c, struct str *before, struct str *after);
/* Takes the next part up to c off *rest, as strsep(3): a loop `while (str_next(&rest, ',',
 * &part))`. "a,,b" gives "a", "", "b"; "" gives one empty part; absent gives none. */
bool str_next(struct str *rest, char c, struct str *part);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool str_is_utf8(struct str s);
/* The longest prefix of at most max bytes that does not cut a UTF-8 sequence. */
struct str str_cut_utf8(struct str s, size_t max);
