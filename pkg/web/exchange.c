// SPDX-License-Identifier: Apache-2.0
/*
 * The answer, and the end of a request.
 *
 * Headers and what fits beside them go out with one write (one TLS record, one packet for a small
 * answer), the rest in pieces as the connection takes them. A request that is refused ends its
 * connection; what its peer still sends is thrown away for a moment first.
 */
#include "base/clock.h"
#include "server_priv.h"

#include <assert.h>
#include <string.h>

int64_t web_now_ms(void)
{
    return clock_mono_ms(clock_system());
}

void web_exchange_arm(struct connection *c, int64_t due_ms)
{
    c->due_ms = due_ms;
    const int64_t left_ms = due_ms - web_now_ms();
    /* never cancelled (lws 4.1.6: that makes it fire): one that is left over does nothing */
    lws_set_timer_usecs(c->wsi, (left_ms > 0 ? left_ms : 1) * LWS_US_PER_MS);
}

static int64_t idle_limit_ms(const struct web_server *s)
{
    return s->knows_finish ? FINISH_IDLE_MS : WEB_DRAIN_IDLE_MS;
}

void web_exchange_end(struct connection *c)
{
    struct web_server *s = c->server;
    if (c->exchange == EXCHANGE_NONE)
        return;
    if (c->id != 0)
        calls_forget(&s->calls, c->id);
    if (c->is_call)
        atomic_fetch_sub(&s->counters.open_calls, 1);
    c->job = calls_job_free(c->job);
    buf_fini(&c->answer.body);
    *c = (struct connection){
        .server = s, .wsi = c->wsi, .is_secured = c->is_secured, .since_ms = web_now_ms()};
    if (s->knows_drain)
        web_exchange_arm(c, c->since_ms + idle_limit_ms(s));
}

/* All of the answer is with libwebsockets. */
static int finish(struct connection *c)
{
    if (c->is_discarding) {
        c->exchange = EXCHANGE_DISCARDING;
        web_exchange_arm(c, web_now_ms() + DISCARD_MS);
        return 0;
    }
    if (c->is_last)
        return -1;
    struct lws *wsi = c->wsi;
    if (lws_partial_buffered(wsi))
        c->exchange = EXCHANGE_FLUSHING; /* ends with HTTP_DROP_PROTOCOL */
    else
        web_exchange_end(c);
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int write_piece(struct connection *c, unsigned char *start, size_t header_len)
{
    const struct str rest = str_from_offset(buf_str(&c->answer.body), c->sent);
    const size_t room = PIECE_BYTES - header_len;
    const size_t n = rest.len < room ? rest.len : room;
    const bool is_end = n == rest.len;
    if (n > 0)
        memcpy(start + header_len, rest.ptr, n);
    if (header_len + n > 0 && lws_write(c->wsi, start, header_len + n,
                                        is_end ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    c->sent += n;
    if (is_end)
        return finish(c);
    lws_callback_on_writable(c->wsi);
    return 0;
}

static bool add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at,
                       unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

/* Not by lws_add_http_common_headers(), which may compress where libwebsockets was built so. */
static bool add_headers(struct connection *c, unsigned char **at, unsigned char *end)
{
    const struct answer *a = &c->answer;
    const bool has_calls = c->server->o.call_handler != NULL;
    return lws_add_http_header_status(c->wsi, (unsigned)a->status | LWSAHH_FLAG_NO_SERVER_NAME, at,
                                      end) == 0 &&
           add_header(c->wsi, "content-type:", a->content_type, at, end) &&
           lws_add_http_header_content_length(c->wsi, a->body.len, at, end) == 0 &&
           add_header(c->wsi, "x-content-type-options:", "nosniff", at, end) &&
           (a->status != 405 ||
            add_header(c->wsi, "allow:", has_calls ? "GET, HEAD, POST" : "GET, HEAD", at, end)) &&
           (!c->is_last || add_header(c->wsi, "connection:", "close", at, end)) &&
           lws_finalize_http_header(c->wsi, at, end) == 0;
}

int web_exchange_answer(struct connection *c, bool is_head)
{
    struct web_server *s = c->server;
    unsigned char *start = s->piece + LWS_PRE;
    unsigned char *at = start;
    c->exchange = EXCHANGE_WRITING;
    c->id = 0;
    c->is_last = c->is_last || s->knows_drain;
    if (!add_headers(c, &at, start + HEADER_BYTES))
        return -1;
    c->sent = is_head ? c->answer.body.len : 0;
    /* lws 4.3: closes the connection where the next request has come (pipelining) and this answer
     * is not through: what fits into one piece goes at once */
    return write_piece(c, start, (size_t)(at - start));
}

int web_exchange_refuse(struct connection *c, int status, const char *text)
{
    c->is_last = true;
    c->job = calls_job_free(c->job);
    buf_fini(&c->answer.body);
    c->answer = (struct answer){.status = status,
                                .content_type = "text/plain; charset=utf-8",
                                .body = BUF_INIT(HEADER_BYTES)};
    if (text != NULL)
        buf_append_cstr(&c->answer.body, text);
    return web_exchange_answer(c, false);
}

int web_exchange_writable(struct connection *c)
{
    if (c->exchange == EXCHANGE_WAITING && c->is_answered)
        return web_exchange_answer(c, false);
    if (c->exchange != EXCHANGE_WRITING)
        return 0;
    return write_piece(c, c->server->piece + LWS_PRE, 0);
}

static int cut(struct connection *c)
{
    struct web_server *s = c->server;
    switch (c->exchange) {
    case EXCHANGE_READING:
        atomic_fetch_add(&s->counters.timed_out, 1);
        c->is_discarding = false;
        return web_exchange_refuse(c, 408, "the body did not come in time\n");
    case EXCHANGE_WAITING:
        atomic_fetch_add(&s->counters.timed_out, 1);
        calls_forget(&s->calls, c->id);
        return web_exchange_refuse(c, 504, NULL);
    case EXCHANGE_NONE:
    case EXCHANGE_WRITING:
    case EXCHANGE_FLUSHING:
    case EXCHANGE_DISCARDING:
        break;
    }
    /* lws 4.1.6: says that it closes, and then waits 10 s for a peer that does not answer that. The
     * next time ends it. */
    web_exchange_arm(c, web_now_ms() + FINISH_IDLE_MS);
    return -1;
}

int web_exchange_timer(struct connection *c)
{
    const struct web_server *s = c->server;
    const int64_t now_ms = web_now_ms();
    if (c->exchange == EXCHANGE_NONE) {
        if (!s->knows_drain)
            return 0;
        c->due_ms = c->since_ms + idle_limit_ms(s);
    }
    if (now_ms >= c->due_ms)
        return cut(c);
    web_exchange_arm(c, c->due_ms);
    return 0;
}
