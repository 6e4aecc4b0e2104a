// SPDX-License-Identifier: Apache-2.0
/*
 * Whole small files.
 */
#include "base/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

bool file_read(const char *path, struct buf *out, struct err *e)
{
    int fd BERTH_CLEANUP(close_fd) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, errno, "cannot open %s", path);
    char part[16384];
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(e, errno, "cannot read %s", path);
        if (n == 0)
            return true;
        buf_append_bytes(out, part, (size_t)n);
        if (!buf_ok(out))
            return err_set(e, ERR_INVALID, "TooLarge", "%s is larger than %zu bytes", path,
                           out->max);
    }
}

static bool write_fd(int fd, struct str s)
{
    while (s.len != 0) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        s = str_from_offset(s, (size_t)n);
    }
    return true;
}

bool file_write(const char *path, struct str content, struct err *e)
{
    struct buf tmp BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    buf_printf(&tmp, "%s.XXXXXX", path);
    if (!buf_ok(&tmp) || tmp.ptr == NULL)
        return err_set(e, ERR_INVALID, "TooLong", "the path %s is too long", path);
    int fd BERTH_CLEANUP(close_fd) = mkostemp(tmp.ptr, O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, errno, "cannot create %s", buf_cstr(&tmp));
    if (!write_fd(fd, content) || fsync(fd) != 0 || rename(tmp.ptr, path) != 0) {
        int errnum = errno;
        (void)unlink(tmp.ptr);
        return err_set_errno(e, errnum, "cannot write %s", path);
    }
    return true;
}
