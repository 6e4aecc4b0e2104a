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

static struct str join(struct arena *a, struct str first, struct str second)
{
    return arena_printf(a, "%.*s%.*s", STR_ARG(first), STR_ARG(second));
}

/* The next state of the Secret by that step, in *s. */
static bool take_step(struct certs *c, enum rotation_step step, struct arena *a, struct signers *s,
                      struct err *e)
{
    switch (step) {
    case ROTATION_CREATE:
        *s = (struct signers){0};
        if (!new_signer(c, a, &s->cert, &s->key, e))
            return false;
        s->bundle = s->cert;
        return true;
    case ROTATION_PREPARE:
        if (!new_signer(c, a, &s->next_cert, &s->next_key, e))
            return false;
        s->bundle = join(a, s->cert, s->next_cert);
        return true;
    case ROTATION_PROMOTE:
        s->bundle = join(a, s->next_cert, s->cert);
        s->cert = s->next_cert;
        s->key = s->next_key;
        s->next_cert = STR_NULL;
        s->next_key = STR_NULL;
        s->promoted_at_ms = clock_unix_ms(c->o.clock);
        return true;
    case ROTATION_DROP:
        s->bundle = s->cert;
        return true;
    case ROTATION_NOTHING:
        break;
    }
    return true;
}

/* True also where somebody else was first: what they wrote comes by watch. */
static bool write_secret(struct certs *c, const struct kube_object *secret, const struct signers *s,
                         struct err *e)
{
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
    return result != KUBE_FAILED ||
           err_wrap(e, "Secret \"%s\" in namespace \"%s\"", c->o.secret, c->o.namespace);
}

static const char *step_words(enum rotation_step step)
{
    switch (step) {
    case ROTATION_CREATE:
        return "signer created";
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
        certs_serves(c, info.not_after_unix_ms, signer.fingerprint);
    return is_ok;
}

static bool keep_leaf(struct certs *c, const struct signers *s, int64_t *wait_ms, struct err *e)
{
    struct crypto_cert_info signer;
    if (!crypto_cert_read(s->cert, &signer, e))
        return false;
    const int64_t now_ms = clock_unix_ms(c->o.clock);
    const bool is_of_signer = strcmp(c->leaf_signer, signer.fingerprint) == 0;
    if ((!is_of_signer ||
         leaf_renew_at_ms(c->leaf_not_after_ms, c->o.leaf_lifetime_ms) <= now_ms) &&
        !sign_leaf(c, s, e))
        return false;
    const int64_t left_ms = leaf_renew_at_ms(c->leaf_not_after_ms, c->o.leaf_lifetime_ms) - now_ms;
    if (left_ms < *wait_ms)
        *wait_ms = left_ms > 0 ? left_ms : RETRY_AFTER_MS;
    return true;
}

/* --- one look -----------------------------------------------------------------------------------
 */

/* How long the live caBundle has shown the next signer; -1: it does not. */
static int64_t next_live_for_ms(struct certs *c, const struct signers *s, struct str live)
{
    struct crypto_cert_info next;
    struct err e = ERR_INIT;
    if (str_is_null(s->next_cert) || !crypto_cert_read(s->next_cert, &next, &e))
        return -1;
    const int64_t now_ms = clock_mono_ms(c->o.clock);
    /* without a configuration there is nobody who has to learn of it */
    const bool is_live = str_is_null(live) || crypto_bundle_has(live, s->next_cert);
    if (!is_live) {
        c->next_seen[0] = '\0';
        return -1;
    }
    if (strcmp(c->next_seen, next.fingerprint) != 0) {
        memcpy(c->next_seen, next.fingerprint, sizeof c->next_seen);
        c->next_seen_ms = now_ms;
    }
    return now_ms - c->next_seen_ms;
}

static void count_one(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    (void)info;
    (void)pem;
    ++*(size_t *)arg;
}

static size_t count_certs(struct str bundle)
{
    size_t n = 0;
    crypto_bundle_each(bundle, count_one, &n);
    return n;
}

static struct rotation_facts facts_of(struct certs *c, const struct signers *s, bool is_usable,
                                      struct str live)
{
    struct crypto_cert_info signer = {0};
    struct err e = ERR_INIT;
    const bool has_signer = is_usable && crypto_cert_read(s->cert, &signer, &e);
    return (struct rotation_facts){
        .now_ms = clock_unix_ms(c->o.clock),
        .has_signer = has_signer,
        .signer_not_after_ms = signer.not_after_unix_ms,
        .has_next = !str_is_null(s->next_cert),
        .next_live_for_ms = next_live_for_ms(c, s, live),
        .promoted_at_ms = s->promoted_at_ms,
        .has_old = count_certs(s->bundle) > (str_is_null(s->next_cert) ? 1U : 2U),
        .ca_lifetime_ms = c->o.ca_lifetime_ms,
        .leaf_lifetime_ms = c->o.leaf_lifetime_ms,
    };
}

/* A Secret that somebody deleted is made anew from memory: a new signer would be trusted by nobody
 * for a moment. */
static void remember(struct certs *c, const struct signers *s)
{
    signers_wipe(&c->memory);
    arena_fini(&c->memory_arena);
    struct arena *a = &c->memory_arena;
    c->memory = (struct signers){
        .cert = arena_copy(a, s->cert),
        .key = arena_copy(a, s->key),
        .next_cert = arena_copy(a, s->next_cert),
        .next_key = arena_copy(a, s->next_key),
        .bundle = arena_copy(a, s->bundle),
        .promoted_at_ms = s->promoted_at_ms,
    };
}

static bool rotate(struct certs *c, const struct kube_object *secret, enum rotation_step step,
                   struct arena *a, struct signers *s, struct err *e)
{
    const bool has_memory = step == ROTATION_CREATE && secret == NULL &&
                            !str_is_null(c->memory.cert) &&
                            c->leaf_not_after_ms > clock_unix_ms(c->o.clock);
    struct signers next = has_memory ? c->memory : *s;
    if (!has_memory && !take_step(c, step, a, &next, e))
        return false;
    if (!write_secret(c, secret, &next, e))
        return false;
    log_info(c->o.log, "webhook certificates", KV_CSTR("what", step_words(step)),
             KV_CSTR("secret", c->o.secret));
    return true;
}

static bool look(struct certs *c, const struct kube_object *secret, struct arena *a,
                 struct signers *s, int64_t *ret_wait_ms, struct err *e)
{
    struct str live = STR_NULL;
    const bool is_usable = secret != NULL && signers_decode(secret, a, s);
    if (is_usable) {
        remember(c, s);
        if (!certs_keep_bundle(c, s->bundle, a, &live, e))
            return false;
    }
    const struct rotation_facts facts = facts_of(c, s, is_usable, live);
    const enum rotation_step step = rotation_decide(&facts, ret_wait_ms);
    if (is_usable && facts.signer_not_after_ms > facts.now_ms && !keep_leaf(c, s, ret_wait_ms, e))
        return false;
    return step == ROTATION_NOTHING || rotate(c, secret, step, a, s, e);
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
