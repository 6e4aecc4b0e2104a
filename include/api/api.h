// SPDX-License-Identifier: Apache-2.0
/*
 * The API group ecr.berth.dev: names, condition reasons, and the kinds as C structs with their
 * descriptor tables (schema/schema.h). The CRDs, the reference page, the requests to AWS and the
 * comparison with its replies all come from these tables.
 *
 * Decoded objects live in the caller's arena. All functions are pure; any thread.
 */
#pragma once

#include "api/admission.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stdint.h>

struct json;
struct json_writer;
struct schema_kind;

#define API_GROUP            "ecr.berth.dev"
#define API_VERSION          "v1alpha1"
#define API_GROUP_VERSION    API_GROUP "/" API_VERSION
#define API_TEMPLATE_KIND    "RepositoryCreationTemplate"
#define API_TEMPLATE_PLURAL  "repositorycreationtemplates"
#define API_SETTINGS_KIND    "RegistrySettings"
#define API_SETTINGS_PLURAL  "registrysettings"
#define API_DEFAULT_REGISTRY "default" /* the registryRef that absent means */

#define API_FINALIZER                      API_GROUP "/finalizer"
#define API_ANNOTATION_PAUSED              API_GROUP "/paused"    /* "true" */
#define API_ANNOTATION_READ_ONLY           API_GROUP "/read-only" /* "true" */
#define API_ANNOTATION_RECONCILE_REQUESTED API_GROUP "/reconcile-requested-at"

/* --- conditions ------------------------------------------------------------------------------ */

#define API_CONDITION_READY       "Ready"       /* always present */
#define API_CONDITION_SYNCED      "Synced"      /* always present */
#define API_CONDITION_RECONCILING "Reconciling" /* present only while True */
#define API_CONDITION_STALLED     "Stalled"     /* present only while True */

/* of Ready; Reconciling and Stalled carry the same word */
#define API_REASON_AVAILABLE               "Available"
#define API_REASON_CREATING                "Creating"
#define API_REASON_PROGRESSING             "Progressing"
#define API_REASON_DELETING                "Deleting"
#define API_REASON_ALREADY_EXISTS          "AlreadyExists"
#define API_REASON_ACCESS_DENIED           "AccessDenied"
#define API_REASON_INVALID_SPEC            "InvalidSpec"
#define API_REASON_THROTTLED               "Throttled"
#define API_REASON_AWS_ERROR               "AWSError"
#define API_REASON_CONFLICT                "Conflict"
#define API_REASON_DRIFT_DETECTED          "DriftDetected"
#define API_REASON_NOT_CONVERGING          "NotConverging"
#define API_REASON_CONTENDED               "Contended"
#define API_REASON_REGISTRY_NOT_FOUND      "RegistryNotFound"
#define API_REASON_REGISTRY_NOT_READY      "RegistryNotReady"
#define API_REASON_ACCOUNT_MISMATCH        "AccountMismatch"
#define API_REASON_IN_USE                  "InUse"
#define API_REASON_CREDENTIALS_UNAVAILABLE "CredentialsUnavailable"
#define API_REASON_ENDPOINT_UNREACHABLE    "EndpointUnreachable"
#define API_REASON_QUOTA_EXCEEDED          "QuotaExceeded"
/* of Synced */
#define API_REASON_RECONCILE_SUCCESS "ReconcileSuccess"
#define API_REASON_RECONCILE_ERROR   "ReconcileError"
#define API_REASON_RECONCILE_PAUSED  "ReconcilePaused"

struct api_reason {
    const char *name;
    const char *condition; /* API_CONDITION_READY or API_CONDITION_SYNCED */
    const char *doc;       /* when it is given and what helps, for the reference page */
};
/* Every reason above, in that order. */
const struct api_reason *api_reasons(size_t *ret_count);

/* metav1.Condition */
struct api_condition {
    struct str type;
    struct str status; /* "True", "False", "Unknown" */
    struct str reason;
    struct str message; /* at most 32768 characters */
    struct schema_i64 observed_generation;
    struct schema_i64 last_transition_time; /* unix ms; whole seconds, as metav1.Time has them */
};
/* NULL where the list (of struct api_condition) lacks the type. */
struct api_condition *api_condition_find(const struct schema_list *conditions, const char *type);

/* --- RepositoryCreationTemplate -------------------------------------------------------------- */

