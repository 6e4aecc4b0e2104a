// SPDX-License-Identifier: Apache-2.0
/*
 * Reading JSON that others wrote: strict, bounded, with the path of what is wrong in each error.
 *
 * A document owns its tree; values are views into it and live as long as it. The parser (cJSON,
 * known to no other package) is wrapped so that what it would let through is refused: more than
 * JSON_MAX_DEPTH levels, duplicate keys, NUL bytes and \u0000 (which would cut strings), invalid
 * UTF-8, control characters in strings, numbers such as 01, text after the value. Time is linear in
 * the text, also for objects of many members (n log n).
 *
 * Numbers are doubles. One that its double does not hold is kept and marked as not exact:
 * json_i64() and printing refuse it, and it equals nothing. This is decided from the digits in the
 * text, not from the double: whole numbers are exact up to 2^53 in size, fractions with up to 17
 * significant digits, unless their double is a whole number (4503599627370497.3) or 0 (1e-400).
 *
 * A parsed document is immutable and may be read from any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* The number of values bounds what the tree takes in memory, about 80 bytes each. */
enum { JSON_MAX_DEPTH = 64, JSON_MAX_VALUES = 1 << 20 };

struct json;     /* a value inside a document */
struct json_doc; /* owns a tree */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Parses text, which may be at most max_bytes long (ERR_INVALID, as for all that is refused; the
 * message says where). ERR_RETRY where memory is out. */
bool json_parse(struct str text, size_t max_bytes, struct json_doc **ret,
                struct err *e) BERTH_NODISCARD;
struct json_doc *json_doc_free(struct json_doc *doc);
BERTH_DEFINE_CLEANUP(struct json_doc *, json_doc_free);
const struct json *json_root(const struct json_doc *doc);

/* v == NULL stands for "absent" everywhere below and has no type, no members, no value. */
enum json_type json_type(const struct json *v); /* absent: JSON_NULL */
bool json_is_null(const struct json *v);        /* absent or null */
bool json_is_string(const struct json *v);
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);

/* Member of an object, case-sensitive; NULL where v is no object or lacks it. */
const struct json *json_get(const struct json *v, const char *key);
const struct json *json_get_str(const struct json *v, struct str key);
/* "metadata.ownerReferences" by dots: members only. NULL where any step is absent. */
const struct json *json_path(const struct json *v, const char *path);
/* Elements of an array or members of an object, in order. */
const struct json *json_first(const struct json *v);
const struct json *json_next(const struct json *child);
struct str json_key(const struct json *member); /* absent for array elements */
size_t json_count(const struct json *v);

/* The value, or absent / the fallback where v is absent or of another type. For fields whose type
 * somebody else (the API server) has checked already. */
struct str json_str_or_null(const struct json *v);
int64_t json_i64_or(const struct json *v, int64_t fallback);
bool json_bool_or(const struct json *v, bool fallback);
double json_double_or(const struct json *v, double fallback);

/* The member at a dotted path, checked: ERR_INVALID names the path and what must be there. */
bool json_want_str(const struct json *v, const char *path, struct str *ret,
                   struct err *e) BERTH_NODISCARD;
bool json_want_i64(const struct json *v, const char *path, int64_t *ret,
                   struct err *e) BERTH_NODISCARD;
/* v as an integer; false where it is no number, has a fraction, or is not exact. */
bool json_i64(const struct json *v, int64_t *ret) BERTH_NODISCARD;

/* Same value: objects whatever the order of members, arrays in order. Two values that are both
 * absent are the same; absent and null are not. */
bool json_equal(const struct json *a, const struct json *b);

/* Appends v as compact JSON, members in their order. Numbers that are not exact mark out failed. */
void json_print(const struct json *v, struct buf *out);
/* The same with two spaces of indentation. */
void json_print_pretty(const struct json *v, struct buf *out);
