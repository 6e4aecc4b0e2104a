// SPDX-License-Identifier: Apache-2.0
/*
 * The directory: entries of registries, the objects' templates, and who covers what.
 *
 * The directory's mutex is never held together with a registry's: a lookup takes references under
 * the one and asks the registries afterwards.
 */
#include "registry/directory.h"

#include "base/map.h"
#include "base/mem.h"
#include "ecr/image.h"
#include "json/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    SPEC_MAX = 512 * 1024, /* JSON text of a template: two policies, each byte escaped at worst */
    KEY_MAX = 640          /* "<registry> <prefix>": 253 and 256 bytes */
};

struct entry {
    struct directory_registry public; /* first: one is the other */
    atomic_int refs;
    struct arena arena;
};

/* A template of an object; its texts are in one block behind it. Counted, so that a lookup can
 * decode it after the mutex. */
struct overlay {
    atomic_int refs;
    struct directory_template t; /* prefix is normalised */
    struct arena arena;
};

struct directory {
    pthread_mutex_t mutex;
    struct map *entries;   /* name -> struct entry */
    struct map *objects;   /* object -> struct overlay */
    struct map *by_prefix; /* "<registry> <prefix>" -> struct overlay, the newest that owns it */
};

/* --- life -------------------------------------------------------------------------------------
 */

struct directory *directory_new(void)
{
    struct directory *d = mem_alloc(sizeof *d);
    (void)pthread_mutex_init(&d->mutex, NULL);
    d->entries = map_new();
    d->objects = map_new();
    d->by_prefix = map_new();
    return d;
}

static void free_entry(void *p)
{
    (void)directory_unref(p);
}

static struct overlay *overlay_unref(struct overlay *o)
{
    if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    arena_fini(&o->arena);
    return mem_free(o);
}

static void free_overlay(void *p)
{
    (void)overlay_unref(p);
}

struct directory *directory_free(struct directory *d)
{
    if (d == NULL)
        return NULL;
    map_free(d->entries, free_entry);
    map_free(d->by_prefix, NULL);
    map_free(d->objects, free_overlay);
    (void)pthread_mutex_destroy(&d->mutex);
    return mem_free(d);
}

/* --- registries -------------------------------------------------------------------------------
 */

struct directory_registry *directory_ref(struct directory_registry *r)
{
    struct entry *e = (struct entry *)r;
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return r;
}

struct directory_registry *directory_unref(struct directory_registry *r)
{
    struct entry *e = (struct entry *)r;
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    registry_unref(e->public.registry);
    arena_fini(&e->arena);
    return mem_free(e);
}

void directory_put(struct directory *d, const struct directory_registry *r)
{
    struct entry *e = mem_alloc(sizeof *e);
    atomic_init(&e->refs, 1);
    e->public = *r;
    struct directory_registry *p = &e->public;
    p->name = arena_copy(&e->arena, r->name);
    p->message = arena_copy(&e->arena, r->message);
    p->account_id = arena_copy(&e->arena, r->account_id);
    p->region = arena_copy(&e->arena, r->region);
    p->hosts = schema_texts_copy(&r->hosts, &e->arena);
    p->admission = api_admission_copy(&r->admission, &e->arena);
    p->registry = r->registry != NULL ? registry_ref(r->registry) : NULL;
    (void)pthread_mutex_lock(&d->mutex);
    struct entry *old = map_put(d->entries, p->name, e);
    (void)pthread_mutex_unlock(&d->mutex);
    if (old != NULL)
        (void)directory_unref(&old->public);
}

void directory_remove(struct directory *d, struct str name)
{
    (void)pthread_mutex_lock(&d->mutex);
    struct entry *old = map_remove(d->entries, name);
    (void)pthread_mutex_unlock(&d->mutex);
    if (old != NULL)
        (void)directory_unref(&old->public);
}

struct directory_registry *directory_get(struct directory *d, struct str name)
{
    (void)pthread_mutex_lock(&d->mutex);
    struct entry *e = map_get(d->entries, name);
    struct directory_registry *ret = e != NULL ? directory_ref(&e->public) : NULL;
    (void)pthread_mutex_unlock(&d->mutex);
    return ret;
}

