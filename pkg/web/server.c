// SPDX-License-Identifier: Apache-2.0
/*
 * The server on libwebsockets, 4.1.6 (Debian 12) to 4.3 (Debian 13, Ubuntu 24.04): its life, its
 * callbacks and its numbers.
 *
 * One context with one virtual host that does not listen: connections come from listener.c. All
 * callbacks run on the loop thread; lws_cancel_service() is the only call from another one, and
 * what it is for (answers that have come, draining, finishing) is looked up when it arrives.
 */
#include "web/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server_priv.h"
#include "tls_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    /* file descriptors of the context beside connections: listener, wake-up pipe, reserve */
    OTHER_FDS = 8,
    /* lws 4.1.6: an accepted connection whose headers do not arrive */
    HEADERS_TIMEOUT_S = 10,
    CONNECTIONS_MAX = 1 << SLOT_BITS
};

/* libwebsockets logs through one function for the process, which gets no argument. */
static _Atomic(struct log *) log_sink;

static void emit(int level, const char *line)
{
    (void)level;
    log_debug(atomic_load(&log_sink), "libwebsockets", KV("line", str_trim(str_from(line))));
}

static void set_log_level(void)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, emit);
}

/* Callbacks */

static int on_request(struct connection *c)
{
    char *path = NULL;
    int path_len = 0;
    const struct web_server *s = c->server;
    const int method = lws_http_get_uri_and_method(c->wsi, &path, &path_len);
    const bool is_get = method == LWSHUMETH_GET || method == LWSHUMETH_HEAD;
    const bool is_call = method == LWSHUMETH_POST && s->o.call_handler != NULL;
    c->exchange = EXCHANGE_WRITING;
    c->is_last = web_header_is_last(c->wsi);
    web_exchange_arm(c, web_now_ms() + WEB_REQUEST_TIMEOUT_MS);
    if (!is_get && !is_call)
        return web_exchange_refuse(c, 405,
                                   s->o.call_handler != NULL
                                       ? "only GET, HEAD and POST are served here\n"
                                       : "only GET and HEAD are served here\n");
    if (path_len <= 0 || path[0] != '/' || memchr(path, '\0', (size_t)path_len) != NULL)
        return web_exchange_refuse(c, 400, "the path cannot be read\n");
    if (is_call)
        return web_call_begin(c, str_n(path, (size_t)path_len));
    if (web_header_has_body(c->wsi))
        return web_exchange_refuse(c, 413, "a request with a body is not served here\n");
    return web_get(c, method, str_n(path, (size_t)path_len));
}

static void on_destroy(struct connection *c)
{
    struct web_server *s = c->server;
    web_exchange_end(c);
    if (s->o.tls != NULL && !c->is_secured)
        atomic_fetch_add(&s->counters.failed_handshakes, 1);
    c->wsi = NULL;
    const int left = atomic_fetch_sub(&s->counters.connections, 1) - 1;
    if (s->listener != NULL) {
        web_listener_resume(s);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    s->is_empty = left == 0;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

static int on_connection(struct connection *c, enum lws_callback_reasons reason, void *in,
                         size_t len)
{
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(c);
    case LWS_CALLBACK_HTTP_BODY:
        return web_call_body(c, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return web_call_complete(c);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return web_exchange_writable(c);
    case LWS_CALLBACK_TIMER:
        return web_exchange_timer(c);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        web_exchange_end(c);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroy(c);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: /* lws 4.1.6: `in` is freed already */
    case LWS_CALLBACK_RAW_ADOPT:            /* CONNECT */
    case LWS_CALLBACK_RAW_CONNECTED:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
        return -1;
    default:
        return 0;
    }
}

/* On all connections; their time starts anew. */
static void begin_idle_limit(struct web_server *s)
{
    const int64_t now_ms = web_now_ms();
    for (int i = 0; i < s->o.max_connections; i++) {
        struct connection *c = &s->connections[i];
        if (c->wsi == NULL || c->exchange != EXCHANGE_NONE)
            continue;
        c->since_ms = now_ms;
        web_exchange_arm(c, now_ms + (s->knows_finish ? FINISH_IDLE_MS : WEB_DRAIN_IDLE_MS));
    }
}

static void on_wake(struct web_server *s)
{
    web_call_deliver(s);
    if (!s->knows_drain && atomic_load(&s->is_draining)) {
        s->knows_drain = true;
        begin_idle_limit(s);
    }
    if (s->knows_finish || !atomic_load(&s->is_finishing))
        return;
    s->knows_finish = true;
    web_listener_close(s);
    begin_idle_limit(s);
    pthread_mutex_lock(&s->mutex);
    s->is_empty = atomic_load(&s->counters.connections) == 0;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&s->mutex);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len)
{
    struct web_server *s = server_of(wsi);
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
        on_wake(s);
        return 0; /* anything else closes the wake-up pipe */
    }
    if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
        return s->o.tls != NULL && web_tls_configure(user, s->o.tls) ? 0 : -1;
    if (wsi == s->listener)
        return 0;
    struct connection *c = lws_get_opaque_user_data(wsi);
    if (c != NULL)
        return on_connection(c, reason, in, len);
    /* not ours yet: libwebsockets calls while it takes it */
    return reason == LWS_CALLBACK_HTTP ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
    /* lws 4.1.6: without session data HTTP_DROP_PROTOCOL does not come when a connection ends */
    {.name = "http", .callback = on_http, .per_session_data_size = 1},
    {.name = "listener", .callback = web_on_listener},
    {0},
};

