// SPDX-License-Identifier: Apache-2.0
/*
 * Allocation. Small allocations whose size we choose abort when memory is out: a process that
 * cannot get 200 bytes is restarted by its supervisor and comes back clean. Sizes that a peer
 * chooses are capped by a named limit first and then use mem_try_alloc(), which may fail.
 * Any thread.
 */
#pragma once

#include "base/compiler.h"

#include <stddef.h>

/* Zeroed memory of n bytes (n may be 0); never NULL. Free with mem_free(). */
void *mem_alloc(size_t n) BERTH_NODISCARD __attribute__((returns_nonnull, malloc));
/* Zeroed array; aborts on overflow of count * size. */
void *mem_alloc_array(size_t count, size_t size) BERTH_NODISCARD
    __attribute__((returns_nonnull, malloc));
/* Resizes p (may be NULL); new bytes are not zeroed. Never NULL. */
void *mem_realloc(void *p, size_t n) BERTH_NODISCARD __attribute__((returns_nonnull));
/* A copy of the NUL-terminated s (NULL gives NULL). */
char *mem_strdup(const char *s) BERTH_NODISCARD;
/* A NUL-terminated copy of n bytes. */
char *mem_dup(const void *p, size_t n) BERTH_NODISCARD __attribute__((returns_nonnull));

/* For sizes chosen by a peer: NULL when memory is out (or a fault run says so). Not zeroed. */
void *mem_try_alloc(size_t n) BERTH_NODISCARD;
/* As realloc(); on failure p is still valid. */
void *mem_try_realloc(void *p, size_t n) BERTH_NODISCARD;

/* Frees p; NULL is fine. Returns NULL: p = mem_free(p). */
void *mem_free(void *p);

/* Cleanup of a char * local: BERTH_CLEANUP(mem_freecp) char *s = …; */
static inline void mem_freecp(char **at)
{
    *at = (char *)mem_free(*at);
}
