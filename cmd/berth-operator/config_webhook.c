// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the sections webhook and admission.
 */
#include "config_webhook.h"

#include "names.h"
#include "yaml/yaml.h"

#include <string.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

#define DEFAULT_CONFIGURATION "berth"
#define DEFAULT_SECRET        "berth-webhook-certs"
#define DEFAULT_DIRECTORY     "/etc/berth/certs"

void config_webhook_defaults(struct config_webhook *w, struct config_admission *a)
{
    *w = (struct config_webhook){
        .address = ":9443",
        .workers = WEB_WORKERS,
        .drain_ms = 10 * 1000,
        .configuration = STR(DEFAULT_CONFIGURATION),
        .secret = STR(DEFAULT_SECRET),
        .directory = STR(DEFAULT_DIRECTORY),
        .ca_lifetime_ms = CERTS_CA_LIFETIME_MS,
        .leaf_lifetime_ms = CERTS_LEAF_LIFETIME_MS,
    };
    *a = (struct config_admission){.unmanaged_registries = API_ACTION_ALLOW};
}

/* --- small readers: an absent value leaves *ret as it is ----------------------------------------
 */

static bool fail(const struct yaml *v, const char *name, const char *must, struct err *e)
{
    return err_set(e, ERR_INVALID, "InvalidYAML", "line %d, column %d: %s must be %s", v->line,
                   v->column, name, must);
}

static bool read_text(const struct yaml *map, const char *key, const char *name, struct arena *a,
                      struct str *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    struct str text;
    if (v == NULL)
        return true;
    if (!yaml_str(v, name, &text, e))
        return false;
    *ret = arena_copy(a, text);
    return true;
}

/* And is_good() of it; must says what that takes. */
static bool read_name(const struct yaml *map, const char *key, const char *name,
                      bool (*is_good)(struct str), const char *must, struct arena *a,
                      struct str *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    return read_text(map, key, name, a, ret, e) &&
           (v == NULL || is_good(*ret) || fail(v, name, must, e));
}

/* words: NULL-ended; *ret is the index of the one that is given. */
static bool read_word(const struct yaml *map, const char *key, const char *name,
                      const char *const *words, const char *must, int *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    struct str text;
    if (v == NULL)
        return true;
    if (!yaml_str(v, name, &text, e))
        return false;
    for (int i = 0; words[i] != NULL; i++) {
        if (str_eq_cstr(text, words[i])) {
            *ret = i;
            return true;
        }
    }
    return fail(v, name, must, e);
}

static bool read_number(const struct yaml *map, const char *key, const char *name, int64_t least,
                        int64_t most, int64_t *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    return v == NULL || yaml_i64(v, name, least, most, ret, e);
}

static bool read_duration(const struct yaml *map, const char *key, const char *name, int64_t least,
                          int64_t most, int64_t *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    return v == NULL || yaml_duration_ms(v, name, least, most, ret, e);
}

static size_t length(const struct yaml *list)
{
    size_t n = 0;
    for (const struct yaml *it = list->first; it != NULL; it = it->next)
        n++;
    return n;
}

static bool read_texts(const struct yaml *map, const char *key, const char *name, size_t most,
                       struct arena *a, struct schema_list *ret, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    if (yaml_is_null(v))
        return true;
    if (v->kind != YAML_LIST)
        return fail(v, name, "a list", e);
    const size_t count = length(v);
    if (count > most)
        return fail(v, name, "shorter", e);
    struct str *items = arena_new_array(a, struct str, count + 1);
    size_t n = 0;
    for (const struct yaml *it = v->first; it != NULL; it = it->next) {
        struct str text;
        if (!yaml_str(it, name, &text, e))
            return false;
        if (text.len == 0)
            return fail(it, name, "a list of texts that are not empty", e);
        items[n++] = arena_copy(a, text);
    }
    *ret = (struct schema_list){items, n};
    return true;
}

static bool check_each(const struct yaml *map, const char *key, const char *name,
                       bool (*is_good)(struct str), const char *must, struct err *e)
{
    const struct yaml *v = yaml_get(map, key);
    for (const struct yaml *it = yaml_is_null(v) ? NULL : v->first; it != NULL; it = it->next) {
        struct str text;
        if (!yaml_str(it, name, &text, e))
            return false;
        if (!is_good(text))
            return fail(it, name, must, e);
    }
    return true;
}

