// SPDX-License-Identifier: Apache-2.0
/*
 * Carrying out what was decided for a RepositoryCreationTemplate, as far as it needs no write to
 * AWS (those are in template_write.c): what is said in status and events, ownership, adoption,
 * hand-over.
 */
#include "base/mem.h"
#include "template_priv.h"

#include <string.h>

/* --- saying it ---------------------------------------------------------------------------------
 */

void template_event(struct template_pass *t, enum kube_event_type type, const char *reason,
                    const char *action, struct str note)
{
    kube_event(t->p->c->recorder, t->p->object, type, reason, action, note);
}

void template_warn(struct template_pass *t, const char *reason, const char *action,
                   const struct verdict *v)
{
    if (!verdict_is_news(v, &t->before.conditions))
        return; /* the condition says it for as long as it lasts */
    t->warning.reason = reason;
    t->warning.action = action;
    t->warning.note = v->message;
}

/* "imageTagMutability (desired IMMUTABLE, observed MUTABLE), …", short enough for a message. */
struct str template_describe(struct template_pass *t, const struct schema_diff *diff)
{
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
    for (size_t i = 0; i < diff->count && i < 5; i++) {
        const struct schema_difference *d = &diff->items[i];
        struct str desired = str_cut_utf8(d->desired, 60);
        struct str observed = str_cut_utf8(d->observed, 60);
        buf_printf(&b, "%s%.*s (desired %.*s, observed %.*s)", i != 0 ? ", " : "",
                   STR_ARG(d->field), STR_ARG(str_is_null(desired) ? STR("nothing") : desired),
                   STR_ARG(str_is_null(observed) ? STR("nothing") : observed));
    }
    if (diff->count > 5)
        buf_printf(&b, " and %zu more", diff->count - 5);
    return arena_copy(&t->p->arena, buf_str(&b));
}

static struct verdict available(struct template_pass *t)
{
    return (struct verdict){
        .ready = "True",
        .reason = API_REASON_AVAILABLE,
        .message = t->facts.has_ownership
                       ? STR("the template in ECR is as declared")
                       : STR("the template in ECR is as declared; read-only, and not owned"),
    };
}

bool template_finish(struct template_pass *t, const struct verdict *v)
{
    if (!kube_object_is_deleting(t->p->object) &&
        !pass_set_finalizer(t->p, template_wants_finalizer(&t->facts)))
        return false;
    (void)template_apply_status(t, v);
    return false;
}

/* --- nothing to write to AWS -------------------------------------------------------------------
 */

static int64_t mono_ms(const struct template_pass *t)
{
    return clock_mono_ms(t->p->c->o.clock);
}

struct verdict template_contended(struct template_pass *t)
{
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_CONTENDED,
        .message =
            arena_printf(&t->p->arena,
                         "somebody else undoes what is mended for prefix %.*s; find out who in "
                         "CloudTrail. It is mended ever more seldom until one gives way",
                         STR_ARG(t->prefix)),
        .is_reconciling = true,
        .is_error = true,
    };
}

bool template_in_sync(struct template_pass *t)
{
    struct verdict v = available(t);
    measure_no_drift(t->p, 0);
    struct contention *c = &t->p->memory->contention[0];
    if (contention_is_told(c, mono_ms(t), t->access.drift_interval_ms)) {
        pass_succeeded(t->p);
        v = template_contended(t);
        return template_finish(t, &v);
    }
    t->status.drift = (struct schema_list){0};
    pass_succeeded(t->p);
    return template_finish(t, &v);
}

static bool wait_for_registry(struct template_pass *t)
{
    struct pass *p = t->p;
    bool is_deleting = t->facts.is_deleting;
    /* its first read is under way: that is news in a moment, not a state */
    if (t->access.gate == GATE_FRESH && !is_deleting)
        return false;
    bool is_current =
        t->before.observed_generation.has && t->before.observed_generation.value == p->generation;
    if (t->access.gate == GATE_FAILING && !t->facts.has_read && is_current && !is_deleting)
        return false; /* nothing says that work waits: the RegistrySettings tells of the failure */
    bool is_missing = t->access.gate == GATE_MISSING;
    struct str message =
        is_missing
            ? arena_printf(&p->arena,
                           "RegistrySettings \"%.*s\" does not exist; create it or correct "
                           "spec.registryRef",
                           STR_ARG(t->registry))
            : arena_printf(&p->arena, "RegistrySettings \"%.*s\" is not ready: %s",
                           STR_ARG(t->registry),
                           t->access.gate == GATE_FRESH ? "it is being read" : t->access.message);
    if (is_deleting) {
        message = arena_printf(&p->arena,
                               "deletion waits: %.*s. To leave the template in ECR and go on, set "
                               "spec.deletionPolicy: Retain",
                               STR_ARG(message));
    }
    struct verdict v = {
        .ready = "False",
        .reason = is_missing ? API_REASON_REGISTRY_NOT_FOUND : API_REASON_REGISTRY_NOT_READY,
        .message = message,
        .is_reconciling = true,
        .is_error = true,
    };
    if (is_deleting && t->access.gate != GATE_FRESH)
        template_warn(t, "DeleteFailed", "Delete", &v);
    pass_come_again(p, WAIT_MAX_MS);
    (void)template_apply_status(t, &v);
    return false;
}

