// SPDX-License-Identifier: Apache-2.0
/*
 * Who may have the Lease: pure functions of what was seen, since when, and the time on our clock.
 */
#include "lease_priv.h"

static bool record_eq(const struct lease_record *a, const struct lease_record *b)
{
    return str_eq(a->holder, b->holder) && str_eq(a->acquire_time, b->acquire_time) &&
           str_eq(a->renew_time, b->renew_time) && a->duration_s == b->duration_s &&
           a->transitions == b->transitions;
}

void kube_lease_observe(struct lease_observation *o, const struct lease_record *record,
                        int64_t now_ms)
{
    bool is_absent = record == NULL;
    bool is_changed =
        !o->is_known || o->is_absent != is_absent || (record && !record_eq(&o->record, record));
    o->is_known = true;
    o->is_absent = is_absent;
    if (record)
        o->record = *record; /* also where it is equal: the views move to the newer object */
    if (is_changed)
        o->changed_ms = now_ms;
}

static int64_t expires_ms(const struct lease_observation *o)
{
    return o->changed_ms + o->record.duration_s * 1000;
}

enum lease_action kube_lease_decide(const struct lease_observation *o, struct str identity,
                                    int64_t now_ms, int64_t *ret_until_ms)
{
    bool is_ours = str_eq(o->record.holder, identity);
    bool is_held = !str_is_empty(o->record.holder) && expires_ms(o) > now_ms;
    *ret_until_ms = now_ms;
    if (is_held && !is_ours) {
        *ret_until_ms = expires_ms(o);
        return LEASE_WAIT;
    }
    if (o->is_absent)
        return LEASE_CREATE;
    return is_ours ? LEASE_RENEW : LEASE_ACQUIRE;
}

struct lease_record kube_lease_next(const struct lease_observation *o, enum lease_action action,
                                    struct str identity, struct str now)
{
    struct lease_record next = {.holder = identity,
                                .acquire_time = now,
                                .renew_time = now,
                                .duration_s = KUBE_LEASE_DURATION_MS / 1000};
    if (action == LEASE_RENEW && !str_is_empty(o->record.acquire_time))
        next.acquire_time = o->record.acquire_time;
    if (action == LEASE_RENEW)
        next.transitions = o->record.transitions;
    if (action == LEASE_ACQUIRE) /* the field is an int32 */
        next.transitions =
            o->record.transitions < INT32_MAX ? o->record.transitions + 1 : INT32_MAX;
    return next;
}

struct lease_record kube_lease_given_back(const struct lease_record *record, struct str now)
{
    /* the server refuses a duration of 0 */
    return (struct lease_record){.holder = STR(""),
                                 .acquire_time = now,
                                 .renew_time = now,
                                 .duration_s = 1,
                                 .transitions = record->transitions};
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A renewal every 2 s from start to start; when they fail and time runs out, sooner, so that the
 * last attempts are close to the deadline. */
static int64_t leader_pause_ms(const struct lease_pause *p)
{
    int64_t pause_ms = p->started_ms + KUBE_LEASE_RETRY_MS - p->now_ms;
    if (p->has_failed)
        pause_ms = min_ms(pause_ms, max_ms(p->left_ms / 2, LEASE_LEADER_WAIT_MIN_MS));
    return max_ms(min_ms(pause_ms, p->left_ms), 0);
}

int64_t kube_lease_pause_ms(const struct lease_pause *p)
{
    if (p->left_ms > 0)
        return leader_pause_ms(p);
    int64_t jitter_ms = (int64_t)KUBE_LEASE_RETRY_MS * LEASE_JITTER_PERCENT / 100;
    int64_t pause_ms = KUBE_LEASE_RETRY_MS + jitter_ms * (int64_t)(p->entropy % 1024) / 1024;
    if (p->until_ms > p->now_ms) /* may be taken before that: be there */
        pause_ms = min_ms(pause_ms, p->until_ms - p->now_ms);
    return max_ms(pause_ms, min_ms(p->retry_after_ms, LEASE_RETRY_AFTER_MAX_MS));
}

/* Half of what is left, so that a call that hangs leaves time for another. */
int64_t kube_lease_call_ms(int64_t left_ms)
{
    if (left_ms <= 0)
        return KUBE_LEASE_CALL_MS;
    int64_t half_ms = max_ms(left_ms / 2, LEASE_LEADER_CALL_MIN_MS);
    return min_ms(min_ms(half_ms, left_ms), KUBE_LEASE_CALL_MS);
}
