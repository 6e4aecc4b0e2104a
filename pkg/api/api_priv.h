// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of this package share: matchers of the patterns that are Kubernetes' or our own
 * (ECR's are in ecr/prefix.h), and the tables that both kinds use.
 */
#pragma once

#include "base/str.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stddef.h>

#define AT(TYPE, MEMBER) .offset = (uint16_t)offsetof(TYPE, MEMBER)

/* A region of any partition: "eu-west-1", "us-gov-east-1", "eusc-de-east-1". */
#define API_REGION_PATTERN "^[a-z]+(-[a-z]+)+-[0-9]+$"
bool api_region_matches(struct str s);
/* Scheme, host and port, nothing more: AWS' operations have no path, and a user name or a query in
 * an endpoint is a mistake or a secret. */
#define API_ENDPOINT_PATTERN                                                                       \
    "^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?/?$"
bool api_endpoint_matches(struct str s);
/* Plain http to this machine. */
#define API_LOOPBACK_PATTERN                                                                       \
    "^http://(localhost|127\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}|\\[::1\\])(:[0-9]{1,5})?/?$"
bool api_loopback_matches(struct str s);
/* The name of an object: a DNS subdomain (RFC 1123). */
#define API_NAME_PATTERN "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
bool api_name_matches(struct str s);
/* metav1.Condition's type and reason. */
#define API_CONDITION_TYPE_PATTERN                                                                 \
    "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"                        \
    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
bool api_condition_type_matches(struct str s);
#define API_REASON_PATTERN "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
bool api_reason_matches(struct str s);

extern const struct schema api_condition_table;
extern const struct schema api_account_settings_table;          /* of spec */
extern const struct schema api_account_settings_observed_table; /* of status */
extern const struct schema api_admission_table;
extern const struct schema api_template_table;
extern const struct schema api_settings_table;
extern const struct schema api_template_status_table;
extern const struct schema api_settings_status_table;

enum { API_CONDITIONS_MAX = 16, API_REGISTRY_HOSTS_MAX = 50, API_ENDPOINT_MAX = 300 };
