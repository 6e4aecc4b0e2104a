// SPDX-License-Identifier: Apache-2.0
/*
 * A request from the decision on: what needs ECR is parked in the ensure engine, whose callbacks
 * decide again with what it found and did. Nothing is created for a request that is denied.
 */
#include "base/mem.h"
#include "request_priv.h"

static void decide_all(struct request *r, enum image_stage stage)
{
    for (size_t i = 0; i < r->count; i++) {
        struct image *image = &r->images[i];
        if (stage == STAGE_LOOKED_UP || image->decision.next != NEXT_ANSWER)
            image->decision = decide_image(&image->facts, stage, r->review.is_dry_run);
    }
}

static bool wants(const struct request *r, enum image_next next)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->images[i].decision.next == next)
            return true;
    return false;
}

static bool is_denied(const struct request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct image_decision *d = &r->images[i].decision;
        if (d->next == NEXT_ANSWER && d->action == API_ACTION_DENY)
            return true;
    }
    return false;
}

/* What was not gone on with: the engine has no room, or the request is denied for another image. */
static void give_up(struct request *r, enum image_reason reason)
{
    for (size_t i = 0; i < r->count; i++) {
        struct image *image = &r->images[i];
        if (image->decision.next == NEXT_ANSWER)
            continue;
        const bool is_overload = reason == REASON_OVERLOADED;
        image->decision = (struct image_decision){
            .action = is_overload ? image->facts.choice.on_error : API_ACTION_ALLOW,
            .reason = reason,
        };
    }
}

/* --- the batch ---------------------------------------------------------------------------------
 */

static bool is_item_of(const struct ensure_item *item, const struct image *i)
{
    const bool wants_image = i->decision.wants_image;
    return item->registry == i->registry && item->wants_image == wants_image &&
           str_eq(item->repository, i->parts.repository) &&
           (!wants_image ||
            (str_eq(item->tag, i->parts.tag) && str_eq(item->digest, i->parts.digest)));
}

/* One item for all images that ask the same. */
static void add_item(struct request *r, struct image *i)
{
    struct ensure_batch *b = &r->batch;
    for (size_t n = 0; n < b->count; n++) {
        if (is_item_of(&b->items[n], i)) {
            i->item = (ptrdiff_t)n;
            return;
        }
    }
    if (b->count == ENSURE_ITEMS_MAX) {
        i->decision = (struct image_decision){.action = i->facts.choice.on_error,
                                              .reason = REASON_OVERLOADED};
        return;
    }
    i->item = (ptrdiff_t)b->count;
    b->items[b->count++] = (struct ensure_item){
        .registry = i->registry,
        .repository = i->parts.repository,
        .tag = i->parts.tag,
        .digest = i->parts.digest,
        .wants_image = i->decision.wants_image,
        .creations_per_minute = i->facts.choice.creations_per_minute,
    };
}

static void take_outcomes(struct request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct image *image = &r->images[i];
        if (image->item == NO_ITEM)
            continue;
        const struct ensure_item *item = &r->batch.items[image->item];
        image->facts.outcome = item->outcome;
        image->facts.image = item->image;
        if (err_is_set(&item->error))
            image->error = arena_copy(&r->arena, str_from(item->error.msg));
        if (!str_is_null(item->template))
            image->template = arena_copy(&r->arena, item->template);
    }
}

static bool on_probed(void *arg, struct ensure_batch *b)
{
    struct request *r = arg;
    take_outcomes(r);
    decide_all(r, STAGE_PROBED);
    if (is_denied(r) || r->review.is_dry_run)
        return false;
    for (size_t i = 0; i < r->count; i++) {
        const struct image *image = &r->images[i];
        if (image->decision.next == NEXT_CREATE && image->item != NO_ITEM)
            b->items[image->item].wants_creation = true;
    }
    return wants(r, NEXT_CREATE);
}

static void on_done(void *arg, struct ensure_batch *b)
{
    struct request *r = arg;
    (void)b;
    if (is_denied(r)) {
        give_up(r, REASON_NOT_ENSURED);
    } else {
        take_outcomes(r);
        decide_all(r, STAGE_TRIED);
    }
    request_answer(r);
    (void)request_free(r);
}

static void park(struct request *r)
{
    struct ensure_batch *b = &r->batch;
    b->items = arena_new_array(&r->arena, struct ensure_item, r->count);
    for (size_t i = 0; i < r->count; i++)
        if (r->images[i].decision.next == NEXT_PROBE)
            add_item(r, &r->images[i]);
    b->namespace = r->review.namespace;
    b->id = r->review.uid;
    b->deadline_mono_ms = r->deadline_mono_ms;
    b->probed = on_probed;
    b->done = on_done;
    b->arg = r;
    r->parked_us = admission_now_us();
    if (ensure_submit(r->a->o.ensure, b))
        return;
    r->parked_us = 0; /* ECR is not asked */
    give_up(r, REASON_OVERLOADED);
    request_answer(r);
    (void)request_free(r);
}

/* --- */

void request_run(struct request *r)
{
    decide_all(r, STAGE_LOOKED_UP);
    if (is_denied(r))
        give_up(r, REASON_NOT_ENSURED);
    if (wants(r, NEXT_PROBE)) {
        park(r);
        return;
    }
    request_answer(r);
    (void)request_free(r);
}

struct request *request_free(struct request *r)
{
    if (r == NULL)
        return NULL;
    for (size_t i = 0; i < r->count; i++)
        (void)directory_unref(r->images[i].registry);
    r->doc = json_doc_free(r->doc);
    arena_fini(&r->batch.arena);
    arena_fini(&r->arena);
    return mem_free(r);
}
