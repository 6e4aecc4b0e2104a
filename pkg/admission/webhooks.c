// SPDX-License-Identifier: Apache-2.0
/*
 * Generating the ValidatingWebhookConfiguration. The conditions were tried on API servers under
 * failurePolicy Fail with every built-in kind (docs/reference/admission.md says what they hold
 * back); `.?` needs Kubernetes 1.29.
 */
#include "admission/webhooks.h"

#include "ecr/prefix.h"
#include "json/json.h"
#include "json/write.h"
#include "schema/kind.h"

#include <string.h>

enum {
    /* all hosts, as long as they can be, with each character quoted */
    EXPRESSION_MAX = WEBHOOKS_HOSTS_MAX * (2 * ECR_HOST_MAX + 16) + 8 * 1024,
    CONFIGURATION_MAX = 512 * 1024
};

#define NAMES_AN_IMAGE "names-an-ecr-image"

/* Every host name that ECR has in any partition: account, dkr.ecr or dkr-ecr, FIPS, region. */
static const char ecr_hosts[] =
    "[0-9]{12}\\.dkr[.-]ecr(-fips)?\\.[a-z0-9-]+\\.(amazonaws\\.com(\\.cn)?|amazonaws\\.eu|"
    "on\\.aws|on\\.amazonwebservices\\.(com\\.cn|eu)|c2s\\.ic\\.gov|sc2s\\.sgov\\.gov|"
    "cloud\\.adc-e\\.uk|csp\\.hci\\.ic\\.gov)(:[0-9]+)?";

struct rule {
    const char *group;
    const char *version;
    const char *resources[8];
};

struct entry {
    const char *name;
    const char *root; /* of the Pod's spec; NULL: no conditions */
    bool is_pod;
    bool skips_controlled; /* what a controller made has been looked at as its template */
    struct rule rules[5];
    size_t rule_count;
};

static const struct entry entries[] = {
    {.name = "pods",
     .root = "spec",
     .is_pod = true,
     .rules = {{"", "v1", {"pods", "pods/ephemeralcontainers"}}},
     .rule_count = 1},
    {.name = "workloads",
     .root = "spec.?template.?spec",
     .skips_controlled = true,
     .rules = {{"", "v1", {"replicationcontrollers"}},
               {"apps", "v1", {"deployments", "replicasets", "statefulsets", "daemonsets"}},
               {"batch", "v1", {"jobs"}},
               {"serving.knative.dev", "*", {"services"}}},
     .rule_count = 4},
    {.name = "cronjobs",
     .root = "spec.?jobTemplate.?spec.?template.?spec",
     .rules = {{"batch", "v1", {"cronjobs"}}},
     .rule_count = 1},
    {.name = "builds",
     .rules = {{"kpack.io", "*", {"images"}}, {"tekton.dev", "*", {"taskruns", "pipelineruns"}}},
     .rule_count = 2},
};

/* --- expressions --------------------------------------------------------------------------------
 */

/* RE2: everything that is not a letter or digit is escaped. */
static void append_quoted(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        const bool is_word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && c != '-')
            buf_append_char(out, '\\');
        buf_append_char(out, c);
    }
}

/* Without a port and with that of HTTPS is one host, see ecr_image_host_equal(). */
static void append_host(struct str host, struct buf *out)
{
    if (str_ends_with(host, STR(":443")))
        host.len -= 4;
    buf_append_char(out, '|');
    append_quoted(out, host);
    if (str_index(host, ':') < 0)
        buf_append_cstr(out, "(:443)?");
}

static void append_regex(const struct webhooks_options *o, struct buf *out)
{
    buf_printf(out, "(?i)^(%s", ecr_hosts);
    for (size_t i = 0; i < o->host_count; i++)
        append_host(o->hosts[i], out);
    buf_append_cstr(out, ")/");
}

static void append_images(const char *object, const char *root, struct buf *out)
{
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
    buf_append_char(out, '(');
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        buf_printf(out, "%s.?%s.?%s.orValue([]).map(c, c.?image.orValue('')) + ", object, root,
                   lists[i]);
    buf_printf(out, "%s.?%s.?volumes.orValue([]).map(v, v.?image.?reference.orValue('')))", object,
               root);
}

static void put_condition(struct json_writer *w, const char *name, struct str expression)
{
    json_begin_object(w);
    json_put_cstr(w, "name", name);
    json_put_str(w, "expression", expression);
    json_end(w);
}

