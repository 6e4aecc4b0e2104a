// SPDX-License-Identifier: Apache-2.0
/*
 * Names: the input is lines, the last of which is a repository and the others prefixes. What
 * covers is what the documentation says (by whole segments), and the template that is chosen is
 * one of those that cover, and none of them is longer.
 */
#include "ecr/prefix.h"
#include "fuzz.h"

enum { PREFIXES_MAX = 16 };

static void check_names(struct str s)
{
    struct err e = ERR_INIT;
    struct ecr_host host;
    if (ecr_prefix_validate(s, &e)) {
        FUZZ_MUST(ecr_prefix_matches(s) && s.len <= ECR_PREFIX_MAX);
        struct str bare = ecr_prefix_normalise(s);
        FUZZ_MUST(str_eq(ecr_prefix_normalise(bare), bare));
        FUZZ_MUST(ecr_prefix_equal(s, bare) && ecr_prefix_equal(bare, s));
    }
    err_clear(&e);
    if (ecr_repository_validate(s, &e))
        FUZZ_MUST(ecr_repository_matches(s) && ecr_prefix_matches(s));
    err_clear(&e);
    if (ecr_registry_host_validate(s, &e))
        FUZZ_MUST(ecr_registry_host_matches(s));
    err_clear(&e);
    if (ecr_host_parse(s, &host))
        FUZZ_MUST(host.account_id.len == ECR_ACCOUNT_ID_LEN && host.region.len > 0);
    if (!ecr_filter_validate(s, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    err_clear(&e);
    if (!ecr_tag_key_validate(s, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    err_clear(&e);
    if (!ecr_role_arn_validate(s, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
    err_clear(&e);
    if (!ecr_kms_key_validate(s, &e))
        FUZZ_MUST(e.cls == ERR_INVALID);
}

/* What "covers" means, said again, for prefixes that are valid. */
static bool covers(struct str prefix, struct str repository)
{
    prefix = ecr_prefix_normalise(prefix);
    return ecr_prefix_is_root(prefix) ||
           (repository.len > prefix.len && str_starts_with(repository, prefix) &&
            repository.ptr[prefix.len] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ecr_candidate candidates[PREFIXES_MAX];
    size_t count = 0;
    struct err e = ERR_INIT;
    struct str rest = fuzz_text(data, size), line = STR_NULL, repository = STR_NULL;
    while (str_next(&rest, '\n', &line)) {
        check_names(line);
        err_clear(&e);
        if (str_is_empty(rest))
            repository = line;
        else if (count < PREFIXES_MAX && ecr_prefix_validate(line, &e))
            candidates[count++] = (struct ecr_candidate){line, (uint32_t)line.len & 7};
    }
    err_clear(&e);
    if (!ecr_repository_validate(repository, &e))
        return 0;
    for (size_t i = 0; i < count; i++)
        FUZZ_MUST(ecr_prefix_covers(candidates[i].prefix, repository) ==
                  covers(candidates[i].prefix, repository));
    ptrdiff_t chosen = ecr_prefix_choose(candidates, count, repository, ECR_FOR_CREATE_ON_PUSH,
                                         ECR_CHOOSE_FILTERED_LONGEST);
    for (size_t i = 0; i < count; i++) {
        if (!covers(candidates[i].prefix, repository) ||
            (candidates[i].applied_for & ECR_FOR_CREATE_ON_PUSH) == 0)
            continue;
        FUZZ_MUST(chosen >= 0 && covers(candidates[chosen].prefix, repository));
        struct str best = ecr_prefix_normalise(candidates[chosen].prefix);
        FUZZ_MUST(ecr_prefix_is_root(candidates[i].prefix) ||
                  (!ecr_prefix_is_root(best) &&
                   best.len >= ecr_prefix_normalise(candidates[i].prefix).len));
    }
    return 0;
}
