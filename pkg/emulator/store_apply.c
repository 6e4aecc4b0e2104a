// SPDX-License-Identifier: Apache-2.0
/*
 * The one place where the state changes: a change goes to the journal, then into the maps. What is
 * replaced goes into the history, for stale reads.
 */
#include "base/mem.h"
#include "blob_priv.h"
#include "change_priv.h"
#include "journal_priv.h"
#include "store_data_priv.h"
#include "store_impl_priv.h"

#include <assert.h>
#include <string.h>

/* ---- into memory ---- */

static void see_seq(struct emu_store *s, uint64_t seq)
{
    if (seq >= s->next_seq)
        s->next_seq = seq + 1;
}

static bool apply_setting(struct emu_store *s, const struct emu_change *c)
{
    int i = emu_setting_index(c->name);
    char *before = NULL;

    if (i < 0 || str_is_null(c->value))
        return false;
    before = s->settings[i];
    s->settings[i] = mem_dup(c->value.ptr, c->value.len);
    emu_history_setting(s->history, clock_mono_ms(s->clock), (size_t)i, before);
    return true;
}

static bool apply_template(struct emu_store *s, struct emu_change *c)
{
    struct emu_template *t = TAKE(c->template);
    struct str key = str_from(t->prefix);
    struct emu_template *existing = map_get(s->templates, key);
    int64_t now_ms = clock_mono_ms(s->clock);

    see_seq(s, t->seq);
    if (existing != NULL) {
        struct emu_template before = *existing;

        *existing = *t;
        *t = before;
        emu_history_template(s->history, now_ms, key, t);
        return true;
    }
    (void)map_put(s->templates, key, t);
    s->stats.templates++;
    emu_history_template(s->history, now_ms, key, NULL);
    return true;
}

static bool apply_no_template(struct emu_store *s, const struct emu_change *c)
{
    struct emu_template *t = map_remove(s->templates, c->name);

    if (t == NULL)
        return false;
    s->stats.templates--;
    emu_history_template(s->history, clock_mono_ms(s->clock), str_from(t->prefix), t);
    return true;
}

static bool apply_repository(struct emu_store *s, struct emu_change *c)
{
    struct emu_repository *r = TAKE(c->repository);
    struct str name = str_from(r->name);
    struct emu_repository *existing = map_get(s->repositories, name);
    int64_t now_ms = clock_mono_ms(s->clock);

    see_seq(s, r->seq);
    if (existing != NULL) {
        struct emu_settings before = existing->settings;

        existing->settings = r->settings;
        r->settings = before;
        emu_history_repository(s->history, now_ms, name, r);
        return true;
    }
    r->images = map_new();
    r->tags = map_new();
    (void)map_put(s->repositories, name, r);
    s->stats.repositories++;
    emu_history_repository(s->history, now_ms, name, NULL);
    return true;
}

static void forget_image(struct emu_store *s, struct emu_repository *r, struct emu_image *i)
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

static bool apply_no_repository(struct emu_store *s, const struct emu_change *c)
{
    struct emu_repository *r = map_get(s->repositories, c->name);

    if (r == NULL)
        return false;
    /* links, references and sessions at once; the images then have nothing left to drop */
    blobs_drop_repository(s->blobs, str_from(r->name));
    while (map_first(r->images) != NULL)
        forget_image(s, r, map_value(map_first(r->images)));
    r->images = map_free(r->images, NULL);
    r->tags = map_free(r->tags, NULL);
    (void)map_remove(s->repositories, str_from(r->name));
    s->stats.repositories--;
    emu_history_repository(s->history, clock_mono_ms(s->clock), str_from(r->name), r);
    return true;
}

static bool apply_link(struct emu_store *s, const struct emu_change *c)
{
    if (!blob_digest_is_valid(c->digest) || map_get(s->repositories, c->name) == NULL)
        return false;
    if (s->is_loading)
        blobs_adopt(s->blobs, c->digest, c->size_bytes);
    return blobs_link(s->blobs, c->name, c->digest, c->is_mounted);
}

