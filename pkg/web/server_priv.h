// SPDX-License-Identifier: Apache-2.0
/*
 * The server inside. Who owns what:
 *
 *   loop thread     libwebsockets, connections, what they are doing (struct connection)
 *   any thread      struct calls: the queue to the workers and the answers back, behind its mutex,
 *                   and the counters, which are atomic
 *
 * listener.c accepts, exchange.c writes answers and ends requests, get.c and call.c begin them,
 * headers.c reads what a peer says about its request, calls.c is the way to the workers and back,
 * server.c the life of all that.
 */
#pragma once

#include "calls_priv.h"
#include "web/server.h"
#include "web/tls.h"
#include "web_priv.h"

#include <libwebsockets.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    PIECE_BYTES = 32 * 1024,
    HEADER_BYTES = 1024, /* of an answer: ours are few and short */
    SLOT_BITS = 16,      /* of an id: the place of its connection */
    /* a peer that is refused may still be sending: so long, and so much of it, is read and thrown
     * away; closing at once would fail its sending, and many never look for an answer then */
    DISCARD_MS = 1000,
    DISCARD_MAX_BYTES = 16 * 1024 * 1024,
    FINISH_IDLE_MS = 200 /* as WEB_DRAIN_IDLE_MS, in web_server_finish() */
};

/* What a connection does. */
enum exchange {
    EXCHANGE_NONE,      /* no request: handshake, headers, or kept alive */
    EXCHANGE_READING,   /* the body of a call comes in */
    EXCHANGE_WAITING,   /* the call is on its way to the handler, or with it */
    EXCHANGE_WRITING,   /* the answer goes out */
    EXCHANGE_FLUSHING,  /* libwebsockets has all of the answer */
    EXCHANGE_DISCARDING /* answered; the body is thrown away */
};

struct connection {
    struct web_server *server;
    struct lws *wsi; /* NULL: the place is free */
    enum exchange exchange;
    bool is_secured;    /* its handshake is done */
    bool is_last;       /* it is closed after the answer */
    bool is_discarding; /* after the answer: a body may still come */
    bool is_call;
    bool is_answered; /* WAITING: `answer` is there, and goes out when the connection takes it */
    uint64_t id;      /* of the call that may still be answered; 0: none */
    int64_t since_ms; /* NONE: since when */
    int64_t due_ms;   /* else: when it is cut */
    struct job *job;  /* READING */
    size_t expected;  /* READING: bytes of the body */
    size_t discarded; /* DISCARDING: bytes */
    struct answer answer;
    size_t sent; /* of answer.body */
};

struct counters {
    atomic_int connections, open_calls;
    atomic_ullong answered, refused_queue, refused_bytes, dropped, timed_out, failed_handshakes;
};

struct web_server {
    struct web_options o;
    char address[WEB_MAX_LISTEN];
    int port;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *listener; /* NULL once finishing */
    struct thread thread;
    struct calls calls;
    struct counters counters;
    atomic_bool is_draining, is_finishing, is_stopping;
    /* of the loop thread */
    struct connection *connections; /* o.max_connections of them */
    uint64_t sequence;              /* of ids */
    bool is_paused;                 /* the listener is not polled: too many connections, or accept()
                                       failed */
    bool knows_drain, knows_finish; /* what was asked for was begun */
    unsigned char piece[LWS_PRE + PIECE_BYTES];
    /* web_server_finish() waits for the last connection */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_empty;
};

static inline struct web_server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

int64_t web_now_ms(void);

/* listener.c */
int web_on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len);
void web_listener_resume(struct web_server *s);
/* Takes what waits in the kernel's queue, and stops listening. */
void web_listener_close(struct web_server *s);

/* exchange.c: what returns int is for a callback: not 0 closes the connection. */

/* c->answer goes out, from this callback of c's own. */
int web_exchange_answer(struct connection *c, bool is_head);
/* Answers with a line of text for people (NULL: empty), and ends the connection. */
int web_exchange_refuse(struct connection *c, int status, const char *text);
int web_exchange_writable(struct connection *c);
/* The request is over, answered or not. Idempotent. */
void web_exchange_end(struct connection *c);
/* Cuts it at c->due_ms. */
void web_exchange_arm(struct connection *c, int64_t due_ms);
/* LWS_CALLBACK_TIMER */
int web_exchange_timer(struct connection *c);

/* get.c */
int web_get(struct connection *c, int method, struct str path);

/* call.c */
int web_call_begin(struct connection *c, struct str path);
int web_call_body(struct connection *c, const void *bytes, size_t n);
int web_call_complete(struct connection *c);
/* The answers that have come, to their connections. */
void web_call_deliver(struct web_server *s);

/* headers.c */

enum { WEB_QUERY_MAX = WEB_MAX_HEADER_BYTES };
struct str web_header_query(struct lws *wsi, char *text /* [WEB_QUERY_MAX] */);
/* Does a body follow, or may one? */
bool web_header_has_body(struct lws *wsi);
enum web_length { WEB_LENGTH_OK, WEB_LENGTH_ABSENT, WEB_LENGTH_WRONG };
enum web_length web_header_length(struct lws *wsi, uint64_t *ret);
bool web_header_is_json(struct lws *wsi);
enum web_expect { WEB_EXPECT_NOTHING, WEB_EXPECT_CONTINUE, WEB_EXPECT_OTHER };
enum web_expect web_header_expect(struct lws *wsi);
/* Does the peer want the connection closed, or is it HTTP/1.0? */
bool web_header_is_last(struct lws *wsi);
