// SPDX-License-Identifier: Apache-2.0
/*
 * Log lines: JSON written into one buffer and out with one write(2), so that lines of several
 * threads do not mix. The JSON string writer is here because base stands below the json package.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 16 * 1024, LOG_VALUE_MAX = 4096 };

struct log {
    int fd;
    enum log_level least;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct log *log_new(int fd, enum log_level least)
{
    struct log *lg = mem_alloc(sizeof *lg);
    *lg = (struct log){fd, least};
    return lg;
}

struct log *log_free(struct log *lg)
{
    return mem_free(lg);
}

bool log_level_parse(struct str s, enum log_level *ret)
{
    *ret = LOG_INFO;
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (str_eq_cstr(s, level_names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_is_on(const struct log *lg, enum log_level level)
{
    return lg != NULL && level >= lg->least;
}

/* How much of it stands for itself: nearly all, as a rule. */
static size_t plain_length(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= 0x20 && s.ptr[n] < 0x7f && s.ptr[n] != '"' && s.ptr[n] != '\\')
        n++;
    return n;
}

/* Bytes that are no UTF-8 come out as '?', so that a line is always valid JSON. */
static void append_string(struct buf *b, struct str s)
{
    s = str_cut_utf8(s, LOG_VALUE_MAX);
    bool is_utf8 = str_is_utf8(s);
    buf_append_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        const size_t plain = plain_length(str_from_offset(s, i));
        buf_append(b, str_n(s.ptr + i, plain));
        i += plain;
        if (i == s.len)
            break;
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_append_cstr(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_append_char(b, c >= 0x80 && !is_utf8 ? '?' : (char)c);
    }
    buf_append_char(b, '"');
}

static void append_pair(struct buf *b, const struct log_kv *kv)
{
    size_t before = b->len;
    if (kv->type == LOG_KV_TEXT && str_is_empty(kv->str))
        return;
    buf_append_cstr(b, ",\"");
    buf_append_cstr(b, kv->key);
    buf_append_cstr(b, "\":");
    if (kv->type == LOG_KV_STR && str_is_null(kv->str))
        buf_append_cstr(b, "null");
    else if (kv->type == LOG_KV_STR || kv->type == LOG_KV_TEXT)
        append_string(b, kv->str);
    else if (kv->type == LOG_KV_INT)
        buf_printf(b, "%lld", (long long)kv->num);
    else
        buf_append_cstr(b, kv->num != 0 ? "true" : "false");
    if (!buf_ok(b)) {
        /* a pair is whole or not there */
        b->failed = false;
        buf_truncate(b, before);
    }
}

static void write_all(int fd, struct str s)
{
    while (s.len != 0) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody reads the log: there is nowhere to say so */
        s = str_from_offset(s, (size_t)n);
    }
}

void log_line(struct log *lg, enum log_level level, const char *msg, ...)
{
    if (!log_is_on(lg, level))
        return;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LOG_LINE_MAX);
    char now[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(clock_unix_ms(clock_system()), now);
    now[23] = 'Z'; /* milliseconds are enough */
    now[24] = '\0';
    buf_printf(&b, "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":", now, level_names[level]);
    append_string(&b, str_from(msg));
    va_list ap;
    va_start(ap, msg);
    for (;;) {
        struct log_kv kv = va_arg(ap, struct log_kv);
        if (kv.type == LOG_KV_END)
            break;
        append_pair(&b, &kv);
    }
    va_end(ap);
    b.max += 2;
    buf_append_cstr(&b, "}\n");
    write_all(lg->fd, buf_str(&b));
}
