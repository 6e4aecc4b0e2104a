// SPDX-License-Identifier: Apache-2.0
/*
 * A pass over one RepositoryCreationTemplate: gather what is known, decide (template_decide.c),
 * act (template_act.c), and say in the status what came of it.
 */
#include "base/mem.h"
#include "json/json.h"
#include "json/write.h"
#include "template_priv.h"

#include <stdio.h>

/* --- gathering ---------------------------------------------------------------------------------
 */

static enum template_deletion deletion_of(struct str policy)
{
    if (str_eq_cstr(policy, "Delete"))
        return DELETION_DELETE;
    return str_eq_cstr(policy, "Retain") ? DELETION_RETAIN : DELETION_ABSENT;
}

/* May it own the prefix: is it live, not held back by an annotation, and valid? */
static bool may_inherit(const struct kube_object *o, struct arena *a)
{
    if (kube_object_is_deleting(o) || reconcile_has_flag(o, API_ANNOTATION_PAUSED) ||
        reconcile_has_flag(o, API_ANNOTATION_READ_ONLY))
        return false;
    struct api_template_spec spec;
    struct err e = ERR_INIT;
    return api_template_decode(json_get(kube_object_json(o), "spec"), a, &spec, &e);
}

struct rivals {
    struct claimant *claimants;
    struct kube_object **objects;
    size_t count;
    size_t self;
};

static void rivals_fini(struct rivals *r)
{
    for (size_t i = 0; i < r->count; i++)
        kube_object_unref(r->objects[i]);
}

static struct claimant claimant_of(const struct kube_object *o)
{
    return (struct claimant){
        .name = kube_object_name(o),
        .has_ownership = json_is_object(json_path(kube_object_json(o), "status.ownership")),
        .is_deleting = kube_object_is_deleting(o),
        .created_ms = kube_object_created_unix_ms(o),
    };
}

static void find_rivals(struct template_pass *t, struct rivals *r)
{
    struct pass *p = t->p;
    struct str *names = NULL;
    (void)pthread_mutex_lock(&p->c->mutex);
    size_t count = claims_of_prefix_locked(p->c->claims, t->registry, t->prefix, &p->arena, &names);
    (void)pthread_mutex_unlock(&p->c->mutex);
    r->claimants = arena_new_array(&p->arena, struct claimant, count + 1);
    r->objects = arena_new_array(&p->arena, struct kube_object *, count + 1);
    r->objects[0] = kube_object_ref(p->object);
    r->claimants[0] = claimant_of(p->object);
    r->count = 1;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(names[i], p->name) && !p->is_gone)
            continue; /* of one that is gone, that is another object under its name */
        struct kube_object *o = reconcile_newest_template(p->c, names[i]);
        if (o == NULL)
            continue;
        r->objects[r->count] = o;
        r->claimants[r->count++] = claimant_of(o);
    }
}

static void take_inheritance(struct template_pass *t, const struct kube_object *owner)
{
    struct api_template_status status;
    struct err e = ERR_INIT;
    if (api_template_status_decode(json_get(kube_object_json(owner), "status"), &t->p->arena,
                                   &status, &e) &&
        status.ownership.has)
        t->inheritance = status.ownership;
}

/* What the owner has under way is finished first: both would write to one prefix at the same time,
 * in an order that nobody knows. */
static bool is_owner_at_work(struct template_pass *t)
{
    struct pass *p = t->p;
    struct str key = arena_printf(&p->arena, "template/%.*s", STR_ARG(t->winner));
    if (!workqueue_is_working(p->c->queue, key))
        return false;
    pass_come_again(p, OWNER_AT_WORK_MS);
    return true;
}

/* Who has the prefix, who is next. */
static void gather_claims(struct template_pass *t)
{
    struct rivals r BERTH_CLEANUP(rivals_fini) = {0};
    find_rivals(t, &r);
    if (t->p->is_gone) { /* one that is being deleted, and owns it, sees to it itself */
        for (size_t i = 1; i < r.count; i++)
            t->facts.has_heir |= !r.claimants[i].is_deleting || r.claimants[i].has_ownership;
        return;
    }
    if (r.count == 1)
        return;
    size_t winner = claimants_winner(r.claimants, r.count);
    struct template_facts *f = &t->facts;
    f->has_lost_claim = winner != 0;
    t->winner = arena_copy(&t->p->arena, r.claimants[winner].name);
    struct claimant *heirs = arena_new_array(&t->p->arena, struct claimant, r.count);
    size_t *at = arena_new_array(&t->p->arena, size_t, r.count);
    size_t n = 0;
    for (size_t i = 0; i < r.count; i++) {
        if (i != winner && may_inherit(r.objects[i], &t->p->arena)) {
            at[n] = i;
            heirs[n++] = r.claimants[i];
        }
    }
    if (n == 0)
        return;
    size_t heir = at[claimants_winner(heirs, n)];
    if (winner == 0) {
        f->has_heir = true;
        t->heir = arena_copy(&t->p->arena, r.claimants[heir].name);
    } else if (heir == 0 && r.claimants[winner].is_deleting && !is_owner_at_work(t)) {
        take_inheritance(t, r.objects[winner]);
        f->is_heir = t->inheritance.has;
    }
}

