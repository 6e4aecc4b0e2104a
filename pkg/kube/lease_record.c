// SPDX-License-Identifier: Apache-2.0
/*
 * The Lease as JSON. What is not of leader election (labels, owners, annotations) is sent back as
 * it was read: an update replaces the whole object.
 */
#include "json/write.h"
#include "lease_priv.h"

static struct str text_or_empty(const struct json *spec, const char *key)
{
    struct str s = json_str_or_null(json_get(spec, key));
    return str_is_null(s) ? STR("") : s;
}

/* The server keeps these int32 and not negative; whatever else comes is treated as if it did. */
static int64_t count_of(const struct json *spec, const char *key)
{
    int64_t n = json_i64_or(json_get(spec, key), 0);
    if (n < 0)
        return 0;
    return n > INT32_MAX ? INT32_MAX : n;
}

bool kube_lease_read(const struct kube_object *o, struct lease_record *ret, struct err *e)
{
    *ret = (struct lease_record){0};
    const char *why = kube_object_undecodable(o);
    if (why)
        return err_set(e, ERR_INVALID, "Undecodable", "lease %s/%s: %s",
                       kube_object_namespace(o).ptr, kube_object_name(o).ptr, why);
    const struct json *spec = json_get(kube_object_json(o), "spec");
    *ret = (struct lease_record){.holder = text_or_empty(spec, "holderIdentity"),
                                 .acquire_time = text_or_empty(spec, "acquireTime"),
                                 .renew_time = text_or_empty(spec, "renewTime"),
                                 .duration_s = count_of(spec, "leaseDurationSeconds"),
                                 .transitions = count_of(spec, "leaseTransitions")};
    return true;
}

static void write_metadata(struct json_writer *w, const char *namespace, const char *name,
                           const struct kube_object *old)
{
    if (old) {
        json_put_value(w, "metadata", json_get(kube_object_json(old), "metadata"));
        return;
    }
    json_key_begin_object(w, "metadata");
    json_put_cstr(w, "name", name);
    json_put_cstr(w, "namespace", namespace);
    json_end(w);
}

bool kube_lease_write(const struct lease_record *record, const char *namespace, const char *name,
                      const struct kube_object *old, struct buf *out, struct err *e)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    json_put_cstr(&w, "apiVersion", "coordination.k8s.io/v1");
    json_put_cstr(&w, "kind", "Lease");
    write_metadata(&w, namespace, name, old);
    json_key_begin_object(&w, "spec");
    json_put_str(&w, "holderIdentity", record->holder);
    json_put_int(&w, "leaseDurationSeconds", record->duration_s);
    json_put_str(&w, "acquireTime", record->acquire_time);
    json_put_str(&w, "renewTime", record->renew_time);
    json_put_int(&w, "leaseTransitions", record->transitions);
    json_end(&w);
    json_end(&w);
    if (!json_write_ok(&w))
        return err_set(e, ERR_INVALID, "TooLarge", "lease %s/%s: its metadata cannot be sent back",
                       namespace, name);
    return true;
}
