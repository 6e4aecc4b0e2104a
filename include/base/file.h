// SPDX-License-Identifier: Apache-2.0
/*
 * Reading and writing whole small files. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>

/* Appends the file to out, whose maximum is the limit. ERR_NOT_FOUND where it does not exist,
 * ERR_DENIED without permission, ERR_INVALID where it is too big. */
bool file_read(const char *path, struct buf *out, struct err *e) BERTH_NODISCARD;
/* Writes to a temporary name beside path and renames it, so that a reader sees all or nothing. */
bool file_write(const char *path, struct str content, struct err *e) BERTH_NODISCARD;
