// SPDX-License-Identifier: Apache-2.0
/*
 * Setting up an easy handle for one request. Everything that curl would take from its defaults or
 * from the environment and that matters here is said explicitly, so that two versions of libcurl
 * do the same.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "http_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 9110, 5.6.2 */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c <= ' ' || c > '~' || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return s.len > 0;
}

/* No control characters: a line break would start another header. */
static bool is_header_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool is_method(const char *method)
{
    size_t n = method ? strlen(method) : 0;
    return n > 0 && n <= HTTP_MAX_METHOD_BYTES && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

static bool is_own_header(struct str name)
{
    static const char *const own[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                      "Expect"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (str_eq_nocase(name, str_from(own[i])))
            return true;
    return false;
}

static bool check_request(struct http_exchange *x, struct http_url_parts *ret_url, struct err *e)
{
    const struct http_request *rq = x->rq;
    if (!is_method(rq->method))
        return err_set(e, ERR_INVALID, "BadRequest", "the HTTP method is not upper-case letters");
    if (!http_url_split(rq->url, ret_url))
        return err_set(e, ERR_INVALID, "BadRequest",
                       "%s: the URL is no absolute http or https URL that can be sent as it is",
                       rq->method);
    struct str port = ret_url->port.ptr ? ret_url->port : http_url_default_port(ret_url);
    snprintf(x->where, sizeof(x->where), "%s %.*s:%.*s", rq->method, STR_ARG(ret_url->host),
             STR_ARG(port));
    if (rq->header_count > HTTP_MAX_HEADERS)
        return err_set(e, ERR_INVALID, "BadRequest", "%s: %zu headers are more than %d", x->where,
                       rq->header_count, (int)HTTP_MAX_HEADERS);
    for (size_t i = 0; i < rq->header_count; i++) {
        const struct http_header *h = &rq->headers[i];
        if (!is_token(h->name) || h->name.len > 256)
            return err_set(e, ERR_INVALID, "BadRequest", "%s: the name of header %zu is no token",
                           x->where, i);
        if (!is_header_value(h->value) || h->value.len > HTTP_MAX_HEADER_BYTES)
            return err_set(e, ERR_INVALID, "BadRequest",
                           "%s: the value of header %.*s has control characters or is too long",
                           x->where, STR_ARG(h->name));
        if (is_own_header(h->name))
            return err_set(e, ERR_INVALID, "BadRequest", "%s: header %.*s is set by the client",
                           x->where, STR_ARG(h->name));
    }
    return true;
}

static void add_header(struct http_exchange *x, const char *line)
{
    struct curl_slist *longer = curl_slist_append(x->headers, line);
    if (longer == NULL)
        abort();
    x->headers = longer;
}

static bool has_header(const struct http_request *rq, const char *name)
{
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, str_from(name)))
            return true;
    return false;
}

/* Values may be credentials: the line is overwritten once curl has its copy. */
static void add_given_header(struct http_exchange *x, const struct http_header *h)
{
    struct str value = str_trim(h->value);
    size_t n = h->name.len + value.len + sizeof(": ");
    char *line = mem_alloc(n);
    /* curl: "Name:" takes a header away, "Name;" sends it empty */
    snprintf(line, n, "%.*s%s%.*s", STR_ARG(h->name), str_is_empty(value) ? ";" : ": ",
             STR_ARG(value));
    add_header(x, line);
    explicit_bzero(line, n);
    mem_free(line);
}

static void set_headers(struct http_exchange *x, const struct http_url_parts *url)
{
    const struct http_request *rq = x->rq;
    for (size_t i = 0; i < rq->header_count; i++)
        add_given_header(x, &rq->headers[i]);
    if (!has_header(rq, "Accept-Encoding"))
        add_header(x, "Accept-Encoding: identity");
    if (!has_header(rq, "Content-Type"))
        add_header(x, "Content-Type:"); /* or curl says that a body is a form */
    add_header(x, "Expect:");
    if (x->settings->tls_server_name != NULL && !has_header(rq, "Host"))
        add_header(x, arena_printf(&x->arena, "Host: %.*s%s%.*s", STR_ARG(url->host),
                                   url->port.ptr ? ":" : "", STR_ARG(url->port))
                          .ptr);
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
}

/*
 * The name that the peer's certificate must have is the URL's in curl. Where another one is wanted,
 * the URL takes that name, and CURLOPT_CONNECT_TO leads to the real host.
 */
static void set_url(struct http_exchange *x, const struct http_url_parts *url)
{
    const char *name = x->settings->tls_server_name;
    if (name == NULL || !url->is_https) {
        curl_easy_setopt(x->easy, CURLOPT_URL, arena_cstr(&x->arena, x->rq->url));
        return;
    }
    struct str port = url->port.ptr ? url->port : http_url_default_port(url);
    curl_easy_setopt(
        x->easy, CURLOPT_URL,
        arena_printf(&x->arena, "https://%s:%.*s%.*s", name, STR_ARG(port), STR_ARG(url->rest))
            .ptr);
    x->connect_to = curl_slist_append(
        NULL, arena_printf(&x->arena, "::%.*s:%.*s", STR_ARG(url->host), STR_ARG(port)).ptr);
    if (x->connect_to == NULL)
        abort();
    curl_easy_setopt(x->easy, CURLOPT_CONNECT_TO, x->connect_to);
}