static bool is_given(struct str s)
{
    return s.len > 0;
}

static bool is_absent_or_subdomain(struct str s)
{
    return s.len == 0 || name_is_subdomain(s);
}

#define A_NAME "a name: lower-case letters, digits, inner hyphens and dots"

/* --- webhook ------------------------------------------------------------------------------------
 */

static bool read_certs(const struct yaml *webhook, struct arena *a, struct config_webhook *w,
                       struct err *e)
{
    static const char *const keys[] = {"mode",       "secret",       "directory", "dnsNames",
                                       "caLifetime", "leafLifetime", NULL};
    static const char *const modes[] = {"self-managed", "cert-manager", "provided", NULL};
    const struct yaml *certs = yaml_get(webhook, "certs");
    int mode = CERTS_SELF_MANAGED;
    if (!yaml_known_keys(certs, "webhook.certs", keys, e) ||
        !read_word(certs, "mode", "webhook.certs.mode", modes,
                   "self-managed, cert-manager or provided", &mode, e) ||
        !read_name(certs, "secret", "webhook.certs.secret", name_is_subdomain, A_NAME, a,
                   &w->secret, e) ||
        !read_name(certs, "directory", "webhook.certs.directory", is_given, "a directory", a,
                   &w->directory, e) ||
        !read_texts(certs, "dnsNames", "webhook.certs.dnsNames", CONFIG_DNS_NAMES_MAX, a,
                    &w->dns_names, e) ||
        !check_each(certs, "dnsNames", "webhook.certs.dnsNames", name_is_host,
                    "a list of DNS names and addresses", e) ||
        !read_duration(certs, "caLifetime", "webhook.certs.caLifetime", 30 * 1000,
                       (int64_t)3650 * DAY_MS, &w->ca_lifetime_ms, e) ||
        !read_duration(certs, "leafLifetime", "webhook.certs.leafLifetime", 10 * 1000,
                       (int64_t)366 * DAY_MS, &w->leaf_lifetime_ms, e))
        return false;
    w->certs_mode = (enum certs_mode)mode;
    if (w->leaf_lifetime_ms > w->ca_lifetime_ms / 2)
        return fail(certs, "webhook.certs.leafLifetime", "at most half of caLifetime", e);
    return true;
}

static bool read_address(const struct yaml *webhook, char *address, struct err *e)
{
    const struct yaml *v = yaml_get(webhook, "address");
    struct str text;
    if (v == NULL)
        return true;
    if (!yaml_str(v, "webhook.address", &text, e))
        return false;
    if (!web_listen_check(text.ptr, e))
        return err_wrap(e, "line %d, column %d: webhook.address", v->line, v->column);
    memcpy(address, text.ptr, text.len + 1); /* checked: shorter than WEB_MAX_LISTEN */
    return true;
}

bool config_webhook_read(const struct yaml *root, struct arena *arena, struct config_webhook *w,
                         struct err *e)
{
    static const char *const keys[] = {"enabled",       "address", "workers", "drainSeconds",
                                       "configuration", "certs",   NULL};
    const struct yaml *webhook = yaml_get(root, "webhook");
    const struct yaml *enabled = yaml_get(webhook, "enabled");
    int64_t workers = w->workers;
    int64_t drain_s = w->drain_ms / 1000;
    if (!yaml_known_keys(webhook, "webhook", keys, e) ||
        (enabled != NULL && !yaml_bool(enabled, "webhook.enabled", &w->is_enabled, e)) ||
        !read_address(webhook, w->address, e) ||
        !read_number(webhook, "workers", "webhook.workers", 1, CONFIG_WEBHOOK_WORKERS_MAX, &workers,
                     e) ||
        !read_number(webhook, "drainSeconds", "webhook.drainSeconds", 0, CONFIG_DRAIN_MAX_S,
                     &drain_s, e) ||
        !read_name(webhook, "configuration", "webhook.configuration", is_absent_or_subdomain,
                   A_NAME "; or \"\" for none", arena, &w->configuration, e))
        return false;
    w->workers = (int)workers;
    w->drain_ms = drain_s * 1000;
    return read_certs(webhook, arena, w, e);
}

