// SPDX-License-Identifier: Apache-2.0
/*
 * A small HTTP server for tests, in the test's own process: loopback, a port that the kernel
 * chooses, one thread. It reads whole requests (head and Content-Length body) and gives each to the
 * test's handler, which writes whatever bytes it wants, or nothing, or closes. Header-only, so that
 * tests which link only their package can use it.
 *
 *     static void answer(struct test_server *s, struct test_conn *c)
 *     {
 *         test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
 *     }
 *     struct test_server s;
 *     test_server_start(&s, answer, NULL);
 *     … s.port …
 *     test_server_stop(&s);
 *
 * The handler runs in the server's thread; it may keep a connection waiting (return without
 * answering) and answer it while it handles another. Counters are read after the exchange that
 * they count, or after test_server_stop().
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEST_CONNS_MAX = 64, TEST_REQUEST_BYTES = 128 * 1024 };

struct test_conn {
    int fd;       /* -1: free */
    int requests; /* read on this connection so far */
    size_t len;   /* bytes in `in` */
    size_t head_len, body_len;
    char *in; /* NUL-terminated: head, then body, of the request in hand */
};

struct test_server {
    int port;
    void *arg; /* the test's own */
    void (*on_request)(struct test_server *s, struct test_conn *c);
    atomic_int connections; /* accepted so far */
    atomic_int requests;
    /* private */
    int listen_fd;
    int wake[2];
    pthread_t thread;
    struct test_conn conns[TEST_CONNS_MAX];
};

#define TEST_MUST(x)                                                                               \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s failed\n", __FILE__, __LINE__, #x);                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Writes all of it, in one go; false when the client is gone. */
static inline bool test_send_bytes(struct test_conn *c, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static inline bool test_send(struct test_conn *c, const char *text)
{
    return test_send_bytes(c, text, strlen(text));
}

static inline void test_close(struct test_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    *c = (struct test_conn){.fd = -1};
}

/* Closes with a reset instead of in good order. */
static inline void test_reset(struct test_conn *c)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    test_close(c);
}

/* The value of a header of the request in hand, copied to ret ("" where it is absent); how often it
 * was sent is the result. */
static inline int test_header(const struct test_conn *c, const char *name, char *ret, size_t size)
{
    int found = 0;
    size_t n = strlen(name);
    ret[0] = '\0';
    const char *end = c->in + c->head_len;
    for (const char *line = c->in; line != NULL && line < end;) {
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *value = line + n + 1 + strspn(line + n + 1, " ");
            snprintf(ret, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            found++;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return found;
}

static inline bool test_starts_with(const struct test_conn *c, const char *text)
{
    return strncmp(c->in, text, strlen(text)) == 0;
}

/* Is there a whole request in c->in? */
static inline bool test_conn_has_request(struct test_conn *c)
{
    char value[32];
    const char *end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return false;
    c->head_len = (size_t)(end - c->in) + 4;
    test_header(c, "Content-Length", value, sizeof(value));
    c->body_len = (size_t)strtoul(value, NULL, 10);
    return c->len >= c->head_len + c->body_len;
}

static inline void test_conn_read(struct test_server *s, struct test_conn *c)
{
    TEST_MUST(c->len < TEST_REQUEST_BYTES);
    ssize_t n = recv(c->fd, c->in + c->len, TEST_REQUEST_BYTES - c->len, 0);
    if (n <= 0) {
        test_close(c);
        return;
    }
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    if (!test_conn_has_request(c))
        return;
    c->requests++;
    s->requests++;
    s->on_request(s, c);
    if (c->fd >= 0) {
        c->len = 0;
        c->in[0] = '\0';
    }
}

static inline void test_server_accept(struct test_server *s)
{
    int one = 1;
    int fd = accept(s->listen_fd, NULL, NULL);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (int i = 0; i < TEST_CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0)
            continue;
        s->connections++;
        s->conns[i] = (struct test_conn){.fd = fd, .in = calloc(1, TEST_REQUEST_BYTES + 1)};
        TEST_MUST(s->conns[i].in != NULL);
        return;
    }
    close(fd);
}

static inline void *test_server_run(void *arg)
{
    struct test_server *s = arg;
    for (;;) {
        struct pollfd fds[TEST_CONNS_MAX + 2];
        fds[0] = (struct pollfd){s->wake[0], POLLIN, 0};
        fds[1] = (struct pollfd){s->listen_fd, POLLIN, 0};
        for (int i = 0; i < TEST_CONNS_MAX; i++)
            fds[i + 2] = (struct pollfd){s->conns[i].fd, POLLIN, 0};
        if (poll(fds, TEST_CONNS_MAX + 2, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            return NULL;
        for (int i = 0; i < TEST_CONNS_MAX; i++)
            if (fds[i + 2].revents != 0 && s->conns[i].fd == fds[i + 2].fd)
                test_conn_read(s, &s->conns[i]);
        if (fds[1].revents != 0)
            test_server_accept(s);
    }
}

static inline void test_server_start(struct test_server *s,
                                     void (*on_request)(struct test_server *, struct test_conn *),
                                     void *arg)
{
    memset(s, 0, sizeof(*s));
    s->on_request = on_request;
    s->arg = arg;
    for (int i = 0; i < TEST_CONNS_MAX; i++)
        s->conns[i].fd = -1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    TEST_MUST(s->listen_fd >= 0);
    TEST_MUST(bind(s->listen_fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    TEST_MUST(listen(s->listen_fd, TEST_CONNS_MAX) == 0);
    TEST_MUST(getsockname(s->listen_fd, (struct sockaddr *)&at, &size) == 0);
    s->port = ntohs(at.sin_port);
    TEST_MUST(pipe(s->wake) == 0);
    TEST_MUST(pthread_create(&s->thread, NULL, test_server_run, s) == 0);
}

static inline void test_server_stop(struct test_server *s)
{
    TEST_MUST(write(s->wake[1], "x", 1) == 1);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < TEST_CONNS_MAX; i++)
        test_close(&s->conns[i]);
    close(s->listen_fd);
    close(s->wake[0]);
    close(s->wake[1]);
}
