// SPDX-License-Identifier: Apache-2.0
/*
 * RepositoryCreationTemplate: the table of its spec, and what is done with it.
 */
#include "api/api.h"
#include "api_priv.h"
#include "ecr/policy.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "json/write.h"

#define T struct api_template_spec

static const char *const applied_for_values[] = {"CREATE_ON_PUSH", "PULL_THROUGH_CACHE",
                                                 "REPLICATION", NULL};
static const char *const mutability_values[] = {"MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION",
                                                "IMMUTABLE_WITH_EXCLUSION", NULL};
static const char *const filter_type_values[] = {"WILDCARD", NULL};
static const char *const encryption_values[] = {"AES256", "KMS", "KMS_DSSE", NULL};
static const char *const adoption_values[] = {"IfEqual", "Always", "Never", NULL};
static const char *const deletion_values[] = {"Delete", "Retain", NULL};

static const struct field_format prefix_format = {"prefix", ecr_prefix_validate, ecr_prefix_equal};
static const struct field_format lifecycle_format = {
    "lifecycle policy", ecr_lifecycle_validate_template, ecr_lifecycle_equal};
static const struct field_format policy_format = {"IAM policy", ecr_policy_validate,
                                                  ecr_policy_equal};
static const struct field_format filter_format = {"exclusion filter", ecr_filter_validate, NULL};
static const struct field_format tag_key_format = {"tag key", ecr_tag_key_validate, NULL};
static const struct field_format tag_value_format = {"tag value", ecr_tag_value_validate, NULL};

/* --- objects below spec ---------------------------------------------------------------------- */

static const struct field registry_ref_fields[] = {
    {.name = "name",
     .kind = FIELD_STR,
     AT(T, registry_ref_name),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 253,
     .pattern = API_NAME_PATTERN,
     .pattern_says = "must be the name of a RegistrySettings",
     .matches = api_name_matches,
     .doc = "Name of the RegistrySettings."},
};
/* inline: its one field lies in the spec's struct */
static const struct schema registry_ref_table = {
    "registryRef", sizeof(T), registry_ref_fields, ARRAY_SIZE(registry_ref_fields), NULL, NULL};

static bool filter_has_few_wildcards(const void *object)
{
    struct str s = ((const struct api_exclusion_filter *)object)->filter;
    size_t stars = 0;
    for (size_t i = 0; i < s.len; i++)
        stars += s.ptr[i] == '*';
    return stars <= ECR_FILTER_WILDCARDS_MAX;
}

static const struct field filter_fields[] = {
    {.name = "filter",
     .kind = FIELD_STR,
     AT(struct api_exclusion_filter, filter),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = ECR_FILTER_MAX,
     .pattern = ECR_FILTER_PATTERN,
     .pattern_says = "must consist of letters, digits and . _ - *",
     .matches = ecr_filter_matches,
     .format = &filter_format,
     .doc = "Image tags it takes out, with at most two `*`: `latest`, `dev-*`."},
    {.name = "filterType",
     .kind = FIELD_STR,
     AT(struct api_exclusion_filter, filter_type),
     .flags = FIELD_REQUIRED,
     .values = filter_type_values,
     .doc = "How `filter` is read."},
};
static const struct schema_rule filter_rules[] = {
    {"self.filter.matches('^[^*]*([*][^*]*){0,2}$')", "filter must have at most two `*`", ".filter",
     filter_has_few_wildcards},
    {0},
};
static const struct schema filter_table = {"imageTagMutabilityExclusionFilters",
                                           sizeof(struct api_exclusion_filter),
                                           filter_fields,
                                           ARRAY_SIZE(filter_fields),
                                           filter_rules,
                                           NULL};

static bool key_only_with_kms(const void *object)
{
    const struct api_encryption *enc = object;
    return str_is_null(enc->kms_key) || !str_eq(enc->type, STR("AES256"));
}

