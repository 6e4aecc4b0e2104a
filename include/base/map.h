// SPDX-License-Identifier: Apache-2.0
/*
 * struct map: string key -> pointer, over uthash, so that hash tables look the same everywhere.
 * Keys are copied in; values are the caller's. Iteration is in order of insertion. Not
 * thread-safe: it lives behind its owner's mutex.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct map;
struct map_entry;

struct map *map_new(void) BERTH_NODISCARD;
/* Frees the table; calls free_value (may be NULL) on each value first. */
struct map *map_free(struct map *m, void (*free_value)(void *value));
/* NULL where absent. */
void *map_get(const struct map *m, struct str key);
/* Returns the value it replaced, or NULL. value is not NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Returns the value removed, or NULL. */
void *map_remove(struct map *m, struct str key);
size_t map_count(const struct map *m);

/* for (struct map_entry *it = map_first(m); it; it = map_next(it)); the current entry may be
 * removed only after map_next() was called for it. */
struct map_entry *map_first(const struct map *m);
struct map_entry *map_next(struct map_entry *it);
struct str map_key(const struct map_entry *it);
void *map_value(const struct map_entry *it);
