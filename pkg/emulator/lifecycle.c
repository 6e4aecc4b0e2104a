// SPDX-License-Identifier: Apache-2.0
/*
 * Lifecycle policies: the rules of ECR's user guide ("Lifecycle policy parameters"), each with the
 * text that ECR answers. First the form of each rule on its own, then the rules among rules.
 */
#include "base/arena.h"
#include "base/map.h"
#include "json/json.h"
#include "policy_priv.h"
#include "store_impl_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 1024, STARS_MAX = 4, TRANSITIONED_DAYS_MIN = 90 };

struct check {
    const char *member; /* of the request, for the message */
    struct emu_error *x;
};

struct rule {
    int64_t priority;
    bool is_archive; /* storageClass */
    enum { TAGGED, UNTAGGED, ANY } tag_status;
    const char *tag_set; /* the list, sorted, as one text; NULL where none */
};

static bool fail(struct check *c, const char *why)
{
    char text[WHY_MAX + 64];

    snprintf(text, sizeof(text), "Lifecycle policy validation failure: %s", why);
    return emu_fail_parameter(c->x, c->member, text);
}

/* fmt has one %.*s, for a name of the document (cut). */
static bool fail_name(struct check *c, const char *before, struct str name, const char *after)
{
    char why[WHY_MAX];

    snprintf(why, sizeof(why), "%s%.*s%s", before, STR_ARG(str_cut_utf8(name, 100)), after);
    return fail(c, why);
}

static bool only_members(struct check *c, const struct json *v, const char *const *known, size_t n)
{
    for (const struct json *it = json_first(v); it; it = json_next(it)) {
        bool is_found = false;

        for (size_t i = 0; i < n; i++)
            is_found = is_found || str_eq_cstr(json_key(it), known[i]);
        if (!is_found)
            return fail_name(c,
                             "object instance has properties which are not allowed by the schema: "
                             "([\"",
                             json_key(it), "\"])");
    }
    return true;
}

static bool has_members(struct check *c, const struct json *v, const char *const *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (json_get(v, wanted[i]) == NULL)
            return fail_name(c, "object has missing required properties ([\"", str_from(wanted[i]),
                             "\"])");
    return true;
}

static bool in_enum(struct check *c, const struct json *v, const char *const *values, size_t n)
{
    struct str s = json_str_or_null(v);
    struct buf why BERTH_CLEANUP(buf_fini) = BUF_INIT(WHY_MAX / 2);

    for (size_t i = 0; i < n; i++)
        if (str_eq_cstr(s, values[i]))
            return true;
    buf_append_cstr(&why, "\") not found in enum (possible values: [");
    for (size_t i = 0; i < n; i++)
        buf_printf(&why, "%s\"%s\"", i > 0 ? "," : "", values[i]);
    buf_append_cstr(&why, "])");
    return fail_name(c, "instance value (\"", s, buf_cstr(&why));
}

static bool at_least(struct check *c, const struct json *v, int64_t min, int64_t *ret)
{
    char why[WHY_MAX];

    if (!json_i64(v, ret))
        return fail(c, "instance type does not match any allowed primitive type (allowed: "
                       "[\"integer\"])");
    if (*ret >= min)
        return true;
    snprintf(why, sizeof(why),
             "numeric instance is lower than the required minimum (minimum: %lld, found: %lld)",
             (long long)min, (long long)*ret);
    return fail(c, why);
}

static bool one_schema(struct check *c, bool is_ok)
{
    return is_ok || fail(c, "instance failed to match exactly one schema (matched 0 out of 2)");
}

static bool is_text(const struct json *v, const char *text)
{
    return str_eq_cstr(json_str_or_null(v), text);
}

static int compare_texts(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The list as a sorted text, to be compared with those of other rules. */
static const char *tag_set(const struct json *list, const char *kind, struct arena *arena)
{
    size_t n = 0;
    struct str *texts = arena_new_array(arena, struct str, json_count(list));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4 * EMU_LIFECYCLE_MAX);

    for (const struct json *it = json_first(list); it; it = json_next(it))
        texts[n++] = json_str_or_null(it);
    qsort(texts, n, sizeof(*texts), compare_texts);
    buf_append_cstr(&out, kind);
    for (size_t i = 0; i < n; i++) {
        buf_append_char(&out, '\n');
        buf_append(&out, texts[i]);
    }
    return arena_cstr(arena, buf_str(&out));
}

