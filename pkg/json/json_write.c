// SPDX-License-Identifier: Apache-2.0
/*
 * The writer, and printing of parsed values through it. cJSON's own printer is not used: it turns
 * integers of 16 digits into exponents and numbers out of range into null.
 */
#include "json/write.h"
#include "json_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEVEL_ARRAY = 1, LEVEL_OBJECT = 2, LEVEL_HAS_ITEMS = 4, LEVEL_HAS_KEY = 8 };

struct json_writer json_writer_to(struct buf *out)
{
    return (struct json_writer){.out = out};
}

struct json_writer json_writer_pretty(struct buf *out)
{
    return (struct json_writer){.out = out, .is_pretty = true};
}

static void new_line(struct json_writer *w, int depth)
{
    if (!w->is_pretty)
        return;
    buf_append_char(w->out, '\n');
    for (int i = 0; i < depth; i++)
        buf_append(w->out, STR("  "));
}

static void separate(struct json_writer *w)
{
    uint8_t *level = &w->level[w->depth];
    if (*level & LEVEL_HAS_ITEMS)
        buf_append_char(w->out, ',');
    *level |= LEVEL_HAS_ITEMS;
    if (w->depth > 0)
        new_line(w, w->depth);
}

/* May a value stand here? Puts what goes before it. */
static bool before_value(struct json_writer *w)
{
    uint8_t *level = &w->level[w->depth];
    if (w->failed)
        return false;
    if (*level & LEVEL_OBJECT) {
        w->failed = (*level & LEVEL_HAS_KEY) == 0;
        *level &= (uint8_t)~LEVEL_HAS_KEY;
    } else if (w->depth == 0 && (*level & LEVEL_HAS_ITEMS)) {
        w->failed = true; /* a second root */
    } else {
        separate(w);
    }
    return !w->failed;
}

static void begin(struct json_writer *w, uint8_t kind)
{
    if (w->depth == JSON_MAX_DEPTH)
        w->failed = true;
    if (!before_value(w))
        return;
    w->level[++w->depth] = kind;
    buf_append_char(w->out, kind == LEVEL_OBJECT ? '{' : '[');
}

void json_begin_object(struct json_writer *w)
{
    begin(w, LEVEL_OBJECT);
}

void json_begin_array(struct json_writer *w)
{
    begin(w, LEVEL_ARRAY);
}

void json_end(struct json_writer *w)
{
    const uint8_t level = w->level[w->depth];
    if (w->depth == 0 || (level & LEVEL_HAS_KEY))
        w->failed = true;
    if (w->failed)
        return;
    w->depth--;
    if (level & LEVEL_HAS_ITEMS)
        new_line(w, w->depth);
    buf_append_char(w->out, level & LEVEL_OBJECT ? '}' : ']');
}

void json_str(struct json_writer *w, struct str s)
{
    if (!before_value(w))
        return;
    if (str_is_null(s))
        buf_append(w->out, STR("null"));
    else
        json_escape(w->out, s);
}

void json_int(struct json_writer *w, int64_t n)
{
    if (before_value(w))
        buf_printf(w->out, "%" PRId64, n);
}

