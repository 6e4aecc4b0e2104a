// SPDX-License-Identifier: Apache-2.0
/*
 * The server on libwebsockets, 4.1.6 (Debian 12) to 4.3 (Debian 13, Ubuntu 24.04).
 *
 * One context with one virtual host that does not listen. Our listening socket is adopted as a raw
 * file of the protocol "listener": when it is readable we accept, and hand the connection to
 * libwebsockets as HTTP. All callbacks run on the loop thread; lws_cancel_service() is the only
 * call from another one. The answer is made when the headers are there; the first piece is written
 * with it where it is the only one, more of them when the connection takes them.
 */
#include "web/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "web_priv.h"

#include <libwebsockets.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 32 * 1024,
    HEADER_BYTES = 1024, /* of an answer: ours are few and short */
    ACCEPTS_AT_A_TIME = 16,
    /* file descriptors of the context beside connections: listener, wake-up pipe, reserve */
    OTHER_FDS = 8,
    /* lws 4.1.6: an accepted connection whose headers do not arrive */
    HEADERS_TIMEOUT_S = 10,
    ACCEPT_PAUSE_MS = 500
};

struct web_server {
    struct web_options o;
    char address[WEB_MAX_LISTEN];
    int port;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws *listener;
    struct thread thread;
    atomic_bool is_stopping;
    /* of the loop thread */
    int connections;
    bool is_paused; /* the listener is not polled: too many connections, or accept() failed */
    unsigned char piece[LWS_PRE + PIECE_BYTES];
};

/* The per-session data of libwebsockets: zeroed at each request, freed after HTTP_DROP_PROTOCOL.
 * lws 4.1.6: one connection has a new one for each request. */
struct exchange {
    struct buf body;
    size_t sent;
    bool is_open;
    bool is_last; /* the connection is closed after the answer */
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

static struct web_server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* The listener */

static void pause_accepting(struct web_server *s)
{
    if (s->is_paused)
        return;
    s->is_paused = true;
    (void)lws_rx_flow_control(s->listener, 0);
    /* a way back where no connection ends: another one may hold the descriptors */
    lws_set_timer_usecs(s->listener, ACCEPT_PAUSE_MS * LWS_US_PER_MS);
}

static void resume_accepting(struct web_server *s)
{
    if (!s->is_paused || s->connections >= s->o.max_connections)
        return;
    s->is_paused = false;
    (void)lws_rx_flow_control(s->listener, 1);
}

static void accept_some(struct web_server *s)
{
    const int listen_fd = lws_get_socket_fd(s->listener);
    for (int i = 0; i < ACCEPTS_AT_A_TIME; i++) {
        if (s->connections >= s->o.max_connections) {
            pause_accepting(s);
            return;
        }
        const int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            /* what the peer undid already is no failure; a lack of descriptors would be polled
             * again at once, for ever */
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(s);
            return;
        }
        const int before = s->connections++;
        if (lws_adopt_socket_vhost(s->vhost, fd) == NULL) /* has closed it */
            s->connections = before;
    }
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t len)
{
    (void)user;
    (void)in;
    (void)len;
    struct web_server *s = server_of(wsi);
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        accept_some(s);
    } else if (reason == LWS_CALLBACK_TIMER) {
        const bool was_paused = s->is_paused;
        resume_accepting(s);
        if (was_paused && s->is_paused)
            lws_set_timer_usecs(wsi, ACCEPT_PAUSE_MS * LWS_US_PER_MS);
    }
    return 0;
}

/* A request */

