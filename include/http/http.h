// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP client, over libcurl (known to this package only), and one of the four test seams.
 *
 * A client is one peer's transport settings (CA, client certificate, proxy, limits) with a pool of
 * connections. HTTP/1.1 only, no redirects, no cookies, no compression, http and https only, TLS
 * from 1.2. Any thread may send or stream. http_send() blocks until the answer is whole, its
 * deadline has passed or its cancel was fired (noticed within a second); http_stream() ends within
 * milliseconds of http_cancel_now().
 *
 * An answer with any status is a success: whoever knows the protocol classifies it.
 *
 * Errors; the message says "GET host:port: " and what happened, never a path, query or header:
 *   ERR_RETRY      DNSFailed, ConnectFailed (the proxy's refusal too), TLSFailed, Timeout,
 *                  ConnectionLost (before the answer was whole; what was asked may have been
 *                  done), ProtocolError (no HTTP), IdleTimeout (streams), OutOfMemory
 *   ERR_INVALID    TooLarge (body over max_body_bytes, or headers over the limits below),
 *                  BadRequest (URL, method or a header that cannot be sent), BadCertificate
 *                  (ca_pem, client_cert_pem or client_key_pem cannot be used)
 *   ERR_CANCELLED  Cancelled
 *
 * A request on a kept connection that the peer closes before the first byte of the answer is sent
 * again on a new one, once, by libcurl, whatever its method.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_MAX_HEADERS = 64, HTTP_MAX_HEADER_BYTES = 64 * 1024 };

struct http_cancel;

struct http_header {
    struct str name; /* compared without case */
    struct str value;
};

struct http_request {
    const char *method; /* "GET", …: upper-case letters */
    struct str url;     /* absolute, sent as it is: percent-encoded, no user name, no fragment, no
                         * empty query (newer libcurls drop its "?") */
    /* Host, Content-Length, Transfer-Encoding, Connection and Expect are the client's own: giving
     * one other than Host is BadRequest. */
    const struct http_header *headers;
    size_t header_count;
    struct str body; /* absent: none is sent; without a Content-Type header none is named */
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* of the whole exchange; 0: 30 s; streams: 0 is none */
    size_t max_body_bytes;      /* 0: 16 MiB; streams: no limit */
    /* http_send() only; NULL: none. Once cancelled the exchange ends within a second. It
     * outlives the exchange. */
    struct http_cancel *cancel;
};

struct http_response {
    int status;      /* of the final answer: 1xx are passed over */
    struct str body; /* NUL-terminated; in the arena; never absent, except in on_response */
    struct http_header *headers;
    size_t header_count;
    int sent; /* how often the request went out: 2 where libcurl sent it again (above) */
};

/* The first of that name, without case; absent where it was not sent. */
struct str http_header_get(const struct http_response *r, const char *name);

/* Called in the thread that called http_stream(); while they run the stream stands still. */
struct http_stream_ops {
    /* After the headers, whatever the status; false ends the stream (http_stream() then returns
     * true). r is valid during the call; its body is absent. */
    bool (*on_response)(void *arg, const struct http_response *r);
    /* The body, in pieces cut anywhere (at most 16 KiB). */
    bool (*on_data)(void *arg, struct str data);
};

/* How a stream that another thread wants to end is woken. One may serve several streams, and
 * exchanges (http_request.cancel). */
struct http_cancel *http_cancel_new(void) BERTH_NODISCARD;
/* No stream may be using it. NULL is fine; returns NULL. */
struct http_cancel *http_cancel_free(struct http_cancel *c);
BERTH_DEFINE_CLEANUP(struct http_cancel *, http_cancel_free);
/* Any thread, at any time, also before the stream starts; sticks. */
void http_cancel_now(struct http_cancel *c);
bool http_cancel_is_cancelled(struct http_cancel *c);

struct http_client {
    /* response and its strings are in a */
    bool (*send)(void *impl, const struct http_request *rq, struct arena *a,
                 struct http_response *ret, struct err *e);
    /* A long answer, handed on as it arrives, on a connection of its own. idle_ms: nothing
     * received for that long is ERR_RETRY, IdleTimeout (a dead peer); 0 is no such limit. cancel
     * may be NULL. Returns true when the peer ended it in good order or a callback said false. */
    bool (*stream)(void *impl, const struct http_request *rq, int64_t idle_ms,
                   struct http_cancel *cancel, const struct http_stream_ops *ops, void *arg,
                   struct err *e);
    void (*free)(void *impl);
    void *impl;
};

static inline bool http_send(const struct http_client *c, const struct http_request *rq,
                             struct arena *a, struct http_response *ret, struct err *e)
{
    return c->send(c->impl, rq, a, ret, e);
}

static inline bool http_stream(const struct http_client *c, const struct http_request *rq,
                               int64_t idle_ms, struct http_cancel *cancel,
                               const struct http_stream_ops *ops, void *arg, struct err *e)
{
    return c->stream(c->impl, rq, idle_ms, cancel, ops, arg, e);
}

struct http_options {
    struct str ca_pem;          /* absent: the system's certificates; else these alone */
    struct str client_cert_pem; /* absent: none; with client_key_pem */
    struct str client_key_pem;
    const char *tls_server_name; /* NULL: the URL's host */
    const char *proxy_url;       /* NULL: as the environment says (HTTPS_PROXY, NO_PROXY); "": none;
                                  * else this one for all, whatever NO_PROXY says */
    const char *user_agent;      /* NULL: none is sent */
    bool is_insecure;            /* does not verify the peer; only where a person asked for it */
    int max_connections;         /* kept for reuse; 0: 8 */
};

/* First thing in main, before any thread. Also makes the process ignore SIGPIPE, which a peer that
 * went away would raise. */
void http_global_init(void);
/* Copies the options. ERR_INVALID BadCertificate where a PEM text lacks what it must hold, is
 * damaged in its frame or alphabet, or a certificate comes without its key. What of the client
 * certificate and its key only a parser can see (damaged DER, a key of another certificate) is the
 * same error at the first https request. */
bool http_client_new(const struct http_options *o, struct http_client **ret,
                     struct err *e) BERTH_NODISCARD;
/* Nobody may be in it. NULL is fine; returns NULL. */
struct http_client *http_client_free(struct http_client *c);
BERTH_DEFINE_CLEANUP(struct http_client *, http_client_free);

/* Percent-encodes all but RFC 3986's unreserved characters (and, with keep_slash, '/'). */
void http_url_encode(struct buf *out, struct str s, bool keep_slash);
