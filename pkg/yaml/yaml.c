// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_parse(): libyaml's events to a tree with positions, with an explicit stack. libyaml itself
 * limits no depth, resolves no types and keeps duplicate keys; what is refused here is in the
 * header. Its document API is not used: it expands aliases.
 */
#include "yaml/yaml.h"

#include "base/buf.h"

#include <yaml.h>

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { YAML_SMALL_MAP = 16 };

struct frame {
    struct yaml *node;
    struct yaml *last;    /* child */
    struct yaml *pending; /* in a map: made when its key was read, waits for its value */
    size_t count;
};

struct builder {
    struct arena *arena;
    struct err *e;
    struct yaml *root;
    struct frame frames[YAML_MAX_DEPTH];
    int depth;
    int documents;
    bool is_finished;
};

static bool fail_at(struct err *e, size_t line, size_t column, const char *fmt, ...)
    BERTH_PRINTF(4, 5);

static bool fail_at(struct err *e, size_t line, size_t column, const char *fmt, ...)
{
    struct buf problem BERTH_CLEANUP(buf_fini) = BUF_INIT(ERR_MSG_MAX);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&problem, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "InvalidYAML", "line %zu, column %zu: %s", line, column,
                   buf_cstr(&problem));
}

static bool fail_event(struct builder *b, const yaml_event_t *event, const char *problem)
{
    return fail_at(b->e, event->start_mark.line + 1, event->start_mark.column + 1, "%s", problem);
}

static bool fail_reader(const yaml_parser_t *parser, struct str text, struct err *e)
{
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < parser->problem_offset && i < text.len; i++)
        if (text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    return fail_at(e, line, parser->problem_offset - line_start + 1, "%s", parser->problem);
}

static bool fail_parser(const yaml_parser_t *parser, struct str text, struct err *e)
{
    if (parser->error == YAML_MEMORY_ERROR || parser->problem == NULL)
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory while reading yaml");
    if (parser->error == YAML_READER_ERROR)
        return fail_reader(parser, text, e);
    const yaml_mark_t *at = &parser->problem_mark;
    if (parser->context == NULL)
        return fail_at(e, at->line + 1, at->column + 1, "%s", parser->problem);
    return fail_at(e, at->line + 1, at->column + 1, "%s %s that begins at line %zu",
                   parser->problem, parser->context, parser->context_mark.line + 1);
}

static struct yaml *new_node(struct builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
    struct yaml *node = arena_new(b->arena, struct yaml);
    node->kind = kind;
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    return node;
}

static bool check_properties(struct builder *b, const yaml_event_t *event,
                             const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fail_event(b, event, "anchors (&name) are not supported");
    const bool is_scalar = event->type == YAML_SCALAR_EVENT;
    if (tag != NULL && !(is_scalar && str_eq_cstr(str_from((const char *)tag), YAML_STR_TAG)))
        return fail_event(b, event, "tags other than !!str are not supported");
    return true;
}

static void append_child(struct frame *f, struct yaml *child)
{
    if (f->last == NULL)
        f->node->first = child;
    else
        f->last->next = child;
    f->last = child;
    f->count++;
}

/* Where a value goes: into the member whose key was read, after the last element, or the root. */
static struct yaml *place(struct builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
    struct yaml *node = new_node(b, kind, event);
    if (b->depth == 0) {
        b->root = node;
        return node;
    }
    struct frame *f = &b->frames[b->depth - 1];
    assert(f->node != NULL);
    if (f->node->kind == YAML_MAP) {
        node->key = f->pending->key;
        node->key_line = f->pending->line;
        node->key_column = f->pending->column;
        f->pending = NULL;
    }
    append_child(f, node);
    return node;
}

static bool wants_key(const struct builder *b)
{
    const struct frame *f = b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
    return f != NULL && f->node->kind == YAML_MAP && f->pending == NULL;
}

static bool take_key(struct builder *b, const yaml_event_t *event, struct str text, bool is_plain)
{
    if (is_plain && str_eq(text, STR("<<")))
        return fail_event(b, event, "merge keys (<<) are not supported");
    if (is_plain && (str_is_empty(text) || str_eq(text, STR("~"))))
        return fail_event(b, event, "a key must be a text");
    struct yaml *pending = new_node(b, YAML_SCALAR, event);
    pending->key = arena_copy(b->arena, text);
    b->frames[b->depth - 1].pending = pending;
    return true;
}

