// SPDX-License-Identifier: Apache-2.0
/*
 * Reading kubeconfigs: files, the rules of merging them, the context's cluster. The format is
 * client-go's tools/clientcmd/api/v1; keys that we do not know are ignored as it does.
 */
#include "base/buf.h"
#include "base/file.h"
#include "config_priv.h"
#include "crypto/crypto.h"

#include <stdio.h>

struct str kube_kubeconfig_join(struct kube_config *c, struct str dir, struct str path)
{
    if (str_starts_with(path, STR("/")))
        return arena_copy(&c->arena, path);
    return arena_printf(&c->arena, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path));
}

bool kube_kubeconfig_add_file(struct kubeconfig *k, struct kube_config *c, struct str path,
                              struct err *e)
{
    struct str text;
    path = arena_copy(&c->arena, path);
    if (k->count == KUBE_CONFIG_MAX_FILES)
        return err_set(e, ERR_INVALID, "InvalidConfig", "KUBECONFIG names more than %d files",
                       KUBE_CONFIG_MAX_FILES);
    if (!kube_config_read_file(c, path.ptr, KUBE_CONFIG_MAX_BYTES, &text, e))
        return err_wrap(e, "kubeconfig");
    ptrdiff_t slash = str_rindex(path, '/');
    struct kubeconfig_file *f = &k->files[k->count];
    f->path = path;
    f->dir = slash < 0    ? STR(".")
             : slash == 0 ? STR("/")
                          : arena_copy(&c->arena, str_n(path.ptr, (size_t)slash));
    if (!yaml_parse(text, KUBE_CONFIG_MAX_BYTES, &c->arena, &f->root, e))
        return err_wrap(e, "kubeconfig %s", path.ptr);
    if (f->root->kind != YAML_MAP)
        return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: must be a map", path.ptr);
    k->count++;
    return true;
}

bool kube_kubeconfig_str(const struct kubeconfig_entry *entry, const char *key, struct str *ret,
                         struct err *e)
{
    const struct yaml *v = yaml_get(entry->body, key);
    *ret = STR_NULL;
    if (yaml_is_null(v))
        return true;
    if (!yaml_str(v, key, ret, e))
        return err_wrap(e, "kubeconfig %s", entry->file->path.ptr);
    if (str_is_empty(*ret))
        *ret = STR_NULL;
    return true;
}

bool kube_kubeconfig_bool(const struct kubeconfig_entry *entry, const char *key, bool *ret,
                          struct err *e)
{
    const struct yaml *v = yaml_get(entry->body, key);
    *ret = false;
    if (yaml_is_null(v) || yaml_bool(v, key, ret, e))
        return true;
    return err_wrap(e, "kubeconfig %s", entry->file->path.ptr);
}

bool kube_kubeconfig_data(const struct kubeconfig_entry *entry, const char *key,
                          struct kube_config *c, struct str *ret, struct str *ret_path,
                          struct err *e)
{
    char data_key[64];
    struct str text;
    *ret = STR_NULL;
    (void)snprintf(data_key, sizeof(data_key), "%s-data", key);
    if (!kube_kubeconfig_str(entry, data_key, &text, e))
        return false;
    if (!str_is_null(text)) {
        struct buf decoded BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_PEM_MAX_BYTES);
        if (!crypto_base64_decode(text, &decoded) || !buf_ok(&decoded))
            return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: %s is no base64",
                           entry->file->path.ptr, data_key);
        *ret = arena_copy(&c->arena, buf_str(&decoded));
        return true;
    }
    if (!kube_kubeconfig_str(entry, key, &text, e))
        return false;
    if (str_is_null(text))
        return true;
    struct str path = kube_kubeconfig_join(c, entry->file->dir, text);
    if (ret_path)
        *ret_path = path;
    if (!kube_config_read_file(c, path.ptr, KUBE_PEM_MAX_BYTES, ret, e))
        return err_wrap(e, "kubeconfig %s: %s", entry->file->path.ptr, key);
    return true;
}

static bool name_is(const struct yaml *element, struct str name)
{
    const struct yaml *v = yaml_get(element, "name");
    return v && v->kind == YAML_SCALAR && str_eq(v->scalar, name);
}

