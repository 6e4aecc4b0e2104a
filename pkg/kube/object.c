// SPDX-License-Identifier: Apache-2.0
/*
 * Immutable, counted snapshots of objects; see kube/object.h.
 */
#include "kube/object.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "json/json.h"
#include "object_priv.h"
#include "slice_priv.h"

#include <assert.h>
#include <stdatomic.h>

struct kube_object {
    atomic_uint refs;
    struct json_doc *doc;    /* NULL: undecodable */
    struct arena arena;      /* strings of an undecodable object, and what is cut */
    const char *undecodable; /* why; NULL where it is decodable */
    struct str api_version, kind, namespace, name, uid, resource_version;
    int64_t generation;
    int64_t created_unix_ms;
    bool is_deleting;
};

static struct str str_or_empty(struct str s)
{
    return str_is_null(s) ? STR("") : s;
}

static struct str member_str(const struct json *v, const char *key)
{
    return str_or_empty(json_str_or_null(json_get(v, key)));
}

static bool read_decoded(struct kube_object *o, struct err *e)
{
    const struct json *root = json_root(o->doc);
    const struct json *meta = json_get(root, "metadata");
    o->api_version = member_str(root, "apiVersion");
    o->kind = member_str(root, "kind");
    o->namespace = member_str(meta, "namespace");
    o->name = member_str(meta, "name");
    o->uid = member_str(meta, "uid");
    o->resource_version = member_str(meta, "resourceVersion");
    o->generation = json_i64_or(json_get(meta, "generation"), 0);
    o->is_deleting = !json_is_null(json_get(meta, "deletionTimestamp"));
    struct str created = member_str(meta, "creationTimestamp");
    if (!clock_parse_rfc3339(created, &o->created_unix_ms))
        o->created_unix_ms = 0;
    if (str_is_empty(o->name))
        return err_set(e, ERR_INVALID, "NoName", "an object of the server has no metadata.name");
    return true;
}

static struct str plain(struct kube_object *o, struct str value)
{
    struct str s = kube_slice_plain_string(value);
    return str_is_null(s) ? STR("") : arena_copy(&o->arena, s);
}

/* Identity alone, by cutting: the text is too big or not acceptable JSON. */
static bool read_identity(struct kube_object *o, struct str text, struct err *e)
{
    enum { API_VERSION, KIND, METADATA, TOP_COUNT };
    static const char *const TOP[] = {"apiVersion", "kind", "metadata"};
    enum { NAME, NAMESPACE, UID, RESOURCE_VERSION, DELETION, META_COUNT };
    static const char *const META[] = {"name", "namespace", "uid", "resourceVersion",
                                       "deletionTimestamp"};
    struct str top[TOP_COUNT], meta[META_COUNT] = {0};
    if (!kube_slice_members(text, TOP, TOP_COUNT, top))
        return err_set(e, ERR_INVALID, "NoObject", "what should be an object is none");
    struct str metadata = top[METADATA];
    if (str_is_null(metadata)) { /* cut off inside it: read what is there */
        static const char MARK[] = "\"metadata\":";
        const char *at = memmem(text.ptr, text.len, MARK, sizeof(MARK) - 1);
        metadata = at ? str_from_offset(text, (size_t)(at - text.ptr) + sizeof(MARK) - 1) : STR("");
    }
    bool is_object = kube_slice_members(metadata, META, META_COUNT, meta);
    o->api_version = plain(o, top[API_VERSION]);
    o->kind = plain(o, top[KIND]);
    o->name = plain(o, meta[NAME]);
    o->namespace = plain(o, meta[NAMESPACE]);
    o->uid = plain(o, meta[UID]);
    o->resource_version = plain(o, meta[RESOURCE_VERSION]);
    o->is_deleting = !str_is_null(kube_slice_plain_string(meta[DELETION]));
    if (!is_object || str_is_empty(o->name))
        return err_set(e, ERR_INVALID, "NoName", "an object of the server has no metadata.name");
    return true;
}

/* Puts null in the place of a value of text; `value` is a view into it. */
static void append_without(struct buf *out, struct str *rest, struct str value)
{
    if (str_is_null(value))
        return;
    buf_append(out, str_n(rest->ptr, (size_t)(value.ptr - rest->ptr)));
    buf_append_cstr(out, "null");
    *rest = str_n(value.ptr + value.len, (size_t)(rest->ptr + rest->len - (value.ptr + value.len)));
}

/*
 * The text without what nobody here reads and what is the greater part of most objects: who owns
 * which field, and kubectl's copy of what was applied. A tree of them would be several times the
 * size of the text, for as long as the object is watched.
 */
