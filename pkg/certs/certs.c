// SPDX-License-Identifier: Apache-2.0
/*
 * The thread: looks at what there is whenever it changed or its time has come, and what readiness
 * is told.
 */
#include "base/mem.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "kube/object.h"

#include <stdio.h>
#include <string.h>

/* --- what is served -----------------------------------------------------------------------------
 */

void certs_serves(struct certs *c, int64_t not_after_ms, const char *signer)
{
    (void)snprintf(c->leaf_signer, sizeof c->leaf_signer, "%s", signer);
    c->leaf_not_after_ms = not_after_ms;
    metric_set(c->expiry, (const char *[]){"serving"}, (double)not_after_ms / 1000);
    (void)pthread_mutex_lock(&c->mutex);
    c->has_leaf = true;
    c->valid_until_ms = not_after_ms;
    (void)pthread_mutex_unlock(&c->mutex);
}

/* Does every webhook of the configuration trust what we serve? */
static bool is_trusted_live(struct certs *c)
{
    if (c->webhook == NULL)
        return true;
    if (!kube_informer_has_synced(c->webhook))
        return false;
    struct kube_object *live BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->webhook, STR_NULL, str_from(c->o.webhook));
    if (live == NULL || str_is_null(c->memory.cert))
        return live == NULL || c->o.mode != CERTS_SELF_MANAGED; /* nobody calls; or not ours */
    const struct json *webhooks = json_get(kube_object_json(live), "webhooks");
    for (const struct json *it = json_first(webhooks); it != NULL; it = json_next(it)) {
        struct buf bundle BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
        const struct json *config = json_get(it, "clientConfig");
        if (!crypto_base64_decode(json_str_or_null(json_get(config, "caBundle")), &bundle) ||
            !crypto_bundle_has(buf_str(&bundle), c->memory.cert))
            return false;
    }
    return true;
}

bool certs_is_ready(struct certs *c, const char **why)
{
    (void)pthread_mutex_lock(&c->mutex);
    const bool has_leaf = c->has_leaf;
    const bool is_trusted = c->is_trusted;
    const bool is_valid = c->valid_until_ms > clock_unix_ms(c->o.clock);
    (void)pthread_mutex_unlock(&c->mutex);
    const char *says = NULL;
    if (!has_leaf)
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

static void tell_failure(struct certs *c, const struct err *e)
{
    /* the configuration changed between our look and our patch: news of it are on their way */
    const bool may_be_race = e->http_status == 422 && ++c->rejections < REJECTIONS_TOLD;
    if (may_be_race || strcmp(c->said, e->msg) == 0)
        return;
    (void)snprintf(c->said, sizeof c->said, "%s", e->msg);
    if (strcmp(e->reason, "NotRead") != 0) /* that is how it begins */
        log_warn(c->o.log, "webhook certificates cannot be kept, trying again",
                 KV_TEXT("reason", e->reason), KV_ERR(e));
}

static int64_t look(struct certs *c)
{
    struct err e = ERR_INIT;
    int64_t wait_ms = LOOK_AGAIN_MS;
    const bool is_ok = c->o.mode == CERTS_SELF_MANAGED ? certs_self_managed(c, &wait_ms, &e)
                                                       : certs_from_files(c, &wait_ms, &e);
    if (is_ok) {
        c->said[0] = '\0';
        c->rejections = 0;
    } else {
        tell_failure(c, &e);
    }
    if (c->has_leaf && !c->is_trusted && is_trusted_live(c)) {
        (void)pthread_mutex_lock(&c->mutex);
        c->is_trusted = true;
        (void)pthread_mutex_unlock(&c->mutex);
    }
    if (!is_ok && wait_ms > RETRY_AFTER_MS)
        wait_ms = RETRY_AFTER_MS;
    return wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS;
}

static void run(void *arg)
{
    struct certs *c = arg;
    (void)pthread_mutex_lock(&c->mutex);
    while (!c->is_stopping) {
        c->is_woken = false;
        (void)pthread_mutex_unlock(&c->mutex);
        const int64_t until_ms = clock_mono_ms(c->o.clock) + look(c);
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
    log_warn(c->o.log, "watching the webhook's Secret or configuration fails, trying again",
             KV_TEXT("reason", e->reason), KV_ERR(e));
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
    c->trust.strangers = map_new();
    c->files = BUF_INIT(CRYPTO_SHA256_HEX + 1);
    (void)pthread_mutex_init(&c->mutex, NULL);
    thread_cond_init(&c->cond);
    if (o->metrics != NULL)
        c->expiry = metrics_gauge(o->metrics, "berth_webhook_certificate_expiry_timestamp_seconds",
                                  "When the certificate that the webhook serves expires.", "use");
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

static void free_stranger(void *p)
{
    mem_free(p);
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
    map_free(c->trust.strangers, free_stranger);
    buf_fini(&c->files);
    (void)pthread_cond_destroy(&c->cond);
    (void)pthread_mutex_destroy(&c->mutex);
    arena_fini(&c->arena);
    return mem_free(c);
}