/* Life */

static bool create_context(struct web_server *s, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    atomic_store(&log_sink, s->o.log);
    pthread_once(&once, set_log_level);
    const uint64_t tls =
        LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | (s->o.tls != NULL ? tls : 0),
        .vhost_name = s->o.name,
        .user = s,
        .alpn = "http/1.1",
        .max_http_header_data2 = WEB_MAX_HEADER_BYTES,
        .max_http_header_pool2 = (unsigned)s->o.max_connections,
        .pt_serv_buf_size = PIECE_BYTES,
        .fd_limit_per_thread = (unsigned)s->o.max_connections + OTHER_FDS,
        .timeout_secs = WEB_HANDSHAKE_TIMEOUT_MS / 1000,
        .timeout_secs_ah_idle = HEADERS_TIMEOUT_S,
        .keepalive_timeout = WEB_IDLE_TIMEOUT_MS / 1000,
    };
    s->context = lws_create_context(&info);
    s->vhost = s->context != NULL ? lws_create_vhost(s->context, &info) : NULL;
    return s->vhost != NULL ||
           err_set(e, ERR_BUG, "NoContext", "libwebsockets cannot be set up for %s", s->o.name);
}

static bool adopt_listener(struct web_server *s, int fd, struct err *e)
{
    const lws_sock_file_fd_type descriptor = {.filefd = fd};
    s->listener =
        lws_adopt_descriptor_vhost(s->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor, "listener", NULL);
    return s->listener != NULL ||
           err_set(e, ERR_BUG, "NoContext", "libwebsockets cannot be set up for %s", s->o.name);
}

static struct web_server *server_free(struct web_server *s)
{
    if (s->context != NULL)
        lws_context_destroy(s->context); /* closes the listener too */
    struct log *ours = s->o.log;
    (void)atomic_compare_exchange_strong(&log_sink, &ours, NULL);
    calls_fini(&s->calls);
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->mutex);
    s->connections = mem_free(s->connections);
    return mem_free(s);
}

static void wake(void *arg)
{
    struct web_server *s = arg;
    lws_cancel_service(s->context);
}

static struct web_options with_defaults(struct web_options o)
{
    o.max_connections = o.max_connections > 0 ? o.max_connections : WEB_CONNECTIONS;
    o.workers = o.workers > 0 ? o.workers : WEB_WORKERS;
    o.queue = o.queue > 0 ? o.queue : WEB_QUEUE;
    o.call_timeout_ms = o.call_timeout_ms > 0 ? o.call_timeout_ms : WEB_REQUEST_TIMEOUT_MS;
    o.max_call_bytes = o.max_call_bytes > 0 ? o.max_call_bytes : WEB_MAX_CALL_BYTES;
    o.max_calls_bytes = o.max_calls_bytes > 0 ? o.max_calls_bytes : WEB_MAX_CALLS_BYTES;
    return o;
}

