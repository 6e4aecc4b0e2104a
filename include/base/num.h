// SPDX-License-Identifier: Apache-2.0
/*
 * Numbers and durations from text. Strict: the whole text must be the number, no white space, no
 * sign where none is allowed, no overflow. All functions are pure; on failure *ret is 0.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

bool num_parse_i64(struct str s, int64_t *ret) BERTH_NODISCARD;
bool num_parse_u64(struct str s, uint64_t *ret) BERTH_NODISCARD;
bool num_parse_hex_u64(struct str s, uint64_t *ret) BERTH_NODISCARD;
/* "300ms", "5s", "1h30m": a sequence of digits and unit (ms, s, m, h), as our API and Go's
 * time.ParseDuration have it, without fractions and signs. */
bool num_parse_duration_ms(struct str s, int64_t *ret_ms) BERTH_NODISCARD;
