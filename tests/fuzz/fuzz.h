// SPDX-License-Identifier: Apache-2.0
/*
 * What all fuzzers share: the entry point's declaration, and FUZZ_MUST(), which reports a property
 * that does not hold as a crash. Only for fuzzers; they link one package and print nothing.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MUST(x)                                                                               \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline struct str fuzz_text(const uint8_t *data, size_t size)
{
    return str_n((const char *)data, size);
}
