// SPDX-License-Identifier: Apache-2.0
/*
 * Long answers, such as a watch: one easy handle in one multi handle, driven by the caller's
 * thread, which sleeps in curl_multi_poll() until bytes arrive, the peer has been silent for too
 * long, or http_cancel_now() wakes it. Each stream has its own connection, as a watch would keep a
 * shared one busy for minutes anyway.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "pool_priv.h"

enum { POLL_MAX_MS = 60 * 1000 };

/* A stream that a cancel can wake; on the stack of http_client_stream(). */
struct waiter {
    CURLM *multi;
    struct waiter *next;
};

struct http_cancel {
    pthread_mutex_t mutex;
    bool is_cancelled;
    struct waiter *waiters;
};

struct http_cancel *http_cancel_new(void)
{
    struct http_cancel *c = mem_alloc(sizeof(*c));
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

struct http_cancel *http_cancel_free(struct http_cancel *c)
{
    if (c != NULL)
        pthread_mutex_destroy(&c->mutex);
    return mem_free(c);
}

void http_cancel_now(struct http_cancel *c)
{
    pthread_mutex_lock(&c->mutex);
    c->is_cancelled = true;
    /* under the mutex: a stream leaves the list before it frees its multi handle */
    for (struct waiter *it = c->waiters; it != NULL; it = it->next)
        curl_multi_wakeup(it->multi);
    pthread_mutex_unlock(&c->mutex);
}

bool http_cancel_is_cancelled(struct http_cancel *c)
{
    pthread_mutex_lock(&c->mutex);
    bool is_cancelled = c->is_cancelled;
    pthread_mutex_unlock(&c->mutex);
    return is_cancelled;
}

static void cancel_attach(struct http_cancel *c, struct waiter *w)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->mutex);
    w->next = c->waiters;
    c->waiters = w;
    pthread_mutex_unlock(&c->mutex);
}

static void cancel_detach(struct http_cancel *c, const struct waiter *w)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->mutex);
    struct waiter **at = &c->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    pthread_mutex_unlock(&c->mutex);
}

/* How long to sleep: until the peer has been silent for too long. < 0: it has. */
static int poll_ms(const struct http_exchange *x, int64_t idle_ms)
{
    if (idle_ms <= 0)
        return POLL_MAX_MS;
    int64_t left = x->last_received_mono_ms + idle_ms - clock_mono_ms(clock_system());
    return left <= 0 ? -1 : left > POLL_MAX_MS ? POLL_MAX_MS : (int)left;
}

static bool end_of(const struct http_exchange *x, CURLM *multi, struct err *e)
{
    int left = 0;
    const CURLMsg *msg = curl_multi_info_read(multi, &left);
    CURLcode code = msg != NULL ? msg->data.result : CURLE_FAILED_INIT;
    return code == CURLE_OK || x->end == HTTP_EXCHANGE_STOPPED || http_exchange_error(x, code, e);
}

static bool drive(struct http_exchange *x, CURLM *multi, int64_t idle_ms,
                  struct http_cancel *cancel, struct err *e)
{
    int running = 1;
    for (;;) {
        if (cancel != NULL && http_cancel_is_cancelled(cancel))
            return err_set(e, ERR_CANCELLED, "Cancelled", "%s: cancelled", x->where);
        CURLMcode code = curl_multi_perform(multi, &running);
        if (code == CURLM_OK && running == 0)
            return end_of(x, multi, e);
        int sleep_ms = poll_ms(x, idle_ms);
        if (sleep_ms < 0)
            return err_set(e, ERR_RETRY, "IdleTimeout", "%s: nothing received for %lld ms",
                           x->where, (long long)idle_ms);
        if (code == CURLM_OK)
            code = curl_multi_poll(multi, NULL, 0, sleep_ms, NULL);
        if (code != CURLM_OK)
            return err_set(e, ERR_RETRY, "OutOfMemory", "%s: the stream cannot go on: %s", x->where,
                           curl_multi_strerror(code));
    }
}

bool http_client_stream(void *impl, const struct http_request *rq, int64_t idle_ms,
                        struct http_cancel *cancel, const struct http_stream_ops *ops, void *arg,
                        struct err *e)
{
    struct http_pool *c = impl;
    CURL *easy = curl_easy_init();
    CURLM *multi = curl_multi_init();
    if (easy == NULL || multi == NULL) {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
        return err_set(e, ERR_RETRY, "OutOfMemory", "out of memory for an HTTP stream");
    }
    struct http_exchange x = {
        .settings = &c->settings, .rq = rq, .easy = easy, .ops = ops, .ops_arg = arg};
    struct waiter waiter = {.multi = multi};
    bool is_ok = http_exchange_init(&x, 0, e);
    if (is_ok) {
        curl_multi_add_handle(multi, easy);
        cancel_attach(cancel, &waiter);
        is_ok = drive(&x, multi, idle_ms, cancel, e);
        cancel_detach(cancel, &waiter);
        curl_multi_remove_handle(multi, easy);
    }
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    http_exchange_fini(&x);
    return is_ok;
}
