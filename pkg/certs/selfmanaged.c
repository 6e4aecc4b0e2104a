// SPDX-License-Identifier: Apache-2.0
/*
 * The self-managed mode: one look at Secret, leaf and configuration. Any replica may do each of the
 * steps; resourceVersion decides who was first, and the others see it by watch.
 */
#include "base/mem.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "kube/object.h"
#include "web/tls.h"

#include <stdio.h>
#include <string.h>

static const struct kube_resource secrets = {
    .group = "", .version = "v1", .plural = "secrets", .kind = "Secret", .is_namespaced = true};

const struct kube_resource *certs_secrets(void)
{
    return &secrets;
}

/* --- the Secret ---------------------------------------------------------------------------------
 */

static bool new_signer(struct certs *c, struct arena *a, struct str *cert, struct str *key,
                       struct err *e)
{
    struct buf cert_text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key_text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    const int64_t now_ms = clock_unix_ms(c->o.clock);
    if (!crypto_signer_new(STR("berth-webhook-ca"), now_ms - BACKDATE_MS,
                           now_ms + c->o.ca_lifetime_ms, &cert_text, &key_text, e))
        return false;
    *cert = arena_copy(a, buf_str(&cert_text));
    *key = arena_copy(a, buf_str(&key_text));
    crypto_wipe(key_text.ptr, key_text.len);
    return true;
}

/* The next state of the Secret by that step, in *s. */
static bool take_step(struct certs *c, enum rotation_step step, struct arena *a, struct signers *s,
                      struct err *e)
{
    const int64_t now_ms = clock_unix_ms(c->o.clock);
    const struct str held = s->bundle; /* the signer is in it */
    switch (step) {
    case ROTATION_CREATE:
        *s = (struct signers){.promoted_at_ms = now_ms};
        if (!new_signer(c, a, &s->cert, &s->key, e))
            return false;
        signers_set_bundle(s, held, a);
        return true;
    case ROTATION_PREPARE:
        if (!new_signer(c, a, &s->next_cert, &s->next_key, e))
            return false;
        signers_set_bundle(s, held, a);
        return true;
    case ROTATION_PROMOTE:
        *s = (struct signers){.cert = s->next_cert, .key = s->next_key, .promoted_at_ms = now_ms};
        signers_set_bundle(s, held, a);
        return true;
    case ROTATION_DROP:
        signers_set_bundle(s, STR_NULL, a);
        return true;
    case ROTATION_RESTORE: /* *s is what memory has */
    case ROTATION_NOTHING:
        break;
    }
    return true;
}

/* *ret_is_done: false where somebody else was first: what they wrote comes by watch. */
static bool write_secret(struct certs *c, const struct kube_object *secret, const struct signers *s,
                         bool *ret_is_done, struct err *e)
{
    if (secret != NULL && !secret_is_ours(secret))
        return err_set(e, ERR_CONFLICT, "ForeignSecret",
                       "Secret \"%s\" in namespace \"%s\" was filled by somebody else and is left "
                       "alone: name another one as webhook.certs.secret, or delete it",
                       c->o.secret, c->o.namespace);
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 4);
    signers_encode(s, &c->o, secret, &body);
    const struct kube_patch patch = {
        .resource = &secrets,
        .namespace = c->o.namespace,
        .name = c->o.secret,
        .type = KUBE_PATCH_MERGE,
        .field_manager = "berth-operator-certs",
        .body = buf_str(&body),
    };
    const enum kube_result result = secret != NULL
                                        ? kube_patch(c->o.kube, &patch, NULL, e)
                                        : kube_create(c->o.kube, &secrets, c->o.namespace,
                                                      patch.field_manager, patch.body, NULL, e);
    if (body.ptr != NULL)
        crypto_wipe(body.ptr, body.len);
    *ret_is_done = result == KUBE_OK;
    return result != KUBE_FAILED ||
           err_wrap(e, "Secret \"%s\" in namespace \"%s\"", c->o.secret, c->o.namespace);
}

static const char *step_words(enum rotation_step step)
{
    switch (step) {
    case ROTATION_CREATE:
        return "signer created";
    case ROTATION_RESTORE:
        return "signer restored";
    case ROTATION_PREPARE:
        return "next signer prepared";
    case ROTATION_PROMOTE:
        return "signer promoted";
    case ROTATION_DROP:
        return "old signer dropped";
    case ROTATION_NOTHING:
        break;
    }
    return "";
}

