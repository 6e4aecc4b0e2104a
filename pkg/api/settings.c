// SPDX-License-Identifier: Apache-2.0
/*
 * RegistrySettings: the table of its spec, and what holds where it is silent.
 */
#include "api/api.h"
#include "api_priv.h"
#include "ecr/prefix.h"

#include <assert.h>

enum {
    DRIFT_INTERVAL_MS = 60 * 1000,
    SCAN_INTERVAL_MS = 5 * 60 * 1000,
    REQUESTS_PER_SECOND = 10,
    INTERVAL_LEAST_MS = 10 * 1000,
    INTERVAL_MOST_MS = 24 * 60 * 60 * 1000,
};

#define S struct api_settings_spec

static const char *const enabled_values[] = {"ENABLED", "DISABLED", NULL};
static const char *const scan_version_values[] = {"AWS_NATIVE", NULL};
static const char *const policy_scope_values[] = {"V2", NULL};
static const char *const deletion_values[] = {"Retain", NULL};

static const struct field_format host_format = {"registry host", ecr_registry_host_validate, NULL};

/* --- account settings ------------------------------------------------------------------------ */

static const struct field account_settings_fields[] = {
    {.name = "blobMounting",
     .kind = FIELD_STR,
     AT(struct api_account_settings, blob_mounting),
     .aws = "BLOB_MOUNTING",
     .values = enabled_values,
     .doc = "May a push mount layers from other repositories of the registry instead of uploading "
            "them again? Works between repositories with the same encryption."},
    {.name = "basicScanTypeVersion",
     .kind = FIELD_STR,
     AT(struct api_account_settings, basic_scan_type_version),
     .aws = "BASIC_SCAN_TYPE_VERSION",
     .values = scan_version_values,
     .doc = "Technology of basic scanning."},
    {.name = "registryPolicyScope",
     .kind = FIELD_STR,
     AT(struct api_account_settings, registry_policy_scope),
     .aws = "REGISTRY_POLICY_SCOPE",
     .values = policy_scope_values,
     .doc =
         "Actions that the registry policy governs; V2: all of ECR's. There is no way back to V1."},
};
const struct schema api_account_settings_table = {"accountSettings",
                                                  sizeof(struct api_account_settings),
                                                  account_settings_fields,
                                                  ARRAY_SIZE(account_settings_fields),
                                                  NULL,
                                                  NULL};
static_assert(ARRAY_SIZE(account_settings_fields) == API_ACCOUNT_SETTINGS,
              "every account setting has a row");

const char *api_account_setting_aws_name(size_t i)
{
    assert(i < API_ACCOUNT_SETTINGS);
    return account_settings_fields[i].aws;
}

const char *api_account_setting_field(size_t i)
{
    assert(i < API_ACCOUNT_SETTINGS);
    return account_settings_fields[i].name;
}

struct str api_account_setting_get(const struct api_account_settings *s, size_t i)
{
    assert(i < API_ACCOUNT_SETTINGS);
    const char *base = (const char *)s;
    return *(const struct str *)(const void *)(base + account_settings_fields[i].offset);
}

void api_account_setting_set(struct api_account_settings *s, size_t i, struct str value)
{
    assert(i < API_ACCOUNT_SETTINGS);
    char *base = (char *)s;
    *(struct str *)(void *)(base + account_settings_fields[i].offset) = value;
    s->has = true;
}

/* --- spec ------------------------------------------------------------------------------------ */

static bool is_secure(const S *s, struct str endpoint)
{
    return str_is_null(endpoint) || str_starts_with(endpoint, STR("https://")) ||
           api_loopback_matches(endpoint) ||
           (s->allow_insecure_endpoint.has && s->allow_insecure_endpoint.value);
}

static bool endpoint_is_secure(const void *object)
{
    const S *s = object;
    return is_secure(s, s->endpoint);
}

#define SECURE_RULE(FIELD)                                                                         \
    "!has(self." FIELD ") || self." FIELD ".startsWith('https://') || (has("                       \
    "self.allowInsecureEndpoint) && self.allowInsecureEndpoint) || self." FIELD                    \
    ".matches(r'" API_LOOPBACK_PATTERN "')"
#define SECURE_SAYS(FIELD)                                                                         \
    FIELD " must begin with https://, or with http:// and a loopback address; "                    \
          "allowInsecureEndpoint: true permits http elsewhere"

static const struct schema_rule settings_rules[] = {
    {"!has(oldSelf.accountID) || (has(self.accountID) && self.accountID == oldSelf.accountID)",
     "accountID is immutable once set: it must stay as it is", ".accountID", NULL},
    {SECURE_RULE("endpoint"), SECURE_SAYS("endpoint"), ".endpoint", endpoint_is_secure},
    {0},
};

#define ENDPOINT(NAME, MEMBER, DOC)                                                                \
    {                                                                                              \
        .name = NAME, .kind = FIELD_STR, AT(S, MEMBER), .aws = "", .min = 1,                       \
        .max = API_ENDPOINT_MAX, .pattern = API_ENDPOINT_PATTERN,                                  \
        .pattern_says = "must be https:// or http://, a host and perhaps a port, without a path",  \
        .matches = api_endpoint_matches, .doc = DOC                                                \
    }