static int finish(struct lws *wsi, struct exchange *x)
{
    x->is_open = false;
    if (x->is_last)
        return -1;
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int on_writable(struct web_server *s, struct lws *wsi, struct exchange *x)
{
    if (x == NULL || !x->is_open)
        return 0;
    const struct str rest = str_from_offset(buf_str(&x->body), x->sent);
    const size_t n = rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES;
    const bool is_end = n == rest.len;
    memcpy(s->piece + LWS_PRE, rest.ptr, n);
    if (lws_write(wsi, s->piece + LWS_PRE, n, is_end ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0)
        return -1;
    x->sent += n;
    if (is_end)
        return finish(wsi, x);
    lws_callback_on_writable(wsi);
    return 0;
}

static bool add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at,
                       unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

static int answer(struct lws *wsi, struct exchange *x, int status, const char *content_type,
                  bool is_head)
{
    unsigned char headers[LWS_PRE + HEADER_BYTES];
    unsigned char *start = headers + LWS_PRE;
    unsigned char *at = start;
    unsigned char *end = headers + sizeof(headers) - 1;
    if (lws_add_http_common_headers(wsi, (unsigned)status, content_type, x->body.len, &at, end) ||
        !add_header(wsi, "x-content-type-options:", "nosniff", &at, end) ||
        (status == 405 && !add_header(wsi, "allow:", "GET, HEAD", &at, end)) ||
        (x->is_last && !add_header(wsi, "connection:", "close", &at, end)) ||
        lws_finalize_write_http_header(wsi, start, &at, end))
        return -1;
    x->is_open = true;
    if (is_head || x->body.len == 0)
        return finish(wsi, x);
    /* lws 4.1.6: reads a body that may follow before it says that we may write; returning -1 after
     * this write ends the connection when the write is through. lws 4.3: closes the connection
     * where the next request has come (pipelining) and this answer is not through: what fits into
     * one piece goes at once. */
    if (x->is_last || x->body.len <= PIECE_BYTES)
        return on_writable(server_of(wsi), wsi, x);
    lws_callback_on_writable(wsi);
    return 0;
}

/* The connection ends with the answer: what follows on it is not to be read. */
static int refuse(struct lws *wsi, struct exchange *x, int status, const char *text)
{
    x->is_last = true;
    buf_fini(&x->body);
    x->body = BUF_INIT(HEADER_BYTES);
    buf_append_cstr(&x->body, text);
    return answer(wsi, x, status, "text/plain; charset=utf-8", false);
}

static int call_handler(struct web_server *s, struct lws *wsi, struct exchange *x,
                        const struct web_request *rq, bool is_head)
{
    struct web_response rs = {.status = 200,
                              .content_type = "text/plain; charset=utf-8",
                              .body = BUF_INIT(WEB_MAX_BODY_BYTES)};
    s->o.handler(s->o.arg, rq, &rs);
    buf_fini(&x->body);
    x->body = rs.body;
    if (!buf_ok(&x->body))
        return refuse(wsi, x, 500, "the answer is too big\n");
    assert(rs.status >= 200 && rs.status <= 599);
    return answer(wsi, x, rs.status, rs.content_type, is_head);
}

static bool has_body(struct lws *wsi)
{
    char length[4] = "";
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return true;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return false;
    return lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) != 1 ||
           length[0] != '0';
}

/* lws 4.1.6: lws_hdr_copy() joins the parts of a query with commas */
static struct str read_query(struct lws *wsi, char *text, size_t size)
{
    size_t len = 0;
    for (int i = 0; len + 1 < size; i++) {
        const int n =
            lws_hdr_copy_fragment(wsi, text + len, (int)(size - len), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0)
            break;
        len += (size_t)n;
        text[len++] = '&';
    }
    return len > 1 ? str_n(text, len - 1) : STR_NULL;
}

static int on_request(struct web_server *s, struct lws *wsi, struct exchange *x)
{
    x->body = BUF_INIT(HEADER_BYTES);
    lws_set_timer_usecs(wsi, WEB_REQUEST_TIMEOUT_MS * LWS_US_PER_MS);
    char *path = NULL;
    int path_len = 0;
    const int method = lws_http_get_uri_and_method(wsi, &path, &path_len);
    if (method != LWSHUMETH_GET && method != LWSHUMETH_HEAD)
        return refuse(wsi, x, 405, "only GET and HEAD are served here\n");
    /* lws 4.1.6: chunked bodies are not decoded, lengths are not read strictly */
    if (has_body(wsi))
        return refuse(wsi, x, 413, "a request with a body is not served here\n");
    if (path_len <= 0 || path[0] != '/' || memchr(path, '\0', (size_t)path_len) != NULL)
        return refuse(wsi, x, 400, "the path cannot be read\n");
    char query[WEB_MAX_HEADER_BYTES];
    const bool is_head = method == LWSHUMETH_HEAD;
    const struct web_request rq = {
        .method = is_head ? STR("HEAD") : STR("GET"),
        .path = str_n(path, (size_t)path_len),
        .query = read_query(wsi, query, sizeof(query)),
    };
    return call_handler(s, wsi, x, &rq, is_head);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len)
{
    (void)in; /* lws 4.1.6: freed already in HTTP_CONFIRM_UPGRADE */
    (void)len;
    struct exchange *x = user;
    struct web_server *s = server_of(wsi);
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(s, wsi, x);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(s, wsi, x);
    case LWS_CALLBACK_TIMER:
        /* never cancelled (lws 4.1.6: that makes it fire): one that is left over does nothing */
        return x != NULL && x->is_open ? -1 : 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (x != NULL)
            buf_fini(&x->body);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        if (wsi != s->listener && s->connections > 0) {
            s->connections--;
            resume_accepting(s);
        }
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_RAW_ADOPT: /* CONNECT */
    case LWS_CALLBACK_RAW_CONNECTED:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
        return -1;
    default: /* and EVENT_WAIT_CANCELLED, where anything but 0 closes the wake-up pipe */
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = on_http, .per_session_data_size = sizeof(struct exchange)},
    {.name = "listener", .callback = on_listener},
    {0},
};

/* Life */

static bool create_context(struct web_server *s, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    atomic_store(&log_sink, s->o.log);
    pthread_once(&once, set_log_level);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .vhost_name = s->o.name,
        .user = s,
        .alpn = "http/1.1",
        .max_http_header_data2 = WEB_MAX_HEADER_BYTES,
        .max_http_header_pool2 = (unsigned)s->o.max_connections,
        .pt_serv_buf_size = PIECE_BYTES,
        .fd_limit_per_thread = (unsigned)s->o.max_connections + OTHER_FDS,
        .timeout_secs = WEB_REQUEST_TIMEOUT_MS / 1000,
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
    return mem_free(s);
}

bool web_server_new(const struct web_options *o, struct web_server **ret, struct err *e)
{
    *ret = NULL;
    assert(o->handler != NULL && strlen(o->name) <= 11);
    struct web_server *s = mem_alloc(sizeof(*s));
    s->o = *o;
    if (s->o.max_connections <= 0)
        s->o.max_connections = WEB_CONNECTIONS;
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
    while (!atomic_load(&s->is_stopping))
        if (lws_service(s->context, 0) < 0) {
            log_error(s->o.log, "http server failed", KV_CSTR("what", s->o.name));
            return;
        }
}

void web_server_start(struct web_server *s)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "web-%.11s", s->o.name);
    thread_start(&s->thread, name, loop, s);
}

struct web_server *web_server_stop(struct web_server *s)
{
    if (s == NULL)
        return NULL;
    atomic_store(&s->is_stopping, true);
    lws_cancel_service(s->context);
    thread_join(&s->thread);
    return server_free(s);
}
