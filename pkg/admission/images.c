// SPDX-License-Identifier: Apache-2.0
/*
 * From the objects of a review to images: what the new object names and the old one does not, whose
 * it is, and what the directory and the snapshot know of it.
 */
#include "aws/endpoint.h"
#include "base/buf.h"
#include "base/map.h"
#include "json/json.h"
#include "registry/repository.h"
#include "request_priv.h"

#include <string.h>

enum { IMAGES_FIRST = 8, IMAGES_MANY = 64 };

struct collector {
    struct request *r;
    struct map *old;   /* images of the old object; NULL: there are none */
    struct map *found; /* image -> its index and 1; NULL while they are few */
    size_t cap;
    bool is_full;
};

static bool remember_old(void *arg, struct str text, enum admission_purpose purpose)
{
    struct collector *c = arg;
    (void)purpose;
    if (text.len > 0)
        (void)map_put(c->old, text, c);
    return true;
}

static void *index_value(size_t index)
{
    return (void *)(uintptr_t)(index + 1);
}

static struct image *find(struct collector *c, struct str text)
{
    struct request *r = c->r;
    if (c->found != NULL) {
        const uintptr_t at = (uintptr_t)map_get(c->found, text);
        return at != 0 ? &r->images[at - 1] : NULL;
    }
    for (size_t i = 0; i < r->count; i++)
        if (str_eq(r->images[i].text, text))
            return &r->images[i];
    return NULL;
}

/* Nearly all objects have one or two: room for these first, and a map only for many. */
static void grow(struct collector *c)
{
    struct request *r = c->r;
    const size_t cap = c->cap == 0 ? IMAGES_FIRST : c->cap * 2;
    struct image *images = arena_new_array(&r->arena, struct image, cap);
    if (r->count > 0)
        memcpy(images, r->images, r->count * sizeof *images);
    r->images = images;
    c->cap = cap;
    if (c->found != NULL || r->count < IMAGES_MANY)
        return;
    c->found = map_new();
    for (size_t i = 0; i < r->count; i++)
        (void)map_put(c->found, r->images[i].text, index_value(i));
}

static bool add(void *arg, struct str text, enum admission_purpose purpose)
{
    struct collector *c = arg;
    struct request *r = c->r;
    if (text.len == 0 || (c->old != NULL && map_get(c->old, text) != NULL))
        return true;
    struct image *known = find(c, text);
    if (known != NULL) {
        /* who pushes it makes it: what it pulls may be missing until then */
        if (purpose == ADMISSION_PUSH)
            known->facts.purpose = purpose;
        return true;
    }
    if (r->count == ADMISSION_IMAGES_MAX) {
        c->is_full = true;
        return false;
    }
    if (r->count == c->cap)
        grow(c);
    r->images[r->count] =
        (struct image){.text = text, .facts = {.purpose = purpose}, .item = NO_ITEM};
    if (c->found != NULL)
        (void)map_put(c->found, text, index_value(r->count));
    r->count++;
    return true;
}

/* What {registry} stands for: a host of the RegistrySettings "default", else of the only one. */
static struct str registry_host(struct request *r)
{
    struct directory_registry *d BERTH_CLEANUP(directory_unrefp) =
        directory_default(r->a->o.directory);
    if (d == NULL)
        return STR_NULL;
    if (d->hosts.count > 0)
        return arena_copy(&r->arena, ((const struct str *)d->hosts.items)[0]);
    if (str_is_empty(d->account_id))
        return STR_NULL;
    struct buf host BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_HOST_MAX);
    aws_registry_host(d->account_id, d->region, &host);
    return arena_copy(&r->arena, buf_str(&host));
}

static bool is_mirror_pod(const struct review *v)
{
    const struct json *annotations = json_path(v->object, "metadata.annotations");
    return v->group.len == 0 && str_eq_cstr(v->kind, "Pod") &&
           json_get(annotations, "kubernetes.io/config.mirror") != NULL;
}

void request_collect(struct request *r)
{
    const struct review *v = &r->review;
    if (v->object == NULL || is_mirror_pod(v))
        return;
    struct collector c = {.r = r};
    const struct str host = registry_host(r);
    struct admission_source source = {v->group, v->version, v->kind, v->old_object, host};
    if (v->old_object != NULL) {
        c.old = map_new();
        (void)admission_kinds_images(r->a->o.kinds, &source, &r->arena, remember_old, &c);
    }
    source.object = v->object;
    (void)admission_kinds_images(r->a->o.kinds, &source, &r->arena, add, &c);
    if (c.old != NULL)
        map_free(c.old, NULL);
    if (c.found != NULL)
        map_free(c.found, NULL);
    r->is_cut = c.is_full;
}

/* --- looking up --------------------------------------------------------------------------------
 */

static void look_up_cover(struct request *r, struct image *i)
{
    struct directory_cover cover;
    if (!directory_cover(r->a->o.directory, i->registry, i->parts.repository,
                         ECR_FOR_CREATE_ON_PUSH, r->a->o.choice, false, &r->arena, &cover)) {
        i->facts.cover = COVER_NONE;
        return;
    }
    i->facts.cover = cover.is_held ? COVER_HELD : COVER_TEMPLATE;
    i->template = str_is_null(cover.object) ? cover.prefix : cover.object;
}

static void look_up_ours(struct request *r, struct image *i)
{
    struct image_facts *f = &i->facts;
    const struct directory_registry *d = i->registry;
    const struct str repository = i->parts.repository;
    f->kind = IMAGE_OURS;
    f->registry = d->state;
    f->is_read_only = d->is_read_only;
    f->is_allowed = ensure_is_allowed(r->a->o.ensure, repository);
    if (d->state != DIRECTORY_OPEN)
        return;
    f->is_known = registry_repository_find(d->registry, repository) == REGISTRY_PRESENT;
    if (f->is_known)
        return;
    f->is_pull_through = registry_is_pull_through(d->registry, repository);
    look_up_cover(r, i);
}

static bool is_ecr_host(struct str host)
{
    struct ecr_host parts;
    return ecr_host_parse(ecr_image_host_name(host), &parts);
}

static bool is_repository(struct str name)
{
    return name.len >= ECR_REPOSITORY_MIN && name.len <= ECR_REPOSITORY_MAX;
}

static void look_up(struct request *r, struct image *i)
{
    struct image_facts *f = &i->facts;
    const enum ecr_image_result result = ecr_image_parse(i->text, &i->parts);
    f->kind = result == ECR_IMAGE_PLACEHOLDER ? IMAGE_PLACEHOLDER : IMAGE_FOREIGN;
    if (result == ECR_IMAGE_PLACEHOLDER || result == ECR_IMAGE_NO_HOST)
        return;
    i->registry = directory_find(r->a->o.directory, i->parts.host);
    if (i->registry == NULL) {
        f->unmanaged = r->a->o.unmanaged_registries;
        if (is_ecr_host(i->parts.host))
            f->kind = IMAGE_UNMANAGED;
        return;
    }
    f->choice =
        api_admission_choose(&i->registry->admission, r->review.namespace, i->parts.repository);
    if (result == ECR_IMAGE_INVALID || !is_repository(i->parts.repository))
        f->kind = IMAGE_INVALID;
    else
        look_up_ours(r, i);
}

void request_look_up(struct request *r)
{
    for (size_t i = 0; i < r->count; i++)
        look_up(r, &r->images[i]);
}
