// SPDX-License-Identifier: Apache-2.0
/*
 * users[].user.exec of a kubeconfig, and what a plug-in is told of the cluster
 * (client.authentication.k8s.io, spec.cluster). Running it is exec.c.
 */
#include "base/buf.h"
#include "base/num.h"
#include "config_priv.h"
#include "crypto/crypto.h"
#include "json/write.h"

#include <assert.h>

enum { EXEC_WORDS_MAX = 256, CLUSTER_JSON_MAX_BYTES = 2 << 20 };

#define EXEC_V1      "client.authentication.k8s.io/v1"
#define EXEC_V1BETA1 "client.authentication.k8s.io/v1beta1"

static bool bad(const struct kubeconfig_entry *user, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: exec: %s", user->file->path.ptr,
                   what);
}

static bool read_args(const struct kubeconfig_entry *exec, struct kube_exec *x,
                      struct kube_config *c, struct err *e)
{
    const struct yaml *args = yaml_get(exec->body, "args");
    const char **words = arena_new_array(&c->arena, const char *, EXEC_WORDS_MAX + 1);
    size_t count = 0;
    x->args = words;
    if (yaml_is_null(args))
        return true;
    if (args->kind != YAML_LIST)
        return bad(exec, "args must be a list", e);
    for (const struct yaml *v = args->first; v; v = v->next) {
        struct str word;
        if (count == EXEC_WORDS_MAX)
            return bad(exec, "too many args", e);
        if (!yaml_str(v, "args", &word, e))
            return err_wrap(e, "kubeconfig %s: exec", exec->file->path.ptr);
        words[count++] = arena_cstr(&c->arena, word);
    }
    return true;
}

static bool read_env(const struct kubeconfig_entry *exec, struct kube_exec *x,
                     struct kube_config *c, struct err *e)
{
    const struct yaml *env = yaml_get(exec->body, "env");
    const char **words = arena_new_array(&c->arena, const char *, EXEC_WORDS_MAX + 1);
    size_t count = 0;
    x->env = words;
    if (yaml_is_null(env))
        return true;
    if (env->kind != YAML_LIST)
        return bad(exec, "env must be a list", e);
    for (const struct yaml *v = env->first; v; v = v->next) {
        struct kubeconfig_entry pair = {.body = v, .file = exec->file};
        struct str name, value;
        if (count == EXEC_WORDS_MAX)
            return bad(exec, "too many entries in env", e);
        if (!kube_kubeconfig_str(&pair, "name", &name, e) ||
            !kube_kubeconfig_str(&pair, "value", &value, e))
            return false;
        if (str_is_null(name) || str_index(name, '=') >= 0)
            return bad(exec, "an entry of env has no usable name", e);
        words[count++] = arena_printf(&c->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value)).ptr;
    }
    return true;
}

static bool read_mode(const struct kubeconfig_entry *exec, struct kube_exec *x, struct err *e)
{
    struct str mode;
    if (!kube_kubeconfig_str(exec, "interactiveMode", &mode, e))
        return false;
    if (str_is_null(mode) && str_eq_cstr(str_from(x->api_version), EXEC_V1))
        return bad(exec, "interactiveMode is needed: Never, IfAvailable or Always", e);
    x->wants_terminal = str_eq(mode, STR("Always"));
    x->may_use_terminal =
        x->wants_terminal || str_is_null(mode) || str_eq(mode, STR("IfAvailable"));
    if (!x->may_use_terminal && !str_eq(mode, STR("Never")))
        return bad(exec, "interactiveMode must be Never, IfAvailable or Always", e);
    return true;
}

static void write_scalar(struct json_writer *w, const struct yaml *v)
{
    int64_t number;
    if (v->is_plain && yaml_is_null(v))
        json_null(w);
    else if (v->is_plain && (str_eq(v->scalar, STR("true")) || str_eq(v->scalar, STR("false"))))
        json_bool(w, v->scalar.ptr[0] == 't');
    else if (v->is_plain && num_parse_i64(v->scalar, &number))
        json_int(w, number);
    else
        json_str(w, v->scalar);
}

