// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests of the server: clients in threads of their own that send calls of many sizes, one
 * after the other, and check every answer. A call that was sent and not answered rightly is counted
 * as failed; a connection that cannot be made is not.
 */
#pragma once

#include "tls_test.h"

enum { LOAD_CLIENTS_MAX = 16, LOAD_CALLS_A_CONNECTION = 20 };

struct load {
    const struct test_server *server;
    SSL_CTX *ctx; /* NULL: plain */
    unsigned hang_up_percent;
    atomic_bool is_stopping;
    atomic_int answered, failed, hung_up, closed /* by `Connection: close` */;
    atomic_long serial; /* of the newest certificate that a client was served */
    atomic_int seed;
    struct thread threads[LOAD_CLIENTS_MAX];
    int n;
};

static inline unsigned load_random(unsigned *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

/* False: the connection is over. */
static inline bool load_call(struct load *l, struct test_client *c, struct buf *body,
                             unsigned *seed)
{
    static const size_t sizes[] = {0, 100, 5000, 5000, 5000, 20000, 400000};
    buf_reset(body);
    test_fill(body, sizes[load_random(seed) % ARRAY_SIZE(sizes)] + load_random(seed) % 100, *seed);
    char want[100];
    (void)snprintf(want, sizeof(want), "%zu %u", body->len, test_sum(buf_str(body)));
    if (!test_post(c, "", buf_str(body))) {
        atomic_fetch_add(&l->failed, 1);
        return false;
    }
    if (load_random(seed) % 100 < l->hang_up_percent) {
        atomic_fetch_add(&l->hung_up, 1);
        return false;
    }
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(10000);
    struct str got;
    const int status = test_recv_answer(c, &out, &got);
    if (status != 200 || !str_eq_cstr(got, want)) {
        atomic_fetch_add(&l->failed, 1);
        (void)fprintf(stderr, "load: %d, wanted %s: %s\n", status, want, buf_cstr(&out));
        return false;
    }
    atomic_fetch_add(&l->answered, 1);
    if (strstr(buf_cstr(&out), "connection: close") == NULL)
        return true;
    atomic_fetch_add(&l->closed, 1);
    return false;
}

static inline void load_run(void *arg)
{
    struct load *l = arg;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(TEST_ANSWER_MAX);
    unsigned seed = (unsigned)atomic_fetch_add(&l->seed, 77);
    while (!atomic_load(&l->is_stopping)) {
        struct test_client c = test_connect(l->server);
        if (l->ctx != NULL) {
            c.ssl = SSL_new(l->ctx);
            if (c.ssl == NULL || SSL_set_fd(c.ssl, c.fd) != 1 || SSL_connect(c.ssl) != 1) {
                atomic_fetch_add(&l->failed, 1);
                (void)fprintf(stderr, "load: no handshake\n");
                test_close(&c);
                continue;
            }
            atomic_store(&l->serial, test_serial(&c));
        }
        for (int i = 0; i < LOAD_CALLS_A_CONNECTION && !atomic_load(&l->is_stopping); i++)
            if (!load_call(l, &c, &body, &seed))
                break;
        test_close(&c);
    }
}

static inline void load_start(struct load *l, int n)
{
    l->n = n;
    for (int i = 0; i < n; i++)
        thread_start(&l->threads[i], "load", load_run, l);
}

/* Waits until n more calls are answered. */
static inline void load_wait(struct load *l, int n)
{
    const int64_t end_ms = test_now_ms() + TEST_WAIT_MS;
    const int want = atomic_load(&l->answered) + n;
    while (atomic_load(&l->answered) < want && test_now_ms() < end_ms)
        (void)poll(NULL, 0, 1);
    if (atomic_load(&l->answered) < want)
        fail_msg("%d of %d answered, %d failed", atomic_load(&l->answered), want,
                 atomic_load(&l->failed));
}

static inline void load_stop(struct load *l)
{
    atomic_store(&l->is_stopping, true);
    for (int i = 0; i < l->n; i++)
        thread_join(&l->threads[i]);
}
