// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration of a pod: the service's address from the environment, and the projected
 * volume of its service account. The token is only named here: it rotates, so it is read when it
 * is needed (credentials.c).
 */
#include "base/num.h"
#include "config_priv.h"

#include <string.h>

/* Missing is fine (false comes only with *e set). */
static bool read_optional(struct kube_config *c, const char *path, size_t max_bytes,
                          struct str *ret, struct err *e)
{
    struct err why = ERR_INIT;
    if (kube_config_read_file(c, path, max_bytes, ret, &why) || why.cls == ERR_NOT_FOUND)
        return true;
    *e = why;
    return false;
}

bool kube_incluster_load(struct kube_config *c, const char *host, const char *port, const char *dir,
                         struct err *e)
{
    uint64_t number;
    c->source = STR("in-cluster");
    if (!num_parse_u64(str_from(port), &number) || number == 0 || number > 65535)
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "KUBERNETES_SERVICE_HOST is set, but KUBERNETES_SERVICE_PORT is no port");
    bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    c->server = arena_printf(&c->arena, is_ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
    c->token_file = arena_printf(&c->arena, "%s/token", dir);
    struct str ca_file = arena_printf(&c->arena, "%s/ca.crt", dir);
    if (!read_optional(c, ca_file.ptr, KUBE_PEM_MAX_BYTES, &c->ca_pem, e))
        return err_wrap(e, "read the cluster's CA");
    if (!str_is_null(c->ca_pem))
        c->ca_file = ca_file;
    struct str namespace = STR_NULL;
    if (!read_optional(c, arena_printf(&c->arena, "%s/namespace", dir).ptr, 4096, &namespace, e))
        return err_wrap(e, "read the pod's namespace");
    c->namespace = arena_copy(&c->arena, str_trim(namespace));
    return true;
}
