// SPDX-License-Identifier: Apache-2.0
/*
 * What passes over both kinds share: the newest object, finalizer, status, annotations, retries.
 */
#include "base/mem.h"
#include "base/num.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "reconcile_priv.h"

#include <stdio.h>
#include <string.h>

void memory_free(void *memory)
{
    struct memory *m = memory;
    kube_object_unref(m->latest);
    mem_free(m->uid);
    mem_free(m->requested);
    mem_free(m->refused_message);
    mem_free(m);
}

struct memory *memory_new(struct str uid)
{
    struct memory *m = mem_alloc(sizeof *m);
    m->uid = mem_dup(uid.ptr, uid.len);
    m->refused_generation = -1;
    return m;
}

static void memory_forget(struct controller *c, struct str key)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct memory *m = map_remove(c->memories, key);
    (void)pthread_mutex_unlock(&c->mutex);
    if (m != NULL)
        memory_free(m);
}

static struct memory *memory_of(struct controller *c, struct str key, struct str uid)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct memory *m = map_get(c->memories, key);
    (void)pthread_mutex_unlock(&c->mutex);
    if (m != NULL && str_eq_cstr(uid, m->uid))
        return m;
    /* new, or another object under the old name */
    memory_forget(c, key);
    m = memory_new(uid);
    (void)pthread_mutex_lock(&c->mutex);
    (void)map_put(c->memories, key, m);
    (void)pthread_mutex_unlock(&c->mutex);
    return m;
}

/* Is a newer than b? Resource versions of one kind are ordered numbers (guaranteed since
 * Kubernetes 1.35, and true for etcd before); where they are not, what the watch says counts. */
static bool is_newer(const struct kube_object *a, const struct kube_object *b)
{
    uint64_t x = 0;
    uint64_t y = 0;
    return num_parse_u64(kube_object_resource_version(a), &x) &&
           num_parse_u64(kube_object_resource_version(b), &y) && x > y;
}

/* The newer of what the watch brought (a reference, taken over) and what our last write of it
 * returned; our own writes come back by the watch only a moment later. A reference. */
static struct kube_object *newest_locked(struct memory *m, struct kube_object *watched)
{
    if (m == NULL || m->latest == NULL || !str_eq_cstr(kube_object_uid(watched), m->uid))
        return watched;
    if (is_newer(m->latest, watched)) {
        kube_object_unref(watched);
        return kube_object_packed(m->latest);
    }
    m->latest = kube_object_unref(m->latest);
    return watched;
}

static struct kube_object *newest(struct controller *c, struct str key, struct kube_object *watched)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct kube_object *o = newest_locked(map_get(c->memories, key), watched);
    (void)pthread_mutex_unlock(&c->mutex);
    return o;
}

static void set_latest(struct pass *p, struct kube_object *o)
{
    (void)pthread_mutex_lock(&p->c->mutex);
    kube_object_unref(p->memory->latest);
    p->memory->latest = o;
    (void)pthread_mutex_unlock(&p->c->mutex);
}

struct kube_object *reconcile_newest_template(struct controller *c, struct str name)
{
    struct kube_object *o = kube_informer_get(c->templates, STR_NULL, name);
    if (o == NULL)
        return NULL;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    return newest(c, arena_printf(&a, "template/%.*s", STR_ARG(name)), o);
}

/* What every pass has, once its object is known. */
static void begin(struct pass *p)
{
    p->generation = kube_object_generation(p->object);
    p->now_ms = clock_unix_ms(p->c->o.clock);
    uint8_t random[(RECONCILE_ID_MAX - 1) / 2];
    crypto_random(random, sizeof random);
    crypto_hex(random, sizeof random, p->id);
}

void pass_begin_gone(struct pass *p, struct kube_object *o, struct memory *m)
{
    p->is_gone = true;
    p->object = o;
    p->memory = m;
    begin(p);
}

