// SPDX-License-Identifier: Apache-2.0
/*
 * JSON as block YAML that people read in reviews: plain words where YAML has no other reading of
 * them, folded blocks for long text, double quotes (whose escapes are JSON's) for the rest.
 */
#include "base/num.h"
#include "json/json.h"
#include "json/write.h"
#include "schema/kind.h"

enum { LINE_COLUMNS = 98, FOLD_FROM = 72 };

static void indent(struct buf *out, int columns)
{
    for (int i = 0; i < columns; i++)
        buf_append_char(out, ' ');
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words that YAML 1.1 or 1.2 reads as booleans, null or numbers. */
static bool is_reserved(struct str s)
{
    static const char *const words[] = {"true", "false", "null", "yes",  "no",  "on",
                                        "off",  "y",     "n",    ".inf", ".nan"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_eq_nocase(s, str_from(words[i])))
            return true;
    return false;
}

/* A letter first (or a dot and a letter), then printable ASCII in which nothing can be taken for a
 * key or a comment. */
static bool is_plain(struct str s)
{
    size_t first = s.len > 1 && s.ptr[0] == '.';
    if (s.len == 0 || !is_alpha(s.ptr[first]) || s.ptr[s.len - 1] == ' ' || is_reserved(s))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_double_space = c == ' ' && s.ptr[i + 1] == ' ';
        if (c < ' ' || c > '~' || c == ':' || c == '#' || is_double_space)
            return false;
    }
    return true;
}

/* Words between single spaces and nothing that a folded block would change. */
static bool can_fold(struct str s)
{
    if (s.len < FOLD_FROM || s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7f || (c == ' ' && s.ptr[i + 1] == ' '))
            return false;
    }
    return true;
}

static void write_folded(struct str s, int depth, struct buf *out)
{
    struct str word;
    size_t column = 0;
    buf_append_cstr(out, ">-");
    while (str_next(&s, ' ', &word)) {
        if (column == 0 || column + 1 + word.len > LINE_COLUMNS) {
            buf_append_char(out, '\n');
            indent(out, depth);
            column = (size_t)depth;
        } else {
            buf_append_char(out, ' ');
            column++;
        }
        buf_append(out, word);
        column += word.len;
    }
}

static void write_string(struct str s, int depth, struct buf *out)
{
    if (can_fold(s))
        write_folded(s, depth, out);
    else if (is_plain(s))
        buf_append(out, s);
    else
        json_escape(out, s);
}

static void write_children(const struct json *v, int depth, bool is_inline, struct buf *out);

/* After "key:" or "-". */
static void write_value(const struct json *v, int depth, bool is_element, struct buf *out)
{
    bool is_container = json_is_object(v) || json_is_array(v);
    if (is_container && json_count(v) > 0) {
        if (is_element) {
            buf_append_char(out, ' ');
            write_children(v, depth, true, out);
        } else {
            buf_append_char(out, '\n');
            write_children(v, depth, false, out);
        }
        return;
    }
    buf_append_char(out, ' ');
    if (json_is_string(v))
        write_string(json_str_or_null(v), depth, out);
    else
        json_print(v, out);
    buf_append_char(out, '\n');
}

/* is_inline: the first child continues the line that is open. */
static void write_children(const struct json *v, int depth, bool is_inline, struct buf *out)
{
    for (const struct json *it = json_first(v); it != NULL; it = json_next(it)) {
        if (!is_inline)
            indent(out, depth);
        is_inline = false;
        if (json_is_array(v)) {
            buf_append_char(out, '-');
            write_value(it, depth + 2, true, out);
            continue;
        }
        write_string(json_key(it), depth, out);
        buf_append_char(out, ':');
        write_value(it, depth + 2, false, out);
    }
}

void schema_json_to_yaml(const struct json *v, struct buf *out)
{
    if ((json_is_object(v) || json_is_array(v)) && json_count(v) > 0) {
        write_children(v, 0, false, out);
        return;
    }
    json_print(v, out);
    buf_append_char(out, '\n');
}
