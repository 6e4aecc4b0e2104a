// SPDX-License-Identifier: Apache-2.0
/*
 * An informer keeps a copy of all objects of one kind, by list and watch, and says what changed.
 *
 * It lists by a stream (sendInitialEvents, Kubernetes 1.32 and later) or else by pages, watches
 * from there, and reconnects where the watch ends, falls silent or fails: from the last
 * resourceVersion where the server still has it, else with a new list, after which objects that
 * vanished meanwhile are reported as deleted. Failures are retried for ever with a backoff of
 * 0.8 to 30 s; has_synced says whether the copy was ever whole.
 *
 * One thread each. Callbacks run on that thread, without a lock held: they may call any function
 * below except stop and free, and should only queue work. The readers below run in any thread.
 * Semantics are those of level-triggered control: changes of one object may be folded into one
 * call, and the callee reads the newest state with kube_informer_get().
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/object.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct kube_client;
struct kube_informer;
struct kube_resource;
struct metrics;

struct kube_informer_options {
    struct kube_client *client; /* outlives the informer, as all of these */
    const struct kube_resource *resource;
    const char *namespace;      /* NULL: cluster-scoped, or all namespaces */
    const char *field_selector; /* NULL: none; "metadata.name=x" for a single object */
    const struct clock *clock;  /* NULL: clock_system() */
    struct metrics *metrics;    /* NULL: none */
    /* The object is new, has another resourceVersion, or is gone. namespace is "" where it has
     * none; the strings are valid during the call. */
    void (*on_change)(void *arg, struct str namespace, struct str name, bool is_deleted);
    /* The watch told of its end; last is its final state, valid during the call. Before on_change.
     * An object that only lacks in a new list has none: what was done to it before it went is not
     * known. Not to be relied on with a field_selector other than metadata.name: what stops
     * matching looks the same. May be NULL. */
    void (*on_deleted)(void *arg, const struct kube_object *last);
    /* A failure that is being retried, to be logged by the owner; an undecodable object is
     * reported here too, once per version (reason Undecodable). May be NULL. */
    void (*on_error)(void *arg, const struct err *e);
    void *arg;
    int64_t backoff_min_ms; /* 0: 800; a test sets 1 */
    int64_t idle_ms; /* a watch that is silent for so long is dead; 0: 130 s; a test sets less */
};

struct kube_informer *kube_informer_new(const struct kube_informer_options *o) BERTH_NODISCARD;
/* Starts its thread. Once. */
void kube_informer_start(struct kube_informer *i);
/* Cuts the watch and joins the thread: milliseconds, or as long as a callback takes. Idempotent.
 * The copy can still be read. Not from a callback. */
void kube_informer_stop(struct kube_informer *i);
/* Stops it first. NULL is fine; returns NULL. */
struct kube_informer *kube_informer_free(struct kube_informer *i);
BERTH_DEFINE_CLEANUP(struct kube_informer *, kube_informer_free);

/* The first list is whole, and on_change was called for each of its objects. */
bool kube_informer_has_synced(struct kube_informer *i);
/* Waits for that, at most timeout_ms; false where it did not come (or was stopped). */
bool kube_informer_wait_synced(struct kube_informer *i, int64_t timeout_ms) BERTH_NODISCARD;
/* The caller's reference; NULL where there is no such object. namespace "" or absent for
 * cluster-scoped kinds. */
struct kube_object *kube_informer_get(struct kube_informer *i, struct str namespace,
                                      struct str name) BERTH_NODISCARD;
/* All objects, each with a reference: kube_objects_fini(ret). No order. */
void kube_informer_list(struct kube_informer *i, struct kube_objects *ret);
size_t kube_informer_count(struct kube_informer *i);