struct directory_registry *directory_default(struct directory *d)
{
    (void)pthread_mutex_lock(&d->mutex);
    struct entry *e = map_get(d->entries, STR(API_DEFAULT_REGISTRY));
    if (e == NULL && map_count(d->entries) == 1)
        e = map_value(map_first(d->entries));
    struct directory_registry *ret = e != NULL ? directory_ref(&e->public) : NULL;
    (void)pthread_mutex_unlock(&d->mutex);
    return ret;
}

static bool names_host(const struct directory_registry *r, struct str host)
{
    const struct str *hosts = r->hosts.items;
    for (size_t i = 0; i < r->hosts.count; i++)
        if (ecr_image_host_equal(hosts[i], host))
            return true;
    return false;
}

/* The older object has it; of two of one age the smaller name. */
static bool is_before(const struct directory_registry *a, const struct directory_registry *b)
{
    if (b == NULL || a->created_at_ms != b->created_at_ms)
        return b == NULL || a->created_at_ms < b->created_at_ms;
    return str_cmp(a->name, b->name) < 0;
}

/* An entry that is usable wins over one that is closed (a Conflict's loser), whatever their ages:
 * both are the same registry. */
static bool is_better(const struct directory_registry *a, const struct directory_registry *b)
{
    const bool a_closed = a->state == DIRECTORY_CLOSED;
    const bool b_closed = b != NULL && b->state == DIRECTORY_CLOSED;
    return b == NULL || (a_closed != b_closed ? b_closed : is_before(a, b));
}

static struct directory_registry *find_locked(struct directory *d, struct str host)
{
    struct ecr_host parts = {0};
    const bool is_ecr = ecr_host_parse(ecr_image_host_name(host), &parts);
    struct directory_registry *named = NULL;
    struct directory_registry *own = NULL;
    for (struct map_entry *it = map_first(d->entries); it != NULL; it = map_next(it)) {
        struct directory_registry *r = map_value(it);
        if (names_host(r, host) && is_before(r, named))
            named = r;
        if (is_ecr && str_eq(r->account_id, parts.account_id) &&
            str_eq_nocase(r->region, parts.region) && is_better(r, own))
            own = r;
    }
    return named != NULL ? named : own;
}

struct directory_registry *directory_find(struct directory *d, struct str host)
{
    (void)pthread_mutex_lock(&d->mutex);
    struct directory_registry *found = find_locked(d, host);
    found = found != NULL ? directory_ref(found) : NULL;
    (void)pthread_mutex_unlock(&d->mutex);
    return found;
}

/* --- templates --------------------------------------------------------------------------------
 */

static struct str key_of(char *text, struct str registry, struct str prefix)
{
    const int n = snprintf(text, KEY_MAX, "%.*s %.*s", STR_ARG(registry), STR_ARG(prefix));
    return n > 0 && n < KEY_MAX ? str_n(text, (size_t)n) : STR("");
}

/* While ownership is handed over two objects have one prefix: whoever stays has it. */
static void put_back_locked(struct directory *d, struct str registry, struct str prefix,
                            struct str key)
{
    for (struct map_entry *it = map_first(d->objects); it != NULL; it = map_next(it)) {
        struct overlay *o = map_value(it);
        if (str_eq(o->t.prefix, prefix) && str_eq(o->t.registry, registry))
            (void)map_put(d->by_prefix, key, o);
    }
}

/* The object's overlay leaves both maps; the reference is the caller's. */
static struct overlay *take_out_locked(struct directory *d, struct str object)
{
    struct overlay *old = map_remove(d->objects, object);
    if (old == NULL)
        return NULL;
    char text[KEY_MAX];
    const struct str key = key_of(text, old->t.registry, old->t.prefix);
    if (map_get(d->by_prefix, key) == old) {
        (void)map_remove(d->by_prefix, key);
        put_back_locked(d, old->t.registry, old->t.prefix, key);
    }
    return old;
}

void directory_template_put(struct directory *d, const struct directory_template *t)
{
    struct overlay *o = mem_alloc(sizeof *o);
    atomic_init(&o->refs, 1);
    o->t = (struct directory_template){
        .object = arena_copy(&o->arena, t->object),
        .registry = arena_copy(&o->arena, t->registry),
        .prefix = arena_copy(&o->arena, ecr_prefix_normalise(t->prefix)),
        .applied_for = t->applied_for,
        .is_held = t->is_held,
        .spec = arena_copy(&o->arena, t->spec),
    };
    char text[KEY_MAX];
    const struct str key = key_of(text, o->t.registry, o->t.prefix);
    (void)pthread_mutex_lock(&d->mutex);
    struct overlay *old = take_out_locked(d, o->t.object);
    (void)map_put(d->objects, o->t.object, o);
    (void)map_put(d->by_prefix, key, o);
    (void)pthread_mutex_unlock(&d->mutex);
    (void)overlay_unref(old);
}

