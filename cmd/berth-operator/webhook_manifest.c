// SPDX-License-Identifier: Apache-2.0
/*
 * berth-operator webhook-manifest: prints the ValidatingWebhookConfiguration for a list of hosts
 * and the kinds of a configuration.
 */
#include "admission/webhooks.h"
#include "config.h"
#include "subcommands.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUT_MAX = 1 << 20 };

static const char usage[] =
    "usage: berth-operator webhook-manifest [--host HOST]... [--config FILE] [--namespace NAME]\n"
    "                                       [--failure-policy Ignore|Fail]\n"
    "\n"
    "Prints the ValidatingWebhookConfiguration \"berth\", to be applied beside the operator.\n"
    "\n"
    "  --host HOST              a further host of a registry, as in spec.registryHosts; "
    "repeatable\n"
    "  --config FILE            the operator's configuration: its admission.kinds are asked about\n"
    "  --namespace NAME         where the operator runs; default berth-system\n"
    "  --failure-policy POLICY  what the API server does while the webhook is away; default "
    "Ignore\n";

static const char heading[] =
    "# Printed by `berth-operator webhook-manifest`; run that for further hosts, kinds or another\n"
    "# namespace.\n";

struct arguments {
    struct str hosts[WEBHOOKS_HOSTS_MAX];
    size_t host_count;
    const char *config;
    const char *namespace;
    const char *policy;
};

static int wrong(const char *what, const char *argument)
{
    (void)fprintf(stderr, "berth-operator webhook-manifest: %s %s\n%s", what, argument, usage);
    return 2;
}

/* 0: go on; else the exit code + 1. */
static int read_arguments(int argc, char *const *argv, struct arguments *ret)
{
    for (int i = 0; i < argc; i += 2) {
        const char *name = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--help") == 0) {
            (void)fputs(usage, stdout);
            return 1;
        }
        if (value == NULL)
            return wrong("a value must follow", name) + 1;
        if (strcmp(name, "--host") == 0) {
            if (ret->host_count == WEBHOOKS_HOSTS_MAX)
                return wrong("too many", name) + 1;
            ret->hosts[ret->host_count++] = str_from(value);
        } else if (strcmp(name, "--config") == 0) {
            ret->config = value;
        } else if (strcmp(name, "--namespace") == 0) {
            ret->namespace = value;
        } else if (strcmp(name, "--failure-policy") == 0) {
            ret->policy = value;
        } else {
            return wrong("unknown flag", name) + 1;
        }
    }
    if (strcmp(ret->policy, "Ignore") != 0 && strcmp(ret->policy, "Fail") != 0)
        return wrong("Ignore or Fail, not", ret->policy) + 1;
    return 0;
}

static bool generate(const struct arguments *a, struct buf *out, struct err *e)
{
    struct config config BERTH_CLEANUP(config_fini) = {0};
    if (!config_load(a->config, &config, e))
        return false;
    const struct webhooks_options o = {
        .name = "berth",
        .namespace = a->namespace,
        .service = "berth-webhook",
        .failure_policy = a->policy,
        .timeout_seconds = 5,
        .hosts = a->hosts,
        .host_count = a->host_count,
        .kinds = config.admission.kinds.items,
        .kind_count = config.admission.kinds.count,
    };
    return webhooks_generate(&o, out, e);
}

int webhook_manifest(int argc, char *const *argv)
{
    struct arguments a = {.namespace = "berth-system", .policy = "Ignore"};
    const int code = read_arguments(argc, argv, &a);
    if (code != 0)
        return code - 1;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(OUTPUT_MAX);
    struct err e = ERR_INIT;
    if (!generate(&a, &out, &e)) {
        (void)fprintf(stderr, "berth-operator webhook-manifest: %s\n", e.msg);
        return 1;
    }
    (void)fputs(heading, stdout);
    (void)fputs(buf_cstr(&out), stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}
