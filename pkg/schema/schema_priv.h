// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of this package share: access to a field by its row, paths in errors, and the
 * text of values. Recursion here goes down the tables, which are constants of this program: its
 * depth is theirs.
 */
#pragma once

#include "schema/schema.h"

enum {
    SCHEMA_DURATION_TEXT = 32,
    SCHEMA_DURATION_LEN_MAX = 20,
    SCHEMA_ELEMENT_TEXT_MAX = 16384, /* of a list or an object as text, before it is cut */
};

/* The only form the CRD lets in; Go's and CEL's duration() read it too. */
#define SCHEMA_DURATION_PATTERN "^([0-9]+(h|m|s))+$"

/* The place of a value: a list on the stack, from the leaf up. */
struct schema_path {
    const struct schema_path *up;
    const char *name; /* NULL: an element */
    size_t index;
};
/* "spec.resourceTags[3].key", cut where text is full. */
enum { SCHEMA_PATH_TEXT = 256 };
void schema_path_text(const struct schema_path *p, char *text);

/* The key at AWS; NULL where the field is not AWS' business. */
const char *schema_aws_key(const struct field *f);
const void *schema_at(const struct field *f, const void *object);
void *schema_at_mut(const struct field *f, void *object);
bool schema_is_present(const struct field *f, const void *object);
/* Element i of the list. */
const void *schema_element(const struct field *f, const struct schema_list *l, size_t i);
struct str schema_str_at(const struct field *f, const void *object);

/* "1h30m", "10s", "1500ms" into text[SCHEMA_DURATION_TEXT]. */
void schema_duration_text(int64_t ms, char *text);
bool schema_duration_matches(struct str s);
/* RFC 3339, with microseconds only where the ms are not 0. text[CLOCK_TEXT_MAX]. */
void schema_time_text(int64_t unix_ms, char *text);
/* Characters (code points) of s. */
size_t schema_chars(struct str s);

/* Checks a decoded object against its table, rules included. */
bool schema_validate(const struct schema *s, const void *object, const struct schema_path *path,
                     struct err *e) BERTH_NODISCARD;

struct json_writer;
/* One value, present, as the custom resource has it. */
void schema_write_value(const struct field *f, const void *object, struct json_writer *w);
