// SPDX-License-Identifier: Apache-2.0
/*
 * Checking a request against the tables generated from AWS's model: types, required members,
 * lengths, counts, bounds, enum values and patterns. Members that the model does not have are
 * ignored, as AWS does. Pure.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"
#include "model_gen.h"
#include "store_priv.h"

#include <stdbool.h>

struct json;

/* False: InvalidParameterException in AWS's words for the first member that breaks a constraint,
 * SerializationException where a member has another type. */
bool emu_validate(const struct emu_shape *shape, const struct json *in,
                  struct emu_error *x) BERTH_NODISCARD;

enum emu_match { EMU_NO_MATCH, EMU_MATCH, EMU_PATTERN_UNKNOWN };
enum emu_match emu_pattern_match(const char *pattern, struct str s);

/* Twelve digits? */
bool emu_is_account(struct str s);

/* NULL where the emulator does not serve it. */
const struct emu_operation_model *emu_operation_model(struct str name);
