// SPDX-License-Identifier: Apache-2.0
/*
 * Objects that went past their finalizer: kube-apiserver reads an object that has none, Berth adds
 * its own and creates the template, and then the object is deleted by what was read. Nobody gets to
 * see a deletionTimestamp, so what the finalizer is for is done here, by the last state that the
 * watch showed: by the leader, once, with retries, and not for ever, because no status can tell of
 * it. It is part of the work of the object's key, so it begins after what that had under way.
 */
#include "base/mem.h"
#include "json/json.h"
#include "reconcile_priv.h"

struct gone {
    struct kube_object *object;
    struct memory *memory; /* for the pauses between calls that fail */
    uint64_t term;         /* of leadership, when it went */
    int64_t since_ms;      /* monotonic, likewise */
    bool is_told;
};

bool gone_is_unserved(const struct kube_object *last)
{
    return kube_object_has_finalizer(last, API_FINALIZER) && !kube_object_is_deleting(last) &&
           json_is_object(json_path(kube_object_json(last), "status.ownership"));
}

void gone_free(void *gone)
{
    struct gone *g = gone;
    if (g == NULL)
        return;
    kube_object_unref(g->object);
    memory_free(g->memory);
    mem_free(g);
}

void gone_note(void *arg, const struct kube_object *last)
{
    struct controller *c = arg;
    if (!gone_is_unserved(last))
        return;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct str key = arena_printf(&a, "template/%.*s", STR_ARG(kube_object_name(last)));
    struct gone *g = mem_alloc(sizeof *g);
    g->object = kube_object_packed(last);
    g->memory = memory_new(kube_object_uid(last));
    g->term = atomic_load(&c->term);
    g->since_ms = clock_mono_ms(c->o.clock);
    (void)pthread_mutex_lock(&c->mutex);
    struct gone *before = map_put(c->gone, key, g);
    (void)pthread_mutex_unlock(&c->mutex);
    gone_free(before);
}

/* One attempt. False: it is to be tried again. */
static bool attempt(struct pass *p, struct gone *g)
{
    struct controller *c = p->c;
    /* a follower has nothing to do, and who came to lead since does not know what was done */
    if (!reconcile_leads(c) || g->term != atomic_load(&c->term))
        return true;
    if (!g->is_told)
        log_info(c->o.log, "an object was deleted past its finalizer: what that holds is done now",
                 KV("object", p->key), KV("uid", kube_object_uid(g->object)));
    g->is_told = true;
    if (clock_mono_ms(c->o.clock) - g->since_ms > GONE_KEPT_MS) {
        log_warn(c->o.log, "what an object left in ECR stays there", KV("object", p->key),
                 KV_CSTR("reason", "GivenUp"));
        return true;
    }
    struct pass q = {.c = c, .key = p->key, .name = p->name, .resource = p->resource};
    pass_begin_gone(&q, kube_object_packed(g->object), g->memory);
    reconcile_template_gone(&q);
    if (!q.is_settled) {
        pass_come_again(p, q.again_ms);
        p->is_failed |= q.again_ms == 0;
    } else if (!q.is_terminal) {
        log_info(c->o.log, "an object that was deleted past its finalizer is dealt with",
                 KV("object", p->key), KV_CSTR("reconcileID", q.id));
    }
    const bool is_settled = q.is_settled;
    pass_end(&q);
    return is_settled;
}

void gone_serve(struct pass *p)
{
    struct controller *c = p->c;
    (void)pthread_mutex_lock(&c->mutex);
    struct gone *g = map_remove(c->gone, p->key);
    (void)pthread_mutex_unlock(&c->mutex);
    if (g == NULL)
        return;
    if (!attempt(p, g)) {
        (void)pthread_mutex_lock(&c->mutex);
        /* where another one went under the same name meanwhile, that one counts */
        if (map_get(c->gone, p->key) == NULL)
            (void)map_put(c->gone, p->key, TAKE(g));
        (void)pthread_mutex_unlock(&c->mutex);
    }
    gone_free(g);
}
