// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of lifecycle policies: "Lifecycle policy properties in Amazon ECR" of the ECR user
 * guide. First each rule by itself, then what holds between rules.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "ecr/policy.h"
#include "json/json.h"
#include "policy_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum tag_status { TAGGED, UNTAGGED, ANY };
enum count_type { COUNT_MORE_THAN, SINCE_PUSHED, SINCE_PULLED, SINCE_TRANSITIONED };
enum storage { STANDARD, ARCHIVE };
enum action { EXPIRE, TRANSITION };
/* sinceImageTransitioned: archived images are billed for at least 90 days */
enum { TRANSITIONED_MIN_DAYS = 90 };

static const char *const tag_statuses[] = {"tagged", "untagged", "any", NULL};
static const char *const count_types[] = {"imageCountMoreThan", "sinceImagePushed",
                                          "sinceImagePulled", "sinceImageTransitioned", NULL};
static const char *const storages[] = {"standard", "archive", NULL};
static const char *const actions[] = {"expire", "transition", NULL};
static const char *const count_units[] = {"days", NULL};
static const char *const targets[] = {"archive", NULL};

static const char *const document_members[] = {"!rules", NULL};
static const char *const rule_members[] = {"!rulePriority", "description", "!selection", "!action",
                                           NULL};
static const char *const selection_members[] = {
    "!tagStatus", "tagPatternList", "tagPrefixList", "storageClass",
    "!countType", "countUnit",      "!countNumber",  NULL};
static const char *const action_members[] = {"!type", "targetStorageClass", NULL};

struct rule {
    int64_t priority;
    int tag_status; /* enum tag_status; the others likewise */
    int count_type;
    int storage;
    int action;
    int64_t count;
    const struct json *prefixes; /* of tagPrefixList; NULL where absent */
};

/* A positive whole number. */
static bool check_number(const struct json *v, const struct policy_path *p, const char *name,
                         int64_t *ret, struct err *e)
{
    const struct json *number = json_get(v, name);
    if (json_type(number) != JSON_NUMBER || !json_i64(number, ret))
        return policy_refuse(e, p, name, "must be a whole number");
    return *ret >= 1 || policy_refuse(e, p, name, "must be at least 1");
}

static bool check_tag_entry(const struct json *entry, const struct policy_path *p, bool is_pattern,
                            struct err *e)
{
    struct str text = json_str_or_null(entry);
    if (!json_is_string(entry) || text.len == 0)
        return policy_refuse(e, p, NULL, "must be a text that is not empty");
    size_t stars = 0;
    for (size_t i = 0; i < text.len; i++)
        stars += text.ptr[i] == '*';
    if (is_pattern && stars > ECR_LIFECYCLE_WILDCARDS_MAX)
        return policy_refuse(e, p, NULL, "must have at most 4 wildcards '*'");
    return true;
}

static bool check_tag_list(const struct json *selection, const struct policy_path *p,
                           const char *name, struct err *e)
{
    const struct json *list = json_get(selection, name);
    if (!json_is_array(list) || json_count(list) == 0)
        return policy_refuse(e, p, name, "must be a list that is not empty");
    bool is_pattern = str_eq_cstr(str_from(name), "tagPatternList");
    size_t i = 0;
    for (const struct json *x = json_first(list); x != NULL; x = json_next(x)) {
        struct policy_path at = policy_path_index(p, name, i++);
        if (!check_tag_entry(x, &at, is_pattern, e))
            return false;
    }
    return true;
}

static bool check_tags(const struct json *selection, const struct policy_path *p, struct rule *r,
                       struct err *e)
{
    bool has_patterns = json_get(selection, "tagPatternList") != NULL;
    bool has_prefixes = json_get(selection, "tagPrefixList") != NULL;
    if (!policy_check_word(selection, p, "tagStatus", tag_statuses, &r->tag_status, e))
        return false;
    if (r->tag_status != TAGGED) {
        const char *name = has_patterns ? "tagPatternList" : "tagPrefixList";
        return (!has_patterns && !has_prefixes) ||
               policy_refuse(e, p, name, "must be absent unless tagStatus is tagged");
    }
    if (has_patterns == has_prefixes)
        return policy_refuse(e, p, NULL,
                             "must have exactly one of tagPatternList and tagPrefixList, because "
                             "tagStatus is tagged");
    r->prefixes = json_get(selection, "tagPrefixList");
    return check_tag_list(selection, p, has_patterns ? "tagPatternList" : "tagPrefixList", e);
}

static bool check_selection(const struct json *selection, const struct policy_path *p,
                            struct rule *r, struct err *e)
{
    int unit = 0;
    bool has_unit = json_get(selection, "countUnit") != NULL;
    if (!policy_check_members(selection, p, selection_members, e) ||
        !check_tags(selection, p, r, e))
        return false;
    if (json_get(selection, "storageClass") != NULL &&
        !policy_check_word(selection, p, "storageClass", storages, &r->storage, e))
        return false;
    if (!policy_check_word(selection, p, "countType", count_types, &r->count_type, e) ||
        !check_number(selection, p, "countNumber", &r->count, e))
        return false;
    if (r->count_type == COUNT_MORE_THAN)
        return !has_unit || policy_refuse(e, p, "countUnit",
                                          "must be absent where countType is imageCountMoreThan");
    if (!has_unit)
        return policy_refuse(e, p, "countUnit", "must be days, because countType counts days");
    return policy_check_word(selection, p, "countUnit", count_units, &unit, e);
}

