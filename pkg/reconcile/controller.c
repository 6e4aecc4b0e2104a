// SPDX-License-Identifier: Apache-2.0
/*
 * The controller: informers feed the work queue, workers take keys from it and reconcile them.
 *
 * Threads: one per informer, one per registry, the recorder's, and the workers. Informers and
 * registries only queue keys; all decisions and all writes happen on workers.
 */
#include "reconcile/controller.h"

#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "publish_priv.h"
#include "reconcile_priv.h"

#include <stdio.h>
#include <string.h>

const struct kube_resource reconcile_settings_resource = {
    .group = API_GROUP,
    .version = API_VERSION,
    .plural = API_SETTINGS_PLURAL,
    .kind = API_SETTINGS_KIND,
};
const struct kube_resource reconcile_templates_resource = {
    .group = API_GROUP,
    .version = API_VERSION,
    .plural = API_TEMPLATE_PLURAL,
    .kind = API_TEMPLATE_KIND,
};

enum { SYNC_WAIT_MS = 20 /* between two looks at whether we are to stop */ };

/* --- queueing ----------------------------------------------------------------------------------
 */

static void queue_key(struct controller *c, const char *kind, struct str name, int64_t delay_ms)
{
    char key[WORKQUEUE_KEY_MAX];
    int n = snprintf(key, sizeof key, "%s/%.*s", kind, STR_ARG(name));
    if (n > 0 && (size_t)n < sizeof key)
        workqueue_add_after(c->queue, str_n(key, (size_t)n), delay_ms);
}

void reconcile_queue_template(struct controller *c, struct str template)
{
    queue_key(c, "template", template, 0);
}

void reconcile_queue_registry(struct controller *c, struct str registry, int64_t delay_ms)
{
    queue_key(c, "registry", registry, delay_ms);
}

void reconcile_queue_templates(struct controller *c, struct str registry)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct str *names = NULL;
    (void)pthread_mutex_lock(&c->mutex);
    size_t count = claims_of_registry_locked(c->claims, registry, &a, &names);
    (void)pthread_mutex_unlock(&c->mutex);
    for (size_t i = 0; i < count; i++)
        reconcile_queue_template(c, names[i]);
}

/* --- what the informers say --------------------------------------------------------------------
 */

void reconcile_queue_registries(struct controller *c)
{
    struct kube_objects all BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    kube_informer_list(c->settings, &all);
    for (size_t i = 0; i < all.count; i++)
        reconcile_queue_registry(c, kube_object_name(all.items[i]), REGISTRY_DEBOUNCE_MS);
}

static void settings_changed(void *arg, struct str namespace, struct str name, bool is_deleted)
{
    (void)namespace;
    struct controller *c = arg;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        is_deleted ? NULL : kube_informer_get(c->settings, STR_NULL, name);
    measure_object(c->measures, &reconcile_settings_resource, name, o);
    reconcile_queue_registry(arg, name, 0);
    /* two that claim one account and region give way to each other */
    reconcile_queue_registries(arg);
}

/* All who claim what this template claimed or claims have to look again, and so has its registry.
 */
static void queue_claim(struct controller *c, const struct claim *claim, struct arena *a)
{
    if (str_is_null(claim->registry))
        return;
    struct str *names = NULL;
    (void)pthread_mutex_lock(&c->mutex);
    size_t count = claims_of_prefix_locked(c->claims, claim->registry, claim->prefix, a, &names);
    (void)pthread_mutex_unlock(&c->mutex);
    for (size_t i = 0; i < count; i++)
        reconcile_queue_template(c, names[i]);
    reconcile_queue_registry(c, claim->registry, REGISTRY_DEBOUNCE_MS);
}

static struct claim claim_of(const struct kube_object *o)
{
    const struct json *spec = json_get(kube_object_json(o), "spec");
    struct str registry = json_str_or_null(json_path(spec, "registryRef.name"));
    struct str prefix = json_str_or_null(json_get(spec, "prefix"));
    return (struct claim){
        str_is_empty(registry) ? STR(API_DEFAULT_REGISTRY) : registry,
        str_is_null(prefix) ? STR("") : api_prefix_normalise(prefix),
    };
}

