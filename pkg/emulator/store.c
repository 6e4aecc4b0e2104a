// SPDX-License-Identifier: Apache-2.0
/*
 * The state of the registry: its life, account settings, templates and the rule which template a
 * push gets. Repositories are in store_repository.c, images in store_image.c.
 */
#include "base/mem.h"
#include "change_priv.h"
#include "journal_priv.h"
#include "store_impl_priv.h"
#include "store_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- settings blocks ---- */

void emu_settings_fini(struct emu_settings *s)
{
    for (size_t i = 0; i < s->n_filters; i++)
        mem_free(s->filters[i]);
    for (size_t i = 0; i < s->n_tags; i++) {
        mem_free(s->tags[i].key);
        mem_free(s->tags[i].value);
    }
    mem_free(s->tags);
    mem_free(s->kms_key);
    mem_free(s->policy);
    mem_free(s->lifecycle);
    *s = (struct emu_settings){0};
}

void emu_settings_copy(struct emu_settings *to, const struct emu_settings *from)
{
    *to = (struct emu_settings){.mutability = from->mutability,
                                .n_filters = from->n_filters,
                                .encryption = from->encryption,
                                .kms_key = mem_strdup(from->kms_key),
                                .n_tags = from->n_tags,
                                .policy = mem_strdup(from->policy),
                                .lifecycle = mem_strdup(from->lifecycle),
                                .is_scan_on_push = from->is_scan_on_push};
    for (size_t i = 0; i < from->n_filters; i++)
        to->filters[i] = mem_strdup(from->filters[i]);
    if (from->n_tags == 0)
        return;
    to->tags = mem_alloc_array(from->n_tags, sizeof(*to->tags));
    for (size_t i = 0; i < from->n_tags; i++) {
        to->tags[i].key = mem_strdup(from->tags[i].key);
        to->tags[i].value = mem_strdup(from->tags[i].value);
    }
}

bool emu_settings_tag(struct emu_settings *s, struct str key, struct str value)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        if (str_eq_cstr(key, s->tags[i].key)) {
            mem_free(s->tags[i].value);
            s->tags[i].value = mem_dup(value.ptr ? value.ptr : "", value.len);
            return true;
        }
    }
    if (s->n_tags >= EMU_RESOURCE_TAGS_MAX)
        return false;
    s->tags = mem_realloc(s->tags, (s->n_tags + 1) * sizeof(*s->tags));
    s->tags[s->n_tags++] =
        (struct emu_resource_tag){.key = mem_dup(key.ptr ? key.ptr : "", key.len),
                                  .value = mem_dup(value.ptr ? value.ptr : "", value.len)};
    return true;
}

/* ---- life ---- */

struct emu_store *emu_store_new(const struct emulator_behavior *behavior, const struct clock *clock,
                                struct blobs *blobs, struct str account, struct str region)
{
    struct emu_store *s = mem_alloc(sizeof(*s));

    pthread_mutex_init(&s->mutex, NULL);
    s->behavior = *behavior;
    s->clock = clock;
    s->blobs = blobs;
    assert(account.len < sizeof(s->account) && region.len < sizeof(s->region));
    memcpy(s->account, account.ptr, account.len);
    memcpy(s->region, region.ptr, region.len);
    s->next_seq = 1;
    s->templates = map_new();
    s->cache_rules = map_new();
    s->repositories = map_new();
    s->history = emu_history_new();
    return s;
}

static void free_template(void *value)
{
    emu_template_free(value);
}

static void free_repository(void *value)
{
    emu_repository_free(value);
}

struct emu_store *emu_store_free(struct emu_store *s)
{
    if (s == NULL)
        return NULL;
    s->journal = journal_free(s->journal);
    s->load = mem_free(s->load);
    s->repositories = map_free(s->repositories, free_repository);
    s->templates = map_free(s->templates, free_template);
    s->cache_rules = s->cache_rules != NULL ? map_free(s->cache_rules, emu_cache_rule_free) : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(s->settings); i++)
        mem_free(s->settings[i]);
    s->history = emu_history_free(s->history);
    pthread_mutex_destroy(&s->mutex);
    return mem_free(s);
}

void emu_store_lock(struct emu_store *s)
{
    pthread_mutex_lock(&s->mutex);
}

void emu_store_unlock(struct emu_store *s)
{
    pthread_mutex_unlock(&s->mutex);
}

const struct emu_stats *emu_store_stats_locked(const struct emu_store *s)
{
    return &s->stats;
}

bool emu_store_take_call_locked(struct emu_store *s)
{
    int64_t second = clock_mono_ms(s->clock) / 1000;

    if (s->behavior.control_calls_per_second <= 0)
        return true;
    if (second != s->second) {
        s->second = second;
        s->calls = 0;
    }
    return s->calls++ < s->behavior.control_calls_per_second;
}

/* ---- account settings ---- */

static const struct {
    const char *name;
    const char *values[2]; /* the first is the default */
} account_settings[] = {
    {"BLOB_MOUNTING", {"DISABLED", "ENABLED"}},
    {"BASIC_SCAN_TYPE_VERSION", {"AWS_NATIVE", NULL}},
    {"REGISTRY_POLICY_SCOPE", {"V2", "V1"}},
};

int emu_setting_index(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(account_settings); i++)
        if (str_eq_cstr(name, account_settings[i].name))
            return (int)i;
    return -1;
}

const char *emu_setting_name(size_t i)
{
    return i < ARRAY_SIZE(account_settings) ? account_settings[i].name : NULL;
}