void template_disown(struct template_pass *t)
{
    t->status.ownership = (struct api_ownership){0};
    t->facts.has_ownership = false;
}

static bool conflict(struct template_pass *t)
{
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_CONFLICT,
        .message = arena_printf(&t->p->arena,
                                "prefix %.*s of registry \"%.*s\" belongs to "
                                "RepositoryCreationTemplate \"%.*s\"; delete one of the two",
                                STR_ARG(t->prefix), STR_ARG(t->registry), STR_ARG(t->winner)),
        .is_stalled = true,
        .is_error = true,
    };
    template_warn(t, API_REASON_CONFLICT, "Reconcile", &v);
    template_disown(t);
    t->status.drift = (struct schema_list){0};
    return template_finish(t, &v);
}

static bool refuse(struct template_pass *t)
{
    struct pass *p = t->p;
    bool is_never = t->facts.adoption == API_ADOPT_NEVER;
    struct str what =
        is_never ? STR("spec.adoptionPolicy is Never. Set it to IfEqual or Always to take the "
                       "template over, or delete it in ECR")
                 : arena_printf(&p->arena,
                                "it differs: %.*s. Make the spec equal, or set "
                                "spec.adoptionPolicy: Always to overwrite it",
                                STR_ARG(template_describe(t, &t->diff)));
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_ALREADY_EXISTS,
        .message = arena_printf(
            &p->arena, "ECR has a template for prefix %.*s that Berth did not create; %.*s",
            STR_ARG(t->prefix), STR_ARG(what)),
        .is_stalled = true,
        .is_error = true,
    };
    template_disown(t);
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    template_warn(t, API_REASON_ALREADY_EXISTS, "Adopt", &v);
    return template_finish(t, &v);
}

static bool report_drift(struct template_pass *t)
{
    struct pass *p = t->p;
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_DRIFT_DETECTED,
        .message =
            t->facts.is_in_aws
                ? arena_printf(&p->arena, "read-only, and ECR differs: %.*s",
                               STR_ARG(template_describe(t, &t->diff)))
                : arena_printf(&p->arena, "read-only, and ECR has no template for prefix %.*s",
                               STR_ARG(t->prefix)),
    };
    const struct api_condition *ready =
        api_condition_find(&t->before.conditions, API_CONDITION_READY);
    measure_drift_seen(p, 0, ready != NULL && str_eq_cstr(ready->reason, v.reason));
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    template_warn(t, API_REASON_DRIFT_DETECTED, "Compare", &v);
    return template_finish(t, &v);
}

bool template_not_converging(struct template_pass *t)
{
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_NOT_CONVERGING,
        .message = arena_printf(&t->p->arena,
                                "ECR answers an update with other values than were sent: %.*s. "
                                "Declare what ECR makes of them",
                                STR_ARG(template_describe(t, &t->diff))),
        .is_stalled = true,
        .is_error = true,
    };
    t->status.drift = api_drift_from_diff(&t->diff, &t->p->arena);
    return template_finish(t, &v);
}

/* --- ownership ---------------------------------------------------------------------------------
 */

void template_own(struct template_pass *t, const char *origin, struct schema_i64 created_at)
{
    t->status.ownership = (struct api_ownership){
        .has = true,
        .origin = str_from(origin),
        .since = {true, t->p->now_ms / 1000 * 1000},
        .created_at = created_at,
    };
    t->facts.has_ownership = true;
    t->facts.is_adopted = strcmp(origin, API_ORIGIN_ADOPTED) == 0;
}

struct verdict template_working(const char *reason, const char *what)
{
    return (struct verdict){
        .ready = "False",
        .reason = reason,
        .message = str_from(what),
        .is_reconciling = true,
    };
}

/* Before an object owns anything, its RegistrySettings carries the finalizer that makes its
 * deletion wait: else both could go at once, and nobody would be left to delete the template. */
