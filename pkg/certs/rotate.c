// SPDX-License-Identifier: Apache-2.0
/*
 * When to rotate, pure.
 *
 *     signer ──────────────── 2/3 of its life ──► prepare: the next one joins bundle and caBundle
 *            live caBundle has shown it for min(10 s, leaf/4) ──► promote: it signs
 *                            one leaf lifetime after that ──► drop the old one
 *
 * What somebody did to the Secret is mended with as little harm as there can be: a Secret without a
 * signer is written anew from memory, so that what is served stays trusted; an expired signer is
 * followed by the next one, which may be trusted already; only then a new one is made.
 */
#include "certs_priv.h"

int64_t leaf_renew_at_ms(int64_t not_after_ms, int64_t lifetime_ms)
{
    return not_after_ms - lifetime_ms / 3;
}

int64_t trust_wait_ms(int64_t leaf_lifetime_ms)
{
    const int64_t quarter = leaf_lifetime_ms / 4;
    return quarter < TRUST_WAIT_MAX_MS ? quarter : TRUST_WAIT_MAX_MS;
}

static enum rotation_step wait_until(int64_t at_ms, enum rotation_step step,
                                     const struct rotation_facts *f, int64_t *ret_wait_ms)
{
    if (at_ms <= f->now_ms)
        return step;
    if (at_ms - f->now_ms < *ret_wait_ms)
        *ret_wait_ms = at_ms - f->now_ms;
    return ROTATION_NOTHING;
}

static enum rotation_step replace(const struct rotation_facts *f)
{
    if (f->memory_not_after_ms > f->now_ms)
        return ROTATION_RESTORE;
    return f->has_next && f->next_not_after_ms > f->now_ms ? ROTATION_PROMOTE : ROTATION_CREATE;
}

enum rotation_step rotation_decide(const struct rotation_facts *f, int64_t *ret_wait_ms)
{
    enum rotation_step step = ROTATION_NOTHING;
    *ret_wait_ms = LOOK_AGAIN_MS;
    if (!f->has_signer || f->signer_not_after_ms <= f->now_ms)
        return replace(f);
    if (f->has_next && f->next_not_after_ms > f->now_ms) {
        if (f->next_live_for_ms < 0)
            return ROTATION_NOTHING; /* news of the configuration wake us */
        return wait_until(f->now_ms + trust_wait_ms(f->leaf_lifetime_ms) - f->next_live_for_ms,
                          ROTATION_PROMOTE, f, ret_wait_ms);
    }
    if (f->has_old)
        step = wait_until(f->promoted_at_ms + f->leaf_lifetime_ms, ROTATION_DROP, f, ret_wait_ms);
    if (step == ROTATION_NOTHING)
        step = wait_until(f->signer_not_after_ms - f->ca_lifetime_ms / 3, ROTATION_PREPARE, f,
                          ret_wait_ms);
    return step;
}

bool leaf_may_change(const struct leaf_facts *f, int64_t *ret_wait_ms)
{
    const int64_t wait_ms = trust_wait_ms(f->leaf_lifetime_ms);
    if (!f->is_valid || !f->is_trusted || f->other_live_for_ms >= wait_ms)
        return true;
    const int64_t left_ms = f->other_live_for_ms < 0 ? wait_ms : wait_ms - f->other_live_for_ms;
    if (left_ms < *ret_wait_ms)
        *ret_wait_ms = left_ms;
    return false;
}
