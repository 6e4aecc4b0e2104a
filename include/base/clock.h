// SPDX-License-Identifier: Apache-2.0
/*
 * The clock seam, and dates as text. Code that decides by time takes a `const struct clock *`;
 * tests hand it a fake one and move it. clock_system() may be used from any thread; a fake clock
 * is as thread-safe as its user makes it.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t (*unix_ms)(void *impl); /* wall clock, may jump */
    int64_t (*mono_ms)(void *impl); /* never goes back */
    void *impl;
};

const struct clock *clock_system(void);

static inline int64_t clock_unix_ms(const struct clock *c)
{
    return c->unix_ms(c->impl);
}
static inline int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ms(c->impl);
}

/* A clock that stands still until it is moved. */
struct clock_fake {
    struct clock clock; /* hand out &fake.clock */
    int64_t unix_ms;
    int64_t mono_ms;
};
void clock_fake_init(struct clock_fake *f, int64_t unix_ms);
void clock_fake_advance(struct clock_fake *f, int64_t ms);

enum { CLOCK_TEXT_MAX = 96 };
/* "2026-01-02T03:04:05Z" (metav1.Time), into text[CLOCK_TEXT_MAX]. */
void clock_format_rfc3339(int64_t unix_ms, char *text);
/* "2026-01-02T03:04:05.123000Z" (metav1.MicroTime; RFC 3339 with microseconds). */
void clock_format_rfc3339_micro(int64_t unix_ms, char *text);
/* "20260102T030405Z", the date form of SigV4. */
void clock_format_amz(int64_t unix_ms, char *text);
/* RFC 3339 with Z or an offset, optional fraction (kept to ms). */
bool clock_parse_rfc3339(struct str s, int64_t *ret_unix_ms) BERTH_NODISCARD;
/* "20260102T030405Z". */
bool clock_parse_amz(struct str s, int64_t *ret_unix_ms) BERTH_NODISCARD;
