// SPDX-License-Identifier: Apache-2.0
/*
 * The grammars of ECR's names, matched by hand: repositories, template prefixes, exclusion
 * filters, tags, ARNs, account ids. A matcher says yes or no; a validator adds the lengths and the
 * sentence that a person needs.
 */
#include "base/err.h"
#include "base/str.h"
#include "ecr/prefix.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* How many bytes from `at` on are lower-case letters and digits. */
static size_t alnum_run(struct str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && is_lower_alnum(s.ptr[at + n]))
        n++;
    return n;
}

/* The length of a separator inside a path segment at `at`: ".", "_", "__" or dashes; 0: none. */
static size_t separator(struct str s, size_t at)
{
    if (at >= s.len)
        return 0;
    size_t n = 1;
    switch (s.ptr[at]) {
    case '.':
        return 1;
    case '_':
        return at + 1 < s.len && s.ptr[at + 1] == '_' ? 2 : 1;
    case '-':
        while (at + n < s.len && s.ptr[at + n] == '-')
            n++;
        return n;
    default:
        return 0;
    }
}

/* Where a path of segments stops being one: s.len when all of it is. A trailing slash stops it
 * at the slash's successor, with *ret_is_slash_last set. */
static size_t path_end(struct str s, bool *ret_is_slash_last)
{
    size_t at = 0;
    *ret_is_slash_last = false;
    for (;;) {
        size_t run = alnum_run(s, at);
        if (run == 0) {
            *ret_is_slash_last = at == s.len && at > 0 && s.ptr[at - 1] == '/';
            return at;
        }
        at += run;
        if (at == s.len)
            return at;
        size_t between = s.ptr[at] == '/' ? 1 : separator(s, at);
        if (between == 0)
            return at;
        at += between;
    }
}

bool ecr_repository_matches(struct str s)
{
    bool is_slash_last = false;
    return s.len > 0 && path_end(s, &is_slash_last) == s.len && is_lower_alnum(s.ptr[s.len - 1]);
}

bool ecr_prefix_matches(struct str s)
{
    bool is_slash_last = false;
    if (ecr_prefix_is_root(s))
        return true;
    if (s.len == 0 || path_end(s, &is_slash_last) != s.len)
        return false;
    return is_slash_last || is_lower_alnum(s.ptr[s.len - 1]);
}

bool ecr_filter_matches(struct str s)
{
    if (s.len == 0 || s.len > ECR_FILTER_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.ptr[i]) && !is_one_of(s.ptr[i], "._*-"))
            return false;
    return true;
}

