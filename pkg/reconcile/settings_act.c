// SPDX-License-Identifier: Apache-2.0
/*
 * What a RegistrySettings says of the registry, and keeping the account settings as declared.
 */
#include "aws/endpoint.h"
#include "base/mem.h"
#include "json/json.h"
#include "settings_priv.h"

#include <string.h>

/* --- whose registry is it? ---------------------------------------------------------------------
 */

static struct verdict stalled(struct settings_pass *s, const char *reason, struct str message)
{
    (void)s;
    return (struct verdict){
        .ready = "False",
        .reason = reason,
        .message = message,
        .is_stalled = true,
        .is_error = true,
    };
}

static bool is_other_account(struct settings_pass *s, struct verdict *v)
{
    struct str now = str_from(s->state.registry_id);
    struct arena *a = &s->p->arena;
    if (!str_is_null(s->spec.account_id) && !str_eq(s->spec.account_id, now)) {
        *v = stalled(s, API_REASON_ACCOUNT_MISMATCH,
                     arena_printf(a,
                                  "the credentials belong to account %.*s, and spec.accountID is "
                                  "%.*s; nothing is written. Correct the credentials",
                                  STR_ARG(now), STR_ARG(s->spec.account_id)));
        return true;
    }
    if (!str_is_empty(s->before.registry_id) && !str_eq(s->before.registry_id, now)) {
        *v = stalled(s, API_REASON_ACCOUNT_MISMATCH,
                     arena_printf(a,
                                  "the credentials belong to account %.*s, and this registry is in "
                                  "account %.*s; nothing is written. Correct the credentials, or "
                                  "make another RegistrySettings for the other account",
                                  STR_ARG(now), STR_ARG(s->before.registry_id)));
        return true;
    }
    return false;
}

/* The account of another RegistrySettings as far as it is known. */
static struct str account_of(const struct kube_object *o)
{
    struct str id = json_str_or_null(json_path(kube_object_json(o), "status.registryID"));
    return str_is_empty(id) ? json_str_or_null(json_path(kube_object_json(o), "spec.accountID"))
                            : id;
}

static bool is_rival(struct settings_pass *s, const struct kube_object *o)
{
    return !str_eq(kube_object_name(o), s->p->name) &&
           str_eq(json_str_or_null(json_path(kube_object_json(o), "spec.region")),
                  s->spec.region) &&
           str_eq_cstr(account_of(o), s->state.registry_id);
}

static bool is_in_conflict(struct settings_pass *s, struct verdict *v)
{
    struct kube_objects all BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    kube_informer_list(s->p->c->settings, &all);
    struct claimant *claimants = arena_new_array(&s->p->arena, struct claimant, all.count + 1);
    claimants[0] = (struct claimant){
        .name = s->p->name,
        .created_ms = kube_object_created_unix_ms(s->p->object),
    };
    size_t n = 1;
    for (size_t i = 0; i < all.count; i++) {
        if (is_rival(s, all.items[i]))
            claimants[n++] = (struct claimant){
                .name = arena_copy(&s->p->arena, kube_object_name(all.items[i])),
                .created_ms = kube_object_created_unix_ms(all.items[i]),
            };
    }
    size_t winner = claimants_winner(claimants, n);
    if (winner == 0)
        return false;
    *v = stalled(s, API_REASON_CONFLICT,
                 arena_printf(&s->p->arena,
                              "registry %s in %.*s belongs to RegistrySettings \"%.*s\"; delete "
                              "one of the two",
                              s->state.registry_id, STR_ARG(s->spec.region),
                              STR_ARG(claimants[winner].name)));
    return true;
}

bool settings_check_identity(struct settings_pass *s, struct verdict *v)
{
    if (s->state.registry_id[0] == '\0')
        return false;
    return is_other_account(s, v) || is_in_conflict(s, v);
}

/* --- account settings --------------------------------------------------------------------------
 */

static struct verdict available(void)
{
    return (struct verdict){
        .ready = "True",
        .reason = API_REASON_AVAILABLE,
        .message = STR("the registry answers, and its settings are as declared"),
    };
}

/* It was as declared, and nobody declared anything else since. */
static bool is_drift(const struct settings_pass *s, size_t i, struct str desired)
{
    return s->before.observed_generation.has &&
           s->before.observed_generation.value == s->p->generation &&
           str_eq(api_account_setting_get(&s->before.account_settings, i), desired);
}

