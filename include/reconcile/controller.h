// SPDX-License-Identifier: Apache-2.0
/*
 * The controller: watches RegistrySettings and RepositoryCreationTemplate and keeps ECR equal to
 * them. It owns the informers, the work queue, its workers and one registry per RegistrySettings;
 * what it is given must outlive it.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>

struct aws_credentials_provider;
struct clock;
struct controller;
struct kube_client;
struct log;
struct metrics;

struct controller_options {
    struct kube_client *kube;
    struct aws_credentials_provider *credentials; /* of every registry, until assumeRole comes */
    struct log *log;
    struct metrics *metrics;
    const struct clock *clock;
    const char *version; /* for the user agent */
    const char *instance; /* reportingInstance of events: the pod's name */
    int workers;
};

/* Starts all threads; returns at once. Fails only where something local is wrong. */
bool controller_start(const struct controller_options *o, struct controller **ret, struct err *e)
    BERTH_NODISCARD;
/* Both kinds have been listed once: what /readyz asks. Any thread. */
bool controller_is_synced(struct controller *c);
/* Stops, waits for what is under way (calls to AWS are cut after 1 s), joins. Returns NULL. */
struct controller *controller_stop(struct controller *c);
