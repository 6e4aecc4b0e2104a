// SPDX-License-Identifier: Apache-2.0
/*
 * caBundle of the live ValidatingWebhookConfiguration: read, and patched where it is not what is
 * wanted.
 */
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/object.h"

#include <stdio.h>

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
    struct str lives[WEBHOOKS_MAX];
    size_t count;
    struct buf wanted; /* for the last of them */
};

/* Most often all webhooks have the same: it is composed once. */
static struct str wanted_for(struct patching *p, struct str live, size_t index)
{
    const struct certs_options *o = &p->c->o;
    if (index > 0 && str_eq(live, p->lives[index - 1]))
        return buf_str(&p->wanted);
    buf_reset(&p->wanted);
    trust_compose(&p->c->trust, p->ours, live, o->leaf_lifetime_ms, clock_unix_ms(o->clock),
                  clock_mono_ms(o->clock), &p->wanted);
    return buf_str(&p->wanted);
}

/* The name is tested, so that the index is that webhook's. */
static void patch_one(struct patching *p, const struct json *webhook, struct str live, size_t index)
{
    char path[64];
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 2);
    const struct str wanted = wanted_for(p, live, index);
    if (trust_is_same(wanted, live))
        return;
    p->changes++;
    (void)snprintf(path, sizeof path, "/webhooks/%zu/name", index);
    put_operation(&p->w, "test", path, json_str_or_null(json_get(webhook, "name")));
    (void)snprintf(path, sizeof path, "/webhooks/%zu/clientConfig/caBundle", index);
    crypto_base64_encode(wanted, &text);
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
    switch (kube_patch(c->o.kube, &patch, NULL, e)) {
    case KUBE_OK:
        log_info(c->o.log, "caBundle set", KV_CSTR("configuration", c->o.webhook));
        return true;
    case KUBE_FAILED:
        return err_wrap(e, "caBundle of ValidatingWebhookConfiguration \"%s\"", c->o.webhook);
    default: /* changed or gone meanwhile: news come */
        return true;
    }
}

/* Nobody has to learn of ours. */
static void nobody_calls(struct certs *c, struct str ours)
{
    trust_begin(&c->trust);
    trust_end(&c->trust, &ours, 1, clock_mono_ms(c->o.clock));
}

static bool keep_live(struct certs *c, const struct kube_object *live, struct str ours,
                      struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(WEBHOOKS_MAX * BUNDLE_TEXT_MAX);
    struct patching p = {
        .c = c,
        .ours = ours,
        .w = json_writer_to(&body),
        .wanted = BUF_INIT(BUNDLE_TEXT_MAX),
    };
    json_begin_array(&p.w);
    put_operation(&p.w, "test", "/metadata/resourceVersion", kube_object_resource_version(live));
    const struct json *webhooks = json_get(kube_object_json(live), "webhooks");
    trust_begin(&c->trust);
    for (const struct json *it = json_first(webhooks); it != NULL && p.count < WEBHOOKS_MAX;
         it = json_next(it), p.count++) {
        p.lives[p.count] = live_bundle(it, &a);
        patch_one(&p, it, p.lives[p.count], p.count);
    }
    trust_end(&c->trust, p.lives, p.count, clock_mono_ms(c->o.clock));
    buf_fini(&p.wanted);
    json_end(&p.w);
    if (p.changes == 0)
        return true;
    return buf_ok(&body) ? send_patch(c, buf_str(&body), e)
                         : err_set(e, ERR_INVALID, "TooLarge", "caBundle is too large");
}

bool certs_keep_bundle(struct certs *c, struct str bundle, struct err *e)
{
    struct buf ours BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    trust_normalise(bundle, clock_unix_ms(c->o.clock), &ours);
    if (ours.len == 0)
        return err_set(e, ERR_INVALID, "InvalidCertificate",
                       "there is no valid certificate to put into caBundle, which stays as it is");
    if (c->webhook == NULL) {
        nobody_calls(c, buf_str(&ours));
        return true;
    }
    if (!kube_informer_has_synced(c->webhook))
        return err_set(e, ERR_RETRY, "NotRead",
                       "ValidatingWebhookConfiguration \"%s\" was not read yet", c->o.webhook);
    struct kube_object *live BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->webhook, STR_NULL, str_from(c->o.webhook));
    if (live != NULL && json_first(json_get(kube_object_json(live), "webhooks")) != NULL)
        return keep_live(c, live, buf_str(&ours), e);
    nobody_calls(c, buf_str(&ours));
    return true;
}
