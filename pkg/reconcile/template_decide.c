// SPDX-License-Identifier: Apache-2.0
/*
 * What to do with a RepositoryCreationTemplate: a pure function of what is known. The rules are
 * those of docs/architecture.md, "Ownership, adoption, deletion".
 */
#include "reconcile_priv.h"

static bool wants_delete(const struct template_facts *f)
{
    switch (f->deletion) {
    case DELETION_DELETE:
        return true;
    case DELETION_RETAIN:
        return false;
    case DELETION_ABSENT:
        break;
    }
    return !f->is_adopted;
}

bool template_wants_finalizer(const struct template_facts *f)
{
    return f->has_ownership && !f->is_read_only && wants_delete(f);
}

/* Is what AWS has the template that the object created or adopted? With Create about to be sent
 * when we last looked, one that is not older than that decision is. */
static bool is_owned(const struct template_facts *f)
{
    if (!f->has_ownership || !f->is_in_aws)
        return false;
    if (f->owned_created_at != 0)
        return f->aws_created_at == f->owned_created_at;
    if (f->aws_created_at >= f->owned_since)
        return true;
    /* Older by our clock: made by us if AWS's clock is behind, or by somebody else just before, and
     * our Create, which failed, never reached it. Ours would be as declared. */
    return f->aws_created_at >= f->owned_since - CREATED_BEFORE_TOLERANCE_MS && !f->is_different;
}

static enum template_action decide_deleting(const struct template_facts *f)
{
    if (f->has_lost_claim || f->is_read_only || !f->has_ownership || !wants_delete(f))
        return TEMPLATE_RELEASE;
    if (f->has_heir) /* of one that is gone nothing can be taken over: its heir asks adoption */
        return f->is_gone ? TEMPLATE_RELEASE : TEMPLATE_HAND_OVER;
    if (f->gate != GATE_OPEN)
        return TEMPLATE_WAIT;
    return is_owned(f) ? TEMPLATE_DELETE : TEMPLATE_RELEASE;
}

/* AWS has it and the object does not own it. */
static enum template_action decide_adoption(const struct template_facts *f)
{
    if (f->is_read_only)
        return f->is_different ? TEMPLATE_REPORT_DRIFT : TEMPLATE_IN_SYNC;
    switch (f->adoption) {
    case API_ADOPT_NEVER:
        return TEMPLATE_REFUSE;
    case API_ADOPT_ALWAYS:
        return TEMPLATE_ADOPT;
    case API_ADOPT_IF_EQUAL:
        break;
    }
    return f->is_different ? TEMPLATE_REFUSE : TEMPLATE_ADOPT;
}

static enum template_action decide_live(const struct template_facts *f)
{
    if (!f->is_in_aws)
        return f->is_read_only ? TEMPLATE_REPORT_DRIFT : TEMPLATE_CREATE;
    bool is_pending = f->has_ownership && f->owned_created_at == 0;
    if (!f->has_ownership || (is_pending && !is_owned(f)))
        return decide_adoption(f);
    if (is_pending)
        return TEMPLATE_COMPLETE;
    if (!f->is_different)
        return TEMPLATE_IN_SYNC;
    if (f->is_read_only)
        return TEMPLATE_REPORT_DRIFT;
    return f->is_not_converging ? TEMPLATE_NOT_CONVERGING : TEMPLATE_UPDATE;
}

enum template_action template_decide(const struct template_facts *f)
{
    if (f->is_deleting)
        return decide_deleting(f);
    if (f->gate == GATE_MISSING || f->gate == GATE_NOT_READY || f->gate == GATE_FRESH ||
        !f->has_read)
        return TEMPLATE_WAIT;
    if (f->has_lost_claim)
        return f->is_heir && !f->is_read_only ? TEMPLATE_INHERIT : TEMPLATE_CONFLICT;
    enum template_action action = decide_live(f);
    /* work for AWS waits while the registry fails; what needs none goes on */
    if (f->gate != GATE_OPEN && (action == TEMPLATE_CREATE || action == TEMPLATE_UPDATE ||
                                 action == TEMPLATE_COMPLETE || action == TEMPLATE_ADOPT))
        return TEMPLATE_WAIT;
    return action;
}

static bool beats(const struct claimant *a, const struct claimant *b)
{
    if (a->has_ownership != b->has_ownership)
        return a->has_ownership;
    if (a->is_deleting != b->is_deleting)
        return b->is_deleting;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;
    return str_cmp(a->name, b->name) < 0;
}

size_t claimants_winner(const struct claimant *claimants, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (beats(&claimants[i], &claimants[best]))
            best = i;
    }
    return best;
}
