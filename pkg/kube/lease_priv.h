// SPDX-License-Identifier: Apache-2.0
/*
 * Leader election in three parts: what a record says and what follows from it (lease_decide.c,
 * pure), the Lease as JSON (lease_record.c, pure), and the loop that asks, decides and writes
 * (lease_loop.c); lease.c is what others call. Rules are those of client-go's
 * tools/leaderelection/leaderelection.go and resourcelock/leaselock.go, with the two differences
 * that kube/lease.h names.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/thread.h"
#include "kube/lease.h"
#include "kube/object.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct http_cancel;

enum {
    LEASE_LEADER_WAIT_MIN_MS = 250, /* between attempts of a leader that runs out */
    LEASE_LEADER_CALL_MIN_MS = 500,
    LEASE_JITTER_PERCENT = 120, /* client-go's JitterFactor, 1.2 */
    LEASE_RETRY_AFTER_MAX_MS = 30 * 1000
};

/* What leader election reads of a Lease: client-go's LeaderElectionRecord. Times are text as they
 * came: they are compared for change and copied, never understood. */
struct lease_record {
    struct str holder;       /* "" where nobody holds it */
    struct str acquire_time; /* "" where there is none, as the next */
    struct str renew_time;
    int64_t duration_s;
    int64_t transitions;
};

/* The Lease as we know it, and since when it has been so. */
struct lease_observation {
    bool is_known;  /* it was looked for */
    bool is_absent; /* it does not exist; record is the last one it had */
    struct lease_record record;
    int64_t changed_ms; /* on our clock, when it was first seen so */
};

enum lease_action {
    LEASE_WAIT,    /* somebody holds it */
    LEASE_CREATE,  /* it is absent */
    LEASE_ACQUIRE, /* nobody holds it, or who did ran out */
    LEASE_RENEW    /* it is ours */
};

/* Takes in what was seen at now_ms (the time after the answer): record, or NULL where the Lease is
 * absent. Its strings must live as long as the observation, absent or not. */
void kube_lease_observe(struct lease_observation *o, const struct lease_record *record,
                        int64_t now_ms);
/* o is known. *ret_until_ms: with LEASE_WAIT when the Lease may be taken unless it changes, else
 * now_ms. */
enum lease_action kube_lease_decide(const struct lease_observation *o, struct str identity,
                                    int64_t now_ms, int64_t *ret_until_ms);
/* The record that an action (not LEASE_WAIT) writes; now: as MicroTime. */
struct lease_record kube_lease_next(const struct lease_observation *o, enum lease_action action,
                                    struct str identity, struct str now);
/* The record that gives it back. */
struct lease_record kube_lease_given_back(const struct lease_record *record, struct str now);

/* Until the next attempt; the last one began at started_ms. */
struct lease_pause {
    int64_t started_ms;
    int64_t now_ms;
    int64_t left_ms;        /* of our leadership; 0: a candidate */
    bool has_failed;        /* the last attempt */
    int64_t until_ms;       /* a candidate's from kube_lease_decide() */
    int64_t retry_after_ms; /* as the server asked; 0: it did not */
    uint32_t entropy;
};
int64_t kube_lease_pause_ms(const struct lease_pause *p);
/* The time-out of one call, where leadership is certain for left_ms (0: a candidate). */
int64_t kube_lease_call_ms(int64_t left_ms);

/* False where o cannot be read as a Lease; then *e is set. Strings are views into o. */
bool kube_lease_read(const struct kube_object *o, struct lease_record *ret,
                     struct err *e) BERTH_NODISCARD;
/* The Lease's JSON with this record; old: the object whose metadata is kept (its resourceVersion is
 * the condition of the update), NULL for a new one. */
bool kube_lease_write(const struct lease_record *record, const char *namespace, const char *name,
                      const struct kube_object *old, struct buf *out,
                      struct err *e) BERTH_NODISCARD;

struct kube_lease {
    /* constant after kube_lease_new() */
    struct kube_client *client;
    char *namespace, *name;
    char identity[KUBE_LEASE_HOLDER_MAX];
    const struct clock *clock;
    struct kube_lease_options callbacks; /* strings in it are not ours */
    uint32_t (*random)(void);
    struct metric_family *status, *transitions;
    struct http_cancel *cancel;

    /* the thread's own */
    struct thread thread;
    struct lease_observation seen;
    struct kube_object *seen_object; /* what seen.record is a view of; NULL before the first */
    bool is_unsure;                  /* a write may have been done without our knowing */
    bool is_reported_leader;         /* on_started_leading was the last of the two */
    bool is_reported_holder;
    char reported_holder[KUBE_LEASE_HOLDER_MAX];
    struct err error; /* the last reported of this row of failures; clear: none */
    int64_t error_ms;

    /* shared */
    _Atomic int64_t leads_until_ms; /* on the clock; 0: no leader. Written under the mutex */
    struct stopper stopper;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* of all below, and of is_finished */
    char holder[KUBE_LEASE_HOLDER_MAX];
    int64_t held_until_ms; /* somebody else's, as we count; 0: nobody's */
    bool is_stopping, is_releasing, is_finished;
};

/* One round: asks, decides, writes, calls back. Returns the ms to wait before the next. The
 * thread's, or a test's that did not start it. */
int64_t kube_lease_step(struct kube_lease *l);
/* The thread; arg: the lease. */
void kube_lease_run(void *arg);
/* What the thread does at its end: calls back, and gives the Lease back if asked to. */
void kube_lease_finish(struct kube_lease *l);
/* What precedes the join: no leadership from here on. */
void kube_lease_begin_stop(struct kube_lease *l, bool is_releasing);
