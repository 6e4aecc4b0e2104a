// SPDX-License-Identifier: Apache-2.0
/*
 * The two kinds of documents that ECR checks when it takes them: repository policies (IAM) and
 * lifecycle policies. Pure; errors are in AWS's words.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "store_priv.h"

#include <stdbool.h>

/* Checks the IAM grammar and appends the document to out as ECR gives it back: pretty, members of
 * statements in the order Sid, Effect, Principal, Action, Resource, Condition. */
bool emu_policy_normalise(struct str text, const char *member, struct buf *out,
                          struct emu_error *x) BERTH_NODISCARD;

/* Checks all documented rules. */
bool emu_lifecycle_check(struct str text, const char *member, struct emu_error *x) BERTH_NODISCARD;
