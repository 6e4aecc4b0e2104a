// SPDX-License-Identifier: Apache-2.0
/*
 * Repository policies: the IAM grammar as far as ECR refuses what breaks it, and the form in which
 * ECR gives a policy back (that of Jackson's pretty printer, with the members of a statement in an
 * order of its own), which is why clients must not compare texts.
 */
#include "json/json.h"
#include "json/write.h"
#include "policy_priv.h"
#include "store_impl_priv.h"
#include "validate_priv.h"

#include <string.h>

static const char *const root_members[] = {"Version", "Id", "Statement"};
static const char *const statement_members[] = {
    "Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
    "NotAction", "Resource", "NotResource", "Condition",
};

static bool is_known(struct str name, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_cstr(name, known[i]))
            return true;
    return false;
}

static bool has_only(const struct json *v, const char *const *known, size_t n)
{
    for (const struct json *it = json_first(v); it; it = json_next(it))
        if (!is_known(json_key(it), known, n))
            return false;
    return true;
}

/* A string, or a list of at least one, each of which passes. */
static bool each_text(const struct json *v, bool (*ok)(struct str s))
{
    if (json_is_string(v))
        return ok(json_str_or_null(v));
    if (!json_is_array(v) || json_first(v) == NULL)
        return false;
    for (const struct json *it = json_first(v); it; it = json_next(it))
        if (!json_is_string(it) || !ok(json_str_or_null(it)))
            return false;
    return true;
}

static bool action_ok(struct str s)
{
    return str_eq(s, STR("*")) || (s.len > 4 && str_eq_nocase(str_n(s.ptr, 4), STR("ecr:")));
}

static bool not_empty(struct str s)
{
    return s.len > 0;
}

/* "*", an account, or an ARN of IAM or STS. */
static bool aws_principal_ok(struct str s)
{
    struct str rest = s;
    struct str part = STR_NULL;

    if (str_eq(s, STR("*")) || emu_is_account(s))
        return true;
    for (int i = 0; i < 5; i++) {
        if (!str_cut(rest, ':', &part, &rest))
            return false;
        if ((i == 0 && !str_eq(part, STR("arn"))) || (i == 1 && !str_starts_with(part, STR("aws"))))
            return false;
        if (i == 2 && !str_eq(part, STR("iam")) && !str_eq(part, STR("sts")))
            return false;
        if (i == 4 && !emu_is_account(part))
            return false;
    }
    return rest.len > 0;
}

static bool principal_ok(const struct json *v)
{
    if (json_is_string(v))
        return str_eq(json_str_or_null(v), STR("*"));
    if (!json_is_object(v) || json_first(v) == NULL)
        return false;
    for (const struct json *it = json_first(v); it; it = json_next(it)) {
        struct str kind = json_key(it);
        bool is_aws = str_eq(kind, STR("AWS"));

        if (!is_aws && !str_eq(kind, STR("Service")) && !str_eq(kind, STR("Federated")) &&
            !str_eq(kind, STR("CanonicalUser")))
            return false;
        if (!each_text(it, is_aws ? aws_principal_ok : not_empty))
            return false;
    }
    return true;
}

static bool scalar_or_list(const struct json *v)
{
    if (json_is_object(v) || json_is_null(v))
        return false;
    for (const struct json *it = json_first(v); it; it = json_next(it))
        if (json_is_object(it) || json_is_array(it) || json_is_null(it))
            return false;
    return true;
}

/* {operator: {key: value or list}} */
static bool condition_ok(const struct json *v)
{
    if (v == NULL)
        return true;
    if (!json_is_object(v))
        return false;
    for (const struct json *op = json_first(v); op; op = json_next(op)) {
        if (!json_is_object(op))
            return false;
        for (const struct json *key = json_first(op); key; key = json_next(key))
            if (!scalar_or_list(key))
                return false;
    }
    return true;
}

/* Exactly one of the two members, and it passes. */
static bool one_of(const struct json *s, const char *name, const char *not_name,
                   bool (*ok)(struct str s))
{
    const struct json *a = json_get(s, name);
    const struct json *b = json_get(s, not_name);

    return (a != NULL) != (b != NULL) && each_text(a ? a : b, ok);
}

