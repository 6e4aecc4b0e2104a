// SPDX-License-Identifier: Apache-2.0
/*
 * What a peer says about its request, read more strictly than libwebsockets does: it reads a length
 * with atoll(), and joins headers that come twice with commas.
 */
#include "base/num.h"
#include "server_priv.h"

enum { LENGTH_DIGITS = 18, VALUE_MAX = 128 };

/* The value as text[VALUE_MAX]; *ret is absent where there is no such header. False: too long. */
static bool read_value(struct lws *wsi, enum lws_token_indexes token, char *text, struct str *ret)
{
    *ret = STR_NULL;
    if (lws_hdr_total_length(wsi, token) <= 0)
        return true;
    const int n = lws_hdr_copy(wsi, text, VALUE_MAX, token);
    if (n < 0)
        return false;
    *ret = str_trim(str_n(text, (size_t)n));
    return true;
}

bool web_header_has_body(struct lws *wsi)
{
    char text[VALUE_MAX];
    struct str length;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return true;
    return !read_value(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, &length) ||
           !(str_is_null(length) || str_eq(length, STR("0")));
}

enum web_length web_header_length(struct lws *wsi, uint64_t *ret)
{
    *ret = 0;
    char text[VALUE_MAX];
    struct str length;
    if (!read_value(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, &length))
        return WEB_LENGTH_WRONG;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return str_is_null(length) ? WEB_LENGTH_ABSENT : WEB_LENGTH_WRONG;
    if (str_is_null(length))
        return WEB_LENGTH_ABSENT;
    /* num_parse_u64() takes digits only */
    return length.len <= LENGTH_DIGITS && num_parse_u64(length, ret) ? WEB_LENGTH_OK
                                                                     : WEB_LENGTH_WRONG;
}

bool web_header_is_json(struct lws *wsi)
{
    char text[VALUE_MAX];
    struct str type;
    struct str parameters;
    if (!read_value(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, text, &type) || str_is_null(type))
        return false;
    (void)str_cut(type, ';', &type, &parameters);
    return str_eq_nocase(str_trim(type), STR("application/json"));
}

enum web_expect web_header_expect(struct lws *wsi)
{
    char text[VALUE_MAX];
    struct str expect;
    if (!read_value(wsi, WSI_TOKEN_HTTP_EXPECT, text, &expect))
        return WEB_EXPECT_OTHER;
    if (str_is_null(expect))
        return WEB_EXPECT_NOTHING;
    return str_eq_nocase(expect, STR("100-continue")) ? WEB_EXPECT_CONTINUE : WEB_EXPECT_OTHER;
}

bool web_header_is_last(struct lws *wsi)
{
    char text[VALUE_MAX];
    struct str rest;
    struct str option;
    if (!read_value(wsi, WSI_TOKEN_HTTP, text, &rest) || !str_eq(rest, STR("HTTP/1.1")))
        return true;
    if (!read_value(wsi, WSI_TOKEN_CONNECTION, text, &rest))
        return true;
    while (str_next(&rest, ',', &option))
        if (str_eq_nocase(str_trim(option), STR("close")))
            return true;
    return false;
}

/* lws 4.1.6: lws_hdr_copy() joins the parts of a query with commas */
struct str web_header_query(struct lws *wsi, char *text)
{
    size_t len = 0;
    for (int i = 0; len + 1 < WEB_QUERY_MAX; i++) {
        const int n = lws_hdr_copy_fragment(wsi, text + len, (int)(WEB_QUERY_MAX - len),
                                            WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0)
            break;
        len += (size_t)n;
        text[len++] = '&';
    }
    return len > 1 ? str_n(text, len - 1) : STR_NULL;
}