static int64_t value_or_0(struct schema_i64 v)
{
    return v.has ? v.value : 0;
}

static void gather_ownership(struct template_pass *t)
{
    const struct api_ownership *own = &t->status.ownership;
    struct template_facts *f = &t->facts;
    f->has_ownership = own->has;
    f->is_adopted = own->has && str_eq_cstr(own->origin, API_ORIGIN_ADOPTED);
    f->owned_since = value_or_0(own->since);
    f->owned_created_at = value_or_0(own->created_at);
}

void template_gather_aws(struct template_pass *t)
{
    struct template_facts *f = &t->facts;
    registry_template_fini(&t->aws);
    t->diff = (struct schema_diff){0};
    f->is_in_aws = false;
    f->is_different = false;
    f->is_not_converging = false;
    if (t->access.registry == NULL)
        return;
    registry_template_get(t->access.registry, t->prefix, &t->aws);
    f->is_in_aws = t->aws.value != NULL;
    if (!f->is_in_aws)
        return;
    /* deletion needs the date even where the spec is not valid any more */
    f->aws_created_at = value_or_0(t->aws.value->created_at);
    if (!t->is_valid)
        return;
    api_template_diff(&t->spec, &t->aws.value->spec, &t->p->arena, &t->diff);
    f->is_different = t->diff.count != 0;
    const struct memory *m = t->p->memory;
    f->is_not_converging = m->is_not_converging && m->converging_generation == t->p->generation &&
                           m->converging_updated_at == value_or_0(t->aws.value->updated_at);
}

static void gather(struct template_pass *t)
{
    struct template_facts *f = &t->facts;
    *f = (struct template_facts){
        .is_deleting = t->p->is_gone || kube_object_is_deleting(t->p->object),
        .is_gone = t->p->is_gone,
        .is_read_only = pass_is_read_only(t->p) || t->access.is_read_only,
        .gate = t->access.gate,
        .adoption = api_template_adoption(&t->spec),
        .deletion = deletion_of(t->deletion_policy),
    };
    if (t->access.registry != NULL) {
        struct registry_state state;
        registry_state(t->access.registry, &t->p->arena, &state);
        f->has_read = state.has_read;
        if (state.has_read && t->access.gate != GATE_NOT_READY)
            t->status.registry_id = arena_copy(&t->p->arena, str_from(state.registry_id));
    }
    gather_claims(t);
    gather_ownership(t);
    template_gather_aws(t);
    /* a registry that is being deleted serves those it has, and takes no new ones */
    if (t->access.is_terminating && !f->has_ownership && f->gate != GATE_MISSING) {
        f->gate = GATE_NOT_READY;
        (void)snprintf(t->access.message, sizeof t->access.message, "it is being deleted");
    }
}

/* --- status ------------------------------------------------------------------------------------
 */

static struct str encode(struct template_pass *t, const struct api_template_status *status)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(STATUS_MAX);
    struct json_writer w = json_writer_to(&out);
    json_begin_object(&w);
    api_template_status_encode(status, &w);
    json_end(&w);
    return arena_copy(&t->p->arena, buf_str(&out));
}

/* Would only the count change, and did the status a moment ago? Then it can wait. */
static bool can_wait(struct template_pass *t)
{
    struct api_template_status without = t->status;
    without.repositories = t->before.repositories;
    int64_t written_ms = t->p->memory->status_written_ms;
    int64_t since = clock_mono_ms(t->p->c->o.clock) - written_ms;
    if (written_ms == 0 || since >= COUNTS_EVERY_MS || !str_eq(encode(t, &without), t->before_text))
        return false;
    pass_come_again(t->p, COUNTS_EVERY_MS - since);
    return true;
}

static void say_warning(struct template_pass *t)
{
    if (t->warning.reason != NULL)
        template_event(t, KUBE_EVENT_WARNING, t->warning.reason, t->warning.action,
                       t->warning.note);
    t->warning.reason = NULL;
}

static bool apply(struct template_pass *t)
{
    if (t->aws.value != NULL)
        t->status.updated_at = t->aws.value->updated_at;
    if (t->aws.is_covering_known)
        t->status.repositories = (struct schema_i64){true, t->aws.covered};
    struct str text = encode(t, &t->status);
    if (str_eq(text, t->before_text) || can_wait(t))
        return true;
    bool is_to_go_on = pass_apply_status(t->p, text, t->before_text);
    if (t->p->is_status_written)
        say_warning(t);
    if (!is_to_go_on)
        return false;
    t->before = t->status;
    t->before_text = text;
    return true;
}

bool template_apply_status(struct template_pass *t, const struct verdict *v)
{
    struct pass *p = t->p;
    pass_note_verdict(p, v);
    t->status.observed_generation = (struct schema_i64){true, p->generation};
    t->status.conditions =
        conditions_from(v, &t->before.conditions, p->generation, pass_now_ms(p), &p->arena);
    return apply(t);
}