static bool check_tag_list(struct check *c, const struct json *list, bool is_pattern)
{
    if (!json_is_array(list) || json_first(list) == NULL)
        return one_schema(c, false);
    for (const struct json *it = json_first(list); it; it = json_next(it)) {
        struct str s = json_str_or_null(it);
        int stars = 0;

        if (!json_is_string(it) || s.len == 0)
            return one_schema(c, false);
        for (size_t i = 0; i < s.len; i++)
            stars += s.ptr[i] == '*';
        if (is_pattern && stars > STARS_MAX)
            return fail(c, "a tag pattern has more than 4 wildcards");
    }
    return true;
}

static bool check_tags(struct check *c, const struct json *selection, struct rule *ret,
                       struct arena *arena)
{
    static const char *const statuses[] = {"tagged", "untagged", "any"};
    const struct json *status = json_get(selection, "tagStatus");
    const struct json *prefixes = json_get(selection, "tagPrefixList");
    const struct json *patterns = json_get(selection, "tagPatternList");
    const struct json *list = prefixes ? prefixes : patterns;

    if (!in_enum(c, status, statuses, ARRAY_SIZE(statuses)))
        return false;
    ret->tag_status = is_text(status, "tagged") ? TAGGED : is_text(status, "any") ? ANY : UNTAGGED;
    if (ret->tag_status != TAGGED)
        return one_schema(c, prefixes == NULL && patterns == NULL);
    if (!one_schema(c, (prefixes != NULL) != (patterns != NULL)) ||
        !check_tag_list(c, list, patterns != NULL))
        return false;
    ret->tag_set = tag_set(list, prefixes ? "prefix" : "pattern", arena);
    return true;
}

static bool check_count(struct check *c, const struct json *selection, const struct json *action,
                        bool is_archive)
{
    static const char *const types[] = {"imageCountMoreThan", "sinceImagePushed",
                                        "sinceImagePulled", "sinceImageTransitioned"};
    static const char *const units[] = {"days"};
    const struct json *type = json_get(selection, "countType");
    const struct json *unit = json_get(selection, "countUnit");
    bool is_transition = is_text(json_get(action, "type"), "transition");
    bool is_transitioned = is_text(type, "sinceImageTransitioned");
    int64_t count = 0;

    if (!in_enum(c, type, types, ARRAY_SIZE(types)) ||
        !at_least(c, json_get(selection, "countNumber"),
                  is_transitioned ? TRANSITIONED_DAYS_MIN : 1, &count))
        return false;
    if (is_text(type, "imageCountMoreThan")) {
        if (!one_schema(c, unit == NULL))
            return false;
    } else if (!one_schema(c, unit != NULL) || !in_enum(c, unit, units, ARRAY_SIZE(units))) {
        return false;
    }
    if (is_text(type, "sinceImagePulled") && !is_transition)
        return fail(c, "countType sinceImagePulled is only allowed with the action transition");
    if (is_transitioned && (is_transition || !is_archive))
        return fail(c, "countType sinceImageTransitioned is only allowed with the action expire "
                       "and storageClass archive");
    if (!is_transitioned && is_archive)
        return fail(c, "storageClass archive is only allowed with countType "
                       "sinceImageTransitioned");
    return true;
}

static bool check_action(struct check *c, const struct json *action)
{
    static const char *const members[] = {"type", "targetStorageClass"};
    static const char *const types[] = {"expire", "transition"};
    static const char *const targets[] = {"archive"};
    const struct json *target = json_get(action, "targetStorageClass");

    if (!json_is_object(action))
        return one_schema(c, false);
    if (!only_members(c, action, members, ARRAY_SIZE(members)) ||
        !has_members(c, action, members, 1) ||
        !in_enum(c, json_get(action, "type"), types, ARRAY_SIZE(types)))
        return false;
    if (is_text(json_get(action, "type"), "expire"))
        return one_schema(c, target == NULL);
    return one_schema(c, target != NULL) && in_enum(c, target, targets, ARRAY_SIZE(targets));
}

