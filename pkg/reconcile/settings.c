// SPDX-License-Identifier: Apache-2.0
/*
 * A pass over one RegistrySettings: keeps its registry running with the right configuration, tells
 * the templates through the gate what they may do, keeps the account settings as declared, and
 * waits with its own deletion until no template refers to it.
 */
#include "base/mem.h"
#include "ensure/ensure.h"
#include "json/json.h"
#include "json/write.h"
#include "publish_priv.h"
#include "settings_priv.h"

#include <stdio.h>
#include <string.h>

enum { HOSTS_TOLD_MAX = 2048 };

/* --- the runtime: registry and gate ------------------------------------------------------------
 */

static void stop_and_unref(struct registry *registry)
{
    if (registry == NULL)
        return;
    registry_stop(registry);
    registry_unref(registry);
}

void reconcile_settings_gone(struct controller *c, struct str name)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = map_remove(c->runtimes, name);
    (void)pthread_mutex_unlock(&c->mutex);
    if (rt != NULL)
        runtime_free(rt);
    reconcile_unpublish_registry(c, name);
    reconcile_queue_templates(c, name);
}

static void on_read(void *arg, struct str name)
{
    reconcile_queue_registry(arg, name, 0);
}

static struct registry_config config_of(const struct settings_pass *s)
{
    const struct api_settings_spec *spec = &s->spec;
    int64_t scan_ms = api_settings_repository_scan_interval_ms(spec);
    struct registry_config config = {
        /* drift is mended by the leader: a follower only keeps its snapshot */
        .drift_interval_ms = s->leads ? api_settings_drift_interval_ms(spec) : scan_ms,
        .scan_interval_ms = scan_ms,
        .requests_per_second = api_settings_requests_per_second(spec),
        .reads_pull_through_rules = s->p->c->o.directory != NULL,
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
    struct registry_config config = config_of(s);
    if (!registry_new(&o, &config, ret, e))
        return false;
    registry_start(*ret);
    return true;
}

/* The runtime of that name, made where there is none. */
static struct runtime *runtime_locked(struct settings_pass *s)
{
    struct runtime *rt = map_get(s->p->c->runtimes, s->p->name);
    if (rt == NULL) {
        rt = mem_alloc(sizeof *rt);
        rt->gate = GATE_FRESH;
        (void)map_put(s->p->c->runtimes, s->p->name, rt);
    }
    return rt;
}

static bool is_registry_of(const struct runtime *rt, const struct settings_pass *s)
{
    return rt->registry != NULL && str_eq_cstr(kube_object_uid(s->p->object), rt->uid) &&
           str_eq_cstr(s->spec.endpoint, rt->endpoint);
}

/* The first term in which this process leads needs a read of its own: what a follower knows may be
 * as old as its scan interval. */
static void begin_term(struct settings_pass *s, struct runtime *rt, uint64_t sequence)
{
    (void)pthread_mutex_lock(&s->p->c->mutex);
    rt->term = atomic_load(&s->p->c->term);
    rt->gate = GATE_FRESH; /* what a follower found does not open it */
    rt->needed_sequence = sequence;
    s->needed_sequence = sequence;
    (void)pthread_mutex_unlock(&s->p->c->mutex);
}

static bool replace_registry(struct settings_pass *s, struct runtime *rt, struct err *e)
{
    struct registry *fresh = NULL;
    if (!start_registry(s, &fresh, e))
        return false;
    struct str uid = kube_object_uid(s->p->object);
    (void)pthread_mutex_lock(&s->p->c->mutex);
    struct registry *old = rt->registry;
    rt->registry = fresh;
    rt->gate = GATE_FRESH;
    mem_free(rt->uid);
    mem_free(rt->endpoint);
    rt->uid = mem_dup(uid.ptr, uid.len);
    rt->endpoint = mem_dup(s->spec.endpoint.ptr, s->spec.endpoint.len);
    (void)pthread_mutex_unlock(&s->p->c->mutex);
    stop_and_unref(old);
    s->registry = registry_ref(fresh);
    begin_term(s, rt, 1);
    return true;
}

/* A registry for this very object and endpoint, with the configuration of the spec. The runtime
 * stays in the map while its key is with this worker. */
static bool ensure_registry(struct settings_pass *s, struct err *e)
{
    struct controller *c = s->p->c;
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = runtime_locked(s);
    bool is_kept = is_registry_of(rt, s);
    s->registry = is_kept ? registry_ref(rt->registry) : NULL;
    bool is_new_term = s->leads && rt->term != atomic_load(&c->term);
    s->needed_sequence = rt->needed_sequence;
    (void)pthread_mutex_unlock(&c->mutex);
    if (!is_kept)
        return replace_registry(s, rt, e);
    struct registry_config config = config_of(s);
    registry_configure(s->registry, &config);
    if (is_new_term) {
        begin_term(s, rt, registry_request_read(s->registry, false));
        (void)pthread_mutex_lock(&c->mutex);
        rt->is_scan_wanted = c->o.ensure != NULL;
        (void)pthread_mutex_unlock(&c->mutex);
    }
    return true;
}

/* Opens or closes the gate; templates look again where it moved or something new was read. Without
 * a registry (paused, invalid) the old one is stopped. */
static void set_gate(struct settings_pass *s, enum gate gate, struct str message)
{
    struct controller *c = s->p->c;
    bool is_paused = pass_is_paused(s->p);
    bool is_read_only = pass_is_read_only(s->p);
    message = str_cut_utf8(message, sizeof((struct runtime *)NULL)->message - 1);
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = runtime_locked(s);
    bool has_moved = rt->gate != gate || rt->was_paused != is_paused ||
                     rt->was_read_only != is_read_only || rt->seen_sequence != s->state.sequence ||
                     !str_eq_cstr(message, rt->message);
    rt->gate = gate;
    rt->drift_interval_ms = api_settings_drift_interval_ms(&s->spec);
    rt->was_paused = is_paused;
    rt->was_read_only = is_read_only;
    rt->seen_sequence = s->state.sequence;
    if (message.len != 0)
        memcpy(rt->message, message.ptr, message.len);
    rt->message[message.len] = '\0';
    struct registry *old = s->registry == NULL ? TAKE(rt->registry) : NULL;
    (void)pthread_mutex_unlock(&c->mutex);
    stop_and_unref(old);
    reconcile_publish_registry(s, gate, message);
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
    pass_come_again(s->p, COUNTS_EVERY_MS - since);
    return true;
}

static bool apply(struct settings_pass *s, const struct verdict *v)
{
    struct pass *p = s->p;
    pass_note_verdict(p, v);
    if (!s->leads)
        return true;
    s->status.observed_generation = (struct schema_i64){true, p->generation};
    s->status.conditions =
        conditions_from(v, &s->before.conditions, p->generation, pass_now_ms(p), &p->arena);
    struct str text = encode(s, &s->status);
    if (str_eq(text, s->before_text) || can_wait(s))
        return true;
    if (!pass_apply_status(p, text, s->before_text))
        return false;
    if (strcmp(v->ready, "False") == 0 && (v->is_error || !v->is_reconciling) &&
        verdict_is_news(v, &s->before.conditions))
        kube_event(p->c->recorder, p->object, KUBE_EVENT_WARNING, v->reason, "Reconcile",
                   v->message);
    s->before = s->status;
    s->before_text = text;
    return true;
}

static void apply_paused(struct settings_pass *s)
{
    struct pass *p = s->p;
    if (!s->leads)
        return;
    s->status.conditions =
        conditions_paused(&s->before.conditions,
                          STR("paused by annotation " API_ANNOTATION_PAUSED "; remove it to go on"),
                          p->generation, pass_now_ms(p), &p->arena);
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

static struct verdict in_use(struct settings_pass *s)
{
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
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

static struct verdict progressing(void)
{
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_PROGRESSING,
        .message = STR("the registry is being read"),
        .is_reconciling = true,
    };
}

/* A failed read says nothing of the spec, whatever AWS calls it, and is tried again. */
static struct verdict read_failed(struct settings_pass *s, const struct err *e)
{
    struct verdict v = verdict_from_error(e, &s->p->arena);
    if (v.is_stalled) {
        v.reason = API_REASON_AWS_ERROR;
        v.is_stalled = false;
        v.is_reconciling = true;
    }
    if (verdict_is_news(&v, &s->before.conditions))
        log_warn(s->p->c->o.log, "reading ECR fails, trying again", KV("object", s->p->key),
                 KV_CSTR("class", err_class_name(e->cls)), KV_CSTR("reason", e->reason),
                 KV_CSTR("reconcileID", s->p->id), KV_ERR(e));
    return v;
}

/* The account is noted before anything is written to it: after a crash, other credentials are found
 * out. */
static bool pin_account(struct settings_pass *s)
{
    s->status.registry_id = str_from(s->state.registry_id);
    if (!str_is_empty(s->before.registry_id))
        return true;
    struct verdict v = progressing();
    return apply(s, &v);
}

/* What a crash left half-made is completed after each scan. The first of a term is asked for when
 * the templates have been read, because nothing else waits for it. */
static void complete_half_made(struct settings_pass *s)
{
    struct controller *c = s->p->c;
    if (!s->leads || c->o.ensure == NULL || !s->state.has_repositories)
        return;
    (void)pthread_mutex_lock(&c->mutex);
    struct runtime *rt = runtime_locked(s);
    const bool is_scan_wanted = rt->is_scan_wanted;
    rt->is_scan_wanted = false;
    (void)pthread_mutex_unlock(&c->mutex);
    if (is_scan_wanted)
        (void)registry_request_read(s->registry, true); /* its end leads here again */
    else
        ensure_complete(c->o.ensure, s->p->name);
}

/* Hosts that the live ValidatingWebhookConfiguration does not name, quoted; "" where it names all.
 */
static struct str hosts_left_out(struct settings_pass *s)
{
    const struct controller_options *o = &s->p->c->o;
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(HOSTS_TOLD_MAX);
    const struct str *hosts = s->spec.registry_hosts.items;
    for (size_t i = 0; o->is_host_admitted != NULL && i < s->spec.registry_hosts.count; i++) {
        if (!o->is_host_admitted(o->host_arg, hosts[i]))
            buf_printf(&names, "%s%.*s", names.len > 0 ? ", " : "", STR_ARG(hosts[i]));
    }
    return arena_copy(&s->p->arena, buf_str(&names));
}

/* All is well but for what the API server was not told. */
static void add_hosts(struct settings_pass *s, struct verdict *v)
{
    const struct str hosts = hosts_left_out(s);
    if (hosts.len > 0)
        v->message = arena_printf(
            &s->p->arena,
            "%.*s; but the webhook is not asked about images of %.*s, which the "
            "ValidatingWebhookConfiguration does not name: berth-operator webhook-manifest --host",
            STR_ARG(v->message), STR_ARG(hosts));
}

static void serve(struct settings_pass *s)
{
    if (!pin_account(s))
        return;
    struct verdict v = {0};
    bool has_news = settings_put(s, &v);
    set_gate(s, GATE_OPEN, STR(""));
    complete_half_made(s);
    if (!has_news)
        return;
    settings_describe(s);
    if (s->state.is_scan_failing && strcmp(v.ready, "True") == 0)
        v = read_failed(s, &s->state.scan_error);
    if (strcmp(v.ready, "True") == 0)
        add_hosts(s, &v);
    if (kube_object_is_deleting(s->p->object))
        v = in_use(s);
    (void)apply(s, &v);
}

/* Read well, read badly, or not read yet: the gate and what is said of it. */
static void judge(struct settings_pass *s)
{
    struct verdict v = {0};
    if (s->state.sequence < s->needed_sequence) {
        set_gate(s, GATE_FRESH, STR("it is being read"));
        return; /* news in a moment */
    }
    if (settings_check_identity(s, &v)) {
        set_gate(s, GATE_NOT_READY, v.message);
        (void)apply(s, &v);
    } else if (s->state.is_failing) {
        v = read_failed(s, &s->state.error);
        set_gate(s, GATE_FAILING, v.message);
        (void)apply(s, &v);
    } else {
        serve(s);
    }
}

/* True where the object is being deleted and nothing is left to wait for. */
static bool finish_deletion(struct settings_pass *s)
{
    if (!kube_object_is_deleting(s->p->object) || s->template_count != 0)
        return false;
    if (!s->leads || pass_set_finalizer(s->p, false))
        reconcile_settings_gone(s->p->c, s->p->name);
    return true;
}

void reconcile_settings(struct pass *p)
{
    struct settings_pass s BERTH_CLEANUP(settings_pass_fini) = {
        .p = p,
        .leads = reconcile_leads(p->c),
    };
    if (!begin(&s))
        return;
    if (pass_is_paused(p)) {
        set_gate(&s, GATE_NOT_READY, STR("it is paused"));
        apply_paused(&s);
        return;
    }
    if (finish_deletion(&s))
        return;
    /* the finalizer is what makes its deletion wait for the templates */
    if (s.leads && !kube_object_is_deleting(p->object) &&
        !pass_set_finalizer(p, s.template_count != 0))
        return;
    struct err e = ERR_INIT;
    if (!s.is_valid || !ensure_registry(&s, &e)) {
        struct verdict v = verdict_invalid(s.is_valid ? e.msg : s.invalid.msg);
        set_gate(&s, GATE_NOT_READY, v.message);
        (void)apply(&s, &v);
        return;
    }
    s.status.last_handled_reconcile_at =
        pass_handled(p, s.registry, s.before.last_handled_reconcile_at, true);
    registry_state(s.registry, &p->arena, &s.state);
    judge(&s);
}
