// SPDX-License-Identifier: Apache-2.0
/*
 * Numbers for property tests: the same sequence in every run, so that a failure comes again.
 * Header-only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test_random {
    uint64_t state; /* any seed */
};

/* 0 … below - 1 (splitmix64). */
static inline uint32_t test_random_below(struct test_random *r, uint32_t below)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

/* Up to most of the words in `pieces` (separated by blanks), in a row. */
static inline void test_random_text(struct test_random *r, const char *pieces, uint32_t most,
                                    char *ret, size_t size)
{
    uint32_t words = 1;
    size_t used = 0;
    for (const char *c = pieces; *c != '\0'; c++)
        words += *c == ' ';
    ret[0] = '\0';
    for (uint32_t n = test_random_below(r, most + 1); n > 0; n--) {
        const char *word = pieces;
        for (uint32_t skip = test_random_below(r, words); skip > 0; skip--)
            word = strchr(word, ' ') + 1;
        size_t len = strcspn(word, " ");
        if (used + len + 1 > size)
            return;
        memcpy(ret + used, word, len);
        used += len;
        ret[used] = '\0';
    }
}
