// SPDX-License-Identifier: Apache-2.0
/*
 * berth-operator: wiring. Reads flags, configuration and kubeconfig, listens, starts the
 * controller, waits for a signal and takes everything down in reverse order. Whatever local is
 * wrong ends the process with 1 and a message; an API server or AWS that is away does not.
 */
#include "aws/credentials.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "config.h"
#include "deadline.h"
#include "flags.h"
#include "http/http.h"
#include "kube/client.h"
#include "kube/config.h"
#include "once.h"
#include "probes.h"
#include "process_metrics.h"
#include "reconcile/controller.h"
#include "signals.h"
#include "subcommands.h"
#include "webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, WEBHOOK_HEAPS = 4 };

/* Fixed, so that two installations in one namespace cannot both lead. */
#define LEASE_NAME "berth-operator"

struct app {
    const struct flags *flags;
    const struct config *config;
    struct log *log;
    struct metrics *metrics;
    struct kube_config *kube_config;
    struct kube_client *kube;
    struct aws_credentials_provider *credentials;
    struct web_server *health_server;
    struct web_server *metrics_server;
    struct probes probes;
    struct process_metrics process_metrics;
    struct webhook *webhook; /* NULL: switched off, or a run that ends by itself */
    char instance[256];
};

/* The pod's name: of events' reportingInstance and the Lease's holder. */
static void name_instance(struct app *a)
{
    const char *pod = getenv("POD_NAME");
    if (pod != NULL && pod[0] != '\0' && strlen(pod) < sizeof(a->instance))
        memcpy(a->instance, pod, strlen(pod) + 1);
    else if (gethostname(a->instance, sizeof(a->instance) - 1) != 0)
        memcpy(a->instance, "unknown", sizeof("unknown"));
}

static bool listen_on(struct app *a, const char *address, const char *what, web_handler *handler,
                      struct web_server **ret, struct err *e)
{
    const struct web_options o = {
        .listen = address, .name = what, .handler = handler, .arg = &a->probes, .log = a->log};
    return web_server_new(&o, ret, e);
}

static const char *own_namespace(const struct app *a)
{
    return a->config->lease_namespace[0] != '\0' ? a->config->lease_namespace
                                                 : a->kube_config->namespace.ptr;
}

static bool set_up_webhook(struct app *a, struct err *e)
{
    if (!a->config->webhook.is_enabled || a->flags->is_once)
        return true;
    mem_use_heaps(WEBHOOK_HEAPS);
    const struct webhook_options o = {
        .config = a->config,
        .kube = a->kube,
        .log = a->log,
        .metrics = a->metrics,
        .namespace = own_namespace(a),
        .instance = a->instance,
    };
    return webhook_new(&o, &a->webhook, e);
}

/* All that can fail here is local: nothing is sent yet. */
static bool set_up(struct app *a, struct err *e)
{
    name_instance(a);
    const struct kube_config_options config_options = {.path = a->flags->kubeconfig};
    if (!kube_config_load(&config_options, &a->kube_config, e))
        return false;
    const struct kube_client_options kube_options = {.config = a->kube_config,
                                                     .user_agent =
                                                         "berth-operator/" BERTH_VERSION " (linux)",
                                                     .metrics = a->metrics};
    if (!kube_client_new(&kube_options, &a->kube, e))
        return false;
    a->credentials = aws_credentials_env_new();
    return listen_on(a, a->config->health_address, "health", probes_health, &a->health_server, e) &&
           listen_on(a, a->config->metrics_address, "metrics", probes_metrics, &a->metrics_server,
                     e) &&
           set_up_webhook(a, e);
}

static void serve(struct app *a, struct web_server *server, const char *what)
{
    web_server_start(server);
    log_info(a->log, "serving", KV_CSTR("what", what),
             KV_CSTR("address", web_server_address(server)));
}

/* API servers and Services learn late that this one goes: it tells them from now on, and serves on
 * while reconciling ends, so that another replica can lead, and for the rest of its time. */
static void serve_on(struct app *a, struct controller *controller, int code)
{
    struct deadline deadline;
    deadline_start(&deadline, a->log, code, webhook_drain_limit_ms(a->webhook));
    webhook_begin_drain(a->webhook);
    controller_retire(controller);
    webhook_drain(a->webhook);
    deadline_stop(&deadline);
}

