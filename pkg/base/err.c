// SPDX-License-Identifier: Apache-2.0
/*
 * The error value: formatting into fixed space, cut where a character ends.
 */
#include "base/err.h"

#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__
#undef err_set
#undef err_wrap
#undef err_set_errno
#endif

static void copy_cut(char *to, size_t size, const char *from)
{
    struct str s = str_cut_utf8(str_from(from), size - 1);
    memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
}

static BERTH_PRINTF(2, 0) void format_message(struct err *e, const char *fmt, va_list ap)
{
    char text[ERR_MSG_MAX * 2];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    copy_cut(e->msg, sizeof e->msg, text);
}

bool err_set(struct err *e, enum err_class cls, const char *reason, const char *fmt, ...)
{
    assert(!err_is_set(e));
    e->cls = cls;
    copy_cut(e->reason, sizeof e->reason, reason != NULL ? reason : "");
    va_list ap;
    va_start(ap, fmt);
    format_message(e, fmt, ap);
    va_end(ap);
    return false;
}

bool err_wrap(struct err *e, const char *fmt, ...)
{
    assert(err_is_set(e));
    char context[ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    char text[ERR_MSG_MAX * 2 + 4];
    (void)snprintf(text, sizeof text, "%s: %s", context, e->msg);
    copy_cut(e->msg, sizeof e->msg, text);
    return false;
}

static enum err_class class_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case ENOMEM:
        return ERR_RETRY;
    default:
        return ERR_INVALID;
    }
}

bool err_set_errno(struct err *e, int errnum, const char *fmt, ...)
{
    assert(!err_is_set(e));
    char detail[128];
    const char *text = strerror_r(errnum, detail, sizeof detail);
    char context[ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    return err_set(e, class_of_errno(errnum), "SystemError", "%s: %s", context, text);
}

const char *err_class_name(enum err_class cls)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_RETRY] = "retry",
        [ERR_THROTTLED] = "throttled",
        [ERR_DENIED] = "denied",
        [ERR_CREDENTIALS] = "credentials",
        [ERR_QUOTA] = "quota",
        [ERR_NOT_FOUND] = "not_found",
        [ERR_CONFLICT] = "conflict",
        [ERR_INVALID] = "invalid",
        [ERR_GONE] = "gone",
        [ERR_CANCELLED] = "cancelled",
        [ERR_BUG] = "bug",
    };
    return (size_t)cls < ARRAY_SIZE(names) ? names[cls] : "unknown";
}