bool web_server_new(const struct web_options *o, struct web_server **ret, struct err *e)
{
    *ret = NULL;
    assert(strlen(o->name) <= 11 && o->max_connections < CONNECTIONS_MAX);
    struct web_server *s = mem_alloc(sizeof(*s));
    s->o = with_defaults(*o);
    s->connections = mem_alloc_array((size_t)s->o.max_connections, sizeof(*s->connections));
    calls_init(&s->calls, &s->o, wake, s);
    pthread_mutex_init(&s->mutex, NULL);
    thread_cond_init(&s->cond);
    int fd = -1;
    if (!web_listen_open(o->listen, o->name, &fd, s->address, &s->port, e) ||
        !create_context(s, e)) {
        if (fd >= 0)
            (void)close(fd);
        server_free(s);
        return false;
    }
    if (!adopt_listener(s, fd, e)) { /* has closed it */
        server_free(s);
        return false;
    }
    *ret = s;
    return true;
}

const char *web_server_address(const struct web_server *s)
{
    return s->address;
}

int web_server_port(const struct web_server *s)
{
    return s->port;
}

static void loop(void *arg)
{
    struct web_server *s = arg;
    while (!atomic_load(&s->is_stopping)) {
        if (lws_service(s->context, 0) < 0) {
            log_error(s->o.log, "http server failed", KV_CSTR("what", s->o.name));
            return;
        }
        calls_flush(&s->calls);
    }
}

void web_server_start(struct web_server *s)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "web-%.11s", s->o.name);
    calls_start(&s->calls);
    thread_start(&s->thread, name, loop, s);
}

void web_server_answer(struct web_server *s, uint64_t id, int status, const char *content_type,
                       struct buf *take_body)
{
    assert(status >= 200 && status <= 599 && status != 204 && status != 304);
    struct buf nothing = BUF_INIT(0);
    struct buf *body = take_body != NULL ? take_body : &nothing;
    if (!buf_ok(body)) {
        buf_fini(body);
        status = 500;
    }
    if (!calls_answer(&s->calls, id, status, content_type, body))
        atomic_fetch_add(&s->counters.dropped, 1);
}

void web_server_drain(struct web_server *s)
{
    atomic_store(&s->is_draining, true);
    wake(s);
}

static bool wait_until_empty(struct web_server *s, int64_t timeout_ms)
{
    const int64_t end_ms = web_now_ms() + timeout_ms;
    pthread_mutex_lock(&s->mutex);
    int64_t left_ms = timeout_ms;
    while (!s->is_empty && left_ms > 0) {
        (void)thread_cond_wait_ms(&s->cond, &s->mutex, left_ms);
        left_ms = end_ms - web_now_ms();
    }
    const bool is_empty = s->is_empty;
    pthread_mutex_unlock(&s->mutex);
    return is_empty;
}

bool web_server_finish(struct web_server *s, int64_t timeout_ms)
{
    if (atomic_load(&s->is_stopping))
        return true;
    atomic_store(&s->is_draining, true);
    atomic_store(&s->is_finishing, true);
    wake(s);
    const bool is_empty = s->thread.is_running && timeout_ms > 0 && wait_until_empty(s, timeout_ms);
    atomic_store(&s->is_stopping, true);
    wake(s);
    thread_join(&s->thread);
    bool is_cut = false;
    for (int i = 0; i < s->o.max_connections && !is_empty; i++)
        is_cut = is_cut || s->connections[i].exchange != EXCHANGE_NONE;
    calls_stop(&s->calls);
    return !is_cut;
}

struct web_server *web_server_stop(struct web_server *s)
{
    if (s == NULL)
        return NULL;
    (void)web_server_finish(s, 0);
    return server_free(s);
}

struct web_counts web_server_counts(struct web_server *s)
{
    struct counters *n = &s->counters;
    return (struct web_counts){
        .connections = atomic_load(&n->connections),
        .calls = atomic_load(&n->open_calls),
        .queued = calls_queued(&s->calls),
        .body_bytes = atomic_load(&s->calls.body_bytes),
        .answered = atomic_load(&n->answered),
        .refused_queue = atomic_load(&n->refused_queue),
        .refused_bytes = atomic_load(&n->refused_bytes),
        .dropped = atomic_load(&n->dropped),
        .timed_out = atomic_load(&n->timed_out),
        .failed_handshakes = atomic_load(&n->failed_handshakes),
    };
}
