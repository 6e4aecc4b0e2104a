// SPDX-License-Identifier: Apache-2.0
/*
 * Attributes and small macros that every package uses. Nothing here allocates, locks or does I/O.
 */
#pragma once

#include <stddef.h>

/* The result must be looked at: every function that can fail carries it. */
#define BERTH_NODISCARD __attribute__((warn_unused_result))
/* printf-like: FMT is the index of the format, ARGS of its first argument (1-based). */
#define BERTH_PRINTF(FMT, ARGS) __attribute__((format(printf, FMT, ARGS)))
/* A local that owns: FN(&local) runs when it goes out of scope. Hand it over with TAKE(). */
#define BERTH_CLEANUP(FN) __attribute__((cleanup(FN)))
#define BERTH_UNUSED      __attribute__((unused))
#define BERTH_NORETURN    __attribute__((noreturn))

/* Moves a pointer out of a local that owns it: the local becomes NULL. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) *take_at_ = &(p);                                                            \
        __typeof__(p) take_value_ = *take_at_;                                                     \
        *take_at_ = NULL;                                                                          \
        take_value_;                                                                               \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Defines x_freep(), the cleanup function of a type whose x_free() takes a pointer and returns
 * NULL: BERTH_DEFINE_CLEANUP(struct thing *, thing_free) gives thing_freep for BERTH_CLEANUP().
 */
#define BERTH_DEFINE_CLEANUP(TYPE, FREE)                                                           \
    static inline void FREE##p(TYPE *at)                                                           \
    {                                                                                              \
        if (*at != NULL)                                                                           \
            *at = FREE(*at);                                                                       \
    }                                                                                              \
    struct berth_semicolon_
