// SPDX-License-Identifier: Apache-2.0
/*
 * The thread: looks at what there is whenever it changed or its time has come, and what readiness
 * is told.
 */
#include "base/mem.h"
#include "certs_priv.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

#define HINT "grant the operator's user the webhook's roles of docs/running.md"

/* --- what is served -----------------------------------------------------------------------------
 */

void certs_serves(struct certs *c, const struct crypto_cert_info *leaf, const char *signer)
{
    (void)snprintf(c->leaf_signer, sizeof c->leaf_signer, "%s", signer);
    c->leaf_not_before_ms = leaf->not_before_unix_ms;
    c->leaf_not_after_ms = leaf->not_after_unix_ms;
    metric_set(c->expiry, (const char *[]){"serving"}, (double)leaf->not_after_unix_ms / 1000);
    (void)pthread_mutex_lock(&c->mutex);
    c->has_leaf = true;
    c->valid_until_ms = leaf->not_after_unix_ms;
    (void)pthread_mutex_unlock(&c->mutex);
}

struct shown {
    const struct trust *trust;
    int64_t now_ms;
    int64_t least_ms;
    size_t count;
};

static void take_least(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct shown *s = arg;
    const int64_t for_ms = trust_shown_for_ms(s->trust, info->fingerprint, s->now_ms);
    (void)pem;
    if (s->count++ == 0 || for_ms < s->least_ms)
        s->least_ms = for_ms;
}

int64_t certs_shown_for_ms(struct certs *c, struct str authorities)
{
    struct buf valid BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct shown s = {.trust = &c->trust, .now_ms = clock_mono_ms(c->o.clock)};
    trust_normalise(authorities, clock_unix_ms(c->o.clock), &valid);
    crypto_bundle_each(buf_str(&valid), take_least, &s);
    return s.count > 0 ? s.least_ms : -1;
}

/* Do API servers trust what we serve? Where others were trusted when we came, they are called now,
 * and whoever takes their place waits until API servers are sure to have seen the new caBundle. */
static bool is_trusted_live(struct certs *c, int64_t *wait_ms)
{
    const bool is_self = c->o.mode == CERTS_SELF_MANAGED;
    if (c->webhook == NULL || (!is_self && c->authorities.len == 0))
        return true; /* not ours to keep */
    const int64_t for_ms =
        is_self ? trust_shown_for_ms(&c->trust, c->leaf_signer, clock_mono_ms(c->o.clock))
                : certs_shown_for_ms(c, buf_str(&c->authorities));
    const int64_t needed_ms = c->trust.had_strangers ? trust_wait_ms(c->o.leaf_lifetime_ms) : 0;
    if (for_ms >= needed_ms)
        return true;
    if (for_ms >= 0 && needed_ms - for_ms < *wait_ms)
        *wait_ms = needed_ms - for_ms;
    return false;
}

