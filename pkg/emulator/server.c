// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP server over libmicrohttpd: listener, TLS, routing, the life of a request. It knows
 * nothing of ECR; what a request means is the handlers' (server_priv.h). A reply that a handler
 * gives is kept and queued when the handler returns (server_reply.c), and goes into the request log
 * at that moment, before a byte of it is sent: a client that has its answer finds its request in
 * the log.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "crypto/crypto.h"
#include "listen_priv.h"
#include "request_log_priv.h"
#include "server_impl_priv.h"
#include "server_priv.h"

#include <microhttpd.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PEM_BYTES_MAX = 256 * 1024,
    DROPPED_BYTES_MAX = 64 * 1024 * 1024, /* of a body nobody wants, before we hang up */
};

struct emu_server {
    struct emulator *emu;
    const struct emu_route *routes;
    size_t n_routes;
    struct MHD_Daemon *daemon;
    struct buf cert;
    struct buf key;
};

/* ---- what a request says ---- */

struct str emu_header(const struct emu_request *r, const char *name)
{
    return str_from(MHD_lookup_connection_value(r->conn->mhd, MHD_HEADER_KIND, name));
}

struct each {
    void (*fn)(void *arg, struct str name, struct str value);
    void *arg;
};

static enum MHD_Result each_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                   size_t key_len, const char *value, size_t value_len)
{
    const struct each *each = cls;

    (void)kind;
    each->fn(each->arg, str_n(key, key_len), str_n(value ? value : "", value ? value_len : 0));
    return MHD_YES;
}

void emu_headers_each(const struct emu_request *r,
                      void (*fn)(void *arg, struct str name, struct str value), void *arg)
{
    struct each each = {fn, arg};

    (void)MHD_get_connection_values_n(r->conn->mhd, MHD_HEADER_KIND, each_header, &each);
}

struct str emu_query(const struct emu_request *r, const char *name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(r->conn->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &len) != MHD_YES)
        return STR_NULL;
    return value ? str_n(value, len) : STR("");
}

/* ---- the life of a request ---- */

static void log_once(struct emu_conn *c)
{
    if (c->is_logged || c->route == NULL || c->route->api == NULL)
        return;
    c->is_logged = true;
    emu_request_log_add(c->r.emu->log, &c->r);
}

static enum MHD_Result queue_reply(struct emu_conn *c)
{
    return emu_answer_queue(c, log_once);
}

static const struct emu_route *find_route(const struct emu_server *s, struct str path)
{
    const struct emu_route *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < s->n_routes; i++) {
        const struct emu_route *route = &s->routes[i];
        struct str prefix = str_from(route->prefix);

        if (!str_starts_with(path, prefix))
            continue;
        if (prefix.len > 0 && path.len > prefix.len && path.ptr[prefix.len] != '/')
            continue;
        if (best == NULL || prefix.len > best_len) {
            best = route;
            best_len = prefix.len;
        }
    }
    return best;
}

/* The number after Content-Length; -1 where it is absent or no number. */
static int64_t body_length(const struct emu_request *r)
{
    int64_t len = 0;
    struct str text = emu_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);

    if (str_is_null(text) || !num_parse_i64(text, &len) || len < 0)
        return -1;
    return len;
}

/* Is it better to read the body of a refused request than to answer at once? libmicrohttpd 0.9.75
 * closes the connection after an early answer, and a client that is still sending sees that instead
 * of the answer. One that waits for "100 Continue" is not sending. */
static bool is_body_dropped(const struct emu_request *r)
{
    bool has_body =
        r->body_len > 0 || !str_is_null(emu_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING));

    if (r->is_cut)
        return false;
    return !has_body ||
           (str_is_null(emu_header(r, MHD_HTTP_HEADER_EXPECT)) && r->body_len <= DROPPED_BYTES_MAX);
}

static void begin(struct emu_server *s, struct emu_conn *c, const char *url, const char *method)
{
    struct emu_request *r = &c->r;

    c->has_begun = true;
    r->method = arena_copy(&r->arena, str_from(method));
    r->path = arena_copy(&r->arena, str_from(url));
    r->body_len = body_length(r);
    c->route = find_route(s, r->path);
    if (c->route == NULL) {
        emu_reply(r, MHD_HTTP_NOT_FOUND, "text/plain", STR("not found\n"));
        return;
    }
    r->log.api = str_from(c->route->api);
    r->log.user_agent = emu_header(r, MHD_HTTP_HEADER_USER_AGENT);
    if (c->route->handler->begin != NULL)
        c->route->handler->begin(r);
}

static enum MHD_Result on_body(struct emu_conn *c, const char *data, size_t n)
{
    const struct emu_handler *h = c->route ? c->route->handler : NULL;

