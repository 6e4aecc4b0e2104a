// SPDX-License-Identifier: Apache-2.0
/*
 * The controller: watches RegistrySettings and RepositoryCreationTemplate and keeps ECR equal to
 * them. It owns the informers, the work queue, its workers and one registry per RegistrySettings;
 * what it is given must outlive it.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct aws_credentials_provider;
struct clock;
struct controller;
struct directory;
struct ensure;
struct kube_client;
struct log;
struct metrics;

enum { CONTROLLER_RETIRE_MS = 1500, CONTROLLER_LOOK_MS = 10000 };

struct controller_options {
    struct kube_client *kube;
    struct aws_credentials_provider *credentials; /* of every registry, until assumeRole comes */
    struct log *log;
    struct metrics *metrics;
    const struct clock *clock;
    const char *version;  /* for the user agent */
    const char *instance; /* the pod's name: reportingInstance of events, the lease's holder */
    int workers;
    bool has_condition_metrics; /* berth_resource_condition: six series for each object */
    struct ensure *ensure;      /* completes what a crash left half-made; NULL: nothing does */
    /* Is the API server told to ask the webhook about images of this host? Any thread; true where
     * that is not known. NULL: there is no webhook. */
    bool (*is_host_admitted)(void *arg, struct str host);
    void *host_arg;
    struct directory *directory; /* where the webhook looks up; NULL: there is no webhook */
    /* The Lease that one of several replicas leads by; NULL: no elections, this process leads. */
    const char *lease_namespace;
    const char *lease_name;
};

/* Starts all threads; returns at once. Fails only where something local is wrong. */
bool controller_start(const struct controller_options *o, struct controller **ret,
                      struct err *e) BERTH_NODISCARD;
/* Both kinds have been listed once: what /readyz asks. Any thread. */
bool controller_is_synced(struct controller *c);
/* Each registry was read once, well or not, or CONTROLLER_LOOK_MS have passed since the start: what
 * /readyz waits for where there is a webhook, whose first answers would else be "not read yet". */
bool controller_has_looked(struct controller *c);
/* What a person can do about the last failure of a list or watch: constant text without a name of
 * the cluster, for /readyz while it is not synced. NULL: nothing failed, or nothing helps but to
 * wait. Any thread. */
const char *controller_sync_hint(struct controller *c);
/* Stops reconciling and gives the Lease back while registries go on being read and events can be
 * sent: for the webhook, which serves on for a while. Within CONTROLLER_RETIRE_MS; a call to AWS
 * that does not end by then is left to end, and the Lease runs out instead. Where the API server
 * does not answer the Lease's own call either, that is cut, KUBE_LEASE_STOP_MS and a second later.
 * Then controller_stop(). */
void controller_retire(struct controller *c);
/* An event on a RepositoryCreationTemplate, from admission. Nothing where it is gone. Any thread,
 * before controller_stop(). reason and action: CamelCase words. */
void controller_template_event(struct controller *c, struct str name, bool is_warning,
                               const char *reason, const char *action, struct str note);
/* Stops reconciling and the registries, so that calls to AWS are cut within a second, and joins the
 * workers, while registries still have what they call AWS with: for the ensure engine, which is
 * stopped between this and controller_stop(). */
void controller_cut(struct controller *c);
/* Stops reconciling (calls to AWS are cut within a second), gives the Lease back, joins. A call to
 * an API server that does not answer is waited for: up to 30 s. Returns NULL. */
struct controller *controller_stop(struct controller *c);

enum controller_progress {
    CONTROLLER_BUSY,    /* something is being listed, read or reconciled, or nobody leads yet */
    CONTROLLER_FOLLOWS, /* another process leads */
    CONTROLLER_IDLE     /* what could be done now was done */
};
/* How far it is, for a run that ends by itself. A single CONTROLLER_IDLE may fall between an event
 * and the pass that it causes: ask again. *ret_not_ready: objects whose Ready condition is not True
 * for their generation. Any thread. */
enum controller_progress controller_progress(struct controller *c, size_t *ret_not_ready);
