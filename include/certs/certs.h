// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook's certificates: where they come from, how they rotate, and that the API server trusts
 * them. It publishes what is to be served into a struct web_tls and keeps `caBundle` of the
 * ValidatingWebhookConfiguration equal to what the mode says.
 *
 *   self-managed   A Secret, made by whichever replica comes first, holds the bundle, the signer
 *                  and, while rotating, the next signer. Each pod signs a leaf of its own, in
 *                  memory. Any replica patches caBundle: what the Secret says, and for one leaf
 *                  lifetime what others put there.
 *   cert-manager   The files of a mounted Secret (tls.crt, tls.key); caBundle is cert-manager's
 *                  (its injector's annotation): not touched.
 *   provided       The same files and ca.crt, made by somebody else; caBundle is set from ca.crt
 *                  where there is one.
 *
 * One thread; the functions below run in any.
 */
#pragma once

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct certs;
struct json;
struct kube_client;
struct web_tls;

enum certs_mode { CERTS_SELF_MANAGED, CERTS_CERT_MANAGER, CERTS_PROVIDED };

#define CERTS_CA_LIFETIME_MS   ((int64_t)365 * 24 * 3600 * 1000)
#define CERTS_LEAF_LIFETIME_MS ((int64_t)7 * 24 * 3600 * 1000)

struct certs_options {
    enum certs_mode mode;
    struct kube_client *kube; /* outlives it, as all of these */
    struct web_tls *tls;
    const struct clock *clock;
    struct log *log;
    struct metrics *metrics; /* NULL: none */
    const char *namespace;   /* of the Secret */
    const char *secret;      /* its name (self-managed) */
    const char *directory;   /* of tls.crt, tls.key, ca.crt (the other modes) */
    const char *webhook;     /* the ValidatingWebhookConfiguration; NULL: caBundle is not ours */
    const struct str *dns_names; /* of the leaf: "berth-webhook.berth.svc", …; copied */
    size_t dns_name_count;
    int64_t ca_lifetime_ms;   /* >= 30 s */
    int64_t leaf_lifetime_ms; /* >= 10 s, at most half of the CA's */
    const char *instance;     /* the pod's name: in the leaf's subject and in logs */
};

/* Starts its thread. Fails only where something local is wrong (a directory that is not there is
 * waited for). */
bool certs_start(const struct certs_options *o, struct certs **ret, struct err *e) BERTH_NODISCARD;
/* A valid leaf is served and, at start, the live caBundle was seen to trust it: where it trusted
 * others when we came, for as long as API servers may need to see the change (min(10 s, a quarter
 * of the leaf's life)). Later failures to renew do not make it false while the leaf is valid. *why
 * (may be NULL): a literal for /readyz. */
bool certs_is_ready(struct certs *c, const char **why);
/* Calls look() with the ValidatingWebhookConfiguration as it is, which is valid for the call.
 * False: there is none, it was not read yet, or it is not watched (cert-manager, no name
 * configured). */
bool certs_look_at_live(struct certs *c, void (*look)(void *arg, const struct json *live),
                        void *arg);
/* NULL is fine; returns NULL. */
struct certs *certs_stop(struct certs *c);