bool template_apply_ownership(struct template_pass *t, const struct verdict *v)
{
    if (t->p->memory->failures == 0)
        return template_apply_status(t, v);
    t->status.observed_generation = t->before.observed_generation;
    t->status.conditions = t->before.conditions;
    return apply(t);
}

static void apply_paused(struct template_pass *t, struct str message)
{
    struct pass *p = t->p;
    t->status.conditions =
        conditions_paused(&t->before.conditions, message, p->generation, pass_now_ms(p), &p->arena);
    (void)pass_apply_status(p, encode(t, &t->status), t->before_text);
}

/* --- the pass ----------------------------------------------------------------------------------
 */

static void template_pass_fini(struct template_pass *t)
{
    registry_template_fini(&t->aws);
    access_fini(&t->access);
}

/* What is needed even of an object whose spec is not valid: the API server has checked these.
 * Copies, because the object is replaced by its newer state during the pass. */
static void read_identity(struct template_pass *t, const struct json *spec)
{
    struct arena *a = &t->p->arena;
    struct str registry = json_str_or_null(json_path(spec, "registryRef.name"));
    t->registry = str_is_empty(registry) ? STR(API_DEFAULT_REGISTRY) : arena_copy(a, registry);
    t->prefix = arena_copy(a, api_prefix_normalise(json_str_or_null(json_get(spec, "prefix"))));
    t->deletion_policy = arena_copy(a, json_str_or_null(json_get(spec, "deletionPolicy")));
}

static bool begin(struct template_pass *t)
{
    struct pass *p = t->p;
    struct err e = ERR_INIT;
    const struct json *object = kube_object_json(p->object);
    if (object == NULL) {
        log_error(p->c->o.log, "object cannot be decoded", KV("object", p->key),
                  KV_CSTR("error", kube_object_undecodable(p->object)));
        return false;
    }
    const struct json *spec = json_get(object, "spec");
    read_identity(t, spec);
    if (!api_template_status_decode(json_get(object, "status"), &p->arena, &t->before, &e)) {
        log_error(p->c->o.log, "status cannot be decoded", KV("object", p->key), KV_ERR(&e));
        return false;
    }
    t->status = t->before;
    t->before_text = encode(t, &t->before);
    t->is_valid = api_template_decode(spec, &p->arena, &t->spec, &t->invalid);
    reconcile_access(p->c, t->registry, &t->access);
    return true;
}

static bool stop_if_paused(struct template_pass *t)
{
    if (pass_is_paused(t->p)) {
        apply_paused(t, STR("paused by annotation " API_ANNOTATION_PAUSED "; remove it to go on"));
        return true;
    }
    if (t->access.is_paused) {
        apply_paused(t, arena_printf(&t->p->arena, "RegistrySettings \"%.*s\" is paused",
                                     STR_ARG(t->registry)));
        return true;
    }
    return false;
}

static bool stop_if_invalid(struct template_pass *t)
{
    if (t->is_valid || kube_object_is_deleting(t->p->object))
        return false;
    struct verdict v = verdict_invalid(t->invalid.msg);
    template_warn(t, v.reason, "Validate", &v);
    (void)template_apply_status(t, &v);
    return true;
}

void reconcile_template(struct pass *p)
{
    struct template_pass t BERTH_CLEANUP(template_pass_fini) = {.p = p};
    if (!begin(&t) || stop_if_paused(&t))
        return;
    if (kube_object_is_deleting(p->object) && !kube_object_has_finalizer(p->object, API_FINALIZER))
        return; /* nothing of ours holds it */
    t.status.last_handled_reconcile_at =
        pass_handled(p, t.access.registry, t.before.last_handled_reconcile_at, false);
    if (stop_if_invalid(&t))
        return;
    /* an action may make the next one possible: adopt, then update */
    for (int step = 0; step < 4; step++) {
        gather(&t);
        if (!template_look(&t) || !template_act(&t, template_decide(&t.facts)))
            return;
    }
    pass_come_again(p, AWS_RETRY_MIN_MS);
}

/* Nothing can be done for it any more. */
static void leave_behind(struct template_pass *t, const char *why)
{
    t->p->is_settled = t->p->is_terminal = true;
    log_warn(t->p->c->o.log, "what an object left in ECR stays there", KV("object", t->p->key),
             KV("prefix", t->prefix), KV_CSTR("reason", why), KV_CSTR("reconcileID", t->p->id));
}

void reconcile_template_gone(struct pass *p)
{
    struct template_pass t BERTH_CLEANUP(template_pass_fini) = {.p = p};
    const char *why = NULL;
    if (!begin(&t))
        why = "Undecodable";
    else if (pass_is_paused(p))
        why = "Paused"; /* and nobody can change that any more */
    else if (t.access.gate == GATE_MISSING)
        why = API_REASON_REGISTRY_NOT_FOUND;
    if (why != NULL)
        leave_behind(&t, why);
    if (why != NULL || t.access.is_paused)
        return;
    for (int step = 0; step < 4; step++) {
        gather(&t);
        if (!template_look(&t))
            return;
        enum template_action action = template_decide(&t.facts);
        if (action == TEMPLATE_WAIT || !template_act(&t, action))
            return;
    }
}
