// SPDX-License-Identifier: Apache-2.0
/*
 * Events of events.k8s.io/v1: what people see under `kubectl describe`.
 *
 * kube_event() never blocks and never fails: it copies into a bounded queue that one thread sends
 * from; what does not fit is dropped and counted (berth_events_dropped_total). Repeats of an event
 * (same object, type, reason, action and note) within KUBE_EVENT_SERIES_MS are one event with a
 * series, whose count and lastObservedTime are patched. Of each object and reason at most
 * KUBE_EVENT_BURST calls go out, then one per KUBE_EVENT_REFILL_MS; the count of a series keeps
 * what was held back. Events of cluster-scoped objects are in namespace "default", as the API
 * server wants it.
 *
 * Permissions: create and patch of events in these namespaces.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

#include <stdint.h>

struct clock;
struct err;
struct kube_client;
struct kube_object;
struct kube_recorder;
struct metrics;

enum {
    KUBE_EVENT_NOTE_MAX_BYTES = 1024, /* longer notes are cut: the server refuses them */
    KUBE_EVENT_SERIES_MS = 6 * 60 * 1000,
    KUBE_EVENT_BURST = 25,
    KUBE_EVENT_REFILL_MS = 5 * 60 * 1000,
    KUBE_EVENT_QUEUE_MAX = 1000,
    KUBE_EVENT_STOP_MS = 1000,
    KUBE_EVENT_ERROR_REPEAT_MS = 60 * 1000
};

enum kube_event_type { KUBE_EVENT_NORMAL, KUBE_EVENT_WARNING };

struct kube_recorder_options {
    struct kube_client *client;       /* outlives the recorder */
    const char *reporting_controller; /* "ecr.berth.dev/operator": a qualified name */
    const char *reporting_instance;   /* the pod's name; at most 128 bytes */
    const struct clock *clock;        /* NULL: clock_system() */
    struct metrics *metrics;          /* NULL: none */
    /* An event was given up, to be logged: the first of a row, then when reason or class change,
     * then every KUBE_EVENT_ERROR_REPEAT_MS. On the recorder's thread. May be NULL. */
    void (*on_error)(void *arg, const struct err *e);
    void *arg;
};

/* Starts its thread. */
struct kube_recorder *kube_recorder_new(const struct kube_recorder_options *o) BERTH_NODISCARD;
/* Any thread. reason and action: CamelCase words ("AdoptionRefused", "Create"), not empty.
 * rec may be NULL (does nothing). Nothing secret in note. */
void kube_event(struct kube_recorder *rec, const struct kube_object *regarding,
                enum kube_event_type type, const char *reason, const char *action, struct str note);
/* kube_event() with a printf note. */
void kube_eventf(struct kube_recorder *rec, const struct kube_object *regarding,
                 enum kube_event_type type, const char *reason, const char *action, const char *fmt,
                 ...) BERTH_PRINTF(6, 7);
/* Sends what is queued for at most KUBE_EVENT_STOP_MS (a call that is under way then may take
 * 3 s), joins and frees; nobody may be in kube_event(). NULL is fine; returns NULL. */
struct kube_recorder *kube_recorder_stop(struct kube_recorder *rec);
