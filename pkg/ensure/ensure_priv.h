// SPDX-License-Identifier: Apache-2.0
/*
 * Inside the ensure package: the engine, its tasks (one per probe or repository under way, however
 * many wait for it), and the batches that are parked.
 *
 * All of the engine is behind one mutex, which is never held across a call to AWS or a callback.
 * A task that is running belongs to the worker that runs it, but for its list of waiters and the
 * deadline of a probe; a batch belongs to whoever set its state to PARKED_DECIDING or took it off
 * the list.
 */
#pragma once

#include "base/map.h"
#include "base/thread.h"
#include "ensure/ensure.h"

enum {
    RETRY_MIN_MS = 200,
    RETRY_MAX_MS = 30000,
    RETRY_JOINED_MS = 500, /* somebody waits again: the next try is not later than this */
    LATE_MS = 20,          /* a call that ends so near its deadline ended because of it */
    CALL_MS = 10000,       /* of one run of a creation: then it waits for its next turn */
    COMPLETE_AGE_MS = 24 * 3600 * 1000,
    COMPLETE_AT_A_TIME = 50,
    COMPLETE_PAUSE_MS = 5000,
    LOOKED_AT_MAX = 20000,
    ABSENT_MAX = 4096
};

enum task_kind { TASK_PROBE, TASK_IMAGE, TASK_CREATE, TASK_COMPLETE };

struct parked;
struct waiter {
    struct parked *parked;
    size_t item;
    struct waiter *next;
};

/* How far a creation is; kept over retries. */
enum create_step { CREATE_REPOSITORY, CREATE_POLICY, CREATE_LIFECYCLE };
struct creation {
    enum create_step step;
    bool is_maybe_ours; /* CreateRepository was sent, and its answer was lost */
    /* time has passed since it was made: it may be somebody else's by now, or have their policy */
    bool is_looking;
    struct directory_cover cover; /* in the task's scratch */
    bool has_cover;
    int64_t began_ms;
    int64_t created_at_ms; /* unix, AWS's date */
    struct str quota;      /* what it was counted in, see limits.c; absent: nothing */
    int64_t quota_slot;
};

struct task {
    enum task_kind kind;
    struct arena arena;   /* of the texts */
    struct arena scratch; /* of one run of a completion, of a creation's template */
    struct str key;
    struct str registry; /* name of the RegistrySettings */
    struct str repository, tag, digest;
    struct str id; /* of the request that began it */
    struct str user_agent;
    struct waiter *waiters;
    bool is_running;
    bool is_run_for_nobody;  /* the run under way began when nobody waited */
    int64_t not_before_ms;   /* monotonic, as all */
    int64_t deadline_ms;     /* of the call (probes), of all tries (creations) */
    int64_t run_deadline_ms; /* deadline_ms as it was when the run under way began */
    int64_t retry_ms;        /* the next wait between tries */
    struct creation creation;
    /* the outcome, once is_finished */
    bool is_finished;
    enum ensure_outcome outcome;
    enum ensure_image image;
    struct err error; /* of the newest try */
    struct task *prev, *next;
};

enum parked_state { PARKED_PROBING, PARKED_DECIDING, PARKED_CREATING };
struct parked {
    struct ensure_batch *batch;
    enum parked_state state;
    size_t left;         /* items that wait for their task */
    struct task **tasks; /* by item; NULL: it does not wait */
    int64_t submitted_ms;
    struct parked *prev, *next;
};

enum { QUOTA_SLOT_MS = 5000, QUOTA_SLOTS = 13 };
/* Creations of one namespace in the last minute: any 60 s lie within 13 slots of 5 s. */
struct quota {
    int64_t slot; /* the newest: its number since the clock's zero */
    uint32_t made[QUOTA_SLOTS];
};

struct ensure {
    struct ensure_options o;
    struct arena arena; /* of the options */
    struct thread *workers;
    struct thread timer;
    struct stopper stopper;
    pthread_mutex_t mutex;
    pthread_cond_t work;  /* a task can run */
    pthread_cond_t alarm; /* a nearer deadline */
    /* all below: under the mutex */
    struct task *tasks; /* in the order they came */
    struct task *last_task;
    size_t task_count;
    struct map *by_key;
    struct map *running; /* registry -> how many of its tasks run (struct running) */
    struct parked *parked;
    size_t parked_count;
    struct map *absent;    /* "registry repository" -> when that was confirmed (int64_t) */
    struct map *quotas;    /* "registry namespace limit" -> struct quota */
    struct map *looked_at; /* "registry repository date" that need no completion */
    bool is_stopping;
    struct metric_family *created;
    struct metric_family *created_seconds;
    struct metric_family *parked_gauge;
};

