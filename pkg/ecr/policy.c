// SPDX-License-Identifier: Apache-2.0
/*
 * The grammar of IAM policy documents, as "Grammar of the IAM JSON policy language" of the IAM
 * user guide has it, for policies that are attached to a repository (a principal is required).
 */
#include "ecr/policy.h"

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"
#include "policy_priv.h"

#include <stdbool.h>
#include <stddef.h>

static const char *const document_members[] = {"Version", "Id", "!Statement", NULL};
static const char *const statement_members[] = {
    "Sid",       "!Effect",  "Principal",   "NotPrincipal", "Action",
    "NotAction", "Resource", "NotResource", "Condition",    NULL};
static const char *const effects[] = {"Allow", "Deny", NULL};
static const char *const versions[] = {"2012-10-17", "2008-10-17", NULL};
static const char *const principal_types[] = {"AWS", "Service", "Federated", "CanonicalUser", NULL};

static bool check_text(const struct json *v, const struct policy_path *p, const char *name,
                       struct err *e)
{
    const struct json *text = json_get(v, name);
    return text == NULL || json_is_string(text) || policy_refuse(e, p, name, "must be a text");
}

/* A text that is not empty, or a list of such that is not empty. */
static bool check_texts(const struct json *v, const struct policy_path *p, struct err *e)
{
    bool is_list = json_is_array(v);
    const struct json *x = is_list ? json_first(v) : v;
    if (x == NULL)
        return policy_refuse(e, p, NULL, "must not be empty");
    for (; x != NULL; x = is_list ? json_next(x) : NULL)
        if (!json_is_string(x) || json_str_or_null(x).len == 0)
            return policy_refuse(e, p, NULL, "must be a text that is not empty, or a list of such");
    return true;
}

/* Exactly one of two members (or at most one, where none is required), as texts. */
static bool check_either(const struct json *v, const struct policy_path *p, const char *name,
                         const char *not_name, bool is_required, struct err *e)
{
    bool has = json_get(v, name) != NULL;
    bool has_not = json_get(v, not_name) != NULL;
    if (has && has_not)
        return policy_refuse(e, p, not_name, "must be absent where its positive form is given");
    if (!has && !has_not)
        return !is_required || policy_refuse(e, p, name, "is required");
    struct policy_path at = policy_path_member(p, has ? name : not_name);
    return check_texts(json_get(v, has ? name : not_name), &at, e);
}

static bool check_principal_value(const struct json *v, const struct policy_path *p, struct err *e)
{
    if (json_is_string(v))
        return str_eq(json_str_or_null(v), STR("*")) ||
               policy_refuse(e, p, NULL, "must be \"*\" or an object such as {\"AWS\": […]}");
    if (!policy_check_members(v, p, principal_types, e))
        return false;
    if (json_count(v) == 0)
        return policy_refuse(e, p, NULL, "must not be empty");
    for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
        size_t i = 0;
        while (!str_eq_cstr(json_key(m), principal_types[i]))
            i++;
        struct policy_path at = policy_path_member(p, principal_types[i]);
        if (!check_texts(m, &at, e))
            return false;
    }
    return true;
}

static bool check_principal(const struct json *v, const struct policy_path *p, struct err *e)
{
    bool has = json_get(v, "Principal") != NULL;
    bool has_not = json_get(v, "NotPrincipal") != NULL;
    if (has == has_not)
        return policy_refuse(e, p, "Principal",
                             has ? "must be absent where NotPrincipal is given"
                                 : "is required (or NotPrincipal)");
    const char *name = has ? "Principal" : "NotPrincipal";
    struct policy_path at = policy_path_member(p, name);
    return check_principal_value(json_get(v, name), &at, e);
}

static bool is_condition_value(const struct json *v)
{
    return json_is_string(v) || json_type(v) == JSON_NUMBER || json_type(v) == JSON_BOOL;
}

static bool check_condition(const struct json *v, const struct policy_path *p, struct err *e)
{
    static const char *const says =
        "must be an object of operators, each an object of keys and values";
    if (!json_is_object(v))
        return policy_refuse(e, p, NULL, says);
    for (const struct json *op = json_first(v); op != NULL; op = json_next(op)) {
        if (!json_is_object(op))
            return policy_refuse(e, p, NULL, says);
        for (const struct json *key = json_first(op); key != NULL; key = json_next(key)) {
            bool is_list = json_is_array(key);
            const struct json *x = is_list ? json_first(key) : key;
            for (; x != NULL; x = is_list ? json_next(x) : NULL)
                if (!is_condition_value(x))
                    return policy_refuse(e, p, NULL,
                                         "must have texts, numbers and booleans as values");
        }
    }
    return true;
}

static bool check_statement(const struct json *v, const struct policy_path *p, struct err *e)
{
    int effect = 0;
    const struct json *condition = json_get(v, "Condition");
    struct policy_path at = policy_path_member(p, "Condition");
    return policy_check_members(v, p, statement_members, e) && check_text(v, p, "Sid", e) &&
           policy_check_word(v, p, "Effect", effects, &effect, e) && check_principal(v, p, e) &&
           check_either(v, p, "Action", "NotAction", true, e) &&
           check_either(v, p, "Resource", "NotResource", false, e) &&
           (condition == NULL || check_condition(condition, &at, e));
}

static bool check_statements(const struct json *v, struct err *e)
{
    struct policy_path root = {""};
    struct policy_path at = {"Statement"};
    if (!json_is_array(v))
        return check_statement(v, &at, e);
    if (json_count(v) == 0)
        return policy_refuse(e, &at, NULL, "must not be empty");
    size_t i = 0;
    for (const struct json *x = json_first(v); x != NULL; x = json_next(x)) {
        at = policy_path_index(&root, "Statement", i++);
        if (!check_statement(x, &at, e))
            return false;
    }
    return true;
}

bool ecr_policy_validate(struct str text, struct err *e)
{
    struct policy_path root = {""};
    int version = 0;
    if (text.len == 0)
        return policy_refuse(e, &root, NULL, "must not be empty");
    if (policy_characters(text) > ECR_POLICY_MAX)
        return policy_refuse(e, &root, NULL, "must have at most 10240 characters");
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(text, text.len, &doc, e))
        return err_wrap(e, "the document is not JSON");
    const struct json *v = json_root(doc);
    if (!policy_check_members(v, &root, document_members, e) || !check_text(v, &root, "Id", e))
        return false;
    if (json_get(v, "Version") != NULL &&
        !policy_check_word(v, &root, "Version", versions, &version, e))
        return false;
    return check_statements(json_get(v, "Statement"), e);
}