bool certs_is_ready(struct certs *c, const char **why)
{
    (void)pthread_mutex_lock(&c->mutex);
    const bool has_leaf = c->has_leaf;
    const bool is_trusted = c->is_trusted;
    const bool is_forbidden = c->is_forbidden;
    const bool is_valid = c->valid_until_ms > clock_unix_ms(c->o.clock);
    (void)pthread_mutex_unlock(&c->mutex);
    const char *says = NULL;
    if (is_forbidden && !(has_leaf && is_valid && is_trusted))
        says = "the API server refuses the webhook's Secret or ValidatingWebhookConfiguration to "
               "the operator; " HINT;
    else if (!has_leaf)
        says = "the webhook has no certificate yet; the log says why";
    else if (!is_valid)
        says = "the webhook's certificate has expired; the log says why it is not renewed";
    else if (!is_trusted)
        says = "the ValidatingWebhookConfiguration does not trust the webhook's certificate yet";
    if (why != NULL)
        *why = says;
    return says == NULL;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static const char *hint(const struct err *e)
{
    return e->http_status == 403 && e->cls == ERR_DENIED ? HINT : NULL;
}

static void set_forbidden(struct certs *c, bool is_forbidden)
{
    (void)pthread_mutex_lock(&c->mutex);
    c->is_forbidden = is_forbidden;
    (void)pthread_mutex_unlock(&c->mutex);
}

static void tell_failure(struct certs *c, const struct err *e)
{
    if (strcmp(e->reason, "NotRead") ==
        0) /* that is how it begins; the informer says why it stays */
        return;
    set_forbidden(c, hint(e) != NULL);
    /* the configuration changed between our look and our patch: news of it are on their way */
    const bool may_be_race = e->http_status == 422 && ++c->rejections < REJECTIONS_TOLD;
    if (may_be_race || strcmp(c->said, e->msg) == 0)
        return;
    (void)snprintf(c->said, sizeof c->said, "%s", e->msg);
    log_warn(c->o.log, "webhook certificates cannot be kept, trying again",
             KV_TEXT("reason", e->reason), KV_ERR(e), KV_TEXT("hint", hint(e)));
}

int64_t certs_look(struct certs *c)
{
    struct err e = ERR_INIT;
    int64_t wait_ms = LOOK_AGAIN_MS;
    const bool is_ok = c->o.mode == CERTS_SELF_MANAGED ? certs_self_managed(c, &wait_ms, &e)
                                                       : certs_from_files(c, &wait_ms, &e);
    if (is_ok) {
        c->said[0] = '\0';
        c->rejections = 0;
        set_forbidden(c, false);
    } else {
        tell_failure(c, &e);
    }
    if (c->has_leaf && !c->is_trusted && is_trusted_live(c, &wait_ms)) {
        (void)pthread_mutex_lock(&c->mutex);
        c->is_trusted = true;
        (void)pthread_mutex_unlock(&c->mutex);
    }
    /* nothing wakes us where what was read is that there is nothing */
    const int64_t again_ms = strcmp(e.reason, "NotRead") == 0 ? NOT_READ_AGAIN_MS : RETRY_AFTER_MS;
    if (!is_ok && wait_ms > again_ms)
        wait_ms = again_ms;
    return wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS;
}

static void run(void *arg)
{
    struct certs *c = arg;
    (void)pthread_mutex_lock(&c->mutex);
    while (!c->is_stopping) {
        c->is_woken = false;
        (void)pthread_mutex_unlock(&c->mutex);
        const int64_t until_ms = clock_mono_ms(c->o.clock) + certs_look(c);
        (void)pthread_mutex_lock(&c->mutex);
        while (!c->is_stopping && !c->is_woken) {
            const int64_t left_ms = until_ms - clock_mono_ms(c->o.clock);
            if (left_ms <= 0 || !thread_cond_wait_ms(&c->cond, &c->mutex, left_ms))
                break;
        }
    }
    (void)pthread_mutex_unlock(&c->mutex);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static void wake(struct certs *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    c->is_woken = true;
    (void)pthread_cond_signal(&c->cond);
    (void)pthread_mutex_unlock(&c->mutex);
}

static void on_change(void *arg, struct str namespace, struct str name, bool is_deleted)
{
    (void)namespace;
    (void)name;
    (void)is_deleted;
    wake(arg);
}

static void on_error(void *arg, const struct err *e)
{
    struct certs *c = arg;
    if (hint(e) != NULL)
        set_forbidden(c, true);
    log_warn(c->o.log, "watching the webhook's Secret or configuration fails, trying again",
             KV_TEXT("reason", e->reason), KV_ERR(e), KV_TEXT("hint", hint(e)));
}

static struct kube_informer *informer(struct certs *c, const struct kube_resource *resource,
                                      const char *namespace, const char *name)
{
    const struct kube_informer_options o = {
        .client = c->o.kube,
        .resource = resource,
        .namespace = namespace,
        .field_selector = arena_printf(&c->arena, "metadata.name=%s", name).ptr,
        .clock = c->o.clock,
        .metrics = c->o.metrics,
        .on_change = on_change,
        .on_error = on_error,
        .arg = c,
    };
    return kube_informer_new(&o);
}

static const char *copy(struct certs *c, const char *text)
{
    return text != NULL ? arena_copy(&c->arena, str_from(text)).ptr : NULL;
}

static void copy_options(struct certs *c, const struct certs_options *o)
{
    c->o = *o;
    c->o.namespace = copy(c, o->namespace);
    c->o.secret = copy(c, o->secret);
    c->o.directory = copy(c, o->directory);
    c->o.webhook = o->mode == CERTS_CERT_MANAGER ? NULL : copy(c, o->webhook);
    c->o.instance = copy(c, o->instance);
    struct str *names = arena_new_array(&c->arena, struct str, o->dns_name_count + 1);
    for (size_t i = 0; i < o->dns_name_count; i++)
        names[i] = arena_copy(&c->arena, o->dns_names[i]);
    c->o.dns_names = names;
}

bool certs_start(const struct certs_options *o, struct certs **ret, struct err *e)
{
    *ret = NULL;
    if (o->mode == CERTS_SELF_MANAGED && o->namespace[0] == '\0')
        return err_set(e, ERR_INVALID, "NoNamespace",
                       "the webhook's Secret needs a namespace: run in a pod, or set "
                       "leaderElection.namespace");
    struct certs *c = mem_alloc(sizeof *c);
    copy_options(c, o);
    trust_init(&c->trust);
    c->authorities = BUF_INIT(CRYPTO_PEM_MAX);
    c->files = BUF_INIT(CRYPTO_SHA256_HEX + 1);
    (void)pthread_mutex_init(&c->mutex, NULL);
    thread_cond_init(&c->cond);
    if (o->metrics != NULL)
        c->expiry =
            metrics_gauge(o->metrics, "berth_webhook_certificate_expiration_timestamp_seconds",
                          "When a certificate of the webhook expires.", "use");
    if (o->mode == CERTS_SELF_MANAGED)
        c->secret = informer(c, certs_secrets(), c->o.namespace, c->o.secret);
    if (c->o.webhook != NULL)
        c->webhook = informer(c, certs_configurations(), NULL, c->o.webhook);
    if (c->secret != NULL)
        kube_informer_start(c->secret);
    if (c->webhook != NULL)
        kube_informer_start(c->webhook);
    thread_start(&c->thread, "certs", run, c);
    *ret = c;
    return true;
}

struct certs *certs_stop(struct certs *c)
{
    if (c == NULL)
        return NULL;
    (void)pthread_mutex_lock(&c->mutex);
    c->is_stopping = true;
    (void)pthread_cond_signal(&c->cond);
    (void)pthread_mutex_unlock(&c->mutex);
    thread_join(&c->thread);
    kube_informer_free(c->secret);
    kube_informer_free(c->webhook);
    signers_wipe(&c->memory);
    arena_fini(&c->memory_arena);
    trust_fini(&c->trust);
    buf_fini(&c->authorities);
    buf_fini(&c->files);
    (void)pthread_cond_destroy(&c->cond);
    (void)pthread_mutex_destroy(&c->mutex);
    arena_fini(&c->arena);
    return mem_free(c);
}