static void put_conditions(const struct webhooks_options *o, const struct entry *entry,
                           struct json_writer *w)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(EXPRESSION_MAX);
    json_key_begin_array(w, "matchConditions");
    if (entry->is_pod)
        put_condition(
            w, "not-a-mirror-pod",
            STR("!('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))"));
    if (entry->skips_controlled)
        put_condition(w, "not-made-by-a-controller",
                      STR("!object.metadata.?ownerReferences.orValue([]).exists(o, "
                          "o.?controller.orValue(false))"));
    append_images("object", entry->root, &text);
    buf_append_cstr(&text, ".exists(i, i.matches(r'");
    append_regex(o, &text);
    buf_append_cstr(&text, "'))");
    put_condition(w, NAMES_AN_IMAGE, buf_str(&text));
    buf_reset(&text);
    buf_append_cstr(&text, "request.operation == 'CREATE' || ");
    append_images("object", entry->root, &text);
    buf_append_cstr(&text, " != ");
    append_images("oldObject", entry->root, &text);
    put_condition(w, "images-changed", buf_str(&text));
    json_end(w);
}

/* --- the rest of an entry -----------------------------------------------------------------------
 */

static void put_texts(struct json_writer *w, const char *key, const struct str *items, size_t count)
{
    json_key_begin_array(w, key);
    for (size_t i = 0; i < count; i++)
        json_str(w, items[i]);
    json_end(w);
}

static void put_rule(struct json_writer *w, struct str group, const struct str *versions,
                     size_t version_count, const struct str *resources, size_t resource_count)
{
    const struct str operations[] = {STR("CREATE"), STR("UPDATE")};
    json_begin_object(w);
    put_texts(w, "apiGroups", &group, 1);
    put_texts(w, "apiVersions", versions, version_count);
    put_texts(w, "operations", operations, 2);
    put_texts(w, "resources", resources, resource_count);
    json_put_cstr(w, "scope", "Namespaced");
    json_end(w);
}

static void put_selector(const struct webhooks_options *o, struct json_writer *w)
{
    const struct str left_out[] = {STR("kube-system"), STR("kube-node-lease"),
                                   str_from(o->namespace)};
    const struct str disabled = STR("disabled");
    json_key_begin_object(w, "namespaceSelector");
    json_key_begin_array(w, "matchExpressions");
    json_begin_object(w);
    json_put_cstr(w, "key", "kubernetes.io/metadata.name");
    json_put_cstr(w, "operator", "NotIn");
    put_texts(w, "values", left_out, ARRAY_SIZE(left_out));
    json_end(w);
    json_begin_object(w);
    json_put_cstr(w, "key", "ecr.berth.dev/admission");
    json_put_cstr(w, "operator", "NotIn");
    put_texts(w, "values", &disabled, 1);
    json_end(w);
    json_end(w);
    json_end(w);
}

static void begin_entry(const struct webhooks_options *o, struct str name, struct json_writer *w)
{
    json_begin_object(w);
    json_put_str(w, "name", name);
    json_key_begin_array(w, "admissionReviewVersions");
    json_str(w, STR("v1"));
    json_end(w);
    json_put_cstr(w, "sideEffects", "NoneOnDryRun");
    json_put_cstr(w, "failurePolicy", o->failure_policy);
    json_put_cstr(w, "matchPolicy", "Equivalent");
    json_put_int(w, "timeoutSeconds", o->timeout_seconds);
    json_key_begin_object(w, "clientConfig");
    json_key_begin_object(w, "service");
    json_put_cstr(w, "name", o->service);
    json_put_cstr(w, "namespace", o->namespace);
    json_put_cstr(w, "path", "/validate");
    json_put_int(w, "port", 443);
    json_end(w);
    json_end(w);
    put_selector(o, w);
}

static void put_builtin(const struct webhooks_options *o, const struct entry *entry,
                        struct arena *a, struct json_writer *w)
{
    begin_entry(o, arena_printf(a, "%s.ecr.berth.dev", entry->name), w);
    json_key_begin_array(w, "rules");
    for (size_t i = 0; i < entry->rule_count; i++) {
        const struct rule *rule = &entry->rules[i];
        struct str resources[ARRAY_SIZE(rule->resources)];
        const struct str version = str_from(rule->version);
        size_t n = 0;
        for (; n < ARRAY_SIZE(rule->resources) && rule->resources[n] != NULL; n++)
            resources[n] = str_from(rule->resources[n]);
        put_rule(w, str_from(rule->group), &version, 1, resources, n);
    }
    json_end(w);
    if (entry->root != NULL)
        put_conditions(o, entry, w);
    json_end(w);
}

/* --- configured kinds ---------------------------------------------------------------------------
 */

static struct str lower(struct str s, struct arena *a)
{
    char *text = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        text[i] = (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] - 'A' + 'a' : s.ptr[i]);
    return str_n(text, s.len);
}

/* As kubebuilder guesses; an entry's resource says where it is another word. */
static struct str plural(const struct admission_kind *kind, struct arena *a)
{
    if (!str_is_empty(kind->resource))
        return kind->resource;
    const struct str one = lower(kind->kind, a);
    if (str_ends_with(one, STR("s")) || str_ends_with(one, STR("x")) ||
        str_ends_with(one, STR("ch")))
        return arena_printf(a, "%.*ses", STR_ARG(one));
    if (str_ends_with(one, STR("y")))
        return arena_printf(a, "%.*sies", (int)one.len - 1, one.ptr);
    return arena_printf(a, "%.*ss", STR_ARG(one));
}

