// SPDX-License-Identifier: Apache-2.0
/*
 * Inside the reconcile package: the controller's state and what its files share.
 *
 * Keys of the work queue are "template/<name>" and "registry/<name>". A key is with one worker at
 * a time, so the memory of an object is used without a lock by the worker that has its key; the
 * maps themselves are behind the controller's mutex. Lock order: the mutex is held for map work
 * only, never across a call to AWS, the API server, a registry or the queue's get.
 */
#pragma once

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/workqueue.h"
#include "kube/apply.h"
#include "kube/client.h"
#include "kube/events.h"
#include "kube/informer.h"
#include "kube/lease.h"
#include "kube/object.h"
#include "reconcile/controller.h"
#include "registry/directory.h"
#include "registry/registry.h"

#include <stdatomic.h>

enum {
    RECONCILE_ID_MAX = 17,
    COUNTS_EVERY_MS = 30000,    /* counts in status change at most this often */
    AWS_RETRY_MIN_MS = 1000,    /* after a failed write to AWS, doubling … */
    AWS_RETRY_MAX_MS = 300000,  /* … to five minutes, and never given up */
    REGISTRY_DEBOUNCE_MS = 200, /* many templates change at once: one pass for all */
    STATUS_MAX = 512 * 1024,    /* bytes of a status */
    WAIT_MAX_MS = 300000,       /* a waiting object is looked at again at least this often */
    CREATED_BEFORE_TOLERANCE_MS = 300000, /* clocks of AWS and ours */
    REQUESTED_AT_MAX = 1024,              /* of the annotation; the status takes no more */
    REGISTRY_HELD_MS = 100,               /* until the registry's finalizer is seen */
    OWNER_AT_WORK_MS = 100,               /* until the one that hands over is done */
    GONE_KEPT_MS = 600000 /* what went past its finalizer: given up after that, and told */
};

#define FIELD_MANAGER_STATUS "berth-operator-status"

/* --- what may be done with a registry --------------------------------------------------------- */

enum gate {
    GATE_MISSING,   /* there is no such RegistrySettings */
    GATE_NOT_READY, /* it cannot be used: invalid, paused, in conflict, the wrong account */
    GATE_FRESH,     /* the read that decides is under way */
    GATE_FAILING,   /* reads fail; what was read last is known (or nothing, before the first) */
    GATE_OPEN
};

struct access {
    struct registry *registry; /* a reference, or NULL; access_fini() drops it */
    enum gate gate;
    /* of the RegistrySettings as it is now, whatever its last pass saw */
    bool is_paused;
    bool is_read_only;
    bool is_terminating;
    bool has_finalizer;
    int64_t drift_interval_ms;
    char message[512]; /* why it is not open; for people */
};

/* What the controller keeps of one RegistrySettings; written by the worker that has its key,
 * read by others under the mutex. */
struct runtime {
    struct registry *registry;
    char *uid;
    char *endpoint;
    enum gate gate;
    int64_t drift_interval_ms;
    char message[512];
    /* what the templates were last queued for */
    bool was_paused;
    bool was_read_only;
    uint64_t seen_sequence;
    /* decisions need a read that began in this term of leadership */
    uint64_t term;
    uint64_t needed_sequence;
    bool is_scan_wanted; /* a follower's scan may be older than what a crash left half-made */
};

/* --- contention.c: pure ------------------------------------------------------------------------
 */
enum {
    CONTENTION_MAX_MS = 3600000,
    CONTENTION_TOLD_FROM = 2 /* undone mends; the third is told */
};
struct contention {
    bool has_mended;
    bool is_undone; /* since the last mend */
    int undone;     /* mends in a row that somebody undid */
    int64_t mended_at_ms;
};
/* Drift is seen: how long a mend has to wait, 0 for now. Times are monotonic. */
int64_t contention_wait_ms(struct contention *c, int64_t now_ms, int64_t drift_interval_ms);
void contention_mended(struct contention *c, int64_t now_ms);
/* Is there a rival? Until a mend has held for twice the interval. */
bool contention_is_told(struct contention *c, int64_t now_ms, int64_t drift_interval_ms);

