// SPDX-License-Identifier: Apache-2.0
/*
 * POST: a call from its headers to its answer.
 *
 * Everything is decided from the headers before a byte of the body is kept. The body grows with
 * what arrives, not with what was announced. With its last byte the call goes to the workers, and
 * the connection waits, known by the call's id only: its place may be another's when the answer
 * comes.
 */
#include "server_priv.h"

#include <assert.h>
#include <string.h>

static bool is_call_path(const struct web_server *s, struct str path)
{
    for (const char *const *at = s->o.call_paths; at != NULL && *at != NULL; at++)
        if (str_eq_cstr(path, *at))
            return true;
    return false;
}

/* 0, or the status of the refusal and its text. */
static int check_headers(struct connection *c, struct str path, uint64_t *ret_length,
                         const char **ret_text)
{
    const struct web_server *s = c->server;
    if (!is_call_path(s, path)) {
        *ret_text = "not found\n";
        return 404;
    }
    switch (web_header_length(c->wsi, ret_length)) {
    case WEB_LENGTH_OK:
        break;
    case WEB_LENGTH_ABSENT: /* lws 4.1.6 does not decode chunked bodies */
        *ret_text = "a body needs a Content-Length here, and cannot be chunked\n";
        return 411;
    case WEB_LENGTH_WRONG:
        *ret_text = "the length of the body cannot be read\n";
        return 400;
    }
    if (*ret_length > s->o.max_call_bytes) {
        *ret_text = "the body is too big\n";
        return 413;
    }
    if (!web_header_is_json(c->wsi)) {
        *ret_text = "only application/json is served here\n";
        return 415;
    }
    if (web_header_expect(c->wsi) == WEB_EXPECT_OTHER) {
        *ret_text = "nothing but 100-continue can be expected\n";
        return 417;
    }
    return 0;
}

static int say_continue(struct connection *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char bytes[LWS_PRE + sizeof(text)];
    memcpy(bytes + LWS_PRE, text, sizeof(text) - 1);
    return lws_write(c->wsi, bytes + LWS_PRE, sizeof(text) - 1, LWS_WRITE_HTTP_HEADERS) < 0 ? -1
                                                                                            : 0;
}

int web_call_begin(struct connection *c, struct str path)
{
    struct web_server *s = c->server;
    uint64_t length;
    const char *text = NULL;
    const int status = check_headers(c, path, &length, &text);
    if (status != 0) {
        c->is_discarding = web_header_has_body(c->wsi);
        return web_exchange_refuse(c, status, text);
    }
    char query[WEB_QUERY_MAX];
    const uint64_t slot = (uint64_t)(c - s->connections);
    c->id = (++s->sequence << SLOT_BITS) | slot;
    c->job = calls_job_new(&s->calls, c->id, path, web_header_query(c->wsi, query), (size_t)length);
    c->job->call.started_mono_ms = web_now_ms();
    c->job->call.deadline_mono_ms = c->job->call.started_mono_ms + s->o.call_timeout_ms;
    c->expected = (size_t)length;
    c->exchange = EXCHANGE_READING;
    c->is_call = true;
    atomic_fetch_add(&s->counters.open_calls, 1);
    web_exchange_arm(c, c->job->call.deadline_mono_ms);
    /* an empty body completes from within libwebsockets, after this */
    if (length > 0 && web_header_expect(c->wsi) == WEB_EXPECT_CONTINUE)
        return say_continue(c);
    return 0;
}

int web_call_body(struct connection *c, const void *bytes, size_t n)
{
    if (c->exchange == EXCHANGE_DISCARDING) {
        c->discarded += n;
        return c->discarded > DISCARD_MAX_BYTES ? -1 : 0;
    }
    /* the answer to who is discarded may be on its way still */
    if (c->exchange != EXCHANGE_READING)
        return c->is_discarding ? 0 : -1;
    /* lws 4.3: hands over what comes after the body too (pipelining), and counts below zero */
    if (n > c->expected - c->job->call.body.len)
        return -1;
    if (calls_job_append(c->job, bytes, n))
        return 0;
    atomic_fetch_add(&c->server->counters.refused_bytes, 1);
    c->is_discarding = true;
    return web_exchange_refuse(c, 503, NULL);
}

static int refuse_queue(struct connection *c)
{
    atomic_fetch_add(&c->server->counters.refused_queue, 1);
    c->job = calls_job_free(c->job);
    /* the body was read: the connection can go on */
    c->answer = (struct answer){
        .status = 503, .content_type = "text/plain; charset=utf-8", .body = BUF_INIT(0)};
    return web_exchange_answer(c, false);
}

static int run_inline(struct connection *c)
{
    if (!calls_run_inline(TAKE(c->job), &c->answer))
        return 0;
    atomic_fetch_add(&c->server->counters.answered, 1);
    return web_exchange_answer(c, false);
}

int web_call_complete(struct connection *c)
{
    struct web_server *s = c->server;
    /* lws 4.1.6: bytes after the body (pipelining) complete it again, for ever, and nobody else is
     * served; only closing ends that. Where the body is thrown away, this is its end. */
    if (c->exchange != EXCHANGE_READING)
        return -1;
    assert(c->job->call.body.len == c->expected);
    c->exchange = EXCHANGE_WAITING;
    web_exchange_arm(c, c->job->call.deadline_mono_ms + WEB_CALL_GRACE_MS);
    if (c->expected <= s->o.inline_bytes)
        return run_inline(c);
    if (!calls_put(&s->calls, c->job))
        return refuse_queue(c);
    c->job = NULL;
    return 0;
}

static void deliver(struct web_server *s, struct answer *a)
{
    const size_t slot = a->id & ((1U << SLOT_BITS) - 1);
    struct connection *c = slot < (size_t)s->o.max_connections ? &s->connections[slot] : NULL;
    if (c == NULL || c->id != a->id || c->exchange != EXCHANGE_WAITING) {
        atomic_fetch_add(&s->counters.dropped, 1);
        return;
    }
    atomic_fetch_add(&s->counters.answered, 1);
    c->id = 0;
    c->answer = *a;
    a->body = BUF_INIT(0);
    c->is_answered = true;
    /* Written at once, without another turn of the loop, where the connection goes on. Where it
     * does not, only a callback of its own can close it with what it has not sent yet. */
    if (c->is_last || s->knows_drain)
        lws_callback_on_writable(c->wsi);
    else if (web_exchange_answer(c, false) != 0)
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void web_call_deliver(struct web_server *s)
{
    struct answer *next = calls_collect(&s->calls);
    while (next != NULL) {
        struct answer *a = next;
        next = a->next;
        deliver(s, a);
        calls_answer_free(a);
    }
}
