// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting JSON text without reading it: which bytes are the value of a member, which are the
 * elements of an array. This is how a list is taken apart into objects before any of them is
 * parsed, and how the identity of an object that the JSON reader refuses is still found. It checks
 * no more than it must to find the ends of values. Pure, linear, no recursion, text may be cut off
 * anywhere. Any thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* For each of count keys the text of that member of the object `text`; absent where there is none
 * or where the text ends before its value does. The first of duplicates counts; keys that are
 * written with escapes are not recognised (the API server writes none). False: no object. */
bool kube_slice_members(struct str text, const char *const *keys, size_t count,
                        struct str *ret) BERTH_NODISCARD;

/* Elements of an array: *at starts at 0; false at the end or where the text is no array. */
bool kube_slice_next_element(struct str array, size_t *at, struct str *ret) BERTH_NODISCARD;

/* What is between the quotes of a JSON string without escapes; absent for anything else. */
struct str kube_slice_plain_string(struct str value);