static void template_changed(void *arg, struct str namespace, struct str name, bool is_deleted)
{
    (void)namespace;
    struct controller *c = arg;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        is_deleted ? NULL : kube_informer_get(c->templates, STR_NULL, name);
    struct claim before = {STR_NULL, STR_NULL};
    struct claim now = {STR_NULL, STR_NULL};
    bool has_changed = false;
    (void)pthread_mutex_lock(&c->mutex);
    if (o == NULL) {
        has_changed = claims_remove_locked(c->claims, name, &a, &before);
    } else {
        now = claim_of(o);
        has_changed = claims_set_locked(c->claims, name, now.registry, now.prefix, &a, &before);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    reconcile_publish_template(c, name, o);
    measure_object(c->measures, &reconcile_templates_resource, name, o);
    reconcile_queue_template(c, name);
    /* deletion and ownership of one claimant concern the others even where claims stay */
    queue_claim(c, &now, &a);
    if (has_changed)
        queue_claim(c, &before, &a);
}

static void informer_failed(void *arg, const struct err *e)
{
    struct controller *c = arg;
    const char *hint = reconcile_hint(e);
    atomic_store(&c->sync_hint, hint);
    log_warn(c->o.log, "watching the API server fails, trying again", KV_TEXT("reason", e->reason),
             KV_ERR(e), KV_TEXT("hint", hint));
}

static void events_failed(void *arg, const struct err *e)
{
    struct controller *c = arg;
    log_warn(c->o.log, "an event is not sent", KV_TEXT("reason", e->reason), KV_ERR(e),
             KV_TEXT("hint", reconcile_hint(e)));
}

/* --- access to registries ----------------------------------------------------------------------
 */

void access_fini(struct access *a)
{
    a->registry = registry_unref(a->registry);
}

void reconcile_access(struct controller *c, struct str registry, struct access *ret)
{
    *ret = (struct access){.gate = GATE_MISSING};
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->settings, STR_NULL, registry);
    if (o == NULL)
        return;
    ret->gate = GATE_FRESH; /* until its first pass says more */
    ret->is_paused = reconcile_has_flag(o, API_ANNOTATION_PAUSED);
    ret->is_read_only = reconcile_has_flag(o, API_ANNOTATION_READ_ONLY);
    ret->is_terminating = kube_object_is_deleting(o);
    ret->has_finalizer = kube_object_has_finalizer(o, API_FINALIZER);
    (void)pthread_mutex_lock(&c->mutex);
    const struct runtime *rt = map_get(c->runtimes, registry);
    if (rt != NULL) {
        /* what was read as a follower, or in an earlier term, decides nothing */
        ret->gate =
            rt->term == atomic_load(&c->term) || rt->gate == GATE_NOT_READY ? rt->gate : GATE_FRESH;
        ret->drift_interval_ms = rt->drift_interval_ms;
        ret->registry = rt->registry != NULL ? registry_ref(rt->registry) : NULL;
        memcpy(ret->message, rt->message, sizeof ret->message);
    }
    (void)pthread_mutex_unlock(&c->mutex);
}

/* --- leadership --------------------------------------------------------------------------------
 */

bool reconcile_leads(const struct controller *c)
{
    return c->lease == NULL || kube_lease_is_leader(c->lease);
}

static void queue_everything(struct controller *c)
{
    struct kube_objects all BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    kube_informer_list(c->settings, &all);
    for (size_t i = 0; i < all.count; i++)
        reconcile_queue_registry(c, kube_object_name(all.items[i]), 0);
    kube_objects_fini(&all);
    kube_informer_list(c->templates, &all);
    for (size_t i = 0; i < all.count; i++)
        reconcile_queue_template(c, kube_object_name(all.items[i]));
}

static void started_leading(void *arg)
{
    struct controller *c = arg;
    atomic_fetch_add(&c->term, 1);
    log_info(c->o.log, "leading", KV_CSTR("identity", kube_lease_identity(c->lease)));
    queue_everything(c);
}

