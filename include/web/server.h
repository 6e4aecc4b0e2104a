// SPDX-License-Identifier: Apache-2.0
/*
 * An HTTP/1.1 server on one listener with a loop thread of its own, over libwebsockets (known to
 * this package only, as is all that differs between its versions). Plain, or HTTPS with a
 * certificate that may be replaced at any time (web/tls.h).
 *
 * GET and HEAD are answered at once by a handler on the loop thread (probes, metrics). POST, on
 * the paths that the options name, is a *call*: its body is read whole, the call goes through a
 * bounded queue to a worker, and is answered by its id, then or later, from any thread. No other
 * methods, no upgrades (WebSocket, h2c), no CONNECT, no chunked bodies.
 *
 * Everything a peer chooses is bounded by the limits below. What is beyond them is answered where
 * that is possible, and the connection is closed unless the body was read:
 *
 *     404 no such path         405 not this method       411 no Content-Length, or chunked
 *     400 a wrong length       413 a body too big        415 not application/json
 *     417 an Expect that is not 100-continue
 *     408 the body did not come before the deadline
 *     503 the queue is full, or all bodies together pass the budget: empty, no Retry-After
 *     504 nobody answered the call: empty
 *
 * Headers that are too long, or do not come in time, end the connection without an answer.
 *
 * Thread rule: web_server_new() to web_server_stop() belong to one thread (main), but for
 * web_server_answer(), web_server_drain() and web_server_counts(), which any thread may call
 * between web_server_new() and web_server_stop(). libwebsockets is only touched by the loop thread
 * once web_server_start() has returned. Handlers must outlive the server, and what they read is
 * theirs to lock.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEB_MAX_HEADER_BYTES = 16 * 1024,      /* request line and headers together */
    WEB_MAX_BODY_BYTES = 16 * 1024 * 1024, /* of an answer */
    WEB_MAX_LISTEN = 300,                  /* characters of "host:port" */
    WEB_REQUEST_TIMEOUT_MS = 10 * 1000,    /* from the headers to the last byte of the answer */
    WEB_IDLE_TIMEOUT_MS = 30 * 1000,       /* a kept-alive connection without a request */
    WEB_HANDSHAKE_TIMEOUT_MS = 10 * 1000,  /* TLS */
    WEB_CALL_GRACE_MS = 1000,     /* a call that nobody answered is cut past its deadline */
    WEB_DRAIN_IDLE_MS = 2 * 1000, /* while draining */

    /* where options say 0 */
    WEB_CONNECTIONS = 64,
    WEB_WORKERS = 2,
    WEB_QUEUE = 64,
    /* kube-apiserver takes objects of 3 MiB, and a review holds the object and the old one */
    WEB_MAX_CALL_BYTES = 7 * 1024 * 1024,
    WEB_MAX_CALLS_BYTES = 16 * 1024 * 1024 /* of the bodies of all calls at a time */
};

struct log;
struct web_server;
struct web_tls;

/* Lives as long as the call of the handler. */
struct web_request {
    struct str method; /* "GET" or "HEAD" */
    struct str path;   /* percent-decoded, begins with '/', without "." and ".." segments */
    struct str query;  /* without '?', percent-decoded already (a=1%26b is "a=1&b"); absent where
                          there is none */
};

/* Filled by the handler. It comes in as 200, "text/plain; charset=utf-8", an empty body whose
 * maximum is WEB_MAX_BODY_BYTES. A body that has failed (buf_ok) is answered as 500. */
struct web_response {
    int status;               /* 200 to 599, one that has a body (not 204, 304) */
    const char *content_type; /* lives until the handler is called again: a literal */
    struct buf body;
};

/* For every GET and HEAD (whose body is dropped). On the loop thread. Must not block. */
typedef void web_handler(void *arg, const struct web_request *rq, struct web_response *rs);

/* A POST with its whole body. Lives as long as the call of the handler. */
struct web_call {
    uint64_t id;      /* for web_server_answer(); never 0, never used twice by a server */
    struct str path;  /* as in web_request: one of the call_paths */
    struct str query; /* as in web_request */
    /* NUL-terminated. Freed when the handler returns, and counted in max_calls_bytes until then; a
     * handler that keeps it copies the struct and leaves BUF_INIT(0). */
    struct buf body;
    int64_t started_mono_ms;  /* when its headers were there */
    int64_t deadline_mono_ms; /* the answer is worth nothing after this */
};

/* On a worker (or on the loop thread, see inline_bytes), several at a time. Answers with
 * web_server_answer(), before it returns or later. A call whose connection ended, or whose deadline
 * passed, while it was queued never comes here. It computes and does no I/O: another small call may
 * wait behind it. */
typedef void web_call_handler(void *arg, struct web_call *call);