static bool check_selection(struct check *c, const struct json *selection,
                            const struct json *action, struct rule *ret, struct arena *arena)
{
    static const char *const required[] = {"tagStatus", "countType", "countNumber"};
    static const char *const members[] = {"tagStatus",   "countType",     "countNumber",
                                          "countUnit",   "tagPrefixList", "tagPatternList",
                                          "storageClass"};
    static const char *const classes[] = {"standard", "archive"};
    const struct json *class = json_get(selection, "storageClass");

    if (!json_is_object(selection))
        return one_schema(c, false);
    if (!only_members(c, selection, members, ARRAY_SIZE(members)) ||
        !has_members(c, selection, required, ARRAY_SIZE(required)) ||
        (class && !in_enum(c, class, classes, ARRAY_SIZE(classes))))
        return false;
    ret->is_archive = is_text(class, "archive");
    return check_tags(c, selection, ret, arena) &&
           check_count(c, selection, action, ret->is_archive);
}

static bool check_rule(struct check *c, const struct json *rule, struct rule *ret,
                       struct arena *arena)
{
    static const char *const members[] = {"rulePriority", "selection", "action", "description"};
    const struct json *description = json_get(rule, "description");

    if (!json_is_object(rule))
        return one_schema(c, false);
    if (!only_members(c, rule, members, ARRAY_SIZE(members)) || !has_members(c, rule, members, 3) ||
        !at_least(c, json_get(rule, "rulePriority"), 1, &ret->priority))
        return false;
    if (description && !json_is_string(description))
        return one_schema(c, false);
    return check_action(c, json_get(rule, "action")) &&
           check_selection(c, json_get(rule, "selection"), json_get(rule, "action"), ret, arena);
}

/* A pair of rules. Classes of storage do not disturb one another. */
static bool check_pair(struct check *c, const struct rule *a, const struct rule *b)
{
    if (a->priority == b->priority)
        return fail(c, "rulePriority must be unique");
    if (a->is_archive != b->is_archive)
        return true;
    if (a->tag_status == ANY && b->tag_status == ANY)
        return fail(c, "only one rule may select tagStatus any");
    if (a->tag_status == UNTAGGED && b->tag_status == UNTAGGED)
        return fail(c, "only one rule may select tagStatus untagged");
    if ((a->tag_status == ANY && a->priority < b->priority) ||
        (b->tag_status == ANY && b->priority < a->priority))
        return fail(c, "a rule with tagStatus any must have the highest rulePriority");
    if (a->tag_set && b->tag_set && strcmp(a->tag_set, b->tag_set) == 0)
        return fail(c, "tag lists must be unique among the rules");
    return true;
}

static bool check_rules(struct check *c, const struct json *rules)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    size_t n = 0;
    struct rule *all = NULL;

    if (!json_is_array(rules) || json_first(rules) == NULL)
        return one_schema(c, false);
    if (json_count(rules) > EMU_LIFECYCLE_RULES_MAX)
        return fail(c, "a policy has at most 50 rules");
    all = arena_new_array(&arena, struct rule, json_count(rules));
    for (const struct json *it = json_first(rules); it; it = json_next(it)) {
        if (!check_rule(c, it, &all[n], &arena))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!check_pair(c, &all[i], &all[n]))
                return false;
        n++;
    }
    return true;
}

bool emu_lifecycle_check(struct str text, const char *member, struct emu_error *x)
{
    static const char *const members[] = {"rules"};
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    struct check c = {member, x};
    const struct json *root = NULL;

    if (!json_parse(text, 4 * EMU_LIFECYCLE_MAX, &doc, &e) || !json_is_object(json_root(doc)))
        return fail(&c, "Could not map policyString into LifecyclePolicy.");
    root = json_root(doc);
    return only_members(&c, root, members, 1) && has_members(&c, root, members, 1) &&
           check_rules(&c, json_get(root, "rules"));
}