static bool check_action(const struct json *action, const struct policy_path *p, struct rule *r,
                         struct err *e)
{
    int target = 0;
    bool has_target = json_get(action, "targetStorageClass") != NULL;
    if (!policy_check_members(action, p, action_members, e) ||
        !policy_check_word(action, p, "type", actions, &r->action, e))
        return false;
    if (r->action == EXPIRE)
        return !has_target || policy_refuse(e, p, "targetStorageClass",
                                            "must be absent unless type is transition");
    if (!has_target)
        return policy_refuse(e, p, "targetStorageClass",
                             "must be archive, because type is transition");
    return policy_check_word(action, p, "targetStorageClass", targets, &target, e);
}

/* What holds between the parts of one rule. */
static bool check_combination(const struct rule *r, const struct policy_path *p, struct err *e)
{
    if (r->count_type == SINCE_PULLED && r->action != TRANSITION)
        return policy_refuse(e, p, "action.type",
                             "must be transition where countType is sinceImagePulled");
    if (r->count_type != SINCE_TRANSITIONED)
        return r->storage == STANDARD ||
               policy_refuse(e, p, "selection.storageClass",
                             "must be standard unless countType is sinceImageTransitioned");
    if (r->storage != ARCHIVE)
        return policy_refuse(e, p, "selection.storageClass",
                             "must be archive where countType is sinceImageTransitioned");
    if (r->action != EXPIRE)
        return policy_refuse(e, p, "action.type",
                             "must be expire where countType is sinceImageTransitioned");
    return r->count >= TRANSITIONED_MIN_DAYS ||
           policy_refuse(e, p, "selection.countNumber",
                         "must be at least 90 where countType is sinceImageTransitioned");
}

static bool check_rule(const struct json *v, const struct policy_path *p, struct rule *r,
                       struct err *e)
{
    if (!policy_check_members(v, p, rule_members, e) ||
        !check_number(v, p, "rulePriority", &r->priority, e))
        return false;
    const struct json *description = json_get(v, "description");
    if (description != NULL && !json_is_string(description))
        return policy_refuse(e, p, "description", "must be a text");
    struct policy_path selection = policy_path_member(p, "selection");
    struct policy_path action = policy_path_member(p, "action");
    return check_selection(json_get(v, "selection"), &selection, r, e) &&
           check_action(json_get(v, "action"), &action, r, e) && check_combination(r, p, e);
}

static bool refuse_pair(struct err *e, size_t i, const char *name, const char *says, size_t other)
{
    return err_set(e, ERR_INVALID, "InvalidPolicy", "rules[%zu].%s %s rules[%zu]", i, name, says,
                   other);
}

/* What holds between two rules, i after j in the document. */
static bool check_pair(const struct rule *rules, size_t i, size_t j, struct err *e)
{
    const struct rule *a = &rules[i];
    const struct rule *b = &rules[j];
    if (a->priority == b->priority)
        return refuse_pair(e, i, "rulePriority", "must differ from that of", j);
    if (a->storage != b->storage)
        return true;
    if (a->tag_status == UNTAGGED && b->tag_status == UNTAGGED)
        return refuse_pair(e, i, "selection.tagStatus",
                           "must not be untagged once more, as already in", j);
    if (a->tag_status == ANY && b->tag_status == ANY)
        return refuse_pair(e, i, "selection.tagStatus", "must not be any once more, as already in",
                           j);
    if (a->tag_status == ANY && a->priority < b->priority)
        return refuse_pair(e, i, "rulePriority",
                           "must be the highest, because tagStatus is any, and so above that of",
                           j);
    if (b->tag_status == ANY && b->priority < a->priority)
        return refuse_pair(e, j, "rulePriority",
                           "must be the highest, because tagStatus is any, and so above that of",
                           i);
    if (a->prefixes != NULL && b->prefixes != NULL &&
        policy_equal_sets(a->prefixes, b->prefixes, policy_equal_text))
        return refuse_pair(e, i, "selection.tagPrefixList",
                           "must not have the same prefixes as that of", j);
    return true;
}

static bool check_rules(const struct json *list, struct err *e)
{
    struct policy_path root = {""};
    struct rule rules[ECR_LIFECYCLE_RULES_MAX] = {0};
    size_t count = 0;
    if (!json_is_array(list) || json_count(list) == 0)
        return policy_refuse(e, &root, "rules", "must be a list that is not empty");
    if (json_count(list) > ECR_LIFECYCLE_RULES_MAX)
        return policy_refuse(e, &root, "rules", "must have at most 50 rules");
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v), count++) {
        struct policy_path at = policy_path_index(&root, "rules", count);
        if (!check_rule(v, &at, &rules[count], e))
            return false;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (!check_pair(rules, i, j, e))
                return false;
    return true;
}

bool ecr_lifecycle_validate(struct str text, bool is_template, struct err *e)
{
    struct policy_path root = {""};
    size_t characters = policy_characters(text);
    if (text.len == 0)
        return policy_refuse(e, &root, NULL, "must not be empty");
    if (characters > ECR_LIFECYCLE_MAX)
        return policy_refuse(e, &root, NULL, "must have at most 30720 characters");
    if (!is_template && characters < ECR_LIFECYCLE_MIN)
        return policy_refuse(e, &root, NULL, "must have at least 100 characters");
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(text, text.len, &doc, e))
        return err_wrap(e, "the document is not JSON");
    return policy_check_members(json_root(doc), &root, document_members, e) &&
           check_rules(json_get(json_root(doc), "rules"), e);
}

bool ecr_lifecycle_validate_template(struct str text, struct err *e)
{
    return ecr_lifecycle_validate(text, true, e);
}
