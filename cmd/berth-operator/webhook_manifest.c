// SPDX-License-Identifier: Apache-2.0
/*
 * berth-operator webhook-manifest: prints the ValidatingWebhookConfiguration for a list of hosts
 * and the kinds of a configuration.
 */
#include "admission/webhooks.h"
#include "config.h"
#include "names.h"
#include "subcommands.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUT_MAX = 1 << 20 };

static const char usage[] =
    "usage: berth-operator webhook-manifest [--host HOST]... [--config FILE] [--namespace NAME]\n"
    "                                       [--failure-policy Ignore|Fail]\n"
    "\n"
    "Prints the ValidatingWebhookConfiguration that is applied beside the operator.\n"
    "\n"
    "  --host HOST              a further host of a registry, as in spec.registryHosts; "
    "repeatable\n"
    "  --config FILE            the operator's configuration: its admission.kinds are asked "
    "about,\n"
    "                           webhook.configuration is the name\n"
    "  --namespace NAME         where the operator runs; default: the configuration's\n"
    "                           leaderElection.namespace, else berth-system\n"
    "  --failure-policy POLICY  what the API server does while the webhook is away; default "
    "Ignore\n"
    "  --help                   prints this and ends\n";

static const char heading[] =
    "# Printed by `berth-operator webhook-manifest`; run that for further hosts, kinds or another\n"
    "# namespace.\n";

struct arguments {
    struct str hosts[WEBHOOKS_HOSTS_MAX];
    size_t host_count;
    const char *config;
    const char *namespace; /* NULL: the configuration's */
    const char *policy;
};

enum { GO_ON = -1, WRONG = 2 };

static int wrong(const char *what, struct str argument)
{
    (void)fprintf(
        stderr,
        "berth-operator webhook-manifest: %s %.*s; berth-operator webhook-manifest --help "
        "lists the flags\n",
        what, STR_ARG(argument));
    return WRONG;
}

/* GO_ON, or the exit code. */
static int take(struct arguments *a, struct str name, const char *value)
{
    if (str_eq_cstr(name, "--host")) {
        if (a->host_count == WEBHOOKS_HOSTS_MAX)
            return wrong("too many", name);
        a->hosts[a->host_count++] = str_from(value);
    } else if (str_eq_cstr(name, "--config")) {
        a->config = value;
    } else if (str_eq_cstr(name, "--namespace")) {
        if (!name_is_label(str_from(value)))
            return wrong("no name of a namespace is", str_from(value));
        a->namespace = value;
    } else {
        if (strcmp(value, "Ignore") != 0 && strcmp(value, "Fail") != 0)
            return wrong("--failure-policy is Ignore or Fail, not", str_from(value));
        a->policy = value;
    }
    return GO_ON;
}

/* "--flag value" and "--flag=value". GO_ON, or the exit code. */
static int read_arguments(int argc, char *const *argv, struct arguments *ret)
{
    static const char *const known[] = {"--host", "--config", "--namespace", "--failure-policy"};
    for (int at = 0; at < argc; at++) {
        const struct str argument = str_from(argv[at]);
        struct str name, after;
        const bool has_equals = str_cut(argument, '=', &name, &after);
        size_t i = 0;
        if (str_eq_cstr(argument, "--help")) {
            (void)fputs(usage, stdout);
            return 0;
        }
        while (i < ARRAY_SIZE(known) && !str_eq_cstr(name, known[i]))
            i++;
        if (i == ARRAY_SIZE(known))
            return wrong(str_starts_with(name, STR("-")) ? "unknown flag" : "unexpected argument",
                         argument);
        const char *value = has_equals ? after.ptr : at + 1 < argc ? argv[++at] : "";
        if (value[0] == '\0' || (!has_equals && value[0] == '-'))
            return wrong("a value must follow", name);
        const int code = take(ret, name, value);
        if (code != GO_ON)
            return code;
    }
    return GO_ON;
}

static bool generate(const struct arguments *a, struct buf *out, struct err *e)
{
    struct config config BERTH_CLEANUP(config_fini) = {0};
    if (!config_load(a->config, &config, e))
        return false;
    const struct str name = config.webhook.configuration;
    const char *configured = config.lease_namespace[0] != '\0' ? config.lease_namespace : NULL;
    const struct webhooks_options o = {
        .name = name.len > 0 ? name.ptr : "berth",
        .namespace = a->namespace != NULL ? a->namespace
                     : configured != NULL ? configured
                                          : "berth-system",
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
    struct arguments a = {.policy = "Ignore"};
    const int code = read_arguments(argc, argv, &a);
    if (code != GO_ON)
        return code;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(OUTPUT_MAX);
    struct err e = ERR_INIT;
    if (!generate(&a, &out, &e)) {
        (void)fprintf(stderr, "berth-operator webhook-manifest: %s\n", e.msg);
        return 1;
    }
    (void)fputs(heading, stdout);
    (void)fputs(buf_cstr(&out), stdout);
    /* half of it must not pass for the whole in a pipeline */
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    (void)fputs("berth-operator webhook-manifest: it could not be written in whole\n", stderr);
    return 1;
}
