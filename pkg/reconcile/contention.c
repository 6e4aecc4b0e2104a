// SPDX-License-Identifier: Apache-2.0
/*
 * Somebody else who undoes what we mend: another operator, a pipeline, a person with a script. Two
 * that correct each other at every look would go on for ever, at AWS's cost and without anybody
 * noticing. So mends that are undone are repeated at intervals that double, and from the third on
 * the condition says that there are two. Pure.
 */
#include "reconcile_priv.h"

/* Between two mends: the drift interval, doubling with each that was undone, up to an hour. */
static int64_t interval_ms(const struct contention *c, int64_t drift_interval_ms)
{
    int64_t interval = drift_interval_ms;
    for (int i = 1; i < c->undone && interval < CONTENTION_MAX_MS; i++)
        interval *= 2;
    return interval < CONTENTION_MAX_MS ? interval : CONTENTION_MAX_MS;
}

int64_t contention_wait_ms(struct contention *c, int64_t now_ms, int64_t drift_interval_ms)
{
    if (!c->has_mended)
        return 0;
    if (!c->is_undone) {
        /* what held for long was not undone by a rival, it just drifted again */
        bool has_held = now_ms - c->mended_at_ms > 3 * interval_ms(c, drift_interval_ms);
        c->undone = has_held ? 0 : c->undone + 1;
        c->is_undone = true;
    }
    int64_t left = c->mended_at_ms + interval_ms(c, drift_interval_ms) - now_ms;
    return left > 0 ? left : 0;
}

void contention_mended(struct contention *c, int64_t now_ms)
{
    c->has_mended = true;
    c->is_undone = false;
    c->mended_at_ms = now_ms;
}

bool contention_is_told(struct contention *c, int64_t now_ms, int64_t drift_interval_ms)
{
    if (c->undone < CONTENTION_TOLD_FROM)
        return false;
    /* it holds: peace again */
    if (!c->is_undone && now_ms - c->mended_at_ms > 2 * interval_ms(c, drift_interval_ms)) {
        *c = (struct contention){0};
        return false;
    }
    return true;
}