static bool put_failed(struct settings_pass *s, const char *name, const struct err *e,
                       struct verdict *v)
{
    struct pass *p = s->p;
    if (e->cls == ERR_CANCELLED)
        return false;
    *v = verdict_from_error(e, &p->arena);
    log_warn(p->c->o.log, "a call to ECR failed", KV("object", p->key),
             KV_CSTR("operation", "PutAccountSetting"), KV_CSTR("setting", name),
             KV_CSTR("class", err_class_name(e->cls)), KV_CSTR("reason", e->reason),
             KV_CSTR("reconcileID", p->id), KV_ERR(e));
    pass_retry_later(p);
    return true;
}

static struct verdict contended(struct settings_pass *s, size_t i)
{
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_CONTENDED,
        .message = arena_printf(&s->p->arena,
                                "somebody else undoes what is mended in accountSettings.%s; find "
                                "out who in CloudTrail. It is mended ever more seldom until one "
                                "gives way",
                                api_account_setting_field(i)),
        .is_reconciling = true,
        .is_error = true,
    };
}

/* A rival undid the last mends: the next one has to wait. */
static bool must_give_way(struct settings_pass *s, size_t i, struct verdict *v)
{
    struct contention *c = &s->p->memory->contention[i];
    int64_t now_ms = clock_mono_ms(s->p->c->o.clock);
    int64_t drift_ms = api_settings_drift_interval_ms(&s->spec);
    int64_t wait_ms = contention_wait_ms(c, now_ms, drift_ms);
    if (wait_ms == 0)
        return false;
    pass_come_again(s->p, wait_ms);
    if (contention_is_told(c, now_ms, drift_ms))
        *v = contended(s, i);
    return true;
}

/* Puts one setting. False: nothing is to be said now. *v is changed where it did not go well. */
static bool put_one(struct settings_pass *s, size_t i, struct str desired, struct verdict *v)
{
    struct pass *p = s->p;
    if (pass_must_wait(p) || !reconcile_leads(p->c))
        return false;
    struct err e = ERR_INIT;
    struct aws_scope scope = pass_scope(p);
    char request_id[AWS_REQUEST_ID_MAX + 1];
    const char *name = api_account_setting_aws_name(i);
    bool was_drift = is_drift(s, i, desired) || pass_has_drift(p, i);
    if (was_drift)
        measure_drift_seen(p, i, false);
    if (was_drift && must_give_way(s, i, v))
        return v->is_error;
    char *answer = p->memory->setting_answer[i];
    if (!registry_setting_put(s->registry, i, desired, &scope, answer, request_id, &e))
        return put_failed(s, name, &e, v);
    p->memory->converging_generation = p->generation;
    log_info(p->c->o.log, "wrote to ECR", KV("object", p->key),
             KV_CSTR("operation", "PutAccountSetting"), KV_CSTR("setting", name),
             KV("value", desired), KV("before", s->state.setting[i]),
             KV_CSTR("requestID", request_id), KV_CSTR("reconcileID", p->id));
    if (was_drift) {
        measure_drift_mended(p);
        contention_mended(&p->memory->contention[i], clock_mono_ms(p->c->o.clock));
    }
    kube_eventf(p->c->recorder, p->object, KUBE_EVENT_NORMAL,
                was_drift ? "DriftCorrected" : "Updated", "Update", "set %s to %.*s, it was %.*s",
                name, STR_ARG(desired), STR_ARG(s->state.setting[i]));
    s->state.setting[i] = arena_copy(&p->arena, str_from(answer));
    return true;
}

/* ECR answered our own put of this generation with the value that it still has. */
static bool is_not_converging(const struct settings_pass *s, size_t i)
{
    const struct memory *m = s->p->memory;
    return m->setting_answer[i][0] != '\0' && m->converging_generation == s->p->generation &&
           str_eq_cstr(s->state.setting[i], m->setting_answer[i]);
}

static struct verdict differs(struct settings_pass *s, size_t i, struct str desired,
                              bool is_read_only)
{
    return (struct verdict){
        .ready = "False",
        .reason = is_read_only ? API_REASON_DRIFT_DETECTED : API_REASON_NOT_CONVERGING,
        .message = arena_printf(
            &s->p->arena,
            is_read_only ? "read-only, and accountSettings.%s is %.*s instead of %.*s"
                         : "ECR answers accountSettings.%s with %.*s instead of %.*s; "
                           "declare what ECR makes of it",
            api_account_setting_field(i), STR_ARG(s->state.setting[i]), STR_ARG(desired)),
        .is_stalled = !is_read_only,
        .is_error = !is_read_only,
    };
}