/* What is remembered of one object between passes; a restart may forget all of it. */
struct memory {
    char *uid;
    struct kube_object *latest; /* as our own last write returned it; under the mutex, because
                                   passes over other objects look at it too */
    int64_t status_written_ms;  /* monotonic */
    /* AWS refused this generation as invalid: not sent again until it changes */
    int64_t refused_generation;
    char *refused_message;
    /* AWS failed a write of this generation: not tried again before that time (monotonic) */
    int failures;
    int64_t retry_at_ms;
    int64_t retry_generation;
    /* the answer to a write still differed: not written again until spec or AWS change */
    bool is_not_converging;
    int64_t converging_generation;
    int64_t converging_updated_at;
    char setting_answer[API_ACCOUNT_SETTINGS][ECR_SETTING_MAX + 1];
    struct contention contention[API_ACCOUNT_SETTINGS]; /* of a template: the first */
    int64_t drifted_generation[API_ACCOUNT_SETTINGS];   /* drift is known and counted; likewise */
    /* reconcile-requested-at */
    char *requested;
    uint64_t requested_instance;
    uint64_t requested_sequence;
};

/* Which template claims which prefix of which registry, by name. */
struct claims;

struct measures;
struct verdict;

struct controller {
    struct controller_options o;
    struct http_client *aws_http;
    struct kube_lease *lease;  /* NULL: elections are switched off, this process leads */
    atomic_uint_fast64_t term; /* grows each time that this process starts to lead */
    struct workqueue *queue;
    struct kube_informer *settings;
    struct kube_informer *templates;
    struct kube_recorder *recorder;
    _Atomic(const char *) sync_hint; /* of the last failure of an informer; NULL: none */
    struct stopper stopper;
    struct thread *workers;
    pthread_mutex_t mutex;
    pthread_cond_t all_idle; /* working is 0 */
    int working;             /* workers that have not ended */
    int64_t started_mono_ms;
    struct map *runtimes; /* registry name -> struct runtime */
    struct map *memories; /* key -> struct memory */
    struct map *gone;     /* key -> struct gone, see gone.c */
    struct claims *claims;
    struct measures *measures;
};

extern const struct kube_resource reconcile_settings_resource;
extern const struct kube_resource reconcile_templates_resource;

/* One pass over one object. */
struct pass {
    struct controller *c;
    struct str key;
    struct str name;
    char id[RECONCILE_ID_MAX]; /* in logs and in the user agent of calls to AWS */
    struct arena arena;
    struct memory *memory;
    struct kube_object *object; /* the newest known; a reference */
    const struct kube_resource *resource;
    int64_t now_ms; /* unix, when the pass began; calls to AWS may have lasted since */
    int64_t generation;
    bool is_gone; /* the object is not there any more (gone.c): nothing is written to it */
    /* what to do with the key afterwards */
    bool is_settled;        /* is_gone: and there is nothing more to do */
    bool is_failed;         /* kube failed: queue's backoff */
    int64_t again_ms;       /* > 0: come back then */
    bool is_status_written; /* by the last pass_apply_status(), whatever it returned */
    /* of the last verdict, for metrics */
    bool has_error;
    bool is_terminal; /* no retry can help */
};

/* --- hint.c ------------------------------------------------------------------------------------
 */
/* What a person can do about an error of the API server: constant text; NULL where the error's own
 * message says it, or it passes by itself. */
const char *reconcile_hint(const struct err *e);

/* --- measure.c: metrics ------------------------------------------------------------------------
 */
/* Declares them, and measures c's queue. Nothing is collected before measures_start() and after
 * measures_stop() returned. */
struct measures *measures_new(struct controller *c);
void measures_start(struct measures *m);
void measures_stop(struct measures *m);
struct measures *measures_free(struct measures *m);
void measure_pass_began(const struct pass *p);
void measure_pass_ended(const struct pass *p, int64_t took_ms);
/* Drift of one setting (of a template: 0) of this generation, counted once until
 * measure_no_drift(). is_known: the status tells of it already. */
void measure_drift_seen(struct pass *p, size_t setting, bool is_known);
void measure_drift_mended(const struct pass *p);
void measure_no_drift(struct pass *p, size_t setting);
/* The watch shows it (NULL: it is gone). */
void measure_object(struct measures *m, const struct kube_resource *resource, struct str name,
                    const struct kube_object *o);

