// SPDX-License-Identifier: Apache-2.0
/*
 * What the checks and the comparisons of policy documents share. Pure functions.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a document that we read at all: its characters may be up to four bytes each. */
enum { POLICY_BYTES_PER_CHARACTER = 4 };

/* Characters of s, whether or not it is UTF-8. */
size_t policy_characters(struct str s);

/* A place in a document, for errors: "rules[1].selection", or "" for its root. */
enum { POLICY_PATH_MAX = 128 };
struct policy_path {
    char text[POLICY_PATH_MAX];
};
struct policy_path policy_path_member(const struct policy_path *p, const char *name);
struct policy_path policy_path_index(const struct policy_path *p, const char *name, size_t i);
/* ERR_INVALID, reason InvalidPolicy, "<path>.<name> <says>" (name may be NULL: the path itself,
 * or "the document" at the root). Returns false. */
bool policy_refuse(struct err *e, const struct policy_path *p, const char *name, const char *says);
/* "Returns false" for the compiler too, so that what follows a refusal is no branch of its own. */
#define policy_refuse(...) ((void)(policy_refuse)(__VA_ARGS__), false)

/* v is an object that has only these members (NULL-ended list), and all those whose name begins
 * with '!'. */
bool policy_check_members(const struct json *v, const struct policy_path *p,
                          const char *const *members, struct err *e) BERTH_NODISCARD;
/* The member is one of the words (NULL-ended); *ret is its index. */
bool policy_check_word(const struct json *v, const struct policy_path *p, const char *name,
                       const char *const *words, int *ret, struct err *e) BERTH_NODISCARD;

/* Equality of two values, of which b may be absent (NULL). */
typedef bool (*policy_equal_fn)(const struct json *a, const struct json *b);
/* How the members of an object are compared; name NULL ends, and members that the table does not
 * have are compared as JSON. */
struct policy_member {
    const char *name;
    policy_equal_fn equal;
};
/* Objects by their members (an absent b has none); other values as JSON. */
bool policy_equal_members(const struct json *a, const struct json *b,
                          const struct policy_member *table);
/* Strings; an absent b is "". */
bool policy_equal_text(const struct json *a, const struct json *b);
/* A scalar as a list of one, lists as sets, elements by `equal`. Absent equals only absent. */
bool policy_equal_sets(const struct json *a, const struct json *b, policy_equal_fn equal);
/* Both are empty, or not JSON of a sane size and equal as text; or else equal(roots). */
bool policy_equal_documents(struct str a, struct str b, size_t max_characters,
                            policy_equal_fn equal);