static void stopped_leading(void *arg)
{
    struct controller *c = arg;
    log_info(c->o.log, "not leading any more", KV_CSTR("identity", kube_lease_identity(c->lease)));
    /* registries go on as a follower's */
    reconcile_queue_registries(c);
}

static void new_holder(void *arg, struct str holder)
{
    struct controller *c = arg;
    if (str_is_empty(holder))
        log_info(c->o.log, "nobody holds the lease");
    else
        log_info(c->o.log, "the lease has a holder", KV("holder", holder));
}

static void lease_failed(void *arg, const struct err *e)
{
    struct controller *c = arg;
    log_warn(c->o.log, "the lease cannot be kept or read, trying again",
             KV_TEXT("reason", e->reason), KV_ERR(e), KV_TEXT("hint", reconcile_hint(e)));
}

static void start_lease(struct controller *c)
{
    struct kube_lease_options o = {
        .client = c->o.kube,
        .namespace = c->o.lease_namespace,
        .name = c->o.lease_name,
        .instance = c->o.instance,
        .metrics = c->o.metrics,
        .on_started_leading = started_leading,
        .on_stopped_leading = stopped_leading,
        .on_new_holder = new_holder,
        .on_error = lease_failed,
        .arg = c,
    };
    c->lease = kube_lease_new(&o);
    kube_lease_start(c->lease);
}

/* --- workers -----------------------------------------------------------------------------------
 */

static void run_pass(struct controller *c, struct str key)
{
    struct str kind;
    struct str name;
    if (!str_cut(key, '/', &kind, &name))
        return;
    bool is_settings = str_eq_cstr(kind, "registry");
    struct pass p = {
        .c = c,
        .key = key,
        .name = name,
        .resource = is_settings ? &reconcile_settings_resource : &reconcile_templates_resource,
    };
    int64_t start_ms = clock_mono_ms(c->o.clock);
    measure_pass_began(&p);
    if (!is_settings)
        gone_serve(&p);
    if (pass_begin(&p)) {
        if (is_settings)
            reconcile_settings(&p);
        else if (reconcile_leads(c))
            reconcile_template(&p);
    } else if (is_settings) {
        reconcile_settings_gone(c, name);
        reconcile_queue_registries(c);
    }
    pass_end(&p);
    if (p.is_failed)
        workqueue_add_failed(c->queue, key);
    else
        workqueue_forget(c->queue, key);
    if (p.again_ms > 0)
        workqueue_add_after(c->queue, key, p.again_ms);
    measure_pass_ended(&p, clock_mono_ms(c->o.clock) - start_ms);
}

static void work(void *arg)
{
    struct controller *c = arg;
    char key[WORKQUEUE_KEY_MAX];
    size_t len = 0;
    while (workqueue_get(c->queue, key, &len)) {
        /* deciding before both kinds are known would take what is not listed yet for absent */
        while (!stopper_is_stopped(&c->stopper) &&
               !(kube_informer_wait_synced(c->settings, SYNC_WAIT_MS) &&
                 kube_informer_wait_synced(c->templates, SYNC_WAIT_MS))) {
        }
        if (!stopper_is_stopped(&c->stopper))
            run_pass(c, str_n(key, len));
        workqueue_done(c->queue, str_n(key, len));
    }
    (void)pthread_mutex_lock(&c->mutex);
    c->working--;
    (void)pthread_cond_broadcast(&c->all_idle);
    (void)pthread_mutex_unlock(&c->mutex);
}

/* --- life --------------------------------------------------------------------------------------
 */

static struct kube_informer *informer(struct controller *c, const struct kube_resource *resource,
                                      void (*on_change)(void *, struct str, struct str, bool))
{
    struct kube_informer_options o = {
        .client = c->o.kube,
        .resource = resource,
        .clock = c->o.clock,
        .metrics = c->o.metrics,
        .on_change = on_change,
        .on_deleted = resource == &reconcile_templates_resource ? gone_note : NULL,
        .on_error = informer_failed,
        .arg = c,
    };
    return kube_informer_new(&o);
}

