// SPDX-License-Identifier: Apache-2.0
/*
 * The writes to AWS for a RepositoryCreationTemplate: create, update, delete, and what their
 * failures mean. The order of writes is what makes a crash at any point harmless: finalizer, then
 * ownership in the status, then Create, then AWS's date in the status. Each is one log line.
 */
#include "base/mem.h"
#include "template_priv.h"

#include <string.h>

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
    template_warn(t, v.reason, operation, &v);
    t->status.drift = api_drift_from_diff(&t->diff, &p->arena);
    return template_finish(t, &v);
}

/* ECR refused this very spec as invalid: it is not asked again. */
static bool stop_if_refused(struct template_pass *t)
{
    struct memory *m = t->p->memory;
    if (m->refused_generation != t->p->generation)
        return false;
    struct verdict v = verdict_invalid(m->refused_message);
    (void)template_finish(t, &v);
    return true;
}

/* AWS answered a write with what it has now. */
static bool written(struct template_pass *t)
{
    struct memory *m = t->p->memory;
    pass_succeeded(t->p);
    template_gather_aws(t);
    m->is_not_converging = t->facts.is_different;
    if (!t->facts.is_different)
        return template_in_sync(t);
    m->converging_generation = t->p->generation;
    m->converging_updated_at =
        t->aws.value != NULL && t->aws.value->updated_at.has ? t->aws.value->updated_at.value : 0;
    return template_not_converging(t);
}

static bool is_created_at(const struct api_template_observed *live, const struct api_ownership *own)
{
    return live->created_at.has == own->created_at.has &&
           live->created_at.value == own->created_at.value;
}

/* AWS has it though it was not there when we looked. It is read live, and the decision is made
 * again with it: as ours where an earlier attempt of ours may have made it, else as one that is
 * there already, which asks the adoption policy. */
static bool created_meanwhile(struct template_pass *t, const struct api_ownership *before,
                              bool may_be_ours)
{
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(t->p);
    struct registry_template live BERTH_CLEANUP(registry_template_fini) = {0};
    enum registry_result result =
        registry_template_read(t->access.registry, t->prefix, &scope, &live, &e);
    /* it was there all the time and what we read was old, or nobody knows: one that is not the one
     * that is owned is mended, and never deleted */
    if (before->has && (result != REGISTRY_OK || is_created_at(live.value, before)))
        t->status.ownership = *before;
    else if (!may_be_ours)
        template_disown(t);
    if (result == REGISTRY_FAILED)
        return fail(t, "DescribeRepositoryCreationTemplates", &e, false);
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

bool template_create(struct template_pass *t)
{
    struct pass *p = t->p;
    if (stop_if_refused(t) || pass_must_wait(p) || !template_is_registry_held(t))
        return false;
    bool is_again = t->facts.has_ownership && t->facts.owned_created_at != 0;
    bool was_pending = t->facts.has_ownership && !is_again; /* by a pass that did not end */
    /* of one that vanished: ours still, should it turn up again */
    struct api_ownership before = is_again ? t->status.ownership : (struct api_ownership){0};
    if (is_again)
        measure_drift_seen(p, 0, false);
    if (!t->facts.has_ownership || is_again)
        template_own(t, API_ORIGIN_CREATED, (struct schema_i64){0});
    /* nothing that is as young as the one that was ours is somebody else's from before: not that
     * one itself, should the read that did not show it have been old */
    if (is_again)
        t->status.ownership.since.value = t->facts.owned_created_at / 1000 * 1000;
    if (!pass_set_finalizer(p, template_wants_finalizer(&t->facts)))
        return false;
    struct verdict v = template_working(API_REASON_CREATING, "being created in ECR");
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
        return created_meanwhile(t, &before, was_pending || attempts > 1);
    if (result != REGISTRY_OK) {
        if (is_certain(&e, attempts, was_pending)) {
            if (is_again)
                t->status.ownership = before;
            else
                template_disown(t);
        }
        return fail(t, "CreateRepositoryCreationTemplate", &e, true);
    }
    log_write_to_aws(t, "CreateRepositoryCreationTemplate", STR("all"), request_id);
    if (is_again)
        measure_drift_mended(p);
    template_gather_aws(t);
    if (t->facts.is_in_aws)
        t->status.ownership.created_at = t->aws.value->created_at;
    template_event(t, KUBE_EVENT_NORMAL, is_again ? "DriftCorrected" : "Created", "Create",
                   arena_printf(&p->arena,
                                "created the template for prefix %.*s in registry %.*s%s",
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
           (str_eq_cstr(ready->status, "True") || str_eq_cstr(ready->reason, API_REASON_CONTENDED));
}

/* A rival undid the last mends: the next one has to wait. */
static bool must_give_way(struct template_pass *t)
{
    struct contention *c = &t->p->memory->contention[0];
    int64_t now_ms = clock_mono_ms(t->p->c->o.clock);
    int64_t wait_ms = contention_wait_ms(c, now_ms, t->access.drift_interval_ms);
    if (wait_ms == 0)
        return false;
    pass_come_again(t->p, wait_ms);
    if (contention_is_told(c, now_ms, t->access.drift_interval_ms)) {
        struct verdict v = template_contended(t);
        template_warn(t, API_REASON_CONTENDED, "Update", &v);
        t->status.drift = api_drift_from_diff(&t->diff, &t->p->arena);
        (void)template_finish(t, &v);
    }
    return true;
}

bool template_update(struct template_pass *t)
{
    struct pass *p = t->p;
    if (stop_if_refused(t) || pass_must_wait(p) || !reconcile_leads(p->c))
        return false;
    bool was_drift = is_drift(t) || pass_has_drift(p, 0);
    if (was_drift)
        measure_drift_seen(p, 0, false);
    if (was_drift && must_give_way(t))
        return false;
    struct str changed = field_names(t, &t->diff);
    struct str description = template_describe(t, &t->diff);
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
    if (was_drift) {
        measure_drift_mended(p);
        contention_mended(&p->memory->contention[0], clock_mono_ms(p->c->o.clock));
    }
    template_event(t, KUBE_EVENT_NORMAL, was_drift ? "DriftCorrected" : "Updated", "Update",
                   description);
    return written(t);
}

/* Only what the object owns is deleted: AWS is asked once more, past the snapshot. */
bool template_delete(struct template_pass *t)
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
        return template_release(t);
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
        template_event(t, KUBE_EVENT_NORMAL, "Deleted", "Delete",
                       arena_printf(&p->arena,
                                    "deleted the template for prefix %.*s in registry %.*s",
                                    STR_ARG(t->prefix), STR_ARG(t->status.registry_id)));
    }
    (void)pass_set_finalizer(p, false);
    return false;
}

bool template_look(struct template_pass *t)
{
    const struct template_facts *f = &t->facts;
    bool is_pending = template_wants_finalizer(f) && f->owned_created_at == 0;
    if (!f->is_deleting || !is_pending || f->is_in_aws || f->has_lost_claim || f->has_heir ||
        f->gate != GATE_OPEN)
        return true;
    if (pass_must_wait(t->p) || !reconcile_leads(t->p->c))
        return false;
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(t->p);
    struct registry_template live BERTH_CLEANUP(registry_template_fini) = {0};
    if (registry_template_read(t->access.registry, t->prefix, &scope, &live, &e) == REGISTRY_FAILED)
        return fail(t, "DescribeRepositoryCreationTemplates", &e, false);
    template_gather_aws(t);
    return true;
}
