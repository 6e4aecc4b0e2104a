// SPDX-License-Identifier: Apache-2.0
/*
 * Images: a manifest by its digest, and the tags that lead to it; the rules under which one is put,
 * moved and removed.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "store_impl_priv.h"
#include "store_priv.h"

#include <stdio.h>
#include <string.h>

bool emu_filter_matches(struct str filter, struct str tag)
{
    size_t f = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* after the last `*` seen in filter */
    size_t mark = 0;        /* how far that star has eaten */

    while (t < tag.len) {
        if (f < filter.len && filter.ptr[f] == '*') {
            star = ++f;
            mark = t;
        } else if (f < filter.len && filter.ptr[f] == tag.ptr[t]) {
            f++;
            t++;
        } else if (star != SIZE_MAX) {
            f = star;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (f < filter.len && filter.ptr[f] == '*')
        f++;
    return f == filter.len;
}

bool emu_repository_is_tag_immutable(const struct emu_repository *r, struct str tag)
{
    const struct emu_settings *s = &r->settings;
    bool is_excluded = false;

    for (size_t i = 0; i < s->n_filters; i++)
        is_excluded = is_excluded || emu_filter_matches(str_from(s->filters[i]), tag);
    switch (s->mutability) {
    case EMU_MUTABLE:
        return false;
    case EMU_IMMUTABLE:
        return true;
    case EMU_IMMUTABLE_WITH_EXCLUSION:
        return !is_excluded;
    case EMU_MUTABLE_WITH_EXCLUSION:
        return is_excluded;
    }
    return true;
}

struct emu_image *emu_repository_image_locked(struct emu_repository *r, struct str reference)
{
    /* a tag has no colon */
    return map_get(str_index(reference, ':') >= 0 ? r->images : r->tags, reference);
}

static char **copy_digests(const struct str *from, size_t n)
{
    char **to = mem_alloc_array(n, sizeof(*to));

    for (size_t i = 0; i < n; i++)
        to[i] = mem_dup(from[i].ptr, from[i].len);
    return to;
}

static char **free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(texts[i]);
    return mem_free(texts);
}

struct emu_image *emu_image_free(struct emu_image *i)
{
    if (i == NULL)
        return NULL;
    free_texts(i->layers, i->n_layers);
    free_texts(i->children, i->n_children);
    free_texts(i->tags, i->n_tags);
    mem_free(i->digest);
    mem_free(i->manifest);
    mem_free(i->media_type);
    mem_free(i->artifact_type);
    mem_free(i->subject);
    return mem_free(i);
}

static void forget_tag(struct emu_image *image, struct str tag)
{
    for (size_t i = 0; i < image->n_tags; i++) {
        if (!str_eq_cstr(tag, image->tags[i]))
            continue;
        mem_free(image->tags[i]);
        memmove(&image->tags[i], &image->tags[i + 1],
                (image->n_tags - i - 1) * sizeof(*image->tags));
        image->n_tags--;
        return;
    }
}

void emu_store_untag_locked(struct emu_store *s, struct emu_repository *r, struct str tag)
{
    struct emu_image *image = map_remove(r->tags, tag);

    (void)s;
    if (image != NULL)
        forget_tag(image, tag);
}

static void set_tag(struct emu_store *s, struct emu_repository *r, struct emu_image *image,
                    struct str tag)
{
    emu_store_untag_locked(s, r, tag);
    (void)map_put(r->tags, tag, image);
    image->tags = mem_realloc(image->tags, (image->n_tags + 1) * sizeof(*image->tags));
    image->tags[image->n_tags++] = mem_dup(tag.ptr, tag.len);
}

void emu_store_remove_image_locked(struct emu_store *s, struct emu_repository *r,
                                   struct emu_image *i)
{
    for (size_t n = 0; n < i->n_tags; n++)
        (void)map_remove(r->tags, str_from(i->tags[n]));
    for (size_t n = 0; n < i->n_children; n++) {
        struct emu_image *child = map_get(r->images, str_from(i->children[n]));

        if (child != NULL && child->parents > 0)
            child->parents--;
    }
    blobs_drop_manifest(s->blobs, str_from(r->name), str_from(i->digest));
    (void)map_remove(r->images, str_from(i->digest));
    s->stats.images--;
    s->stats.manifest_bytes -= i->manifest_len;
    emu_image_free(i);
}