static void set_body(struct http_exchange *x)
{
    const struct http_request *rq = x->rq;
    CURL *easy = x->easy;
    bool is_upload = strcmp(rq->method, "POST") == 0 || strcmp(rq->method, "PUT") == 0 ||
                     strcmp(rq->method, "PATCH") == 0;
    if (strcmp(rq->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (!str_is_null(rq->body) || is_upload) {
        /* a method that has a body sends "Content-Length: 0" for an absent one */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, rq->body.ptr ? rq->body.ptr : "");
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
    }
}

static void set_blob(CURL *easy, CURLoption option, char *pem, size_t bytes)
{
    struct curl_blob blob = {.data = pem, .len = bytes, .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct http_settings *s)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (s->is_insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    http_trust_set(easy, s);
    if (s->client_cert_pem != NULL) {
        set_blob(easy, CURLOPT_SSLCERT_BLOB, s->client_cert_pem, s->client_cert_bytes);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, s->client_key_pem, s->client_key_bytes);
    }
}

static void set_transport(struct http_exchange *x)
{
    CURL *easy = x->easy;
    const struct http_settings *s = x->settings;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* a signature covers "/../" too */
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)HTTP_KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)HTTP_KEEPALIVE_INTERVAL_S);
    /* or a resolver that hangs is waited for beyond every deadline (its thread ends by itself) */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (s->user_agent != NULL)
        curl_easy_setopt(easy, CURLOPT_USERAGENT, s->user_agent);
    if (s->proxy_url != NULL) {
        curl_easy_setopt(easy, CURLOPT_PROXY, s->proxy_url); /* "": none, not even by environment */
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    }
    set_tls(easy, s);
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    size_t n = size * count;
    x->last_received_mono_ms = clock_mono_ms(clock_system());
    if (x->ops != NULL) {
        if (x->ops->on_data(x->ops_arg, str_n(p, n)))
            return n;
        x->end = HTTP_EXCHANGE_STOPPED;
        return 0;
    }
    buf_append_bytes(&x->body, p, n);
    if (buf_ok(&x->body))
        return n;
    x->end = n > x->max_body_bytes - x->body.len ? HTTP_EXCHANGE_BODY_TOO_LARGE
                                                 : HTTP_EXCHANGE_OUT_OF_MEMORY;
    return 0;
}

/* libcurl calls it at least once a second, whatever the peer does: the way to end an exchange. */
static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    const struct http_exchange *x = arg;
    struct http_cancel *cancel = x->rq->cancel;
    return cancel != NULL && http_cancel_is_cancelled(cancel) ? 1 : 0;
}

/* libcurl calls it each time that it is about to send the request. */
static int on_send(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    (void)peer_ip;
    (void)own_ip;
    (void)peer_port;
    (void)own_port;
    struct http_exchange *x = arg;
    x->sent++;
    return CURL_PREREQFUNC_OK;
}

static long timeout_or(int64_t ms, int64_t fallback_ms)
{
    int64_t timeout = ms > 0 ? ms : fallback_ms;
    return (long)(timeout > HTTP_MAX_TIMEOUT_MS ? HTTP_MAX_TIMEOUT_MS : timeout);
}

static void set_limits_and_callbacks(struct http_exchange *x, int64_t default_timeout_ms)
{
    CURL *easy = x->easy;
    long connect_ms = timeout_or(x->rq->connect_timeout_ms, HTTP_DEFAULT_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_or(x->rq->timeout_ms, default_timeout_ms));
    /* ends a body that is announced as too large before it is sent; on_body() has the last word */
    if (x->ops == NULL && strcmp(x->rq->method, "HEAD") != 0)
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->max_body_bytes);
    if (x->ops == NULL) {
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, x);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    }
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->curl_text);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_exchange_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
}

bool http_exchange_init(struct http_exchange *x, int64_t default_timeout_ms, struct err *e)
{
    x->max_body_bytes = x->rq->max_body_bytes ? x->rq->max_body_bytes : HTTP_DEFAULT_BODY_BYTES;
    x->head = BUF_INIT(HTTP_MAX_HEADER_BYTES);
    x->body = BUF_INIT(x->max_body_bytes);
    x->last_received_mono_ms = clock_mono_ms(clock_system());
    struct http_url_parts url;
    if (!check_request(x, &url, e))
        return false;
    set_transport(x);
    set_url(x, &url);
    set_body(x);
    set_headers(x, &url);
    set_limits_and_callbacks(x, default_timeout_ms);
    return true;
}

/* Headers carry credentials: the copies made for curl are overwritten. */
static void wipe_headers(struct curl_slist *list)
{
    for (struct curl_slist *it = list; it != NULL; it = it->next)
        explicit_bzero(it->data, strlen(it->data));
    curl_slist_free_all(list);
}

void http_exchange_fini(struct http_exchange *x)
{
    wipe_headers(x->headers);
    x->headers = NULL;
    curl_slist_free_all(x->connect_to);
    x->connect_to = NULL;
    buf_fini(&x->head);
    buf_fini(&x->body);
    arena_fini(&x->arena);
}