/* --- the leaf -----------------------------------------------------------------------------------
 */

static bool sign_leaf(struct certs *c, const struct signers *s, struct err *e)
{
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    const int64_t now_ms = clock_unix_ms(c->o.clock);
    const struct crypto_leaf leaf = {
        .common_name = str_from(c->o.instance),
        .dns_names = c->o.dns_names,
        .dns_name_count = c->o.dns_name_count,
        .not_before_unix_ms = now_ms - BACKDATE_MS,
        .not_after_unix_ms = now_ms + c->o.leaf_lifetime_ms,
    };
    struct crypto_cert_info info;
    struct crypto_cert_info signer;
    const bool is_ok = crypto_leaf_new(&leaf, s->cert, s->key, &cert, &key, e) &&
                       crypto_cert_read(buf_str(&cert), &info, e) &&
                       crypto_cert_read(s->cert, &signer, e) &&
                       web_tls_publish(c->o.tls, buf_str(&cert), buf_str(&key), e);
    if (key.ptr != NULL)
        crypto_wipe(key.ptr, key.len);
    if (is_ok)
        certs_serves(c, &info, signer.fingerprint);
    return is_ok;
}

/* By another signer than that of what is served: only once API servers trust it. */
static bool may_change_signer(struct certs *c, const char *signer, int64_t *wait_ms)
{
    const int64_t mono_ms = clock_mono_ms(c->o.clock);
    const struct leaf_facts facts = {
        .is_valid = c->leaf_not_after_ms > clock_unix_ms(c->o.clock),
        .is_trusted = trust_shown_for_ms(&c->trust, c->leaf_signer, mono_ms) >= 0,
        .other_live_for_ms = trust_shown_for_ms(&c->trust, signer, mono_ms),
        .leaf_lifetime_ms = c->o.leaf_lifetime_ms,
    };
    return leaf_may_change(&facts, wait_ms);
}

/* By this signer. What ends with its signer already cannot be longer; one from the future is of a
 * clock that was wrong. */
static bool is_renewal_due(const struct certs *c, const struct crypto_cert_info *signer,
                           int64_t now_ms)
{
    return c->leaf_not_before_ms > now_ms ||
           (leaf_renew_at_ms(c->leaf_not_after_ms, c->o.leaf_lifetime_ms) <= now_ms &&
            c->leaf_not_after_ms < signer->not_after_unix_ms);
}

/* Needs nothing but the signer's key: no API server has to be there for it. */
static bool keep_leaf(struct certs *c, const struct signers *s, int64_t *wait_ms, struct err *e)
{
    struct crypto_cert_info signer;
    const int64_t now_ms = clock_unix_ms(c->o.clock);
    if (!crypto_cert_read(s->cert, &signer, e))
        return false;
    if (signer.not_after_unix_ms <= now_ms)
        return true; /* its successor is on its way */
    metric_set(c->expiry, (const char *[]){"signer"}, (double)signer.not_after_unix_ms / 1000);
    const bool is_due = strcmp(c->leaf_signer, signer.fingerprint) == 0
                            ? is_renewal_due(c, &signer, now_ms)
                            : may_change_signer(c, signer.fingerprint, wait_ms);
    if (is_due && !sign_leaf(c, s, e))
        return false;
    const int64_t left_ms = leaf_renew_at_ms(c->leaf_not_after_ms, c->o.leaf_lifetime_ms) - now_ms;
    if (left_ms > 0 && left_ms < *wait_ms)
        *wait_ms = left_ms;
    return true;
}

/* --- one look -----------------------------------------------------------------------------------
 */

/* 0: it cannot be read. */
static int64_t not_after_ms(struct str cert, struct crypto_cert_info *info)
{
    struct err e = ERR_INIT;
    *info = (struct crypto_cert_info){0};
    return !str_is_null(cert) && crypto_cert_read(cert, info, &e) ? info->not_after_unix_ms : 0;
}

