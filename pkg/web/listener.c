// SPDX-License-Identifier: Apache-2.0
/*
 * The listener: our own socket, adopted by libwebsockets as a raw file. When it is readable we
 * accept, and hand the connection over as HTTP or HTTPS; when all places are taken, or there is no
 * descriptor, it is not polled for a while.
 */
#include "server_priv.h"

#include <openssl/ssl.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_AT_A_TIME = 16, ACCEPT_PAUSE_MS = 500 };

static void pause_accepting(struct web_server *s)
{
    if (s->is_paused)
        return;
    s->is_paused = true;
    (void)lws_rx_flow_control(s->listener, 0);
    /* a way back where no connection ends: another one may hold the descriptors */
    lws_set_timer_usecs(s->listener, ACCEPT_PAUSE_MS * LWS_US_PER_MS);
}

void web_listener_resume(struct web_server *s)
{
    if (!s->is_paused || s->listener == NULL ||
        atomic_load(&s->counters.connections) >= s->o.max_connections)
        return;
    s->is_paused = false;
    (void)lws_rx_flow_control(s->listener, 1);
}

static struct connection *free_place(struct web_server *s)
{
    for (int i = 0; i < s->o.max_connections; i++)
        if (s->connections[i].wsi == NULL)
            return &s->connections[i];
    return NULL;
}

static void adopt(struct web_server *s, struct connection *c, int fd)
{
    struct lws *wsi = lws_adopt_socket_vhost(s->vhost, fd);
    if (wsi == NULL) { /* has closed it */
        if (s->o.tls != NULL)
            atomic_fetch_add(&s->counters.failed_handshakes, 1);
        return;
    }
    *c = (struct connection){.server = s, .wsi = wsi, .since_ms = web_now_ms()};
    lws_set_opaque_user_data(wsi, c);
    atomic_fetch_add(&s->counters.connections, 1);
    SSL *ssl = lws_get_ssl(wsi);
    if (ssl != NULL) {
        SSL_set_app_data(ssl, c);
        c->is_secured = SSL_is_init_finished(ssl) == 1; /* while it was adopted: a quick peer */
    }
    if (s->knows_drain)
        web_exchange_arm(c, c->since_ms + WEB_DRAIN_IDLE_MS);
}

/* False: there is no more for now. */
static bool accept_one(struct web_server *s)
{
    struct connection *c = free_place(s);
    if (c == NULL) {
        pause_accepting(s);
        return false;
    }
    const int fd =
        accept4(lws_get_socket_fd(s->listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        /* what the peer undid already is no failure; a lack of descriptors would be polled again at
         * once, for ever */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(s);
        return false;
    }
    adopt(s, c, fd);
    return true;
}

int web_on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    (void)user;
    (void)in;
    (void)len;
    struct web_server *s = server_of(wsi);
    if (s->listener != wsi)
        return 0;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        for (int i = 0; i < ACCEPTS_AT_A_TIME && accept_one(s); i++) {
        }
    } else if (reason == LWS_CALLBACK_TIMER) {
        const bool was_paused = s->is_paused;
        web_listener_resume(s);
        if (was_paused && s->is_paused)
            lws_set_timer_usecs(wsi, ACCEPT_PAUSE_MS * LWS_US_PER_MS);
    }
    return 0;
}

void web_listener_close(struct web_server *s)
{
    while (accept_one(s)) {
    }
    struct lws *listener = s->listener;
    s->listener = NULL;
    lws_set_timeout(listener, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}