const char *emu_store_setting_locked(const struct emu_store *s, struct str name)
{
    int i = emu_setting_index(name);

    if (i < 0)
        return NULL;
    return s->settings[i] ? s->settings[i] : account_settings[i].values[0];
}

bool emu_store_blob_mounting_locked(const struct emu_store *s)
{
    return strcmp(emu_store_setting_locked(s, STR("BLOB_MOUNTING")), "ENABLED") == 0;
}

bool emu_store_put_setting_locked(struct emu_store *s, struct str name, struct str value,
                                  struct emu_error *x)
{
    int i = emu_setting_index(name);

    if (i < 0)
        return emu_fail_parameter(x, "name", "Invalid account setting name");
    for (size_t v = 0; v < ARRAY_SIZE(account_settings[i].values); v++) {
        const char *known = account_settings[i].values[v];
        struct emu_change c = {.kind = EMU_CHANGE_SETTING, .name = name, .value = value};

        if (known == NULL || !str_eq_cstr(value, known))
            continue;
        return emu_store_commit_locked(s, &c, 1, x);
    }
    return emu_fail_parameter(x, "value", "Invalid value for account setting");
}

/* ---- templates ---- */

struct str emu_template_key(const struct emu_store *s, struct str prefix)
{
    if (!s->behavior.is_slash_distinct && prefix.len > 1 && str_ends_with(prefix, STR("/")))
        prefix.len--;
    return prefix;
}

bool emu_store_add_template_locked(struct emu_store *s, struct emu_template *t, struct emu_error *x)
{
    struct str key = emu_template_key(s, str_from(t->prefix));
    struct emu_change c = {.kind = EMU_CHANGE_TEMPLATE};
    size_t most = s->behavior.max_templates > 0 ? (size_t)s->behavior.max_templates
                                                : (size_t)EMU_TEMPLATES_MAX;

    if (map_get(s->templates, key) != NULL)
        return emu_fail(x, EMU_TEMPLATE_ALREADY_EXISTS,
                        "The repository creation template with prefix '%s' already exists in the "
                        "registry with id '%s'",
                        t->prefix, s->account);
    if (map_count(s->templates) >= most)
        return emu_fail(x, EMU_LIMIT_EXCEEDED,
                        "The limit of %zu repository creation templates was reached", most);
    t->seq = s->next_seq;
    t->created_ms = clock_unix_ms(s->clock);
    t->updated_ms = t->created_ms;
    t->prefix[key.len] = '\0'; /* the key is the prefix, perhaps without its slash */
    c.template = t;
    return emu_store_commit_locked(s, &c, 1, x);
}

bool emu_store_update_template_locked(struct emu_store *s, struct emu_template *next,
                                      struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_TEMPLATE, .template = next};

    next->updated_ms = clock_unix_ms(s->clock);
    return emu_store_commit_locked(s, &c, 1, x);
}

struct emu_template *emu_store_template_locked(struct emu_store *s, struct str prefix)
{
    return map_get(s->templates, emu_template_key(s, prefix));
}

struct emu_template *emu_template_free(struct emu_template *t)
{
    if (t == NULL)
        return NULL;
    emu_settings_fini(&t->settings);
    mem_free(t->prefix);
    mem_free(t->description);
    mem_free(t->custom_role_arn);
    return mem_free(t);
}

struct emu_template *emu_template_copy(const struct emu_template *t)
{
    struct emu_template *copy = mem_alloc(sizeof(*copy));

    *copy = *t;
    copy->prefix = mem_strdup(t->prefix);
    copy->description = mem_strdup(t->description);
    copy->custom_role_arn = mem_strdup(t->custom_role_arn);
    emu_settings_copy(&copy->settings, &t->settings);
    return copy;
}

bool emu_store_remove_template_locked(struct emu_store *s, struct emu_template *t,
                                      struct emu_error *x)
{
    struct emu_change c = {.kind = EMU_CHANGE_NO_TEMPLATE, .name = str_from(t->prefix)};

    return emu_store_commit_locked(s, &c, 1, x);
}

const struct map *emu_store_templates_locked(const struct emu_store *s)
{
    return s->templates;
}

/* "There is always an assumed `/` applied to the end of the prefix" (ECR user guide). */
static bool covers(struct str prefix, struct str repository)
{
    if (str_ends_with(prefix, STR("/")))
        prefix.len--;
    return repository.len > prefix.len + 1 && str_starts_with(repository, prefix) &&
           repository.ptr[prefix.len] == '/';
}

struct emu_template *emu_store_match_template_locked(struct emu_store *s, struct str repository,
                                                     enum emu_applied_for purpose)
{
    struct emu_template *best = NULL;
    size_t best_len = 0;
    bool is_any_purpose = s->behavior.is_longest_prefix_first;

    for (struct map_entry *it = map_first(s->templates); it; it = map_next(it)) {
        struct emu_template *t = map_value(it);
        struct str prefix = str_from(t->prefix);
        bool is_root = str_eq(prefix, STR("ROOT"));
        size_t len = is_root ? 0 : prefix.len;

        if (!is_any_purpose && !(t->applied_for & (unsigned)purpose))
            continue;
        if (!is_root && !covers(prefix, repository))
            continue;
        if (best == NULL || len > best_len) {
            best = t;
            best_len = len;
        }
    }
    return best != NULL && (best->applied_for & (unsigned)purpose) ? best : NULL;
}