/* --- tasks.c -----------------------------------------------------------------------------------
 */
/* "registry repository", in the arena: what absences and completions are remembered by. */
struct str ensure_name_key(struct arena *a, struct str registry, struct str repository);
/* The task of that kind for the item, begun where there is none; the item waits for it. NULL:
 * too many are under way. */
struct task *ensure_join_locked(struct ensure *e, enum task_kind kind, struct parked *p,
                                size_t item);
/* A task that nobody waits for; false: it is under way already, or too many are. */
bool ensure_begin_locked(struct ensure *e, enum task_kind kind, struct str registry,
                         struct str repository, int64_t delay_ms);
bool ensure_is_under_way_locked(struct ensure *e, enum task_kind kind, struct str registry,
                                struct str repository);
/* The item waits no more. A probe that nobody waits for and that has not begun goes. */
void ensure_leave_locked(struct ensure *e, struct parked *p, size_t item);
/* The body of the workers. */
void ensure_work(void *arg);
struct task *ensure_task_free(struct task *t);
void ensure_remember_absent_locked(struct ensure *e, struct str registry, struct str repository);
bool ensure_is_absent_locked(struct ensure *e, struct str registry, struct str repository);
void ensure_forget_absent_locked(struct ensure *e, struct str registry, struct str repository);

/* --- batches.c ---------------------------------------------------------------------------------
 */
/* All items have their outcome, or the deadline has come: asks, creates, or answers. The state is
 * PARKED_DECIDING or PARKED_CREATING and p off limits for others. Without the mutex. */
void ensure_advance(struct ensure *e, struct parked *p);
/* Takes p off the list of those that wait. */
void ensure_unpark_locked(struct ensure *e, struct parked *p);
/* The body of the timer. */
void ensure_watch_deadlines(void *arg);
/* done() for all that are parked. */
void ensure_finish_all(struct ensure *e);

/* --- probe.c, create.c, complete.c: one run of a task, without the mutex ------------------------
 */
void ensure_run_probe(struct ensure *e, struct task *t);
void ensure_run_create(struct ensure *e, struct task *t);
void ensure_run_complete(struct ensure *e, struct task *t);
/* The error of a run: the task is over where no retry can help or its time is up, else it waits. */
void ensure_retry(struct ensure *e, struct task *t, const struct err *error);
/* An error that stands where it went well is of an earlier try, and is forgotten. */
void ensure_finish(struct task *t, enum ensure_outcome outcome);
void ensure_refuse(struct task *t, const char *reason, const char *fmt, ...) BERTH_PRINTF(3, 4);
struct aws_scope ensure_scope(struct ensure *e, struct task *t, int64_t deadline_ms);
/* A policy or lifecycle policy on its way into a repository. */
struct policy_put {
    struct registry *registry;
    struct str repository, template; /* for the log: as its tag names it */
    struct str text;                 /* empty: there is none to put */
    bool is_lifecycle;
    bool is_looking; /* where the repository has one, that stays */
};
/* *has_put (may be NULL) becomes true where something was written. */
enum registry_result ensure_put_policy(struct ensure *e, struct task *t, const struct policy_put *p,
                                       bool *has_put, struct err *error) BERTH_NODISCARD;
/* The tag's value on a repository that we make from the template: its object, or AWS's prefix. */
struct str ensure_tag_value(const struct directory_cover *cover);
void ensure_tell(struct ensure *e, const struct ensure_news *news);
/* The repository that was made at that time (AWS's) needs no completion. */
void ensure_looked_at(struct ensure *e, struct str registry, struct str repository,
                      int64_t created_at_ms);

/* --- limits.c ----------------------------------------------------------------------------------
 */
/* Takes one creation of the namespace's in the registry under this limit (a rule with another limit
 * is counted by itself); false: it has none left. *ret_key is in the arena. */
bool ensure_take_creation_locked(struct ensure *e, struct str registry, struct str namespace,
                                 int64_t per_minute, struct arena *a, struct str *ret_key,
                                 int64_t *ret_slot);
/* It created nothing: it does not count. */
void ensure_give_back_creation_locked(struct ensure *e, struct str key, int64_t slot);