    if (c->is_dropping || h == NULL) {
        c->dropped_bytes += n;
        return c->dropped_bytes > DROPPED_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    if (h->chunk == NULL || !h->chunk(&c->r, data, n))
        c->is_dropping = true;
    return MHD_YES;
}

static enum MHD_Result on_end(struct emu_conn *c)
{
    if (!c->has_ended) {
        c->has_ended = true;
        if (c->route->handler->end != NULL)
            c->route->handler->end(&c->r);
    }
    if (!c->r.has_replied)
        emu_reply(&c->r, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", STR("no reply\n"));
    return queue_reply(c);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls)
{
    struct emu_server *s = cls;
    struct emu_conn *c = *con_cls;

    (void)version;
    if (!c->has_begun) {
        c->mhd = mhd;
        begin(s, c, url, method);
        if (!c->r.has_replied)
            return MHD_YES;
        c->is_dropping = true;
        c->has_ended = true;
        return is_body_dropped(&c->r) ? MHD_YES : queue_reply(c);
    }
    if (*size > 0) {
        size_t n = *size;

        *size = 0;
        return on_body(c, data, n);
    }
    return on_end(c);
}

/* The first sight of a request; what it returns is *con_cls of the calls that follow. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct emu_server *s = cls;
    struct emu_conn *c = mem_alloc(sizeof(*c));

    c->mhd = mhd;
    c->r.emu = s->emu;
    c->r.conn = c;
    c->r.body_len = -1;
    c->r.started_unix_ms = clock_unix_ms(s->emu->clock);
    c->r.target = arena_copy(&c->r.arena, str_from(uri));
    crypto_uuid(c->r.id);
    return c;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct emu_conn *c = *con_cls;

    (void)cls;
    (void)mhd;
    (void)why;
    if (c == NULL)
        return;
    log_once(c);
    if (c->route != NULL && c->route->handler->done != NULL)
        c->route->handler->done(&c->r);
    emu_answer_fini(&c->answer);
    arena_fini(&c->r.arena);
    *con_cls = mem_free(c);
}

/* ---- start and stop ---- */

static bool start_daemon(struct emu_server *s, int fd, bool is_tls, struct err *e)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                     MHD_USE_POLL | (is_tls ? MHD_USE_TLS : 0U);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert.ptr},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->key.ptr},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem *extra = is_tls ? tls : &tls[2];

    s->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED,
                         on_completed, s, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)EMU_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)EMU_CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)EMU_CONNECTION_TIMEOUT_S, MHD_OPTION_THREAD_STACK_SIZE,
                         (size_t)EMU_THREAD_STACK_BYTES, MHD_OPTION_ARRAY, extra, MHD_OPTION_END);
    if (s->daemon != NULL)
        return true;
    close(fd);
    return err_set(e, ERR_INVALID, "Server", "start the server%s",
                   is_tls ? ": is the certificate PEM, and does the key belong to it?" : "");
}

static struct emu_server *server_free(struct emu_server *s)
{
    if (s->key.ptr != NULL)
        crypto_wipe(s->key.ptr, s->key.len);
    buf_fini(&s->key);
    buf_fini(&s->cert);
    return mem_free(s);
}

static bool read_tls(struct emu_server *s, const struct emu_server_config *cfg, struct err *e)
{
    if ((cfg->tls_cert_file == NULL) != (cfg->tls_key_file == NULL))
        return err_set(e, ERR_INVALID, "TLS", "TLS needs both a certificate and a key");
    if (cfg->tls_cert_file == NULL)
        return true;
    if (!file_read(cfg->tls_cert_file, &s->cert, e))
        return err_wrap(e, "TLS certificate");
    if (!file_read(cfg->tls_key_file, &s->key, e))
        return err_wrap(e, "TLS key");
    return true;
}

bool emu_server_start(struct emulator *emu, const struct emu_server_config *cfg,
                      struct emu_server **ret, struct err *e)
{
    int fd = -1;
    struct emu_server *s = mem_alloc(sizeof(*s));

    *ret = NULL;
    *s = (struct emu_server){.emu = emu,
                             .routes = cfg->routes,
                             .n_routes = cfg->n_routes,
                             .cert = BUF_INIT(PEM_BYTES_MAX),
                             .key = BUF_INIT(PEM_BYTES_MAX)};
    /* the names before the first request can come */
    if (!read_tls(s, cfg, e) ||
        !emu_listen(cfg->listen, &fd, emu->registry, sizeof(emu->registry), e)) {
        server_free(s);
        return false;
    }
    snprintf(emu->endpoint, sizeof(emu->endpoint), "%s://%s", s->cert.ptr ? "https" : "http",
             emu->registry);
    if (!start_daemon(s, fd, s->cert.ptr != NULL, e)) {
        server_free(s);
        return false;
    }
    *ret = s;
    return true;
}

struct emu_server *emu_server_stop(struct emu_server *s)
{
    if (s == NULL)
        return NULL;
    MHD_stop_daemon(s->daemon);
    return server_free(s);
}