/* is_usable: s is of the Secret, not of memory. */
static struct rotation_facts facts_of(struct certs *c, const struct signers *s, bool is_usable)
{
    struct crypto_cert_info signer;
    struct crypto_cert_info next;
    const int64_t signer_ms = not_after_ms(s->cert, &signer);
    const int64_t next_ms = not_after_ms(s->next_cert, &next);
    return (struct rotation_facts){
        .now_ms = clock_unix_ms(c->o.clock),
        .has_signer = is_usable,
        .signer_not_after_ms = is_usable ? signer_ms : 0,
        .memory_not_after_ms = is_usable ? 0 : signer_ms,
        .has_next = !str_is_null(s->next_cert),
        .next_not_after_ms = next_ms,
        .next_live_for_ms =
            trust_shown_for_ms(&c->trust, next.fingerprint, clock_mono_ms(c->o.clock)),
        .promoted_at_ms = s->promoted_at_ms,
        .has_old = s->has_old,
        .ca_lifetime_ms = c->o.ca_lifetime_ms,
        .leaf_lifetime_ms = c->o.leaf_lifetime_ms,
    };
}

static struct signers copy_signers(const struct signers *s, struct arena *a)
{
    return (struct signers){
        .cert = arena_copy(a, s->cert),
        .key = arena_copy(a, s->key),
        .next_cert = arena_copy(a, s->next_cert),
        .next_key = arena_copy(a, s->next_key),
        .bundle = arena_copy(a, s->bundle),
        .has_old = s->has_old,
        .promoted_at_ms = s->promoted_at_ms,
    };
}

/* A Secret that somebody deleted or emptied is made anew from memory: a new signer would be trusted
 * by nobody for a moment. */
static void remember(struct certs *c, const struct signers *s)
{
    signers_wipe(&c->memory);
    arena_fini(&c->memory_arena);
    c->memory = copy_signers(s, &c->memory_arena);
}

/* False where memory has none that is valid. */
static bool recall(struct certs *c, struct arena *a, struct signers *s)
{
    struct crypto_cert_info info;
    if (not_after_ms(c->memory.cert, &info) <= clock_unix_ms(c->o.clock))
        return false;
    signers_wipe(s);
    *s = copy_signers(&c->memory, a);
    return true;
}

static bool rotate(struct certs *c, const struct kube_object *secret, enum rotation_step step,
                   struct arena *a, const struct signers *s, struct err *e)
{
    struct signers next = *s;
    bool is_done = false;
    const bool is_ok =
        take_step(c, step, a, &next, e) && write_secret(c, secret, &next, &is_done, e);
    signers_wipe(&next); /* what it shares with *s is wiped a moment later anyway */
    if (is_done)
        log_info(c->o.log, "webhook certificates", KV_CSTR("what", step_words(step)),
                 KV_CSTR("secret", c->o.secret));
    return is_ok;
}

/* Each of the three is tried whatever became of the others; *e is of the first that failed. */
static bool look(struct certs *c, const struct kube_object *secret, struct arena *a,
                 struct signers *s, int64_t *ret_wait_ms, struct err *e)
{
    struct err of_leaf = ERR_INIT;
    struct err of_secret = ERR_INIT;
    const bool is_usable = secret != NULL && signers_decode(secret, a, s);
    if (is_usable)
        remember(c, s);
    const bool has_signer = is_usable || recall(c, a, s);
    const bool is_bundle_ok = !has_signer || certs_keep_bundle(c, s->bundle, e);
    const struct rotation_facts facts = facts_of(c, s, is_usable);
    const enum rotation_step step = rotation_decide(&facts, ret_wait_ms);
    const bool is_leaf_ok = !has_signer || keep_leaf(c, s, ret_wait_ms, &of_leaf);
    const bool is_secret_ok = step == ROTATION_NOTHING || rotate(c, secret, step, a, s, &of_secret);
    if (is_bundle_ok && !(is_leaf_ok && is_secret_ok))
        *e = is_leaf_ok ? of_secret : of_leaf;
    return is_bundle_ok && is_leaf_ok && is_secret_ok;
}

bool certs_self_managed(struct certs *c, int64_t *ret_wait_ms, struct err *e)
{
    if (!kube_informer_has_synced(c->secret))
        return err_set(e, ERR_RETRY, "NotRead",
                       "Secret \"%s\" in namespace \"%s\" was not read yet", c->o.secret,
                       c->o.namespace);
    struct kube_object *secret BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->secret, str_from(c->o.namespace), str_from(c->o.secret));
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct signers s = {0};
    const bool is_ok = look(c, secret, &a, &s, ret_wait_ms, e);
    signers_wipe(&s);
    return is_ok;
}
