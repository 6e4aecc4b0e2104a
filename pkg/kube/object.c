// SPDX-License-Identifier: Apache-2.0
/*
 * Immutable, counted snapshots of objects; see kube/object.h. A tree of JSON takes six times the
 * memory of its text, so what is kept for long is the text, and each who reads it has a tree of his
 * own for as long as he holds his object.
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

/* What was received: shared by all kube_objects of it, immutable and counted. One allocation, so
 * that ten thousand of them are no ten thousand trees. */
struct content {
    atomic_uint refs;
    const char *undecodable; /* why; NULL where it is decodable */
    struct str api_version, kind, namespace, name, uid, resource_version;
    int64_t generation;
    int64_t created_unix_ms;
    bool is_deleting;
    struct str text;    /* JSON without what is cut; absent where it is undecodable */
    struct arena arena; /* what is set later (kube_object_default_type()) */
    char bytes[];       /* behind all these strings */
};

struct kube_object {
    atomic_uint refs;
    struct content *content;
    _Atomic(struct json_doc *) doc; /* NULL: not asked for yet, or undecodable */
};

static struct str str_or_empty(struct str s)
{
    return str_is_null(s) ? STR("") : s;
}

static struct str member_str(const struct json *v, const char *key)
{
    return str_or_empty(json_str_or_null(json_get(v, key)));
}

static void read_decoded(const struct json *root, struct content *c)
{
    const struct json *meta = json_get(root, "metadata");
    c->api_version = member_str(root, "apiVersion");
    c->kind = member_str(root, "kind");
    c->namespace = member_str(meta, "namespace");
    c->name = member_str(meta, "name");
    c->uid = member_str(meta, "uid");
    c->resource_version = member_str(meta, "resourceVersion");
    c->generation = json_i64_or(json_get(meta, "generation"), 0);
    c->is_deleting = !json_is_null(json_get(meta, "deletionTimestamp"));
    struct str created = member_str(meta, "creationTimestamp");
    if (!clock_parse_rfc3339(created, &c->created_unix_ms))
        c->created_unix_ms = 0;
}

static struct str plain(struct str value)
{
    return str_or_empty(kube_slice_plain_string(value));
}

/* Identity alone, by cutting: the text is too big or not acceptable JSON. */
static bool read_identity(struct str text, struct content *c, struct err *e)
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
    c->api_version = plain(top[API_VERSION]);
    c->kind = plain(top[KIND]);
    c->name = plain(meta[NAME]);
    c->namespace = plain(meta[NAMESPACE]);
    c->uid = plain(meta[UID]);
    c->resource_version = plain(meta[RESOURCE_VERSION]);
    c->is_deleting = !str_is_null(kube_slice_plain_string(meta[DELETION]));
    return is_object ||
           err_set(e, ERR_INVALID, "NoName", "an object of the server has no metadata.name");
}

/* Copies *s behind what is at *at, with a NUL. */
static void move_in(struct str *s, char **at)
{
    if (s->len > 0)
        memcpy(*at, s->ptr, s->len);
    (*at)[s->len] = '\0';
    s->ptr = *at;
    *at += s->len + 1;
}

/* The views of `from` may be into anything that is about to go. */
static struct content *content_new(const struct content *from)
{
    struct str why = str_from(from->undecodable);
    size_t bytes = from->api_version.len + from->kind.len + from->namespace.len + from->name.len +
                   from->uid.len + from->resource_version.len + from->text.len + why.len + 8;
    struct content *c = mem_alloc(sizeof(*c) + bytes);
    *c = *from;
    atomic_init(&c->refs, 1);
    c->arena = ARENA_INIT;
    char *at = c->bytes;
    struct str *const strings[] = {&c->api_version, &c->kind, &c->namespace,
                                   &c->name,        &c->uid,  &c->resource_version};
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        move_in(strings[i], &at);
    if (from->undecodable != NULL) {
        move_in(&why, &at);
        c->undecodable = why.ptr;
    } else {
        move_in(&c->text, &at);
    }
    return c;
}

static struct content *content_unref(struct content *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    arena_fini(&c->arena);
    return mem_free(c);
}

