// SPDX-License-Identifier: Apache-2.0
/*
 * Do two lifecycle policies mean the same? Rules are matched by rulePriority, since ECR evaluates
 * by it and not by their order; entries of a tag list are all required of an image, so that their
 * order means nothing ("all of the tags must be present on the image"); storageClass is "standard"
 * where it is absent; a description does nothing, and an absent one is as good as an empty one.
 */
#include "base/str.h"
#include "ecr/policy.h"
#include "json/json.h"
#include "policy_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool equal_tag_lists(const struct json *a, const struct json *b)
{
    return policy_equal_sets(a, b, policy_equal_text);
}

static bool equal_storage(const struct json *a, const struct json *b)
{
    if (!json_is_string(a) || (b != NULL && !json_is_string(b)))
        return json_equal(a, b);
    return str_eq(json_str_or_null(a), b != NULL ? json_str_or_null(b) : STR("standard"));
}

static bool equal_selections(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {
        {"tagPatternList", equal_tag_lists},
        {"tagPrefixList", equal_tag_lists},
        {"storageClass", equal_storage},
        {NULL, NULL},
    };
    return policy_equal_members(a, b, members);
}

static bool equal_rules(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {
        {"description", policy_equal_text},
        {"selection", equal_selections},
        {NULL, NULL},
    };
    return policy_equal_members(a, b, members);
}

/* The rule with this priority, NULL where there is none or more than one. */
static const struct json *find_rule(const struct json *list, int64_t priority)
{
    const struct json *found = NULL;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        int64_t n = 0;
        if (!json_i64(json_get(v, "rulePriority"), &n) || n != priority)
            continue;
        if (found != NULL)
            return NULL;
        found = v;
    }
    return found;
}

static bool equal_rule_lists(const struct json *a, const struct json *b)
{
    /* longer lists are no policy that ECR takes, and comparing them would be slow */
    if (!json_is_array(a) || !json_is_array(b) || json_count(a) != json_count(b) ||
        json_count(a) > ECR_LIFECYCLE_RULES_MAX)
        return json_equal(a, b);
    for (const struct json *v = json_first(a); v != NULL; v = json_next(v)) {
        int64_t priority = 0;
        if (!json_i64(json_get(v, "rulePriority"), &priority))
            return json_equal(a, b);
        const struct json *other = find_rule(b, priority);
        if (other == NULL || !equal_rules(v, other))
            return find_rule(a, priority) == NULL && json_equal(a, b);
    }
    return true;
}

static bool equal_policies(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {{"rules", equal_rule_lists}, {NULL, NULL}};
    return policy_equal_members(a, b, members);
}

bool ecr_lifecycle_equal(struct str a, struct str b)
{
    return policy_equal_documents(a, b, ECR_LIFECYCLE_MAX, equal_policies);
}
