// SPDX-License-Identifier: Apache-2.0
/*
 * Request URLs of the API server; see url_priv.h.
 */
#include "http/http.h"
#include "url_priv.h"

static bool is_segment(struct str s)
{
    return !str_is_empty(s) && !str_eq(s, STR(".")) && !str_eq(s, STR("..")) &&
           str_index(s, '/') < 0 && str_index(s, '%') < 0;
}

static bool append_segment(struct buf *out, const char *what, const char *text, struct err *e)
{
    struct str s = str_from(text);
    if (!is_segment(s))
        return err_set(e, ERR_INVALID, "InvalidName", "\"%.*s\" cannot be the name of a %s",
                       STR_ARG(str_cut_utf8(s, 64)), what);
    buf_append_char(out, '/');
    http_url_encode(out, s, false);
    return true;
}

static bool append_group(struct buf *out, const struct kube_resource *r, struct err *e)
{
    if (r->group[0] == '\0')
        buf_append(out, STR("/api"));
    else
        buf_append(out, STR("/apis"));
    if (r->group[0] != '\0' && !append_segment(out, "group", r->group, e))
        return false;
    return append_segment(out, "version", r->version, e);
}

bool kube_url_path(struct buf *out, struct str server, const struct url_target *t, struct err *e)
{
    const struct kube_resource *r = t->resource;
    if (t->namespace && !r->is_namespaced)
        return err_set(e, ERR_INVALID, "InvalidName", "%s are not in namespaces", r->plural);
    if (t->name && !t->namespace && r->is_namespaced)
        return err_set(e, ERR_INVALID, "InvalidName", "a namespace is needed to name one of %s",
                       r->plural);
    buf_append(out, server);
    if (!append_group(out, r, e))
        return false;
    if (t->namespace) {
        buf_append(out, STR("/namespaces"));
        if (!append_segment(out, "namespace", t->namespace, e))
            return false;
    }
    if (!append_segment(out, "resource", r->plural, e))
        return false;
    if (t->name && !append_segment(out, r->kind, t->name, e))
        return false;
    return !t->subresource || append_segment(out, "subresource", t->subresource, e);
}

void kube_url_query(struct buf *out, bool *is_first, const char *key, struct str value)
{
    buf_append_char(out, *is_first ? '?' : '&');
    *is_first = false;
    buf_append_cstr(out, key);
    buf_append_char(out, '=');
    http_url_encode(out, value, false);
}