static bool take_scalar(struct builder *b, const yaml_event_t *event)
{
    if (!check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag))
        return false;
    const struct str text =
        str_n((const char *)event->data.scalar.value, event->data.scalar.length);
    if (memchr(text.ptr, '\0', text.len) != NULL)
        return fail_event(b, event, "NUL (\\0) in a text");
    const bool is_plain =
        event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.tag == NULL;
    if (wants_key(b))
        return take_key(b, event, text, is_plain);
    struct yaml *node = place(b, YAML_SCALAR, event);
    node->is_plain = is_plain;
    node->scalar = arena_copy(b->arena, text);
    return true;
}

static bool open_collection(struct builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
    if (wants_key(b))
        return fail_event(b, event, "a key must be a text");
    if (b->depth == YAML_MAX_DEPTH)
        return fail_at(b->e, event->start_mark.line + 1, event->start_mark.column + 1,
                       "more than %d levels", YAML_MAX_DEPTH);
    struct yaml *node = place(b, kind, event);
    b->frames[b->depth++] = (struct frame){.node = node};
    return true;
}

static bool fail_duplicate(struct builder *b, const struct yaml *first, const struct yaml *again)
{
    const struct str key = str_cut_utf8(again->key, 128);
    return fail_at(b->e, (size_t)again->key_line, (size_t)again->key_column,
                   "duplicate key \"%.*s\" (first at line %d)", STR_ARG(key), first->key_line);
}

static int compare_members(const void *x, const void *y)
{
    const struct yaml *a = *(const struct yaml *const *)x;
    const struct yaml *b = *(const struct yaml *const *)y;
    const int order = str_cmp(a->key, b->key);
    if (order != 0)
        return order;
    return a->key_line != b->key_line ? a->key_line - b->key_line : a->key_column - b->key_column;
}

/* Sorting keeps big maps from costing the square of their size. */
static bool check_big_map(struct builder *b, const struct yaml *map, size_t count)
{
    const struct yaml **members = arena_new_array(b->arena, const struct yaml *, count);
    size_t n = 0;
    for (const struct yaml *it = map->first; it != NULL; it = it->next)
        members[n++] = it;
    qsort(members, n, sizeof(*members), compare_members);
    for (size_t i = 1; i < n; i++)
        if (str_eq(members[i - 1]->key, members[i]->key))
            return fail_duplicate(b, members[i - 1], members[i]);
    return true;
}

static bool close_map(struct builder *b)
{
    const struct frame *f = &b->frames[--b->depth];
    assert(f->node != NULL);
    if (f->count > YAML_SMALL_MAP)
        return check_big_map(b, f->node, f->count);
    for (const struct yaml *it = f->node->first; it != NULL; it = it->next)
        for (const struct yaml *later = it->next; later != NULL; later = later->next)
            if (str_eq(it->key, later->key))
                return fail_duplicate(b, it, later);
    return true;
}

static bool take_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    case YAML_STREAM_END_EVENT:
        b->is_finished = true;
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ > 0)
            return fail_event(b, event, "a second document is not supported");
        return true;
    case YAML_ALIAS_EVENT:
        return fail_event(b, event, "aliases (*name) are not supported");
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return check_properties(b, event, event->data.sequence_start.anchor,
                                event->data.sequence_start.tag) &&
               open_collection(b, YAML_LIST, event);
    case YAML_MAPPING_START_EVENT:
        return check_properties(b, event, event->data.mapping_start.anchor,
                                event->data.mapping_start.tag) &&
               open_collection(b, YAML_MAP, event);
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return true;
    case YAML_MAPPING_END_EVENT:
        return close_map(b);
    }
    return fail_event(b, event, "unknown event");
}

static bool build(struct builder *b, yaml_parser_t *parser, struct str text)
{
    while (!b->is_finished) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0)
            return fail_parser(parser, text, b->e);
        const bool ok = take_event(b, &event);
        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return true;
}

static const struct yaml *root_of(struct builder *b)
{
    if (b->root != NULL && !yaml_is_null(b->root))
        return b->root;
    struct yaml *empty = arena_new(b->arena, struct yaml);
    *empty = (struct yaml){.kind = YAML_MAP, .line = 1, .column = 1};
    return empty;
}

bool yaml_parse(struct str text, size_t max_bytes, struct arena *a, const struct yaml **ret,
                struct err *e)
{
    *ret = NULL;
    if (text.len > max_bytes || text.len > INT32_MAX) /* libyaml 0.2.5: sizes are ints inside */
        return err_set(e, ERR_INVALID, "TooLarge", "%zu bytes are over the limit of %zu bytes",
                       text.len, max_bytes);
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0)
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory while reading yaml");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING); /* or a BOM chooses UTF-16 */
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    struct builder b = {.arena = a, .e = e};
    const bool ok = build(&b, &parser, text);
    yaml_parser_delete(&parser);
    if (ok)
        *ret = root_of(&b);
    return ok;
}