/* --- controller.c ----------------------------------------------------------------------------- */
void access_fini(struct access *a);
/* This process leads at this moment: asked directly before each write. */
bool reconcile_leads(const struct controller *c);
/* Queues every RegistrySettings: one that comes, goes or pins its account concerns the others. */
void reconcile_queue_registries(struct controller *c);
/* gate is GATE_MISSING where the controller has no such registry. */
void reconcile_access(struct controller *c, struct str registry, struct access *ret);
/* Queues all templates of a registry. */
void reconcile_queue_templates(struct controller *c, struct str registry);
void reconcile_queue_registry(struct controller *c, struct str registry, int64_t delay_ms);
void reconcile_queue_template(struct controller *c, struct str template);

/* --- pass.c ----------------------------------------------------------------------------------- */
/* The object as it is known newest, or NULL where it is gone. */
bool pass_begin(struct pass *p);
void pass_end(struct pass *p);
/* The time at this moment, unix: what a condition's transition is dated with. */
int64_t pass_now_ms(const struct pass *p);
/* The same with an object that is gone (a reference, taken over) and a memory of its own. */
void pass_begin_gone(struct pass *p, struct kube_object *o, struct memory *m);
struct memory *memory_new(struct str uid);
void memory_free(void *memory);
void runtime_free(void *p);
/* The newest state of any template, a reference; NULL where it is gone. */
struct kube_object *reconcile_newest_template(struct controller *c, struct str name);
/* o (a reference, taken over) is newer than the pass's object. */
void pass_take_object(struct pass *p, struct kube_object *o);
/* Adds or removes our finalizer. False: stop here, come again. */
bool pass_set_finalizer(struct pass *p, bool is_present);
/* Applies the status where it differs from the object's. False: stop here, come again. */
bool pass_apply_status(struct pass *p, struct str status, struct str before);
/* Drift of one setting (of a template: 0) was seen and is not mended yet: a mend that failed is
 * one still when it is tried again, though the status is not Ready any more. */
bool pass_has_drift(const struct pass *p, size_t setting);
/* What the pass came to, as its status will say. */
void pass_note_verdict(struct pass *p, const struct verdict *v);
/* The annotation is "true". */
bool reconcile_has_flag(const struct kube_object *o, const char *annotation);
bool pass_is_paused(const struct pass *p);
bool pass_is_read_only(const struct pass *p);
/* Come again after delay_ms, or earlier where that was asked for already. */
void pass_come_again(struct pass *p, int64_t delay_ms);
/* A write to AWS failed: none for this generation before 1 s, doubling to 5 min. */
void pass_retry_later(struct pass *p);
/* That time has not come: nothing is to be sent to AWS. */
bool pass_must_wait(struct pass *p);
/* A write to AWS succeeded, or none was needed. */
void pass_succeeded(struct pass *p);
/* The scope of a call to AWS. */
struct aws_scope pass_scope(struct pass *p);
/* The annotation reconcile-requested-at where it was not handled yet and has been served by a
 * read of the registry (NULL: there is none, served at once); else what was handled last. */
struct str pass_handled(struct pass *p, struct registry *registry, struct str last_handled,
                        bool with_repositories);

/* --- conditions.c: pure ------------------------------------------------------------------------
 */
struct verdict {
    const char *ready;  /* "True", "False", "Unknown" */
    const char *reason; /* API_REASON_… of Ready, Reconciling and Stalled */
    struct str message;
    bool is_reconciling; /* the pass could not finish: it goes on by itself */
    bool is_stalled;     /* no retry can help */
    bool is_error;       /* Synced is False, ReconcileError; else True, ReconcileSuccess */
};
/* The conditions that v means, with the transition times of `before` where a status stays. */
struct schema_list conditions_from(const struct verdict *v, const struct schema_list *before,
                                   int64_t generation, int64_t now_ms, struct arena *a);
/* `before` with Synced=False, ReconcilePaused; everything else stays. */
struct schema_list conditions_paused(const struct schema_list *before, struct str message,
                                     int64_t generation, int64_t now_ms, struct arena *a);
/* The spec is at fault, and nothing but another one helps. */
struct verdict verdict_invalid(const char *message);
/* The reason that an error of AWS means, and whether a retry can help. The message is in a. */
struct verdict verdict_from_error(const struct err *e, struct arena *a);

