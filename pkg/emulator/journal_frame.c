// SPDX-License-Identifier: Apache-2.0
/*
 * Frames of the journal: how a record is told from noise, and torn from damaged.
 */
#include "base/num.h"
#include "crypto/crypto.h"
#include "journal_impl_priv.h"
#include "journal_priv.h"
#include "limits_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUM_HEX = 16, LENGTH_HEX = 8, DURABLE_HEX = 16 };

/* bytes: length, durable and text, with the blanks between them. */
static void sum_of(struct str bytes, char ret[static SUM_HEX + 1])
{
    char hex[CRYPTO_SHA256_HEX + 1];

    crypto_sha256_hex(bytes, hex);
    memcpy(ret, hex, SUM_HEX);
    ret[SUM_HEX] = '\0';
}

void journal_frame_print(struct buf *out, struct str text, uint64_t durable)
{
    size_t start = out->len;
    char sum[SUM_HEX + 1];

    buf_printf(out, "%0*d %08zx %016llx ", SUM_HEX, 0, text.len, (unsigned long long)durable);
    buf_append(out, text);
    if (!buf_ok(out))
        return;
    sum_of(str_from_offset(buf_str(out), start + SUM_HEX + 1), sum);
    memcpy(out->ptr + start, sum, SUM_HEX);
    buf_append_char(out, '\n');
}

bool journal_frame_read(struct str file, uint64_t at, struct journal_frame *ret)
{
    struct str rest = str_from_offset(file, at);
    uint64_t length = 0;
    char sum[SUM_HEX + 1];

    *ret = (struct journal_frame){.end = at};
    if (rest.len <= JOURNAL_FRAME_BYTES || rest.ptr[SUM_HEX] != ' ' ||
        rest.ptr[SUM_HEX + 1 + LENGTH_HEX] != ' ' || rest.ptr[JOURNAL_FRAME_BYTES - 1] != ' ')
        return false;
    if (!num_parse_hex_u64(str_n(rest.ptr + SUM_HEX + 1, LENGTH_HEX), &length) ||
        !num_parse_hex_u64(str_n(rest.ptr + SUM_HEX + 1 + LENGTH_HEX + 1, DURABLE_HEX),
                           &ret->durable) ||
        length > EMU_RECORD_MAX || rest.len < JOURNAL_FRAME_BYTES + length + 1 ||
        rest.ptr[JOURNAL_FRAME_BYTES + length] != '\n')
        return false;
    sum_of(str_n(rest.ptr + SUM_HEX + 1, JOURNAL_FRAME_BYTES - SUM_HEX - 1 + length), sum);
    if (memcmp(sum, rest.ptr, SUM_HEX) != 0)
        return false;
    ret->text = str_n(rest.ptr + JOURNAL_FRAME_BYTES, length);
    ret->end = at + JOURNAL_FRAME_BYTES + length + 1;
    return true;
}

/* Does a good record behind the bad one at `at` say that the bad one was on disk? Looks at each
 * offset: lengths and line breaks may be what is damaged. */
static bool was_durable(struct str file, uint64_t at)
{
    for (uint64_t next = at + 1; next < file.len; next++) {
        struct journal_frame frame;

        if (journal_frame_read(file, next, &frame) && frame.durable > at)
            return true;
    }
    return false;
}

bool journal_frames_each(struct str file, const char *path,
                         bool (*fn)(void *arg, struct str text, struct err *e), void *arg,
                         uint64_t *ret_end, struct err *e)
{
    uint64_t at = 0;

    *ret_end = 0;
    while (at < file.len) {
        struct journal_frame frame;

        if (!journal_frame_read(file, at, &frame)) {
            if (at > 0 && !was_durable(file, at))
                break;
            return err_set(e, ERR_INVALID, "JournalDamaged",
                           "%s is damaged at offset %llu: put it back from a copy, or start with "
                           "an empty directory",
                           path, (unsigned long long)at);
        }
        if (!fn(arg, frame.text, e))
            return err_wrap(e, "%s, offset %llu", path, (unsigned long long)at);
        at = frame.end;
    }
    *ret_end = at;
    return true;
}

bool journal_write_at(int fd, struct str bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : EIO;
            return false;
        }
        bytes = str_from_offset(bytes, (size_t)n);
        offset += (uint64_t)n;
    }
    return true;
}
