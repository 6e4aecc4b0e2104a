// SPDX-License-Identifier: Apache-2.0
/*
 * What server.c (requests) and server_reply.c (replies) share: a request with what is known of its
 * connection. These two alone know libmicrohttpd.
 */
#pragma once

#include "server_priv.h"

#include <microhttpd.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reply as a handler gave it; it becomes one of libmicrohttpd's when the handler has returned,
 * because a fault may still change it. */
struct emu_answer {
    enum { EMU_ANSWER_NONE, EMU_ANSWER_BYTES, EMU_ANSWER_FD, EMU_ANSWER_HEAD } kind;
    const char *content_type; /* static or in the arena */
    char *owned;              /* to be freed; else ptr is in the arena */
    const char *ptr;
    uint64_t len;
    int fd;
    uint64_t offset;
};

struct emu_conn {
    struct emu_request r;
    struct MHD_Connection *mhd;
    const struct emu_route *route;
    bool has_begun;
    bool is_dropping;
    bool has_ended;
    bool is_logged;
    uint64_t dropped_bytes;
    struct emu_answer answer;
    size_t n_headers;
    const char *header_name[EMU_REPLY_HEADERS_MAX];
    const char *header_value[EMU_REPLY_HEADERS_MAX];
};

/* Frees the answer where it was not sent. */
void emu_answer_fini(struct emu_answer *a);
/*
 * Gives the reply of c to libmicrohttpd: when what it tells is on disk, and as the request's fault
 * wants it. MHD_NO closes the connection. `log` is called just before the first byte can go.
 */
enum MHD_Result emu_answer_queue(struct emu_conn *c, void (*log)(struct emu_conn *c));