bool template_is_registry_held(struct template_pass *t)
{
    if (t->access.has_finalizer)
        return true;
    reconcile_queue_registry(t->p->c, t->registry, 0);
    pass_come_again(t->p, REGISTRY_HELD_MS);
    return false;
}

static bool adopt(struct template_pass *t)
{
    if (!template_is_registry_held(t))
        return false;
    template_own(t, API_ORIGIN_ADOPTED, t->aws.value->created_at);
    if (!pass_set_finalizer(t->p, template_wants_finalizer(&t->facts)))
        return false;
    struct verdict v = t->facts.is_different
                           ? template_working(API_REASON_PROGRESSING, "adopted; being updated")
                           : available(t);
    t->status.drift = (struct schema_list){0};
    if (!template_apply_status(t, &v))
        return false;
    log_info(t->p->c->o.log, "adopted a template", KV("object", t->p->key), KV("prefix", t->prefix),
             KV_CSTR("reconcileID", t->p->id));
    template_event(t, KUBE_EVENT_NORMAL, "Adopted", "Adopt",
                   arena_printf(&t->p->arena, "the template for prefix %.*s was in ECR already",
                                STR_ARG(t->prefix)));
    return t->facts.is_different;
}

/* From the owner that is being deleted, without touching AWS. */
static bool inherit(struct template_pass *t)
{
    t->status.ownership = t->inheritance;
    t->facts.has_ownership = true;
    t->facts.is_adopted = str_eq_cstr(t->inheritance.origin, API_ORIGIN_ADOPTED);
    if (!pass_set_finalizer(t->p, template_wants_finalizer(&t->facts)))
        return false;
    struct verdict v = template_working(API_REASON_PROGRESSING, "taken over; being compared");
    if (!template_apply_status(t, &v))
        return false;
    template_event(
        t, KUBE_EVENT_NORMAL, "TakenOver", "Adopt",
        arena_printf(&t->p->arena,
                     "prefix %.*s was taken over from RepositoryCreationTemplate \"%.*s\"",
                     STR_ARG(t->prefix), STR_ARG(t->winner)));
    reconcile_queue_template(t->p->c, t->winner);
    return true;
}

static bool hand_over(struct template_pass *t)
{
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_DELETING,
        .message = arena_printf(&t->p->arena,
                                "RepositoryCreationTemplate \"%.*s\" is taking the prefix over",
                                STR_ARG(t->heir)),
        .is_reconciling = true,
    };
    /* its event brings this object back */
    reconcile_queue_template(t->p->c, t->heir);
    pass_come_again(t->p, WAIT_MAX_MS);
    (void)template_apply_status(t, &v);
    return false;
}

static bool complete(struct template_pass *t)
{
    t->status.ownership.created_at = t->aws.value->created_at;
    struct verdict v = t->facts.is_different
                           ? template_working(API_REASON_PROGRESSING, "created; being updated")
                           : available(t);
    return template_apply_status(t, &v) && t->facts.is_different;
}

/* --- writing to AWS ----------------------------------------------------------------------------
 */

bool template_release(struct template_pass *t)
{
    if (t->facts.is_in_aws && t->facts.has_ownership && !t->facts.has_lost_claim)
        template_event(t, KUBE_EVENT_NORMAL, "Released", "Delete",
                       arena_printf(&t->p->arena, "the template for prefix %.*s stays in ECR",
                                    STR_ARG(t->prefix)));
    (void)pass_set_finalizer(t->p, false);
    return false;
}

bool template_act(struct template_pass *t, enum template_action action)
{
    switch (action) {
    case TEMPLATE_IN_SYNC:
        return template_in_sync(t);
    case TEMPLATE_WAIT:
        return wait_for_registry(t);
    case TEMPLATE_CONFLICT:
        return conflict(t);
    case TEMPLATE_CREATE:
        return template_create(t);
    case TEMPLATE_COMPLETE:
        return complete(t);
    case TEMPLATE_ADOPT:
        return adopt(t);
    case TEMPLATE_REFUSE:
        return refuse(t);
    case TEMPLATE_UPDATE:
        return template_update(t);
    case TEMPLATE_REPORT_DRIFT:
        return report_drift(t);
    case TEMPLATE_NOT_CONVERGING:
        return template_not_converging(t);
    case TEMPLATE_DELETE:
        return template_delete(t);
    case TEMPLATE_RELEASE:
        return template_release(t);
    case TEMPLATE_HAND_OVER:
        return hand_over(t);
    case TEMPLATE_INHERIT:
        return inherit(t);
    }
    return false;
}