/* Does v say something else than Ready in `before` does? Then an event is news. */
bool verdict_is_news(const struct verdict *v, const struct schema_list *before);

/* --- claims.c -----------------------------------------------------------------------------------
 */
struct claims *claims_new(void);
struct claims *claims_free(struct claims *claims);
/* Under the controller's mutex, all of them. */
struct claim {
    struct str registry; /* live until the claim of this template changes */
    struct str prefix;   /* normalised */
};
/* Returns whether something changed; *ret_before (arena copies) is what was claimed before. */
bool claims_set_locked(struct claims *claims, struct str template, struct str registry,
                       struct str prefix, struct arena *a, struct claim *ret_before);
bool claims_remove_locked(struct claims *claims, struct str template, struct arena *a,
                          struct claim *ret_before);
/* Names of the templates that claim it, in the arena. */
size_t claims_of_prefix_locked(struct claims *claims, struct str registry, struct str prefix,
                               struct arena *a, struct str **ret_names);
size_t claims_of_registry_locked(struct claims *claims, struct str registry, struct arena *a,
                                 struct str **ret_names);

/* --- template_decide.c: pure -------------------------------------------------------------------
 */
enum template_action {
    TEMPLATE_IN_SYNC,
    TEMPLATE_WAIT,     /* for the registry */
    TEMPLATE_CONFLICT, /* another object has the prefix */
    TEMPLATE_CREATE,
    TEMPLATE_COMPLETE, /* created before a crash: note AWS's date */
    TEMPLATE_ADOPT,
    TEMPLATE_REFUSE, /* AWS has it, and adoption is not allowed */
    TEMPLATE_UPDATE,
    TEMPLATE_REPORT_DRIFT, /* read-only, and it differs or is absent */
    TEMPLATE_NOT_CONVERGING,
    TEMPLATE_DELETE,
    TEMPLATE_RELEASE,   /* deleted without a call to AWS */
    TEMPLATE_HAND_OVER, /* deleted; waits until another live object has taken it over */
    TEMPLATE_INHERIT    /* takes over from the owner, which is being deleted */
};
enum template_deletion { DELETION_ABSENT, DELETION_DELETE, DELETION_RETAIN };
struct template_facts {
    bool is_deleting;
    bool is_gone; /* and deleted already, past its finalizer: there is nobody to hand over */
    bool is_read_only;
    enum gate gate;
    bool has_read; /* the registry was read at least once */
    bool has_lost_claim;
    bool has_heir; /* another live object wants the prefix and may have it */
    bool is_heir;  /* the owner is being deleted, and this object is next */
    bool has_ownership;
    bool is_adopted;
    int64_t owned_since, owned_created_at; /* created_at 0: Create was about to be sent */
    enum api_adoption adoption;
    enum template_deletion deletion;
    bool is_in_aws;
    int64_t aws_created_at;
    bool is_different;
    bool is_not_converging;
};
enum template_action template_decide(const struct template_facts *f);
/* Deleting the object would call AWS: it needs the finalizer. */
bool template_wants_finalizer(const struct template_facts *f);

/* The claimants of one prefix: who wins? Index of the winner. */
struct claimant {
    struct str name;
    bool has_ownership;
    bool is_deleting;
    int64_t created_ms;
};
size_t claimants_winner(const struct claimant *claimants, size_t count);

/* --- gone.c -------------------------------------------------------------------------------------
 */
/* kube_informer_options.on_deleted of templates; arg is the controller. On the informer's thread.
 */
void gone_note(void *arg, const struct kube_object *last);
/* On the worker that has p's key, before its pass: deals with what went under that name. */
void gone_serve(struct pass *p);
void gone_free(void *gone);
/* Pure: did the API server delete it past our finalizer, and does that leave something in ECR? */
bool gone_is_unserved(const struct kube_object *last);

/* --- template.c, settings.c --------------------------------------------------------------------
 */
void reconcile_template(struct pass *p);
/* The object went past its finalizer: what its deletion would have done. */
void reconcile_template_gone(struct pass *p);
void reconcile_settings(struct pass *p);
/* The settings object is gone. */
void reconcile_settings_gone(struct controller *c, struct str name);
