// SPDX-License-Identifier: Apache-2.0
/*
 * One registry (an account and region of ECR) as this process knows it: the client, its rate, and
 * what AWS was last read to hold.
 *
 * AWS is read per registry, not per object. A thread of its own reads templates and the account
 * settings that are asked for every drift interval, and the repositories every scan interval;
 * each read is published as an immutable, counted snapshot, and on_read is called. What the
 * functions below wrote at T beats every read that started before T + 30 s, unless the read shows
 * a later change (ECR is eventually consistent: a read just after a write may be old).
 *
 * A struct registry is counted: who got it from registry_new() or registry_ref() drops it with
 * registry_unref(). All functions may be called from any thread; those that write block for AWS
 * calls, with no lock held.
 */
#pragma once

#include "api/api.h"
#include "aws/credentials.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/str.h"
#include "ecr/ecr.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REGISTRY_TEMPLATES_MAX = 20000,     /* more are an error: nobody has them */
    REGISTRY_REPOSITORIES_MAX = 200000, /* twice AWS's default quota */
    REGISTRY_RULES_MAX = 1000,          /* pull-through cache rules; AWS's quota is 50 */
    REGISTRY_WRITE_WINS_MS = 30000,
    REGISTRY_READ_LAG_MS = 5000,   /* likewise of one template that is asked for by name */
    REGISTRY_RETRY_MIN_MS = 1000,  /* after a failed read, doubling … */
    REGISTRY_RETRY_MAX_MS = 60000, /* … to this */
};

struct registry;

struct registry_options {
    struct str name; /* of the RegistrySettings; copied */
    struct str region;
    struct str endpoint;            /* absent: AWS's own of the region */
    const struct http_client *http; /* these outlive the registry */
    const struct aws_credentials_provider *credentials;
    const struct clock *clock;
    struct metrics *metrics;
    struct str user_agent;
    /* After each read, good or failed, from the registry's thread: queue work, do not block. */
    void (*on_read)(void *arg, struct str name);
    void *arg;
};

/* What may change while it runs. */
struct registry_config {
    int64_t drift_interval_ms;
    int64_t scan_interval_ms;
    int64_t requests_per_second;
    bool wants_setting[API_ACCOUNT_SETTINGS]; /* read it: the spec names it */
    bool reads_pull_through_rules;            /* with the repositories: for admission */
};

/* ERR_INVALID where region or endpoint is malformed. Reads nothing before registry_start(). */
bool registry_new(const struct registry_options *o, const struct registry_config *config,
                  struct registry **ret, struct err *e) BERTH_NODISCARD;
void registry_start(struct registry *r);
/* Ends reading and cuts calls that wait for the rate; returns without waiting. */
void registry_stop(struct registry *r);
struct registry *registry_ref(struct registry *r) BERTH_NODISCARD;
/* The last one joins the thread. NULL is fine; returns NULL. */
struct registry *registry_unref(struct registry *r);
BERTH_DEFINE_CLEANUP(struct registry *, registry_unref);

/* New numbers hold from now on; a setting that is newly wanted is read at once. */
void registry_configure(struct registry *r, const struct registry_config *config);
/* Reads anew now: templates and settings, and repositories too where that is asked for. Returns at
 * once; the sequence that registry_state.sequence has reached when that read is done (well or
 * not). */
uint64_t registry_request_read(struct registry *r, bool with_repositories);

struct registry_state {
    uint64_t instance;     /* another number for each registry of this process */
    uint64_t sequence;     /* of finished reads, failed ones too */
    bool has_read;         /* templates and wanted settings were read at least once */
    bool has_repositories; /* likewise */
    bool is_failing;       /* the newest read failed: error says why */
    struct err error;
    bool is_scan_failing; /* the newest listing of repositories failed */
    struct err scan_error;
    char registry_id[ECR_REGISTRY_ID_MAX + 1]; /* of the newest good read; "" before */
    struct str setting[API_ACCOUNT_SETTINGS];  /* AWS's word, absent where not read; arena */
    size_t templates;
    size_t repositories;
};
/* Strings are copied to the arena. */
void registry_state(struct registry *r, struct arena *a, struct registry_state *ret);

