// SPDX-License-Identifier: Apache-2.0
/*
 * The two kinds as `kubectl` sees them: names, columns, selectable fields.
 */
#include "api/api.h"
#include "api_priv.h"
#include "schema/kind.h"

#define CONDITION(TYPE, MEMBER) ".status.conditions[?(@.type==\"" TYPE "\")]." MEMBER

#define READY_COLUMNS                                                                              \
    {"Ready", "string", CONDITION("Ready", "status"), false, "Is AWS as spec says?"},              \
    {                                                                                              \
        "Reason", "string", CONDITION("Ready", "reason"), false, "Why, or why not."                \
    }
#define AGE_COLUMN                                                                                 \
    {                                                                                              \
        "Age", "date", ".metadata.creationTimestamp", false, "Time since the object was created."  \
    }
#define SYNCED_COLUMN                                                                              \
    {                                                                                              \
        "Synced", "string", CONDITION("Synced", "status"), true, "Did the last pass finish?"       \
    }
#define MESSAGE_COLUMN                                                                             \
    {                                                                                              \
        "Message", "string", CONDITION("Ready", "message"), true, "The reason in words."           \
    }

static const char *const categories[] = {"ecr", NULL};

static const char *const template_short_names[] = {"ecrt", NULL};
static const char *const template_selectable[] = {".spec.prefix", NULL};
static const struct schema_column template_columns[] = {
    {"Prefix", "string", ".spec.prefix", false, "Repositories it is for."},
    {"Applied-For", "string", ".spec.appliedFor", false, "What it is for."},
    {"Mutability", "string", ".spec.imageTagMutability", false, "Of image tags; empty is MUTABLE."},
    READY_COLUMNS,
    SYNCED_COLUMN,
    {"Registry", "string", ".spec.registryRef.name", true, "RegistrySettings; empty is `default`."},
    MESSAGE_COLUMN,
    AGE_COLUMN,
};

static const char *const settings_short_names[] = {"ecrset", NULL};
static const struct schema_column settings_columns[] = {
    {"Region", "string", ".spec.region", false, "AWS region."},
    {"Account", "string", ".status.registryID", false, "AWS account, as AWS reports it."},
    {"Blob-Mounting", "string", ".status.accountSettings.blobMounting", false,
     "As AWS has it; shown where spec names it."},
    READY_COLUMNS,
    SYNCED_COLUMN,
    {"Repositories", "integer", ".status.repositories", true, "How many the registry has."},
    {"Templates", "integer", ".status.templates.managed", true, "How many objects own."},
    MESSAGE_COLUMN,
    AGE_COLUMN,
};

static const struct schema_kind template_kind = {
    .group = API_GROUP,
    .version = API_VERSION,
    .kind = API_TEMPLATE_KIND,
    .plural = API_TEMPLATE_PLURAL,
    .singular = "repositorycreationtemplate",
    .short_names = template_short_names,
    .categories = categories,
    .selectable_fields = template_selectable,
    .spec = &api_template_table,
    .status = &api_template_status_table,
    .columns = template_columns,
    .column_count = ARRAY_SIZE(template_columns),
    .doc =
        "RepositoryCreationTemplate is a repository creation template of Amazon ECR: the settings "
        "that repositories under a prefix get when ECR creates them.",
};

static const struct schema_kind settings_kind = {
    .group = API_GROUP,
    .version = API_VERSION,
    .kind = API_SETTINGS_KIND,
    .plural = API_SETTINGS_PLURAL,
    .singular = "registrysettings",
    .short_names = settings_short_names,
    .categories = categories,
    .spec = &api_settings_table,
    .status = &api_settings_status_table,
    .columns = settings_columns,
    .column_count = ARRAY_SIZE(settings_columns),
    .doc =
        "RegistrySettings is one registry of Amazon ECR, an AWS account in a region: how to reach "
        "it, and its account settings.",
};

const struct schema_kind *api_template_kind(void)
{
    return &template_kind;
}

const struct schema_kind *api_settings_kind(void)
{
    return &settings_kind;
}
