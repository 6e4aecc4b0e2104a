// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook, wired: directory, ensure engine, admission, certificates and the HTTPS server, in
 * the order in which each needs the one before.
 *
 *     webhook_new()        listens (connections wait) and starts the engine
 *     … the controller starts, with webhook_directory() and webhook_ensure() …
 *     webhook_start()      serves
 *     webhook_begin_drain() stopping: tells peers to go elsewhere, and serves on
 *     … the controller retires …
 *     webhook_drain()      serves on to the end of the configured time, finishes what is open
 *     … the controller's registries cut what the engine waits for …
 *     webhook_stop_engine()
 *     … the controller stops: what the engine called AWS with goes …
 *     webhook_free()
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "config.h"

#include <stdbool.h>

struct controller;
struct kube_client;
struct metrics;
struct webhook;

enum {
    WEBHOOK_FINISH_MS = 30 * 1000, /* the longest that an API server waits for an answer */
    WEBHOOK_SLACK_MS = 2 * 1000 /* for what retires beside it, where the time to drain is short */
};

struct webhook_options {
    const struct config *config; /* outlives it, as all of these */
    struct kube_client *kube;
    struct log *log;
    struct metrics *metrics;
    const char *namespace; /* of the Secret and of the Service */
    const char *instance;
};

bool webhook_new(const struct webhook_options *o, struct webhook **ret,
                 struct err *e) BERTH_NODISCARD;
struct directory *webhook_directory(struct webhook *w);
struct ensure *webhook_ensure(struct webhook *w);
/* c gets the events about templates, until webhook_drain() returns. */
bool webhook_start(struct webhook *w, struct controller *c, struct err *e) BERTH_NODISCARD;
/* NULL: ready; else why not: a literal. Any thread, after webhook_start(). */
const char *webhook_why_not_ready(struct webhook *w);
/* Is the API server told to ask about images of that host? True where that is not known; arg: the
 * webhook. Any thread. */
bool webhook_is_host_admitted(void *arg, struct str host);
/* Stopping begins, and so does the configured time: answers end their connections. One that has no
 * certificate which API servers trust, so that nobody calls it, does not serve on. Returns at once.
 */
void webhook_begin_drain(struct webhook *w);
/* Serves on to the end of the configured time, then waits until what is open is answered, at most
 * WEBHOOK_FINISH_MS. A second signal ends the process. */
void webhook_drain(struct webhook *w);
/* The longest that it takes from webhook_begin_drain() to the end of webhook_drain(). */
int64_t webhook_drain_limit_ms(const struct webhook *w);
/* What it makes in the background ends. After webhook_drain(), before controller_stop(). */
void webhook_stop_engine(struct webhook *w);
/* NULL is fine; returns NULL. */
struct webhook *webhook_free(struct webhook *w);
