// SPDX-License-Identifier: Apache-2.0
/*
 * What the two files of the journal share: frames, and writing all of something.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct journal_frame {
    struct str text;
    uint64_t durable;
    uint64_t end; /* offset of what follows it */
};
/* Appends the frame of text. */
void journal_frame_print(struct buf *out, struct str text, uint64_t durable);
/* The frame at offset `at`; false where there is no whole and valid one. */
bool journal_frame_read(struct str file, uint64_t at, struct journal_frame *ret) BERTH_NODISCARD;
/*
 * Calls fn for the text of each frame. *ret_end is where the good ones end. False and *e (with
 * path and offset): fn failed, or the file is damaged before its end.
 */
bool journal_frames_each(struct str file, const char *path,
                         bool (*fn)(void *arg, struct str text, struct err *e), void *arg,
                         uint64_t *ret_end, struct err *e) BERTH_NODISCARD;
/* pwrite() of all; false and errno. */
bool journal_write_at(int fd, struct str bytes, uint64_t offset) BERTH_NODISCARD;