/* The status gives this reason already. */
static bool is_told(const struct settings_pass *s, const char *reason)
{
    const struct api_condition *ready =
        api_condition_find(&s->before.conditions, API_CONDITION_READY);
    return ready != NULL && str_eq_cstr(ready->reason, reason);
}

bool settings_put(struct settings_pass *s, struct verdict *v)
{
    *v = available();
    bool is_read_only = pass_is_read_only(s->p);
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        struct str desired = api_account_setting_get(&s->spec.account_settings, i);
        if (str_is_null(desired))
            continue;
        if (str_is_null(s->state.setting[i])) {
            /* named since the last read: the next one is under way */
            *v = (struct verdict){
                .ready = "False",
                .reason = API_REASON_PROGRESSING,
                .message = STR("an account setting is being read"),
                .is_reconciling = true,
            };
            return true;
        }
        if (str_eq(desired, s->state.setting[i])) {
            measure_no_drift(s->p, i);
            int64_t now_ms = clock_mono_ms(s->p->c->o.clock);
            if (contention_is_told(&s->p->memory->contention[i], now_ms,
                                   api_settings_drift_interval_ms(&s->spec)))
                *v = contended(s, i);
            continue;
        }
        if (!is_read_only && !is_not_converging(s, i) && !put_one(s, i, desired, v))
            return false;
        if (v->is_error)
            return true;
        if (str_eq(desired, s->state.setting[i])) {
            measure_no_drift(s->p, i);
            continue;
        }
        *v = differs(s, i, desired, is_read_only);
        if (is_read_only)
            measure_drift_seen(s->p, i, is_told(s, v->reason));
    }
    if (strcmp(v->ready, "True") == 0)
        pass_succeeded(s->p);
    return true;
}

/* --- what is said of it ------------------------------------------------------------------------
 */

/* How many objects own a template, and the prefixes in ECR that none owns. */
static struct api_template_counts count_templates(struct settings_pass *s)
{
    static char present;
    struct arena *a = &s->p->arena;
    struct map *owned = map_new();
    for (size_t i = 0; i < s->template_count; i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
            reconcile_newest_template(s->p->c, s->templates[i]);
        const struct json *object = o != NULL ? kube_object_json(o) : NULL;
        if (json_is_object(json_path(object, "status.ownership")))
            (void)map_put(owned,
                          api_prefix_normalise(json_str_or_null(json_path(object, "spec.prefix"))),
                          &present);
    }
    struct schema_list prefixes = registry_prefixes(s->registry, a);
    const struct str *prefix = prefixes.items;
    struct str *unmanaged = arena_new_array(a, struct str, API_UNMANAGED_MAX);
    size_t n = 0;
    for (size_t i = 0; i < prefixes.count && n < API_UNMANAGED_MAX; i++) {
        if (map_get(owned, api_prefix_normalise(prefix[i])) == NULL)
            unmanaged[n++] = prefix[i];
    }
    struct api_template_counts counts = {
        .has = true,
        .managed = {true, (int64_t)map_count(owned)},
        .unmanaged = {unmanaged, n},
    };
    map_free(owned, NULL);
    return counts;
}

static void describe_hosts(struct settings_pass *s)
{
    struct arena *a = &s->p->arena;
    size_t given = s->spec.registry_hosts.count;
    struct str *hosts = arena_new_array(a, struct str, given + 1);
    struct buf host BERTH_CLEANUP(buf_fini) = BUF_INIT(512);
    aws_registry_host(str_from(s->state.registry_id), s->spec.region, &host);
    hosts[0] = arena_copy(a, buf_str(&host));
    size_t n = 1;
    const struct str *more = s->spec.registry_hosts.items;
    for (size_t i = 0; i < given; i++) {
        if (!str_eq(more[i], hosts[0]))
            hosts[n++] = more[i];
    }
    s->status.registry_hosts = (struct schema_list){hosts, n};
}

void settings_describe(struct settings_pass *s)
{
    s->status.region = s->spec.region;
    describe_hosts(s);
    s->status.account_settings = (struct api_account_settings){0};
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        if (!str_is_null(s->state.setting[i]))
            api_account_setting_set(&s->status.account_settings, i, s->state.setting[i]);
    }
    s->status.templates = count_templates(s);
    if (s->state.has_repositories) {
        s->status.repositories = (struct schema_i64){true, (int64_t)s->state.repositories};
        s->status.blob_mounting = registry_mount_groups(s->registry, &s->p->arena);
    }
}