static void stop(struct app *a, struct controller *controller, int code)
{
    struct deadline deadline;
    probes_set_stopping(&a->probes);
    if (a->webhook != NULL)
        serve_on(a, controller, code);
    deadline_start(&deadline, a->log, code, DEADLINE_MS);
    if (a->webhook != NULL) {
        controller_cut(controller);
        webhook_stop_engine(a->webhook);
    }
    (void)controller_stop(controller);
    a->webhook = webhook_free(a->webhook);
    deadline_stop(&deadline);
}

static int run_controller(struct app *a, struct signals *signals, struct err *e)
{
    const struct controller_options o = {
        .kube = a->kube,
        .credentials = a->credentials,
        .log = a->log,
        .metrics = a->metrics,
        .clock = clock_system(),
        .version = BERTH_VERSION,
        .instance = a->instance,
        .workers = a->config->workers,
        .has_condition_metrics = a->config->has_condition_metrics,
        .directory = a->webhook != NULL ? webhook_directory(a->webhook) : NULL,
        .ensure = a->webhook != NULL ? webhook_ensure(a->webhook) : NULL,
        .is_host_admitted = a->webhook != NULL ? webhook_is_host_admitted : NULL,
        .host_arg = a->webhook,
        .lease_namespace = own_namespace(a),
        .lease_name = a->config->has_elections ? LEASE_NAME : NULL,
    };
    struct controller *controller;
    if (!controller_start(&o, &controller, e))
        return EXIT_FAILED;
    int code = EXIT_FAILED;
    if (a->webhook == NULL || webhook_start(a->webhook, controller, e)) {
        probes_set_controller(&a->probes, controller, a->webhook);
        code = EXIT_SUCCESS;
        if (a->flags->is_once)
            code = once(controller, signals, a->log);
        else
            log_info(a->log, "stopping", KV_INT("signal", signals_wait(signals)));
    }
    stop(a, controller, code);
    return code;
}

static int run(struct app *a, struct signals *signals, struct err *e)
{
    if (!set_up(a, e))
        return EXIT_FAILED;
    const struct str config = str_from(a->flags->config != NULL ? a->flags->config : "defaults");
    log_info(a->log, "starting", KV_CSTR("version", BERTH_VERSION), KV("config", config),
             KV("kubeconfig", a->kube_config->source), KV("server", a->kube_config->server));
    serve(a, a->health_server, "health");
    serve(a, a->metrics_server, "metrics");
    return run_controller(a, signals, e);
}

static void take_down(struct app *a)
{
    a->health_server = web_server_stop(a->health_server);
    a->metrics_server = web_server_stop(a->metrics_server);
    a->webhook = webhook_free(a->webhook);
    a->credentials = aws_credentials_provider_free(a->credentials);
    a->kube = kube_client_free(a->kube);
    a->kube_config = kube_config_free(a->kube_config);
}

static int operate(const struct flags *flags, const struct config *config)
{
    struct signals signals;
    signals_start(&signals);
    http_global_init();
    struct app a = {.flags = flags,
                    .config = config,
                    .log = log_new(STDERR_FILENO, config->log_level),
                    .metrics = metrics_new()};
    probes_init(&a.probes, a.metrics);
    process_metrics_start(&a.process_metrics, a.metrics);
    struct err e = ERR_INIT;
    const int code = run(&a, &signals, &e);
    if (err_is_set(&e))
        log_error(a.log, "cannot start", KV_ERR(&e));
    take_down(&a);
    if (!err_is_set(&e))
        log_info(a.log, "stopped", KV_INT("code", code));
    probes_fini(&a.probes);
    process_metrics_stop(&a.process_metrics);
    a.metrics = metrics_free(a.metrics);
    a.log = log_free(a.log);
    signals_stop(&signals);
    return code;
}

int main(int argc, char **argv)
{
    mem_be_lean();
    if (argc > 1 && strcmp(argv[1], "webhook-manifest") == 0)
        return webhook_manifest(argc - 2, argv + 2);
    struct flags flags;
    switch (flags_parse(argc, argv, &flags)) {
    case FLAGS_DONE:
        return EXIT_SUCCESS;
    case FLAGS_WRONG:
        return EXIT_USAGE;
    case FLAGS_RUN:
        break;
    }
    struct config config BERTH_CLEANUP(config_fini) = {0};
    struct err e = ERR_INIT;
    if (!config_load(flags.config, &config, &e)) {
        (void)fprintf(stderr, "berth-operator: %s\n", e.msg);
        return EXIT_FAILED;
    }
    if (flags.is_check) {
        (void)printf("%s: ok\n", flags.config != NULL ? flags.config : "defaults");
        return EXIT_SUCCESS;
    }
    return operate(&flags, &config);
}
