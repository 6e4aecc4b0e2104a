// SPDX-License-Identifier: Apache-2.0
/*
 * The registry's own thread: reads templates and settings every drift interval and repositories
 * every scan interval, with jitter, sooner where it is asked to, later where AWS fails.
 */
#include "base/mem.h"
#include "crypto/crypto.h"
#include "ecr/prefix.h"
#include "registry_priv.h"

#include <string.h>

/* A page of a thousand templates takes megabytes while it is decoded, and the snapshot that it
 * leaves behind a tenth of that. */
enum { SMALL_READ = 50 };

/* When to read next, on the monotonic clock. */
struct schedule {
    int64_t read_at;
    int64_t scan_at;
    int64_t retry_ms; /* of the next failure */
};

/* ms ± 10 %, so that many registries and replicas do not read in step. */
static int64_t jitter(int64_t ms)
{
    uint32_t random = 0;
    crypto_random(&random, sizeof random);
    return ms * 9 / 10 + (int64_t)((double)random / 4294967296.0 * (double)ms / 5);
}

static bool add_template(void *arg, const struct json *item, struct err *e)
{
    return registry_read_add(arg, item, e);
}

static bool add_repository(void *arg, const struct json *item, struct err *e)
{
    return registry_scan_add(arg, item, e);
}

static bool add_rule(void *arg, const struct json *item, struct err *e)
{
    return registry_scan_add_rule(arg, item, e);
}

static bool read_settings(struct registry *r, const struct registry_config *config,
                          const struct aws_scope *scope, struct registry_read *read, struct err *e)
{
    for (size_t i = 0; i < API_ACCOUNT_SETTINGS; i++) {
        if (!config->wants_setting[i])
            continue;
        char value[ECR_SETTING_MAX + 1];
        if (!ecr_account_setting_get(r->client, scope, str_from(api_account_setting_aws_name(i)),
                                     value, e))
            return false;
        read->setting[i] = arena_copy(&read->arena, str_from(value));
    }
    return true;
}

static bool read_aws(struct registry *r, const struct registry_config *config,
                     struct registry_read *read, struct err *e)
{
    struct aws_scope scope = {.stopper = &r->stopper};
    if (!ecr_list(r->client, ECR_DESCRIBE_REPOSITORY_CREATION_TEMPLATES, STR("{}"), &scope,
                  add_template, read, read->registry_id, e))
        return false;
    if (read->registry_id[0] == '\0' && !ecr_registry_id(r->client, &scope, read->registry_id, e))
        return false;
    if (!read_settings(r, config, &scope, read, e))
        return false;
    registry_read_finish(read);
    return true;
}

static bool scan_aws(struct registry *r, const struct registry_config *config,
                     struct registry_scan *scan, struct err *e)
{
    struct aws_scope scope = {.stopper = &r->stopper};
    if (!ecr_list(r->client, ECR_DESCRIBE_REPOSITORIES, STR("{}"), &scope, add_repository, scan,
                  NULL, e))
        return false;
    if (config->reads_pull_through_rules &&
        !ecr_list(r->client, ECR_DESCRIBE_PULL_THROUGH_CACHE_RULES, STR("{}"), &scope, add_rule,
                  scan, NULL, e))
        return false;
    registry_scan_finish(scan);
    return true;
}

/* Takes over read and scan (either may be NULL). */
static void publish(struct registry *r, struct registry_read *read, struct registry_scan *scan,
                    const struct err *e, const struct err *scan_error)
{
    /* only this thread replaces them: so they are counted before the lock that lookups wait for */
    const struct registry_read *new_read = read != NULL ? read : r->read;
    const struct registry_scan *new_scan = scan != NULL ? scan : r->scan;
    int64_t *covered =
        new_read != NULL && new_scan != NULL ? registry_cover(new_read, new_scan) : NULL;
    (void)pthread_mutex_lock(&r->mutex);
    struct registry_read *old_read = NULL;
    struct registry_scan *old_scan = NULL;
    if (read != NULL) {
        registry_settle_locked(r, read);
        old_read = r->read;
        r->read = read;
    }
    if (scan != NULL) {
        registry_settle_sightings_locked(r, scan);
        old_scan = r->scan;
        r->scan = scan;
    }
    int64_t *old_covered = r->covered;
    r->covered = covered;
    r->error = *e;
    if (scan_error != NULL)
        r->scan_error = *scan_error;
    r->is_reading = false;
    r->sequence++;
    (void)pthread_mutex_unlock(&r->mutex);
    registry_read_unref(old_read);
    registry_scan_free(old_scan);
    mem_free(old_covered);
}

static int64_t next_retry(struct schedule *s)
{
    s->retry_ms = s->retry_ms != 0 ? s->retry_ms * 2 : REGISTRY_RETRY_MIN_MS;
    if (s->retry_ms > REGISTRY_RETRY_MAX_MS)
        s->retry_ms = REGISTRY_RETRY_MAX_MS;
    return jitter(s->retry_ms);
}

static void pass(struct registry *r, struct schedule *s, const struct registry_config *config,
                 bool is_scan_due)
{
    struct err e = ERR_INIT;
    struct err scan_error = ERR_INIT;
    struct registry_read *read = registry_read_new(clock_mono_ms(r->clock));
    struct registry_scan *scan = NULL;
    if (!read_aws(r, config, read, &e))
        read = registry_read_unref(read);
    bool has_scanned = read != NULL && is_scan_due;
    if (has_scanned) {
        scan = registry_scan_new(clock_mono_ms(r->clock));
        if (!scan_aws(r, config, scan, &scan_error))
            scan = registry_scan_free(scan);
    }
    int64_t now = clock_mono_ms(r->clock);
    if (err_is_set(&e) || err_is_set(&scan_error)) {
        s->read_at = now + next_retry(s);
        if (is_scan_due)
            s->scan_at = s->read_at;
    } else {
        s->retry_ms = 0;
        s->read_at = now + jitter(config->drift_interval_ms);
        if (is_scan_due)
            s->scan_at = now + jitter(config->scan_interval_ms);
    }
    bool was_big = scan != NULL || (read != NULL && read->count > SMALL_READ);
    publish(r, read, scan, &e, has_scanned ? &scan_error : NULL);
    if (was_big)
        mem_give_back();
}

void registry_run(void *arg)
{
    struct registry *r = arg;
    struct schedule s = {0};
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->is_stopped) {
        int64_t now = clock_mono_ms(r->clock);
        /* an interval that was made shorter holds at once */
        if (s.retry_ms == 0 && s.read_at > now + r->config.drift_interval_ms * 11 / 10)
            s.read_at = now + r->config.drift_interval_ms;
        if (s.scan_at > now + r->config.scan_interval_ms * 11 / 10)
            s.scan_at = now + r->config.scan_interval_ms;
        bool is_scan_due = r->is_scan_due || s.scan_at <= now;
        if (!r->is_read_due && !is_scan_due && s.read_at > now) {
            int64_t until = s.read_at < s.scan_at ? s.read_at : s.scan_at;
            (void)thread_cond_wait_ms(&r->cond, &r->mutex, until - now);
            continue;
        }
        struct registry_config config = r->config;
        r->is_read_due = false;
        r->is_scan_due = false;
        r->is_reading = true;
        (void)pthread_mutex_unlock(&r->mutex);
        pass(r, &s, &config, is_scan_due);
        if (!stopper_is_stopped(&r->stopper))
            r->on_read(r->arg, str_from(r->name));
        (void)pthread_mutex_lock(&r->mutex);
    }
    (void)pthread_mutex_unlock(&r->mutex);
}
