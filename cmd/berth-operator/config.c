// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the configuration file.
 */
#include "config.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "names.h"
#include "yaml/yaml.h"

#include <string.h>

void config_defaults(struct config *c)
{
    *c = (struct config){.log_level = LOG_INFO,
                         .health_address = ":8081",
                         .metrics_address = ":8080",
                         .has_condition_metrics = true,
                         .workers = CONFIG_WORKERS,
                         .has_elections = true};
    config_webhook_defaults(&c->webhook, &c->admission);
}

void config_fini(struct config *c)
{
    arena_fini(&c->arena);
}

/* A section: absent, or a map of these keys. */
static bool section(const struct yaml *root, const char *name, const char *const *keys,
                    const struct yaml **ret, struct err *e)
{
    *ret = yaml_get(root, name);
    return yaml_known_keys(*ret, name, keys, e);
}

static bool read_log(const struct yaml *root, struct config *c, struct err *e)
{
    static const char *const keys[] = {"level", NULL};
    const struct yaml *log;
    if (!section(root, "log", keys, &log, e))
        return false;
    const struct yaml *level = yaml_get(log, "level");
    struct str text;
    if (level == NULL)
        return true;
    if (!yaml_str(level, "log.level", &text, e))
        return false;
    return log_level_parse(text, &c->log_level) ||
           err_set(e, ERR_INVALID, "InvalidYAML",
                   "line %d, column %d: log.level must be debug, info, warn or error", level->line,
                   level->column);
}

static bool read_address(const struct yaml *listener, const char *full_name, char *address,
                         struct err *e)
{
    const struct yaml *value = yaml_get(listener, "address");
    struct str text;
    if (value == NULL)
        return true;
    if (!yaml_str(value, full_name, &text, e))
        return false;
    if (!web_listen_check(text.ptr, e))
        return err_wrap(e, "line %d, column %d: %s", value->line, value->column, full_name);
    memcpy(address, text.ptr, text.len + 1); /* checked: shorter than WEB_MAX_LISTEN */
    return true;
}

static bool read_health(const struct yaml *root, struct config *c, struct err *e)
{
    static const char *const keys[] = {"address", NULL};
    const struct yaml *health;
    return section(root, "health", keys, &health, e) &&
           read_address(health, "health.address", c->health_address, e);
}

static bool read_metrics(const struct yaml *root, struct config *c, struct err *e)
{
    static const char *const keys[] = {"address", "resourceConditions", NULL};
    const struct yaml *metrics;
    if (!section(root, "metrics", keys, &metrics, e) ||
        !read_address(metrics, "metrics.address", c->metrics_address, e))
        return false;
    const struct yaml *conditions = yaml_get(metrics, "resourceConditions");
    return conditions == NULL ||
           yaml_bool(conditions, "metrics.resourceConditions", &c->has_condition_metrics, e);
}

static bool read_controller(const struct yaml *root, struct config *c, struct err *e)
{
    static const char *const keys[] = {"workers", NULL};
    const struct yaml *controller;
    if (!section(root, "controller", keys, &controller, e))
        return false;
    const struct yaml *workers = yaml_get(controller, "workers");
    int64_t n;
    if (workers == NULL)
        return true;
    if (!yaml_i64(workers, "controller.workers", 1, CONFIG_WORKERS_MAX, &n, e))
        return false;
    c->workers = (int)n;
    return true;
}

static bool read_elections(const struct yaml *root, struct config *c, struct err *e)
{
    static const char *const keys[] = {"enabled", "namespace", NULL};
    const struct yaml *elections;
    if (!section(root, "leaderElection", keys, &elections, e))
        return false;
    const struct yaml *enabled = yaml_get(elections, "enabled");
    if (enabled != NULL && !yaml_bool(enabled, "leaderElection.enabled", &c->has_elections, e))
        return false;
    const struct yaml *namespace = yaml_get(elections, "namespace");
    struct str text;
    if (namespace == NULL)
        return true;
    if (!yaml_str(namespace, "leaderElection.namespace", &text, e))
        return false;
    if (!name_is_label(text))
        return err_set(e, ERR_INVALID, "InvalidYAML",
                       "line %d, column %d: leaderElection.namespace must be the name of a "
                       "namespace: lower-case letters, digits and inner hyphens, at most %d",
                       namespace->line, namespace->column, CONFIG_NAMESPACE_MAX);
    memcpy(c->lease_namespace, text.ptr, text.len);
    c->lease_namespace[text.len] = '\0';
    return true;
}

bool config_parse(struct str text, struct config *ret, struct err *e)
{
    static const char *const keys[] = {
        "log", "health", "metrics", "controller", "leaderElection", "webhook", "admission", NULL};
    config_defaults(ret);
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct yaml *root;
    return yaml_parse(text, CONFIG_MAX_BYTES, &arena, &root, e) &&
           yaml_known_keys(root, "the configuration", keys, e) && read_log(root, ret, e) &&
           read_health(root, ret, e) && read_metrics(root, ret, e) &&
           read_controller(root, ret, e) && read_elections(root, ret, e) &&
           config_webhook_read(root, &ret->arena, &ret->webhook, e) &&
           config_admission_read(root, &ret->arena, &ret->admission, e);
}

bool config_load(const char *path, struct config *ret, struct err *e)
{
    config_defaults(ret);
    if (path == NULL)
        return true;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CONFIG_MAX_BYTES);
    if (!file_read(path, &text, e))
        return err_wrap(e, "the configuration file");
    return config_parse(buf_str(&text), ret, e) || err_wrap(e, "%s", path);
}
