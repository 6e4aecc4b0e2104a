// SPDX-License-Identifier: Apache-2.0
/*
 * Where the configuration of the client comes from; see kube/config.h.
 */
#include "kube/config.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "config_priv.h"
#include "crypto/crypto.h"

#include <stdlib.h>

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static struct str env_get(const struct kube_config_options *o, const char *name)
{
    const char *value = o->env ? o->env(o->env_arg, name) : getenv(name);
    return value && value[0] ? str_from(value) : STR_NULL;
}

bool kube_config_read_file(struct kube_config *c, const char *path, size_t max_bytes,
                           struct str *ret, struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(max_bytes);
    *ret = STR_NULL;
    if (!file_read(path, &text, e))
        return false;
    *ret = arena_copy(&c->arena, buf_str(&text));
    return true;
}

static bool load_path(const char *path, struct str context, struct kube_config *c, struct err *e)
{
    struct kubeconfig k = {.count = 0};
    c->source = arena_copy(&c->arena, str_from(path));
    return kube_kubeconfig_add_file(&k, c, c->source, e) &&
           kube_kubeconfig_resolve(&k, context, c, e);
}

static bool add_listed(struct kubeconfig *k, struct kube_config *c, struct str path, struct err *e)
{
    struct err why = ERR_INIT;
    if (kube_kubeconfig_add_file(k, c, path, &why) || why.cls == ERR_NOT_FOUND)
        return true; /* files of KUBECONFIG need not exist */
    *e = why;
    return false;
}

static bool load_list(struct str list, struct str context, struct kube_config *c, struct err *e)
{
    struct kubeconfig k = {.count = 0};
    struct str rest = list, path;
    c->source = arena_copy(&c->arena, list);
    while (str_next(&rest, ':', &path))
        if (!str_is_empty(path) && !add_listed(&k, c, path, e))
            return false;
    if (k.count == 0)
        return err_set(e, ERR_NOT_FOUND, "NoKubeconfig",
                       "none of the files in KUBECONFIG (%.*s) exists: correct or unset it",
                       STR_ARG(list));
    return kube_kubeconfig_resolve(&k, context, c, e);
}

static bool load_home(const struct kube_config_options *o, struct str context,
                      struct kube_config *c, struct err *e)
{
    struct str home = env_get(o, "HOME");
    struct err why = ERR_INIT;
    if (!str_is_null(home)) {
        struct str path = arena_printf(&c->arena, "%.*s/.kube/config", STR_ARG(home));
        if (load_path(path.ptr, context, c, &why))
            return true;
        if (why.cls != ERR_NOT_FOUND) {
            *e = why;
            return false;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "NoKubeconfig",
                   "no configuration for Kubernetes: no path is given, KUBECONFIG is not set, this "
                   "is no pod (KUBERNETES_SERVICE_HOST is not set), and ~/.kube/config does not "
                   "exist");
}

static bool load(const struct kube_config_options *o, struct kube_config *c, struct err *e)
{
    struct str context = o->context && o->context[0] ? str_from(o->context) : STR_NULL;
    if (o->path && o->path[0])
        return load_path(o->path, context, c, e);
    struct str list = env_get(o, "KUBECONFIG");
    if (!str_is_null(list))
        return load_list(list, context, c, e);
    struct str host = env_get(o, "KUBERNETES_SERVICE_HOST");
    struct str port = env_get(o, "KUBERNETES_SERVICE_PORT");
    if (!str_is_null(host))
        return kube_incluster_load(
            c, host.ptr, port.ptr,
            o->service_account_dir ? o->service_account_dir : SERVICE_ACCOUNT_DIR, e);
    return load_home(o, context, c, e);
}

bool kube_config_load(const struct kube_config_options *o, struct kube_config **ret, struct err *e)
{
    *ret = NULL;
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = mem_alloc(sizeof(*c));
    if (!load(o, c, e))
        return false;
    if (str_is_empty(c->namespace))
        c->namespace = STR("default");
    *ret = TAKE(c);
    return true;
}

struct kube_config *kube_config_free(struct kube_config *c)
{
    if (c == NULL)
        return NULL;
    c->token = secret_free(c->token);
    c->client_key_pem = secret_free(c->client_key_pem);
    arena_fini(&c->arena);
    return mem_free(c);
}
