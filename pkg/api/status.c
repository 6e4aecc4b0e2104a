// SPDX-License-Identifier: Apache-2.0
/*
 * The status of both kinds: tables for the CRD, decoding what an earlier pass (or an earlier
 * process) wrote, and writing it.
 */
#include "api/api.h"
#include "api_priv.h"
#include "ecr/prefix.h"

#include <string.h>

#define ACCOUNT_ID                                                                                 \
    .min = ECR_ACCOUNT_ID_LEN, .max = ECR_ACCOUNT_ID_LEN, .pattern = ECR_ACCOUNT_ID_PATTERN,       \
    .pattern_says = "must be 12 digits", .matches = ecr_account_id_matches

/* --- conditions ------------------------------------------------------------------------------ */

#define C struct api_condition
static const char *const condition_status_values[] = {"True", "False", "Unknown", NULL};

static const struct field condition_fields[] = {
    {.name = "type",
     .kind = FIELD_STR,
     AT(C, type),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 316,
     .pattern = API_CONDITION_TYPE_PATTERN,
     .pattern_says = "must be the type of a condition",
     .matches = api_condition_type_matches,
     .doc = "What the condition is about: Ready, Synced, Reconciling, Stalled."},
    {.name = "status",
     .kind = FIELD_STR,
     AT(C, status),
     .flags = FIELD_REQUIRED,
     .values = condition_status_values,
     .doc = "Does it hold?"},
    {.name = "reason",
     .kind = FIELD_STR,
     AT(C, reason),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 1024,
     .pattern = API_REASON_PATTERN,
     .pattern_says = "must be one word",
     .matches = api_reason_matches,
     .doc = "Why, as one word for programs; the list is in the reference."},
    {.name = "message",
     .kind = FIELD_STR,
     AT(C, message),
     .flags = FIELD_REQUIRED,
     .max = 32768,
     .doc = "Why, and what to do, for people."},
    {.name = "observedGeneration",
     .kind = FIELD_INT,
     AT(C, observed_generation),
     .doc = "Generation of the object that the condition is about."},
    {.name = "lastTransitionTime",
     .kind = FIELD_TIME,
     AT(C, last_transition_time),
     .flags = FIELD_REQUIRED,
     .doc = "When status last changed."},
};
const struct schema api_condition_table = {
    "conditions", sizeof(C), condition_fields, ARRAY_SIZE(condition_fields), NULL, NULL};

struct api_condition *api_condition_find(const struct schema_list *conditions, const char *type)
{
    C *items = conditions->items;
    for (size_t i = 0; i < conditions->count; i++)
        if (str_eq_cstr(items[i].type, type))
            return &items[i];
    return NULL;
}

/* The three rows that both kinds begin with. */
#define COMMON(TYPE)                                                                               \
    {.name = "observedGeneration",                                                                 \
     .kind = FIELD_INT,                                                                            \
     AT(TYPE, observed_generation),                                                                \
     .doc = "Generation of the spec that the conditions are about; -1 before the first pass."},    \
        {.name = "conditions",                                                                     \
         .kind = FIELD_LIST,                                                                       \
         AT(TYPE, conditions),                                                                     \
         .max_items = API_CONDITIONS_MAX,                                                          \
         .sub = &api_condition_table,                                                              \
         .key = "type",                                                                            \
         .doc = "Ready and Synced always; Reconciling and Stalled only while they are True."},     \
    {                                                                                              \
        .name = "lastHandledReconcileAt", .kind = FIELD_STR, AT(TYPE, last_handled_reconcile_at),  \
        .max = 1024,                                                                               \
        .doc = "Value of the annotation ecr.berth.dev/reconcile-requested-at that was last acted " \
               "on."                                                                               \
    }

/* --- RepositoryCreationTemplate -------------------------------------------------------------- */

#define T struct api_template_status
static const char *const origin_values[] = {API_ORIGIN_CREATED, API_ORIGIN_ADOPTED, NULL};