/* "'[a, b]'"-style lists end where the message would get too long. */
static void list_digests(struct buf *out, const struct str *digests, const bool *is_listed,
                         size_t n)
{
    const char *separator = "";

    for (size_t i = 0; i < n; i++) {
        if (!is_listed[i])
            continue;
        buf_append_cstr(out, separator);
        buf_append(out, digests[i]);
        separator = ", ";
    }
}

static bool fail_missing(const struct emu_store *s, const struct emu_repository *r,
                         enum emu_code code, const struct str *digests, const bool *is_missing,
                         size_t n, struct emu_error *x)
{
    struct buf list BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_ERROR_TEXT_MAX / 2);

    list_digests(&list, digests, is_missing, n);
    return emu_fail(x, code,
                    "%s with digests '[%s]' required for pushing image into repository with name "
                    "'%s' in the registry with id '%s' do not exist",
                    code == EMU_LAYERS_NOT_FOUND ? "Layers" : "Images", buf_cstr(&list), r->name,
                    s->account);
}

static bool check_children(const struct emu_store *s, const struct emu_repository *r,
                           const struct emu_manifest *m, struct arena *arena,
                           uint64_t *ret_size_bytes, struct emu_error *x)
{
    bool *is_missing = arena_new_array(arena, bool, m->n_children);
    bool is_any_missing = false;

    *ret_size_bytes = 0;
    for (size_t i = 0; i < m->n_children; i++) {
        const struct emu_image *child = map_get(r->images, m->children[i]);

        is_missing[i] = child == NULL;
        is_any_missing = is_any_missing || is_missing[i];
        /* "if the image is a manifest list, this will be the max size of all manifests" */
        if (child != NULL && child->size_bytes > *ret_size_bytes)
            *ret_size_bytes = child->size_bytes;
    }
    return !is_any_missing || fail_missing(s, r, EMU_REFERENCED_IMAGES_NOT_FOUND, m->children,
                                           is_missing, m->n_children, x);
}

/* Without duplicates, in order; sizes come from the blobs. On success the layers are held until
 * blobs_manifest_end(). */
static bool hold_layers(struct emu_store *s, const struct emu_repository *r, struct str digest,
                        struct emu_manifest *m, struct arena *arena, uint64_t *size_bytes,
                        struct emu_error *x)
{
    bool *is_missing = NULL;
    size_t n = 0;
    struct map *seen = map_new();

    for (size_t i = 0; i < m->n_layers; i++)
        if (map_put(seen, m->layers[i], m) == NULL)
            m->layers[n++] = m->layers[i];
    seen = map_free(seen, NULL);
    m->n_layers = n;
    is_missing = arena_new_array(arena, bool, n);
    if (!blobs_manifest_begin(s->blobs, str_from(r->name), digest, m->layers, n, is_missing))
        return fail_missing(s, r, EMU_LAYERS_NOT_FOUND, m->layers, is_missing, n, x);
    for (size_t i = 0; i < n; i++) {
        struct blob_info info;

        if (blobs_find(s->blobs, str_from(r->name), m->layers[i], &info))
            *size_bytes += (uint64_t)info.size_bytes;
    }
    return true;
}

/* The rules on what is there already. *ret_existing is the image of that digest, if any. */
static bool check_existing(const struct emu_store *s, struct emu_repository *r,
                           const struct emu_put_image *put, struct str digest,
                           struct emu_image **ret_existing, struct emu_error *x)
{
    struct emu_image *existing = map_get(r->images, digest);
    const struct emu_image *holder = str_is_empty(put->tag) ? NULL : map_get(r->tags, put->tag);

    *ret_existing = existing;
    if (existing != NULL && (str_is_empty(put->tag) || holder == existing)) {
        struct str tag = str_is_empty(put->tag) ? STR("null") : put->tag;

        return emu_fail(x, EMU_IMAGE_ALREADY_EXISTS,
                        "Image with digest '%.*s' and tag '%.*s' already exists in the repository "
                        "with name '%s' in registry with id '%s'",
                        STR_ARG(digest), STR_ARG(tag), r->name, s->account);
    }
    if (holder != NULL && emu_repository_is_tag_immutable(r, put->tag)) {
        *ret_existing = NULL;
        return emu_fail(x, EMU_IMAGE_TAG_ALREADY_EXISTS,
                        "The image tag '%.*s' already exists in the '%s' repository and cannot be "
                        "overwritten because the tag is immutable.",
                        STR_ARG(put->tag), r->name);
    }
    if (existing != NULL && existing->n_tags >= EMU_TAGS_PER_IMAGE_MAX) {
        *ret_existing = NULL;
        return emu_fail(x, EMU_LIMIT_EXCEEDED, "The image has the maximum number of tags (%d)",
                        EMU_TAGS_PER_IMAGE_MAX);
    }
    return true;
}

