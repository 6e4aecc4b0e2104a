// SPDX-License-Identifier: Apache-2.0
/*
 * A pass over one RegistrySettings: keeps its registry running with the right configuration, tells
 * the templates through the gate what they may do, keeps the account settings as declared, and
 * waits with its own deletion until no template refers to it.
 */
#include "base/mem.h"
#include "json/json.h"
#include "json/write.h"
#include "settings_priv.h"

#include <stdio.h>
#include <string.h>

/* --- the runtime: registry and gate ------------------------------------------------------------
 */

static void runtime_free(struct runtime *rt)
{
    if (rt->registry != NULL)
        registry_stop(rt->registry);
    registry_unref(rt->registry);
    mem_free(rt->uid);
    mem_free(rt->endpoint);
    mem_free(rt);
}

static void drop_runtime(struct controller *c, struct str name)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = map_remove(c->runtimes, name);
    (void)pthread_mutex_unlock(&c->mutex);
    if (rt != NULL)
        runtime_free(rt);
}

void reconcile_settings_gone(struct controller *c, struct str name)
{
    drop_runtime(c, name);
    reconcile_queue_templates(c, name);
}

static void on_read(void *arg, struct str name)
{
    reconcile_queue_registry(arg, name, 0);
}

static struct registry_config config_of(const struct api_settings_spec *spec)
{
    struct registry_config config = {
        .drift_interval_ms = api_settings_drift_interval_ms(spec),
        .scan_interval_ms = api_settings_repository_scan_interval_ms(spec),
        .requests_per_second = api_settings_requests_per_second(spec),
    };
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++)
        config.wants_setting[i] = !str_is_null(api_account_setting_get(&spec->account_settings, i));
    return config;
}

static bool start_registry(struct settings_pass *s, struct registry **ret, struct err *e)
{
    struct controller *c = s->p->c;
    struct registry_options o = {
        .name = s->p->name,
        .region = s->spec.region,
        .endpoint = s->spec.endpoint,
        .http = c->aws_http,
        .credentials = c->o.credentials,
        .clock = c->o.clock,
        .metrics = c->o.metrics,
        .user_agent = arena_printf(&s->p->arena, "berth/%s", c->o.version),
        .on_read = on_read,
        .arg = c,
    };
    struct registry_config config = config_of(&s->spec);
    if (!registry_new(&o, &config, ret, e))
        return false;
    registry_start(*ret);
    return true;
}

/* The runtime of this very object and endpoint, made where there is none. s->registry is its
 * registry. */
static bool ensure_runtime(struct settings_pass *s, struct err *e)
{
    struct controller *c = s->p->c;
    struct str uid = kube_object_uid(s->p->object);
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = map_get(c->runtimes, s->p->name);
    bool is_same = rt != NULL && rt->registry != NULL && str_eq_cstr(uid, rt->uid) &&
                   str_eq_cstr(s->spec.endpoint, rt->endpoint);
    s->registry = is_same ? registry_ref(rt->registry) : NULL;
    (void)pthread_mutex_unlock(&c->mutex);
    if (is_same) {
        struct registry_config config = config_of(&s->spec);
        registry_configure(s->registry, &config);
        return true;
    }
    drop_runtime(c, s->p->name);
    struct registry *registry = NULL;
    if (!start_registry(s, &registry, e))
        return false;
    rt = mem_alloc(sizeof *rt);
    rt->registry = registry;
    rt->uid = mem_dup(uid.ptr, uid.len);
    rt->endpoint = mem_dup(s->spec.endpoint.ptr, s->spec.endpoint.len);
    rt->access.gate = GATE_FRESH;
    s->registry = registry_ref(registry);
    (void)pthread_mutex_lock(&c->mutex);
    (void)map_put(c->runtimes, s->p->name, rt);
    (void)pthread_mutex_unlock(&c->mutex);
    return true;
}

