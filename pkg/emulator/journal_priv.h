// SPDX-License-Identifier: Apache-2.0
/*
 * The journal: one file of records that is only appended to, and a directory that is one process's.
 * It knows nothing of what a record means.
 *
 * A record is a line "SUM LENGTH DURABLE TEXT\n": LENGTH of TEXT and DURABLE in hex, SUM the first
 * 64 bits of the SHA-256 of what follows it. DURABLE is the size of the file that was known to be
 * on disk when the record was written. It tells the two ways apart in which a record can be bad: a
 * crash tears what was not yet durable, and that is cut off at the next start; damage to what a
 * later record says was durable is refused, with file and offset. (A bad record with nothing good
 * behind it is taken for torn.)
 *
 * The file begins as a snapshot, written beside it and renamed, so that it is never half there.
 *
 * Thread rule: journal_append() and journal_compact() by one thread at a time (the store's lock);
 * journal_sync() by any number, who share one fsync.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { JOURNAL_FORMAT = 1, JOURNAL_FRAME_BYTES = 16 + 1 + 8 + 1 + 16 + 1 };

struct journal;
struct journal_rewrite;

struct journal_reader {
    /* The next record. False and *e: it makes no sense (the journal adds file and offset). */
    bool (*record)(void *arg, struct str text, struct err *e);
    /* All were read. False and *e: something is missing. */
    bool (*complete)(void *arg, struct err *e);
    /* Puts the whole state into a snapshot by journal_put(). */
    void (*snapshot)(void *arg, struct journal_rewrite *w);
    void *arg;
};

/* Makes the directory if it is absent, and takes its lock: a file descriptor to be closed, or -1
 * and *e (ERR_CONFLICT: another process has it; the message names it). */
int journal_lock(const char *dir, struct err *e) BERTH_NODISCARD;

/* Reads dir/journal through reader, cuts a torn end off, and is ready to append; where there is
 * none, begins one from reader->snapshot(). The reader outlives the journal. */
bool journal_open(const char *dir, const struct journal_reader *reader, struct journal **ret,
                  struct err *e) BERTH_NODISCARD;
struct journal *journal_free(struct journal *j);

/* Writes a record (one line of text). False and *e: not written, and the file is as before. */
bool journal_append(struct journal *j, struct str text, struct err *e) BERTH_NODISCARD;
/* Where the file has grown so much that it pays, writes a snapshot and takes its file in place of
 * the old one; durable on return. Where that fails the old file goes on, for a while. */
void journal_compact(struct journal *j);
void journal_put(struct journal_rewrite *w, struct str text);

/* Waits until all that was appended before the call is on disk. False: that failed once, and
 * nobody knows what is there; it fails for ever. */
bool journal_sync(struct journal *j, struct err *e) BERTH_NODISCARD;
