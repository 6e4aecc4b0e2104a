// SPDX-License-Identifier: Apache-2.0
/*
 * Status and finalizers of our own objects; see kube/apply.h.
 */
#include "kube/apply.h"

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/object.h"
#include "object_priv.h"

enum { APPLY_MAX_BYTES = KUBE_OBJECT_MAX_BYTES, APPLY_ATTEMPTS = 5 };

static const char *namespace_of(const struct kube_resource *r, const struct kube_object *obj)
{
    return r->is_namespaced ? kube_object_namespace(obj).ptr : NULL;
}

/* Applied with the resourceVersion of `at`, which is obj or the same object read later. */
static enum kube_result apply_at(struct kube_client *c, const struct kube_resource *r,
                                 const struct kube_object *at, const char *field_manager,
                                 struct str status, struct kube_object **ret, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(APPLY_MAX_BYTES);
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    json_put_str(&w, "apiVersion", kube_resource_api_version(r, &a));
    json_put_cstr(&w, "kind", r->kind);
    json_key_begin_object(&w, "metadata");
    json_put_str(&w, "name", kube_object_name(at));
    if (r->is_namespaced)
        json_put_str(&w, "namespace", kube_object_namespace(at));
    json_put_str(&w, "uid", kube_object_uid(at));
    json_put_str(&w, "resourceVersion", kube_object_resource_version(at));
    json_end(&w);
    json_put_raw(&w, "status", status);
    json_end(&w);
    if (!json_write_ok(&w)) {
        err_set(e, ERR_INVALID, "TooLarge", "the status of %s \"%s\" is too big", r->kind,
                kube_object_name(at).ptr);
        return KUBE_FAILED;
    }
    struct kube_patch p = {.resource = r,
                           .namespace = namespace_of(r, at),
                           .name = kube_object_name(at).ptr,
                           .subresource = "status",
                           .type = KUBE_PATCH_APPLY,
                           .field_manager = field_manager,
                           .is_force = true,
                           .body = buf_str(&body)};
    return kube_patch(c, &p, ret, e);
}

static bool is_same_status(const struct kube_object *a, const struct kube_object *b)
{
    return json_equal(json_get(kube_object_json(a), "status"),
                      json_get(kube_object_json(b), "status"));
}

enum kube_result kube_apply_status(struct kube_client *c, const struct kube_resource *r,
                                   const struct kube_object *obj, const char *field_manager,
                                   struct str status, struct kube_object **ret, struct err *e)
{
    struct kube_object *at BERTH_CLEANUP(kube_object_unrefp) = kube_object_ref(obj);
    if (ret)
        *ret = NULL;
    for (int i = 0;; i++) {
        enum kube_result got = apply_at(c, r, at, field_manager, status, ret, e);
        if (got != KUBE_CONFLICT || i + 1 == APPLY_ATTEMPTS)
            return got;
        /* a custom resource's status strategy takes metadata from the stored object before the
         * uid would be compared, so only the resourceVersion protects another object under the
         * name; that it is old is no reason to fail as long as the object is the same. Its status
         * has to be the same too: one that was decided from an older one may lack what this process
         * (whose answer was lost) or the leader before it wrote, such as ownership. */
        struct kube_object *now = NULL;
        got = kube_get(c, r, namespace_of(r, obj), kube_object_name(obj).ptr, &now, e);
        if (got != KUBE_OK)
            return got;
        kube_object_unref(at);
        at = now;
        if (!str_eq(kube_object_uid(now), kube_object_uid(obj)) || !is_same_status(now, obj))
            return KUBE_CONFLICT;
    }
}

enum kube_result kube_set_finalizers(struct kube_client *c, const struct kube_resource *r,
                                     const struct kube_object *obj, const struct str *finalizers,
                                     size_t count, struct kube_object **ret, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(APPLY_MAX_BYTES);
    struct json_writer w = json_writer_to(&body);
    if (ret)
        *ret = NULL;
    json_begin_object(&w);
    json_key_begin_object(&w, "metadata");
    json_put_str(&w, "uid", kube_object_uid(obj));
    json_put_str(&w, "resourceVersion", kube_object_resource_version(obj));
    json_key_begin_array(&w, "finalizers");
    for (size_t i = 0; i < count; i++)
        json_str(&w, finalizers[i]);
    json_end(&w);
    json_end(&w);
    json_end(&w);
    if (!json_write_ok(&w)) {
        err_set(e, ERR_INVALID, "TooLarge", "the finalizers of %s \"%s\" are too many", r->kind,
                kube_object_name(obj).ptr);
        return KUBE_FAILED;
    }
    struct kube_patch p = {.resource = r,
                           .namespace = namespace_of(r, obj),
                           .name = kube_object_name(obj).ptr,
                           .type = KUBE_PATCH_MERGE,
                           .body = buf_str(&body)};
    return kube_patch(c, &p, ret, e);
}

enum kube_result kube_change_finalizer(struct kube_client *c, const struct kube_resource *r,
                                       const struct kube_object *obj, const char *finalizer,
                                       bool is_present, struct kube_object **ret, struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    size_t before = kube_object_finalizer_count(obj), count = 0;
    if (ret)
        *ret = NULL;
    if (kube_object_undecodable(obj)) {
        err_set(e, ERR_INVALID, "Undecodable", "%s \"%s\" cannot be read, so its finalizers stay",
                r->kind, kube_object_name(obj).ptr);
        return KUBE_FAILED;
    }
    if (kube_object_has_finalizer(obj, finalizer) == is_present) {
        if (ret)
            *ret = kube_object_ref(obj);
        return KUBE_OK;
    }
    struct str *list = arena_new_array(&a, struct str, before + 1);
    for (size_t i = 0; i < before; i++)
        if (!str_eq_cstr(kube_object_finalizer(obj, i), finalizer))
            list[count++] = kube_object_finalizer(obj, i);
    if (is_present)
        list[count++] = str_from(finalizer);
    return kube_set_finalizers(c, r, obj, list, count, ret, e);
}
