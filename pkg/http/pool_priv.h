// SPDX-License-Identifier: Apache-2.0
/*
 * The client's own state, for client.c and stream.c.
 */
#pragma once

#include "http_priv.h"

struct http_pool {
    struct http_client base;
    struct http_settings settings;
    pthread_mutex_t mutex; /* over what follows */
    CURL **idle;           /* a stack: the last used is the next to be used */
    int idle_count;
    int idle_max;
};

/* struct http_client's stream; impl is a struct http_pool. */
bool http_client_stream(void *impl, const struct http_request *rq, int64_t idle_ms,
                        struct http_cancel *cancel, const struct http_stream_ops *ops, void *arg,
                        struct err *e) BERTH_NODISCARD;