/* What is known of one part of the registry, for metrics. */
struct registry_part {
    bool has_tried;  /* a read ended, well or not */
    bool is_failing; /* the newest one failed */
    bool has_read;   /* one was good: of the newest such are … */
    int64_t age_ms;  /* … the time since it began … */
    size_t count;    /* … and how many items it has */
    int64_t interval_ms;
};
struct registry_measures {
    struct registry_part templates; /* with the account settings */
    struct registry_part repositories;
    double rate;                        /* calls a second that are allowed at this moment */
    double rate_max;                    /* when nothing is throttled */
    int64_t credentials_expire_unix_ms; /* of those used last; 0: never, or none were used */
};
/* Does not block. */
void registry_measure(struct registry *r, struct registry_measures *ret);

/* A template in AWS as last read or written by us. value is NULL where AWS has none. */
struct registry_template {
    const struct api_template_observed *value; /* lives until registry_template_fini() */
    bool is_covering_known;                    /* repositories were counted */
    int64_t covered;                           /* how many repositories this prefix covers */
    struct registry_read *owner;               /* private */
};
/* prefix: any spelling. */
void registry_template_get(struct registry *r, struct str prefix, struct registry_template *ret);
void registry_template_fini(struct registry_template *t);

/* AWS's spelling of every prefix, in order: an array of struct str in the arena. */
struct schema_list registry_prefixes(struct registry *r, struct arena *a);
/* Groups of repositories that can mount blobs from each other, the largest first, at most
 * API_MOUNT_GROUPS_MAX; an array of struct api_mount_group in the arena. */
struct schema_list registry_mount_groups(struct registry *r, struct arena *a);

/*
 * Writes. On success the answer of AWS is remembered as the newest state, which
 * registry_template_get() then gives. The scope bounds the call; user_agent_suffix names the
 * reconcile. request_id: AWS_REQUEST_ID_MAX + 1 bytes for AWS's request id ("" where there was no
 * answer); may be NULL.
 */
enum registry_result {
    REGISTRY_OK,
    REGISTRY_EXISTS,    /* create: AWS had it already; see below */
    REGISTRY_NOT_FOUND, /* update, delete: AWS has it not */
    REGISTRY_FAILED     /* e is set */
};
/* *ret_attempts: how often it was sent. REGISTRY_EXISTS after one attempt means that somebody else
 * made it; after more it may be ours, made by an attempt whose answer was lost. */
enum registry_result registry_template_create(struct registry *r,
                                              const struct api_template_spec *spec,
                                              const struct aws_scope *scope, int *ret_attempts,
                                              char *request_id, struct err *e) BERTH_NODISCARD;
/* The complete desired state; aws_prefix: AWS's spelling. */
enum registry_result registry_template_update(struct registry *r,
                                              const struct api_template_spec *spec,
                                              struct str aws_prefix, const struct aws_scope *scope,
                                              char *request_id, struct err *e) BERTH_NODISCARD;
enum registry_result registry_template_delete(struct registry *r, struct str aws_prefix,
                                              const struct aws_scope *scope, char *request_id,
                                              struct err *e) BERTH_NODISCARD;
/* Reads one template live, past the snapshot; the answer is remembered. One that lacks what was
 * written less than REGISTRY_READ_LAG_MS before is no answer but ERR_RETRY, StaleRead: what is
 * asked before deleting or disowning must not be older than what we know. */
enum registry_result registry_template_read(struct registry *r, struct str prefix,
                                            const struct aws_scope *scope,
                                            struct registry_template *ret,
                                            struct err *e) BERTH_NODISCARD;
/* answer: the value as AWS has it now. */
bool registry_setting_put(struct registry *r, size_t setting, struct str value,
                          const struct aws_scope *scope, char answer[static ECR_SETTING_MAX + 1],
                          char *request_id, struct err *e) BERTH_NODISCARD;
