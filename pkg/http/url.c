// SPDX-License-Identifier: Apache-2.0
/*
 * URLs: encoding parts of them, and taking apart the ones that callers built. They are checked
 * here and sent as they are, because a signature covers each byte of them and libcurl would
 * otherwise guess schemes and mend what it finds.
 */
#include "http_priv.h"

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void http_url_encode(struct buf *out, struct str s, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF"; /* RFC 3986, 2.1: upper case */
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
            (keep_slash && c == '/')) {
            buf_append_char(out, c);
        } else {
            const char text[3] = {'%', digits[(unsigned char)c >> 4],
                                  digits[(unsigned char)c & 15]};
            buf_append_bytes(out, text, sizeof(text));
        }
    }
}

static bool is_port(struct str s)
{
    unsigned port = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || i >= 5)
            return false;
        port = port * 10 + (unsigned)(s.ptr[i] - '0');
    }
    return port > 0 && port <= 65535;
}

/* A name or IPv4 address, or an IPv6 address in brackets; libcurl looks closer. */
static bool is_host(struct str s)
{
    bool is_v6 = s.len > 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']';
    if (is_v6)
        s = str_n(s.ptr + 1, s.len - 2);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_alnum(c) && c != '.' && (is_v6 ? c != ':' && c != '%' : c != '-' && c != '_'))
            return false;
    }
    return s.len > 0;
}

bool http_url_split(struct str url, struct http_url_parts *ret)
{
    *ret = (struct http_url_parts){0};
    if (url.len > HTTP_MAX_URL_BYTES)
        return false;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] > '~' || url.ptr[i] == '#')
            return false;
    struct http_url_parts parts = {.is_https = str_starts_with(url, STR("https://"))};
    if (!parts.is_https && !str_starts_with(url, STR("http://")))
        return false;
    struct str rest = str_from_offset(url, parts.is_https ? 8 : 7);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    parts.rest = str_from_offset(rest, end);
    struct str authority = str_n(rest.ptr, end);
    ptrdiff_t colon = str_rindex(authority, ':');
    if (colon >= 0 && colon > str_rindex(authority, ']')) {
        parts.host = str_n(authority.ptr, (size_t)colon);
        parts.port = str_from_offset(authority, (size_t)colon + 1);
        if (!is_port(parts.port))
            return false;
    } else {
        parts.host = authority;
    }
    if (!is_host(parts.host))
        return false;
    *ret = parts;
    return true;
}

struct str http_url_default_port(const struct http_url_parts *parts)
{
    return parts->is_https ? STR("443") : STR("80");
}
