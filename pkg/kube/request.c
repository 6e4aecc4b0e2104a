// SPDX-License-Identifier: Apache-2.0
/*
 * Operations on single objects: what is asked, and what becomes of the answer. Lists are list.c.
 */
#include "base/buf.h"
#include "client_priv.h"
#include "http/http.h"
#include "json/write.h"
#include "status_priv.h"
#include "url_priv.h"

enum { WHAT_MAX = 512, DELETE_MAX_BYTES = 1024 };

/* One operation: the request as it is built. */
struct operation {
    struct kube_client *client;
    struct arena arena;
    struct buf url;
    bool is_first_query;
    struct client_request rq;
};

static void operation_fini(struct operation *op)
{
    arena_fini(&op->arena);
    buf_fini(&op->url);
}

/* "create events default/x": what messages call it. */
static const char *describe(struct arena *a, const char *verb, const struct url_target *t)
{
    const char *name = t->name ? t->name : "";
    const char *sub = t->subresource ? t->subresource : "";
    return arena_printf(a, "%s %s%s%s%s%s%s%s", verb, t->resource->plural, sub[0] ? "/" : "", sub,
                        t->namespace || name[0] ? " " : "", t->namespace ? t->namespace : "",
                        t->namespace && name[0] ? "/" : "", name)
        .ptr;
}

static bool operation_init(struct operation *op, struct kube_client *c, const char *verb,
                           const char *method, const struct url_target *t, struct err *e)
{
    op->client = c;
    op->url = BUF_INIT(URL_MAX_BYTES);
    op->is_first_query = true;
    op->rq.method = method;
    op->rq.what = describe(&op->arena, verb, t);
    return kube_url_path(&op->url, kube_client_server(c), t, e) || err_wrap(e, "%s", op->rq.what);
}

static void query(struct operation *op, const char *key, const char *value)
{
    if (value)
        kube_url_query(&op->url, &op->is_first_query, key, str_from(value));
}

static enum kube_result read_object(const struct operation *op, struct str body,
                                    struct kube_object **ret, struct err *e)
{
    if (ret == NULL || kube_object_parse(body, ret, e))
        return KUBE_OK;
    err_wrap(e, "%s: the answer", op->rq.what);
    return KUBE_FAILED;
}

static enum kube_result run(struct operation *op, struct kube_object **ret, struct err *e)
{
    struct http_response r;
    if (ret)
        *ret = NULL;
    if (!buf_ok(&op->url)) {
        err_set(e, ERR_INVALID, "TooLarge", "%s: the request's URL is too long", op->rq.what);
        return KUBE_FAILED;
    }
    op->rq.url = buf_str(&op->url);
    if (!kube_client_send(op->client, &op->rq, &op->arena, &r, e))
        return KUBE_FAILED;
    if (r.status >= 200 && r.status < 300)
        return read_object(op, r.body, ret, e);
    return kube_status_result(r.status, r.body, http_header_get(&r, "Retry-After"), op->rq.what, e);
}

enum kube_result kube_get(struct kube_client *c, const struct kube_resource *r,
                          const char *namespace, const char *name, struct kube_object **ret,
                          struct err *e)
{
    struct operation op BERTH_CLEANUP(operation_fini) = {0};
    struct url_target t = {.resource = r, .namespace = namespace, .name = name ? name : ""};
    if (ret)
        *ret = NULL;
    if (!operation_init(&op, c, "get", "GET", &t, e))
        return KUBE_FAILED;
    return run(&op, ret, e);
}

enum kube_result kube_client_create(struct kube_client *c, const struct kube_resource *r,
                                    const char *namespace, const char *field_manager,
                                    struct str body, int64_t timeout_ms, struct kube_object **ret,
                                    struct err *e)
{
    struct operation op BERTH_CLEANUP(operation_fini) = {0};
    struct url_target t = {.resource = r, .namespace = namespace};
    if (ret)
        *ret = NULL;
    if (!operation_init(&op, c, "create", "POST", &t, e))
        return KUBE_FAILED;
    query(&op, "fieldManager", field_manager);
    op.rq.body = body;
    op.rq.content_type = "application/json";
    op.rq.timeout_ms = timeout_ms;
    return run(&op, ret, e);
}

