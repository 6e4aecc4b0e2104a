// SPDX-License-Identifier: Apache-2.0
/*
 * The headers of an answer: collected line by line under limits, and handed out as a table. Only
 * those of the final answer count: each status line starts anew (100 Continue, 103 Early Hints),
 * and trailers after the body are passed over.
 */
#include "base/clock.h"
#include "http_priv.h"

struct str http_header_get(const struct http_response *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_eq_nocase(r->headers[i].name, str_from(name)))
            return r->headers[i].value;
    return STR_NULL;
}

static int status_of(struct str line)
{
    struct str version, rest;
    if (!str_cut(line, ' ', &version, &rest) || rest.len < 3)
        return 0;
    int status = 0;
    for (size_t i = 0; i < 3; i++) {
        if (rest.ptr[i] < '0' || rest.ptr[i] > '9')
            return 0;
        status = status * 10 + (rest.ptr[i] - '0');
    }
    return status;
}

/* The blank line. False ends the exchange. */
static bool on_head_end(struct http_exchange *x)
{
    if (x->status >= 100 && x->status < 200)
        return true;
    x->is_head_done = true;
    if (x->ops == NULL)
        return true;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct http_response r;
    http_exchange_response(x, &a, &r);
    if (x->ops->on_response(x->ops_arg, &r))
        return true;
    x->end = HTTP_EXCHANGE_STOPPED;
    return false;
}

size_t http_exchange_on_header(char *p, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    size_t n = size * count;
    struct str line = str_n(p, n);
    x->last_received_mono_ms = clock_mono_ms(clock_system());
    if (x->is_head_done)
        return n;
    if (str_starts_with(line, STR("HTTP/"))) {
        x->status = status_of(line);
        x->head_count = 0;
        buf_reset(&x->head);
        return n;
    }
    if (str_is_empty(str_trim(line)))
        return on_head_end(x) ? n : 0;
    bool is_folded = n > 0 && (p[0] == ' ' || p[0] == '\t');
    if (!is_folded)
        x->head_count++;
    buf_append(&x->head, line);
    if (x->head_count <= HTTP_MAX_HEADERS && buf_ok(&x->head))
        return n;
    x->end = HTTP_EXCHANGE_HEADERS_TOO_LARGE;
    return 0;
}

void http_exchange_response(const struct http_exchange *x, struct arena *a,
                            struct http_response *ret)
{
    *ret = (struct http_response){.status = x->status, .sent = x->sent};
    ret->headers = arena_new_array(a, struct http_header, x->head_count);
    /* an obsolete continuation line belongs to the value before it, joined by blanks (RFC 9112,
     * 5.2): its line break is overwritten, in our copy, before the text is cut into lines */
    size_t n = x->head.len;
    char *text = arena_alloc(a, n + 1);
    memcpy(text, buf_str(&x->head).ptr, n);
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] != '\n' || (text[i + 1] != ' ' && text[i + 1] != '\t'))
            continue;
        text[i] = ' ';
        if (i > 0 && text[i - 1] == '\r')
            text[i - 1] = ' ';
    }
    struct str rest = str_n(text, n), line, name, value;
    while (ret->header_count < x->head_count && str_next(&rest, '\n', &line)) {
        if (!str_cut(line, ':', &name, &value) || str_is_empty(name))
            continue; /* no header: what servers send must not stop us where curl lets it pass */
        struct http_header *h = &ret->headers[ret->header_count++];
        h->name = arena_copy(a, str_trim(name));
        h->value = arena_copy(a, str_trim(value));
    }
}