static const struct field encryption_fields[] = {
    {.name = "encryptionType",
     .kind = FIELD_STR,
     AT(struct api_encryption, type),
     .flags = FIELD_REQUIRED,
     .clear = FIELD_CLEAR_DEFAULT,
     .aws_default = "AES256",
     .values = encryption_values,
     .doc =
         "What encrypts the images: keys of Amazon S3, or of AWS KMS (KMS_DSSE twice; AWS GovCloud "
         "only)."},
    /* absent is left out, not sent as "": encryptionConfiguration is replaced as a whole */
    {.name = "kmsKey",
     .kind = FIELD_STR,
     AT(struct api_encryption, kms_key),
     .min = 1,
     .max = ECR_KMS_KEY_MAX,
     .pattern = ECR_KMS_KEY_PATTERN,
     .pattern_says = "must be the ARN of a KMS key (no key id, no alias)",
     .matches = ecr_kms_key_matches,
     .doc = "ARN of the KMS key; absent means the managed key aws/ecr."},
};
static const struct schema_rule encryption_rules[] = {
    {"!has(self.kmsKey) || self.encryptionType != 'AES256'",
     "kmsKey must be left out unless encryptionType is KMS or KMS_DSSE", ".kmsKey",
     key_only_with_kms},
    {0},
};
static const struct schema encryption_table = {
    "encryptionConfiguration", sizeof(struct api_encryption),
    encryption_fields,         ARRAY_SIZE(encryption_fields),
    encryption_rules,          NULL};

static bool tag_is_not_reserved(const void *object)
{
    struct str key = ((const struct api_tag *)object)->key;
    return key.len < 4 || !str_eq_nocase(str_n(key.ptr, 4), STR("aws:"));
}

static const struct field tag_fields[] = {
    {.name = "key",
     .kind = FIELD_STR,
     AT(struct api_tag, key),
     .flags = FIELD_REQUIRED,
     .aws = "Key",
     .min = 1,
     .max = ECR_TAG_KEY_MAX,
     .format = &tag_key_format,
     .doc = "Name of the tag; `aws:` in front is reserved."},
    {.name = "value",
     .kind = FIELD_STR,
     AT(struct api_tag, value),
     .flags = FIELD_REQUIRED,
     .aws = "Value",
     .max = ECR_TAG_VALUE_MAX,
     .format = &tag_value_format,
     .doc = "Its value; may be empty."},
};
static const struct schema_rule tag_rules[] = {
    {"!self.key.lowerAscii().startsWith('aws:')", "key must not begin with aws:, which is reserved",
     ".key", tag_is_not_reserved},
    {0},
};
static const struct schema tag_table = {
    "resourceTags", sizeof(struct api_tag), tag_fields, ARRAY_SIZE(tag_fields), tag_rules, NULL};

/* --- spec ------------------------------------------------------------------------------------ */

static bool filters_go_with_mutability(const void *object)
{
    const T *s = object;
    bool wants = str_ends_with(s->image_tag_mutability, STR("_WITH_EXCLUSION"));
    return wants == (s->exclusion_filters.items != NULL);
}

static bool tags_have_a_role(const void *object)
{
    const T *s = object;
    return s->resource_tags.count == 0 || !str_is_null(s->custom_role_arn);
}

static bool kms_has_a_role(const void *object)
{
    const T *s = object;
    return !s->encryption.has || str_eq(s->encryption.type, STR("AES256")) ||
           !str_is_null(s->custom_role_arn);
}

static const struct schema_rule template_rules[] = {
    {"(has(self.registryRef) ? self.registryRef.name : 'default') == (has(oldSelf.registryRef) ? "
     "oldSelf.registryRef.name : 'default')",
     "registryRef is immutable: it must stay as it was created (absent means default)",
     ".registryRef", NULL},
    {"(has(self.imageTagMutability) && self.imageTagMutability.endsWith('_WITH_EXCLUSION')) == "
     "has(self.imageTagMutabilityExclusionFilters)",
     "imageTagMutabilityExclusionFilters must be given exactly when imageTagMutability ends in "
     "_WITH_EXCLUSION",
     ".imageTagMutabilityExclusionFilters", filters_go_with_mutability},
    {"!(has(self.resourceTags) && size(self.resourceTags) > 0) || has(self.customRoleARN)",
     "customRoleARN must be given with resourceTags: ECR tags new repositories only through a role",
     ".customRoleARN", tags_have_a_role},
    {"!has(self.encryptionConfiguration) || self.encryptionConfiguration.encryptionType == "
     "'AES256' "
     "|| has(self.customRoleARN)",
     "customRoleARN must be given with KMS encryption: ECR uses the key only through a role",
     ".customRoleARN", kms_has_a_role},
    {0},
};

