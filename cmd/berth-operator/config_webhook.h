// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration's sections webhook and admission (docs/reference/operator-config.md).
 */
#pragma once

#include "admission/kinds.h"
#include "api/admission.h"
#include "certs/certs.h"
#include "ecr/prefix.h"
#include "web/server.h"

#include <stdbool.h>
#include <stdint.h>

struct yaml;

enum {
    CONFIG_WEBHOOK_WORKERS_MAX = 16,
    CONFIG_DRAIN_MAX_S = 300,
    CONFIG_ALLOWED_PREFIXES_MAX = 200,
    CONFIG_DNS_NAMES_MAX = 20
};

/* Strings and lists are in the configuration's arena. */
struct config_webhook {
    bool is_enabled;
    char address[WEB_MAX_LISTEN];
    int workers;
    int64_t drain_ms;
    struct str configuration; /* the ValidatingWebhookConfiguration; "": caBundle is not ours */
    enum certs_mode certs_mode;
    struct str secret;
    struct str directory;
    struct schema_list dns_names; /* of struct str; empty: the Service's in the own namespace */
    int64_t ca_lifetime_ms;
    int64_t leaf_lifetime_ms;
};

struct config_admission {
    enum api_action unmanaged_registries;
    enum ecr_choice choice;
    struct schema_list allowed_prefixes; /* of struct str: globs */
    struct schema_list kinds;            /* of struct admission_kind */
};

void config_webhook_defaults(struct config_webhook *w, struct config_admission *a);
/* root: the whole configuration. ERR_INVALID as config_parse(). */
bool config_webhook_read(const struct yaml *root, struct arena *arena, struct config_webhook *w,
                         struct err *e) BERTH_NODISCARD;
bool config_admission_read(const struct yaml *root, struct arena *arena, struct config_admission *a,
                           struct err *e) BERTH_NODISCARD;
