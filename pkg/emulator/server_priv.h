// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP server of the emulator: one listener for the control API, /v2/ and /_emulator/, over
 * libmicrohttpd (known to server.c only), which decodes chunked bodies.
 *
 * Threads: one per connection, at most EMU_CONNECTIONS_MAX (the next wait in the listen backlog).
 * A handler therefore may block on disk or, for a fault, wait; it runs on its connection's thread
 * only, so that a struct emu_request needs no lock. Memory per connection is
 * EMU_CONNECTION_BYTES and what the handler keeps: bodies are never collected by the server.
 *
 * The life of a request:
 *   begin(r)          once, when the headers are read and the body is not. A handler that
 *                     replies here refuses the body, which is read and dropped (up to a limit, or
 *                     not at all where the client waits for "100 Continue": then the connection is
 *                     closed after the reply). chunk() and end() are not called.
 *   chunk(r, p, n)    for each piece of the decoded body, n > 0. False: the handler is done with
 * the body; the rest is read and dropped, and end() is still called. end(r)            once, when
 * the body is complete. It must have replied on return (else 500). done(r)           once and last,
 * whatever happened, a cut connection included (then perhaps without end()): frees r->state and
 * settles what is unfinished. Members that are NULL do nothing. A request without body has begin(),
 * end(), done().
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "emulator/emulator.h"
#include "fault_priv.h"
#include "limits_priv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct emu_store;
struct blobs; /* blob_priv.h */
struct emu_request_log;
struct emu_server;
struct emu_conn; /* private to server.c */
struct secret;

/* What all handlers share; immutable while serving (what the pointers lead to locks itself). */
struct emulator {
    const struct clock *clock;
    char account[EMULATOR_ACCOUNT_DIGITS + 1];
    char region[64];
    char endpoint[160]; /* "http://127.0.0.1:34567" */
    char registry[128]; /* "127.0.0.1:34567" */
    struct emulator_behavior behavior;
    struct emu_store *store;
    struct blobs *blobs;
    struct emu_request_log *log;
    struct emu_auth *auth;
    struct emu_server *server;
    struct emu_faults *faults; /* may be NULL */
    int data_lock;             /* of --data; -1: none */
};

struct emu_request;

struct emu_handler {
    void (*begin)(struct emu_request *r);
    bool (*chunk)(struct emu_request *r, const void *p, size_t n);
    void (*end)(struct emu_request *r);
    void (*done)(struct emu_request *r);
};

/* The longest prefix of the path, by whole segments, decides ("/v2" serves /v2, /v2/ and /v2/…). */
struct emu_route {
    const char *prefix; /* no trailing slash; "" serves all the rest */
    const char *api;    /* "ecr", "v2", …: the word in the request log; NULL: not logged */
    const struct emu_handler *handler;
};

/* What the request log shows; filled by handlers, all in the request's arena or static. */
struct emu_log_fields {
    struct str api;           /* the server sets the route's */
    struct str operation;     /* absent: "METHOD path" */
    struct str body;          /* JSON text of the request, absent where none */
    struct str error;         /* type or code of the error replied, absent on success */
    struct str access_key_id; /* never a secret or a token */
    struct str user_agent;    /* the server sets it */
};

struct emu_request {
    struct emulator *emu;
    struct arena arena; /* lives until done() has returned */
    void *state;        /* the handler's */
    struct emu_log_fields log;
    char id[37]; /* a UUID, for x-amzn-RequestId */

    struct str method; /* "GET" */
    struct str path;   /* percent-decoded, without query */
    struct str target; /* as sent: path and query, undecoded; for signatures */
    int64_t body_len;  /* Content-Length; -1 where absent (chunked, or no body) */
    int64_t started_unix_ms;
    bool has_replied;
    bool is_cut; /* no reply: the connection breaks */
    int status;  /* of the reply; 0: there is none */
    struct emu_fault fault;

    struct emu_conn *conn;
};

/* Header by name, whatever its case; absent where not sent. Lives as long as the request. */
struct str emu_header(const struct emu_request *r, const char *name);
/* Calls fn for each header in order of arrival. Decoding is none: values as sent, trimmed. */
void emu_headers_each(const struct emu_request *r,
                      void (*fn)(void *arg, struct str name, struct str value), void *arg);
/* Query argument, percent-decoded; absent where not sent, "" where sent without a value. */
struct str emu_query(const struct emu_request *r, const char *name);

/* Replies. Exactly one of emu_reply_*() per request; a second is ignored. Headers first. */
void emu_reply_header(struct emu_request *r, const char *name, struct str value);
/* body is copied into the arena unless it lives there or is static: pass what outlives done(). */
void emu_reply(struct emu_request *r, int status, const char *content_type, struct str body);
/* Takes the bytes out of *body (empty after). */
void emu_reply_take(struct emu_request *r, int status, const char *content_type, struct buf *body);
/* Sends len bytes from offset of fd, which is closed after; the range must exist. */
void emu_reply_fd(struct emu_request *r, int status, const char *content_type, int fd,
                  uint64_t offset, uint64_t len);
/* A reply to HEAD: no body, but its Content-Length. */
void emu_reply_head(struct emu_request *r, int status, const char *content_type, uint64_t len);

/* The connection breaks at once, instead of a reply. */
void emu_reply_cut(struct emu_request *r);

/* "arn:aws:ecr:us-east-1:123456789012:repository/" name. */
struct str emu_repository_arn(const struct emulator *emu, struct arena *arena, struct str name);
/* Who has the key: a user, or a role's session where it is temporary. */
struct str emu_caller_arn(const struct emulator *emu, struct arena *arena, struct str key,
                          bool is_temporary);

struct emu_server_config {
    const char *listen;
    const char *tls_cert_file; /* NULL: plain HTTP */
    const char *tls_key_file;
    const struct emu_route *routes; /* outlives the server */
    size_t n_routes;
};

/* Binds, writes emu->endpoint and emu->registry, and serves. emu outlives the server. Errors as
 * emulator_start(). */
bool emu_server_start(struct emulator *emu, const struct emu_server_config *cfg,
                      struct emu_server **ret, struct err *e) BERTH_NODISCARD;
/* Closes the listener and all connections; each open request ends with done(). Returns NULL. */
struct emu_server *emu_server_stop(struct emu_server *s);

/*
 * Tokens of GetAuthorizationToken: what /v2/ finds in `Authorization: Basic base64("AWS:" token)`.
 * Stateless (sealed with a key of this process), so that any number may be out. Any thread.
 */
enum emu_token_state { EMU_TOKEN_OK, EMU_TOKEN_INVALID, EMU_TOKEN_EXPIRED };
/* password: the part after "AWS:". *ret_access_key_id (into arena) on OK, for the log. */
enum emu_token_state emu_token_check(const struct emulator *emu, struct str password,
                                     struct arena *arena, struct str *ret_access_key_id);
/* Appends a new token to out; *ret_expires_unix_ms is when it ends. */
void emu_token_issue(const struct emulator *emu, struct str access_key_id, struct buf *out,
                     int64_t *ret_expires_unix_ms);

/*
 * What the registry side provides (v2_priv.h):
 *
 *   extern const struct emu_handler emu_v2_handler;       routed at "/v2"
 *
 * emulator.c makes the blob store before the state and frees it last, after the server stopped.
 */
