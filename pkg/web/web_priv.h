// SPDX-License-Identifier: Apache-2.0
/*
 * The listening socket. It is ours, not libwebsockets' (which gets the accepted connections): so
 * the reason of a failed bind is known, all addresses of both families are one socket, the number
 * of connections is ours to limit, and nothing of it depends on libwebsockets' version.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "web/server.h"

#include <stdbool.h>
#include <stdint.h>

struct web_listen {
    char host[256]; /* without brackets; "" is all addresses */
    uint16_t port;
};

bool web_listen_parse(const char *listen, struct web_listen *ret, struct err *e) BERTH_NODISCARD;

/* *ret_fd: non-blocking, close-on-exec. address[WEB_MAX_LISTEN] gets "host:port" as bound. */
bool web_listen_open(const char *listen, const char *name, int *ret_fd, char *address,
                     int *ret_port, struct err *e) BERTH_NODISCARD;
