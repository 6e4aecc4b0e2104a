// SPDX-License-Identifier: Apache-2.0
/*
 * Policy documents, one or two of them with a line "---" between: validating ends with yes or a
 * reason, and comparing is reflexive and symmetric.
 */
#include "ecr/policy.h"
#include "fuzz.h"

static void validate(struct str text, bool *ret_is_policy, bool *ret_is_lifecycle)
{
    struct err e = ERR_INIT;
    *ret_is_policy = ecr_policy_validate(text, &e);
    if (!*ret_is_policy)
        FUZZ_MUST(e.cls == ERR_INVALID && e.msg[0] != '\0');
    err_clear(&e);
    *ret_is_lifecycle = ecr_lifecycle_validate(text, true, &e);
    if (!*ret_is_lifecycle)
        FUZZ_MUST(e.cls == ERR_INVALID && e.msg[0] != '\0');
    err_clear(&e);
    if (ecr_lifecycle_validate(text, false, &e))
        FUZZ_MUST(*ret_is_lifecycle);
    FUZZ_MUST(ecr_policy_equal(text, text));
    FUZZ_MUST(ecr_lifecycle_equal(text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char cut[] = "\n---\n";
    struct str a = fuzz_text(data, size), b = a;
    for (size_t i = 0; i + sizeof(cut) - 1 <= size; i++) {
        if (memcmp(data + i, cut, sizeof(cut) - 1) != 0)
            continue;
        a = fuzz_text(data, i);
        b = fuzz_text(data + i + sizeof(cut) - 1, size - i - (sizeof(cut) - 1));
        break;
    }
    bool a_is_policy, b_is_policy, a_is_lifecycle, b_is_lifecycle;
    validate(a, &a_is_policy, &a_is_lifecycle);
    validate(b, &b_is_policy, &b_is_lifecycle);
    bool is_same_policy = ecr_policy_equal(a, b);
    bool is_same_lifecycle = ecr_lifecycle_equal(a, b);
    FUZZ_MUST(ecr_policy_equal(b, a) == is_same_policy);
    FUZZ_MUST(ecr_lifecycle_equal(b, a) == is_same_lifecycle);
    return 0;
}