/* Opens or closes the gate; templates look again where it moved or something new was read. */
static void set_gate(struct settings_pass *s, enum gate gate, struct str message)
{
    struct controller *c = s->p->c;
    struct access now = {
        .gate = gate,
        .is_paused = pass_is_paused(s->p),
        .is_read_only = pass_is_read_only(s->p),
        .is_terminating = kube_object_is_deleting(s->p->object),
    };
    message = str_cut_utf8(message, sizeof now.message - 1);
    if (message.len != 0)
        memcpy(now.message, message.ptr, message.len);
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = map_get(c->runtimes, s->p->name);
    if (rt == NULL) {
        rt = mem_alloc(sizeof *rt);
        rt->uid = mem_dup("", 0);
        rt->endpoint = mem_dup("", 0);
        (void)map_put(c->runtimes, s->p->name, rt);
    }
    bool has_moved = rt->access.gate != now.gate || rt->access.is_paused != now.is_paused ||
                     rt->access.is_read_only != now.is_read_only ||
                     rt->seen_sequence != s->state.sequence;
    rt->access = now;
    rt->seen_sequence = s->state.sequence;
    (void)pthread_mutex_unlock(&c->mutex);
    if (has_moved)
        reconcile_queue_templates(c, s->p->name);
}

/* --- status ------------------------------------------------------------------------------------
 */

static struct str encode(struct settings_pass *s, const struct api_settings_status *status)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(STATUS_MAX);
    struct json_writer w = json_writer_to(&out);
    json_begin_object(&w);
    api_settings_status_encode(status, &w);
    json_end(&w);
    return arena_copy(&s->p->arena, buf_str(&out));
}

/* Would only counts change, and did they a moment ago? Then they can wait. */
static bool can_wait(struct settings_pass *s)
{
    struct api_settings_status without = s->status;
    without.templates = s->before.templates;
    without.repositories = s->before.repositories;
    without.blob_mounting = s->before.blob_mounting;
    int64_t since = clock_mono_ms(s->p->c->o.clock) - s->p->memory->status_written_ms;
    if (!str_eq(encode(s, &without), s->before_text) || s->p->memory->status_written_ms == 0 ||
        since >= COUNTS_EVERY_MS)
        return false;
    s->p->again_ms = COUNTS_EVERY_MS - since;
    return true;
}

static void apply(struct settings_pass *s, const struct verdict *v)
{
    struct pass *p = s->p;
    int64_t generation = kube_object_generation(p->object);
    s->status.observed_generation = (struct schema_i64){true, generation};
    s->status.conditions =
        conditions_from(v, &s->before.conditions, generation, p->now_ms, &p->arena);
    if (!can_wait(s))
        (void)pass_apply_status(p, encode(s, &s->status), s->before_text);
    if (strcmp(v->ready, "False") == 0 && verdict_is_news(v, &s->before.conditions))
        kube_event(p->c->recorder, p->object, KUBE_EVENT_WARNING, v->reason, "Reconcile",
                   v->message);
}

static void apply_paused(struct settings_pass *s)
{
    struct pass *p = s->p;
    s->status.conditions =
        conditions_paused(&s->before.conditions,
                          STR("paused by annotation " API_ANNOTATION_PAUSED "; remove it to go on"),
                          kube_object_generation(p->object), p->now_ms, &p->arena);
    (void)pass_apply_status(p, encode(s, &s->status), s->before_text);
}

/* --- the pass ----------------------------------------------------------------------------------
 */

static void settings_pass_fini(struct settings_pass *s)
{
    s->registry = registry_unref(s->registry);
}

