// SPDX-License-Identifier: Apache-2.0
/*
 * When to rotate, pure.
 *
 *     signer ──────────────── 2/3 of its life ──► prepare: the next one joins bundle and caBundle
 *            live caBundle has shown it for min(10 s, leaf/4) ──► promote: it signs
 *                            one leaf lifetime after that ──► drop the old one
 */
#include "certs_priv.h"

int64_t leaf_renew_at_ms(int64_t not_after_ms, int64_t lifetime_ms)
{
    return not_after_ms - lifetime_ms / 3;
}

static int64_t promote_wait_ms(const struct rotation_facts *f)
{
    const int64_t quarter = f->leaf_lifetime_ms / 4;
    return quarter < PROMOTE_WAIT_MAX_MS ? quarter : PROMOTE_WAIT_MAX_MS;
}

static enum rotation_step wait_until(int64_t at_ms, enum rotation_step step,
                                     const struct rotation_facts *f, int64_t *ret_wait_ms)
{
    if (at_ms <= f->now_ms)
        return step;
    *ret_wait_ms = at_ms - f->now_ms;
    return ROTATION_NOTHING;
}

enum rotation_step rotation_decide(const struct rotation_facts *f, int64_t *ret_wait_ms)
{
    *ret_wait_ms = LOOK_AGAIN_MS;
    if (!f->has_signer || f->signer_not_after_ms <= f->now_ms)
        return ROTATION_CREATE;
    if (f->has_next) {
        if (f->next_live_for_ms < 0)
            return ROTATION_NOTHING; /* news of the configuration wake us */
        return wait_until(f->now_ms + promote_wait_ms(f) - f->next_live_for_ms, ROTATION_PROMOTE, f,
                          ret_wait_ms);
    }
    const int64_t prepare_at = f->signer_not_after_ms - f->ca_lifetime_ms / 3;
    if (prepare_at <= f->now_ms)
        return ROTATION_PREPARE;
    if (f->has_old) {
        int64_t wait_ms = LOOK_AGAIN_MS;
        const enum rotation_step step =
            wait_until(f->promoted_at_ms + f->leaf_lifetime_ms, ROTATION_DROP, f, &wait_ms);
        if (step != ROTATION_NOTHING)
            return step;
        *ret_wait_ms = wait_ms;
    }
    if (prepare_at - f->now_ms < *ret_wait_ms)
        *ret_wait_ms = prepare_at - f->now_ms;
    return ROTATION_NOTHING;
}
