// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the parts of a registry request that carry meaning: path, ranges, Accept. Pure functions
 * over what anybody may send, so that tables of cases can say what each of them does.
 */
#include "base/num.h"
#include "v2_priv.h"

/* Takes the last segment off *rest ("a/b/c" gives "c" and leaves "a/b"). */
static struct str take_last(struct str *rest)
{
    ptrdiff_t at = str_rindex(*rest, '/');
    struct str last = str_from_offset(*rest, (size_t)(at + 1));
    *rest = str_n(rest->ptr, at < 0 ? 0 : (size_t)at);
    return last;
}

static struct v2_target target(enum v2_kind kind, struct str name, struct str reference)
{
    if (str_is_empty(name))
        return (struct v2_target){.kind = V2_UNKNOWN};
    return (struct v2_target){.kind = kind, .name = name, .reference = reference};
}

struct v2_target v2_parse_path(struct str path)
{
    if (str_eq_cstr(path, "/v2") || str_eq_cstr(path, "/v2/"))
        return (struct v2_target){.kind = V2_BASE};
    if (!str_starts_with(path, STR("/v2/")))
        return (struct v2_target){.kind = V2_UNKNOWN};
    struct str rest = str_from_offset(path, sizeof("/v2/") - 1);
    if (str_eq_cstr(rest, "_catalog"))
        return (struct v2_target){.kind = V2_CATALOG};
    struct str last = take_last(&rest);
    struct str word = take_last(&rest);
    if (str_eq_cstr(word, "tags") && str_eq_cstr(last, "list"))
        return target(V2_TAGS, rest, STR_NULL);
    if (str_eq_cstr(word, "blobs") && str_eq_cstr(last, "uploads"))
        return target(V2_UPLOAD_START, rest, STR_NULL);
    if (str_eq_cstr(word, "uploads")) {
        struct str blobs = take_last(&rest);
        if (!str_eq_cstr(blobs, "blobs"))
            return (struct v2_target){.kind = V2_UNKNOWN};
        return target(str_is_empty(last) ? V2_UPLOAD_START : V2_UPLOAD, rest, last);
    }
    if (str_is_empty(last))
        return (struct v2_target){.kind = V2_UNKNOWN};
    if (str_eq_cstr(word, "manifests"))
        return target(V2_MANIFEST, rest, last);
    if (str_eq_cstr(word, "blobs"))
        return target(V2_BLOB, rest, last);
    if (str_eq_cstr(word, "referrers"))
        return target(V2_REFERRERS, rest, last);
    return (struct v2_target){.kind = V2_UNKNOWN};
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool v2_is_tag(struct str s)
{
    if (s.len == 0 || s.len > V2_TAG_MAX || !is_word_char(s.ptr[0]))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if (!is_word_char(s.ptr[i]) && s.ptr[i] != '.' && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool parse_offset(struct str s, int64_t *ret)
{
    *ret = 0;
    if (s.len == 0 || s.ptr[0] < '0' || s.ptr[0] > '9')
        return false;
    return num_parse_i64(s, ret);
}

bool v2_parse_content_range(struct str s, int64_t *ret_start, int64_t *ret_end)
{
    struct str from;
    struct str to;
    *ret_start = 0;
    *ret_end = 0;
    if (!str_cut(s, '-', &from, &to))
        return false;
    int64_t start;
    int64_t end;
    if (!parse_offset(from, &start) || !parse_offset(to, &end) || end < start)
        return false;
    *ret_start = start;
    *ret_end = end;
    return true;
}

enum v2_range v2_parse_range(struct str header, int64_t size, int64_t *ret_start, int64_t *ret_len)
{
    struct str from;
    struct str to;
    int64_t first = 0;
    int64_t last = size - 1;
    *ret_start = 0;
    *ret_len = size;
    if (!str_starts_with(header, STR("bytes=")) || str_index(header, ',') >= 0 ||
        !str_cut(str_from_offset(header, sizeof("bytes=") - 1), '-', &from, &to))
        return V2_RANGE_ALL;
    if (str_is_empty(from)) {
        /* the last n bytes */
        int64_t n;
        if (!parse_offset(to, &n))
            return V2_RANGE_ALL;
        if (n == 0)
            return V2_RANGE_UNSATISFIABLE;
        first = n < size ? size - n : 0;
    } else {
        if (!parse_offset(from, &first) || (!str_is_empty(to) && !parse_offset(to, &last)) ||
            (!str_is_empty(to) && last < first))
            return V2_RANGE_ALL;
        if (last > size - 1)
            last = size - 1;
    }
    if (first >= size)
        return V2_RANGE_UNSATISFIABLE;
    *ret_start = first;
    *ret_len = last - first + 1;
    return V2_RANGE_PART;
}

struct str v2_media_type(struct str content_type)
{
    struct str type;
    struct str parameters;
    if (str_is_null(content_type))
        return STR_NULL;
    (void)str_cut(content_type, ';', &type, &parameters);
    type = str_trim(type);
    return str_is_empty(type) ? STR_NULL : type;
}

bool v2_accepts(struct str accept, struct str media_type)
{
    struct str part;
    while (str_next(&accept, ',', &part)) {
        struct str type = v2_media_type(part);
        if (str_eq_cstr(type, "*/*") || str_eq_cstr(type, "application/*") ||
            str_eq_nocase(type, media_type))
            return true;
    }
    return false;
}
