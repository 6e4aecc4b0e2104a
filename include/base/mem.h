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

/* For a process that waits more than it allocates and runs for months: one heap for all threads,
 * and big blocks go back to the system when they are freed. First thing in main(), before any
 * thread. */
void mem_be_lean(void);
/* As many heaps at most from now on: threads that allocate all the time (the webhook's) wait for
 * each other on one. Before they are started. */
void mem_use_heaps(int count);
/* Gives back to the system what is free, also below what is in use: after work that needed much
 * more than what it leaves behind. Milliseconds: not for what happens often. */
void mem_give_back(void);

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

/* What is no larger than this is a small allocation whoever chose its size, and aborts too: a key,
 * a URL, a request or a comparison that lacks its memory would say something wrong without a word,
 * and a restart does less harm. */
enum { MEM_SMALL_BYTES = 64 * 1024 };
/* For sizes chosen by a peer: NULL when memory is out, over MEM_SMALL_BYTES. Not zeroed. */
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
