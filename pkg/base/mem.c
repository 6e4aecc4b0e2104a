// SPDX-License-Identifier: Apache-2.0
/*
 * Allocation that aborts, and allocation that may fail; and what glibc is told about it.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static BERTH_NORETURN void out_of_memory(size_t n)
{
    (void)fprintf(stderr, "out of memory: cannot allocate %zu bytes\n", n);
    abort();
}

/* glibc (2.36) gives each thread a heap of its own, and none of them ever gets smaller than its top
 * was high: a dozen threads that wait keep several times what is in use. And it raises the
 * threshold from which a block is mapped, and so given back at once, to the largest that was freed,
 * unless it is set. */
enum { BIG_BLOCK_BYTES = 128 * 1024 };

#ifdef __GLIBC__
/* Only before threads are started: mem.h says so. */
static void set(int option, int value)
{
    (void)mallopt(option, value); /* NOLINT(concurrency-mt-unsafe) */
}
#endif

void mem_be_lean(void)
{
#ifdef __GLIBC__
    set(M_ARENA_MAX, 1);
    set(M_MMAP_THRESHOLD, BIG_BLOCK_BYTES);
    set(M_TRIM_THRESHOLD, BIG_BLOCK_BYTES);
#endif
}

void mem_use_heaps(int count)
{
#ifdef __GLIBC__
    set(M_ARENA_MAX, count);
#else
    (void)count;
#endif
}

void mem_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

void *mem_alloc(size_t n)
{
    void *p = calloc(1, n != 0 ? n : 1);
    if (p == NULL)
        out_of_memory(n);
    return p;
}

void *mem_alloc_array(size_t count, size_t size)
{
    void *p = calloc(count != 0 ? count : 1, size != 0 ? size : 1);
    if (p == NULL)
        out_of_memory(count);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n != 0 ? n : 1);
    if (q == NULL)
        out_of_memory(n);
    return q;
}

char *mem_strdup(const char *s)
{
    return s != NULL ? mem_dup(s, strlen(s)) : NULL;
}

char *mem_dup(const void *p, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (n != 0)
        memcpy(copy, p, n);
    return copy;
}

void *mem_try_alloc(size_t n)
{
    void *p = malloc(n != 0 ? n : 1);
    if (p == NULL && n <= MEM_SMALL_BYTES)
        out_of_memory(n);
    return p;
}

void *mem_try_realloc(void *p, size_t n)
{
    void *q = realloc(p, n != 0 ? n : 1);
    if (q == NULL && n <= MEM_SMALL_BYTES)
        out_of_memory(n);
    return q;
}

void *mem_free(void *p)
{
    free(p);
    return NULL;
}
