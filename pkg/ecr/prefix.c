// SPDX-License-Identifier: Apache-2.0
/*
 * Which template covers a repository. AWS's words ("repository creation templates", ECR user
 * guide): "There is always an assumed `/` applied to the end of the prefix", the longest prefix
 * wins, and ROOT is for all repositories "that don't have an associated creation template".
 */
#include "ecr/prefix.h"

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static const struct {
    uint32_t bit;
    const char *word;
} applied_for_words[] = {
    {ECR_FOR_CREATE_ON_PUSH, "CREATE_ON_PUSH"},
    {ECR_FOR_PULL_THROUGH_CACHE, "PULL_THROUGH_CACHE"},
    {ECR_FOR_REPLICATION, "REPLICATION"},
};

uint32_t ecr_applied_for_parse(struct str word)
{
    for (size_t i = 0; i < ARRAY_SIZE(applied_for_words); i++)
        if (str_eq_cstr(word, applied_for_words[i].word))
            return applied_for_words[i].bit;
    return 0;
}

const char *ecr_applied_for_word(uint32_t bit)
{
    for (size_t i = 0; i < ARRAY_SIZE(applied_for_words); i++)
        if (bit == applied_for_words[i].bit)
            return applied_for_words[i].word;
    return NULL;
}

struct str ecr_prefix_normalise(struct str prefix)
{
    if (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    return prefix;
}

bool ecr_prefix_is_root(struct str prefix)
{
    return str_eq(prefix, STR(ECR_PREFIX_ROOT));
}

bool ecr_prefix_equal(struct str a, struct str b)
{
    return str_eq(ecr_prefix_normalise(a), ecr_prefix_normalise(b));
}

bool ecr_prefix_covers(struct str prefix, struct str repository)
{
    if (ecr_prefix_is_root(prefix))
        return repository.len > 0;
    struct str p = ecr_prefix_normalise(prefix);
    /* something must follow the slash: "prod" is not covered by "prod" */
    return p.len > 0 && repository.len > p.len + 1 && repository.ptr[p.len] == '/' &&
           str_starts_with(repository, p);
}

ptrdiff_t ecr_prefix_choose(const struct ecr_candidate *candidates, size_t count,
                            struct str repository, uint32_t wanted, enum ecr_choice how)
{
    ptrdiff_t best = -1;
    size_t best_rank = 0; /* 1 for ROOT, else more than the length: no rank is 0 */
    for (size_t i = 0; i < count; i++) {
        const struct ecr_candidate *c = &candidates[i];
        bool has_wanted = (c->applied_for & wanted) == wanted;
        if ((!has_wanted && how == ECR_CHOOSE_FILTERED_LONGEST) ||
            !ecr_prefix_covers(c->prefix, repository))
            continue;
        size_t rank = ecr_prefix_is_root(c->prefix) ? 1 : 1 + ecr_prefix_normalise(c->prefix).len;
        if (rank > best_rank || (rank == best_rank && best < 0)) {
            best_rank = rank;
            best = has_wanted ? (ptrdiff_t)i : -1;
        }
    }
    return best;
}
