// SPDX-License-Identifier: Apache-2.0
/*
 * What the tests of the HTTP client share: a client without a proxy, requests to a test server.
 */
#pragma once

#include "http/http.h"
#include "test_server.h"

#include <stdio.h>

enum {
    SAFE_TIMEOUT_MS = 20000, /* passes only where something is broken */
    SHORT_TIMEOUT_MS = 600   /* shall pass; connecting before it on a busy machine is no race */
};

static inline struct http_client *client_with(struct http_options o)
{
    struct http_client *c = NULL;
    struct err e = ERR_INIT;
    if (o.proxy_url == NULL)
        o.proxy_url = "";
    if (!http_client_new(&o, &c, &e))
        fail_msg("%s", e.msg);
    return c;
}

static inline struct http_client *plain_client(void)
{
    return client_with((struct http_options){0});
}

/* "http://127.0.0.1:<port><path>", in a. */
static inline struct str url_of(const struct test_server *s, struct arena *a, const char *path)
{
    return arena_printf(a, "http://127.0.0.1:%d%s", s->port, path);
}

static inline struct http_request get_of(struct str url)
{
    return (struct http_request){.method = "GET", .url = url, .timeout_ms = SAFE_TIMEOUT_MS};
}
