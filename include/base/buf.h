// SPDX-License-Identifier: Apache-2.0
/*
 * struct buf: a growing byte string with a mandatory maximum and a sticky error.
 *
 * Appending never fails at the call: once the maximum is passed (or memory is out) the buffer is
 * `failed`, keeps what it had and ignores what follows, and the writer asks once, at the end, with
 * buf_ok(). What is in it is always NUL-terminated (the NUL is not counted in len). One thread.
 *
 *     struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT_NAME_BYTES);
 *     buf_append(&b, STR("a"));
 *     buf_printf(&b, "%d", 1);
 *     if (!buf_ok(&b)) …
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *ptr; /* NULL until something is appended; read it through buf_str() or buf_cstr() */
    size_t len;
    size_t cap;
    size_t max; /* the most bytes it may hold, without the NUL */
    bool failed;
};

#define BUF_INIT(MAX) ((struct buf){.max = (MAX)})

/* Frees the bytes; the buffer is as after BUF_INIT with the same maximum. Idempotent. */
void buf_fini(struct buf *b);
/* Empties it and clears `failed`, keeping its memory. */
void buf_reset(struct buf *b);
void buf_append(struct buf *b, struct str s);
void buf_append_bytes(struct buf *b, const void *p, size_t n);
void buf_append_cstr(struct buf *b, const char *s);
void buf_append_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) BERTH_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) BERTH_PRINTF(2, 0);
/* Drops all after the first n bytes (n <= len). */
void buf_truncate(struct buf *b, size_t n);
/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}
/* A view, valid until the buffer is next changed. Never absent: an empty buffer gives "". */
static inline struct str buf_str(const struct buf *b)
{
    return b->ptr ? (struct str){b->ptr, b->len} : (struct str){"", 0};
}
static inline const char *buf_cstr(const struct buf *b)
{
    return b->ptr ? b->ptr : "";
}
/* Hands the bytes over (mem_free() them); the buffer is empty after. Never NULL. */
char *buf_take(struct buf *b) BERTH_NODISCARD;
