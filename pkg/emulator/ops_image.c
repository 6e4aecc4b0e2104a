// SPDX-License-Identifier: Apache-2.0
/*
 * Images: describe, list, get, delete, put.
 */
#include "base/mem.h"
#include "control_priv.h"
#include "store_impl_priv.h"

#include <stdio.h>
#include <string.h>

enum { TAG_SHIFT = 10 }; /* EMU_TAGS_PER_IMAGE_MAX < 1 << TAG_SHIFT: numbers of pairs */

struct image_id {
    struct str digest;
    struct str tag;
};

static struct image_id read_id(const struct json *v)
{
    return (struct image_id){json_str_or_null(json_get(v, "imageDigest")),
                             json_str_or_null(json_get(v, "imageTag"))};
}

static void write_id(struct emu_call *c, struct image_id id)
{
    json_begin_object(&c->w);
    if (!str_is_null(id.digest))
        json_put_str(&c->w, "imageDigest", id.digest);
    if (!str_is_null(id.tag))
        json_put_str(&c->w, "imageTag", id.tag);
    json_end(&c->w);
}

struct failure {
    const char *code;
    const char *reason;
};

/* By tag, by digest, or by both, which must then agree. NULL and *why otherwise. */
static struct emu_image *find(struct emu_repository *r, struct image_id id, struct failure *why)
{
    struct emu_image *by_digest = NULL;
    struct emu_image *by_tag = NULL;

    *why = (struct failure){"ImageNotFound", "Requested image not found"};
    if (str_is_null(id.digest) && str_is_null(id.tag)) {
        *why = (struct failure){"MissingDigestAndTag",
                                "Invalid request parameters: both tag and digest cannot be null"};
        return NULL;
    }
    if (!str_is_null(id.digest) && str_index(id.digest, ':') < 0) {
        *why = (struct failure){"InvalidImageDigest",
                                "Invalid request parameters: image digest should satisfy the regex "
                                "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"};
        return NULL;
    }
    by_digest = str_is_null(id.digest) ? NULL : map_get(r->images, id.digest);
    by_tag = str_is_null(id.tag) ? NULL : map_get(r->tags, id.tag);
    if (str_is_null(id.tag))
        return by_digest;
    if (str_is_null(id.digest) || by_tag == by_digest)
        return by_tag;
    if (by_tag != NULL && by_digest != NULL)
        *why = (struct failure){"ImageTagDoesNotMatchDigest",
                                "Requested image tag does not belong to the image digest"};
    return NULL;
}

/* ---- describe and list ---- */

enum tag_filter { FILTER_ANY, FILTER_TAGGED, FILTER_UNTAGGED, FILTER_NOTHING };

static enum tag_filter read_filter(const struct emu_call *c)
{
    struct str tags = json_str_or_null(json_path(c->in, "filter.tagStatus"));
    struct str status = json_str_or_null(json_path(c->in, "filter.imageStatus"));

    /* nothing is ever archived here */
    if (str_eq(status, STR("ARCHIVED")) || str_eq(status, STR("ACTIVATING")))
        return FILTER_NOTHING;
    if (str_eq(tags, STR("TAGGED")))
        return FILTER_TAGGED;
    return str_eq(tags, STR("UNTAGGED")) ? FILTER_UNTAGGED : FILTER_ANY;
}

static bool passes(enum tag_filter filter, const struct emu_image *i)
{
    switch (filter) {
    case FILTER_ANY:
        return true;
    case FILTER_TAGGED:
        return i->n_tags > 0;
    case FILTER_UNTAGGED:
        return i->n_tags == 0;
    case FILTER_NOTHING:
        return false;
    }
    return false;
}

