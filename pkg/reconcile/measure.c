// SPDX-License-Identifier: Apache-2.0
/*
 * The controller's metrics: their declarations, and counting what happens. Those of passes have
 * controller-runtime's names and meaning, so that dashboards made for it show us too.
 */
#include "base/mem.h"
#include "json/json.h"
#include "measure_priv.h"
#include "readiness_priv.h"

/* As controller-runtime names a controller: the kind in lower case. */
static const struct workqueue_name controllers[MEASURED_KINDS] = {
    [MEASURED_SETTINGS] = {"registry/", "registrysettings"},
    [MEASURED_TEMPLATES] = {"template/", "repositorycreationtemplate"},
};
static const char *const kinds[MEASURED_KINDS] = {
    [MEASURED_SETTINGS] = API_SETTINGS_KIND,
    [MEASURED_TEMPLATES] = API_TEMPLATE_KIND,
};

const char *measured_kind_name(enum measured_kind kind)
{
    return kinds[kind];
}

static enum measured_kind kind_of(const struct pass *p)
{
    return p->resource == &reconcile_settings_resource ? MEASURED_SETTINGS : MEASURED_TEMPLATES;
}

/* --- declarations ------------------------------------------------------------------------------
 */

static void declare_passes(struct measures *m)
{
    static const double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                     1,     2.5,  5,     10,   30,  60};
    m->passes = metrics_counter(m->metrics, "controller_runtime_reconcile_total",
                                "Reconciliations, by controller and result.", "controller,result");
    m->errors = metrics_counter(m->metrics, "controller_runtime_reconcile_errors_total",
                                "Reconciliations that ended with an error.", "controller");
    m->terminal_errors =
        metrics_counter(m->metrics, "controller_runtime_terminal_reconcile_errors_total",
                        "Those of them that no retry can help.", "controller");
    m->pass_seconds = metrics_histogram(m->metrics, "controller_runtime_reconcile_time_seconds",
                                        "How long a reconciliation took.", "controller", seconds,
                                        ARRAY_SIZE(seconds));
    m->active_workers = metrics_gauge(m->metrics, "controller_runtime_active_workers",
                                      "Workers that reconcile at this moment.", "controller");
    struct metric_family *workers =
        metrics_gauge(m->metrics, "controller_runtime_max_concurrent_reconciles",
                      "Workers, which all controllers share.", "controller");
    for (size_t i = 0; i < MEASURED_KINDS; i++) {
        const char *name = controllers[i].name;
        metric_set(workers, (const char *[]){name}, m->c->o.workers);
        metric_set(m->active_workers, (const char *[]){name}, 0);
        metric_add(m->errors, (const char *[]){name}, 0);
        metric_add(m->terminal_errors, (const char *[]){name}, 0);
        metric_add(m->passes, (const char *[]){name, "success"}, 0);
        metric_add(m->passes, (const char *[]){name, "requeue_after"}, 0);
        metric_add(m->passes, (const char *[]){name, "error"}, 0);
    }
}

static void declare_objects(struct measures *m)
{
    static const double seconds[] = {0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600};
    m->drift_detected =
        metrics_counter(m->metrics, "berth_drift_detected_total",
                        "Differences between an object and AWS that no change of the "
                        "object explains.",
                        "kind");
    m->drift_corrected = metrics_counter(m->metrics, "berth_drift_corrected_total",
                                         "Such differences that were mended.", "kind");
    m->ready_seconds = metrics_histogram(m->metrics, "berth_time_to_ready_seconds",
                                         "From the creation of an object, or a change of its "
                                         "spec, to Ready.",
                                         "kind", seconds, ARRAY_SIZE(seconds));
    for (size_t i = 0; i < MEASURED_KINDS; i++) {
        metric_add(m->drift_detected, (const char *[]){kinds[i]}, 0);
        metric_add(m->drift_corrected, (const char *[]){kinds[i]}, 0);
    }
    m->resources =
        metrics_collected(m->metrics, METRIC_GAUGE, "berth_resources",
                          "Objects, by the status of their Ready condition.", "kind,ready");
    if (!m->c->o.has_condition_metrics)
        return;
    m->condition = metrics_collected(m->metrics, METRIC_GAUGE, "berth_resource_condition",
                                     "1 where the condition of the object has this status, else 0.",
                                     "kind,name,type,status");
    m->left_out =
        metrics_collected(m->metrics, METRIC_GAUGE, "berth_resource_condition_left_out",
                          "Objects without berth_resource_condition: beyond the first 5000.", "");
}

static struct metric_family *registry_gauge(struct measures *m, const char *name, const char *help,
                                            const char *labels)
{
    return metrics_collected(m->metrics, METRIC_GAUGE, name, help, labels);
}

static void declare_registries(struct measures *m)
{
    static const char part[] = "registry,content";
    m->snapshot_age =
        registry_gauge(m, "berth_snapshot_age_seconds",
                       "Time since the read began that what is known of AWS comes from.", part);
    m->snapshot_items =
        registry_gauge(m, "berth_snapshot_items", "How many that read found.", part);
    m->snapshot_interval =
        registry_gauge(m, "berth_snapshot_interval_seconds", "How often it is read.", part);
    m->snapshot_success =
        registry_gauge(m, "berth_snapshot_last_read_success",
                       "1 where the newest read was good, 0 where it failed.", part);
    m->rate = registry_gauge(m, "berth_aws_rate_limit_requests_per_second",
                             "Requests a second that this process allows itself at this moment.",
                             "registry");
    m->rate_max = registry_gauge(m, "berth_aws_rate_limit_max_requests_per_second",
                                 "The same while AWS does not throttle.", "registry");
    m->expiration = registry_gauge(m, "berth_aws_credentials_expiration_timestamp_seconds",
                                   "When the AWS credentials that were used last end.", "registry");
}

