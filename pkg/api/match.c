// SPDX-License-Identifier: Apache-2.0
/*
 * The patterns of api_priv.h by hand. The CRD's patterns are RE2, which the C library's regcomp()
 * is not; a test compares each of these functions with its pattern.
 */
#include "api_priv.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_alnum(char c)
{
    return is_lower(c) || is_upper(c) || is_digit(c);
}
static bool is_lower_alnum(char c)
{
    return is_lower(c) || is_digit(c);
}

static bool all(struct str s, bool (*is)(char c))
{
    for (size_t i = 0; i < s.len; i++)
        if (!is(s.ptr[i]))
            return false;
    return s.len > 0;
}

bool api_region_matches(struct str s)
{
    struct str part;
    size_t words = 0;
    bool has_number = false;
    if (str_is_empty(s) || s.ptr[s.len - 1] == '-')
        return false;
    while (str_next(&s, '-', &part)) {
        if (has_number)
            return false;
        if (all(part, is_lower))
            words++;
        else if (words >= 2 && all(part, is_digit))
            has_number = true;
        else
            return false;
    }
    return has_number;
}

/* [-a-z0-9]* between letters or digits, with more: characters that may stand inside. */
static bool is_word(struct str s, bool (*is_edge)(char c), const char *inside)
{
    if (s.len == 0 || !is_edge(s.ptr[0]) || !is_edge(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_edge(s.ptr[i]) && (s.ptr[i] == '\0' || strchr(inside, s.ptr[i]) == NULL))
            return false;
    return true;
}

bool api_name_matches(struct str s)
{
    struct str part;
    if (str_is_empty(s) || s.ptr[s.len - 1] == '.')
        return false;
    while (str_next(&s, '.', &part))
        if (!is_word(part, is_lower_alnum, "-"))
            return false;
    return true;
}

bool api_condition_type_matches(struct str s)
{
    ptrdiff_t slash = str_index(s, '/');
    if (slash >= 0) {
        if (!api_name_matches(str_n(s.ptr, (size_t)slash)))
            return false;
        s = str_from_offset(s, (size_t)slash + 1);
    }
    return is_word(s, is_alnum, "-_.");
}

bool api_reason_matches(struct str s)
{
    if (s.len == 0 || is_digit(s.ptr[0]) || !is_alnum(s.ptr[0]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_inner = c == ',' || c == ':';
        if (!is_alnum(c) && c != '_' && !(is_inner && i + 1 < s.len))
            return false;
    }
    return true;
}

static bool is_address_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

/* Splits "host:port/" after the scheme; false where port or tail are wrong. */
static bool split_authority(struct str s, struct str *host)
{
    struct str port;
    if (str_ends_with(s, STR("/")))
        s.len--;
    *host = s;
    ptrdiff_t colon = str_rindex(s, ':');
    /* the colons of an IPv6 address lie inside its brackets */
    if (colon < 0 || str_rindex(s, ']') > colon)
        return s.len > 0;
    *host = str_n(s.ptr, (size_t)colon);
    port = str_from_offset(s, (size_t)colon + 1);
    return host->len > 0 && port.len <= 5 && all(port, is_digit);
}

static bool cut_scheme(struct str *s, struct str scheme)
{
    if (!str_starts_with(*s, scheme))
        return false;
    *s = str_from_offset(*s, scheme.len);
    return true;
}

bool api_endpoint_matches(struct str s)
{
    struct str host;
    if ((!cut_scheme(&s, STR("https://")) && !cut_scheme(&s, STR("http://"))) ||
        !split_authority(s, &host))
        return false;
    if (host.ptr[0] == '[')
        return host.len > 2 && host.ptr[host.len - 1] == ']' &&
               all(str_n(host.ptr + 1, host.len - 2), is_address_char);
    return is_word(host, is_alnum, ".-");
}

bool api_loopback_matches(struct str s)
{
    struct str host;
    struct str part;
    int parts = 0;
    if (!cut_scheme(&s, STR("http://")) || !split_authority(s, &host))
        return false;
    if (str_eq(host, STR("localhost")) || str_eq(host, STR("[::1]")))
        return true;
    if (!str_starts_with(host, STR("127.")) || host.ptr[host.len - 1] == '.')
        return false;
    for (; str_next(&host, '.', &part); parts++)
        if (part.len > 3 || !all(part, is_digit))
            return false;
    return parts == 4;
}