/* Takes content and doc. */
static struct kube_object *object_new(struct content *content, struct json_doc *doc)
{
    struct kube_object *o = mem_alloc(sizeof(*o));
    atomic_init(&o->refs, 1);
    o->content = content;
    atomic_init(&o->doc, doc);
    return o;
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
 * which field, and kubectl's copy of what was applied.
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
    struct err why = ERR_INIT;
    struct buf cut BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_OBJECT_MAX_BYTES);
    struct content c = {.text = without_bookkeeping(text, &cut)};
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (json_parse(c.text, KUBE_OBJECT_MAX_BYTES, &doc, &why)) {
        read_decoded(json_root(doc), &c);
    } else if (why.cls == ERR_RETRY) {
        *e = why; /* memory is out, which says nothing of the object */
        return false;
    } else {
        c = (struct content){.undecodable = why.msg};
        if (!read_identity(text, &c, e))
            return false;
    }
    if (str_is_empty(c.name))
        return err_set(e, ERR_INVALID, "NoName", "an object of the server has no metadata.name");
    *ret = object_new(content_new(&c), TAKE(doc));
    return true;
}

struct kube_object *kube_object_packed(const struct kube_object *o)
{
    atomic_fetch_add_explicit(&o->content->refs, 1, memory_order_relaxed);
    return object_new(o->content, NULL);
}

struct str kube_resource_api_version(const struct kube_resource *r, struct arena *a)
{
    return arena_printf(a, "%s%s%s", r->group, r->group[0] ? "/" : "", r->version);
}

void kube_object_default_type(struct kube_object *o, const struct kube_resource *r)
{
    struct content *c = o->content;
    if (str_is_empty(c->api_version))
        c->api_version = kube_resource_api_version(r, &c->arena);
    if (str_is_empty(c->kind))
        c->kind = arena_copy(&c->arena, str_from(r->kind));
}

/* What is shared is immutable but for its count and the tree that is made when it is asked for. */
static struct kube_object *shared(const struct kube_object *o)
{
    return (struct kube_object *)(uintptr_t)o;
}

struct kube_object *kube_object_ref(const struct kube_object *o)
{
    if (o == NULL)
        return NULL;
    unsigned before = atomic_fetch_add_explicit(&shared(o)->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return shared(o);
}

struct kube_object *kube_object_unref(struct kube_object *o)
{
    if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) > 1)
        return NULL;
    json_doc_free(atomic_load_explicit(&o->doc, memory_order_relaxed));
    content_unref(o->content);
    return mem_free(o);
}

/* Two threads may make the tree at once; one of the two stays. */
static const struct json_doc *decode(struct kube_object *o)
{
    struct json_doc *doc = NULL;
    struct json_doc *first = NULL;
    struct err e = ERR_INIT;
    bool is_read = json_parse(o->content->text, KUBE_OBJECT_MAX_BYTES, &doc, &e);
    assert(is_read); /* it was once: what can fail now is only memory */
    (void)is_read;
    if (atomic_compare_exchange_strong(&o->doc, &first, doc))
        return doc;
    json_doc_free(doc);
    return first;
}

const struct json *kube_object_json(const struct kube_object *o)
{
    if (o->content->undecodable != NULL)
        return NULL;
    const struct json_doc *doc = atomic_load_explicit(&shared(o)->doc, memory_order_acquire);
    return json_root(doc != NULL ? doc : decode(shared(o)));
}

const char *kube_object_undecodable(const struct kube_object *o)
{
    return o->content->undecodable;
}

struct str kube_object_api_version(const struct kube_object *o)
{
    return o->content->api_version;
}

struct str kube_object_kind(const struct kube_object *o)
{
    return o->content->kind;
}

struct str kube_object_namespace(const struct kube_object *o)
{
    return o->content->namespace;
}

struct str kube_object_name(const struct kube_object *o)
{
    return o->content->name;
}

struct str kube_object_uid(const struct kube_object *o)
{
    return o->content->uid;
}

struct str kube_object_resource_version(const struct kube_object *o)
{
    return o->content->resource_version;
}

int64_t kube_object_generation(const struct kube_object *o)
{
    return o->content->generation;
}

bool kube_object_is_deleting(const struct kube_object *o)
{
    return o->content->is_deleting;
}

int64_t kube_object_created_unix_ms(const struct kube_object *o)
{
    return o->content->created_unix_ms;
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
