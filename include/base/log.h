// SPDX-License-Identifier: Apache-2.0
/*
 * Logs: one event, one line, one JSON object on a file descriptor, with "ts" (RFC 3339, ms),
 * "level", "msg" and key/value pairs. The message is constant text; what varies is in the pairs.
 * Only commands, reconcile, ensure, admission, certs, web and the lease log; all other packages
 * return errors. An error is logged once, where it is handled. Any thread; a line is one write(2).
 *
 *     log_info(lg, "template created", KV("prefix", prefix), KV_INT("ms", ms));
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct log;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_kv {
    enum { LOG_KV_END, LOG_KV_STR, LOG_KV_TEXT, LOG_KV_INT, LOG_KV_BOOL } type;
    const char *key;
    struct str str;
    int64_t num;
};

#define KV(k, s)      ((struct log_kv){LOG_KV_STR, (k), (s), 0})
#define KV_CSTR(k, s) ((struct log_kv){LOG_KV_STR, (k), str_from(s), 0})
/* Left out where the text is NULL or "". */
#define KV_TEXT(k, s) ((struct log_kv){LOG_KV_TEXT, (k), str_from(s), 0})
#define KV_INT(k, n)  ((struct log_kv){LOG_KV_INT, (k), STR_NULL, (n)})
#define KV_BOOL(k, b) ((struct log_kv){LOG_KV_BOOL, (k), STR_NULL, (b)})
/* The error's message under "error". */
#define KV_ERR(e)   KV_CSTR("error", (e)->msg)
#define LOG_KV_LAST ((struct log_kv){LOG_KV_END, NULL, STR_NULL, 0})

#define log_debug(lg, ...) log_line((lg), LOG_DEBUG, __VA_ARGS__, LOG_KV_LAST)
#define log_info(lg, ...)  log_line((lg), LOG_INFO, __VA_ARGS__, LOG_KV_LAST)
#define log_warn(lg, ...)  log_line((lg), LOG_WARN, __VA_ARGS__, LOG_KV_LAST)
#define log_error(lg, ...) log_line((lg), LOG_ERROR, __VA_ARGS__, LOG_KV_LAST)

/* fd stays the caller's. */
struct log *log_new(int fd, enum log_level least) BERTH_NODISCARD;
struct log *log_free(struct log *lg);
/* "debug", "info", "warn", "error". */
bool log_level_parse(struct str s, enum log_level *ret) BERTH_NODISCARD;
bool log_is_on(const struct log *lg, enum log_level level);
/* Use the macros: the pairs end with LOG_KV_LAST. A line over 16 KiB is cut. lg may be NULL. */
void log_line(struct log *lg, enum log_level level, const char *msg, ...);
