// SPDX-License-Identifier: Apache-2.0
/*
 * One page of a list. Its items are cut out of the text and parsed one by one, so that each object
 * owns its memory and one that cannot be read does not take the page with it.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "client_priv.h"
#include "http/http.h"
#include "object_priv.h"
#include "slice_priv.h"
#include "status_priv.h"
#include "url_priv.h"

#include <stdio.h>

void kube_page_fini(struct kube_page *p)
{
    kube_objects_fini(&p->objects);
    p->resource_version = mem_free(p->resource_version);
    p->continue_token = mem_free(p->continue_token);
    p->unnamed = 0;
}

static bool build_url(struct kube_client *c, const struct kube_list_options *o, struct buf *url,
                      struct err *e)
{
    struct url_target t = {.resource = o->resource, .namespace = o->namespace};
    bool is_first = true;
    if (!kube_url_path(url, kube_client_server(c), &t, e))
        return false;
    if (o->limit > 0) {
        char limit[16];
        (void)snprintf(limit, sizeof(limit), "%d", o->limit);
        kube_url_query(url, &is_first, "limit", str_from(limit));
    }
    if (!str_is_empty(o->continue_token))
        kube_url_query(url, &is_first, "continue", o->continue_token);
    else if (!str_is_empty(o->resource_version)) /* not both: the token has one */
        kube_url_query(url, &is_first, "resourceVersion", o->resource_version);
    if (!str_is_empty(o->label_selector))
        kube_url_query(url, &is_first, "labelSelector", o->label_selector);
    if (!str_is_empty(o->field_selector))
        kube_url_query(url, &is_first, "fieldSelector", o->field_selector);
    return buf_ok(url) || err_set(e, ERR_INVALID, "TooLarge", "the request's URL is too long");
}

static bool on_list_data(void *arg, struct str data)
{
    struct buf *body = arg;
    buf_append(body, data);
    return buf_ok(body);
}

/* The body of a 200, or an error; by a stream where it can be cut. */
static bool fetch(struct kube_client *c, const struct client_request *rq,
                  struct http_cancel *cancel, struct buf *body, struct err *e)
{
    if (!kube_client_stream(c, rq, KUBE_TIMEOUT_MS, cancel, on_list_data, body, e))
        return false;
    if (!buf_ok(body))
        return err_set(e, ERR_INVALID, "TooLarge", "%s: the page is over %d bytes", rq->what,
                       KUBE_PAGE_MAX_BYTES);
    return true;
}

/* False where memory is out: a page without an object would say that it does not exist. */
static bool read_items(struct str items, const struct kube_resource *r, struct kube_page *ret,
                       struct err *e)
{
    size_t at = 0, cap = 0;
    struct str text;
    while (kube_slice_next_element(items, &at, &text)) {
        struct kube_object *o = NULL;
        struct err why = ERR_INIT;
        if (!kube_object_parse(text, &o, &why)) {
            if (why.cls == ERR_RETRY) {
                *e = why;
                return false;
            }
            ret->unnamed++;
            continue;
        }
        kube_object_default_type(o, r);
        if (ret->objects.count == cap) {
            cap = cap ? 2 * cap : 64;
            ret->objects.items = mem_realloc(ret->objects.items, cap * sizeof(*ret->objects.items));
        }
        ret->objects.items[ret->objects.count++] = o;
    }
    return true;
}

static bool read_page(struct str text, const struct kube_resource *r, const char *what,
                      struct kube_page *ret, struct err *e)
{
    static const char *const TOP[] = {"metadata", "items"};
    static const char *const META[] = {"resourceVersion", "continue"};
    struct str top[2], meta[2] = {0};
    if (!kube_slice_members(text, TOP, 2, top) || !kube_slice_members(top[0], META, 2, meta))
        return err_set(e, ERR_INVALID, "NoList", "%s: the answer is no list", what);
    struct str version = kube_slice_plain_string(meta[0]);
    struct str token = kube_slice_plain_string(meta[1]);
    if (str_is_empty(version))
        return err_set(e, ERR_INVALID, "NoList", "%s: the list has no resourceVersion", what);
    ret->resource_version = mem_dup(version.ptr, version.len);
    ret->continue_token = mem_dup(token.ptr ? token.ptr : "", token.len);
    if (read_items(top[1], r, ret, e))
        return true;
    kube_page_fini(ret);
    return err_wrap(e, "%s", what);
}

enum kube_result kube_client_list_page(struct kube_client *c, const struct kube_list_options *o,
                                       struct http_cancel *cancel, struct kube_page *ret,
                                       struct err *e)
{
    struct buf url BERTH_CLEANUP(buf_fini) = BUF_INIT(URL_MAX_BYTES);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_PAGE_MAX_BYTES);
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err why = ERR_INIT;
    struct client_request rq = {
        .method = "GET", .timeout_ms = KUBE_TIMEOUT_MS, .max_body_bytes = KUBE_PAGE_MAX_BYTES};
    rq.what = arena_printf(&a, "list %s", o->resource->plural).ptr;
    *ret = KUBE_PAGE_INIT;
    if (!build_url(c, o, &url, e)) {
        err_wrap(e, "%s", rq.what);
        return KUBE_FAILED;
    }
    rq.url = buf_str(&url);
    if (fetch(c, &rq, cancel, &body, &why) &&
        read_page(buf_str(&body), o->resource, rq.what, ret, &why))
        return KUBE_OK;
    if (why.cls == ERR_NOT_FOUND)
        return KUBE_NOT_FOUND;
    *e = why;
    return KUBE_FAILED;
}

enum kube_result kube_list_page(struct kube_client *c, const struct kube_list_options *o,
                                struct kube_page *ret, struct err *e)
{
    return kube_client_list_page(c, o, NULL, ret, e);
}
