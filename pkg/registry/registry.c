// SPDX-License-Identifier: Apache-2.0
/*
 * A registry's life and what may be asked of it; reading is in read.c, writing in writes.c.
 */
#include "registry/registry.h"

#include "base/mem.h"
#include "ecr/prefix.h"
#include "registry_priv.h"

#include <stdlib.h>
#include <string.h>

bool registry_new(const struct registry_options *o, const struct registry_config *config,
                  struct registry **ret, struct err *e)
{
    *ret = NULL;
    static atomic_uint_fast64_t instances;
    struct aws_limiter *limiter = aws_limiter_new((double)config->requests_per_second, o->clock);
    struct http_cancel *cancel = http_cancel_new();
    struct aws_client_options client = {
        .http = o->http,
        .credentials = o->credentials,
        .clock = o->clock,
        .limiter = limiter,
        .metrics = o->metrics,
        .cancel = cancel,
        .region = o->region,
        .endpoint = o->endpoint,
        .user_agent = o->user_agent,
    };
    struct aws_client *c = NULL;
    if (!aws_client_new(&client, &c, e)) {
        aws_limiter_free(limiter);
        http_cancel_free(cancel);
        return false;
    }
    struct registry *r = mem_alloc(sizeof *r);
    atomic_init(&r->refs, 1);
    r->name = mem_dup(o->name.ptr, o->name.len);
    r->clock = o->clock;
    r->client = c;
    r->limiter = limiter;
    r->cancel = cancel;
    r->instance = atomic_fetch_add(&instances, 1) + 1;
    r->on_read = o->on_read;
    r->arg = o->arg;
    r->config = *config;
    r->writes = map_new();
    r->sightings = map_new();
    stopper_init(&r->stopper);
    (void)pthread_mutex_init(&r->mutex, NULL);
    thread_cond_init(&r->cond);
    *ret = r;
    return true;
}

void registry_start(struct registry *r)
{
    thread_start(&r->thread, "registry", registry_run, r);
}

void registry_stop(struct registry *r)
{
    stopper_stop(&r->stopper);
    http_cancel_now(r->cancel);
    (void)pthread_mutex_lock(&r->mutex);
    r->is_stopped = true;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
}

struct registry *registry_ref(struct registry *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

struct registry *registry_unref(struct registry *r)
{
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    registry_stop(r);
    thread_join(&r->thread);
    aws_client_free(r->client);
    aws_limiter_free(r->limiter);
    http_cancel_free(r->cancel);
    registry_read_unref(r->read);
    registry_scan_free(r->scan);
    mem_free(r->covered);
    map_free(r->writes, registry_write_free);
    map_free(r->sightings, registry_sighting_free);
    stopper_fini(&r->stopper);
    (void)pthread_cond_destroy(&r->cond);
    (void)pthread_mutex_destroy(&r->mutex);
    mem_free(r->name);
    return mem_free(r);
}

void registry_configure(struct registry *r, const struct registry_config *config)
{
    (void)pthread_mutex_lock(&r->mutex);
    bool has_new_rate = r->config.requests_per_second != config->requests_per_second;
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        if (config->wants_setting[i] && !r->config.wants_setting[i])
            r->is_read_due = true;
    }
    if (config->reads_pull_through_rules && !r->config.reads_pull_through_rules)
        r->is_scan_due = r->is_read_due = true;
    r->config = *config;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    if (has_new_rate)
        aws_limiter_set_rate(r->limiter, (double)config->requests_per_second);
}

uint64_t registry_request_read(struct registry *r, bool with_repositories)
{
    (void)pthread_mutex_lock(&r->mutex);
    r->is_read_due = true;
    r->is_scan_due = r->is_scan_due || with_repositories;
    /* a read that is under way may have passed what changed: it does not count */
    uint64_t sequence = r->sequence + (r->is_reading ? 2 : 1);
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    return sequence;
}

void registry_state(struct registry *r, struct arena *a, struct registry_state *ret)
{
    *ret = (struct registry_state){0};
    (void)pthread_mutex_lock(&r->mutex);
    ret->sequence = r->sequence;
    ret->has_read = r->read != NULL;
    ret->has_repositories = r->scan != NULL;
    ret->instance = r->instance;
    ret->is_failing = err_is_set(&r->error);
    ret->error = r->error;
    ret->is_scan_failing = err_is_set(&r->scan_error);
    ret->scan_error = r->scan_error;
    if (r->read != NULL) {
        memcpy(ret->registry_id, r->read->registry_id, sizeof ret->registry_id);
        ret->templates = r->read->count;
        for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++)
            ret->setting[i] = arena_copy(a, r->read->setting[i]);
    }
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        if (r->setting_writes[i].at_mono_ms != 0)
            ret->setting[i] = arena_copy(a, str_from(r->setting_writes[i].value));
    }
    if (r->scan != NULL)
        ret->repositories = r->scan->count;
    (void)pthread_mutex_unlock(&r->mutex);
}

static void get_locked(struct registry *r, struct str key, struct registry_template *ret)
{
    const struct registry_write *write = map_get(r->writes, key);
    struct registry_read *from = write != NULL ? write->value : r->read;
    if (from == NULL)
        return;
    const struct registry_entry *entry = registry_read_find(from, key);
    if (entry == NULL)
        return;
    ret->value = &entry->observed;
    ret->owner = registry_read_ref(from);
    if (r->scan == NULL || r->read == NULL)
        return;
    ret->is_covering_known = true;
    const struct registry_entry *counted = registry_read_find(r->read, key);
    ret->covered = counted != NULL ? r->covered[counted - r->read->entries]
                                   : registry_cover_one(r->read, r->scan, key);
}

void registry_template_get(struct registry *r, struct str prefix, struct registry_template *ret)
{
    *ret = (struct registry_template){0};
    (void)pthread_mutex_lock(&r->mutex);
    get_locked(r, api_prefix_normalise(prefix), ret);
    (void)pthread_mutex_unlock(&r->mutex);
}

void registry_template_fini(struct registry_template *t)
{
    registry_read_unref(t->owner);
    *t = (struct registry_template){0};
}

struct schema_list registry_prefixes(struct registry *r, struct arena *a)
{
    (void)pthread_mutex_lock(&r->mutex);
    size_t most = r->read != NULL ? r->read->count : 0;
    struct str *prefixes = arena_new_array(a, struct str, most);
    size_t n = 0;
    for (size_t i = 0; i < most; i++) {
        const struct registry_write *write = map_get(r->writes, r->read->entries[i].key);
        if (write == NULL || write->value != NULL)
            prefixes[n++] = arena_copy(a, r->read->entries[i].observed.spec.prefix);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return (struct schema_list){prefixes, n};
}

struct schema_list registry_mount_groups(struct registry *r, struct arena *a)
{
    (void)pthread_mutex_lock(&r->mutex);
    size_t count = r->scan != NULL ? r->scan->group_count : 0;
    struct api_mount_group *items = arena_new_array(a, struct api_mount_group, count);
    for (size_t i = 0; i < count; i++) {
        items[i] = r->scan->groups[i];
        items[i].encryption_type = arena_copy(a, items[i].encryption_type);
        items[i].kms_key = arena_copy(a, items[i].kms_key);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return (struct schema_list){items, count};
}
