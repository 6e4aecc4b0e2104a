// SPDX-License-Identifier: Apache-2.0
/*
 * Do two IAM policy documents mean the same? Only equivalences that AWS states are used; each has
 * its source beside it (pages of the IAM user guide). Whatever else differs is a difference.
 */
#include "base/buf.h"
#include "base/str.h"
#include "ecr/policy.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "policy_priv.h"

#include <stdbool.h>
#include <stddef.h>

/* Statements are evaluated together, and a document of ECR_POLICY_MAX has no more than these. */
enum { STATEMENTS_MAX = 512, VALUE_TEXT_MAX = 512 };

/* "AWS JSON policy elements: Action": prefix and name are case-insensitive. A list is a set, and
 * one element needs no brackets ("Grammar of the IAM JSON policy language"). */
static bool equal_action(const struct json *a, const struct json *b)
{
    if (!json_is_string(a) || !json_is_string(b))
        return json_equal(a, b);
    return str_eq_nocase(json_str_or_null(a), json_str_or_null(b));
}

static bool equal_actions(const struct json *a, const struct json *b)
{
    return policy_equal_sets(a, b, equal_action);
}

static bool equal_texts(const struct json *a, const struct json *b)
{
    return policy_equal_sets(a, b, policy_equal_text);
}

/* The account of "123456789012" or "arn:aws:iam::123456789012:root", absent for anything else.
 * "AWS JSON policy elements: Principal" says that the two name the same. The partition is not
 * compared: an account lives in one, and so the relation stays transitive. */
static struct str principal_account(struct str s)
{
    struct str rest = s;
    struct str word;
    if (ecr_account_id_matches(s))
        return s;
    if (!str_cut(rest, ':', &word, &rest) || !str_eq(word, STR("arn")) ||
        !str_cut(rest, ':', &word, &rest) || !str_starts_with(word, STR("aws")) ||
        !str_starts_with(rest, STR("iam::")))
        return STR_NULL;
    rest = str_from_offset(rest, strlen("iam::"));
    if (!str_cut(rest, ':', &word, &rest) || !str_eq(rest, STR("root")) ||
        !ecr_account_id_matches(word))
        return STR_NULL;
    return word;
}

static bool equal_aws_principal(const struct json *a, const struct json *b)
{
    if (!json_is_string(a) || !json_is_string(b))
        return json_equal(a, b);
    struct str x = json_str_or_null(a);
    struct str y = json_str_or_null(b);
    struct str account = principal_account(x);
    return str_eq(x, y) || (!str_is_null(account) && str_eq(account, principal_account(y)));
}

static bool equal_aws_principals(const struct json *a, const struct json *b)
{
    return policy_equal_sets(a, b, equal_aws_principal);
}

static bool equal_principal_maps(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {
        {"AWS", equal_aws_principals},
        {"Service", equal_texts},
        {"Federated", equal_texts},
        {"CanonicalUser", equal_texts},
        {NULL, NULL},
    };
    return policy_equal_members(a, b, members);
}

/* "*", or {"AWS": "*"} and nothing else. */
static bool is_everyone(const struct json *v)
{
    if (json_is_object(v) && json_count(v) == 1)
        v = json_get(v, "AWS");
    if (json_is_array(v) && json_count(v) == 1)
        v = json_first(v);
    return json_is_string(v) && str_eq(json_str_or_null(v), STR("*"));
}

/* "AWS JSON policy elements: Principal", all principals: "*" and {"AWS": "*"} are equivalent in
 * resource-based policies. Nothing is said of NotPrincipal. */
static bool equal_principals(const struct json *a, const struct json *b)
{
    if (b == NULL)
        return false;
    return (is_everyone(a) && is_everyone(b)) || equal_principal_maps(a, b);
}

static bool equal_not_principals(const struct json *a, const struct json *b)
{
    return b != NULL && equal_principal_maps(a, b);
}

/* "Grammar of the IAM JSON policy language": "Quotation marks are optional for numeric and Boolean
 * values." */