/* Is every object of that kind asked about already? One with a Pod is not: the conditions look at
 * the Pod's images only, and what is configured names others. Where both hold it is asked about
 * twice, which creates nothing twice. */
static bool is_builtin(const struct admission_kind *kind, struct str resource)
{
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        for (size_t n = 0; entries[i].root == NULL && n < entries[i].rule_count; n++)
            for (size_t m = 0; m < 8 && entries[i].rules[n].resources[m] != NULL; m++)
                if (str_eq_cstr(kind->group, entries[i].rules[n].group) &&
                    str_eq_cstr(resource, entries[i].rules[n].resources[m]))
                    return true;
    return false;
}

/* All of them in one entry, without conditions: where they name images is not the server's to
 * know. */
static void put_configured(const struct webhooks_options *o, struct arena *a, struct json_writer *w)
{
    size_t left = 0;
    for (size_t i = 0; i < o->kind_count; i++)
        left += !is_builtin(&o->kinds[i], plural(&o->kinds[i], a));
    if (left == 0)
        return;
    begin_entry(o, STR("configured.ecr.berth.dev"), w);
    json_key_begin_array(w, "rules");
    for (size_t i = 0; i < o->kind_count; i++) {
        const struct admission_kind *kind = &o->kinds[i];
        const struct str resource = plural(kind, a);
        const struct str all = STR("*");
        if (is_builtin(kind, resource))
            continue; /* asked about already */
        put_rule(w, kind->group, kind->versions.count > 0 ? kind->versions.items : &all,
                 kind->versions.count > 0 ? kind->versions.count : 1, &resource, 1);
    }
    json_end(w);
    json_end(w);
}

/* --- */

static bool check(const struct webhooks_options *o, struct err *e)
{
    if (o->host_count > WEBHOOKS_HOSTS_MAX)
        return err_set(e, ERR_INVALID, "InvalidHost", "there may be at most %d hosts",
                       WEBHOOKS_HOSTS_MAX);
    for (size_t i = 0; i < o->host_count; i++)
        if (!ecr_registry_host_validate(o->hosts[i], e))
            return err_wrap(e, "host \"%.*s\"", STR_ARG(o->hosts[i]));
    return true;
}

bool webhooks_generate(const struct webhooks_options *o, struct buf *out, struct err *e)
{
    if (!check(o, e))
        return false;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CONFIGURATION_MAX);
    struct json_writer w = json_writer_to(&text);
    json_begin_object(&w);
    json_put_cstr(&w, "apiVersion", "admissionregistration.k8s.io/v1");
    json_put_cstr(&w, "kind", "ValidatingWebhookConfiguration");
    json_key_begin_object(&w, "metadata");
    json_put_cstr(&w, "name", o->name);
    json_end(&w);
    json_key_begin_array(&w, "webhooks");
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        put_builtin(o, &entries[i], &a, &w);
    put_configured(o, &a, &w);
    json_end(&w);
    json_end(&w);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_write_ok(&w))
        return err_set(e, ERR_INVALID, "TooLarge", "the configuration is too large");
    if (!json_parse(buf_str(&text), CONFIGURATION_MAX, &doc, e))
        return false;
    schema_json_to_yaml(json_root(doc), out);
    return buf_ok(out) || err_set(e, ERR_INVALID, "TooLarge", "the configuration is too large");
}

/* --- what the live one asks about ---------------------------------------------------------------
 */

/* As a whole alternative: "a:50" is not in "a:5000". */
static bool has_alternative(struct str expression, struct str alternative)
{
    for (size_t at = 0; at + alternative.len < expression.len; at++) {
        const char next = expression.ptr[at + alternative.len];
        if ((next == '|' || next == ')') &&
            str_starts_with(str_from_offset(expression, at), alternative))
            return true;
    }
    return false;
}

bool webhooks_ask_about(const struct json *live, struct str host)
{
    const ptrdiff_t colon = str_rindex(host, ':');
    struct ecr_host parts;
    if (ecr_host_parse(colon > 0 ? str_n(host.ptr, (size_t)colon) : host, &parts))
        return true;
    struct buf alternative BERTH_CLEANUP(buf_fini) = BUF_INIT(2 * ECR_HOST_MAX + 32);
    append_host(host, &alternative);
    const struct json *webhook = json_first(json_get(live, "webhooks"));
    for (; webhook != NULL; webhook = json_next(webhook)) {
        const struct json *it = json_first(json_get(webhook, "matchConditions"));
        for (; it != NULL; it = json_next(it))
            if (str_eq_cstr(json_str_or_null(json_get(it, "name")), NAMES_AN_IMAGE) &&
                !has_alternative(json_str_or_null(json_get(it, "expression")),
                                 buf_str(&alternative)))
                return false;
    }
    return true;
}
