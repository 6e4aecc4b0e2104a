// SPDX-License-Identifier: Apache-2.0
/*
 * Images: a manifest by its digest, and the tags that lead to it; the rules under which one is put,
 * moved and removed.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "change_priv.h"
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

bool emu_store_untag_locked(struct emu_store *s, struct emu_repository *r, struct str tag,
                            struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_UNTAG, .name = str_from(r->name), .tag = tag};

    return map_get(r->tags, tag) == NULL || emu_store_commit_locked(s, &c, 1, x);
}

bool emu_store_remove_image_locked(struct emu_store *s, struct emu_repository *r,
                                   struct emu_image *i, struct emu_error *x)
{
    struct emu_change c = {
        .kind = EMU_CHANGE_NO_IMAGE, .name = str_from(r->name), .digest = str_from(i->digest)};

    return emu_store_commit_locked(s, &c, 1, x);
}

void emu_store_pulled_locked(struct emu_store *s, struct emu_repository *r, struct emu_image *i)
{
    struct emu_change c = {.kind = EMU_CHANGE_PULL,
                           .name = str_from(r->name),
                           .digest = str_from(i->digest),
                           .at_ms = clock_unix_ms(s->clock)};
    struct emu_error ignored = EMU_ERROR_INIT;
    bool is_kept = emu_store_commit_locked(s, &c, 1, &ignored);

    (void)is_kept;
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
                           struct emu_image *image, struct arena *arena, struct emu_error *x)
{
    struct str *children = arena_new_array(arena, struct str, image->n_children);
    bool *is_missing = arena_new_array(arena, bool, image->n_children);
    bool is_any_missing = false;

    for (size_t i = 0; i < image->n_children; i++) {
        const struct emu_image *child = NULL;

        children[i] = str_from(image->children[i]);
        child = map_get(r->images, children[i]);
        is_missing[i] = child == NULL;
        is_any_missing = is_any_missing || is_missing[i];
        /* "if the image is a manifest list, this will be the max size of all manifests" */
        if (child != NULL && child->size_bytes > image->size_bytes)
            image->size_bytes = child->size_bytes;
    }
    return !is_any_missing || fail_missing(s, r, EMU_REFERENCED_IMAGES_NOT_FOUND, children,
                                           is_missing, image->n_children, x);
}

/* Sizes come from the blobs. On success the layers are held until blobs_manifest_end(). */
static bool hold_layers(struct emu_store *s, const struct emu_repository *r,
                        struct emu_image *image, struct arena *arena, struct emu_error *x)
{
    struct str *layers = arena_new_array(arena, struct str, image->n_layers);
    bool *is_missing = arena_new_array(arena, bool, image->n_layers);

    for (size_t i = 0; i < image->n_layers; i++)
        layers[i] = str_from(image->layers[i]);
    if (!blobs_manifest_begin(s->blobs, str_from(r->name), str_from(image->digest), layers,
                              image->n_layers, is_missing))
        return fail_missing(s, r, EMU_LAYERS_NOT_FOUND, layers, is_missing, image->n_layers, x);
    for (size_t i = 0; i < image->n_layers; i++) {
        struct blob_info info;

        if (blobs_find(s->blobs, str_from(r->name), layers[i], &info))
            image->size_bytes += (uint64_t)info.size_bytes;
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

/* Each once, in order. */
static char **copy_once(const struct str *from, size_t n, size_t *ret_n)
{
    char **to = mem_alloc_array(n, sizeof(*to));
    struct map *seen = map_new();

    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (map_put(seen, from[i], to) == NULL)
            to[(*ret_n)++] = mem_dup(from[i].ptr, from[i].len);
    map_free(seen, NULL);
    return to;
}

static char *text_of(struct str s)
{
    return str_is_empty(s) ? NULL : mem_dup(s.ptr, s.len);
}

struct emu_image *emu_image_new(struct str manifest, struct str media_type, struct emu_error *x)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    struct emu_manifest m;
    struct emu_image *image = NULL;
    char hex[CRYPTO_SHA256_HEX + 1];

    if (!json_parse(manifest, EMU_MANIFEST_MAX, &doc, &e)) {
        (void)emu_fail_parameter(x, "ImageManifest", "Invalid JSON syntax");
        return NULL;
    }
    if (!emu_manifest_read(json_root(doc), media_type, &arena, &m, x))
        return NULL;
    image = mem_alloc(sizeof(*image));
    crypto_sha256_hex(manifest, hex);
    image->digest = mem_strdup(arena_printf(&arena, "sha256:%s", hex).ptr);
    image->manifest = mem_dup(manifest.ptr, manifest.len);
    image->manifest_len = manifest.len;
    image->media_type = text_of(m.media_type);
    image->artifact_type = text_of(m.artifact_type);
    image->subject = text_of(m.subject);
    image->layers = copy_once(m.layers, m.n_layers, &image->n_layers);
    image->children = copy_digests(m.children, m.n_children);
    image->n_children = m.n_children;
    return image;
}

/* Takes *image on success. */
static bool put_new(struct emu_store *s, struct emu_repository *r, const struct emu_put_image *put,
                    struct emu_image *image, struct arena *arena, struct emu_error *x)
{
    struct str name = str_from(r->name);
    struct str digest = str_from(image->digest);
    struct emu_change changes[] = {
        {.kind = EMU_CHANGE_IMAGE, .name = name, .image = image},
        {.kind = EMU_CHANGE_TAG, .name = name, .digest = digest, .tag = put->tag},
    };
    bool is_ok = false;

    if (!check_children(s, r, image, arena, x) || !check_quota(s, r, put, x) ||
        !hold_layers(s, r, image, arena, x))
        return false;
    image->seq = s->next_seq;
    image->pushed_ms = clock_unix_ms(s->clock);
    is_ok = emu_store_commit_locked(s, changes, str_is_empty(put->tag) ? 1 : 2, x);
    blobs_manifest_end(s->blobs, name, digest, is_ok);
    return is_ok;
}

static bool put_tag(struct emu_store *s, const struct emu_repository *r,
                    const struct emu_image *image, struct str tag, struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_TAG,
                           .name = str_from(r->name),
                           .digest = str_from(image->digest),
                           .tag = tag};

    return emu_store_commit_locked(s, &c, 1, x);
}

static bool put_read(struct emu_store *s, struct emu_repository *r, const struct emu_put_image *put,
                     struct emu_image **image, struct emu_image **ret, struct emu_error *x)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct str digest = str_from((*image)->digest);

    if (!str_is_empty(put->digest) && !str_eq(put->digest, digest))
        return emu_fail(x, EMU_IMAGE_DIGEST_DOES_NOT_MATCH,
                        "The specified image digest '%.*s' does not match the digest '%.*s' that "
                        "Amazon ECR calculated for the image",
                        STR_ARG(put->digest), STR_ARG(digest));
    if (!check_existing(s, r, put, digest, ret, x))
        return false;
    if (*ret != NULL) {
        if (put_tag(s, r, *ret, put->tag, x))
            return true;
        *ret = NULL;
        return false;
    }
    if (!put_new(s, r, put, *image, &arena, x))
        return false;
    *ret = TAKE(*image);
    return true;
}

bool emu_store_put_image_locked(struct emu_store *s, struct emu_repository *r,
                                const struct emu_put_image *put, struct emu_image **ret,
                                struct emu_error *x)
{
    struct emu_image *image = emu_image_new(put->manifest, put->media_type, x);
    bool is_ok = false;

    *ret = NULL;
    if (image == NULL)
        return false;
    is_ok = put_read(s, r, put, &image, ret, x);
    emu_image_free(image);
    return is_ok;
}
