// SPDX-License-Identifier: Apache-2.0
/*
 * Inside the registry package: the snapshots, what is remembered of our own writes, and the struct
 * that holds them behind one mutex. The mutex is never held across a call to AWS or a callback.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "base/thread.h"
#include "registry/registry.h"

#include <stdatomic.h>

struct registry_entry {
    struct str key; /* the normalised prefix */
    struct api_template_observed observed;
};

/* What one read (or the answer of one write) showed. Immutable once published, counted. */
struct registry_read {
    atomic_int refs;
    struct arena arena;
    struct registry_entry *entries; /* sorted by key */
    size_t count;
    size_t cap;
    int64_t started_mono_ms;
    char registry_id[ECR_REGISTRY_ID_MAX + 1];
    struct str setting[API_ACCOUNT_SETTINGS]; /* absent: not asked for */
};

struct registry_repository {
    struct str name;
    struct str encryption_type;
    struct str kms_key;
    int64_t created_at_ms; /* unix; 0 where AWS names none */
};

/* The repositories of one scan, sorted by name. Immutable once published; owned by the registry,
 * used under its mutex and by its own thread only. */
struct registry_scan {
    struct arena arena;
    struct registry_repository *items;
    size_t count;
    size_t cap;
    struct api_mount_group *groups; /* the largest first */
    size_t group_count;
    struct str *rules; /* normalised prefixes of pull-through cache rules */
    size_t rule_count;
    int64_t started_mono_ms;
};

/* What we wrote last for one prefix; value NULL: deleted. */
struct registry_write {
    struct registry_read *value;
    int64_t at_mono_ms;
    int64_t deleted_created_at; /* AWS's createdAt of what was deleted, unix ms */
};

struct registry_setting_write {
    int64_t at_mono_ms; /* 0: none */
    char value[ECR_SETTING_MAX + 1];
};

struct registry {
    atomic_int refs;
    /* fixed at start */
    char *name;
    const struct clock *clock;
    struct aws_client *client;
    struct aws_limiter *limiter;
    void (*on_read)(void *arg, struct str name);
    void *arg;
    uint64_t instance;
    struct stopper stopper;
    struct http_cancel *cancel; /* cuts what is under way when it is stopped */
    struct thread thread;

    pthread_mutex_t mutex;
    pthread_cond_t cond; /* a request, a new configuration, a stop */
    /* all below: under the mutex */
    struct registry_config config;
    struct registry_read *read; /* NULL before the first */
    struct registry_scan *scan; /* NULL before the first */
    int64_t *covered;           /* by index in read->entries; NULL before the first scan */
    struct map *writes;         /* key -> struct registry_write */
    struct map *sightings; /* name -> what calls showed that the scan does not (repository.c) */
    struct registry_setting_write setting_writes[API_ACCOUNT_SETTINGS];
    struct err error;      /* of the newest read; clear when it was good */
    struct err scan_error; /* of the newest scan, likewise */
    uint64_t sequence;
    bool is_reading;
    bool is_read_due;
    bool is_scan_due;
    bool is_stopped;
};

/* snapshot.c */
/* AWS's date (seconds, perhaps with a fraction) in unix ms; 0 where it is none. */
int64_t registry_unix_ms(const struct json *seconds);
struct registry_read *registry_read_new(int64_t started_mono_ms);
struct registry_read *registry_read_ref(struct registry_read *read);
struct registry_read *registry_read_unref(struct registry_read *read);
BERTH_DEFINE_CLEANUP(struct registry_read *, registry_read_unref);
/* Adds one template of an answer; keys are sorted by registry_read_finish(). */
bool registry_read_add(struct registry_read *read, const struct json *item,
                       struct err *e) BERTH_NODISCARD;
/* Sorts. Of two spellings of one prefix ("prod", "prod/") the shorter one stays. */
void registry_read_finish(struct registry_read *read);
const struct registry_entry *registry_read_find(const struct registry_read *read, struct str key);

struct registry_scan *registry_scan_new(int64_t started_mono_ms);
struct registry_scan *registry_scan_free(struct registry_scan *scan);
BERTH_DEFINE_CLEANUP(struct registry_scan *, registry_scan_free);
bool registry_scan_add(struct registry_scan *scan, const struct json *item,
                       struct err *e) BERTH_NODISCARD;
/* Adds the prefix of one pull-through cache rule. */
bool registry_scan_add_rule(struct registry_scan *scan, const struct json *item,
                            struct err *e) BERTH_NODISCARD;
void registry_scan_finish(struct registry_scan *scan);
/* How many repositories each template covers, by index; mem_free() it. */
int64_t *registry_cover(const struct registry_read *read, const struct registry_scan *scan);
/* The same for one prefix that the read need not have. */
int64_t registry_cover_one(const struct registry_read *read, const struct registry_scan *scan,
                           struct str key);

/* precedence.c: pure */
struct registry_versions {
    bool is_in_read;
    int64_t read_created_at, read_updated_at;
    bool was_deleted; /* our write was a delete */
    int64_t write_created_at, write_updated_at;
    bool is_same; /* content of read and write; false where either is absent */
    int64_t read_started_ms, write_ms;
};
/* True: the read shows more than our write does, forget the write. False: the read is older. */
bool registry_read_wins(const struct registry_versions *v);

/* writes.c */
/* to: AWS_REQUEST_ID_MAX + 1 bytes; may be NULL. */
void registry_copy_request_id(char *to, const struct aws_reply *reply);
void registry_write_free(void *p);
/* A new read arrived: forgets what it supersedes. */
void registry_settle_locked(struct registry *r, const struct registry_read *read);

/* repository.c */
void registry_sighting_free(void *sighting);
/* A new scan is about to be published: forgets what it supersedes. */
void registry_settle_sightings_locked(struct registry *r, const struct registry_scan *scan);

/* read.c */
void registry_run(void *arg);
