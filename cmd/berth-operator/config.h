// SPDX-License-Identifier: Apache-2.0
/*
 * The operator's configuration file (YAML; docs/reference/operator-config.md). Every key has a
 * default, unknown keys are refused. Read once, at start.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "config_webhook.h"
#include "web/server.h"

#include <stdbool.h>

enum {
    CONFIG_MAX_BYTES = 256 * 1024,
    CONFIG_WORKERS = 4,
    CONFIG_WORKERS_MAX = 64,
    CONFIG_NAMESPACE_MAX = 63 /* RFC 1123 label */
};

struct config {
    enum log_level log_level;
    char health_address[WEB_MAX_LISTEN];
    char metrics_address[WEB_MAX_LISTEN];
    bool has_condition_metrics; /* metrics.resourceConditions */
    int workers;
    bool has_elections;
    char lease_namespace[CONFIG_NAMESPACE_MAX + 1]; /* "": the kubeconfig's or the pod's */
    struct config_webhook webhook;
    struct config_admission admission;
    struct arena arena; /* of texts and lists of the last two */
};

void config_defaults(struct config *c);
void config_fini(struct config *c);
/* ERR_INVALID: "line 3, column 5: …" and what must be there. *ret is whole only on success. */
bool config_parse(struct str text, struct config *ret, struct err *e) BERTH_NODISCARD;
/* The file at path; errors name it. path == NULL: the defaults. */
bool config_load(const char *path, struct config *ret, struct err *e) BERTH_NODISCARD;