struct web_options {
    /* "host:port": an address or a name that resolves to one ("127.0.0.1:8081", "[::1]:0"), or
     * ":8081" for all addresses, IPv6 where the machine has it and IPv4. Port 0: the kernel's
     * choice. */
    const char *listen;
    const char *name;     /* of the loop thread and in messages, <= 11 characters: "health" */
    web_handler *handler; /* NULL: GET and HEAD are answered 404 */
    void *arg;
    int max_connections; /* at a time; more wait in the kernel's queue. 0: WEB_CONNECTIONS */
    struct log *log;     /* NULL: nothing is logged. What libwebsockets complains about comes at
                            debug, of all servers into the log of the one made last. */
    /* HTTPS: TLS 1.2 or later, ALPN http/1.1, no client certificates. NULL: plain HTTP. Outlives
     * the server. */
    struct web_tls *tls;
    /* Calls. NULL: every POST is 405, and what follows has no meaning. */
    web_call_handler *call_handler;
    void *call_arg;
    const char *const *call_paths; /* NULL at the end; live as long as the server */
    int workers;                   /* 0: WEB_WORKERS */
    int queue;                     /* calls that wait for a worker. 0: WEB_QUEUE */
    int64_t call_timeout_ms;       /* from the headers to the answer. 0: WEB_REQUEST_TIMEOUT_MS */
    size_t max_call_bytes;         /* of one body. 0: WEB_MAX_CALL_BYTES */
    size_t max_calls_bytes;        /* of all bodies. 0: WEB_MAX_CALLS_BYTES */
    /* The handler of a call with a body up to this runs on the loop thread, without queue and
     * worker, and must not block. 0: none does. */
    size_t inline_bytes;
};

/* Of one moment; for metrics. The last six only grow. */
struct web_counts {
    int connections;        /* open, those in the handshake included */
    int calls;              /* from their headers to the end of their answer */
    int queued;             /* of these: waiting for a worker */
    size_t body_bytes;      /* of calls that no handler has returned from: <= max_calls_bytes */
    uint64_t answered;      /* calls, by their handlers */
    uint64_t refused_queue; /* 503: the queue was full */
    uint64_t refused_bytes; /* 503: max_calls_bytes */
    uint64_t dropped;       /* answers to calls whose connection was gone, or that were cut */
    uint64_t timed_out;     /* calls: 408 and 504 */
    uint64_t failed_handshakes;
};

/* Is this a "host:port" as above? For checking a configuration without listening. */
bool web_listen_check(const char *listen, struct err *e) BERTH_NODISCARD;

/* Listens (connections wait until web_server_start; make all servers before the first starts).
 * ERR_INVALID where `listen` cannot be read, ERR_CONFLICT where the address is in use, ERR_DENIED
 * without the right to the port, ERR_NOT_FOUND where the host is none of this machine's: the
 * message says what to change. */
bool web_server_new(const struct web_options *o, struct web_server **ret,
                    struct err *e) BERTH_NODISCARD;

/* "127.0.0.1:41733", "[::]:8081": as it listens. Lives as long as the server. */
const char *web_server_address(const struct web_server *s);
int web_server_port(const struct web_server *s);

/* Starts the loop thread and the workers. Once. */
void web_server_start(struct web_server *s);

/*
 * Answers the call `id` with the bytes of `take_body`, which is empty after; NULL or an empty one
 * is an answer without a body. status: 200 to 599 but 204 and 304. content_type: a literal. A body
 * that has failed (buf_ok) is answered as 500, empty.
 *
 * The first answer counts; one to a call whose connection is gone, that was cut, or that was
 * answered already is dropped. Any thread, from the handler on until web_server_stop() begins;
 * never blocks on the network.
 */
void web_server_answer(struct web_server *s, uint64_t id, int status, const char *content_type,
                       struct buf *take_body);

/* From now on every answer says `Connection: close` and ends its connection, so that peers come
 * back elsewhere; connections without a request are closed once idle for WEB_DRAIN_IDLE_MS. New
 * ones are still accepted. Any thread, more than once. */
void web_server_drain(struct web_server *s);

/* Stops listening and waits until every request that has begun is answered, at most timeout_ms;
 * then closes all connections and joins workers and loop thread. What is answered after this is
 * dropped. Returns whether nothing was cut. Optional before web_server_stop(): between the two,
 * those who may still answer are stopped. */
bool web_server_finish(struct web_server *s, int64_t timeout_ms);

/* web_server_finish() without waiting, where that was not called, and frees: nobody may be in
 * web_server_answer(). Takes some milliseconds, and as long as the handlers that are running.
 * NULL is fine; returns NULL. */
struct web_server *web_server_stop(struct web_server *s);

struct web_counts web_server_counts(struct web_server *s);
