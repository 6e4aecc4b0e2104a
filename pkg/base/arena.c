// SPDX-License-Identifier: Apache-2.0
/*
 * The arena: a chain of blocks, the newest first; big allocations get a block of their own.
 */
#include "base/arena.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blocks begin small and double: most units of work are small, and some arenas are kept for long.
 */
enum { ARENA_FIRST_BYTES = 1024, ARENA_BLOCK_BYTES = 8192 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    _Alignas(max_align_t) char data[];
};

void arena_fini(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b != NULL) {
        struct arena_block *next = b->next;
        mem_free(b);
        b = next;
    }
    *a = ARENA_INIT;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    struct arena_block *b = a->head;
    while (b != NULL) {
        struct arena_block *next = b->next;
        if (keep == NULL && b->size == ARENA_BLOCK_BYTES)
            keep = b;
        else
            mem_free(b);
        b = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    *a = (struct arena){.head = keep};
}

static void *take(struct arena_block *b, size_t n)
{
    void *p = b->data + b->used;
    b->used += n;
    return memset(p, 0, n);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t align = _Alignof(max_align_t);
    assert(n <= SIZE_MAX / 2);
    n = n == 0 ? align : (n + align - 1) / align * align;
    a->used_bytes += n;
    if (a->head != NULL && n <= a->head->size - a->head->used)
        return take(a->head, n);
    size_t usual = a->head == NULL ? ARENA_FIRST_BYTES : a->head->size * 2;
    if (usual > ARENA_BLOCK_BYTES)
        usual = ARENA_BLOCK_BYTES;
    size_t size = n > usual / 4 ? n : usual;
    struct arena_block *b = mem_realloc(NULL, sizeof *b + size);
    b->size = size;
    b->used = 0;
    if (size == n && a->head != NULL) {
        /* full from the start: keep the block that still has room in front */
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
    }
    return take(b, n);
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    return arena_alloc(a, bytes);
}

struct str arena_copy(struct arena *a, struct str s)
{
    if (str_is_null(s))
        return STR_NULL;
    char *p = arena_alloc(a, s.len + 1);
    if (s.len != 0)
        memcpy(p, s.ptr, s.len);
    return str_n(p, s.len);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return arena_copy(a, STR(""));
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_n(p, (size_t)n);
}

const char *arena_cstr(struct arena *a, struct str s)
{
    return str_is_null(s) ? "" : arena_copy(a, s).ptr;
}