bool controller_start(const struct controller_options *o, struct controller **ret, struct err *e)
{
    *ret = NULL;
    struct controller *c = mem_alloc(sizeof *c);
    c->o = *o;
    (void)pthread_mutex_init(&c->mutex, NULL);
    thread_cond_init(&c->all_idle);
    c->working = o->workers;
    c->started_mono_ms = clock_mono_ms(o->clock);
    stopper_init(&c->stopper);
    c->queue = workqueue_new();
    c->runtimes = map_new();
    c->memories = map_new();
    c->gone = map_new();
    c->claims = claims_new();
    c->measures = measures_new(c);
    struct kube_recorder_options recorder = {
        .client = o->kube,
        .reporting_controller = API_GROUP "/berth-operator",
        .reporting_instance = o->instance,
        .clock = o->clock,
        .metrics = o->metrics,
        .on_error = events_failed,
        .arg = c,
    };
    c->recorder = kube_recorder_new(&recorder);
    c->settings = informer(c, &reconcile_settings_resource, settings_changed);
    c->templates = informer(c, &reconcile_templates_resource, template_changed);
    c->workers = mem_alloc_array((size_t)o->workers, sizeof *c->workers);
    kube_informer_start(c->settings);
    kube_informer_start(c->templates);
    /* meanwhile: reading the system's certificates takes as long as the lists do. Who cannot work
     * does not take the Lease */
    struct http_options http_options = {.max_connections = o->workers + 2};
    if (!http_client_new(&http_options, &c->aws_http, e)) {
        (void)controller_stop(c);
        return err_wrap(e, "the client for AWS");
    }
    if (o->lease_name != NULL)
        start_lease(c);
    for (int i = 0; i < o->workers; i++)
        thread_start(&c->workers[i], "worker", work, c);
    measures_start(c->measures);
    *ret = c;
    return true;
}

bool controller_is_synced(struct controller *c)
{
    return kube_informer_has_synced(c->settings) && kube_informer_has_synced(c->templates);
}

