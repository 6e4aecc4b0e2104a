// SPDX-License-Identifier: Apache-2.0
/*
 * Lists: the tags of a repository, the repositories, and what refers to an image. Sorted and paged
 * by n and last, with a Link to the next page, as the distribution specification says.
 */
#include "base/arena.h"
#include "base/map.h"
#include "base/num.h"
#include "json/json.h"
#include "json/write.h"
#include "v2_priv.h"

#include <stdlib.h>

enum { LINK_MAX = 2048, LIST_BODY_MAX = 4 * 1024 * 1024 };

#define INDEX_MEDIA_TYPE "application/vnd.oci.image.index.v1+json"

struct page {
    int64_t limit;
    struct str last;
    struct str *names; /* in the arena */
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool read_page(struct emu_request *r, struct page *p)
{
    struct str n = emu_query(r, "n");
    *p = (struct page){.limit = V2_PAGE_MAX, .last = emu_query(r, "last")};
    if (!str_is_null(n) && (!num_parse_i64(n, &p->limit) || p->limit < 0))
        return v2_fail(r, 400, "PAGINATION_NUMBER_INVALID", "n must be a number, 0 or more");
    if (p->limit > V2_PAGE_MAX)
        p->limit = V2_PAGE_MAX;
    return true;
}

static void add_name(struct emu_request *r, struct page *p, struct str name)
{
    if (str_is_null(p->last) || str_cmp(name, p->last) > 0)
        p->names[p->count++] = arena_copy(&r->arena, name);
}

/* Only what a tag or a repository name is made of, and the slash, may stand in a query as it is;
 * `last` is one of these. */
static void reply_page(struct emu_request *r, struct page *p, const char *path, struct str name,
                       const char *member)
{
    qsort(p->names, p->count, sizeof(p->names[0]), compare_names);
    size_t shown = p->count;
    if (shown > (size_t)p->limit)
        shown = (size_t)p->limit;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(LIST_BODY_MAX);
    struct json_writer w = json_writer_to(&body);
    json_begin_object(&w);
    if (!str_is_null(name))
        json_put_str(&w, "name", name);
    json_key_begin_array(&w, member);
    for (size_t i = 0; i < shown; i++)
        json_str(&w, p->names[i]);
    json_end(&w);
    json_end(&w);
    if (shown > 0 && shown < p->count) {
        struct buf link BERTH_CLEANUP(buf_fini) = BUF_INIT(LINK_MAX);
        buf_printf(&link, "<%s?last=%.*s&n=%lld>; rel=\"next\"", path, STR_ARG(p->names[shown - 1]),
                   (long long)p->limit);
        emu_reply_header(r, "Link", arena_copy(&r->arena, buf_str(&link)));
    }
    emu_reply_take(r, 200, "application/json", &body);
}

void v2_tags_list(struct emu_request *r, struct v2_state *s)
{
    struct page p;
    if (!read_page(r, &p))
        return;
    emu_store_lock(r->emu->store);
    const struct emu_repository *repository = v2_repository_locked(r);
    if (repository != NULL) {
        p.names = arena_new_array(&r->arena, struct str, map_count(repository->tags));
        for (struct map_entry *it = map_first(repository->tags); it; it = map_next(it))
            add_name(r, &p, map_key(it));
    }
    emu_store_unlock(r->emu->store);
    if (repository == NULL)
        return;
    struct str path = arena_printf(&r->arena, "/v2/%.*s/tags/list", STR_ARG(s->target.name));
    reply_page(r, &p, path.ptr, s->target.name, "tags");
}

void v2_catalog(struct emu_request *r, struct v2_state *s)
{
    (void)s;
    struct page p;
    struct emu_store *store = r->emu->store;
    if (!read_page(r, &p))
        return;
    emu_store_lock(store);
    const struct map *repositories = emu_store_repositories_locked(store);
    p.names = arena_new_array(&r->arena, struct str, map_count(repositories));
    for (struct map_entry *it = map_first(repositories); it; it = map_next(it))
        add_name(r, &p, map_key(it));
    emu_store_unlock(store);
    reply_page(r, &p, "/v2/_catalog", STR_NULL, "repositories");
}

/* --- referrers -------------------------------------------------------------------------------- */

static void write_descriptor(struct json_writer *w, const struct emu_image *image)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    json_begin_object(w);
    json_put_cstr(w, "mediaType", image->media_type);
    json_put_cstr(w, "digest", image->digest);
    json_put_int(w, "size", (int64_t)image->manifest_len);
    if (image->artifact_type != NULL)
        json_put_cstr(w, "artifactType", image->artifact_type);
    /* parsed already when it was pushed; a failure here only leaves the annotations out */
    if (json_parse(str_n(image->manifest, image->manifest_len), EMU_MANIFEST_MAX, &doc, &e)) {
        const struct json *annotations = json_get(json_root(doc), "annotations");
        if (json_is_object(annotations))
            json_put_value(w, "annotations", annotations);
    }
    json_end(w);
}

static void write_referrers_locked(const struct emu_repository *repository, struct str subject,
                                   struct str artifact_type, struct json_writer *w)
{
    size_t count = 0;
    for (struct map_entry *it = map_first(repository->images); it; it = map_next(it)) {
        const struct emu_image *image = map_value(it);
        if (image->subject == NULL || !str_eq_cstr(subject, image->subject))
            continue;
        if (!str_is_empty(artifact_type) && !str_eq(artifact_type, str_from(image->artifact_type)))
            continue;
        if (++count > V2_REFERRERS_MAX)
            return;
        write_descriptor(w, image);
    }
}

/* Always an index: 404 would mean that the registry lacks this API, and clients would fall back to
 * tags (distribution specification, "Listing Referrers"). */
void v2_referrers(struct emu_request *r, struct v2_state *s)
{
    struct str artifact_type = emu_query(r, "artifactType");
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_JSON_REPLY_MAX);
    struct json_writer w = json_writer_to(&body);
    if (!blob_digest_is_valid(s->target.reference)) {
        v2_fail(r, 400, "DIGEST_INVALID", "The digest '%.*s' is not sha256: and 64 hex digits",
                STR_ARG(s->target.reference));
        return;
    }
    json_begin_object(&w);
    json_put_int(&w, "schemaVersion", 2);
    json_put_cstr(&w, "mediaType", INDEX_MEDIA_TYPE);
    json_key_begin_array(&w, "manifests");
    emu_store_lock(r->emu->store);
    struct emu_repository *repository =
        emu_store_repository_locked(r->emu->store, s->target.name, NULL);
    if (repository != NULL)
        write_referrers_locked(repository, s->target.reference, artifact_type, &w);
    emu_store_unlock(r->emu->store);
    json_end(&w);
    json_end(&w);
    if (!str_is_empty(artifact_type))
        emu_reply_header(r, "OCI-Filters-Applied", STR("artifactType"));
    emu_reply_take(r, 200, INDEX_MEDIA_TYPE, &body);
}
