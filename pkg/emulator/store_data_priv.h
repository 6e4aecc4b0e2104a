// SPDX-License-Identifier: Apache-2.0
/*
 * What store_apply.c needs of store_data.c: a record for the journal.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "change_priv.h"

#include <stdbool.h>
#include <stddef.h>

/* Writes the changes as one record. */
bool emu_store_record_locked(struct emu_store *s, const struct emu_change *changes, size_t n,
                             struct err *e) BERTH_NODISCARD;
