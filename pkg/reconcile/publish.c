// SPDX-License-Identifier: Apache-2.0
/*
 * What the admission webhook is to know, published into the directory on every replica, whether it
 * leads or not: each RegistrySettings after its pass, each template as soon as the informer has it.
 */
#include "base/mem.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "publish_priv.h"

enum { SPEC_TEXT_MAX = 512 * 1024 };

static enum directory_state state_of(const struct settings_pass *s, enum gate gate)
{
    if (gate == GATE_NOT_READY || gate == GATE_MISSING || s->registry == NULL)
        return DIRECTORY_CLOSED;
    /* what was read as a follower, or before AWS went away, is still good enough to look up */
    return s->state.has_read && s->state.has_repositories ? DIRECTORY_OPEN : DIRECTORY_UNREAD;
}

static struct str account_of(const struct settings_pass *s)
{
    if (!str_is_empty(s->before.registry_id))
        return s->before.registry_id;
    if (!str_is_empty(s->spec.account_id))
        return s->spec.account_id;
    return s->state.registry_id[0] != '\0' ? str_from(s->state.registry_id) : STR_NULL;
}

void reconcile_publish_registry(struct settings_pass *s, enum gate gate, struct str message)
{
    struct directory *directory = s->p->c->o.directory;
    if (directory == NULL)
        return;
    bool is_deleting = kube_object_is_deleting(s->p->object);
    const struct directory_registry entry = {
        .name = s->p->name,
        .state = is_deleting ? DIRECTORY_CLOSED : state_of(s, gate),
        .message = is_deleting ? STR("it is being deleted") : message,
        .is_read_only = pass_is_read_only(s->p),
        .registry = s->registry,
        .account_id = account_of(s),
        .region = s->spec.region,
        .hosts = s->spec.registry_hosts,
        .created_at_ms = kube_object_created_unix_ms(s->p->object),
        .admission = s->spec.admission,
    };
    directory_put(directory, &entry);
}

void reconcile_unpublish_registry(struct controller *c, struct str name)
{
    if (c->o.directory != NULL)
        directory_remove(c->o.directory, name);
}

/* Does the object own its prefix, and is it live and valid? */
static bool is_overlay(const struct kube_object *o, struct arena *a, struct api_template_spec *spec)
{
    struct err e = ERR_INIT;
    const struct json *object = kube_object_json(o);
    return object != NULL && !kube_object_is_deleting(o) &&
           json_is_object(json_path(object, "status.ownership")) &&
           api_template_decode(json_get(object, "spec"), a, spec, &e);
}

void reconcile_publish_template(struct controller *c, struct str name, const struct kube_object *o)
{
    if (c->o.directory == NULL)
        return;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct api_template_spec spec;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(SPEC_TEXT_MAX);
    if (o != NULL && is_overlay(o, &a, &spec)) {
        json_print(json_get(kube_object_json(o), "spec"), &text);
        const struct directory_template t = {
            .object = name,
            .registry = api_template_registry(&spec),
            .prefix = spec.prefix,
            .applied_for = api_template_applied_for(&spec),
            .is_held = reconcile_has_flag(o, API_ANNOTATION_PAUSED) ||
                       reconcile_has_flag(o, API_ANNOTATION_READ_ONLY),
            .spec = buf_str(&text),
        };
        if (buf_ok(&text)) {
            directory_template_put(c->o.directory, &t);
            return;
        }
    }
    directory_template_remove(c->o.directory, name);
}