static const struct field template_fields[] = {
    {.name = "registryRef",
     .kind = FIELD_OBJECT,
     .offset = 0,
     .flags = FIELD_INLINE,
     .aws = "",
     .sub = &registry_ref_table,
     .doc = "The RegistrySettings whose registry holds the template. Absent means `default`. "
            "Immutable."},
    {.name = "prefix",
     .kind = FIELD_STR,
     AT(T, prefix),
     .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
     .min = 1,
     .max = ECR_PREFIX_MAX,
     .pattern = ECR_PREFIX_PATTERN,
     .pattern_says = "must be ROOT, or lower-case path segments such as team-a/api",
     .matches = ecr_prefix_matches,
     .format = &prefix_format,
     .doc =
         "Repositories under this path get the settings below: `team-a` covers `team-a/api`, not "
         "`team-a2/api` and not `team-a` itself; the longest prefix wins. `ROOT` covers all that "
         "no other template does. A trailing slash is the same prefix."},
    {.name = "appliedFor",
     .kind = FIELD_STR_LIST,
     AT(T, applied_for),
     .flags = FIELD_REQUIRED | FIELD_SET,
     .min_items = 1,
     .max_items = 3,
     .values = applied_for_values,
     .doc = "What the template is for: repositories that ECR creates on push, for pull-through "
            "caches, by replication."},
    {.name = "description",
     .kind = FIELD_STR,
     AT(T, description),
     .clear = FIELD_CLEAR_EMPTY,
     .max = ECR_DESCRIPTION_MAX,
     .doc = "Text shown with the template in AWS."},
    {.name = "imageTagMutability",
     .kind = FIELD_STR,
     AT(T, image_tag_mutability),
     .clear = FIELD_CLEAR_DEFAULT,
     .aws_default = "MUTABLE",
     .values = mutability_values,
     .doc = "May a tag that exists be pushed again?"},
    /* cleared by sending a mutability without exclusions: AWS takes no empty list */
    {.name = "imageTagMutabilityExclusionFilters",
     .kind = FIELD_LIST,
     AT(T, exclusion_filters),
     .min_items = 1,
     .max_items = ECR_FILTERS_MAX,
     .sub = &filter_table,
     .key = "filter",
     .doc =
         "Tags that are excluded from imageTagMutability; only with its _WITH_EXCLUSION values."},
    {.name = "encryptionConfiguration",
     .kind = FIELD_OBJECT,
     AT(T, encryption),
     .clear = FIELD_CLEAR_DEFAULT,
     .sub = &encryption_table,
     .doc = "Encryption of new repositories; that of existing ones cannot be changed. Blobs are "
            "mounted only between repositories with the same. KMS needs customRoleARN."},
    {.name = "repositoryPolicy",
     .kind = FIELD_DOCUMENT,
     AT(T, repository_policy),
     .clear = FIELD_CLEAR_EMPTY,
     .max = ECR_POLICY_MAX,
     .format = &policy_format,
     .doc =
         "IAM policy of new repositories, as a JSON text or as an object. Compared by meaning, not "
         "by text."},
    {.name = "lifecyclePolicy",
     .kind = FIELD_DOCUMENT,
     AT(T, lifecycle_policy),
     .clear = FIELD_CLEAR_EMPTY,
     .max = ECR_LIFECYCLE_MAX,
     .format = &lifecycle_format,
     .doc = "Lifecycle policy of new repositories (which images expire), as a JSON text or as an "
            "object. Compared by meaning: rules by rulePriority, tag lists as sets."},
    {.name = "resourceTags",
     .kind = FIELD_LIST,
     AT(T, resource_tags),
     .clear = FIELD_CLEAR_EMPTY,
     .max_items = ECR_TAGS_MAX,
     .sub = &tag_table,
     .key = "key",
     .doc = "Tags of new repositories. Need customRoleARN."},
    {.name = "customRoleARN",
     .kind = FIELD_STR,
     AT(T, custom_role_arn),
     .aws = "customRoleArn",
     .clear = FIELD_CLEAR_EMPTY,
     .min = 1,
     .max = ECR_ROLE_ARN_MAX,
     .pattern = ECR_ROLE_ARN_PATTERN,
     .pattern_says = "must be the ARN of an IAM role",
     .matches = ecr_role_arn_matches,
     .doc =
         "ARN of the IAM role, in the registry's account, that ECR assumes to create repositories; "
         "it trusts ecr.amazonaws.com."},
    {.name = "adoptionPolicy",
     .kind = FIELD_STR,
     AT(T, adoption_policy),
     .aws = "",
     .values = adoption_values,
     .doc =
         "What to do with a template that exists in AWS already. Absent means `IfEqual`: take it "
         "over when it equals this spec, else report AlreadyExists. `Always` takes it over and "
         "changes it; `Never` refuses."},
    {.name = "deletionPolicy",
     .kind = FIELD_STR,
     AT(T, deletion_policy),
     .aws = "",
     .values = deletion_values,
     .doc = "What happens in AWS when this object is deleted. Absent: `Delete` what Berth created, "
            "`Retain` what it adopted. Repositories are never deleted."},
};

