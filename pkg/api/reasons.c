// SPDX-License-Identifier: Apache-2.0
/*
 * Every reason that a condition can carry, with what it means and what helps. The reference page
 * is made from this list, so a reason without an explanation cannot exist.
 */
#include "api/api.h"

#define READY(REASON, DOC)                                                                         \
    {                                                                                              \
        REASON, API_CONDITION_READY, DOC                                                           \
    }
#define SYNCED(REASON, DOC)                                                                        \
    {                                                                                              \
        REASON, API_CONDITION_SYNCED, DOC                                                          \
    }

static const struct api_reason reasons[] = {
    READY(API_REASON_AVAILABLE, "AWS is as spec says."),
    READY(API_REASON_CREATING,
          "The template is being created, or the registry is read for the first "
          "time."),
    READY(API_REASON_PROGRESSING,
          "The pass goes on by itself in a moment: AWS is being read, or a template that was taken "
          "over is being compared."),
    READY(API_REASON_DELETING,
          "The object is being deleted, and another one that claims the prefix is "
          "taking the template over; nothing is to be done."),
    READY(API_REASON_ALREADY_EXISTS,
          "AWS has a template with this prefix that this object may not take over. `status.drift` "
          "shows the differences: make spec equal, set `adoptionPolicy: Always`, or delete the "
          "template in AWS."),
    READY(API_REASON_ACCESS_DENIED, "AWS refused a call; the message names the action that the "
                                    "operator's role lacks."),
    READY(API_REASON_INVALID_SPEC,
          "Spec has a value that cannot hold; the message names the field. Change it: nothing is "
          "retried."),
    READY(API_REASON_THROTTLED, "AWS asks to slow down; the call is repeated later."),
    READY(API_REASON_AWS_ERROR,
          "AWS answered with an error that is not one of the others; the call is "
          "repeated later."),
    READY(API_REASON_CONFLICT,
          "Another object, which the message names, holds the same prefix or the same registry. "
          "Delete one of them."),
    READY(API_REASON_DRIFT_DETECTED,
          "AWS differs from spec and the object is read-only: `status.drift` shows where."),
    READY(
        API_REASON_NOT_CONVERGING,
        "AWS took the change and still reports the difference in `status.drift`. It is not written "
        "again before spec or AWS changes."),
    READY(API_REASON_CONTENDED,
          "Somebody else undoes what Berth mends, again and again: another operator, cluster or "
          "pipeline. It is mended at intervals that double, up to an hour, until one of the two "
          "gives "
          "way."),
    READY(API_REASON_REGISTRY_NOT_FOUND, "The RegistrySettings that `registryRef` names does not "
                                         "exist."),
    READY(API_REASON_REGISTRY_NOT_READY,
          "The RegistrySettings is not Ready; its own conditions say "
          "why."),
    READY(API_REASON_ACCOUNT_MISMATCH,
          "The credentials belong to another AWS account than `accountID`, or than before. Nothing "
          "is written."),
    READY(API_REASON_IN_USE,
          "The RegistrySettings is being deleted and waits for the templates that "
          "the message names."),
    READY(API_REASON_CREDENTIALS_UNAVAILABLE,
          "No AWS credentials, or expired ones; see the operator's environment "
          "(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`)."),
    READY(API_REASON_ENDPOINT_UNREACHABLE, "ECR's endpoint cannot be reached: network, name "
                                           "resolution or TLS; the message says which."),
    READY(API_REASON_QUOTA_EXCEEDED,
          "A quota of the AWS account is used up. Have it raised, or delete "
          "what is not needed."),
    SYNCED(API_REASON_RECONCILE_SUCCESS, "The last pass did all it had to."),
    SYNCED(API_REASON_RECONCILE_ERROR, "The last pass did not finish; Ready says why."),
    SYNCED(API_REASON_RECONCILE_PAUSED,
           "The annotation `ecr.berth.dev/paused: \"true\"` is set on the object or on its "
           "RegistrySettings: nothing is read, written or deleted."),
};

const struct api_reason *api_reasons(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(reasons);
    return reasons;
}