static bool check_quota(const struct emu_store *s, const struct emu_repository *r,
                        const struct emu_put_image *put, struct emu_error *x)
{
    if (map_count(r->images) >= EMU_IMAGES_PER_REPOSITORY_MAX)
        return emu_fail(x, EMU_LIMIT_EXCEEDED,
                        "The repository with name '%s' has the maximum number of images (%d)",
                        r->name, EMU_IMAGES_PER_REPOSITORY_MAX);
    if (s->stats.manifest_bytes + put->manifest.len > EMU_MANIFEST_BYTES_MAX)
        return emu_fail(x, EMU_LIMIT_EXCEEDED,
                        "The emulator holds its maximum of manifests (%d bytes)",
                        EMU_MANIFEST_BYTES_MAX);
    return true;
}

static struct emu_image *add_image(struct emu_store *s, struct emu_repository *r,
                                   const struct emu_put_image *put, struct str digest,
                                   const struct emu_manifest *m, uint64_t size_bytes)
{
    struct emu_image *image = mem_alloc(sizeof(*image));

    image->seq = s->next_seq++;
    image->digest = mem_dup(digest.ptr, digest.len);
    image->manifest = mem_dup(put->manifest.ptr, put->manifest.len);
    image->manifest_len = put->manifest.len;
    image->media_type = mem_dup(m->media_type.ptr, m->media_type.len);
    if (!str_is_empty(m->artifact_type))
        image->artifact_type = mem_dup(m->artifact_type.ptr, m->artifact_type.len);
    if (!str_is_empty(m->subject))
        image->subject = mem_dup(m->subject.ptr, m->subject.len);
    image->layers = copy_digests(m->layers, m->n_layers);
    image->n_layers = m->n_layers;
    image->children = copy_digests(m->children, m->n_children);
    image->n_children = m->n_children;
    image->size_bytes = size_bytes;
    image->pushed_ms = clock_unix_ms(s->clock);
    for (size_t i = 0; i < m->n_children; i++) {
        struct emu_image *child = map_get(r->images, m->children[i]);

        if (child != NULL)
            child->parents++;
    }
    (void)map_put(r->images, digest, image);
    s->stats.images++;
    s->stats.manifest_bytes += image->manifest_len;
    return image;
}

static bool put_new(struct emu_store *s, struct emu_repository *r, const struct emu_put_image *put,
                    struct str digest, struct emu_manifest *m, struct arena *arena,
                    struct emu_image **ret, struct emu_error *x)
{
    uint64_t size_bytes = 0;

    if (!check_children(s, r, m, arena, &size_bytes, x) || !check_quota(s, r, put, x) ||
        !hold_layers(s, r, digest, m, arena, &size_bytes, x))
        return false;
    *ret = add_image(s, r, put, digest, m, size_bytes);
    blobs_manifest_end(s->blobs, str_from(r->name), digest, true);
    return true;
}

bool emu_store_put_image_locked(struct emu_store *s, struct emu_repository *r,
                                const struct emu_put_image *put, struct emu_image **ret,
                                struct emu_error *x)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    struct emu_manifest m;
    char hex[CRYPTO_SHA256_HEX + 1];
    struct str digest = STR_NULL;

    *ret = NULL;
    if (!json_parse(put->manifest, EMU_MANIFEST_MAX, &doc, &e))
        return emu_fail_parameter(x, "ImageManifest", "Invalid JSON syntax");
    if (!emu_manifest_read(json_root(doc), put->media_type, &arena, &m, x))
        return false;
    crypto_sha256_hex(put->manifest, hex);
    digest = arena_printf(&arena, "sha256:%s", hex);
    if (!str_is_empty(put->digest) && !str_eq(put->digest, digest))
        return emu_fail(x, EMU_IMAGE_DIGEST_DOES_NOT_MATCH,
                        "The specified image digest '%.*s' does not match the digest '%.*s' that "
                        "Amazon ECR calculated for the image",
                        STR_ARG(put->digest), STR_ARG(digest));
    if (!check_existing(s, r, put, digest, ret, x))
        return false;
    if (*ret == NULL && !put_new(s, r, put, digest, &m, &arena, ret, x))
        return false;
    if (!str_is_empty(put->tag))
        set_tag(s, r, *ret, put->tag);
    return true;
}
