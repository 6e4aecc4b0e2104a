// SPDX-License-Identifier: Apache-2.0
/*
 * Shared by the files of this package: what a `struct json` is, and the scan that goes before
 * cJSON. A value is a cJSON item under another name, so that reading costs no second tree; the bit
 * JSON_INEXACT in its `type` (cJSON looks at the low ten bits only) marks a number that its double
 * does not hold.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

#include <cjson/cJSON.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    JSON_INEXACT = 1 << 12,
    /* Objects up to this size are compared key by key, bigger ones by sorting. */
    JSON_SMALL_OBJECT = 16
};

/* What the text says and the tree cannot: which numbers, counted in the order of the text from 0,
 * are not exact. */
struct json_scan {
    size_t *inexact; /* ascending */
    size_t count;
    size_t cap;
};

/* Looks at each token: refuses what cJSON lets through, and classifies the numbers. */
bool json_scan_text(struct str text, struct json_scan *ret, struct err *e) BERTH_NODISCARD;
void json_scan_fini(struct json_scan *s);
/* Sets ERR_INVALID: "line 1, column 7: <problem>" for the byte at `at`. Returns false. */
bool json_fail_at(struct str text, size_t at, struct err *e, const char *fmt, ...)
    BERTH_PRINTF(4, 5);

/* Sorts members (cJSON items) by key, bytewise. */
void json_sort_members(const cJSON **members, size_t count);

static inline const cJSON *json_item(const struct json *v)
{
    return (const cJSON *)v;
}
static inline const struct json *json_of(const cJSON *item)
{
    return (const struct json *)item;
}
static inline bool json_is_exact(const struct json *v)
{
    return (json_item(v)->type & JSON_INEXACT) == 0;
}
