// SPDX-License-Identifier: Apache-2.0
/*
 * The time to Ready; see readiness_priv.h.
 */
#include "readiness_priv.h"

#include <string.h>

/* creationTimestamp is cut to seconds: the object was made in the second that follows it, and not
 * after it was first seen. */
static int64_t created_ms(const struct readiness_sight *sight, int64_t now_ms)
{
    int64_t latest = sight->created_ms + 999;
    return latest < now_ms ? latest : now_ms;
}

static void begin(struct readiness *r, const struct readiness_sight *sight, int64_t now_ms)
{
    *r = (struct readiness){.generation = sight->generation};
    struct str uid = str_cut_utf8(sight->uid, READINESS_UID_MAX - 1);
    if (uid.len > 0)
        memcpy(r->uid, uid.ptr, uid.len);
    r->since_ms = created_ms(sight, now_ms);
    r->is_done = sight->generation != 1 || sight->is_judged;
}

int64_t readiness_see(struct readiness *r, const struct readiness_sight *sight, int64_t now_ms)
{
    if (!str_eq_cstr(sight->uid, r->uid)) {
        begin(r, sight, now_ms);
    } else if (sight->generation != r->generation) {
        r->generation = sight->generation;
        r->since_ms = now_ms;
        r->is_done = false;
    }
    if (sight->is_held)
        r->is_done = true;
    if (r->is_done || !sight->is_ready)
        return -1;
    r->is_done = true;
    return now_ms > r->since_ms ? now_ms - r->since_ms : 0;
}
