// SPDX-License-Identifier: Apache-2.0
/*
 * Allocation that aborts, and allocation that may fail.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static BERTH_NORETURN void out_of_memory(size_t n)
{
    (void)fprintf(stderr, "out of memory: cannot allocate %zu bytes\n", n);
    abort();
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
    return malloc(n != 0 ? n : 1);
}

void *mem_try_realloc(void *p, size_t n)
{
    return realloc(p, n != 0 ? n : 1);
}

void *mem_free(void *p)
{
    free(p);
    return NULL;
}