/* The named entry of `list` in one file; not found leaves *ret. */
static bool find_in_file(const struct kubeconfig_file *f, const char *list, const char *inner,
                         struct str name, struct kubeconfig_entry *ret, struct err *e)
{
    const struct yaml *entries = yaml_get(f->root, list);
    if (yaml_is_null(entries))
        return true;
    if (entries->kind != YAML_LIST)
        return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: %s must be a list",
                       f->path.ptr, list);
    for (const struct yaml *v = entries->first; v; v = v->next) {
        if (!name_is(v, name))
            continue;
        if (ret->file != NULL)
            return err_set(e, ERR_INVALID, "InvalidConfig",
                           "kubeconfig %s: \"%.*s\" is twice in %s", f->path.ptr, STR_ARG(name),
                           list);
        ret->file = f;
        ret->body = yaml_get(v, inner);
    }
    return true;
}

static bool find(const struct kubeconfig *k, const char *list, const char *inner, struct str name,
                 struct kubeconfig_entry *ret, struct err *e)
{
    *ret = (struct kubeconfig_entry){0};
    for (size_t i = 0; i < k->count && ret->file == NULL; i++)
        if (!find_in_file(&k->files[i], list, inner, name, ret, e))
            return false;
    if (ret->file == NULL)
        return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: no %s \"%.*s\"",
                       k->files[0].path.ptr, inner, STR_ARG(name));
    return true;
}

static bool current_context(const struct kubeconfig *k, struct str *ret, struct err *e)
{
    *ret = STR_NULL;
    for (size_t i = 0; i < k->count && str_is_null(*ret); i++) {
        struct kubeconfig_entry top = {.body = k->files[i].root, .file = &k->files[i]};
        if (!kube_kubeconfig_str(&top, "current-context", ret, e))
            return false;
    }
    if (str_is_null(*ret))
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: no current-context: name a context", k->files[0].path.ptr);
    return true;
}

static bool set_server(struct kube_config *c, struct str server, struct str path, struct err *e)
{
    while (str_ends_with(server, STR("/")))
        server.len--;
    bool has_scheme = str_contains(server, STR("://"));
    if (str_is_empty(server) || (has_scheme && !str_starts_with(server, STR("https://")) &&
                                 !str_starts_with(server, STR("http://"))))
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %.*s: the cluster's server must be an http or https URL",
                       STR_ARG(path));
    c->server = arena_printf(&c->arena, has_scheme ? "%.*s" : "https://%.*s", STR_ARG(server));
    return true;
}

static bool read_cluster(const struct kubeconfig_entry *cluster, struct kube_config *c,
                         struct err *e)
{
    struct str server;
    if (!kube_kubeconfig_str(cluster, "server", &server, e) ||
        !set_server(c, server, cluster->file->path, e) ||
        !kube_kubeconfig_str(cluster, "tls-server-name", &c->tls_server_name, e) ||
        !kube_kubeconfig_str(cluster, "proxy-url", &c->proxy_url, e) ||
        !kube_kubeconfig_bool(cluster, "insecure-skip-tls-verify", &c->is_insecure, e) ||
        !kube_kubeconfig_data(cluster, "certificate-authority", c, &c->ca_pem, &c->ca_file, e))
        return false;
    if (c->is_insecure && !str_is_null(c->ca_pem))
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %.*s: a certificate-authority and insecure-skip-tls-verify "
                       "exclude one another: drop the latter",
                       STR_ARG(cluster->file->path));
    return true;
}

bool kube_kubeconfig_resolve(const struct kubeconfig *k, struct str context, struct kube_config *c,
                             struct err *e)
{
    struct kubeconfig_entry ctx, cluster, user = {0};
    struct str cluster_name, user_name;
    if (str_is_null(context) && !current_context(k, &context, e))
        return false;
    if (!find(k, "contexts", "context", context, &ctx, e))
        return false;
    c->context = arena_copy(&c->arena, context);
    if (!kube_kubeconfig_str(&ctx, "namespace", &c->namespace, e) ||
        !kube_kubeconfig_str(&ctx, "cluster", &cluster_name, e) ||
        !kube_kubeconfig_str(&ctx, "user", &user_name, e) ||
        !find(k, "clusters", "cluster", cluster_name, &cluster, e) || !read_cluster(&cluster, c, e))
        return false;
    if (str_is_null(user_name))
        return true; /* anonymous */
    if (!find(k, "users", "user", user_name, &user, e) || !kube_kubeconfig_read_user(&user, c, e))
        return false;
    const struct yaml *exec = yaml_get(user.body, "exec");
    return yaml_is_null(exec) || kube_kubeconfig_read_exec(&user, exec, &cluster, c, e);
}