#define INTERVAL(NAME, MEMBER, DOC)                                                                \
    {                                                                                              \
        .name = NAME, .kind = FIELD_DURATION, AT(S, MEMBER), .aws = "", .min = INTERVAL_LEAST_MS,  \
        .max = INTERVAL_MOST_MS, .doc = DOC                                                        \
    }

static const struct field settings_fields[] = {
    {.name = "region",
     .kind = FIELD_STR,
     AT(S, region),
     .flags = FIELD_REQUIRED | FIELD_IMMUTABLE,
     .aws = "",
     .min = 2,
     .max = 25,
     .pattern = API_REGION_PATTERN,
     .pattern_says = "must be the name of an AWS region such as eu-west-1",
     .matches = api_region_matches,
     .doc = "AWS region of the registry."},
    {.name = "accountID",
     .kind = FIELD_STR,
     AT(S, account_id),
     .aws = "",
     .min = ECR_ACCOUNT_ID_LEN,
     .max = ECR_ACCOUNT_ID_LEN,
     .pattern = ECR_ACCOUNT_ID_PATTERN,
     .pattern_says = "must be the 12 digits of an AWS account",
     .matches = ecr_account_id_matches,
     .doc =
         "AWS account that the credentials must belong to; nothing is written to another. Absent: "
         "the account of the first reply, which status.registryID keeps. Immutable once set."},
    ENDPOINT(
        "endpoint", endpoint,
        "Where ECR's API is, for a VPC endpoint, FIPS or an emulator. Absent: AWS' own endpoint "
        "of the region."),
    {.name = "allowInsecureEndpoint",
     .kind = FIELD_BOOL,
     AT(S, allow_insecure_endpoint),
     .aws = "",
     .doc =
         "Permits http:// to hosts other than this machine. For emulators in a test cluster only: "
         "requests and replies can be read and changed on the way."},
    {.name = "registryHosts",
     .kind = FIELD_STR_LIST,
     AT(S, registry_hosts),
     .flags = FIELD_SET,
     .aws = "",
     .max_items = API_REGISTRY_HOSTS_MAX,
     .min = 1,
     .max = ECR_HOST_MAX + 6,
     .pattern = ECR_REGISTRY_HOST_PATTERN,
     .pattern_says = "must be a host or host:port as image references have it",
     .matches = ecr_registry_host_matches,
     .format = &host_format,
     .doc = "Further names of this registry in image references, such as a proxy or an emulator. "
            "AWS' own names are always known."},
    {.name = "accountSettings",
     .kind = FIELD_OBJECT,
     AT(S, account_settings),
     .aws = "",
     .sub = &api_account_settings_table,
     .doc = "ECR's settings of the account in this region. One that is absent is not touched; one "
            "that is given is kept so."},
    INTERVAL("driftInterval", drift_interval,
             "How often templates and account settings are read and mended. Absent means 60s."),
    INTERVAL("repositoryScanInterval", repository_scan_interval,
             "How often repositories are listed. Absent means 5m."),
    {.name = "requestsPerSecond",
     .kind = FIELD_INT,
     AT(S, requests_per_second),
     .aws = "",
     .min = 1,
     .max = 1000,
     .doc = "The most requests to AWS per second of one operator process. Absent means 10."},
    {.name = "deletionPolicy",
     .kind = FIELD_STR,
     AT(S, deletion_policy),
     .aws = "",
     .values = deletion_values,
     .doc =
         "What happens in AWS when this object is deleted. Absent means `Retain`, the only value: "
         "AWS stays as it is."},
    {.name = "admission",
     .kind = FIELD_OBJECT,
     AT(S, admission),
     .aws = "",
     .sub = &api_admission_table,
     .doc = "What the admission webhook does with workloads that name images of this registry. "
            "Absent means the defaults below."},
};

const struct schema api_settings_table = {
    "spec",
    sizeof(S),
    settings_fields,
    ARRAY_SIZE(settings_fields),
    settings_rules,
    "One registry is one AWS account and region: how to reach it, and its settings."};

const struct schema *api_settings_schema(void)
{
    return &api_settings_table;
}

bool api_settings_decode(const struct json *spec, struct arena *a, struct api_settings_spec *ret,
                         struct err *e)
{
    return schema_decode_cr(&api_settings_table, spec, a, ret, e);
}

int64_t api_settings_drift_interval_ms(const struct api_settings_spec *s)
{
    return s->drift_interval.has ? s->drift_interval.value : DRIFT_INTERVAL_MS;
}

int64_t api_settings_repository_scan_interval_ms(const struct api_settings_spec *s)
{
    return s->repository_scan_interval.has ? s->repository_scan_interval.value : SCAN_INTERVAL_MS;
}

int64_t api_settings_requests_per_second(const struct api_settings_spec *s)
{
    return s->requests_per_second.has ? s->requests_per_second.value : REQUESTS_PER_SECOND;
}
