// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting metadata.managedFields out of a review's text before it is parsed: it is often half of an
 * object, and nobody here looks at it. Works on the text alone, in one pass that knows strings and
 * nesting; what is no JSON comes out as it was as far as that matters: the parser refuses it.
 */
#include "review_priv.h"

#include <string.h>

enum { DEPTH = 4 /* root, request, object, metadata */ };

struct pruner {
    char *text;
    size_t len;
    size_t at;                 /* read up to here */
    size_t out;                /* written up to here */
    int depth;                 /* of open objects and lists */
    struct str key[DEPTH + 1]; /* the last key at each depth, in what was read */
};

/* Past the string that begins here; false: it has no end. */
static bool skip_string(const struct pruner *p, size_t *at)
{
    for (size_t i = *at + 1; i < p->len; i++) {
        const char *quote = memchr(p->text + i, '"', p->len - i);
        if (quote == NULL)
            return false;
        const size_t end = (size_t)(quote - p->text);
        size_t slashes = 0;
        while (end - slashes > *at + 1 && p->text[end - slashes - 1] == '\\')
            slashes++;
        i = end;
        if (slashes % 2 == 0) {
            *at = end + 1;
            return true;
        }
    }
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t skip_blanks(const struct pruner *p, size_t at)
{
    while (at < p->len && is_blank(p->text[at]))
        at++;
    return at;
}

/* Past the object or list that begins here; false: it has no end. */
static bool skip_container(const struct pruner *p, size_t *at)
{
    int depth = 0;
    size_t i = *at;
    while (i < p->len) {
        const char c = p->text[i];
        if (c == '"') {
            if (!skip_string(p, &i))
                return false;
            continue;
        }
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        i++;
        if (depth == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool is_managed_fields(const struct pruner *p)
{
    return p->depth == DEPTH && str_eq(p->key[4], STR("managedFields")) &&
           str_eq(p->key[3], STR("metadata")) &&
           (str_eq(p->key[2], STR("object")) || str_eq(p->key[2], STR("oldObject"))) &&
           str_eq(p->key[1], STR("request"));
}

static void keep(struct pruner *p, size_t until)
{
    if (p->out != p->at)
        memmove(p->text + p->out, p->text + p->at, until - p->at);
    p->out += until - p->at;
    p->at = until;
}

/* A string: perhaps a key, perhaps the one whose value goes. False: nothing more can be cut. */
static bool take_string(struct pruner *p)
{
    size_t end = p->at;
    if (!skip_string(p, &end))
        return false;
    const size_t colon = skip_blanks(p, end);
    const struct str text = str_n(p->text + p->at + 1, end - p->at - 2);
    const bool is_key = colon < p->len && p->text[colon] == ':';
    const bool is_tracked = is_key && p->depth >= 1 && p->depth <= DEPTH;
    if (is_tracked)
        p->key[p->depth] = text;
    if (!is_tracked || !is_managed_fields(p)) {
        /* keys are compared before they are moved */
        const size_t from = p->out + 1;
        keep(p, end);
        if (is_tracked)
            p->key[p->depth] = str_n(p->text + from, text.len);
        return true;
    }
    const size_t value = skip_blanks(p, colon + 1);
    size_t after = value;
    if (value >= p->len || (p->text[value] != '[' && p->text[value] != '{') ||
        !skip_container(p, &after))
        return false;
    keep(p, value);
    memcpy(p->text + p->out, "[]", 2); /* a container has two characters at least */
    p->out += 2;
    p->at = after;
    return true;
}

size_t review_prune(char *text, size_t len)
{
    struct pruner p = {.text = text, .len = len};
    while (p.at < p.len) {
        const char c = p.text[p.at];
        if (c == '"') {
            if (!take_string(&p))
                break;
            continue;
        }
        p.depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        keep(&p, p.at + 1);
    }
    keep(&p, p.len);
    return p.out;
}