struct measures *measures_new(struct controller *c)
{
    struct measures *m = mem_alloc(sizeof *m);
    m->c = c;
    m->metrics = c->o.metrics;
    m->readiness = map_new();
    (void)pthread_mutex_init(&m->mutex, NULL);
    declare_passes(m);
    declare_objects(m);
    declare_registries(m);
    workqueue_measure(c->queue, m->metrics, controllers, MEASURED_KINDS);
    return m;
}

void measures_start(struct measures *m)
{
    metrics_collect(m->metrics, measures_collect, m);
}

void measures_stop(struct measures *m)
{
    metrics_collect_end(m->metrics, m);
}

static void free_value(void *p)
{
    mem_free(p);
}

struct measures *measures_free(struct measures *m)
{
    map_free(m->readiness, free_value);
    (void)pthread_mutex_destroy(&m->mutex);
    return mem_free(m);
}

/* --- passes ------------------------------------------------------------------------------------
 */

void measure_pass_began(const struct pass *p)
{
    const char *name = controllers[kind_of(p)].name;
    metric_add(p->c->measures->active_workers, (const char *[]){name}, 1);
}

void measure_pass_ended(const struct pass *p, int64_t took_ms)
{
    const struct measures *m = p->c->measures;
    bool is_error = p->is_failed || p->has_error;
    const char *result = is_error ? "error" : (p->again_ms > 0 ? "requeue_after" : "success");
    const char *labels[] = {controllers[kind_of(p)].name, result};
    metric_add(m->active_workers, labels, -1);
    metric_add(m->passes, labels, 1);
    metric_observe(m->pass_seconds, labels, (double)took_ms / 1000);
    if (is_error)
        metric_add(m->errors, labels, 1);
    if (is_error && !p->is_failed && p->is_terminal)
        metric_add(m->terminal_errors, labels, 1);
}

/* --- drift -------------------------------------------------------------------------------------
 */

void measure_drift_seen(struct pass *p, size_t setting, bool is_known)
{
    if (!pass_has_drift(p, setting) && !is_known)
        metric_add(p->c->measures->drift_detected, (const char *[]){kinds[kind_of(p)]}, 1);
    p->memory->drifted_generation[setting] = p->generation;
}

void measure_drift_mended(const struct pass *p)
{
    metric_add(p->c->measures->drift_corrected, (const char *[]){kinds[kind_of(p)]}, 1);
}

void measure_no_drift(struct pass *p, size_t setting)
{
    p->memory->drifted_generation[setting] = 0;
}

/* --- time to Ready -----------------------------------------------------------------------------
 */

static const struct json *ready_of(const struct kube_object *o)
{
    const struct json *conditions = json_path(kube_object_json(o), "status.conditions");
    for (const struct json *it = json_first(conditions); it != NULL; it = json_next(it)) {
        if (str_eq_cstr(json_str_or_null(json_get(it, "type")), API_CONDITION_READY))
            return it;
    }
    return NULL;
}

static struct readiness_sight sight_of(const struct kube_object *o)
{
    int64_t generation = kube_object_generation(o);
    const struct json *ready = ready_of(o);
    const struct json *observed = json_path(kube_object_json(o), "status.observedGeneration");
    return (struct readiness_sight){
        .uid = kube_object_uid(o),
        .generation = generation,
        .created_ms = kube_object_created_unix_ms(o),
        .is_judged = json_i64_or(observed, -1) == generation,
        .is_ready = str_eq_cstr(json_str_or_null(json_get(ready, "status")), "True") &&
                    json_i64_or(json_get(ready, "observedGeneration"), -1) == generation,
        .is_held = kube_object_is_deleting(o) || reconcile_has_flag(o, API_ANNOTATION_PAUSED),
    };
}

void measure_object(struct measures *m, const struct kube_resource *resource, struct str name,
                    const struct kube_object *o)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    enum measured_kind kind =
        resource == &reconcile_settings_resource ? MEASURED_SETTINGS : MEASURED_TEMPLATES;
    struct str key = arena_printf(&a, "%s/%.*s", kinds[kind], STR_ARG(name));
    int64_t took_ms = -1;
    (void)pthread_mutex_lock(&m->mutex);
    if (o == NULL) {
        mem_free(map_remove(m->readiness, key));
    } else {
        struct readiness_sight sight = sight_of(o);
        struct readiness *r = map_get(m->readiness, key);
        if (r == NULL) {
            r = mem_alloc(sizeof *r);
            (void)map_put(m->readiness, key, r);
        }
        took_ms = readiness_see(r, &sight, clock_unix_ms(m->c->o.clock));
    }
    (void)pthread_mutex_unlock(&m->mutex);
    if (took_ms >= 0 && reconcile_leads(m->c))
        metric_observe(m->ready_seconds, (const char *[]){kinds[kind]}, (double)took_ms / 1000);
}