/* YAML as JSON. The YAML reader bounds the depth, and so the stack here. */
static void write_yaml(struct json_writer *w, const struct yaml *root)
{
    const struct yaml *open[YAML_MAX_DEPTH + 1];
    size_t depth = 0;
    const struct yaml *v = root;
    while (v != NULL) {
        if (depth > 0 && open[depth - 1]->kind == YAML_MAP)
            json_key_str(w, v->key);
        if (v->kind == YAML_SCALAR) {
            write_scalar(w, v);
            v = depth > 0 ? v->next : NULL;
        } else {
            assert(depth <= YAML_MAX_DEPTH);
            if (v->kind == YAML_MAP)
                json_begin_object(w);
            else
                json_begin_array(w);
            open[depth++] = v;
            v = v->first;
        }
        while (v == NULL && depth > 0) {
            json_end(w);
            const struct yaml *done = open[--depth];
            v = depth > 0 ? done->next : NULL;
        }
    }
}

/* extensions: [{name: client.authentication.k8s.io/exec, extension: …}] */
static const struct yaml *exec_extension(const struct yaml *cluster)
{
    const struct yaml *list = yaml_get(cluster, "extensions");
    for (const struct yaml *v = list && list->kind == YAML_LIST ? list->first : NULL; v;
         v = v->next) {
        const struct yaml *name = yaml_get(v, "name");
        if (name && str_eq(name->scalar, STR("client.authentication.k8s.io/exec")))
            return yaml_get(v, "extension");
    }
    return NULL;
}

static bool write_cluster(const struct kubeconfig_entry *cluster, struct kube_config *c,
                          struct kube_exec *x, struct err *e)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CLUSTER_JSON_MAX_BYTES);
    struct buf ca BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * KUBE_PEM_MAX_BYTES);
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_put_str(&w, "server", c->server);
    if (!str_is_null(c->tls_server_name))
        json_put_str(&w, "tls-server-name", c->tls_server_name);
    if (c->is_insecure)
        json_put_bool(&w, "insecure-skip-tls-verify", true);
    if (!str_is_null(c->ca_pem)) {
        crypto_base64_encode(c->ca_pem, &ca);
        json_put_str(&w, "certificate-authority-data", buf_str(&ca));
    }
    if (!str_is_null(c->proxy_url))
        json_put_str(&w, "proxy-url", c->proxy_url);
    const struct yaml *extension = exec_extension(cluster->body);
    if (!yaml_is_null(extension)) {
        json_key_str(&w, STR("config"));
        write_yaml(&w, extension);
    }
    json_end(&w);
    if (!json_write_ok(&w))
        return bad(cluster, "the cluster's information is too big to be handed on", e);
    x->cluster_json = arena_copy(&c->arena, buf_str(&text));
    return true;
}

bool kube_kubeconfig_read_exec(const struct kubeconfig_entry *user, const struct yaml *exec,
                               const struct kubeconfig_entry *cluster, struct kube_config *c,
                               struct err *e)
{
    struct kubeconfig_entry entry = {.body = exec, .file = user->file};
    struct kube_exec *x = arena_new(&c->arena, struct kube_exec);
    struct str version, command, hint;
    if (!kube_kubeconfig_str(&entry, "apiVersion", &version, e) ||
        !kube_kubeconfig_str(&entry, "command", &command, e) ||
        !kube_kubeconfig_str(&entry, "installHint", &hint, e))
        return false;
    if (!str_eq(version, STR(EXEC_V1)) && !str_eq(version, STR(EXEC_V1BETA1)))
        return bad(&entry, "apiVersion must be " EXEC_V1 " or " EXEC_V1BETA1, e);
    if (str_is_null(command))
        return bad(&entry, "command is needed", e);
    x->api_version = arena_cstr(&c->arena, version);
    x->command = str_index(command, '/') < 0
                     ? arena_cstr(&c->arena, command)
                     : kube_kubeconfig_join(c, user->file->dir, command).ptr;
    x->install_hint = str_is_null(hint) ? NULL : arena_cstr(&c->arena, hint);
    if (!read_args(&entry, x, c, e) || !read_env(&entry, x, c, e) || !read_mode(&entry, x, e) ||
        !kube_kubeconfig_bool(&entry, "provideClusterInfo", &x->wants_cluster_info, e))
        return false;
    if (x->wants_cluster_info && !write_cluster(cluster, c, x, e))
        return false;
    c->exec = x;
    return true;
}