static void write_detail(struct emu_call *c, const struct emu_repository *r,
                         const struct emu_image *i)
{
    json_begin_object(&c->w);
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
    json_put_cstr(&c->w, "imageDigest", i->digest);
    if (i->n_tags > 0) {
        json_key_begin_array(&c->w, "imageTags");
        for (size_t n = 0; n < i->n_tags; n++)
            json_str(&c->w, str_from(i->tags[n]));
        json_end(&c->w);
    }
    json_put_int(&c->w, "imageSizeInBytes", (int64_t)i->size_bytes);
    emu_put_time(c, "imagePushedAt", i->pushed_ms);
    json_put_cstr(&c->w, "imageManifestMediaType", i->media_type);
    if (i->artifact_type != NULL)
        json_put_cstr(&c->w, "artifactMediaType", i->artifact_type);
    if (i->subject != NULL)
        json_put_cstr(&c->w, "subjectManifestDigest", i->subject);
    if (i->pulled_ms > 0)
        emu_put_time(c, "lastRecordedPullTime", i->pulled_ms);
    json_put_cstr(&c->w, "imageStatus", "ACTIVE");
    json_end(&c->w);
}

static bool write_named(struct emu_call *c, struct emu_repository *r, const struct json *ids)
{
    for (const struct json *it = json_first(ids); it; it = json_next(it)) {
        struct image_id id = read_id(it);
        struct failure why;
        const struct emu_image *image = find(r, id, &why);

        if (image == NULL)
            return emu_fail(&c->x, EMU_IMAGE_NOT_FOUND,
                            "The image with imageId {imageDigest:'%.*s', imageTag:'%.*s'} does not "
                            "exist within the repository with name '%s' in the registry with id "
                            "'%s'",
                            STR_ARG(id.digest.ptr ? id.digest : STR("null")),
                            STR_ARG(id.tag.ptr ? id.tag : STR("null")), r->name, c->emu->account);
        write_detail(c, r, image);
    }
    return true;
}

static bool describe(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);
    const struct json *ids = json_get(c->in, "imageIds");
    enum tag_filter filter = read_filter(c);
    struct emu_page page;

    if (r == NULL || !emu_page_read(c, "imageIds", &page))
        return false;
    json_key_begin_array(&c->w, "imageDetails");
    if (!json_is_null(ids)) {
        if (!write_named(c, r, ids))
            return false;
    } else {
        for (struct map_entry *it = map_first(r->images); it && !page.has_more; it = map_next(it)) {
            const struct emu_image *image = map_value(it);

            if (passes(filter, image) && emu_page_take(&page, image->seq))
                write_detail(c, r, image);
        }
    }
    json_end(&c->w);
    emu_page_write(c, &page);
    return true;
}

/* One item for each tag, one for an image without. */
static void list_image(struct emu_call *c, const struct emu_image *image, struct emu_page *page)
{
    size_t n_items = image->n_tags > 0 ? image->n_tags : 1;

    for (size_t n = 0; n < n_items && !page->has_more; n++) {
        struct str tag = image->n_tags > 0 ? str_from(image->tags[n]) : STR_NULL;

        if (emu_page_take(page, (image->seq << TAG_SHIFT) + n))
            write_id(c, (struct image_id){str_from(image->digest), tag});
    }
}

static bool list(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);
    enum tag_filter filter = read_filter(c);
    struct emu_page page;

    if (r == NULL || !emu_page_read(c, NULL, &page))
        return false;
    json_key_begin_array(&c->w, "imageIds");
    for (struct map_entry *it = map_first(r->images); it && !page.has_more; it = map_next(it)) {
        const struct emu_image *image = map_value(it);

        if (passes(filter, image))
            list_image(c, image, &page);
    }
    json_end(&c->w);
    emu_page_write(c, &page);
    return true;
}

/* ---- batches: what could be done, and the failures ---- */

struct failed {
    struct image_id id;
    struct failure why;
};

static void write_failures(struct emu_call *c, const struct failed *failed, size_t n)
{
    json_key_begin_array(&c->w, "failures");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(&c->w);
        json_key_str(&c->w, STR("imageId"));
        write_id(c, failed[i].id);
        json_put_cstr(&c->w, "failureCode", failed[i].why.code);
        json_put_cstr(&c->w, "failureReason", failed[i].why.reason);
        json_end(&c->w);
    }
    json_end(&c->w);
}

