// SPDX-License-Identifier: Apache-2.0
/*
 * The policies of a repository: who may use it, and when its images expire.
 */
#include "base/mem.h"
#include "control_priv.h"
#include "policy_priv.h"

static void write_head(struct emu_call *c, const struct emu_repository *r)
{
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_put_cstr(&c->w, "repositoryName", r->name);
}

/* ---- repository policy ---- */

static bool policy_answer(struct emu_call *c, const struct emu_repository *r)
{
    write_head(c, r);
    json_put_cstr(&c->w, "policyText", r->settings.policy);
    return true;
}

static bool change_policy(struct emu_call *c, struct emu_settings *s)
{
    struct buf pretty BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_POLICY_MAX * 64);

    if (!emu_policy_normalise(emu_in_str(c, "policyText"), "PolicyText", &pretty, &c->x))
        return false;
    mem_free(s->policy);
    s->policy = buf_take(&pretty);
    return true;
}

static bool set_policy(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    return r != NULL && emu_call_change(c, r, change_policy) && policy_answer(c, r);
}

static struct emu_repository *with_policy(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL || r->settings.policy != NULL)
        return r;
    (void)emu_fail(&c->x, EMU_REPOSITORY_POLICY_NOT_FOUND,
                   "Repository policy does not exist for the repository with name '%s' in the "
                   "registry with id '%s'",
                   r->name, c->emu->account);
    return NULL;
}

static bool get_policy(struct emu_call *c)
{
    const struct emu_repository *r = with_policy(c);

    return r != NULL && policy_answer(c, r);
}

static bool drop_policy(struct emu_call *c, struct emu_settings *s)
{
    (void)c;
    s->policy = mem_free(s->policy);
    return true;
}

static bool delete_policy(struct emu_call *c)
{
    struct emu_repository *r = with_policy(c);

    return r != NULL && policy_answer(c, r) && emu_call_change(c, r, drop_policy);
}

/* ---- lifecycle policy ---- */

static bool change_lifecycle(struct emu_call *c, struct emu_settings *s)
{
    struct str text = emu_in_str(c, "lifecyclePolicyText");

    if (!emu_lifecycle_check(text, "LifecyclePolicyText", &c->x))
        return false;
    mem_free(s->lifecycle);
    s->lifecycle = mem_dup(text.ptr, text.len);
    return true;
}

static bool put_lifecycle(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL || !emu_call_change(c, r, change_lifecycle))
        return false;
    write_head(c, r);
    json_put_cstr(&c->w, "lifecyclePolicyText", r->settings.lifecycle);
    return true;
}

static struct emu_repository *with_lifecycle(struct emu_call *c)
{
    struct emu_repository *r = emu_call_repository(c);

    if (r == NULL || r->settings.lifecycle != NULL)
        return r;
    (void)emu_fail(&c->x, EMU_LIFECYCLE_POLICY_NOT_FOUND,
                   "Lifecycle policy does not exist for the repository with name '%s' in the "
                   "registry with id '%s'",
                   r->name, c->emu->account);
    return NULL;
}

static void lifecycle_answer(struct emu_call *c, const struct emu_repository *r)
{
    write_head(c, r);
    json_put_cstr(&c->w, "lifecyclePolicyText", r->settings.lifecycle);
    /* policies are never evaluated here: the epoch */
    emu_put_time(c, "lastEvaluatedAt", r->lifecycle_evaluated_ms);
}

static bool get_lifecycle(struct emu_call *c)
{
    const struct emu_repository *r = with_lifecycle(c);

    if (r == NULL)
        return false;
    lifecycle_answer(c, r);
    return true;
}

static bool drop_lifecycle(struct emu_call *c, struct emu_settings *s)
{
    (void)c;
    s->lifecycle = mem_free(s->lifecycle);
    return true;
}

static bool delete_lifecycle(struct emu_call *c)
{
    struct emu_repository *r = with_lifecycle(c);

    if (r == NULL)
        return false;
    lifecycle_answer(c, r);
    return emu_call_change(c, r, drop_lifecycle);
}

const struct emu_operation emu_policy_operations[] = {
    {"SetRepositoryPolicy", set_policy},
    {"GetRepositoryPolicy", get_policy},
    {"DeleteRepositoryPolicy", delete_policy},
    {"PutLifecyclePolicy", put_lifecycle},
    {"GetLifecyclePolicy", get_lifecycle},
    {"DeleteLifecyclePolicy", delete_lifecycle},
    {NULL, NULL},
};