static const struct field ownership_fields[] = {
    {.name = "origin",
     .kind = FIELD_STR,
     AT(struct api_ownership, origin),
     .flags = FIELD_REQUIRED,
     .values = origin_values,
     .doc = "How Berth came to own the template."},
    {.name = "since",
     .kind = FIELD_TIME,
     AT(struct api_ownership, since),
     .flags = FIELD_REQUIRED,
     .doc = "When that was decided."},
    {.name = "createdAt",
     .kind = FIELD_TIME,
     AT(struct api_ownership, created_at),
     .doc = "AWS' createdAt of the template that is owned; one that somebody made in its "
            "place is kept equal to the spec, but never deleted."},
};
static const struct schema ownership_table = {
    "ownership", sizeof(struct api_ownership), ownership_fields, ARRAY_SIZE(ownership_fields), NULL,
    NULL};

/* a cut text and what was cut off a field's name: 256 bytes, which are at most as many characters
 */
static const struct field drift_fields[] = {
    {.name = "field",
     .kind = FIELD_STR,
     AT(struct api_drift, field),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 256,
     .doc = "Field of spec."},
    {.name = "desired",
     .kind = FIELD_STR,
     AT(struct api_drift, desired),
     .max = SCHEMA_TEXT_MAX,
     .doc = "What spec says; absent where it says nothing."},
    {.name = "observed",
     .kind = FIELD_STR,
     AT(struct api_drift, observed),
     .max = SCHEMA_TEXT_MAX,
     .doc = "What AWS has; absent where it has nothing."},
};
static const struct schema drift_table = {
    "drift", sizeof(struct api_drift), drift_fields, ARRAY_SIZE(drift_fields), NULL, NULL};

static const struct field template_status_fields[] = {
    COMMON(T),
    {.name = "registryID",
     .kind = FIELD_STR,
     AT(T, registry_id),
     ACCOUNT_ID,
     .doc = "AWS account of the registry that holds the template."},
    {.name = "ownership",
     .kind = FIELD_OBJECT,
     AT(T, ownership),
     .sub = &ownership_table,
     .doc = "Present while Berth owns the template in AWS through this object."},
    {.name = "updatedAt",
     .kind = FIELD_TIME,
     AT(T, updated_at),
     .doc = "When the template last changed in AWS."},
    {.name = "drift",
     .kind = FIELD_LIST,
     AT(T, drift),
     .max_items = API_DRIFT_MAX,
     .sub = &drift_table,
     .doc = "Differences between spec and AWS that are not mended."},
    {.name = "repositories",
     .kind = FIELD_INT,
     AT(T, repositories),
     .doc = "How many repositories the template covers."},
};
const struct schema api_template_status_table = {
    "status", sizeof(T), template_status_fields, ARRAY_SIZE(template_status_fields), NULL, NULL};

const struct schema *api_template_status_schema(void)
{
    return &api_template_status_table;
}

bool api_template_status_decode(const struct json *status, struct arena *a,
                                struct api_template_status *ret, struct err *e)
{
    return schema_decode_cr(&api_template_status_table, status, a, ret, e);
}

void api_template_status_encode(const struct api_template_status *s, struct json_writer *w)
{
    schema_encode_cr(&api_template_status_table, s, w);
}

struct schema_list api_drift_from_diff(const struct schema_diff *d, struct arena *a)
{
    size_t count = d->count < API_DRIFT_MAX ? d->count : API_DRIFT_MAX;
    if (count == 0)
        return (struct schema_list){0};
    struct api_drift *rows = arena_new_array(a, struct api_drift, count);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct api_drift){str_cut_utf8(d->items[i].field, SCHEMA_TEXT_MAX),
                                     d->items[i].desired, d->items[i].observed};
    return (struct schema_list){rows, count};
}

/* --- RegistrySettings ------------------------------------------------------------------------ */

#undef T
#define T struct api_settings_status

/* What AWS reports, which may be a word that spec does not offer (CLAIR, V1). */
#define OBSERVED(NAME, MEMBER)                                                                     \
    {                                                                                              \
        .name = NAME, .kind = FIELD_STR, AT(struct api_account_settings, MEMBER), .max = 64,       \
        .doc = "What AWS has."                                                                     \
    }
