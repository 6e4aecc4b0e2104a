// SPDX-License-Identifier: Apache-2.0
/*
 * struct arena: the memory of one unit of work (a reconcile pass, a request). Everything decoded
 * for it is allocated here and goes at once with arena_fini(): no free per field, no leak on an
 * error path. Allocation aborts when memory is out; what is put in is bounded by the limits on
 * the input that it comes from. One thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used_bytes; /* in all blocks, for limits and metrics */
};

#define ARENA_INIT ((struct arena){0})

void arena_fini(struct arena *a);
/* Forgets everything that was allocated, keeping one block. */
void arena_reset(struct arena *a);
/* Zeroed, aligned for any type; n may be 0. Never NULL. */
void *arena_alloc(struct arena *a, size_t n) BERTH_NODISCARD __attribute__((returns_nonnull));
void *arena_alloc_array(struct arena *a, size_t count, size_t size) BERTH_NODISCARD
    __attribute__((returns_nonnull));
#define arena_new(a, TYPE)          ((TYPE *)arena_alloc((a), sizeof(TYPE)))
#define arena_new_array(a, TYPE, n) ((TYPE *)arena_alloc_array((a), (n), sizeof(TYPE)))
/* A NUL-terminated copy; absent stays absent. */
struct str arena_copy(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) BERTH_PRINTF(2, 3);
/* NUL-terminated copy of s as a C string (absent gives ""). */
const char *arena_cstr(struct arena *a, struct str s);
