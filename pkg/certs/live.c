// SPDX-License-Identifier: Apache-2.0
/*
 * The live ValidatingWebhookConfiguration, for who wants to know what it asks about: it is watched
 * here for its caBundle.
 */
#include "certs_priv.h"
#include "kube/object.h"

bool certs_look_at_live(struct certs *c, void (*look)(void *arg, const struct json *live),
                        void *arg)
{
    if (c->webhook == NULL || !kube_informer_has_synced(c->webhook))
        return false;
    struct kube_object *live BERTH_CLEANUP(kube_object_unrefp) =
        kube_informer_get(c->webhook, STR_NULL, str_from(c->o.webhook));
    if (live == NULL)
        return false;
    look(arg, kube_object_json(live));
    return true;
}
