// SPDX-License-Identifier: Apache-2.0
/*
 * Carrying out what was decided for a RepositoryCreationTemplate.
 *
 * The order of writes is what makes a crash at any point harmless: finalizer, then ownership in
 * the status, then Create, then AWS's date in the status. Every write to AWS is one log line.
 */
#include "base/mem.h"
#include "template_priv.h"

#include <string.h>

static const char *const metric_kind[] = {"repositorycreationtemplate"};

/* --- saying it ---------------------------------------------------------------------------------
 */

static void event(struct template_pass *t, enum kube_event_type type, const char *reason,
                  const char *action, struct str note)
{
    kube_event(t->p->c->recorder, t->p->object, type, reason, action, note);
}

/* A warning, said once: the condition says it for as long as it lasts. */
static void warn(struct template_pass *t, const char *reason, const char *action,
                 const struct verdict *v)
{
    if (verdict_is_news(v, &t->before.conditions))
        event(t, KUBE_EVENT_WARNING, reason, action, v->message);
}

/* "imageTagMutability (desired IMMUTABLE, observed MUTABLE), …", short enough for a message. */
static struct str describe(struct template_pass *t, const struct schema_diff *diff)
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

static struct str field_names(struct template_pass *t, const struct schema_diff *diff)
{
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
    for (size_t i = 0; i < diff->count; i++)
        buf_printf(&b, "%s%.*s", i != 0 ? "," : "", STR_ARG(diff->items[i].field));
    return arena_copy(&t->p->arena, buf_str(&b));
}

static void log_write_to_aws(struct template_pass *t, const char *operation, struct str changed,
                             const char *request_id)
{
    log_info(t->p->c->o.log, "wrote to ECR", KV("object", t->p->key),
             KV_CSTR("operation", operation), KV("prefix", t->prefix), KV("changed", changed),
             KV_CSTR("requestID", request_id), KV_CSTR("reconcileID", t->p->id));
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

static bool finish(struct template_pass *t, const struct verdict *v)
{
    if (!kube_object_is_deleting(t->p->object) &&
        !pass_set_finalizer(t->p, template_wants_finalizer(&t->facts)))
        return false;
    (void)template_apply_status(t, v);
    return false;
}

/* A call to AWS failed. is_spec_at_fault: an answer that calls the request invalid means the spec.
 */
static bool fail(struct template_pass *t, const char *operation, const struct err *e,
                 bool is_spec_at_fault)
{
    struct pass *p = t->p;
    if (e->cls == ERR_CANCELLED)
        return false;
    if (strcmp(e->reason, "RateLimited") == 0) {
        /* not sent: others were before us, and our time to lead is short */
        pass_come_again(p, AWS_RETRY_MIN_MS);
        return false;
    }
    struct verdict v = verdict_from_error(e, &p->arena);
    log_warn(p->c->o.log, "a call to ECR failed", KV("object", p->key),
             KV_CSTR("operation", operation), KV_CSTR("class", err_class_name(e->cls)),
             KV_CSTR("reason", e->reason), KV_CSTR("reconcileID", p->id), KV_ERR(e));
    if (v.is_stalled && is_spec_at_fault) {
        p->memory->refused_generation = p->generation;
        mem_free(p->memory->refused_message);
        p->memory->refused_message = mem_dup(v.message.ptr, v.message.len);
    } else {
        if (v.is_stalled) {
            v.reason = API_REASON_AWS_ERROR;
            v.is_stalled = false;
            v.is_reconciling = true;
        }
        pass_retry_later(p);
    }
    warn(t, v.reason, operation, &v);
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    return finish(t, &v);
}

/* ECR refused this very spec as invalid: it is not asked again. */
static bool stop_if_refused(struct template_pass *t)
{
    struct memory *m = t->p->memory;
    if (m->refused_generation != t->p->generation)
        return false;
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_INVALID_SPEC,
        .message = str_from(m->refused_message),
        .is_stalled = true,
        .is_error = true,
    };
    (void)finish(t, &v);
    return true;
}

/* --- nothing to write to AWS -------------------------------------------------------------------
 */