bool pass_begin(struct pass *p)
{
    struct kube_informer *informer =
        p->resource == &reconcile_settings_resource ? p->c->settings : p->c->templates;
    p->object = kube_informer_get(informer, STR_NULL, p->name);
    if (p->object == NULL) {
        memory_forget(p->c, p->key);
        return false;
    }
    p->memory = memory_of(p->c, p->key, kube_object_uid(p->object));
    p->object = newest(p->c, p->key, p->object);
    begin(p);
    return true;
}

int64_t pass_now_ms(const struct pass *p)
{
    return clock_unix_ms(p->c->o.clock);
}

void pass_end(struct pass *p)
{
    p->object = kube_object_unref(p->object);
    arena_fini(&p->arena);
}

void pass_take_object(struct pass *p, struct kube_object *o)
{
    kube_object_unref(p->object);
    p->object = o;
    set_latest(p, kube_object_packed(o)); /* a thousand of them may wait for their next pass */
}

/* Does b ask for the same as a? Status and finalizers do not count. */
static bool is_same_intent(const struct kube_object *a, const struct kube_object *b)
{
    static const char *const annotations[] = {API_ANNOTATION_PAUSED, API_ANNOTATION_READ_ONLY};
    for (size_t i = 0; i < ARRAY_SIZE(annotations); i++) {
        if (!str_eq(kube_object_annotation(a, annotations[i]),
                    kube_object_annotation(b, annotations[i])))
            return false;
    }
    return kube_object_generation(a) == kube_object_generation(b) &&
           kube_object_is_deleting(a) == kube_object_is_deleting(b);
}

/* What a write to the API server came to; logs what is no everyday outcome. False ends the pass. */
static bool settled(struct pass *p, enum kube_result result, struct kube_object *o,
                    const char *what, const struct err *e)
{
    switch (result) {
    case KUBE_OK: {
        bool is_same = o == NULL || is_same_intent(p->object, o);
        if (o != NULL)
            pass_take_object(p, o);
        /* changed under our hands: what was decided does not hold any more */
        if (!is_same)
            workqueue_add(p->c->queue, p->key);
        return is_same;
    }
    case KUBE_NOT_FOUND:
    case KUBE_CONFLICT:
    case KUBE_EXISTS:
        /* changed or gone since: the watch brings it, and the pass starts over */
        kube_object_unref(o);
        set_latest(p, NULL);
        p->is_failed = true;
        return false;
    case KUBE_FAILED:
        break;
    }
    kube_object_unref(o);
    p->is_failed = true;
    log_warn(p->c->o.log, what, KV("object", p->key), KV_CSTR("reconcileID", p->id), KV_ERR(e),
             KV_TEXT("hint", reconcile_hint(e)));
    return false;
}

bool pass_set_finalizer(struct pass *p, bool is_present)
{
    if (p->is_gone) { /* where the finalizer would go, all is done that it was there for */
        p->is_settled |= !is_present;
        return true;
    }
    if (kube_object_has_finalizer(p->object, API_FINALIZER) == is_present)
        return true;
    if (!reconcile_leads(p->c))
        return false;
    struct err e = ERR_INIT;
    struct kube_object *o = NULL;
    enum kube_result result = kube_change_finalizer(p->c->o.kube, p->resource, p->object,
                                                    API_FINALIZER, is_present, &o, &e);
    return settled(p, result, o, "cannot change the finalizer", &e);
}

bool pass_apply_status(struct pass *p, struct str status, struct str before)
{
    p->is_status_written = false;
    if (p->is_gone || str_eq(status, before))
        return true;
    if (!reconcile_leads(p->c))
        return false;
    struct err e = ERR_INIT;
    struct kube_object *o = NULL;
    enum kube_result result = kube_apply_status(p->c->o.kube, p->resource, p->object,
                                                FIELD_MANAGER_STATUS, status, &o, &e);
    p->is_status_written = result == KUBE_OK;
    /* of one that failed nobody knows whether it was done */
    if (result == KUBE_OK || result == KUBE_FAILED)
        p->memory->status_written_ms = clock_mono_ms(p->c->o.clock);
    return settled(p, result, o, "cannot write the status", &e);
}

