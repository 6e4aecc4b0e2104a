// SPDX-License-Identifier: Apache-2.0
/*
 * The request log: what the emulator was asked, for tests and people, as GET /_emulator/requests
 * shows it. A ring of EMU_LOG_ENTRIES_MAX entries and EMU_LOG_BYTES_MAX bytes, the oldest going
 * first; bodies over EMU_LOG_BODY_MAX are left out. Secrets, signatures and tokens never come in:
 * only the fields of struct emu_log_fields, status, User-Agent and time do. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"

#include <stdint.h>

struct emu_request;
struct emu_request_log;

struct emu_request_log *emu_request_log_new(void) BERTH_NODISCARD;
struct emu_request_log *emu_request_log_free(struct emu_request_log *l);
/* Copies what is to be kept. */
void emu_request_log_add(struct emu_request_log *l, const struct emu_request *r);
/* Forgets all entries; the sequence numbers go on. */
void emu_request_log_clear(struct emu_request_log *l);
/* Appends the entries with seq > after as a JSON array, oldest first:
 * {seq, time, api, operation, body, status, fault, error, userAgent, accessKeyId, requestId},
 * absent members left out, status 0 for a request whose connection broke; fault is the id of the
 * rule that it fell under. */
void emu_request_log_print(struct emu_request_log *l, uint64_t after, struct buf *out);
