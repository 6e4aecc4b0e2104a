// SPDX-License-Identifier: Apache-2.0
/*
 * Delays between attempts; see backoff_priv.h.
 */
#include "backoff_priv.h"

struct backoff kube_backoff_new(int64_t min_ms)
{
    return (struct backoff){.min_ms = min_ms, .next_ms = min_ms};
}

int64_t kube_backoff_next_ms(struct backoff *b, int64_t now_mono_ms, uint32_t entropy)
{
    if (now_mono_ms - b->last_mono_ms > BACKOFF_RESET_MS)
        b->next_ms = b->min_ms;
    b->last_mono_ms = now_mono_ms;
    int64_t base_ms = b->next_ms;
    int64_t delay_ms = base_ms + base_ms * (int64_t)(entropy % 1024) / 1024;
    b->next_ms = base_ms * 2 < BACKOFF_MAX_MS ? base_ms * 2 : BACKOFF_MAX_MS;
    return delay_ms < BACKOFF_MAX_MS ? delay_ms : BACKOFF_MAX_MS;
}
