// SPDX-License-Identifier: Apache-2.0
/*
 * An HTTP/1.1 server on one listener with a loop thread of its own, over libwebsockets (known to
 * this package only, as is all that differs between its versions).
 *
 * It serves small answers that are ready at once (probes, metrics): GET and HEAD, no request
 * bodies, no upgrades (WebSocket, h2c), no CONNECT, plain HTTP. The handler runs on the loop thread
 * and must not block: while it runs, nobody else is served. Everything a peer chooses is bounded by
 * the limits below; a peer that passes them is answered 4xx where libwebsockets lets us, and its
 * connection is closed.
 *
 * Thread rule: web_server_new() to web_server_free() belong to one thread (main); libwebsockets is
 * only touched by the loop thread once web_server_start() has returned. The handler must outlive
 * the server, and what it reads is its own to lock.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    WEB_MAX_HEADER_BYTES = 16 * 1024,      /* request line and headers together */
    WEB_MAX_BODY_BYTES = 16 * 1024 * 1024, /* of an answer */
    WEB_MAX_LISTEN = 300,                  /* characters of "host:port" */
    WEB_CONNECTIONS = 64,                  /* where options say 0 */
    WEB_REQUEST_TIMEOUT_MS = 10 * 1000,    /* from the headers to the last byte of the answer */
    WEB_IDLE_TIMEOUT_MS = 30 * 1000        /* a kept-alive connection without a request */
};

struct log;
struct web_server;

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

struct web_options {
    /* "host:port": an address or a name that resolves to one ("127.0.0.1:8081", "[::1]:0"), or
     * ":8081" for all addresses, IPv6 where the machine has it and IPv4. Port 0: the kernel's
     * choice. */
    const char *listen;
    const char *name; /* of the loop thread and in messages, <= 11 characters: "health" */
    web_handler *handler;
    void *arg;
    int max_connections; /* at a time; more wait in the kernel's queue. 0: WEB_CONNECTIONS */
    struct log *log;     /* NULL: nothing is logged. What libwebsockets complains about comes at
                            debug, of all servers into the log of the one made last. */
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

/* Starts the loop thread. Once. */
void web_server_start(struct web_server *s);
/* Closes the listener and all connections, joins the loop thread and frees. What is being written
 * is cut. Takes some milliseconds. NULL is fine; returns NULL. */
struct web_server *web_server_stop(struct web_server *s);
