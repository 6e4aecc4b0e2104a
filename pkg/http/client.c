// SPDX-License-Identifier: Apache-2.0
/*
 * The client: settings, the pool of easy handles, and whole exchanges. An easy handle owns its
 * connections (libcurl's shared connection cache is not thread-safe), so the pool hands out the
 * handle that was used last, whose connection is the most likely to be open. More callers than the
 * pool keeps get handles of their own, which go after use; so does a handle that saw an error.
 */
#include "base/mem.h"
#include "pool_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)fprintf(stderr, "berth: libcurl cannot be initialised\n");
        abort();
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

void http_global_init(void)
{
    pthread_once(&global_once, global_init);
}

static CURL *pool_take(struct http_pool *c)
{
    CURL *easy = NULL;
    pthread_mutex_lock(&c->mutex);
    if (c->idle_count > 0)
        easy = c->idle[--c->idle_count];
    pthread_mutex_unlock(&c->mutex);
    if (easy == NULL)
        easy = curl_easy_init();
    return easy;
}

static void pool_give(struct http_pool *c, CURL *easy)
{
    curl_easy_reset(easy); /* keeps connections; forgets pointers into the exchange */
    pthread_mutex_lock(&c->mutex);
    if (c->idle_count < c->idle_max) {
        c->idle[c->idle_count++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&c->mutex);
    if (easy != NULL)
        curl_easy_cleanup(easy);
}

static bool client_send(void *impl, const struct http_request *rq, struct arena *a,
                        struct http_response *ret, struct err *e)
{
    struct http_pool *c = impl;
    *ret = (struct http_response){0};
    if (rq->cancel != NULL && http_cancel_is_cancelled(rq->cancel))
        return err_set(e, ERR_CANCELLED, "Cancelled", "the HTTP request was cancelled");
    CURL *easy = pool_take(c);
    if (easy == NULL)
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory for an HTTP request");
    struct http_exchange x = {.settings = &c->settings, .rq = rq, .easy = easy};
    CURLcode code = CURLE_FAILED_INIT;
    bool is_ok = http_exchange_init(&x, HTTP_DEFAULT_TIMEOUT_MS, e);
    bool is_sent = is_ok;
    if (is_ok) {
        code = curl_easy_perform(easy);
        is_ok = code == CURLE_OK || http_exchange_error(&x, code, e);
    }
    if (is_ok) {
        http_exchange_response(&x, a, ret);
        ret->body = arena_copy(a, buf_str(&x.body));
    }
    if (is_ok || !is_sent)
        pool_give(c, easy);
    else
        curl_easy_cleanup(easy);
    http_exchange_fini(&x);
    return is_ok;
}

static void free_secret(char *text, size_t bytes)
{
    if (text != NULL)
        explicit_bzero(text, bytes);
    mem_free(text);
}

static void client_free(void *impl)
{
    struct http_pool *c = impl;
    for (int i = 0; i < c->idle_count; i++)
        curl_easy_cleanup(c->idle[i]);
    mem_free(c->idle);
    pthread_mutex_destroy(&c->mutex);
    struct http_settings *s = &c->settings;
    http_trust_fini(s);
    mem_free(s->client_cert_pem);
    free_secret(s->client_key_pem, s->client_key_bytes);
    mem_free(s->tls_server_name);
    free_secret(s->proxy_url, s->proxy_url ? strlen(s->proxy_url) : 0); /* may hold a password */
    mem_free(s->user_agent);
    mem_free(c);
}

static char *copy_pem(struct str pem, size_t *ret_bytes)
{
    *ret_bytes = pem.len;
    return str_is_null(pem) ? NULL : mem_dup(pem.ptr, pem.len);
}

static bool is_line(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

bool http_client_new(const struct http_options *o, struct http_client **ret, struct err *e)
{
    *ret = NULL;
    if (!http_pem_check(o, e))
        return false;
    if (!is_line(o->user_agent) || !is_line(o->proxy_url) || !is_line(o->tls_server_name))
        return err_set(e, ERR_INVALID, "BadRequest",
                       "user agent, proxy URL and TLS server name must be single lines");
    struct http_pool *c = mem_alloc(sizeof(*c));
    c->base = (struct http_client){client_send, http_client_stream, client_free, c};
    c->idle_max = o->max_connections > 0 ? o->max_connections : HTTP_DEFAULT_CONNECTIONS;
    c->idle = mem_alloc_array((size_t)c->idle_max, sizeof(CURL *));
    pthread_mutex_init(&c->mutex, NULL);
    struct http_settings *s = &c->settings;
    s->client_cert_pem = copy_pem(o->client_cert_pem, &s->client_cert_bytes);
    s->client_key_pem = copy_pem(o->client_key_pem, &s->client_key_bytes);
    s->tls_server_name = mem_strdup(o->tls_server_name);
    s->proxy_url = mem_strdup(o->proxy_url);
    s->user_agent = mem_strdup(o->user_agent);
    s->is_insecure = o->is_insecure;
    if (!http_trust_init(s, o->ca_pem, e)) {
        client_free(c);
        return false;
    }
    *ret = &c->base;
    return true;
}

struct http_client *http_client_free(struct http_client *c)
{
    if (c != NULL)
        c->free(c->impl);
    return NULL;
}
