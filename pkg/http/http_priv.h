// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of this package share: the client's settings, and struct http_exchange, one
 * request with its easy handle, its answer so far and why it ended. client.c runs exchanges to
 * their end, stream.c drives them piece by piece; both set them up and read them through this
 * header.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/ca_store.h"
#include "http/http.h"

#include <curl/curl.h>

#include <pthread.h>

enum {
    HTTP_DEFAULT_CONNECT_MS = 5000,
    HTTP_DEFAULT_TIMEOUT_MS = 30000,
    HTTP_MAX_TIMEOUT_MS = 24 * 3600 * 1000,
    HTTP_DEFAULT_BODY_BYTES = 16 * 1024 * 1024,
    HTTP_DEFAULT_CONNECTIONS = 8,
    HTTP_MAX_URL_BYTES = 16 * 1024,
    HTTP_MAX_METHOD_BYTES = 16,
    HTTP_WHERE_BYTES = 320, /* "METHOD host:port" */
    HTTP_KEEPALIVE_IDLE_S = 30,
    HTTP_KEEPALIVE_INTERVAL_S = 15
};

/* The transport settings of a client: copies, constant after http_client_new(). */
struct http_settings {
    char *ca_pem;                     /* NULL where trust is shared */
    struct crypto_ca_store *ca_store; /* NULL: see http_trust_init() */
    char *client_cert_pem;
    char *client_key_pem;
    size_t ca_bytes, client_cert_bytes, client_key_bytes;
    char *tls_server_name;
    char *proxy_url;
    char *user_agent;
    bool is_insecure;
};

enum http_exchange_end {
    HTTP_EXCHANGE_GOES_ON, /* or ended as curl says */
    HTTP_EXCHANGE_HEADERS_TOO_LARGE,
    HTTP_EXCHANGE_BODY_TOO_LARGE,
    HTTP_EXCHANGE_OUT_OF_MEMORY, /* for the body */
    HTTP_EXCHANGE_STOPPED        /* by a callback of the stream */
};

/* Begun as {.settings, .rq, .easy} and, where it streams, {.ops, .ops_arg}; the rest is zero. */
struct http_exchange {
    const struct http_settings *settings;
    const struct http_request *rq;
    CURL *easy; /* borrowed; fresh or reset */
    const struct http_stream_ops *ops;
    void *ops_arg;
    struct arena arena;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char where[HTTP_WHERE_BYTES];
    char curl_text[CURL_ERROR_SIZE];
    struct buf head; /* header lines of the final answer, without the status line */
    size_t head_count;
    int status;
    int sent; /* how often the request went out, or was about to */
    bool is_head_done;
    enum http_exchange_end end;
    size_t max_body_bytes;
    struct buf body; /* where it does not stream */
    int64_t last_received_mono_ms;
};

/* exchange.c */
/* Checks the request and sets up x->easy; nothing is sent yet. default_timeout_ms: 0 is none. Call
 * http_exchange_fini() whatever it returns; after it the easy handle must be reset or cleaned up.
 */
bool http_exchange_init(struct http_exchange *x, int64_t default_timeout_ms,
                        struct err *e) BERTH_NODISCARD;
void http_exchange_fini(struct http_exchange *x);

/* headers.c */
/* CURLOPT_HEADERFUNCTION, whose data is a struct http_exchange. */
size_t http_exchange_on_header(char *p, size_t size, size_t count, void *arg);
/* Status and headers into a (the body is left absent). */
void http_exchange_response(const struct http_exchange *x, struct arena *a,
                            struct http_response *ret);

/* errors.c */
/* Sets e for an exchange that ended with code (not CURLE_OK, or end is set). Returns false. */
bool http_exchange_error(const struct http_exchange *x, CURLcode code, struct err *e);

/* url.c */
/* The host as written, brackets included, and the port (absent where none is written). False where
 * url is no absolute http or https URL that can be sent as it is. */
struct http_url_parts {
    bool is_https;
    struct str host;
    struct str port;
    struct str rest; /* from the path on */
};
bool http_url_split(struct str url, struct http_url_parts *ret) BERTH_NODISCARD;
struct str http_url_default_port(const struct http_url_parts *parts);

/* trust.c */
/* Sets s->ca_store (or, where libcurl's TLS is not the OpenSSL that we are linked with, s->ca_pem)
 * from ca_pem; absent: the system's. */
bool http_trust_init(struct http_settings *s, struct str ca_pem, struct err *e) BERTH_NODISCARD;
void http_trust_fini(struct http_settings *s);
void http_trust_set(CURL *easy, const struct http_settings *s);

/* pem.c: what can be known of PEM texts without parsing certificates. */
bool http_pem_check(const struct http_options *o, struct err *e) BERTH_NODISCARD;
