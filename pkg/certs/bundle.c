// SPDX-License-Identifier: Apache-2.0
/*
 * caBundle of the ValidatingWebhookConfiguration: ours, and for a while what others put there, so
 * that replicas of another certificate mode are trusted while the mode is changed. What is not a
 * certificate, has expired, or was a stranger for one leaf lifetime goes.
 */
#include "base/mem.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/object.h"

#include <stdio.h>
#include <string.h>

enum { WEBHOOKS_MAX = 32 };

/* --- composing ----------------------------------------------------------------------------------
 */

struct composing {
    struct trust *trust;
    struct str ours;
    struct buf *out;
    int64_t keep_ms;
    int64_t now_unix_ms;
    int64_t now_mono_ms;
    size_t count;
};

static void append(struct composing *c, struct str pem)
{
    if (c->count++ < CRYPTO_BUNDLE_MAX)
        buf_append(c->out, pem);
}

static void add_ours(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct composing *c = arg;
    if (info->not_after_unix_ms > c->now_unix_ms)
        append(c, pem);
}

static int64_t first_seen(struct composing *c, const char *fingerprint)
{
    struct stranger *known = map_get(c->trust->strangers, str_from(fingerprint));
    if (known == NULL) {
        known = mem_alloc(sizeof *known);
        known->first_mono_ms = c->now_mono_ms;
        (void)map_put(c->trust->strangers, str_from(fingerprint), known);
    }
    known->round = c->trust->round;
    return known->first_mono_ms;
}

static void add_stranger(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct composing *c = arg;
    if (info->not_after_unix_ms <= c->now_unix_ms || crypto_bundle_has(c->ours, pem))
        return;
    if (c->now_mono_ms - first_seen(c, info->fingerprint) < c->keep_ms)
        append(c, pem);
}

/* Those that left the bundle are strangers anew when they come back. */
static void forget_absent(struct trust *t)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(t->strangers); it != NULL; it = next) {
        next = map_next(it);
        if (((const struct stranger *)map_value(it))->round != t->round)
            mem_free(map_remove(t->strangers, map_key(it)));
    }
}

void trust_compose(struct trust *t, struct str ours, struct str live, int64_t keep_ms,
                   int64_t now_unix_ms, int64_t now_mono_ms, struct buf *out)
{
    struct composing c = {t, ours, out, keep_ms, now_unix_ms, now_mono_ms, 0};
    t->round++;
    crypto_bundle_each(ours, add_ours, &c);
    crypto_bundle_each(live, add_stranger, &c);
    forget_absent(t);
}

struct comparing {
    struct str other;
    size_t count;
    bool is_subset;
};

static void compare(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct comparing *c = arg;
    (void)info;
    c->count++;
    c->is_subset = c->is_subset && crypto_bundle_has(c->other, pem);
}

/* The same certificates, in any order. */
bool trust_is_same(struct str a, struct str b)
{
    struct comparing in_b = {b, 0, true};
    struct comparing in_a = {a, 0, true};
    crypto_bundle_each(a, compare, &in_b);
    crypto_bundle_each(b, compare, &in_a);
    return in_b.is_subset && in_a.is_subset && in_a.count == in_b.count;
}

/* --- the live configuration ---------------------------------------------------------------------
 */

static const struct kube_resource configurations = {
    .group = "admissionregistration.k8s.io",
    .version = "v1",
    .plural = "validatingwebhookconfigurations",
    .kind = "ValidatingWebhookConfiguration",
};

const struct kube_resource *certs_configurations(void)
{
    return &configurations;
}

/* The caBundle of one webhook, decoded; "" where it has none. */
static struct str live_bundle(const struct json *webhook, struct arena *a)
{
    const struct json *config = json_get(webhook, "clientConfig");
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    if (!crypto_base64_decode(json_str_or_null(json_get(config, "caBundle")), &out))
        return STR("");
    return arena_copy(a, buf_str(&out));
}

static void put_operation(struct json_writer *w, const char *op, const char *path, struct str value)
{
    json_begin_object(w);
    json_put_cstr(w, "op", op);
    json_put_cstr(w, "path", path);
    json_put_str(w, "value", value);
    json_end(w);
}

struct patching {
    struct certs *c;
    struct str ours;
    struct json_writer w;
    size_t changes;
    struct arena *arena;
};

/* The name is tested, so that the index is that webhook's. */
static void patch_one(struct patching *p, const struct json *webhook, size_t index)
{
    char path[64];
    struct buf wanted BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 2);
    const struct str live = live_bundle(webhook, p->arena);
    trust_compose(&p->c->trust, p->ours, live, p->c->o.leaf_lifetime_ms,
                  clock_unix_ms(p->c->o.clock), clock_mono_ms(p->c->o.clock), &wanted);
    if (trust_is_same(buf_str(&wanted), live))
        return;
    p->changes++;
    (void)snprintf(path, sizeof path, "/webhooks/%zu/name", index);
    put_operation(&p->w, "test", path, json_str_or_null(json_get(webhook, "name")));
    (void)snprintf(path, sizeof path, "/webhooks/%zu/clientConfig/caBundle", index);
    crypto_base64_encode(buf_str(&wanted), &text);
    put_operation(&p->w, "add", path, buf_str(&text));
}

static bool send_patch(struct certs *c, struct str body, struct err *e)
{
    const struct kube_patch patch = {
        .resource = &configurations,
        .name = c->o.webhook,
        .type = KUBE_PATCH_JSON,
        .field_manager = "berth-operator-certs",
        .body = body,
    };
    struct kube_object *now BERTH_CLEANUP(kube_object_unrefp) = NULL;
    switch (kube_patch(c->o.kube, &patch, &now, e)) {
    case KUBE_OK:
        log_info(c->o.log, "caBundle set", KV_CSTR("configuration", c->o.webhook));
        return true;
    case KUBE_FAILED:
        return err_wrap(e, "caBundle of ValidatingWebhookConfiguration \"%s\"", c->o.webhook);
    default: /* changed or gone meanwhile: news come */
        return true;
    }
}

bool certs_keep_bundle(struct certs *c, struct str ours, struct arena *a, struct str *ret_live,
                       struct err *e)
{
    if (ret_live != NULL)
        *ret_live = STR_NULL;
    if (c->webhook == NULL)
        return true;
    struct kube_object *live BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->webhook, STR_NULL, str_from(c->o.webhook));
    if (live == NULL)
        return true;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(WEBHOOKS_MAX * BUNDLE_TEXT_MAX);
    struct patching p = {.c = c, .ours = ours, .w = json_writer_to(&body), .arena = a};
    json_begin_array(&p.w);
    put_operation(&p.w, "test", "/metadata/resourceVersion", kube_object_resource_version(live));
    size_t index = 0;
    const struct json *webhooks = json_get(kube_object_json(live), "webhooks");
    for (const struct json *it = json_first(webhooks); it != NULL && index < WEBHOOKS_MAX;
         it = json_next(it), index++) {
        if (index == 0 && ret_live != NULL)
            *ret_live = live_bundle(it, a);
        patch_one(&p, it, index);
    }
    json_end(&p.w);
    if (p.changes == 0)
        return true;
    return buf_ok(&body) ? send_patch(c, buf_str(&body), e)
                         : err_set(e, ERR_INVALID, "TooLarge", "caBundle is too large");
}
