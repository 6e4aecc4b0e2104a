// SPDX-License-Identifier: Apache-2.0
/*
 * The ValidatingWebhookConfiguration: which requests the API server brings to the webhook. Its CEL
 * conditions let only those through that newly name an image of an ECR host or of the hosts given
 * here, so that nothing else ever leaves the API server. Pure; any thread.
 */
#pragma once

#include "admission/kinds.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct json;

enum { WEBHOOKS_HOSTS_MAX = 100 };

struct webhooks_options {
    const char *name;           /* of the object: "berth" */
    const char *namespace;      /* of the release: of the Service, and left out itself */
    const char *service;        /* "berth-webhook" */
    const char *failure_policy; /* "Ignore" or "Fail" */
    int timeout_seconds;        /* 1 to 30 */
    const struct str *hosts;    /* further registry hosts, "host" or "host:port" */
    size_t host_count;
    const struct admission_kind *kinds; /* of the operator's configuration */
    size_t kind_count;
};

/* Appends YAML. ERR_INVALID names the host or the kind that cannot be. */
bool webhooks_generate(const struct webhooks_options *o, struct buf *out,
                       struct err *e) BERTH_NODISCARD;

/* Does the API server ask about images of that host ("host" or "host:port") under this
 * configuration, as it is in the cluster? True also where somebody wrote conditions of their own,
 * which are not judged. */
bool webhooks_ask_about(const struct json *live, struct str host);