static bool begin(struct settings_pass *s)
{
    struct pass *p = s->p;
    struct err e = ERR_INIT;
    const struct json *object = kube_object_json(p->object);
    if (object == NULL) {
        log_error(p->c->o.log, "object cannot be decoded", KV("object", p->key),
                  KV_CSTR("error", kube_object_undecodable(p->object)));
        return false;
    }
    if (!api_settings_status_decode(json_get(object, "status"), &p->arena, &s->before, &e)) {
        log_error(p->c->o.log, "status cannot be decoded", KV("object", p->key), KV_ERR(&e));
        return false;
    }
    s->status = s->before;
    s->before_text = encode(s, &s->before);
    s->is_valid = api_settings_decode(json_get(object, "spec"), &p->arena, &s->spec, &s->invalid);
    (void)pthread_mutex_lock(&p->c->mutex);
    s->template_count = claims_of_registry_locked(p->c->claims, p->name, &p->arena, &s->templates);
    (void)pthread_mutex_unlock(&p->c->mutex);
    return true;
}

static struct verdict invalid(const struct err *e)
{
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_INVALID_SPEC,
        .message = str_from(e->msg),
        .is_stalled = true,
        .is_error = true,
    };
}

static struct verdict in_use(struct settings_pass *s)
{
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(1024);
    for (size_t i = 0; i < s->template_count && i < 10; i++)
        buf_printf(&names, "%s\"%.*s\"", i != 0 ? ", " : "", STR_ARG(s->templates[i]));
    if (s->template_count > 10)
        buf_printf(&names, " and %zu more", s->template_count - 10);
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_IN_USE,
        .message = arena_printf(
            &s->p->arena, "deletion waits until no RepositoryCreationTemplate refers to it: %s",
            buf_cstr(&names)),
        .is_reconciling = true,
    };
}

/* Read well, read badly, or not read yet: the gate and what is said of it. */
static void judge(struct settings_pass *s)
{
    struct verdict v = {0};
    if (settings_check_identity(s, &v)) {
        set_gate(s, GATE_NOT_READY, v.message);
        apply(s, &v);
        return;
    }
    if (s->state.is_failing) {
        v = verdict_from_error(&s->state.error);
        if (v.is_stalled) {
            /* a read that AWS or we refuse says nothing of the spec, and is tried again */
            v.reason = API_REASON_AWS_ERROR;
            v.is_stalled = false;
            v.is_reconciling = true;
        }
        set_gate(s, GATE_FAILING, v.message);
        apply(s, &v);
        return;
    }
    if (!s->state.has_read) {
        set_gate(s, GATE_FRESH, STR("it is being read"));
        return; /* news in a moment */
    }
    s->status.registry_id = str_from(s->state.registry_id);
    v = settings_put(s);
    set_gate(s, GATE_OPEN, STR(""));
    settings_describe(s);
    if (kube_object_is_deleting(s->p->object))
        v = in_use(s);
    apply(s, &v);
}

/* True where the object is being deleted and nothing is left to wait for. */
static bool finish_deletion(struct settings_pass *s)
{
    if (!kube_object_is_deleting(s->p->object) || s->template_count != 0)
        return false;
    if (pass_set_finalizer(s->p, false))
        reconcile_settings_gone(s->p->c, s->p->name);
    return true;
}

void reconcile_settings(struct pass *p)
{
    struct settings_pass s BERTH_CLEANUP(settings_pass_fini) = {.p = p};
    if (!begin(&s))
        return;
    if (pass_is_paused(p)) {
        drop_runtime(p->c, p->name);
        set_gate(&s, GATE_NOT_READY, STR("it is paused"));
        apply_paused(&s);
        return;
    }
    if (finish_deletion(&s))
        return;
    /* the finalizer is what makes its deletion wait for the templates */
    if (!kube_object_is_deleting(p->object) && !pass_set_finalizer(p, s.template_count != 0))
        return;
    struct err e = ERR_INIT;
    if (!s.is_valid || !ensure_runtime(&s, &e)) {
        struct verdict v = invalid(s.is_valid ? &e : &s.invalid);
        drop_runtime(p->c, p->name);
        set_gate(&s, GATE_NOT_READY, v.message);
        apply(&s, &v);
        return;
    }
    s.status.last_handled_reconcile_at =
        pass_handled(p, s.registry, s.before.last_handled_reconcile_at, true);
    registry_state(s.registry, &p->arena, &s.state);
    judge(&s);
}