static struct str without_bookkeeping(struct str text, struct buf *out)
{
    static const char *const TOP[] = {"metadata"};
    static const char *const META[] = {"annotations", "managedFields"};
    static const char *const APPLIED[] = {"kubectl.kubernetes.io/last-applied-configuration"};
    struct str metadata = STR_NULL, meta[ARRAY_SIZE(META)], applied = STR_NULL;
    if (!kube_slice_members(text, TOP, 1, &metadata) || str_is_null(metadata) ||
        !kube_slice_members(metadata, META, ARRAY_SIZE(META), meta))
        return text;
    if (!str_is_null(meta[0]) && !kube_slice_members(meta[0], APPLIED, 1, &applied))
        applied = STR_NULL;
    bool is_applied_first = str_is_null(meta[1]) || meta[0].ptr < meta[1].ptr;
    struct str rest = text;
    append_without(out, &rest, is_applied_first ? applied : meta[1]);
    append_without(out, &rest, is_applied_first ? meta[1] : applied);
    buf_append(out, rest);
    return buf_ok(out) ? buf_str(out) : text;
}

bool kube_object_parse(struct str text, struct kube_object **ret, struct err *e)
{
    *ret = NULL;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = mem_alloc(sizeof(*o));
    atomic_init(&o->refs, 1);
    struct err why = ERR_INIT;
    struct buf cut BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_OBJECT_MAX_BYTES);
    bool is_read =
        json_parse(without_bookkeeping(text, &cut), KUBE_OBJECT_MAX_BYTES, &o->doc, &why);
    if (is_read ? !read_decoded(o, e) : !read_identity(o, text, e))
        return false;
    if (!is_read)
        o->undecodable = arena_cstr(&o->arena, str_from(why.msg));
    *ret = TAKE(o);
    return true;
}

struct str kube_resource_api_version(const struct kube_resource *r, struct arena *a)
{
    return arena_printf(a, "%s%s%s", r->group, r->group[0] ? "/" : "", r->version);
}

void kube_object_default_type(struct kube_object *o, const struct kube_resource *r)
{
    if (str_is_empty(o->api_version))
        o->api_version = kube_resource_api_version(r, &o->arena);
    if (str_is_empty(o->kind))
        o->kind = arena_copy(&o->arena, str_from(r->kind));
}

struct kube_object *kube_object_ref(const struct kube_object *o)
{
    if (o == NULL)
        return NULL;
    /* what is shared is immutable but for its count */
    struct kube_object *owned = (struct kube_object *)(uintptr_t)o;
    unsigned before = atomic_fetch_add_explicit(&owned->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return owned;
}

struct kube_object *kube_object_unref(struct kube_object *o)
{
    if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    json_doc_free(o->doc);
    arena_fini(&o->arena);
    return mem_free(o);
}

const struct json *kube_object_json(const struct kube_object *o)
{
    return o->doc ? json_root(o->doc) : NULL;
}

const char *kube_object_undecodable(const struct kube_object *o)
{
    return o->undecodable;
}

struct str kube_object_api_version(const struct kube_object *o)
{
    return o->api_version;
}

struct str kube_object_kind(const struct kube_object *o)
{
    return o->kind;
}

struct str kube_object_namespace(const struct kube_object *o)
{
    return o->namespace;
}

struct str kube_object_name(const struct kube_object *o)
{
    return o->name;
}

struct str kube_object_uid(const struct kube_object *o)
{
    return o->uid;
}

struct str kube_object_resource_version(const struct kube_object *o)
{
    return o->resource_version;
}

int64_t kube_object_generation(const struct kube_object *o)
{
    return o->generation;
}

bool kube_object_is_deleting(const struct kube_object *o)
{
    return o->is_deleting;
}

int64_t kube_object_created_unix_ms(const struct kube_object *o)
{
    return o->created_unix_ms;
}

struct str kube_object_annotation(const struct kube_object *o, const char *key)
{
    return json_str_or_null(json_get(json_path(kube_object_json(o), "metadata.annotations"), key));
}

struct str kube_object_label(const struct kube_object *o, const char *key)
{
    return json_str_or_null(json_get(json_path(kube_object_json(o), "metadata.labels"), key));
}

static const struct json *finalizers(const struct kube_object *o)
{
    return json_path(kube_object_json(o), "metadata.finalizers");
}

bool kube_object_has_finalizer(const struct kube_object *o, const char *name)
{
    for (const struct json *f = json_first(finalizers(o)); f; f = json_next(f))
        if (str_eq_cstr(json_str_or_null(f), name))
            return true;
    return false;
}

size_t kube_object_finalizer_count(const struct kube_object *o)
{
    return json_count(finalizers(o));
}

struct str kube_object_finalizer(const struct kube_object *o, size_t index)
{
    const struct json *f = json_first(finalizers(o));
    while (f && index-- > 0)
        f = json_next(f);
    return json_str_or_null(f);
}

void kube_objects_fini(struct kube_objects *set)
{
    for (size_t i = 0; i < set->count; i++)
        kube_object_unref(set->items[i]);
    set->items = mem_free(set->items);
    set->count = 0;
}