static bool statement_ok(const struct json *s)
{
    struct str effect = json_str_or_null(json_get(s, "Effect"));
    const struct json *sid = json_get(s, "Sid");
    const struct json *principal = json_get(s, "Principal");
    const struct json *not_principal = json_get(s, "NotPrincipal");
    bool has_resource = json_get(s, "Resource") || json_get(s, "NotResource");

    return json_is_object(s) && has_only(s, statement_members, ARRAY_SIZE(statement_members)) &&
           (sid == NULL || json_is_string(sid)) &&
           (str_eq(effect, STR("Allow")) || str_eq(effect, STR("Deny"))) &&
           (principal != NULL) != (not_principal != NULL) &&
           principal_ok(principal ? principal : not_principal) &&
           one_of(s, "Action", "NotAction", action_ok) &&
           (!has_resource || one_of(s, "Resource", "NotResource", not_empty)) &&
           condition_ok(json_get(s, "Condition"));
}

static bool document_ok(const struct json *root)
{
    const struct json *version = json_get(root, "Version");
    const struct json *id = json_get(root, "Id");
    const struct json *statement = json_get(root, "Statement");
    struct str v = json_str_or_null(version);

    if (!json_is_object(root) || !has_only(root, root_members, ARRAY_SIZE(root_members)) ||
        (version && !str_eq(v, STR("2012-10-17")) && !str_eq(v, STR("2008-10-17"))) ||
        (id && !json_is_string(id)))
        return false;
    if (json_is_object(statement))
        return statement_ok(statement);
    if (!json_is_array(statement) || json_first(statement) == NULL)
        return false;
    for (const struct json *it = json_first(statement); it; it = json_next(it))
        if (!statement_ok(it))
            return false;
    return true;
}

/* ---- printing ---- */

static void indent(struct buf *out, int level)
{
    buf_append_char(out, '\n');
    for (int i = 0; i < level; i++)
        buf_append_cstr(out, "  ");
}

static void print(struct buf *out, const struct json *v, int level);

static void print_member(struct buf *out, const struct json *member, int level, bool *is_first)
{
    if (member == NULL)
        return;
    if (!*is_first)
        buf_append_char(out, ',');
    *is_first = false;
    indent(out, level + 1);
    json_escape(out, json_key(member));
    buf_append_cstr(out, " : ");
    print(out, member, level + 1);
}

/* The objects right below Statement are those whose members have an order of their own. */
static void print_object(struct buf *out, const struct json *v, int level)
{
    bool is_first = true;
    bool is_statement = level == 1;

    buf_append_char(out, '{');
    for (size_t i = 0; is_statement && i < ARRAY_SIZE(statement_members); i++)
        print_member(out, json_get(v, statement_members[i]), level, &is_first);
    for (const struct json *it = json_first(v); !is_statement && it; it = json_next(it))
        print_member(out, it, level, &is_first);
    if (is_first)
        buf_append_char(out, ' ');
    else
        indent(out, level);
    buf_append_char(out, '}');
}

/* As deep as json_parse() lets a document be. */
static void print(struct buf *out, const struct json *v, int level)
{
    if (json_is_object(v)) {
        print_object(out, v, level);
        return;
    }
    if (!json_is_array(v)) {
        json_print(v, out);
        return;
    }
    buf_append_cstr(out, "[ ");
    for (const struct json *it = json_first(v); it; it = json_next(it)) {
        if (it != json_first(v))
            buf_append_cstr(out, ", ");
        print(out, it, level);
    }
    buf_append_cstr(out, " ]");
}

bool emu_policy_normalise(struct str text, const char *member, struct buf *out, struct emu_error *x)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    bool is_first = true;

    /* the model counts characters; bytes are at most four times as many */
    if (!json_parse(text, 4 * EMU_POLICY_MAX, &doc, &e) || !document_ok(json_root(doc)))
        return emu_fail_parameter(x, member, "Invalid repository policy provided");
    buf_append_char(out, '{');
    for (size_t i = 0; i < ARRAY_SIZE(root_members); i++)
        print_member(out, json_get(json_root(doc), root_members[i]), 0, &is_first);
    buf_append_cstr(out, "\n}");
    return true;
}
