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
    BACKDATE_MS = 3600 * 1000, /* clocks of API servers may be behind ours */
    TRUST_WAIT_MAX_MS = 10000, /* API servers see a new caBundle within this */
    LOOK_AGAIN_MS = 60 * 1000, /* on the wall clock: a machine may have been suspended */
    FILES_EVERY_MS = 2000,
    RETRY_AFTER_MS = 2000,
    NOT_READ_AGAIN_MS = 50,
    REJECTIONS_TOLD = 3,
    WEBHOOKS_MAX = 64, /* of one configuration; caBundle of more is not kept */
    BUNDLE_TEXT_MAX = 256 * 1024
};

/* --- rotate.c: pure -----------------------------------------------------------------------------
 */
/* What the Secret holds, by dates alone. */
struct rotation_facts {
    int64_t now_ms; /* unix */
    bool has_signer;
    int64_t signer_not_after_ms;
    int64_t memory_not_after_ms; /* of the signer in memory, where the Secret has none; else 0 */
    bool has_next;
    int64_t next_not_after_ms;
    int64_t next_live_for_ms; /* how long the live caBundle has shown it; < 0: it does not */
    int64_t promoted_at_ms;   /* unix; 0: never */
    bool has_old;             /* the bundle holds more than signer and next */
    int64_t ca_lifetime_ms;
    int64_t leaf_lifetime_ms;
};
enum rotation_step {
    ROTATION_NOTHING,
    ROTATION_CREATE,  /* there is no usable signer */
    ROTATION_RESTORE, /* the Secret has none, memory has */
    ROTATION_PREPARE, /* add the next signer to Secret and bundle */
    ROTATION_PROMOTE, /* the next one signs from now on */
    ROTATION_DROP     /* nothing is left that the old one signed */
};
/* *ret_wait_ms: when to ask again at the latest. */
enum rotation_step rotation_decide(const struct rotation_facts *f, int64_t *ret_wait_ms);
/* When a leaf is to be replaced: two thirds of its life. */
int64_t leaf_renew_at_ms(int64_t not_after_ms, int64_t lifetime_ms);
/* How long caBundle has to show a signer before API servers are sure to have seen it. */
int64_t trust_wait_ms(int64_t leaf_lifetime_ms);

/* What is served, and the one that is to take its place and needs another certificate's trust. */
struct leaf_facts {
    bool is_valid;             /* there is one that is served, and it has not expired */
    bool is_trusted;           /* the live caBundle shows who signed it */
    int64_t other_live_for_ms; /* who signed the other one: as next_live_for_ms */
    int64_t leaf_lifetime_ms;
};
/* False: API servers may not trust the other one yet, and trust this one. *ret_wait_ms is lowered
 * to the time to ask again. */
bool leaf_may_change(const struct leaf_facts *f, int64_t *ret_wait_ms);

/* --- secret.c -----------------------------------------------------------------------------------
 */
/* What the Secret says; texts are in the arena and hold keys: wipe with signers_wipe(). */
struct signers {
    struct str cert, key;
    struct str next_cert, next_key; /* absent: none */
    struct str bundle; /* PEM of all that are trusted: signer, next, then those that were */
    bool has_old;      /* there are any of the last */
    int64_t promoted_at_ms;
};
/* False where the Secret has no usable signer; a next one is read all the same. */
bool signers_decode(const struct kube_object *secret, struct arena *a, struct signers *ret);
void signers_wipe(struct signers *s);
/* The bundle of these signers and of what it held: each once, unreadable text left out. */
void signers_set_bundle(struct signers *s, struct str held, struct arena *a);
/* The Secret's data as the body of a create (secret NULL) or of a merge patch of that version. */
void signers_encode(const struct signers *s, const struct certs_options *o,
                    const struct kube_object *secret, struct buf *out);
/* May it be written? One that somebody else made and filled may not. */
bool secret_is_ours(const struct kube_object *secret);

/* --- trust.c: pure ------------------------------------------------------------------------------
 */
struct trust {
    struct map *strangers; /* of the live bundles, by fingerprint: since when */
    struct map *shown;     /* what all of them show, likewise */
    uint64_t round;
    bool has_begun;     /* a live configuration was looked at */
    bool had_strangers; /* it trusted others when that was done first */
};
void trust_init(struct trust *t);
void trust_fini(struct trust *t);
/* Appends what can be read of a bundle and has not expired: each once, CRYPTO_BUNDLE_MAX at most,
 * as an API server reads it. */
void trust_normalise(struct str bundle, int64_t now_unix_ms, struct buf *out);
/* A look at the configuration: begin, one compose for each of its webhooks, end.
 * The caBundle that is wanted: ours (normalised), and others' certificates that are valid and were
 * first seen less than keep_ms ago (another mode's replicas, while it is changed). */
void trust_begin(struct trust *t);
void trust_compose(struct trust *t, struct str ours, struct str live, int64_t keep_ms,
                   int64_t now_unix_ms, int64_t now_mono_ms, struct buf *out);
/* lives: the bundles of all webhooks. */
void trust_end(struct trust *t, const struct str *lives, size_t count, int64_t now_mono_ms);
/* Has the live text the wanted certificates, in any order, and no others, as an API server reads
 * it? */
bool trust_is_same(struct str wanted, struct str live);
/* How long all live bundles have shown it; < 0: not all do. */
int64_t trust_shown_for_ms(const struct trust *t, const char *fingerprint, int64_t now_mono_ms);

/* --- bundle.c -----------------------------------------------------------------------------------
 */
struct certs;
const struct kube_resource *certs_configurations(void);
/* Patches the configuration's caBundle where it is not what is wanted, and notes what the live one
 * shows in the struct trust. False: it could not. Where there is no configuration nobody calls, and
 * all of ours counts as shown. */
bool certs_keep_bundle(struct certs *c, struct str ours, struct err *e) BERTH_NODISCARD;

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
    char leaf_signer[CRYPTO_FINGERPRINT]; /* of the leaf that is served; "" before, and of files */
    int64_t leaf_not_before_ms;
    int64_t leaf_not_after_ms;
    struct signers memory; /* the last good ones: what a lost Secret is made of */
    struct arena memory_arena;
    struct buf authorities; /* PEM: one of these has to be trusted, where caBundle is ours */
    struct buf files;       /* what was published last from files */
    char said[ERR_MSG_MAX]; /* the failure that was logged last */
    int rejections;         /* of a patch, in a row */
    struct metric_family *expiry;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_woken;
    bool is_stopping;
    bool is_forbidden; /* the API server refuses what the thread needs */
    bool has_leaf;
    bool is_trusted; /* the live caBundle was seen to trust it; sticks */
    int64_t valid_until_ms;
};

/* What the thread does again and again; the result is when, at the latest. */
int64_t certs_look(struct certs *c);
/* One look of each mode; *ret_wait_ms is lowered to when to look again. */
bool certs_self_managed(struct certs *c, int64_t *ret_wait_ms, struct err *e) BERTH_NODISCARD;
bool certs_from_files(struct certs *c, int64_t *ret_wait_ms, struct err *e) BERTH_NODISCARD;
const struct kube_resource *certs_secrets(void);
/* This leaf is served: notes it for readiness and metrics. signer: its fingerprint, or "". */
void certs_serves(struct certs *c, const struct crypto_cert_info *leaf, const char *signer);
/* How long the live caBundle has shown all of these (PEM); < 0: it does not. */
int64_t certs_shown_for_ms(struct certs *c, struct str authorities);