struct api_tag {
    struct str key, value;
};
struct api_exclusion_filter {
    struct str filter, filter_type;
};
struct api_encryption {
    bool has;
    struct str type; /* AES256, KMS, KMS_DSSE */
    struct str kms_key;
};

struct api_template_spec {
    struct str registry_ref_name;   /* absent means API_DEFAULT_REGISTRY: api_template_registry() */
    struct str prefix;              /* as written; compare with api_prefix_equal() */
    struct schema_list applied_for; /* of struct str, a set */
    struct str description;
    struct str image_tag_mutability;
    struct schema_list exclusion_filters; /* of struct api_exclusion_filter, by filter */
    struct api_encryption encryption;
    struct str repository_policy;     /* JSON text */
    struct str lifecycle_policy;      /* JSON text */
    struct schema_list resource_tags; /* of struct api_tag, by key */
    struct str custom_role_arn;
    struct str adoption_policy; /* api_template_adoption() */
    struct str deletion_policy; /* Delete, Retain; absent depends on how it is owned */
};

enum api_adoption { API_ADOPT_IF_EQUAL, API_ADOPT_ALWAYS, API_ADOPT_NEVER };

const struct schema *api_template_schema(void);
/* spec of a RepositoryCreationTemplate, validated as the CRD does and beyond (policy documents).
 * ERR_INVALID, reason "InvalidSpec", "spec.<path>: …". */
bool api_template_decode(const struct json *spec, struct arena *a, struct api_template_spec *ret,
                         struct err *e) BERTH_NODISCARD;
struct str api_template_registry(const struct api_template_spec *s);
enum api_adoption api_template_adoption(const struct api_template_spec *s);
/* applied_for has that value ("CREATE_ON_PUSH")? */
bool api_template_applies_to(const struct api_template_spec *s, struct str value);
/* All of them as bits of enum ecr_applied_for. */
uint32_t api_template_applied_for(const struct api_template_spec *s);

/* A template as ECR reports it. */
struct api_template_observed {
    struct api_template_spec spec; /* registry_ref_name and the policies of ours are absent */
    struct schema_i64 created_at;  /* unix ms */
    struct schema_i64 updated_at;
};
/* One repositoryCreationTemplate of a reply. ERR_RETRY, reason "BadResponse". */
bool api_template_from_aws(const struct json *v, struct arena *a, struct api_template_observed *ret,
                           struct err *e) BERTH_NODISCARD;
/* What AWS knows of them: absent, empty and AWS' default are the same, a trailing slash of the
 * prefix does not count. */
void api_template_diff(const struct api_template_spec *desired,
                       const struct api_template_spec *observed, struct arena *a,
                       struct schema_diff *ret);
/* The body of CreateRepositoryCreationTemplate: what is present. False: out is full. */
bool api_template_encode_create(const struct api_template_spec *s, struct buf *out) BERTH_NODISCARD;
/* The reverse: the settings, of such a body. */
bool api_template_decode_create(const struct json *v, struct arena *a,
                                struct api_template_spec *ret, struct err *e) BERTH_NODISCARD;
/* The body of UpdateRepositoryCreationTemplate: the complete desired state, absent fields as what
 * clears them. aws_prefix is AWS' spelling of the prefix (absent: the spec's). */
bool api_template_encode_update(const struct api_template_spec *s, struct str aws_prefix,
                                struct buf *out) BERTH_NODISCARD;

/* The prefix without its trailing slash: the key under which a template is the same. A view. */
struct str api_prefix_normalise(struct str prefix);
bool api_prefix_equal(struct str a, struct str b);

struct api_ownership {
    bool has;
    struct str origin;            /* API_ORIGIN_… */
    struct schema_i64 since;      /* unix ms */
    struct schema_i64 created_at; /* AWS' createdAt of what is owned, exact to the ms; absent
                                     between the decision to create and the reply */
};
#define API_ORIGIN_CREATED "Created"
#define API_ORIGIN_ADOPTED "Adopted"

/* A row of status.drift; made of a schema_difference. */
struct api_drift {
    struct str field, desired, observed;
};
enum { API_DRIFT_MAX = 64 };

