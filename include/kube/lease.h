// SPDX-License-Identifier: Apache-2.0
/*
 * Leader election by a coordination.k8s.io/v1 Lease, as client-go and controller-runtime do it, so
 * that one process of several acts: 15 s lease, 10 s to renew it, an attempt every 2 s (candidates
 * 2 … 4.4 s).
 *
 * Times that others wrote into the Lease are never compared with a clock of ours. A candidate
 * counts, on its own clock, how long the record has not changed: after its leaseDurationSeconds, or
 * at once where holderIdentity is empty, it takes the Lease over with the resourceVersion that it
 * read, so that one of several gets it. A leader counts from the moment before it sent the last
 * renewal that was accepted, and stops being one after KUBE_LEASE_RENEW_DEADLINE_MS: at least 5 s
 * before anybody else can take over, which also is what clocks of different speed and calls under
 * way may use up.
 *
 * kube_lease_is_leader() reads the clock each time, and the clock (CLOCK_BOOTTIME) also runs while
 * the process is stopped or the machine suspended: a process that sleeps through its lease does not
 * believe in it for one more call. What no clock inside can see is a virtual machine that is paused
 * together with its clocks. Between the question and the deed a process can always be stopped too:
 * ask directly before each write, and give no call more time than kube_lease_left_ms().
 *
 * Stricter than client-go: the leader ends as soon as it reads that somebody else holds the Lease;
 * and who saw a holder waits a whole lease after the Lease was deleted (the leader makes it anew in
 * 2 s), so that deleting it makes no two leaders. A process that starts in those 2 s cannot know.
 *
 * Permissions: get, create and update of leases in the namespace.
 *
 * Any thread; not from the callbacks, but for the functions that say so.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct kube_client;
struct kube_lease;
struct metrics;

enum {
    KUBE_LEASE_DURATION_MS = 15 * 1000,
    KUBE_LEASE_RENEW_DEADLINE_MS = 10 * 1000,
    KUBE_LEASE_RETRY_MS = 2 * 1000,
    KUBE_LEASE_CALL_MS = 5 * 1000, /* the most of one call */
    KUBE_LEASE_STOP_MS = 500,      /* what stopping lets calls take before it cuts them */
    KUBE_LEASE_ERROR_REPEAT_MS = 60 * 1000,
    KUBE_LEASE_HOLDER_MAX = 320 /* bytes with NUL: a pod's name, "_" and a UUID fit */
};

struct kube_lease_options {
    struct kube_client *client; /* outlives the lease */
    const char *namespace;
    const char *name;
    /* The pod's name; "_" and a random UUID are appended, so that no two processes are the same
     * holder. Cut to what fits KUBE_LEASE_HOLDER_MAX. */
    const char *instance;
    /* NULL: the system's, of which mono_ms is CLOCK_BOOTTIME (clock_system() has a clock that
     * stands still while the machine is suspended). */
    const struct clock *clock;
    /* NULL: none. leader_election_master_status{name} (1 while leading) and
     * berth_leader_election_transitions_total{name} (changes of that). */
    struct metrics *metrics;
    /* All on the lease's thread, which renews: they must not block. Each may be NULL. */
    /* May come at the moment that kube_lease_release() is called elsewhere: the end follows. */
    void (*on_started_leading)(void *arg);
    /* Paired with on_started_leading. It comes when the thread runs again, at the latest when its
     * call under way ends: kube_lease_is_leader() was false before. */
    void (*on_stopped_leading)(void *arg);
    /* Another holder than before was read: ours, somebody else's, or "" where nobody holds it. The
     * view is valid during the call. */
    void (*on_new_holder)(void *arg, struct str holder);
    /* A failure that is being retried, to be logged: the first of a row, then when reason or class
     * change or something else is denied, then every KUBE_LEASE_ERROR_REPEAT_MS. */
    void (*on_error)(void *arg, const struct err *e);
    void *arg;
};

/* Copies the options. Nothing is sent yet, kube_lease_identity() is set. */
struct kube_lease *kube_lease_new(const struct kube_lease_options *o) BERTH_NODISCARD;
/* Starts its thread. Once. */
void kube_lease_start(struct kube_lease *l);
/*
 * The graceful end: this process does not lead from now on and never again, on_stopped_leading
 * comes, and if the Lease is ours it is given back (holderIdentity "", 1 s), so that the next one
 * takes over at once instead of in 15 s. What leadership protects must have ended before. Joins the
 * thread: milliseconds; at most KUBE_LEASE_STOP_MS and another second where the API server does
 * not answer (then it is not given back and runs out), longer only while a credential plug-in
 * runs. Call it before kube_client_stop().
 * Idempotent.
 */
void kube_lease_release(struct kube_lease *l);
/* As kube_lease_release(), but the Lease is left to run out, as after a crash. Idempotent. */
void kube_lease_stop(struct kube_lease *l);
/* Stops it first. NULL is fine; returns NULL. */
struct kube_lease *kube_lease_free(struct kube_lease *l);
BERTH_DEFINE_CLEANUP(struct kube_lease *, kube_lease_free);

/* This process is the only leader at this moment. Costs an atomic load and a clock; also from the
 * callbacks. */
bool kube_lease_is_leader(const struct kube_lease *l);
/* How long that is certain from now on, in ms; 0 where it is not the leader. The time-out of a call
 * that only a leader may make. Also from the callbacks. */
int64_t kube_lease_left_ms(const struct kube_lease *l);
/* "<instance>_<uuid>", what holderIdentity is while we lead. Also from the callbacks. */
const char *kube_lease_identity(const struct kube_lease *l);
/* Who held the Lease when it was last read or written; "" where nobody did, it is absent, or it was
 * not read yet. Cut at a character where it is longer. */
void kube_lease_holder(struct kube_lease *l, char ret[static KUBE_LEASE_HOLDER_MAX]);

enum kube_lease_role {
    KUBE_LEASE_UNKNOWN, /* not read yet, or read and free, or run out */
    KUBE_LEASE_LEADER,
    KUBE_LEASE_FOLLOWER /* somebody else holds it */
};
/* Waits until the role is known, at most timeout_ms (0: does not wait). KUBE_LEASE_UNKNOWN where it
 * was not in that time, or the lease was stopped. For what runs once and gives way to a leader. */
enum kube_lease_role kube_lease_wait_role(struct kube_lease *l, int64_t timeout_ms);