bool pass_has_drift(const struct pass *p, size_t setting)
{
    return p->memory->drifted_generation[setting] == p->generation;
}

void pass_note_verdict(struct pass *p, const struct verdict *v)
{
    p->has_error = v->is_error;
    p->is_terminal = v->is_stalled;
}

bool reconcile_has_flag(const struct kube_object *o, const char *annotation)
{
    return str_eq_cstr(kube_object_annotation(o, annotation), "true");
}

bool pass_is_paused(const struct pass *p)
{
    return reconcile_has_flag(p->object, API_ANNOTATION_PAUSED);
}

bool pass_is_read_only(const struct pass *p)
{
    return reconcile_has_flag(p->object, API_ANNOTATION_READ_ONLY);
}

void pass_come_again(struct pass *p, int64_t delay_ms)
{
    if (delay_ms > 0 && (p->again_ms == 0 || delay_ms < p->again_ms))
        p->again_ms = delay_ms;
}

void pass_retry_later(struct pass *p)
{
    struct memory *m = p->memory;
    int shift = m->failures < 16 ? m->failures : 16;
    int64_t delay = (int64_t)AWS_RETRY_MIN_MS << shift;
    if (delay > AWS_RETRY_MAX_MS)
        delay = AWS_RETRY_MAX_MS;
    m->failures++;
    m->retry_at_ms = clock_mono_ms(p->c->o.clock) + delay;
    m->retry_generation = p->generation;
    pass_come_again(p, delay);
}

bool pass_must_wait(struct pass *p)
{
    const struct memory *m = p->memory;
    int64_t left = m->retry_at_ms - clock_mono_ms(p->c->o.clock);
    if (m->retry_at_ms == 0 || m->retry_generation != p->generation || left <= 0)
        return false;
    pass_come_again(p, left);
    return true;
}

void pass_succeeded(struct pass *p)
{
    p->memory->failures = 0;
    p->memory->retry_at_ms = 0;
}

struct aws_scope pass_scope(struct pass *p)
{
    struct aws_scope scope = {
        .stopper = &p->c->stopper,
        .user_agent_suffix = arena_printf(&p->arena, " reconcile/%s", p->id),
    };
    /* no call lasts longer than this process is certain to lead */
    if (p->c->lease != NULL)
        scope.deadline_mono_ms = clock_mono_ms(p->c->o.clock) + kube_lease_left_ms(p->c->lease);
    return scope;
}

/* Asks for a read on behalf of the annotation's value, once. */
static void request(struct pass *p, struct registry *registry, struct str wanted, uint64_t instance,
                    bool with_repositories)
{
    struct memory *m = p->memory;
    bool is_new = m->requested == NULL || !str_eq_cstr(wanted, m->requested);
    if (!is_new && m->requested_instance == instance)
        return;
    if (is_new) {
        mem_free(m->requested);
        m->requested = mem_dup(wanted.ptr, wanted.len);
        /* whoever asks has reason to think that it would go better now */
        m->refused_generation = -1;
        m->is_not_converging = false;
        memset(m->contention, 0, sizeof m->contention);
        pass_succeeded(p);
    }
    m->requested_instance = instance;
    m->requested_sequence =
        registry != NULL ? registry_request_read(registry, with_repositories) : 0;
}

struct str pass_handled(struct pass *p, struct registry *registry, struct str last_handled,
                        bool with_repositories)
{
    struct str wanted = arena_copy(
        &p->arena, kube_object_annotation(p->object, API_ANNOTATION_RECONCILE_REQUESTED));
    wanted = str_cut_utf8(wanted, REQUESTED_AT_MAX);
    if (str_is_null(wanted) || str_eq(wanted, last_handled))
        return last_handled;
    struct registry_state state = {0};
    if (registry != NULL)
        registry_state(registry, &p->arena, &state);
    request(p, registry, wanted, state.instance, with_repositories);
    if (registry == NULL)
        return wanted;
    return state.sequence >= p->memory->requested_sequence ? wanted : last_handled;
}