enum kube_result kube_create(struct kube_client *c, const struct kube_resource *r,
                             const char *namespace, const char *field_manager, struct str body,
                             struct kube_object **ret, struct err *e)
{
    return kube_client_create(c, r, namespace, field_manager, body, 0, ret, e);
}

static const char *patch_content_type(enum kube_patch_type type)
{
    switch (type) {
    case KUBE_PATCH_MERGE:
        return "application/merge-patch+json";
    case KUBE_PATCH_JSON:
        return "application/json-patch+json";
    case KUBE_PATCH_APPLY:
        return "application/apply-patch+yaml"; /* JSON is YAML */
    }
    return NULL;
}

enum kube_result kube_client_patch(struct kube_client *c, const struct kube_patch *p,
                                   int64_t timeout_ms, struct kube_object **ret, struct err *e)
{
    struct operation op BERTH_CLEANUP(operation_fini) = {0};
    struct url_target t = {.resource = p->resource,
                           .namespace = p->namespace,
                           .name = p->name ? p->name : "",
                           .subresource = p->subresource};
    if (ret)
        *ret = NULL;
    if (!operation_init(&op, c, p->type == KUBE_PATCH_APPLY ? "apply" : "patch", "PATCH", &t, e))
        return KUBE_FAILED;
    query(&op, "fieldManager", p->field_manager);
    if (p->type == KUBE_PATCH_APPLY && p->is_force)
        query(&op, "force", "true");
    if (p->is_dry_run)
        query(&op, "dryRun", "All");
    op.rq.body = p->body;
    op.rq.content_type = patch_content_type(p->type);
    op.rq.timeout_ms = timeout_ms;
    return run(&op, ret, e);
}

enum kube_result kube_patch(struct kube_client *c, const struct kube_patch *p,
                            struct kube_object **ret, struct err *e)
{
    return kube_client_patch(c, p, 0, ret, e);
}

enum kube_result kube_delete(struct kube_client *c, const struct kube_resource *r,
                             const char *namespace, const char *name, struct str uid, struct err *e)
{
    struct operation op BERTH_CLEANUP(operation_fini) = {0};
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(DELETE_MAX_BYTES);
    struct url_target t = {.resource = r, .namespace = namespace, .name = name ? name : ""};
    if (!operation_init(&op, c, "delete", "DELETE", &t, e))
        return KUBE_FAILED;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_put_cstr(&w, "apiVersion", "v1");
    json_put_cstr(&w, "kind", "DeleteOptions");
    if (!str_is_empty(uid)) {
        json_key_begin_object(&w, "preconditions");
        json_put_str(&w, "uid", uid);
        json_end(&w);
    }
    json_end(&w);
    op.rq.body = buf_str(&body);
    op.rq.content_type = "application/json";
    return run(&op, NULL, e);
}

enum kube_result kube_client_call(struct kube_client *c, const struct client_call *call,
                                  struct kube_object **ret, struct err *e)
{
    static const struct {
        const char *verb, *method;
    } VERBS[] = {[CLIENT_GET] = {"get", "GET"},
                 [CLIENT_CREATE] = {"create", "POST"},
                 [CLIENT_UPDATE] = {"update", "PUT"}};
    struct operation op BERTH_CLEANUP(operation_fini) = {0};
    struct url_target t = {.resource = call->resource,
                           .namespace = call->namespace,
                           .name = call->verb == CLIENT_CREATE ? NULL : call->name};
    if (ret)
        *ret = NULL;
    if (!operation_init(&op, c, VERBS[call->verb].verb, VERBS[call->verb].method, &t, e))
        return KUBE_FAILED;
    if (call->verb != CLIENT_GET) {
        op.rq.body = call->body;
        op.rq.content_type = "application/json";
    }
    op.rq.timeout_ms = call->timeout_ms;
    op.rq.cancel = call->cancel;
    return run(&op, ret, e);
}