void directory_template_remove(struct directory *d, struct str object)
{
    (void)pthread_mutex_lock(&d->mutex);
    struct overlay *old = take_out_locked(d, object);
    (void)pthread_mutex_unlock(&d->mutex);
    (void)overlay_unref(old);
}

/* --- who covers -------------------------------------------------------------------------------
 */

struct candidate {
    struct overlay *overlay; /* a reference, or NULL */
    struct registry_template aws;
};

static void candidate_fini(struct candidate *c)
{
    c->overlay = overlay_unref(c->overlay);
    registry_template_fini(&c->aws);
}

/* What has exactly this prefix; false: nothing. *ret_for: what it is for. */
static bool candidate_at(struct directory *d, const struct directory_registry *r, struct str prefix,
                         struct candidate *ret, uint32_t *ret_for)
{
    char text[KEY_MAX];
    const struct str key = key_of(text, r->name, prefix);
    (void)pthread_mutex_lock(&d->mutex);
    ret->overlay = map_get(d->by_prefix, key);
    if (ret->overlay != NULL)
        atomic_fetch_add_explicit(&ret->overlay->refs, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&d->mutex);
    if (ret->overlay != NULL) {
        *ret_for = ret->overlay->t.applied_for;
        return true;
    }
    if (r->registry == NULL)
        return false;
    registry_template_get(r->registry, prefix, &ret->aws);
    if (ret->aws.value == NULL)
        return false;
    *ret_for = api_template_applied_for(&ret->aws.value->spec);
    return true;
}

static bool decode(struct str text, bool is_aws, struct arena *a, struct api_template_spec *ret)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(text, SPEC_MAX, &doc, &e))
        return false;
    return is_aws ? api_template_decode_create(json_root(doc), a, ret, &e)
                  : api_template_decode(json_root(doc), a, ret, &e);
}

/* Into the caller's arena, whatever becomes of the snapshot: by way of its text. */
static bool copy_spec(const struct candidate *c, struct arena *a, struct api_template_spec *ret)
{
    if (c->overlay != NULL)
        return decode(c->overlay->t.spec, false, a, ret);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(SPEC_MAX);
    return api_template_encode_create(&c->aws.value->spec, &out) &&
           decode(buf_str(&out), true, a, ret);
}

static bool give(const struct candidate *c, struct str prefix, bool with_spec, struct arena *a,
                 struct directory_cover *ret)
{
    *ret = (struct directory_cover){.prefix = arena_copy(a, prefix)};
    if (c->overlay != NULL) {
        ret->object = arena_copy(a, c->overlay->t.object);
        ret->is_held = c->overlay->t.is_held;
    }
    return !with_spec || copy_spec(c, a, &ret->spec);
}

/* The next shorter prefix; ROOT after the last; false after that. */
static bool next_prefix(struct str *prefix)
{
    if (ecr_prefix_is_root(*prefix))
        return false;
    const ptrdiff_t slash = str_rindex(*prefix, '/');
    *prefix = slash > 0 ? str_n(prefix->ptr, (size_t)slash) : STR(ECR_PREFIX_ROOT);
    return true;
}

bool directory_cover(struct directory *d, const struct directory_registry *r, struct str repository,
                     uint32_t wanted, enum ecr_choice how, bool with_spec, struct arena *a,
                     struct directory_cover *ret)
{
    *ret = (struct directory_cover){0};
    struct str prefix = repository;
    while (next_prefix(&prefix)) {
        struct candidate c BERTH_CLEANUP(candidate_fini) = {0};
        uint32_t is_for = 0;
        if (!candidate_at(d, r, prefix, &c, &is_for))
            continue;
        if (wanted == 0 || (is_for & wanted) != 0)
            return give(&c, prefix, with_spec, a, ret);
        if (how == ECR_CHOOSE_LONGEST_FILTERED)
            return false;
    }
    return false;
}
