// SPDX-License-Identifier: Apache-2.0
/*
 * Image references, by the grammar of the distribution project's reference package:
 *
 *     reference  := name [":" tag] ["@" digest]
 *     name       := [domain "/"] path
 *     path       := component ("/" component)*    component as a repository of ECR's
 *     tag        := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
 *     digest     := algorithm ":" hex{32,}        algorithm := letter (letter | digit)* with [+._-]
 */
#include "ecr/image.h"

#include "ecr/prefix.h"

#include <string.h>

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_alpha(c) || is_digit(c) || c == '_';
}

/* What templating tools leave to be filled in: Tekton, shells and kustomize, Helm and Go. */
static bool is_placeholder(struct str s)
{
    return str_contains(s, STR("$(")) || str_contains(s, STR("${")) || str_contains(s, STR("{{"));
}

static bool is_tag(struct str s)
{
    if (s.len == 0 || s.len > ECR_TAG_MAX || !is_word(s.ptr[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_word(s.ptr[i]) && s.ptr[i] != '.' && s.ptr[i] != '-')
            return false;
    return true;
}

static bool is_algorithm(struct str s)
{
    bool wants_letter = true;
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (wants_letter ? !is_alpha(c) : !is_alpha(c) && !is_digit(c) && strchr("+._-", c) == NULL)
            return false;
        wants_letter = !is_alpha(c) && !is_digit(c);
    }
    return s.len > 0 && !wants_letter;
}

enum { DIGEST_HEX_MIN = 32 };

static bool is_digest(struct str s)
{
    const ptrdiff_t colon = str_index(s, ':');
    if (colon < 0 || !is_algorithm(str_n(s.ptr, (size_t)colon)))
        return false;
    const struct str hex = str_from_offset(s, (size_t)colon + 1);
    for (size_t i = 0; i < hex.len; i++)
        if (!is_digit(hex.ptr[i]) && !(hex.ptr[i] >= 'a' && hex.ptr[i] <= 'f') &&
            !(hex.ptr[i] >= 'A' && hex.ptr[i] <= 'F'))
            return false;
    return hex.len >= DIGEST_HEX_MIN;
}

static bool is_host_word(struct str s)
{
    return str_index(s, '.') >= 0 || str_index(s, ':') >= 0 || str_eq_nocase(s, STR("localhost"));
}

/* Splits the host off; what is left are repository, tag and digest. */
static bool cut_host(struct str text, struct str *host, struct str *rest)
{
    const ptrdiff_t slash = str_index(text, '/');
    if (slash <= 0)
        return false;
    *host = str_n(text.ptr, (size_t)slash);
    *rest = str_from_offset(text, (size_t)slash + 1);
    return is_host_word(*host);
}

enum ecr_image_result ecr_image_parse(struct str text, struct ecr_image *ret)
{
    *ret = (struct ecr_image){0};
    if (str_is_empty(text))
        return ECR_IMAGE_NO_HOST;
    struct str rest;
    if (!cut_host(text, &ret->host, &rest)) {
        ret->host = STR_NULL;
        return text.len <= ECR_IMAGE_MAX && is_placeholder(text) ? ECR_IMAGE_PLACEHOLDER
                                                                 : ECR_IMAGE_NO_HOST;
    }
    if (text.len > ECR_IMAGE_MAX)
        return ECR_IMAGE_INVALID;
    if (is_placeholder(text))
        return ECR_IMAGE_PLACEHOLDER;
    const ptrdiff_t at = str_index(rest, '@');
    if (at >= 0) {
        ret->digest = str_from_offset(rest, (size_t)at + 1);
        rest.len = (size_t)at;
        if (!is_digest(ret->digest))
            return ECR_IMAGE_INVALID;
    }
    const ptrdiff_t colon = str_index(rest, ':');
    if (colon >= 0) {
        ret->tag = str_from_offset(rest, (size_t)colon + 1);
        rest.len = (size_t)colon;
        if (!is_tag(ret->tag))
            return ECR_IMAGE_INVALID;
    }
    ret->repository = rest;
    return ecr_repository_matches(rest) ? ECR_IMAGE_OK : ECR_IMAGE_INVALID;
}

struct str ecr_image_host_name(struct str host)
{
    const ptrdiff_t colon = str_rindex(host, ':');
    return colon > 0 ? str_n(host.ptr, (size_t)colon) : host;
}

static struct str without_port_443(struct str s)
{
    return str_ends_with(s, STR(":443")) ? str_n(s.ptr, s.len - 4) : s;
}

bool ecr_image_host_equal(struct str a, struct str b)
{
    return str_eq_nocase(without_port_443(a), without_port_443(b));
}
