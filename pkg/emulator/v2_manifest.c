// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests: kept and served byte for byte. What may be stored (layers and children there, digest
 * right, tag not immutable) is the store's to say, so that PutImage and a push get the same
 * answer; here it is put into the words of the registry API.
 */
#include "base/arena.h"
#include "v2_priv.h"

/* --- reading ---------------------------------------------------------------------------------- */

struct accept {
    struct str media_type;
    bool is_sent;
    bool is_match;
};

/* Clients send one Accept line for each type, or one with all. */
static void look_at_header(void *arg, struct str name, struct str value)
{
    struct accept *a = arg;
    if (!str_eq_nocase(name, STR("Accept")))
        return;
    a->is_sent = true;
    a->is_match = a->is_match || v2_accepts(value, a->media_type);
}

/* As BatchGetImage does with acceptedMediaTypes: an image of another type is not found. */
static bool is_accepted(const struct emu_request *r, const char *media_type)
{
    struct accept a = {.media_type = str_from(media_type)};
    emu_headers_each(r, look_at_header, &a);
    return !a.is_sent || a.is_match;
}

/* What must outlive the store's lock. */
struct found {
    struct str digest;
    struct str media_type;
    struct str manifest; /* absent for HEAD */
    uint64_t size;
};

static bool find_image(struct emu_request *r, struct v2_state *s, bool is_head, struct found *ret)
{
    struct emu_repository *repository = v2_repository_locked(r);
    if (repository == NULL)
        return false;
    struct emu_image *image = emu_repository_image_locked(repository, s->target.reference);
    if (image == NULL || !is_accepted(r, image->media_type))
        return v2_fail(r, 404, "MANIFEST_UNKNOWN", "Requested image not found");
    ret->digest = arena_copy(&r->arena, str_from(image->digest));
    ret->media_type = arena_copy(&r->arena, str_from(image->media_type));
    ret->size = image->manifest_len;
    if (!is_head) {
        ret->manifest = arena_copy(&r->arena, str_n(image->manifest, image->manifest_len));
        emu_store_pulled_locked(r->emu->store, repository, image);
    }
    return true;
}

void v2_manifest_get(struct emu_request *r, struct v2_state *s)
{
    struct found found = {0};
    bool is_head = str_eq_cstr(r->method, "HEAD");
    emu_store_lock(r->emu->store);
    bool is_there = find_image(r, s, is_head, &found);
    emu_store_unlock(r->emu->store);
    if (!is_there)
        return;
    emu_reply_header(r, "Docker-Content-Digest", found.digest);
    if (is_head)
        emu_reply_head(r, 200, found.media_type.ptr, found.size);
    else
        emu_reply(r, 200, found.media_type.ptr, found.manifest);
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool fail_too_large(struct emu_request *r)
{
    return v2_fail(r, 413, "SIZE_INVALID", "A manifest has at most %d bytes", EMU_MANIFEST_MAX);
}

void v2_manifest_put_begin(struct emu_request *r, struct v2_state *s)
{
    struct str reference = s->target.reference;
    if (!v2_check_name(r))
        return;
    if (str_contains(reference, STR(":")) ? !blob_digest_is_valid(reference)
                                          : !v2_is_tag(reference)) {
        v2_fail(r, 400, str_contains(reference, STR(":")) ? "DIGEST_INVALID" : "TAG_INVALID",
                "'%.*s' is neither a tag nor a digest", STR_ARG(reference));
        return;
    }
    if (r->body_len > EMU_MANIFEST_MAX)
        fail_too_large(r);
}

bool v2_manifest_chunk(struct emu_request *r, struct v2_state *s, const void *p, size_t n)
{
    buf_append_bytes(&s->manifest, p, n);
    return buf_ok(&s->manifest) ? true : fail_too_large(r);
}

static bool repository_for_put(struct emu_request *r, struct emu_repository **ret)
{
    struct emu_error x = EMU_ERROR_INIT;
    if (r->emu->behavior.is_manifest_put_not_creating) {
        *ret = v2_repository_locked(r);
        return *ret != NULL;
    }
    return emu_store_repository_for_push_locked(r->emu->store, v2_state(r)->target.name, ret, &x) ||
           v2_fail_store(r, &x);
}

static bool put_image(struct emu_request *r, struct v2_state *s, struct str *ret_digest,
                      struct str *ret_subject)
{
    struct emu_repository *repository;
    struct emu_image *image;
    struct emu_error x = EMU_ERROR_INIT;
    struct str reference = s->target.reference;
    bool is_digest = blob_digest_is_valid(reference);
    struct emu_put_image put = {
        .manifest = buf_str(&s->manifest),
        .media_type = v2_media_type(emu_header(r, "Content-Type")),
        .tag = is_digest ? STR_NULL : reference,
        .digest = is_digest ? reference : STR_NULL,
    };
    if (!repository_for_put(r, &repository))
        return false;
    if (!emu_store_put_image_locked(r->emu->store, repository, &put, &image, &x)) {
        if (x.code != EMU_IMAGE_ALREADY_EXISTS)
            return v2_fail_store(r, &x);
        /* pushed again, unchanged: fine, but an immutable tag is refused even so */
        if (!is_digest && emu_repository_is_tag_immutable(repository, reference)) {
            x = EMU_ERROR_INIT;
            emu_fail(&x, EMU_IMAGE_TAG_ALREADY_EXISTS,
                     "The image tag '%.*s' already exists in the '%s' repository and cannot be "
                     "overwritten because the tag is immutable.",
                     STR_ARG(reference), repository->name);
            return v2_fail_store(r, &x);
        }
    }
    *ret_digest = arena_copy(&r->arena, str_from(image->digest));
    *ret_subject = arena_copy(&r->arena, str_from(image->subject));
    return true;
}

void v2_manifest_put(struct emu_request *r, struct v2_state *s)
{
    struct str digest = STR_NULL;
    struct str subject = STR_NULL;
    emu_store_lock(r->emu->store);
    bool is_stored = put_image(r, s, &digest, &subject);
    emu_store_unlock(r->emu->store);
    if (!is_stored)
        return;
    v2_reply_location(r, "/v2/%.*s/manifests/%.*s", STR_ARG(s->target.name), STR_ARG(digest));
    emu_reply_header(r, "Docker-Content-Digest", digest);
    if (!str_is_null(subject))
        emu_reply_header(r, "OCI-Subject", subject);
    v2_reply_empty(r, 201);
}