/* --- admission ----------------------------------------------------------------------------------
 */

static bool read_kind(const struct yaml *v, struct arena *a, struct admission_kind *ret,
                      struct err *e)
{
    static const char *const keys[] = {"group",  "versions", "kind", "resource",
                                       "images", "purpose",  NULL};
    static const char *const purposes[] = {"Pull", "Push", NULL};
    int purpose = -1;
    *ret = (struct admission_kind){.group = STR(""), .kind = STR("")};
    if (!yaml_known_keys(v, "admission.kinds", keys, e) ||
        !read_name(v, "group", "admission.kinds.group", is_absent_or_subdomain,
                   "an API group without its version, such as example.com", a, &ret->group, e) ||
        !read_texts(v, "versions", "admission.kinds.versions", 20, a, &ret->versions, e) ||
        !check_each(v, "versions", "admission.kinds.versions", name_is_label,
                    "a list of versions such as v1beta1; left out for all", e) ||
        !read_name(v, "kind", "admission.kinds.kind", name_is_kind,
                   "a kind: letters and digits, such as Workload", a, &ret->kind, e) ||
        !read_name(v, "resource", "admission.kinds.resource", name_is_label,
                   "the kind's plural in lower case, such as workloads", a, &ret->resource, e) ||
        !read_texts(v, "images", "admission.kinds.images", ADMISSION_PATHS_MAX, a, &ret->images,
                    e) ||
        !read_word(v, "purpose", "admission.kinds.purpose", purposes, "Pull or Push", &purpose, e))
        return false;
    if (ret->kind.len == 0 || ret->images.count == 0 || purpose < 0)
        return fail(v, "an entry of admission.kinds", "complete: kind, images and purpose", e);
    ret->purpose = purpose == 1 ? ADMISSION_PUSH : ADMISSION_PULL;
    const struct str *images = ret->images.items;
    for (size_t i = 0; i < ret->images.count; i++)
        if (!admission_path_check(images[i], e))
            return err_wrap(e, "line %d, column %d: admission.kinds, images[%zu]", v->line,
                            v->column, i);
    return true;
}

static bool read_kinds(const struct yaml *admission, struct arena *a, struct schema_list *ret,
                       struct err *e)
{
    const struct yaml *v = yaml_get(admission, "kinds");
    if (yaml_is_null(v))
        return true;
    if (v->kind != YAML_LIST || length(v) > ADMISSION_KINDS_MAX)
        return fail(v, "admission.kinds", "a list of at most 200 entries", e);
    struct admission_kind *items = arena_new_array(a, struct admission_kind, length(v) + 1);
    size_t n = 0;
    for (const struct yaml *it = v->first; it != NULL; it = it->next)
        if (!read_kind(it, a, &items[n++], e))
            return false;
    *ret = (struct schema_list){items, n};
    return true;
}

bool config_admission_read(const struct yaml *root, struct arena *arena, struct config_admission *a,
                           struct err *e)
{
    static const char *const keys[] = {"unmanagedRegistries", "templateChoice", "allowedPrefixes",
                                       "kinds", NULL};
    static const char *const actions[] = {"Allow", "Warn", "Deny", NULL};
    static const char *const choices[] = {"FilteredLongest", "LongestFiltered", NULL};
    const struct yaml *admission = yaml_get(root, "admission");
    int action = a->unmanaged_registries;
    int choice = a->choice;
    if (!yaml_known_keys(admission, "admission", keys, e) ||
        !read_word(admission, "unmanagedRegistries", "admission.unmanagedRegistries", actions,
                   "Allow, Warn or Deny", &action, e) ||
        !read_word(admission, "templateChoice", "admission.templateChoice", choices,
                   "FilteredLongest or LongestFiltered", &choice, e) ||
        !read_texts(admission, "allowedPrefixes", "admission.allowedPrefixes",
                    CONFIG_ALLOWED_PREFIXES_MAX, arena, &a->allowed_prefixes, e))
        return false;
    a->unmanaged_registries = (enum api_action)action;
    a->choice = (enum ecr_choice)choice;
    return read_kinds(admission, arena, &a->kinds, e);
}