bool ecr_account_id_matches(struct str s)
{
    if (s.len != ECR_ACCOUNT_ID_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return true;
}

static bool is_all_lower_or_dash(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_lower_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    return true;
}

/* Splits "arn:<partition>:<service>:<region>:<account>:<rest>" and checks partition, service and
 * account. */
static bool arn_split(struct str s, struct str want_service, struct str *region, struct str *rest)
{
    struct str word;
    struct str partition;
    struct str service;
    struct str account;
    if (!str_cut(s, ':', &word, &s) || !str_eq(word, STR("arn")) ||
        !str_cut(s, ':', &partition, &s) || !str_cut(s, ':', &service, &s) ||
        !str_cut(s, ':', region, &s) || !str_cut(s, ':', &account, rest))
        return false;
    return str_starts_with(partition, STR("aws")) && is_all_lower_or_dash(partition) &&
           str_eq(service, want_service) && ecr_account_id_matches(account);
}

bool ecr_kms_key_matches(struct str s)
{
    struct str region;
    struct str rest;
    if (!arn_split(s, STR("kms"), &region, &rest) || !str_starts_with(rest, STR("key/")))
        return false;
    struct str id = str_from_offset(rest, strlen("key/"));
    return region.len > 0 && is_all_lower_or_dash(region) && id.len > 0 && is_all_lower_or_dash(id);
}

bool ecr_role_arn_matches(struct str s)
{
    enum { ROLE_NAME_MAX = 64 };
    struct str region;
    struct str rest;
    if (!arn_split(s, STR("iam"), &region, &rest) || region.len != 0 ||
        !str_starts_with(rest, STR("role/")))
        return false;
    struct str name = str_from_offset(rest, strlen("role/"));
    ptrdiff_t slash = str_rindex(name, '/');
    if (slash == 0)
        return false;
    for (ptrdiff_t i = 0; i < slash; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~')
            return false;
    name = str_from_offset(name, (size_t)(slash + 1));
    if (name.len == 0 || name.len > ROLE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_alnum(name.ptr[i]) && !is_one_of(name.ptr[i], "_+=,.@-"))
            return false;
    return true;
}

static bool refuse(struct err *e, const char *says)
{
    return err_set(e, ERR_INVALID, "InvalidName", "%s", says);
}

bool ecr_repository_validate(struct str name, struct err *e)
{
    if (name.len < ECR_REPOSITORY_MIN || name.len > ECR_REPOSITORY_MAX)
        return err_set(e, ERR_INVALID, "InvalidName", "must have %d to %d characters",
                       ECR_REPOSITORY_MIN, ECR_REPOSITORY_MAX);
    if (!ecr_repository_matches(name))
        return refuse(e, "must be parts of lower-case letters and digits, separated by '/', each "
                         "part joined inside by '.', '_', '__' or dashes only, for example "
                         "team-a/api");
    return true;
}

bool ecr_prefix_validate(struct str prefix, struct err *e)
{
    if (prefix.len < 1 || prefix.len > ECR_PREFIX_MAX)
        return err_set(e, ERR_INVALID, "InvalidName", "must have 1 to %d characters",
                       ECR_PREFIX_MAX);
    if (!ecr_prefix_matches(prefix))
        return refuse(e, "must be ROOT, or parts of lower-case letters and digits, separated by "
                         "'/', each part joined inside by '.', '_', '__' or dashes only, for "
                         "example team-a/api");
    return true;
}

bool ecr_filter_validate(struct str filter, struct err *e)
{
    if (!ecr_filter_matches(filter))
        return err_set(e, ERR_INVALID, "InvalidName",
                       "must have 1 to %d characters, of letters, digits, '.', '_', '-' and '*'",
                       ECR_FILTER_MAX);
    size_t stars = 0;
    for (size_t i = 0; i < filter.len; i++)
        stars += filter.ptr[i] == '*';
    if (stars > ECR_FILTER_WILDCARDS_MAX)
        return err_set(e, ERR_INVALID, "InvalidName", "must have at most %d wildcards '*'",
                       ECR_FILTER_WILDCARDS_MAX);
    return true;
}

/* Characters of well-formed UTF-8. */
static size_t count_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static bool is_tag_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x80 && !is_alnum((char)c) && !is_one_of((char)c, " _.:/=+-@"))
            return false;
        /* U+0080 to U+009F, the control characters of Latin-1 */
        if (c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0)
            return false;
    }
    return true;
}

static bool tag_text_validate(struct str s, size_t max, struct err *e)
{
    if (!str_is_utf8(s))
        return refuse(e, "must be UTF-8");
    if (count_characters(s) > max)
        return err_set(e, ERR_INVALID, "InvalidName", "must have at most %zu characters", max);
    if (!is_tag_text(s))
        return refuse(e, "must be letters, digits, spaces and _ . : / = + - @");
    return true;
}

bool ecr_tag_key_validate(struct str key, struct err *e)
{
    if (key.len == 0)
        return refuse(e, "must not be empty");
    if (key.len >= 4 && str_eq_nocase(str_n(key.ptr, 4), STR("aws:")))
        return refuse(e, "must not begin with \"aws:\", which is AWS's own");
    return tag_text_validate(key, ECR_TAG_KEY_MAX, e);
}

bool ecr_tag_value_validate(struct str value, struct err *e)
{
    return tag_text_validate(value, ECR_TAG_VALUE_MAX, e);
}

bool ecr_role_arn_validate(struct str arn, struct err *e)
{
    if (arn.len > ECR_ROLE_ARN_MAX || !ecr_role_arn_matches(arn))
        return refuse(e, "must be the ARN of an IAM role, for example "
                         "arn:aws:iam::123456789012:role/ecr-templates");
    return true;
}

bool ecr_kms_key_validate(struct str arn, struct err *e)
{
    if (arn.len > ECR_KMS_KEY_MAX || !ecr_kms_key_matches(arn))
        return refuse(e, "must be the ARN of a KMS key (not an alias, not an id), for example "
                         "arn:aws:kms:eu-west-1:123456789012:key/"
                         "1234abcd-12ab-34cd-56ef-1234567890ab");
    return true;
}

bool ecr_account_id_validate(struct str account_id, struct err *e)
{
    if (!ecr_account_id_matches(account_id))
        return refuse(e, "must be an AWS account id of 12 digits");
    return true;
}
