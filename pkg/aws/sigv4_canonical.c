// SPDX-License-Identifier: Apache-2.0
/*
 * Canonical path, query and headers of Signature Version 4.
 */
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/http.h"
#include "sigv4_priv.h"

#include <stdbool.h>
#include <stddef.h>

/* Deeper paths are no path that we or an endpoint use. */
enum { SEGMENTS_MAX = 64 };

static bool has_controls(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

bool sigv4_url_split(struct str url, struct sigv4_url *ret, struct err *e)
{
    struct str rest;
    struct str default_port;
    *ret = (struct sigv4_url){0};
    if (url.len >= 8 && str_eq_nocase(str_n(url.ptr, 8), STR("https://"))) {
        rest = str_from_offset(url, 8);
        default_port = STR(":443");
    } else if (url.len >= 7 && str_eq_nocase(str_n(url.ptr, 7), STR("http://"))) {
        rest = str_from_offset(url, 7);
        default_port = STR(":80");
    } else {
        return err_set(e, ERR_INVALID, "InvalidURL", "a URL must begin with https:// or http://");
    }
    if (has_controls(url) || str_index(url, '#') >= 0)
        return err_set(e, ERR_INVALID, "InvalidURL",
                       "a URL must have no control characters and no fragment");
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    struct str authority = str_n(rest.ptr, end);
    if (str_ends_with(authority, default_port))
        authority.len -= default_port.len;
    if (authority.len == 0 || str_index(authority, '@') >= 0)
        return err_set(e, ERR_INVALID, "InvalidURL", "a URL must have a host and no user");
    ret->authority = authority;
    (void)str_cut(str_from_offset(rest, end), '?', &ret->path, &ret->query);
    return true;
}

void sigv4_canonical_path(struct str path, bool is_kept, struct buf *out)
{
    struct str segments[SEGMENTS_MAX];
    size_t count = 0;
    if (path.len == 0) {
        buf_append_char(out, '/');
        return;
    }
    if (is_kept) {
        http_url_encode(out, path, true);
        return;
    }
    struct str rest = path;
    struct str segment;
    while (str_next(&rest, '/', &segment)) {
        if (segment.len == 0 || str_eq(segment, STR(".")))
            continue;
        if (str_eq(segment, STR(".."))) {
            count -= count > 0;
        } else if (count == SEGMENTS_MAX) {
            out->failed = true;
            return;
        } else {
            segments[count++] = segment;
        }
    }
    for (size_t i = 0; i < count; i++) {
        buf_append_char(out, '/');
        http_url_encode(out, segments[i], false);
    }
    if (count == 0 || path.ptr[path.len - 1] == '/')
        buf_append_char(out, '/');
}

struct pair {
    struct str name;
    struct str value;
};

static bool is_after(const struct pair *a, const struct pair *b, bool has_value_order)
{
    int order = str_cmp(a->name, b->name);
    return order > 0 || (order == 0 && has_value_order && str_cmp(a->value, b->value) > 0);
}

/* Stable; the counts are small. */
static void sort_pairs(struct pair *p, size_t count, bool has_value_order)
{
    for (size_t i = 1; i < count; i++) {
        struct pair moved = p[i];
        size_t at = i;
        for (; at > 0 && is_after(&p[at - 1], &moved, has_value_order); at--)
            p[at] = p[at - 1];
        p[at] = moved;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded ('%' that begins no escape stands for itself) and encoded in the one way. */
static struct str encode_anew(struct str s, struct arena *a)
{
    struct buf plain BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX);
    struct buf encoded BERTH_CLEANUP(buf_fini) = BUF_INIT(AWS_SIGV4_CANONICAL_MAX);
    for (size_t i = 0; i < s.len; i++) {
        int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;
        if (low >= 0) {
            buf_append_char(&plain, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_append_char(&plain, s.ptr[i]);
        }
    }
    http_url_encode(&encoded, buf_str(&plain), false);
    return buf_ok(&plain) && buf_ok(&encoded) ? arena_copy(a, buf_str(&encoded)) : STR_NULL;
}

bool sigv4_canonical_query(struct str query, struct arena *a, struct buf *out, struct err *e)
{
    struct pair *pairs = arena_new_array(a, struct pair, AWS_SIGV4_QUERY_MAX);
    size_t count = 0;
    struct str part;
    while (str_next(&query, '&', &part)) {
        struct str name;
        struct str value;
        if (part.len == 0)
            continue;
        if (count == AWS_SIGV4_QUERY_MAX)
            return err_set(e, ERR_INVALID, "InvalidURL", "a URL must have at most %d parameters",
                           AWS_SIGV4_QUERY_MAX);
        (void)str_cut(part, '=', &name, &value);
        pairs[count++] = (struct pair){encode_anew(name, a), encode_anew(value, a)};
    }
    sort_pairs(pairs, count, true);
    for (size_t i = 0; i < count; i++) {
        out->failed = out->failed || str_is_null(pairs[i].name) || str_is_null(pairs[i].value);
        if (i > 0)
            buf_append_char(out, '&');
        buf_append(out, pairs[i].name);
        buf_append_char(out, '=');
        buf_append(out, pairs[i].value);
    }
    return true;
}

bool sigv4_is_unsigned(struct str name)
{
    static const char *const names[] = {
        "authorization", "connection", "expect",     "keep-alive",        "te",
        "trailer",       "upgrade",    "user-agent", "transfer-encoding", "x-amzn-trace-id",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq_nocase(name, str_from(names[i])))
            return true;
    return name.len >= 6 && str_eq_nocase(str_n(name.ptr, 6), STR("proxy-"));
}

static struct str lower(struct str s, struct arena *a)
{
    char *text = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        text[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i];
    return str_n(text, s.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The value without blanks at its ends, and one blank for several inside. */
static void append_value(struct buf *out, struct str value)
{
    bool is_pending = false;
    value = str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (is_blank(value.ptr[i])) {
            is_pending = true;
            continue;
        }
        if (is_pending)
            buf_append_char(out, ' ');
        is_pending = false;
        buf_append_char(out, value.ptr[i]);
    }
}

static bool has_line_break(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
            return true;
    return false;
}

bool sigv4_canonical_headers(const struct http_header *headers, size_t count, struct arena *a,
                             struct buf *lines, struct buf *names, struct err *e)
{
    struct pair *pairs = arena_new_array(a, struct pair, count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct str name = headers[i].name;
        if (name.len == 0 || has_line_break(name) || has_line_break(headers[i].value))
            return err_set(e, ERR_INVALID, "InvalidHeader",
                           "a header must have a name and no line breaks");
        if (!sigv4_is_unsigned(name))
            pairs[kept++] = (struct pair){lower(name, a), headers[i].value};
    }
    sort_pairs(pairs, kept, false);
    for (size_t i = 0; i < kept; i++) {
        bool is_same = i > 0 && str_eq(pairs[i].name, pairs[i - 1].name);
        if (is_same) {
            buf_append_char(lines, ',');
        } else {
            if (i > 0)
                buf_append_char(lines, '\n');
            buf_append(lines, pairs[i].name);
            buf_append_char(lines, ':');
            if (i > 0)
                buf_append_char(names, ';');
            buf_append(names, pairs[i].name);
        }
        append_value(lines, pairs[i].value);
    }
    buf_append_char(lines, '\n');
    return true;
}
