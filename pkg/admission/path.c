// SPDX-License-Identifier: Apache-2.0
/*
 * Compiling paths and texts. A text is cut at its braces; a path is read step by step. Messages
 * name the column, because people write these in a configuration file.
 */
#include "base/num.h"
#include "path_priv.h"

#include <string.h>

struct reader {
    struct str text;
    size_t at;
    struct arena *arena;
};

static bool fail(const struct reader *r, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID, "InvalidPath", "\"%.*s\", column %zu: %s", STR_ARG(r->text),
                   r->at + 1, why);
}

static bool is_end(const struct reader *r)
{
    return r->at >= r->text.len;
}

static char peek(const struct reader *r)
{
    return is_end(r) ? '\0' : r->text.ptr[r->at];
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static struct str read_name(struct reader *r)
{
    const size_t from = r->at;
    while (!is_end(r) && is_name_char(peek(r)))
        r->at++;
    return str_n(r->text.ptr + from, r->at - from);
}

/* 'text' */
static bool read_quoted(struct reader *r, struct str *ret, struct err *e)
{
    const size_t from = ++r->at;
    while (!is_end(r) && peek(r) != '\'')
        r->at++;
    if (is_end(r))
        return fail(r, "the quote is not closed", e);
    *ret = str_n(r->text.ptr + from, r->at - from);
    r->at++;
    return ret->len > 0 || fail(r, "the name is empty", e);
}

static bool read_match(struct reader *r, struct str name, struct step *ret, struct err *e)
{
    r->at++; /* = */
    struct str value;
    if (peek(r) == '\'') {
        if (!read_quoted(r, &value, e))
            return false;
    } else {
        value = read_name(r);
        if (value.len == 0)
            return fail(r,
                        "a value must follow; quote it ('…') where it has other characters "
                        "than letters, digits, _ and -",
                        e);
    }
    *ret = (struct step){.kind = STEP_MATCH, .name = name, .value = value};
    return true;
}

static bool read_bracket(struct reader *r, struct step *ret, struct err *e)
{
    r->at++; /* [ */
    if (peek(r) == '*') {
        r->at++;
        *ret = (struct step){.kind = STEP_ALL};
    } else if (peek(r) == '\'') {
        *ret = (struct step){.kind = STEP_MEMBER};
        if (!read_quoted(r, &ret->name, e))
            return false;
    } else {
        const struct str name = read_name(r);
        uint64_t index = 0;
        if (name.len == 0)
            return fail(r, "in brackets must be *, a number, 'a name' or name=value", e);
        if (peek(r) == '=') {
            if (!read_match(r, name, ret, e))
                return false;
        } else if (num_parse_u64(name, &index) && index <= UINT16_MAX) {
            *ret = (struct step){.kind = STEP_INDEX, .index = (size_t)index};
        } else {
            return fail(r, "in brackets must be *, a number, 'a name' or name=value", e);
        }
    }
    if (peek(r) != ']')
        return fail(r, "] is missing", e);
    r->at++;
    return true;
}

static bool read_step(struct reader *r, struct step *ret, struct err *e)
{
    if (peek(r) == '[')
        return read_bracket(r, ret, e);
    if (peek(r) != '.')
        return fail(r, "a path goes on with . or [", e);
    r->at++;
    *ret = (struct step){.kind = STEP_MEMBER, .name = read_name(r)};
    return ret->name.len > 0 || fail(r,
                                     "a name must follow the dot; write ['…'] where it has other "
                                     "characters than letters, digits, _ and -",
                                     e);
}

/* Up to the end of the text, or to a closing brace. */
static bool read_path(struct reader *r, bool is_braced, struct path *ret, struct err *e)
{
    *ret = (struct path){.steps = arena_new_array(r->arena, struct step, ADMISSION_STEPS_MAX)};
    while (!is_end(r) && !(is_braced && peek(r) == '}')) {
        if (ret->count == ADMISSION_STEPS_MAX)
            return fail(r, "the path has too many steps", e);
        struct step *step = &ret->steps[ret->count];
        if (!read_step(r, step, e))
            return false;
        ret->is_many = ret->is_many || step->kind == STEP_ALL || step->kind == STEP_MATCH;
        ret->count++;
    }
    return ret->count > 0 || fail(r, "the path is empty", e);
}

static bool read_braces(struct reader *r, struct piece *ret, struct err *e)
{
    const struct str registry = STR("{registry}");
    const struct str rest = str_from_offset(r->text, r->at);
    if (str_starts_with(rest, registry)) {
        *ret = (struct piece){.kind = PIECE_REGISTRY};
        r->at += registry.len;
        return true;
    }
    r->at++;
    if (peek(r) != '.' && peek(r) != '[')
        return fail(r, "in braces must be registry, or a path that begins with .", e);
    *ret = (struct piece){.kind = PIECE_PATH};
    if (!read_path(r, true, &ret->path, e))
        return false;
    if (peek(r) != '}')
        return fail(r, "} is missing", e);
    if (ret->path.is_many)
        return fail(r, "a path inside a text leads to one value: no [*] and no [name=value]", e);
    r->at++;
    return true;
}

static void read_literal(struct reader *r, struct piece *ret)
{
    const size_t from = r->at;
    while (!is_end(r) && peek(r) != '{' && peek(r) != '}')
        r->at++;
    *ret = (struct piece){.literal = str_n(r->text.ptr + from, r->at - from)};
}

static bool read_text(struct reader *r, struct expression *ret, struct err *e)
{
    ret->is_text = true;
    ret->pieces = arena_new_array(r->arena, struct piece, ADMISSION_STEPS_MAX);
    bool has_path = false;
    while (!is_end(r)) {
        if (ret->count == ADMISSION_STEPS_MAX)
            return fail(r, "the text has too many parts", e);
        struct piece *piece = &ret->pieces[ret->count++];
        if (peek(r) == '}')
            return fail(r, "} without {", e);
        if (peek(r) == '{') {
            if (!read_braces(r, piece, e))
                return false;
        } else {
            read_literal(r, piece);
        }
        has_path = has_path || piece->kind == PIECE_PATH;
    }
    return has_path || fail(r,
                            "must be a path that begins with ., or a text with a path in "
                            "braces: {.metadata.name}",
                            e);
}

bool expression_compile(struct str text, struct arena *a, struct expression *ret, struct err *e)
{
    *ret = (struct expression){0};
    if (str_is_empty(text) || text.len > ADMISSION_PATH_MAX)
        return err_set(e, ERR_INVALID, "InvalidPath", "a path must have 1 to %d characters",
                       ADMISSION_PATH_MAX);
    struct reader r = {.text = arena_copy(a, text), .arena = a};
    if (peek(&r) != '.' && peek(&r) != '[')
        return read_text(&r, ret, e);
    ret->pieces = arena_new(a, struct piece);
    ret->pieces[0].kind = PIECE_PATH;
    ret->count = 1;
    return read_path(&r, false, &ret->pieces[0].path, e);
}

bool admission_path_check(struct str path, struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct expression x;
    return expression_compile(path, &a, &x, e);
}
