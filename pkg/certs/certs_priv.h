// SPDX-License-Identifier: Apache-2.0
/*
 * Inside the certs package. All state belongs to the thread, but for what readiness asks, which is
 * behind the mutex.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "base/thread.h"
#include "certs/certs.h"
#include "crypto/x509.h"
#include "kube/client.h"
#include "kube/informer.h"

enum {
    BACKDATE_MS = 3600 * 1000,   /* clocks of API servers may be behind ours */
    PROMOTE_WAIT_MAX_MS = 10000, /* API servers see a new caBundle within this */
    LOOK_AGAIN_MS = 60 * 1000,   /* on the wall clock: a machine may have been suspended */
    FILES_EVERY_MS = 2000,
    RETRY_AFTER_MS = 2000,
    REJECTIONS_TOLD = 3,
    BUNDLE_TEXT_MAX = 256 * 1024
};

/* --- rotate.c: pure -----------------------------------------------------------------------------
 */
/* What the Secret holds, by dates alone. */
struct rotation_facts {
    int64_t now_ms; /* unix */
    bool has_signer;
    int64_t signer_not_after_ms;
    bool has_next;
    int64_t next_live_for_ms; /* how long the live caBundle has shown it; < 0: it does not */
    int64_t promoted_at_ms;   /* unix; 0: never */
    bool has_old;             /* the bundle holds more than signer and next */
    int64_t ca_lifetime_ms;
    int64_t leaf_lifetime_ms;
};
enum rotation_step {
    ROTATION_NOTHING,
    ROTATION_CREATE,  /* there is no usable signer */
    ROTATION_PREPARE, /* add the next signer to Secret and bundle */
    ROTATION_PROMOTE, /* the next one signs from now on */
    ROTATION_DROP     /* nothing is left that the old one signed */
};
/* *ret_wait_ms: when to ask again at the latest. */
enum rotation_step rotation_decide(const struct rotation_facts *f, int64_t *ret_wait_ms);
/* When a leaf is to be replaced: two thirds of its life. */
int64_t leaf_renew_at_ms(int64_t not_after_ms, int64_t lifetime_ms);

/* --- secret.c -----------------------------------------------------------------------------------
 */
/* What the Secret says; texts are in the arena and hold keys: wipe with signers_wipe(). */
struct signers {
    struct str cert, key;
    struct str next_cert, next_key; /* absent: none */
    struct str bundle;              /* PEM of all that are trusted */
    int64_t promoted_at_ms;
};
/* False where the Secret has no usable signer. */
bool signers_decode(const struct kube_object *secret, struct arena *a, struct signers *ret);
void signers_wipe(struct signers *s);
/* The Secret's data as the body of a create (secret NULL) or of a merge patch of that version. */
void signers_encode(const struct signers *s, const struct certs_options *o,
                    const struct kube_object *secret, struct buf *out);

/* --- bundle.c -----------------------------------------------------------------------------------
 */
struct stranger {
    int64_t first_mono_ms; /* when it was first seen in caBundle */
    uint64_t round;        /* when last */
};
struct trust {
    struct map *strangers; /* fingerprint -> struct stranger */
    uint64_t round;
};
/* The caBundle that is wanted: ours, and others' certificates that are valid and were first seen
 * less than keep_ms ago (another mode's replicas, while it is changed). */
void trust_compose(struct trust *t, struct str ours, struct str live, int64_t keep_ms,
                   int64_t now_unix_ms, int64_t now_mono_ms, struct buf *out);
bool trust_is_same(struct str a, struct str b);
const struct kube_resource *certs_configurations(void);
const struct kube_resource *certs_secrets(void);

/* --- certs.c ------------------------------------------------------------------------------------
 */
struct certs {
    struct certs_options o;
    struct arena arena; /* of the options */
    struct kube_informer *secret;
    struct kube_informer *webhook;
    struct thread thread;
    struct trust trust;
    /* of the thread */
    char leaf_signer[CRYPTO_FINGERPRINT]; /* of the leaf that is served; "" before */
    int64_t leaf_not_after_ms;
    char next_seen[CRYPTO_FINGERPRINT]; /* the next signer that the live bundle shows … */
    int64_t next_seen_ms;               /* … since when (monotonic) */
    struct signers memory;              /* the last good ones: what a deleted Secret is made of */
    struct arena memory_arena;
    struct buf files;       /* what was published last from files */
    char said[ERR_MSG_MAX]; /* the failure that was logged last */
    int rejections; /* of a patch, in a row */
    struct metric_family *expiry;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_woken;
    bool is_stopping;
    bool has_leaf;
    bool is_trusted; /* the live caBundle was seen to trust it; sticks */
    int64_t valid_until_ms;
};

/* Patches the configuration's caBundle where it is not what is wanted. False: it could not. Where
 * there is no configuration, nothing is done. *ret_live (may be NULL; in a): the bundle of the
 * first webhook as the API server had it, absent where there is none. */
bool certs_keep_bundle(struct certs *c, struct str ours, struct arena *a, struct str *ret_live,
                       struct err *e) BERTH_NODISCARD;
/* One look of each mode; *ret_wait_ms: when to look again. */
bool certs_self_managed(struct certs *c, int64_t *ret_wait_ms, struct err *e) BERTH_NODISCARD;
bool certs_from_files(struct certs *c, int64_t *ret_wait_ms, struct err *e) BERTH_NODISCARD;
/* The leaf is served: notes it for readiness and metrics. */
void certs_serves(struct certs *c, int64_t not_after_ms, const char *signer);