bool controller_has_looked(struct controller *c)
{
    if (clock_mono_ms(c->o.clock) - c->started_mono_ms > CONTROLLER_LOOK_MS)
        return true;
    const size_t settings = kube_informer_count(c->settings);
    (void)pthread_mutex_lock(&c->mutex);
    bool has_looked = map_count(c->runtimes) >= settings;
    for (struct map_entry *it = map_first(c->runtimes); it != NULL; it = map_next(it)) {
        const struct runtime *rt = map_value(it);
        has_looked = has_looked && (rt->registry == NULL || rt->seen_sequence > 0);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return has_looked;
}

const char *controller_sync_hint(struct controller *c)
{
    return atomic_load(&c->sync_hint);
}

void runtime_free(void *p)
{
    struct runtime *rt = p;
    if (rt->registry != NULL)
        registry_stop(rt->registry);
    registry_unref(rt->registry);
    mem_free(rt->uid);
    mem_free(rt->endpoint);
    mem_free(rt);
}

/* Under the mutex only references are taken: the registries have mutexes of their own. */
static void stop_registries(struct controller *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    size_t count = map_count(c->runtimes);
    struct registry **all = mem_alloc_array(count, sizeof(struct registry *));
    size_t n = 0;
    for (struct map_entry *it = map_first(c->runtimes); it != NULL; it = map_next(it)) {
        struct runtime *rt = map_value(it);
        if (rt->registry != NULL)
            all[n++] = registry_ref(rt->registry);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    for (size_t i = 0; i < n; i++)
        registry_stop(all[i]);
    for (size_t i = 0; i < n; i++)
        registry_unref(all[i]);
    mem_free(all);
}

/* False: a call is still under way. */
static bool wait_for_workers(struct controller *c, int64_t timeout_ms)
{
    const int64_t until_ms = clock_mono_ms(c->o.clock) + timeout_ms;
    (void)pthread_mutex_lock(&c->mutex);
    bool is_waiting = true;
    while (c->working > 0 && is_waiting) {
        const int64_t left_ms = until_ms - clock_mono_ms(c->o.clock);
        is_waiting = left_ms > 0 && thread_cond_wait_ms(&c->all_idle, &c->mutex, left_ms);
    }
    const bool are_idle = c->working == 0;
    (void)pthread_mutex_unlock(&c->mutex);
    return are_idle;
}

void controller_retire(struct controller *c)
{
    stopper_stop(&c->stopper);
    workqueue_shut_down(c->queue);
    const bool are_idle = wait_for_workers(c, CONTROLLER_RETIRE_MS);
    if (c->lease == NULL)
        return;
    if (are_idle)
        kube_lease_release(c->lease);
    else
        kube_lease_stop(c->lease); /* a write may be under way: nobody else leads before it ends */
}

void controller_template_event(struct controller *c, struct str name, bool is_warning,
                               const char *reason, const char *action, struct str note)
{
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->templates, STR_NULL, name);
    if (o != NULL)
        kube_event(c->recorder, o, is_warning ? KUBE_EVENT_WARNING : KUBE_EVENT_NORMAL, reason,
                   action, note);
}

void controller_cut(struct controller *c)
{
    stopper_stop(&c->stopper);
    workqueue_shut_down(c->queue);
    stop_registries(c);
    for (int i = 0; i < c->o.workers; i++)
        thread_join(&c->workers[i]);
}

struct controller *controller_stop(struct controller *c)
{
    if (c == NULL)
        return NULL;
    controller_cut(c);
    /* what leadership protects has ended: the next one may take over at once */
    if (c->lease != NULL)
        kube_lease_release(c->lease);
    measures_stop(c->measures);
    kube_informer_free(c->templates);
    kube_informer_free(c->settings);
    kube_recorder_stop(c->recorder);
    kube_lease_free(c->lease);
    map_free(c->runtimes, runtime_free);
    map_free(c->memories, memory_free);
    map_free(c->gone, gone_free);
    claims_free(c->claims);
    workqueue_free(c->queue);
    measures_free(c->measures);
    http_client_free(c->aws_http);
    stopper_fini(&c->stopper);
    (void)pthread_cond_destroy(&c->all_idle);
    (void)pthread_mutex_destroy(&c->mutex);
    mem_free(c->workers);
    return mem_free(c);
}

/* --- running once ------------------------------------------------------------------------------
 */

static bool is_ready(const struct kube_object *o)
{
    const struct json *conditions = json_path(kube_object_json(o), "status.conditions");
    for (const struct json *it = json_first(conditions); it != NULL; it = json_next(it)) {
        if (str_eq_cstr(json_str_or_null(json_get(it, "type")), API_CONDITION_READY))
            return str_eq_cstr(json_str_or_null(json_get(it, "status")), "True") &&
                   json_i64_or(json_get(it, "observedGeneration"), -1) == kube_object_generation(o);
    }
    return false;
}

static size_t count_not_ready(struct kube_informer *kind)
{
    struct kube_objects all BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    kube_informer_list(kind, &all);
    size_t n = 0;
    for (size_t i = 0; i < all.count; i++)
        n += !is_ready(all.items[i]);
    return n;
}

/* Every registry was read, well or not, since this process leads. */
static bool has_read_all(struct controller *c)
{
    bool has_read = true;
    size_t settings = kube_informer_count(c->settings);
    (void)pthread_mutex_lock(&c->mutex);
    for (struct map_entry *it = map_first(c->runtimes); it != NULL; it = map_next(it)) {
        const struct runtime *rt = map_value(it);
        if (rt->registry != NULL &&
            (rt->term != atomic_load(&c->term) || rt->seen_sequence < rt->needed_sequence))
            has_read = false;
    }
    bool knows_all = map_count(c->runtimes) >= settings;
    (void)pthread_mutex_unlock(&c->mutex);
    return has_read && knows_all;
}

enum controller_progress controller_progress(struct controller *c, size_t *ret_not_ready)
{
    *ret_not_ready = 0;
    if (c->lease != NULL && kube_lease_wait_role(c->lease, 0) == KUBE_LEASE_FOLLOWER)
        return CONTROLLER_FOLLOWS;
    if (!controller_is_synced(c) || !reconcile_leads(c) || !has_read_all(c) ||
        !workqueue_is_idle(c->queue))
        return CONTROLLER_BUSY;
    *ret_not_ready = count_not_ready(c->settings) + count_not_ready(c->templates);
    return CONTROLLER_IDLE;
}
