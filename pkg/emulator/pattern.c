// SPDX-License-Identifier: Apache-2.0
/*
 * Matchers for the patterns of ECR's model, by the pattern's text. They are written by hand, linear
 * in the text: a regular expression library on text that others send could be made to run for
 * ever, and the model has few patterns. A test fails when the model gets one that is not here.
 */
#include "store_priv.h"
#include "validate_priv.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c);
}

bool emu_is_account(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]))
            return false;
    return s.len == 12;
}

/* The grammar of names without the bounds, which are the model's own rows. */
static bool match_name(struct str s)
{
    return emu_repository_grammar_ok(s);
}

static bool match_prefix(struct str s)
{
    if (str_eq(s, STR("ROOT")))
        return true;
    if (str_ends_with(s, STR("/")))
        s.len--;
    return emu_repository_grammar_ok(s);
}

static bool match_filter(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '.' &&
            c != '_' && c != '*' && c != '-')
            return false;
    }
    return s.len >= 1 && s.len <= 128;
}

/* Characters of [a-z0-9-]; at least one. */
static bool all_lower(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_lower_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    return s.len > 0;
}

static bool match_kms_key(struct str s)
{
    struct str part[5];
    struct str rest = s;

    if (s.len == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(part); i++)
        if (!str_cut(rest, ':', &part[i], &rest))
            return false;
    return str_eq(part[0], STR("arn")) && str_starts_with(part[1], STR("aws")) &&
           all_lower(part[1]) && str_eq(part[2], STR("kms")) && all_lower(part[3]) &&
           emu_is_account(part[4]) && str_starts_with(rest, STR("key/")) &&
           all_lower(str_from_offset(rest, 4));
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* "(-\\w+)*" after "aws". */
static bool is_partition(struct str s)
{
    if (!str_starts_with(s, STR("aws")))
        return false;
    for (size_t i = 3; i < s.len; i++)
        if (!is_word(s.ptr[i]) && !(s.ptr[i] == '-' && i + 1 < s.len && s.ptr[i + 1] != '-'))
            return false;
    return s.len == 3 || s.ptr[3] == '-';
}

/* The secret that a rule logs in upstream with. */
static bool match_credential(struct str s)
{
    static const char mark[] = ":secret:ecr-pullthroughcache/";
    struct str arn, partition, service, rest = s;
    ptrdiff_t at = -1;

    if (!str_cut(rest, ':', &arn, &rest) || !str_cut(rest, ':', &partition, &rest) ||
        !str_cut(rest, ':', &service, &rest) || !str_eq(arn, STR("arn")) ||
        !is_partition(partition) || !str_eq(service, STR("secretsmanager")))
        return false;
    for (size_t i = 0; i < rest.len && at < 0; i++)
        if (str_starts_with(str_from_offset(rest, i), str_from(mark)))
            at = (ptrdiff_t)i;
        else if (!is_word(rest.ptr[i]) && rest.ptr[i] != '-' && rest.ptr[i] != ':')
            return false;
    if (at < 1)
        return false;
    rest = str_from_offset(rest, (size_t)at + sizeof mark - 1);
    for (size_t i = 0; i < rest.len; i++)
        if (!is_word(rest.ptr[i]) && strchr("/+=.@-", rest.ptr[i]) == NULL)
            return false;
    return rest.len > 0;
}

#define NAME "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*"

static const struct {
    const char *pattern;
    bool (*matches)(struct str s);
} matchers[] = {
    {"[0-9]{12}", emu_is_account},
    {NAME, match_name},
    {"^(" NAME "\\/?|ROOT)$", match_prefix},
    {"^arn:aws(-\\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\\-pullthroughcache\\/"
     "[a-zA-Z0-9\\/_+=.@-]+$",
     match_credential},
    {"^[0-9a-zA-Z._*-]{1,128}$", match_filter},
    {"^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\\/[a-z0-9-]+", match_kms_key},
};

enum emu_match emu_pattern_match(const char *pattern, struct str s)
{
    for (size_t i = 0; i < ARRAY_SIZE(matchers); i++)
        if (strcmp(matchers[i].pattern, pattern) == 0)
            return matchers[i].matches(s) ? EMU_MATCH : EMU_NO_MATCH;
    return EMU_PATTERN_UNKNOWN;
}
