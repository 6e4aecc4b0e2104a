// SPDX-License-Identifier: Apache-2.0
/*
 * What a scrape asks: the conditions of the objects as the informers have them now, and the state
 * of the registries. Nothing is kept between scrapes, so that what is gone is gone from the answer.
 * References are taken under the locks, and all else is done without them: no worker waits.
 */
#include "base/mem.h"
#include "json/json.h"
#include "measure_priv.h"

#include <string.h>

/* --- objects -----------------------------------------------------------------------------------
 */

/* The status of a condition as one of three words; "Unknown" where there is none. */
static const char *status_of(const struct kube_object *o, const char *type)
{
    const struct json *conditions = json_path(kube_object_json(o), "status.conditions");
    for (const struct json *it = json_first(conditions); it != NULL; it = json_next(it)) {
        if (!str_eq_cstr(json_str_or_null(json_get(it, "type")), type))
            continue;
        struct str status = json_str_or_null(json_get(it, "status"));
        if (str_eq_cstr(status, "True"))
            return "True";
        return str_eq_cstr(status, "False") ? "False" : "Unknown";
    }
    return "Unknown";
}

static const char *const statuses[] = {"True", "False", "Unknown"};

static void emit_condition(const struct measures *m, struct metrics_scrape *s,
                           enum measured_kind kind, const struct kube_object *o)
{
    /* of Ready all three; of the others, which are True or not, the one */
    static const struct {
        const char *type;
        size_t statuses;
    } rows[] = {
        {API_CONDITION_READY, ARRAY_SIZE(statuses)},
        {API_CONDITION_SYNCED, 1},
        {API_CONDITION_RECONCILING, 1},
        {API_CONDITION_STALLED, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *status = status_of(o, rows[i].type);
        for (size_t n = 0; n < rows[i].statuses; n++) {
            const char *values[] = {measured_kind_name(kind), kube_object_name(o).ptr, rows[i].type,
                                    statuses[n]};
            metric_emit(s, m->condition, values, strcmp(status, statuses[n]) == 0);
        }
    }
}

/* *left: how many more may have series of their own. Returns how many have none. */
static size_t collect_kind(const struct measures *m, struct metrics_scrape *s,
                           enum measured_kind kind, struct kube_informer *informer, size_t *left)
{
    struct kube_objects all BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    size_t counts[ARRAY_SIZE(statuses)] = {0};
    size_t left_out = 0;
    kube_informer_list(informer, &all);
    for (size_t i = 0; i < all.count; i++) {
        const char *ready = status_of(all.items[i], API_CONDITION_READY);
        for (size_t n = 0; n < ARRAY_SIZE(statuses); n++)
            counts[n] += strcmp(ready, statuses[n]) == 0;
        if (m->condition == NULL)
            continue;
        if (*left == 0) {
            left_out++;
            continue;
        }
        (*left)--;
        emit_condition(m, s, kind, all.items[i]);
    }
    for (size_t n = 0; n < ARRAY_SIZE(statuses); n++)
        metric_emit(s, m->resources, (const char *[]){measured_kind_name(kind), statuses[n]},
                    (double)counts[n]);
    return left_out;
}

/* --- registries --------------------------------------------------------------------------------
 */

struct named {
    struct registry *registry; /* a reference */
    const char *name;
};

static void emit_part(const struct measures *m, struct metrics_scrape *s, const char *registry,
                      const char *content, const struct registry_part *part)
{
    const char *values[] = {registry, content};
    metric_emit(s, m->snapshot_interval, values, (double)part->interval_ms / 1000);
    if (part->has_tried)
        metric_emit(s, m->snapshot_success, values, !part->is_failing);
    if (!part->has_read)
        return;
    metric_emit(s, m->snapshot_age, values, (double)part->age_ms / 1000);
    metric_emit(s, m->snapshot_items, values, (double)part->count);
}

static void emit_registry(const struct measures *m, struct metrics_scrape *s, const struct named *r)
{
    struct registry_measures now;
    const char *values[] = {r->name};
    registry_measure(r->registry, &now);
    emit_part(m, s, r->name, "templates", &now.templates);
    emit_part(m, s, r->name, "repositories", &now.repositories);
    metric_emit(s, m->rate, values, now.rate);
    metric_emit(s, m->rate_max, values, now.rate_max);
    if (now.credentials_expire_unix_ms != 0)
        metric_emit(s, m->expiration, values, (double)now.credentials_expire_unix_ms / 1000);
}

static void collect_registries(const struct measures *m, struct metrics_scrape *s)
{
    struct controller *c = m->c;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    (void)pthread_mutex_lock(&c->mutex);
    struct named *all = arena_new_array(&a, struct named, map_count(c->runtimes));
    size_t count = 0;
    for (struct map_entry *it = map_first(c->runtimes); it != NULL; it = map_next(it)) {
        const struct runtime *rt = map_value(it);
        if (rt->registry != NULL)
            all[count++] = (struct named){
                registry_ref(rt->registry),
                arena_copy(&a, map_key(it)).ptr,
            };
    }
    (void)pthread_mutex_unlock(&c->mutex);
    for (size_t i = 0; i < count; i++) {
        emit_registry(m, s, &all[i]);
        registry_unref(all[i].registry);
    }
}

void measures_collect(void *arg, struct metrics_scrape *s)
{
    const struct measures *m = arg;
    collect_registries(m, s);
    /* of one replica only, so that they can be summed up: the one whose word the status is */
    if (!reconcile_leads(m->c))
        return;
    size_t left = MEASURED_OBJECTS_MAX;
    size_t left_out = collect_kind(m, s, MEASURED_SETTINGS, m->c->settings, &left);
    left_out += collect_kind(m, s, MEASURED_TEMPLATES, m->c->templates, &left);
    metric_emit(s, m->left_out, NULL, (double)left_out);
}
