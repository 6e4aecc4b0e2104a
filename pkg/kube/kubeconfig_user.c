// SPDX-License-Identifier: Apache-2.0
/*
 * users[].user of a kubeconfig: certificates, tokens and impersonation, and refusal of what is
 * obsolete. Which of several wins is as in client-go: a token before a plug-in.
 */
#include "base/buf.h"
#include "config_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"

enum { IMPERSONATE_MAX = 32 };

static bool refuse(const struct kubeconfig_entry *user, const char *key, const char *instead,
                   struct err *e)
{
    if (yaml_is_null(yaml_get(user->body, key)))
        return true;
    return err_set(e, ERR_INVALID, "UnsupportedCredentials",
                   "kubeconfig %s: %s is not supported: use %s", user->file->path.ptr, key,
                   instead);
}

static bool read_certificate(const struct kubeconfig_entry *user, struct kube_config *c,
                             struct err *e)
{
    struct str key;
    if (!kube_kubeconfig_data(user, "client-certificate", c, &c->client_cert_pem,
                              &c->client_cert_file, e) ||
        !kube_kubeconfig_data(user, "client-key", c, &key, &c->client_key_file, e))
        return false;
    if (str_is_null(key) != str_is_null(c->client_cert_pem))
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: client-certificate and client-key must be given together",
                       user->file->path.ptr);
    if (!str_is_null(key))
        c->client_key_pem = secret_new(key);
    return true;
}

static bool read_token(const struct kubeconfig_entry *user, struct kube_config *c, struct err *e)
{
    struct str token, path;
    if (!kube_kubeconfig_str(user, "token", &token, e) ||
        !kube_kubeconfig_str(user, "tokenFile", &path, e))
        return false;
    if (token.len > KUBE_TOKEN_MAX_BYTES)
        return err_set(e, ERR_INVALID, "InvalidConfig", "kubeconfig %s: the token is too long",
                       user->file->path.ptr);
    if (!str_is_null(token))
        c->token = secret_new(token);
    if (!str_is_null(path))
        c->token_file = kube_kubeconfig_join(c, user->file->dir, path);
    return true;
}

struct header_list {
    struct http_header at[IMPERSONATE_MAX];
    size_t count;
};

static bool add_header(struct header_list *h, const struct kubeconfig_entry *user, struct str name,
                       struct str value, struct err *e)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f)
            return err_set(e, ERR_INVALID, "InvalidConfig",
                           "kubeconfig %s: impersonation has a control character",
                           user->file->path.ptr);
    if (h->count == IMPERSONATE_MAX)
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: more than %d groups and extras to impersonate",
                       user->file->path.ptr, IMPERSONATE_MAX);
    h->at[h->count++] = (struct http_header){name, value};
    return true;
}

static bool add_list(struct header_list *h, const struct kubeconfig_entry *user, struct str name,
                     const struct yaml *list, struct err *e)
{
    if (yaml_is_null(list))
        return true;
    if (list->kind != YAML_LIST)
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: %.*s must be a list of strings", user->file->path.ptr,
                       STR_ARG(list->key));
    for (const struct yaml *v = list->first; v; v = v->next) {
        struct str value;
        if (!yaml_str(v, "as", &value, e))
            return err_wrap(e, "kubeconfig %s", user->file->path.ptr);
        if (!add_header(h, user, name, value, e))
            return false;
    }
    return true;
}

static bool add_extra(struct header_list *h, const struct kubeconfig_entry *user,
                      struct kube_config *c, struct err *e)
{
    const struct yaml *extra = yaml_get(user->body, "as-user-extra");
    if (!yaml_is_null(extra) && extra->kind != YAML_MAP)
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: as-user-extra must be a map", user->file->path.ptr);
    for (const struct yaml *v = yaml_is_null(extra) ? NULL : extra->first; v; v = v->next) {
        struct buf name BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
        buf_append(&name, STR("Impersonate-Extra-"));
        http_url_encode(&name, v->key, false);
        if (!buf_ok(&name) || !add_list(h, user, arena_copy(&c->arena, buf_str(&name)), v, e))
            return err_is_set(e) ? false
                                 : err_set(e, ERR_INVALID, "InvalidConfig",
                                           "kubeconfig %s: a key of as-user-extra is too long",
                                           user->file->path.ptr);
    }
    return true;
}

/* To ignore impersonation would be to act with other rights than were asked for. */
static bool read_impersonation(const struct kubeconfig_entry *user, struct kube_config *c,
                               struct err *e)
{
    struct header_list h = {.count = 0};
    struct str as, uid;
    if (!kube_kubeconfig_str(user, "as", &as, e) || !kube_kubeconfig_str(user, "as-uid", &uid, e))
        return false;
    if (!str_is_null(as) && !add_header(&h, user, STR("Impersonate-User"), as, e))
        return false;
    if (!str_is_null(uid) && !add_header(&h, user, STR("Impersonate-Uid"), uid, e))
        return false;
    if (!add_list(&h, user, STR("Impersonate-Group"), yaml_get(user->body, "as-groups"), e) ||
        !add_extra(&h, user, c, e))
        return false;
    if (h.count > 0 && str_is_null(as))
        return err_set(e, ERR_INVALID, "InvalidConfig",
                       "kubeconfig %s: as-uid, as-groups and as-user-extra need \"as\"",
                       user->file->path.ptr);
    struct http_header *copy = arena_new_array(&c->arena, struct http_header, h.count);
    for (size_t i = 0; i < h.count; i++)
        copy[i] = h.at[i];
    c->headers = copy;
    c->header_count = h.count;
    return true;
}

bool kube_kubeconfig_read_user(const struct kubeconfig_entry *user, struct kube_config *c,
                               struct err *e)
{
    return refuse(user, "auth-provider", "the provider's exec plug-in (users[].user.exec)", e) &&
           refuse(user, "username", "a client certificate, a token or an exec plug-in", e) &&
           refuse(user, "password", "a client certificate, a token or an exec plug-in", e) &&
           read_certificate(user, c, e) && read_token(user, c, e) && read_impersonation(user, c, e);
}
