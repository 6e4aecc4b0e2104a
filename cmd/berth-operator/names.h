// SPDX-License-Identifier: Apache-2.0
/*
 * Names of Kubernetes, as its API server takes them: what is wrong in the configuration or on the
 * command line is told at once, not by a request that fails later.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

enum {
    NAME_LABEL_MAX = 63,     /* RFC 1123 label */
    NAME_SUBDOMAIN_MAX = 253 /* RFC 1123 subdomain */
};

/* A namespace, a resource's plural, a version: lower-case letters, digits and inner hyphens. */
bool name_is_label(struct str s);
/* Most objects' names, API groups: labels with dots between them. */
bool name_is_subdomain(struct str s);
/* A kind: letters, digits and inner hyphens, a letter first. */
bool name_is_kind(struct str s);
/* Could a certificate name it: characters of DNS names and of addresses, one at least. */
bool name_is_host(struct str s);
