// SPDX-License-Identifier: Apache-2.0
/*
 * The error value: who failed, why, and what the caller may do about it.
 *
 * A function that can fail returns bool, is BERTH_NODISCARD and takes `struct err *e` last. On
 * success it leaves *e untouched; on failure it has set it exactly once, where the cause is known,
 * and callers on the way up add context with err_wrap(). The value lives on the caller's stack:
 * nothing to free, nothing that can fail. Outcomes that a caller expects (absent, unchanged,
 * exists) are enum results of the function, not errors.
 *
 * `cls` and `reason` are for code, `msg` is for people: lower case, no full stop, no secret.
 */
#pragma once

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum err_class {
    ERR_NONE = 0,
    ERR_RETRY,       /* transient: a network failure, a 5xx; try again with backoff */
    ERR_THROTTLED,   /* the peer asks to slow down; honour retry_after_ms */
    ERR_DENIED,      /* authenticated, but not allowed: needs a person */
    ERR_CREDENTIALS, /* no, expired or refused credentials */
    ERR_QUOTA,       /* a quota of the account, not a rate: needs a person */
    ERR_NOT_FOUND,   /* the thing named does not exist */
    ERR_CONFLICT,    /* exists already, or changed since it was read */
    ERR_INVALID,     /* the request or the input itself is wrong: no retry can help */
    ERR_GONE,        /* HTTP 410: a resourceVersion too old; list again */
    ERR_CANCELLED,   /* we were asked to stop */
    ERR_BUG          /* cannot happen; report it */
};

enum { ERR_REASON_MAX = 80, ERR_MSG_MAX = 1024 };

struct err {
    enum err_class cls;
    int http_status;             /* 0 where no HTTP answer was read */
    uint32_t retry_after_ms;     /* 0 where the peer named none */
    char reason[ERR_REASON_MAX]; /* machine word, e.g. "AccessDeniedException"; may be "" */
    char msg[ERR_MSG_MAX];
};

#define ERR_INIT ((struct err){0})

/* Sets *e, which must be clear (asserted). Returns false, so that `return err_set(…);` reads well.
 * Text that does not fit is cut at a UTF-8 boundary. */
bool err_set(struct err *e, enum err_class cls, const char *reason, const char *fmt, ...)
    BERTH_PRINTF(4, 5);

/* Puts "context: " before e->msg. *e must be set (asserted). Returns false. */
bool err_wrap(struct err *e, const char *fmt, ...) BERTH_PRINTF(2, 3);

/* As err_set() with class and reason from errno value `errnum`; msg gets ": <text of errnum>". */
bool err_set_errno(struct err *e, int errnum, const char *fmt, ...) BERTH_PRINTF(3, 4);

#ifdef __clang_analyzer__
/* it does not look into other sources, where it would see that they always return false */
#define err_set(...)       ((void)(err_set)(__VA_ARGS__), false)
#define err_wrap(...)      ((void)(err_wrap)(__VA_ARGS__), false)
#define err_set_errno(...) ((void)(err_set_errno)(__VA_ARGS__), false)
#endif

static inline bool err_is_set(const struct err *e)
{
    return e->cls != ERR_NONE;
}

static inline void err_clear(struct err *e)
{
    *e = ERR_INIT;
}

/* The class as one word for logs and metrics: "retry", "throttled", … Never NULL. */
const char *err_class_name(enum err_class cls);
