// SPDX-License-Identifier: Apache-2.0
/*
 * Cutting out of a review's text, before it is parsed, what nobody here looks at: most of a Pod,
 * and building a tree costs ten times what it takes to step over the text. Done in place, in one
 * pass that knows strings and nesting and leaves the rest to the parser: where the text is not as
 * expected, all from there on stays as it is, for the parser to refuse.
 */
#include "review_priv.h"
#include "wanted_priv.h"

#include <string.h>

struct pruner {
    const struct wanted *wanted;
    char *text;
    size_t len;
    size_t at;  /* read up to here */
    size_t out; /* written up to here; never more than was read */
};

static char peek(const struct pruner *p, size_t at)
{
    return at < p->len ? p->text[at] : '\0';
}

static size_t skip_blanks(const struct pruner *p, size_t at)
{
    while (at < p->len && (p->text[at] == ' ' || p->text[at] == '\n' || p->text[at] == '\t' ||
                           p->text[at] == '\r'))
        at++;
    return at;
}

/* Each of these goes past what begins at *at; false: it has no end. */
static bool skip_string(const struct pruner *p, size_t *at)
{
    const size_t from = *at + 1;
    size_t i = from;
    while (i < p->len) {
        const char *quote = memchr(p->text + i, '"', p->len - i);
        if (quote == NULL)
            return false;
        i = (size_t)(quote - p->text) + 1;
        size_t slashes = 0;
        while (i - 1 - slashes > from && p->text[i - 2 - slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

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
        i++;
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool skip_value(const struct pruner *p, size_t *at)
{
    const char c = peek(p, *at);
    if (c == '"')
        return skip_string(p, at);
    if (c == '{' || c == '[')
        return skip_container(p, at);
    size_t i = *at;
    while (i < p->len && strchr(",]}: \n\t\r\"[{", p->text[i]) == NULL)
        i++;
    if (i == *at)
        return false;
    *at = i;
    return true;
}

static void put(struct pruner *p, char c)
{
    p->text[p->out++] = c;
}

/* What was not read yet, up to there, stays. */
static void keep(struct pruner *p, size_t until)
{
    if (p->out != p->at)
        memmove(p->text + p->out, p->text + p->at, until - p->at);
    p->out += until - p->at;
    p->at = until;
}

static bool prune_value(struct pruner *p, size_t level);

/* A name with an escape may be any. */
static bool is_wanted(const struct pruner *p, size_t level, struct str name)
{
    return wanted_has(p->wanted, level, name) || str_index(name, '\\') >= 0;
}

/* One member, whose comma is read already but not written where it is not the first that stays; at
 * its name. */
// The depth is at most WANTED_LEVELS.
// NOLINTNEXTLINE(misc-no-recursion)
static bool prune_member(struct pruner *p, size_t from, size_t level, bool *has_one)
{
    size_t end = from;
    if (peek(p, from) != '"' || !skip_string(p, &end))
        return false;
    const struct str name = str_n(p->text + from + 1, end - from - 2);
    const size_t colon = skip_blanks(p, end);
    size_t after = skip_blanks(p, colon + 1);
    if (peek(p, colon) != ':')
        return false;
    if (!is_wanted(p, level, name)) {
        if (!skip_value(p, &after))
            return false;
        p->at = after;
        return true;
    }
    if (*has_one)
        put(p, ',');
    *has_one = true;
    p->at = from;
    keep(p, colon + 1);
    p->at = after;
    return prune_value(p, level + 1);
}

/* p->at, on false, is where the parser will find what is wrong: before the comma of the member. */
// NOLINTNEXTLINE(misc-no-recursion)
static bool prune_object(struct pruner *p, size_t level)
{
    bool has_one = false;
    keep(p, p->at + 1);
    size_t next = skip_blanks(p, p->at);
    for (bool is_first = true; peek(p, next) != '}'; is_first = false) {
        if (!is_first && peek(p, next) != ',')
            return false;
        if (!prune_member(p, is_first ? next : skip_blanks(p, next + 1), level, &has_one))
            return false;
        next = skip_blanks(p, p->at);
    }
    p->at = next;
    keep(p, next + 1);
    return true;
}

// NOLINTNEXTLINE(misc-no-recursion)
static bool prune_list(struct pruner *p, size_t level)
{
    keep(p, p->at + 1);
    p->at = skip_blanks(p, p->at);
    if (peek(p, p->at) != ']') {
        while (prune_value(p, level + 1)) {
            p->at = skip_blanks(p, p->at);
            if (peek(p, p->at) != ',')
                break;
            keep(p, p->at + 1);
            p->at = skip_blanks(p, p->at);
        }
    }
    if (peek(p, p->at) != ']')
        return false;
    keep(p, p->at + 1);
    return true;
}

/* The value at p->at; its members are of that level. */
// NOLINTNEXTLINE(misc-no-recursion)
static bool prune_value(struct pruner *p, size_t level)
{
    const char c = peek(p, p->at);
    if (c == '{' && level < WANTED_LEVELS)
        return prune_object(p, level);
    if (c == '[' && level < WANTED_LEVELS)
        return prune_list(p, level);
    size_t end = p->at;
    if (!skip_value(p, &end))
        return false;
    keep(p, end);
    return true;
}

size_t review_prune(const struct wanted *wanted, char *text, size_t len)
{
    struct pruner p = {.wanted = wanted, .text = text, .len = len};
    p.at = skip_blanks(&p, 0);
    (void)prune_value(&p, 0);
    keep(&p, p.len);
    return p.out;
}