static bool in_sync(struct template_pass *t)
{
    struct verdict v = available(t);
    t->status.drift = (struct schema_list){0};
    pass_succeeded(t->p);
    return finish(t, &v);
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
        warn(t, "DeleteFailed", "Delete", &v);
    pass_come_again(p, WAIT_MAX_MS);
    (void)template_apply_status(t, &v);
    return false;
}

static void disown(struct template_pass *t)
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
    warn(t, API_REASON_CONFLICT, "Reconcile", &v);
    disown(t);
    t->status.drift = (struct schema_list){0};
    return finish(t, &v);
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
                                STR_ARG(describe(t, &t->diff)));
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_ALREADY_EXISTS,
        .message = arena_printf(
            &p->arena, "ECR has a template for prefix %.*s that Berth did not create; %.*s",
            STR_ARG(t->prefix), STR_ARG(what)),
        .is_stalled = true,
        .is_error = true,
    };
    disown(t);
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    warn(t, API_REASON_ALREADY_EXISTS, "Adopt", &v);
    return finish(t, &v);
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
                               STR_ARG(describe(t, &t->diff)))
                : arena_printf(&p->arena, "read-only, and ECR has no template for prefix %.*s",
                               STR_ARG(t->prefix)),
    };
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    warn(t, API_REASON_DRIFT_DETECTED, "Compare", &v);
    return finish(t, &v);
}

static bool not_converging(struct template_pass *t)
{
    struct verdict v = {
        .ready = "False",
        .reason = API_REASON_NOT_CONVERGING,
        .message = arena_printf(&t->p->arena,
                                "ECR answers an update with other values than were sent: %.*s. "
                                "Declare what ECR makes of them",
                                STR_ARG(describe(t, &t->diff))),
        .is_stalled = true,
        .is_error = true,
    };
    t->status.drift = api_drift_from_diff(&t->diff, &t->p->arena);
    return finish(t, &v);
}

/* --- ownership ---------------------------------------------------------------------------------
 */

static void own(struct template_pass *t, const char *origin, struct schema_i64 created_at)
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

static struct verdict working(const char *reason, const char *what)
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
static bool is_registry_held(struct template_pass *t)
{
    if (t->access.has_finalizer)
        return true;
    reconcile_queue_registry(t->p->c, t->registry, 0);
    pass_come_again(t->p, REGISTRY_HELD_MS);
    return false;
}