static bool apply_image(struct emu_store *s, struct emu_repository *r, struct emu_change *c)
{
    struct emu_image *image = c->image;
    struct str digest = str_from(image->digest);
    struct str *layers = NULL;
    bool *is_missing = NULL;
    bool is_complete = false;

    if (map_get(r->images, digest) != NULL)
        return false;
    layers = mem_alloc_array(image->n_layers, sizeof(*layers));
    is_missing = mem_alloc_array(image->n_layers, sizeof(*is_missing));
    for (size_t i = 0; i < image->n_layers; i++)
        layers[i] = str_from(image->layers[i]);
    is_complete = blobs_manifest_begin(s->blobs, str_from(r->name), digest, layers, image->n_layers,
                                       is_missing);
    mem_free(layers);
    mem_free(is_missing);
    if (!is_complete)
        return false;
    blobs_manifest_end(s->blobs, str_from(r->name), digest, true);
    for (size_t i = 0; i < image->n_children; i++) {
        struct emu_image *child = map_get(r->images, str_from(image->children[i]));

        if (child != NULL)
            child->parents++;
    }
    see_seq(s, image->seq);
    (void)map_put(r->images, digest, TAKE(c->image));
    s->stats.images++;
    s->stats.manifest_bytes += image->manifest_len;
    return true;
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

static bool apply_untag(struct emu_repository *r, struct str tag)
{
    struct emu_image *image = map_remove(r->tags, tag);

    if (image != NULL)
        forget_tag(image, tag);
    return image != NULL;
}

static bool apply_tag(struct emu_repository *r, const struct emu_change *c)
{
    struct emu_image *image = map_get(r->images, c->digest);

    if (image == NULL || str_is_empty(c->tag))
        return false;
    (void)apply_untag(r, c->tag);
    (void)map_put(r->tags, c->tag, image);
    image->tags = mem_realloc(image->tags, (image->n_tags + 1) * sizeof(*image->tags));
    image->tags[image->n_tags++] = mem_dup(c->tag.ptr, c->tag.len);
    return true;
}

static bool apply_to_images(struct emu_store *s, struct emu_change *c)
{
    struct emu_repository *r = map_get(s->repositories, c->name);
    struct emu_image *image = r ? map_get(r->images, c->digest) : NULL;

    if (r == NULL)
        return false;
    if (c->kind == EMU_CHANGE_IMAGE)
        return apply_image(s, r, c);
    if (c->kind == EMU_CHANGE_TAG)
        return apply_tag(r, c);
    if (c->kind == EMU_CHANGE_UNTAG)
        return apply_untag(r, c->tag);
    if (image == NULL)
        return false;
    if (c->kind == EMU_CHANGE_PULL)
        image->pulled_ms = c->at_ms;
    else
        forget_image(s, r, image);
    return true;
}

bool emu_store_apply_locked(struct emu_store *s, struct emu_change *c)
{
    switch (c->kind) {
    case EMU_CHANGE_SETTING:
        return apply_setting(s, c);
    case EMU_CHANGE_TEMPLATE:
        return apply_template(s, c);
    case EMU_CHANGE_NO_TEMPLATE:
        return apply_no_template(s, c);
    case EMU_CHANGE_REPOSITORY:
        return apply_repository(s, c);
    case EMU_CHANGE_NO_REPOSITORY:
        return apply_no_repository(s, c);
    case EMU_CHANGE_LINK:
        return apply_link(s, c);
    case EMU_CHANGE_IMAGE:
    case EMU_CHANGE_TAG:
    case EMU_CHANGE_UNTAG:
    case EMU_CHANGE_NO_IMAGE:
    case EMU_CHANGE_PULL:
        return apply_to_images(s, c);
    case EMU_CHANGE_COUNT:
        break;
    }
    return false;
}

/* ---- and before that to the journal ---- */

bool emu_store_commit_locked(struct emu_store *s, struct emu_change *changes, size_t n,
                             struct emu_error *x)
{
    struct err e = ERR_INIT;

    if (s->journal != NULL && !emu_store_record_locked(s, changes, n, &e))
        return emu_fail(x, EMU_SERVER, "The emulator cannot keep the change: %s", e.msg);
    for (size_t i = 0; i < n; i++) {
        bool is_applied = emu_store_apply_locked(s, &changes[i]);

        assert(is_applied); /* the rules made it fit */
        (void)is_applied;
    }
    if (s->journal != NULL)
        journal_compact(s->journal);
    return true;
}
