// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the YAML of configuration files and kubeconfigs into a tree with positions.
 *
 * One document; maps with string keys, lists and scalars. Refused, with line and column: anchors
 * and aliases, tags other than !!str, a second document, duplicate keys, more than YAML_MAX_DEPTH
 * levels, text over the caller's limit, invalid UTF-8. JSON is YAML, so JSON files are read too.
 * The tree lives in the caller's arena. Any thread, each with its own arena.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { YAML_MAX_DEPTH = 32 };

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml {
    enum yaml_kind kind;
    bool is_plain;    /* scalar without quotes: may be null, a boolean or a number */
    int line, column; /* from 1 */
    struct str key;   /* in a map: its key */
    int key_line, key_column;
    struct str scalar;  /* NUL-terminated */
    struct yaml *first; /* members or elements, in order */
    struct yaml *next;
};

/* An empty text gives an empty map. Errors are ERR_INVALID: "line 3, column 5: …". */
bool yaml_parse(struct str text, size_t max_bytes, struct arena *a, const struct yaml **ret,
                struct err *e) BERTH_NODISCARD;

/* NULL (absent) where v is no map or lacks the key; v may be NULL. */
const struct yaml *yaml_get(const struct yaml *v, const char *key);
/* Plain null, ~ or nothing; or absent. */
bool yaml_is_null(const struct yaml *v);

/* The value of a scalar, checked; errors are ERR_INVALID: "line 3, column 5: <name> must be …".
 * v is not NULL. name is what the message calls it. A text may be written without quotes whatever
 * it looks like (5, true), but null is none; true, false and numbers may not be quoted. */
bool yaml_str(const struct yaml *v, const char *name, struct str *ret,
              struct err *e) BERTH_NODISCARD;
bool yaml_bool(const struct yaml *v, const char *name, bool *ret, struct err *e) BERTH_NODISCARD;
bool yaml_i64(const struct yaml *v, const char *name, int64_t least, int64_t most, int64_t *ret,
              struct err *e) BERTH_NODISCARD;
/* "30s", "5m" between least and most. */
bool yaml_duration_ms(const struct yaml *v, const char *name, int64_t least_ms, int64_t most_ms,
                      int64_t *ret_ms, struct err *e) BERTH_NODISCARD;
/* Refuses keys of the map v that are not in known (NULL-ended), naming the nearest known one. */
bool yaml_known_keys(const struct yaml *v, const char *name, const char *const *known,
                     struct err *e) BERTH_NODISCARD;