static bool equal_condition_value(const struct json *a, const struct json *b)
{
    struct buf x BERTH_CLEANUP(buf_fini) = BUF_INIT(VALUE_TEXT_MAX);
    struct buf y BERTH_CLEANUP(buf_fini) = BUF_INIT(VALUE_TEXT_MAX);
    if (json_is_string(a) == json_is_string(b))
        return json_equal(a, b);
    const struct json *bare = json_is_string(a) ? b : a;
    if (json_type(bare) != JSON_BOOL && json_type(bare) != JSON_NUMBER)
        return false;
    json_print(bare, &x);
    buf_append(&y, json_str_or_null(json_is_string(a) ? a : b));
    return buf_ok(&x) && buf_ok(&y) && str_eq(buf_str(&x), buf_str(&y));
}

/* The one member whose name is this in any case; NULL where there is none or more. */
static const struct json *find_key(const struct json *v, struct str name)
{
    const struct json *found = NULL;
    for (const struct json *m = json_first(v); m != NULL; m = json_next(m)) {
        if (!str_eq_nocase(json_key(m), name))
            continue;
        if (found != NULL)
            return NULL;
        found = m;
    }
    return found;
}

/* "AWS JSON policy elements: Condition": key names are not case-sensitive, and several values of a
 * key are one set (evaluated with OR, with NOR for negated operators). */
static bool equal_operators(const struct json *a, const struct json *b)
{
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    if (json_count(a) != json_count(b))
        return false;
    for (const struct json *m = json_first(a); m != NULL; m = json_next(m)) {
        const struct json *other = find_key(b, json_key(m));
        if (other == NULL || find_key(a, json_key(m)) == NULL ||
            !policy_equal_sets(m, other, equal_condition_value))
            return json_equal(a, b);
    }
    return true;
}

static bool equal_conditions(const struct json *a, const struct json *b)
{
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    if (json_count(a) != json_count(b))
        return false;
    for (const struct json *m = json_first(a); m != NULL; m = json_next(m)) {
        const struct json *other = json_get_str(b, json_key(m));
        if (other == NULL || !equal_operators(m, other))
            return false;
    }
    return true;
}

static bool equal_statement(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {
        {"Sid", policy_equal_text}, /* a label; it decides nothing */
        {"Principal", equal_principals}, {"NotPrincipal", equal_not_principals},
        {"Action", equal_actions},       {"NotAction", equal_actions},
        {"Resource", equal_texts},       {"NotResource", equal_texts},
        {"Condition", equal_conditions}, {NULL, NULL},
    };
    return policy_equal_members(a, b, members);
}

/* As multisets: "Policy evaluation logic" looks at all statements, whatever their order. Equality
 * of statements is transitive, so the first free partner is as good as any. */
static bool equal_statement_lists(const struct json *a, const struct json *b)
{
    bool is_used[STATEMENTS_MAX] = {false};
    if (json_count(a) != json_count(b) || json_count(a) > STATEMENTS_MAX)
        return false;
    for (const struct json *x = json_first(a); x != NULL; x = json_next(x)) {
        size_t i = 0;
        const struct json *y = json_first(b);
        while (y != NULL && (is_used[i] || !equal_statement(x, y))) {
            y = json_next(y);
            i++;
        }
        if (y == NULL)
            return false;
        is_used[i] = true;
    }
    return true;
}

static bool equal_statements(const struct json *a, const struct json *b)
{
    if (b == NULL)
        return false;
    if (json_is_array(a) && json_is_array(b))
        return equal_statement_lists(a, b);
    /* the grammar: the brackets of a list of one statement may be left out */
    if (json_is_array(a) && json_is_object(b) && json_count(a) == 1)
        return equal_statement(json_first(a), b);
    if (json_is_array(b) && json_is_object(a) && json_count(b) == 1)
        return equal_statement(a, json_first(b));
    return equal_statement(a, b);
}

/* "AWS JSON policy elements: Version": without it, the value is 2008-10-17. */
static bool equal_versions(const struct json *a, const struct json *b)
{
    if (!json_is_string(a) || (b != NULL && !json_is_string(b)))
        return json_equal(a, b);
    return str_eq(json_str_or_null(a), b != NULL ? json_str_or_null(b) : STR("2008-10-17"));
}

static bool equal_policies(const struct json *a, const struct json *b)
{
    static const struct policy_member members[] = {
        {"Version", equal_versions},
        {"Id", policy_equal_text}, /* a label, as Sid */
        {"Statement", equal_statements},
        {NULL, NULL},
    };
    return policy_equal_members(a, b, members);
}

bool ecr_policy_equal(struct str a, struct str b)
{
    return policy_equal_documents(a, b, ECR_POLICY_MAX, equal_policies);
}