struct api_template_status {
    struct schema_i64 observed_generation; /* -1 before the first pass */
    struct schema_list conditions;         /* of struct api_condition */
    struct str last_handled_reconcile_at;
    struct str registry_id;
    struct api_ownership ownership;
    struct schema_i64 updated_at; /* unix ms, AWS' */
    struct schema_list drift;     /* of struct api_drift */
    struct schema_i64 repositories;
};
const struct schema *api_template_status_schema(void);
/* status as the API server holds it; absent is fine. ERR_INVALID names the path. */
bool api_template_status_decode(const struct json *status, struct arena *a,
                                struct api_template_status *ret, struct err *e) BERTH_NODISCARD;
/* Writes the members into the object that is open in w, in a fixed order: equal statuses give
 * equal text. */
void api_template_status_encode(const struct api_template_status *s, struct json_writer *w);
/* The list for status.drift: at most API_DRIFT_MAX rows. Absent where d is empty. */
struct schema_list api_drift_from_diff(const struct schema_diff *d, struct arena *a);

const struct schema_kind *api_template_kind(void);

/* --- RegistrySettings ------------------------------------------------------------------------ */

struct api_account_settings {
    bool has;
    struct str blob_mounting;
    struct str basic_scan_type_version;
    struct str registry_policy_scope;
};
/* The settings as an array, so that callers need not know their names. i < API_ACCOUNT_SETTINGS. */
enum { API_ACCOUNT_SETTINGS = 3 };
const char *api_account_setting_aws_name(size_t i); /* "BLOB_MOUNTING" */
const char *api_account_setting_field(size_t i);    /* "blobMounting" */
struct str api_account_setting_get(const struct api_account_settings *s, size_t i);
/* Sets it (and s->has); value must outlive s. */
void api_account_setting_set(struct api_account_settings *s, size_t i, struct str value);

struct api_settings_spec {
    struct str region;
    struct str account_id;
    struct str endpoint; /* absent: AWS' own of the region */
    struct schema_bool allow_insecure_endpoint;
    struct schema_list registry_hosts;            /* of struct str */
    struct api_account_settings account_settings; /* absent members are not touched */
    struct schema_i64 drift_interval;             /* ms; use the functions below */
    struct schema_i64 repository_scan_interval;   /* ms */
    struct schema_i64 requests_per_second;
    struct str deletion_policy;
    struct api_admission admission;
};

const struct schema *api_settings_schema(void);
bool api_settings_decode(const struct json *spec, struct arena *a, struct api_settings_spec *ret,
                         struct err *e) BERTH_NODISCARD;
/* What holds, given or not. */
int64_t api_settings_drift_interval_ms(const struct api_settings_spec *s);           /* 60 s */
int64_t api_settings_repository_scan_interval_ms(const struct api_settings_spec *s); /* 5 min */
int64_t api_settings_requests_per_second(const struct api_settings_spec *s);         /* 10 */

/* Repositories that can mount blobs from each other: same encryption type and key. */
struct api_mount_group {
    struct str encryption_type, kms_key;
    struct schema_i64 repositories;
};
struct api_template_counts {
    bool has;
    struct schema_i64 managed;
    struct schema_list unmanaged; /* of struct str: prefixes, at most API_UNMANAGED_MAX */
};
enum { API_UNMANAGED_MAX = 20, API_MOUNT_GROUPS_MAX = 20 };

struct api_settings_status {
    struct schema_i64 observed_generation;
    struct schema_list conditions; /* of struct api_condition */
    struct str last_handled_reconcile_at;
    struct str registry_id;
    struct str region;
    struct schema_list registry_hosts;            /* of struct str */
    struct api_account_settings account_settings; /* observed */
    struct api_template_counts templates;
    struct schema_i64 repositories;
    struct schema_list blob_mounting; /* of struct api_mount_group */
};
const struct schema *api_settings_status_schema(void);
bool api_settings_status_decode(const struct json *status, struct arena *a,
                                struct api_settings_status *ret, struct err *e) BERTH_NODISCARD;
void api_settings_status_encode(const struct api_settings_status *s, struct json_writer *w);

const struct schema_kind *api_settings_kind(void);

/* --- generated files ------------------------------------------------------------------------- */

/* manifests/crds.yaml, docs/reference/api.md, and the tables as JSON. False: out is full. */
bool api_generate_crds(struct buf *out) BERTH_NODISCARD;
bool api_generate_reference(struct buf *out) BERTH_NODISCARD;
bool api_generate_tables(struct buf *out) BERTH_NODISCARD;