static void write_image(struct emu_call *c, const struct emu_repository *r,
                        const struct emu_image *i, struct str tag)
{
    json_begin_object(&c->w);
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
    json_key_str(&c->w, STR("imageId"));
    write_id(c, (struct image_id){str_from(i->digest), tag});
    json_put_str(&c->w, "imageManifest", str_n(i->manifest, i->manifest_len));
    json_put_cstr(&c->w, "imageManifestMediaType", i->media_type);
    json_end(&c->w);
}

/* acceptedMediaTypes is not looked at: nothing is converted, an image has the type it came with. */
static bool get(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);
    const struct json *ids = json_get(c->in, "imageIds");
    struct failed *failed = arena_new_array(c->arena, struct failed, json_count(ids));
    size_t n_failed = 0;

    if (r == NULL)
        return false;
    json_key_begin_array(&c->w, "images");
    for (const struct json *it = json_first(ids); it; it = json_next(it)) {
        struct failed *next = &failed[n_failed];
        struct emu_image *image = NULL;

        next->id = read_id(it);
        image = find(r, next->id, &next->why);
        if (image == NULL) {
            n_failed++;
            continue;
        }
        emu_store_pulled_locked(c->store, r, image);
        write_image(c, r, image, next->id.tag);
    }
    json_end(&c->w);
    write_failures(c, failed, n_failed);
    return true;
}

/* By tag: the tag, and the image with its last one. By digest: the image and all its tags. False
 * and why; with c->x set where the store failed. */
static bool delete_one(struct emu_call *c, struct emu_repository *r, struct image_id id,
                       struct failure *why)
{
    struct emu_image *image = find(r, id, why);

    if (image == NULL)
        return false;
    if (str_is_null(id.tag) && image->parents > 0) {
        *why = (struct failure){"ImageReferencedByManifestList",
                                "Requested image referenced by manifest list"};
        return false;
    }
    struct str digest = str_from(image->digest);
    if (!str_is_null(id.tag)) {
        write_id(c, (struct image_id){digest, id.tag});
        if (image->n_tags > 1 || image->parents > 0)
            return emu_store_untag_locked(c->store, r, id.tag, &c->x);
    } else if (image->n_tags == 0) {
        write_id(c, (struct image_id){digest, STR_NULL});
    } else {
        for (size_t n = 0; n < image->n_tags; n++)
            write_id(c, (struct image_id){digest, str_from(image->tags[n])});
    }
    return emu_store_remove_image_locked(c->store, r, image, &c->x);
}

static bool delete (struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);
    const struct json *ids = json_get(c->in, "imageIds");
    struct failed *failed = arena_new_array(c->arena, struct failed, json_count(ids));
    size_t n_failed = 0;

    if (r == NULL)
        return false;
    json_key_begin_array(&c->w, "imageIds");
    for (const struct json *it = json_first(ids); it; it = json_next(it)) {
        struct failed *next = &failed[n_failed];

        next->id = read_id(it);
        if (delete_one(c, r, next->id, &next->why))
            continue;
        if (c->x.code != EMU_OK)
            return false;
        n_failed++;
    }
    json_end(&c->w);
    write_failures(c, failed, n_failed);
    return true;
}

static bool put(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);
    struct emu_put_image in = {.manifest = emu_in_str(c, "imageManifest"),
                               .media_type = emu_in_str(c, "imageManifestMediaType"),
                               .tag = emu_in_str(c, "imageTag"),
                               .digest = emu_in_str(c, "imageDigest")};
    struct emu_image *image = NULL;

    if (r == NULL || !emu_store_put_image_locked(c->store, r, &in, &image, &c->x))
        return false;
    json_key_str(&c->w, STR("image"));
    write_image(c, r, image, in.tag);
    return true;
}

const struct emu_operation emu_image_operations[] = {
    {"DescribeImages", describe}, {"ListImages", list}, {"BatchGetImage", get},
    {"BatchDeleteImage", delete}, {"PutImage", put},    {NULL, NULL},
};
