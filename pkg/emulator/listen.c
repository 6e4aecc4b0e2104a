// SPDX-License-Identifier: Apache-2.0
/*
 * The listening socket: an address as text, bound here and not by the server's library, so that an
 * error can say what is wrong and the port that the kernel chose is known before a request comes.
 */
#include "base/num.h"
#include "base/str.h"
#include "listen_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 128 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
    char host[80]; /* as it stands in a URL */
};

/* "127.0.0.1:0", "[::1]:5000". */
static bool parse_listen(const char *text, struct address *ret, struct err *e)
{
    struct str all = str_from(text);
    ptrdiff_t colon = str_rindex(all, ':');
    uint64_t port = 0;
    char host[64];
    size_t len = colon < 0 ? 0 : (size_t)colon;
    bool is_v6 = len >= 2 && all.ptr[0] == '[' && all.ptr[len - 1] == ']';
    struct str inner = is_v6 ? str_n(all.ptr + 1, len - 2) : str_n(all.ptr, len);

    *ret = (struct address){0};
    if (colon < 0 || !num_parse_u64(str_from_offset(all, len + 1), &port) || port > 65535 ||
        inner.len >= sizeof(host))
        return err_set(e, ERR_INVALID, "Listen",
                       "listen address %s: want ADDRESS:PORT, such as 127.0.0.1:0", text);
    (void)snprintf(host, sizeof(host), "%.*s", STR_ARG(inner));
    if (is_v6 && inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        ret->len = sizeof(ret->v6);
        snprintf(ret->host, sizeof(ret->host), "[%s]",
                 IN6_IS_ADDR_UNSPECIFIED(&ret->v6.sin6_addr) ? "::1" : host);
        return true;
    }
    if (!is_v6 && inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        ret->len = sizeof(ret->v4);
        /* a client cannot dial 0.0.0.0 everywhere */
        snprintf(ret->host, sizeof(ret->host), "%s",
                 ret->v4.sin_addr.s_addr == htonl(INADDR_ANY) ? "127.0.0.1" : host);
        return true;
    }
    return err_set(e, ERR_INVALID, "Listen",
                   "listen address %s: the host must be a numeric address, such as 127.0.0.1 or "
                   "[::1]",
                   text);
}

static bool open_listener(struct address *at, const char *text, int *ret_fd, int *ret_port,
                          struct err *e)
{
    int one = 1;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_fd = -1;
    if (fd < 0)
        return err_set_errno(e, errno, "open a socket for %s", text);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, &at->any, at->len) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int errnum = errno;

        close(fd);
        if (errnum == EADDRINUSE)
            return err_set(e, ERR_CONFLICT, "AddressInUse",
                           "listen on %s: the address is in use; stop who has it, or let the "
                           "kernel choose a port with port 0",
                           text);
        return err_set_errno(e, errnum, "listen on %s", text);
    }
    at->len = sizeof(at->v6);
    if (getsockname(fd, &at->any, &at->len) != 0) {
        int errnum = errno;

        close(fd);
        return err_set_errno(e, errnum, "read the address of %s", text);
    }
    *ret_port = ntohs(at->any.sa_family == AF_INET6 ? at->v6.sin6_port : at->v4.sin_port);
    *ret_fd = fd;
    return true;
}

bool emu_listen(const char *text, int *ret_fd, char *ret_name, size_t name_size, struct err *e)
{
    struct address at;
    int port = 0;

    *ret_fd = -1;
    if (!parse_listen(text, &at, e) || !open_listener(&at, text, ret_fd, &port, e))
        return false;
    snprintf(ret_name, name_size, "%s:%d", at.host, port);
    return true;
}