void json_bool(struct json_writer *w, bool b)
{
    if (before_value(w))
        buf_append_cstr(w->out, b ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    if (before_value(w))
        buf_append(w->out, STR("null"));
}

void json_raw(struct json_writer *w, struct str text)
{
    if (str_is_empty(text))
        w->failed = true;
    if (before_value(w))
        buf_append(w->out, text);
}

void json_key_str(struct json_writer *w, struct str key)
{
    uint8_t *level = &w->level[w->depth];
    if ((*level & LEVEL_OBJECT) == 0 || (*level & LEVEL_HAS_KEY) || str_is_null(key))
        w->failed = true;
    if (w->failed)
        return;
    separate(w);
    *level |= LEVEL_HAS_KEY;
    json_escape(w->out, key);
    buf_append_cstr(w->out, w->is_pretty ? ": " : ":");
}

void json_key_begin_object(struct json_writer *w, const char *key)
{
    json_key_str(w, str_from(key));
    json_begin_object(w);
}

void json_key_begin_array(struct json_writer *w, const char *key)
{
    json_key_str(w, str_from(key));
    json_begin_array(w);
}

void json_put_str(struct json_writer *w, const char *key, struct str s)
{
    json_key_str(w, str_from(key));
    json_str(w, s);
}

void json_put_cstr(struct json_writer *w, const char *key, const char *s)
{
    json_put_str(w, key, str_from(s));
}

void json_put_int(struct json_writer *w, const char *key, int64_t n)
{
    json_key_str(w, str_from(key));
    json_int(w, n);
}

void json_put_bool(struct json_writer *w, const char *key, bool b)
{
    json_key_str(w, str_from(key));
    json_bool(w, b);
}

void json_put_null(struct json_writer *w, const char *key)
{
    json_key_str(w, str_from(key));
    json_null(w);
}

void json_put_value(struct json_writer *w, const char *key, const struct json *v)
{
    json_key_str(w, str_from(key));
    json_value(w, v);
}

void json_put_raw(struct json_writer *w, const char *key, struct str text)
{
    json_key_str(w, str_from(key));
    json_raw(w, text);
}

bool json_write_ok(const struct json_writer *w)
{
    return !w->failed && w->depth == 0 && (w->level[0] & LEVEL_HAS_ITEMS) != 0 && buf_ok(w->out);
}

/* The length of the UTF-8 sequence at the head of s, which is not ASCII; 0 where it is none. */
static size_t sequence_length(struct str s)
{
    const unsigned char c = (unsigned char)s.ptr[0];
    const size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n <= s.len && str_is_utf8(str_n(s.ptr, n)) ? n : 0;
}

static void escape_char(struct buf *out, unsigned char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2)
        if ((unsigned char)letters[i] == c) {
            buf_append_char(out, '\\');
            buf_append_char(out, letters[i + 1]);
            return;
        }
    buf_printf(out, "\\u%04x", c);
}

void json_escape(struct buf *out, struct str s)
{
    buf_append_char(out, '"');
    size_t from = 0; /* of the run that needs no change */
    size_t at = 0;
    while (at < s.len) {
        const unsigned char c = (unsigned char)s.ptr[at];
        const bool is_plain = c >= 0x20 && c != '"' && c != '\\';
        const size_t n = c < 0x80 ? 1 : sequence_length(str_from_offset(s, at));
        if (n > 0 && is_plain) {
            at += n;
            continue;
        }
        buf_append(out, str_n(s.ptr + from, at - from));
        if (n == 0)
            buf_append(out, STR("\xef\xbf\xbd"));
        else
            escape_char(out, c);
        from = ++at;
    }
    if (at > from)
        buf_append(out, str_n(s.ptr + from, at - from));
    buf_append_char(out, '"');
}

static void put_number(struct json_writer *w, const struct json *v)
{
    int64_t whole;
    if (json_i64(v, &whole)) {
        json_int(w, whole);
        return;
    }
    const double d = json_item(v)->valuedouble;
    if (!json_is_exact(v)) {
        w->failed = true;
        return;
    }
    /* the shortest that reads back as the same double; 17 digits always do */
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, d);
        const double back = strtod(text, NULL);
        if (!(back < d) && !(back > d))
            break;
    }
    json_raw(w, str_from(text));
}

static void put_scalar(struct json_writer *w, const struct json *v)
{
    switch (json_type(v)) {
    case JSON_NULL:
        json_null(w);
        break;
    case JSON_BOOL:
        json_bool(w, json_bool_or(v, false));
        break;
    case JSON_NUMBER:
        put_number(w, v);
        break;
    case JSON_STRING:
        json_str(w, json_str_or_null(v));
        break;
    case JSON_ARRAY:
        json_begin_array(w);
        break;
    case JSON_OBJECT:
        json_begin_object(w);
        break;
    }
}

void json_value(struct json_writer *w, const struct json *root)
{
    const struct json *parents[JSON_MAX_DEPTH];
    int depth = 0;
    const struct json *v = root;
    while (!w->failed) {
        if (depth > 0 && json_is_object(parents[depth - 1]))
            json_key_str(w, json_key(v));
        put_scalar(w, v);
        if (json_first(v) != NULL) {
            parents[depth++] = v;
            v = json_first(v);
            continue;
        }
        if (json_is_array(v) || json_is_object(v))
            json_end(w);
        while (depth > 0 && json_next(v) == NULL) {
            v = parents[--depth];
            json_end(w);
        }
        if (depth == 0)
            return;
        v = json_next(v);
    }
}

static void print(struct json_writer *w, const struct json *v)
{
    json_value(w, v);
    if (!json_write_ok(w))
        w->out->failed = true;
}

void json_print(const struct json *v, struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    print(&w, v);
}

void json_print_pretty(const struct json *v, struct buf *out)
{
    struct json_writer w = json_writer_pretty(out);
    print(&w, v);
}