const struct schema api_template_table = {
    "spec",          sizeof(T),
    template_fields, ARRAY_SIZE(template_fields),
    template_rules,  "The template is owned whole: what is absent here is cleared in AWS."};

const struct schema *api_template_schema(void)
{
    return &api_template_table;
}

/* --- functions ------------------------------------------------------------------------------- */

bool api_template_decode(const struct json *spec, struct arena *a, struct api_template_spec *ret,
                         struct err *e)
{
    return schema_decode_cr(&api_template_table, spec, a, ret, e);
}

struct str api_template_registry(const struct api_template_spec *s)
{
    return str_is_null(s->registry_ref_name) ? STR(API_DEFAULT_REGISTRY) : s->registry_ref_name;
}

enum api_adoption api_template_adoption(const struct api_template_spec *s)
{
    if (str_eq(s->adoption_policy, STR("Always")))
        return API_ADOPT_ALWAYS;
    return str_eq(s->adoption_policy, STR("Never")) ? API_ADOPT_NEVER : API_ADOPT_IF_EQUAL;
}

bool api_template_applies_to(const struct api_template_spec *s, struct str value)
{
    const struct str *items = s->applied_for.items;
    for (size_t i = 0; i < s->applied_for.count; i++)
        if (str_eq(items[i], value))
            return true;
    return false;
}

uint32_t api_template_applied_for(const struct api_template_spec *s)
{
    const struct str *items = s->applied_for.items;
    uint32_t bits = 0;
    for (size_t i = 0; i < s->applied_for.count; i++)
        bits |= ecr_applied_for_parse(items[i]);
    return bits;
}

/* What AWS adds to the template. */
static const struct field dates_fields[] = {
    {.name = "createdAt",
     .kind = FIELD_TIME,
     AT(struct api_template_observed, created_at),
     .doc = "When AWS created it."},
    {.name = "updatedAt",
     .kind = FIELD_TIME,
     AT(struct api_template_observed, updated_at),
     .doc = "When AWS last changed it."},
};
static const struct schema dates_table = {"repositoryCreationTemplate",
                                          sizeof(struct api_template_observed),
                                          dates_fields,
                                          ARRAY_SIZE(dates_fields),
                                          NULL,
                                          NULL};

bool api_template_from_aws(const struct json *v, struct arena *a, struct api_template_observed *ret,
                           struct err *e)
{
    /* the dates first: decoding zeroes the struct */
    if (!schema_decode_aws(&dates_table, v, a, ret, e) ||
        !schema_decode_aws(&api_template_table, v, a, &ret->spec, e))
        return false;
    if (str_is_empty(ret->spec.prefix))
        return err_set(e, ERR_RETRY, "BadResponse", "unexpected reply: template without a prefix");
    /* what tells ours from one that somebody made in its place */
    if (!ret->created_at.has)
        return err_set(e, ERR_RETRY, "BadResponse",
                       "unexpected reply: template %.*s without createdAt",
                       STR_ARG(ret->spec.prefix));
    return true;
}

void api_template_diff(const struct api_template_spec *desired,
                       const struct api_template_spec *observed, struct arena *a,
                       struct schema_diff *ret)
{
    schema_diff(&api_template_table, desired, observed, a, ret);
}

static bool encode(const struct api_template_spec *s, enum schema_mode mode, struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    schema_encode_aws(&api_template_table, s, mode, &w);
    json_end(&w);
    return json_write_ok(&w);
}

bool api_template_encode_create(const struct api_template_spec *s, struct buf *out)
{
    return encode(s, SCHEMA_CREATE, out);
}

bool api_template_decode_create(const struct json *v, struct arena *a,
                                struct api_template_spec *ret, struct err *e)
{
    return schema_decode_aws(&api_template_table, v, a, ret, e);
}

bool api_template_encode_update(const struct api_template_spec *s, struct str aws_prefix,
                                struct buf *out)
{
    struct api_template_spec copy = *s;
    if (!str_is_empty(aws_prefix))
        copy.prefix = aws_prefix;
    return encode(&copy, SCHEMA_COMPLETE, out);
}

struct str api_prefix_normalise(struct str prefix)
{
    return ecr_prefix_normalise(prefix);
}

bool api_prefix_equal(struct str a, struct str b)
{
    return ecr_prefix_equal(a, b);
}