static bool adopt(struct template_pass *t)
{
    if (!is_registry_held(t))
        return false;
    own(t, API_ORIGIN_ADOPTED, t->aws.value->created_at);
    if (!pass_set_finalizer(t->p, template_wants_finalizer(&t->facts)))
        return false;
    struct verdict v = t->facts.is_different
                           ? working(API_REASON_PROGRESSING, "adopted; being updated")
                           : available(t);
    t->status.drift = (struct schema_list){0};
    if (!template_apply_status(t, &v))
        return false;
    log_info(t->p->c->o.log, "adopted a template", KV("object", t->p->key), KV("prefix", t->prefix),
             KV_CSTR("reconcileID", t->p->id));
    event(t, KUBE_EVENT_NORMAL, "Adopted", "Adopt",
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
    struct verdict v = working(API_REASON_PROGRESSING, "taken over; being compared");
    if (!template_apply_status(t, &v))
        return false;
    event(t, KUBE_EVENT_NORMAL, "TakenOver", "Adopt",
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
                           ? working(API_REASON_PROGRESSING, "created; being updated")
                           : available(t);
    return template_apply_status(t, &v) && t->facts.is_different;
}

/* --- writing to AWS ----------------------------------------------------------------------------
 */

/* AWS answered a write with what it has now. */
static bool written(struct template_pass *t)
{
    struct memory *m = t->p->memory;
    pass_succeeded(t->p);
    template_gather_aws(t);
    m->is_not_converging = t->facts.is_different;
    if (!t->facts.is_different)
        return in_sync(t);
    m->converging_generation = t->p->generation;
    m->converging_updated_at =
        t->aws.value != NULL && t->aws.value->updated_at.has ? t->aws.value->updated_at.value : 0;
    return not_converging(t);
}

/* AWS has it though it was not there when we looked. It is read live, and the decision is made
 * again with it: as ours where an earlier attempt of ours may have made it, else as one that is
 * there already, which asks the adoption policy. */
static bool created_meanwhile(struct template_pass *t, bool may_be_ours)
{
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(t->p);
    struct registry_template live BERTH_CLEANUP(registry_template_fini) = {0};
    enum registry_result result =
        registry_template_read(t->access.registry, t->prefix, &scope, &live, &e);
    if (result == REGISTRY_FAILED)
        return fail(t, "DescribeRepositoryCreationTemplates", &e, false);
    if (!may_be_ours) {
        t->status.ownership = (struct api_ownership){0};
        t->facts.has_ownership = false;
    }
    if (result == REGISTRY_OK)
        return true;
    pass_come_again(t->p, AWS_RETRY_MIN_MS);
    return false;
}

/* The answer says for certain that nothing was made: the object owns nothing, or what somebody
 * makes there later would be taken for ours. */
static bool is_certain(const struct err *e, int attempts, bool was_pending)
{
    if (was_pending || attempts > 1)
        return false;
    return attempts == 0 || e->cls == ERR_DENIED || e->cls == ERR_INVALID || e->cls == ERR_QUOTA ||
           e->cls == ERR_CREDENTIALS || e->cls == ERR_THROTTLED;
}

static bool create(struct template_pass *t)
{
    struct pass *p = t->p;
    if (stop_if_refused(t) || pass_must_wait(p) || !is_registry_held(t))
        return false;
    bool is_again = t->facts.has_ownership && t->facts.owned_created_at != 0;
    bool was_pending = t->facts.has_ownership && !is_again; /* by a pass that did not end */
    if (!t->facts.has_ownership || is_again)
        own(t, API_ORIGIN_CREATED, (struct schema_i64){0});
    if (!pass_set_finalizer(p, template_wants_finalizer(&t->facts)))
        return false;
    struct verdict v = working(API_REASON_CREATING, "being created in ECR");
    t->status.drift = (struct schema_list){0};
    if (!template_apply_ownership(t, &v) || !reconcile_leads(p->c))
        return false;
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(p);
    char request_id[AWS_REQUEST_ID_MAX + 1];
    int attempts = 0;
    enum registry_result result =
        registry_template_create(t->access.registry, &t->spec, &scope, &attempts, request_id, &e);
    if (result == REGISTRY_EXISTS)
        return created_meanwhile(t, was_pending || attempts > 1);
    if (result != REGISTRY_OK) {
        if (is_certain(&e, attempts, was_pending))
            disown(t);
        return fail(t, "CreateRepositoryCreationTemplate", &e, true);
    }
    log_write_to_aws(t, "CreateRepositoryCreationTemplate", STR("all"), request_id);
    if (is_again) {
        metric_add(p->c->drift_detected, metric_kind, 1);
        metric_add(p->c->drift_corrected, metric_kind, 1);
    }
    template_gather_aws(t);
    if (t->facts.is_in_aws)
        t->status.ownership.created_at = t->aws.value->created_at;
    event(t, KUBE_EVENT_NORMAL, is_again ? "DriftCorrected" : "Created", "Create",
          arena_printf(&p->arena, "created the template for prefix %.*s in registry %.*s%s",
                       STR_ARG(t->prefix), STR_ARG(t->status.registry_id),
                       is_again ? "; it was missing" : ""));
    return written(t);
}

/* Did AWS change, or the spec? */
static bool is_drift(const struct template_pass *t)
{
    const struct api_condition *ready =
        api_condition_find(&t->before.conditions, API_CONDITION_READY);
    return ready != NULL && ready->observed_generation.has &&
           ready->observed_generation.value == t->p->generation &&
           str_eq_cstr(ready->status, "True");
}

static bool update(struct template_pass *t)
{
    struct pass *p = t->p;
    if (stop_if_refused(t) || pass_must_wait(p) || !reconcile_leads(p->c))
        return false;
    bool was_drift = is_drift(t);
    struct str changed = field_names(t, &t->diff);
    struct str description = describe(t, &t->diff);
    if (was_drift)
        metric_add(p->c->drift_detected, metric_kind, 1);
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(p);
    char request_id[AWS_REQUEST_ID_MAX + 1];
    enum registry_result result = registry_template_update(
        t->access.registry, &t->spec, t->aws.value->spec.prefix, &scope, request_id, &e);
    if (result == REGISTRY_NOT_FOUND)
        return true; /* it vanished since it was read, which is known now: decide again */
    if (result != REGISTRY_OK)
        return fail(t, "UpdateRepositoryCreationTemplate", &e, true);
    log_write_to_aws(t, "UpdateRepositoryCreationTemplate", changed, request_id);
    if (was_drift)
        metric_add(p->c->drift_corrected, metric_kind, 1);
    event(t, KUBE_EVENT_NORMAL, was_drift ? "DriftCorrected" : "Updated", "Update", description);
    return written(t);
}

static bool release(struct template_pass *t)
{
    if (t->facts.is_in_aws && t->facts.has_ownership && !t->facts.has_lost_claim)
        event(t, KUBE_EVENT_NORMAL, "Released", "Delete",
              arena_printf(&t->p->arena, "the template for prefix %.*s stays in ECR",
                           STR_ARG(t->prefix)));
    (void)pass_set_finalizer(t->p, false);
    return false;
}

/* Only what the object owns is deleted: AWS is asked once more, past the snapshot. */
static bool delete_template(struct template_pass *t)
{
    struct pass *p = t->p;
    if (pass_must_wait(p) || !reconcile_leads(p->c))
        return false;
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(p);
    struct registry_template live BERTH_CLEANUP(registry_template_fini) = {0};
    enum registry_result result =
        registry_template_read(t->access.registry, t->prefix, &scope, &live, &e);
    if (result == REGISTRY_FAILED)
        return fail(t, "DescribeRepositoryCreationTemplates", &e, false);
    if (result == REGISTRY_NOT_FOUND)
        return release(t);
    bool is_same = live.value->created_at.has == t->aws.value->created_at.has &&
                   live.value->created_at.value == t->aws.value->created_at.value;
    if (!is_same)
        return true; /* created anew since: decide again with what was read */
    char request_id[AWS_REQUEST_ID_MAX + 1];
    result = registry_template_delete(t->access.registry, live.value->spec.prefix, &scope,
                                      request_id, &e);
    if (result == REGISTRY_FAILED)
        return fail(t, "DeleteRepositoryCreationTemplate", &e, false);
    if (result == REGISTRY_OK) {
        log_write_to_aws(t, "DeleteRepositoryCreationTemplate", STR("all"), request_id);
        event(t, KUBE_EVENT_NORMAL, "Deleted", "Delete",
              arena_printf(&p->arena, "deleted the template for prefix %.*s in registry %.*s",
                           STR_ARG(t->prefix), STR_ARG(t->status.registry_id)));
    }
    (void)pass_set_finalizer(p, false);
    return false;
}

bool template_act(struct template_pass *t, enum template_action action)
{
    switch (action) {
    case TEMPLATE_IN_SYNC:
        return in_sync(t);
    case TEMPLATE_WAIT:
        return wait_for_registry(t);
    case TEMPLATE_CONFLICT:
        return conflict(t);
    case TEMPLATE_CREATE:
        return create(t);
    case TEMPLATE_COMPLETE:
        return complete(t);
    case TEMPLATE_ADOPT:
        return adopt(t);
    case TEMPLATE_REFUSE:
        return refuse(t);
    case TEMPLATE_UPDATE:
        return update(t);
    case TEMPLATE_REPORT_DRIFT:
        return report_drift(t);
    case TEMPLATE_NOT_CONVERGING:
        return not_converging(t);
    case TEMPLATE_DELETE:
        return delete_template(t);
    case TEMPLATE_RELEASE:
        return release(t);
    case TEMPLATE_HAND_OVER:
        return hand_over(t);
    case TEMPLATE_INHERIT:
        return inherit(t);
    }
    return false;
}
