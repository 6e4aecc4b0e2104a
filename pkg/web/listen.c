// SPDX-License-Identifier: Apache-2.0
/*
 * "host:port" to a listening socket.
 */
#include "base/num.h"
#include "base/str.h"
#include "web_priv.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static bool fail_listen(const char *listen, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID, "InvalidAddress",
                   "cannot listen on \"%s\": %s; write host:port, or :port for all addresses",
                   listen, why);
}

bool web_listen_parse(const char *listen, struct web_listen *ret, struct err *e)
{
    *ret = (struct web_listen){0};
    const struct str text = str_from(listen);
    const ptrdiff_t colon = str_rindex(text, ':');
    if (text.len >= WEB_MAX_LISTEN)
        return fail_listen("…", "it is too long", e);
    if (colon < 0)
        return fail_listen(listen, "the port is missing", e);
    assert(text.ptr != NULL);
    struct str host = str_n(text.ptr, (size_t)colon);
    uint64_t port;
    if (!num_parse_u64(str_from_offset(text, (size_t)colon + 1), &port) || port > UINT16_MAX)
        return fail_listen(listen, "the port must be a number from 0 to 65535", e);
    const bool has_brackets = str_starts_with(host, STR("[")) && str_ends_with(host, STR("]"));
    if (has_brackets)
        host = str_n(host.ptr + 1, host.len - 2);
    else if (str_index(host, ':') >= 0)
        return fail_listen(listen, "an IPv6 address needs brackets", e);
    if ((has_brackets && host.len == 0) || host.len >= sizeof(ret->host))
        return fail_listen(listen, "the host cannot be read", e);
    if (host.len > 0)
        memcpy(ret->host, host.ptr, host.len);
    ret->port = (uint16_t)port;
    return true;
}

bool web_listen_check(const char *listen, struct err *e)
{
    struct web_listen parsed;
    return web_listen_parse(listen, &parsed, e);
}

/* Returns the socket, or -errno. */
static int open_socket(const struct sockaddr *address, socklen_t len)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    const int on = 1;
    const int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    const int failed = errno;
    (void)close(fd);
    return -failed;
}

/* Both families on one socket; IPv4 alone where the machine has no IPv6. */
static int open_all_addresses(uint16_t port)
{
    const struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    const int fd = open_socket((const struct sockaddr *)&six, sizeof(six));
    if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
        return fd;
    const struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    return open_socket((const struct sockaddr *)&four, sizeof(four));
}

static bool open_host(const struct web_listen *parsed, const char *listen, int *ret_fd,
                      struct err *e)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", (unsigned)parsed->port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    const int rc = getaddrinfo(parsed->host, port, &hints, &found);
    if (rc != 0)
        return err_set(e, ERR_NOT_FOUND, "UnknownHost", "cannot listen on %s: %s", listen,
                       gai_strerror(rc));
    *ret_fd = -EADDRNOTAVAIL;
    for (const struct addrinfo *it = found; it != NULL && *ret_fd < 0; it = it->ai_next)
        *ret_fd = open_socket(it->ai_addr, it->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

static bool fail_open(int errnum, const char *listen, const char *name, struct err *e)
{
    switch (errnum) {
    case EADDRINUSE:
        return err_set(e, ERR_CONFLICT, "AddressInUse",
                       "cannot listen on %s for %s: the address is in use; stop who uses it or "
                       "choose another port",
                       listen, name);
    case EACCES:
        return err_set(e, ERR_DENIED, "PermissionDenied",
                       "cannot listen on %s for %s: not permitted; choose a port above 1023",
                       listen, name);
    case EADDRNOTAVAIL:
        return err_set(e, ERR_NOT_FOUND, "UnknownHost",
                       "cannot listen on %s for %s: this machine has no such address; write :port "
                       "for all of its addresses",
                       listen, name);
    default:
        return err_set_errno(e, errnum, "cannot listen on %s for %s", listen, name);
    }
}

static bool name_address(int fd, char *address, int *ret_port, struct err *e)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((const struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(e, ERR_BUG, "NoAddress", "cannot read the address of a listening socket");
    const bool is_six = bound.ss_family == AF_INET6;
    const int n = snprintf(address, WEB_MAX_LISTEN, "%s%.255s%s:%.5s", is_six ? "[" : "", host,
                           is_six ? "]" : "", port);
    uint64_t number = 0;
    if (n < 0 || n >= WEB_MAX_LISTEN || !num_parse_u64(str_from(port), &number))
        return err_set(e, ERR_BUG, "NoAddress", "cannot read the address of a listening socket");
    *ret_port = (int)number;
    return true;
}

bool web_listen_open(const char *listen, const char *name, int *ret_fd, char *address,
                     int *ret_port, struct err *e)
{
    *ret_fd = -1;
    struct web_listen parsed;
    if (!web_listen_parse(listen, &parsed, e))
        return false;
    int fd = -1;
    if (parsed.host[0] == '\0')
        fd = open_all_addresses(parsed.port);
    else if (!open_host(&parsed, listen, &fd, e))
        return false;
    if (fd < 0)
        return fail_open(-fd, listen, name, e);
    if (!name_address(fd, address, ret_port, e)) {
        (void)close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}