static const struct field observed_fields[] = {
    OBSERVED("blobMounting", blob_mounting),
    OBSERVED("basicScanTypeVersion", basic_scan_type_version),
    OBSERVED("registryPolicyScope", registry_policy_scope),
};
const struct schema api_account_settings_observed_table = {"accountSettings",
                                                           sizeof(struct api_account_settings),
                                                           observed_fields,
                                                           ARRAY_SIZE(observed_fields),
                                                           NULL,
                                                           NULL};

static const struct field counts_fields[] = {
    {.name = "managed",
     .kind = FIELD_INT,
     AT(struct api_template_counts, managed),
     .doc = "Templates of this registry that an object owns."},
    {.name = "unmanaged",
     .kind = FIELD_STR_LIST,
     AT(struct api_template_counts, unmanaged),
     .max_items = API_UNMANAGED_MAX,
     .max = ECR_PREFIX_MAX,
     .doc = "Prefixes of templates in AWS that no object owns, the first 20."},
};
static const struct schema counts_table = {"templates",   sizeof(struct api_template_counts),
                                           counts_fields, ARRAY_SIZE(counts_fields),
                                           NULL,          NULL};

static const struct field mount_fields[] = {
    {.name = "encryptionType",
     .kind = FIELD_STR,
     AT(struct api_mount_group, encryption_type),
     .flags = FIELD_REQUIRED,
     .max = 64,
     .doc = "Encryption that the repositories share."},
    {.name = "kmsKey",
     .kind = FIELD_STR,
     AT(struct api_mount_group, kms_key),
     .max = ECR_KMS_KEY_MAX,
     .doc = "Their KMS key."},
    {.name = "repositories",
     .kind = FIELD_INT,
     AT(struct api_mount_group, repositories),
     .flags = FIELD_REQUIRED,
     .doc = "How many they are."},
};
static const struct schema mount_table = {"blobMounting", sizeof(struct api_mount_group),
                                          mount_fields,   ARRAY_SIZE(mount_fields),
                                          NULL,           NULL};

static const struct field settings_status_fields[] = {
    COMMON(T),
    {.name = "registryID",
     .kind = FIELD_STR,
     AT(T, registry_id),
     ACCOUNT_ID,
     .doc = "AWS account of the registry, from its first reply; nothing is written to another."},
    {.name = "region",
     .kind = FIELD_STR,
     AT(T, region),
     .max = 25,
     .doc = "AWS region of the registry."},
    {.name = "registryHosts",
     .kind = FIELD_STR_LIST,
     AT(T, registry_hosts),
     .max_items = API_REGISTRY_HOSTS_MAX + 10,
     .max = ECR_HOST_MAX + 6,
     .doc = "All names of the registry in image references: AWS' own and those of spec."},
    {.name = "accountSettings",
     .kind = FIELD_OBJECT,
     AT(T, account_settings),
     .sub = &api_account_settings_observed_table,
     .doc = "The account settings that spec names, as AWS has them."},
    {.name = "templates",
     .kind = FIELD_OBJECT,
     AT(T, templates),
     .sub = &counts_table,
     .doc = "The repository creation templates of the registry."},
    {.name = "repositories",
     .kind = FIELD_INT,
     AT(T, repositories),
     .doc = "How many repositories the registry has."},
    {.name = "blobMounting",
     .kind = FIELD_LIST,
     AT(T, blob_mounting),
     .max_items = API_MOUNT_GROUPS_MAX,
     .sub = &mount_table,
     .doc =
         "Groups of repositories that can mount layers from each other: same encryption type and "
         "key."},
};
const struct schema api_settings_status_table = {
    "status", sizeof(T), settings_status_fields, ARRAY_SIZE(settings_status_fields), NULL, NULL};

const struct schema *api_settings_status_schema(void)
{
    return &api_settings_status_table;
}

bool api_settings_status_decode(const struct json *status, struct arena *a,
                                struct api_settings_status *ret, struct err *e)
{
    return schema_decode_cr(&api_settings_status_table, status, a, ret, e);
}

void api_settings_status_encode(const struct api_settings_status *s, struct json_writer *w)
{
    schema_encode_cr(&api_settings_status_table, s, w);
}
