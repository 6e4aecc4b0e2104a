// SPDX-License-Identifier: Apache-2.0
/*
 * Conditions from a verdict, as kstatus wants them: Ready and Synced always, Reconciling and
 * Stalled only while True, transition times that move only when the status does. Pure.
 */
#include "reconcile_priv.h"

#include <string.h>

static struct api_condition condition(const char *type, const char *status, const char *reason,
                                      struct str message, int64_t generation)
{
    return (struct api_condition){
        .type = str_from(type),
        .status = str_from(status),
        .reason = str_from(reason),
        .message = str_is_null(message) ? STR("") : message,
        .observed_generation = {true, generation},
    };
}

static void keep_transition(struct api_condition *now, const struct schema_list *before,
                            int64_t now_ms)
{
    const struct api_condition *old = api_condition_find(before, now->type.ptr);
    /* whole seconds, as they are written: what is read back must compare equal */
    now->last_transition_time = (struct schema_i64){true, now_ms / 1000 * 1000};
    if (old != NULL && str_eq(old->status, now->status) && old->last_transition_time.has)
        now->last_transition_time = old->last_transition_time;
}

struct schema_list conditions_from(const struct verdict *v, const struct schema_list *before,
                                   int64_t generation, int64_t now_ms, struct arena *a)
{
    struct api_condition *items = arena_new_array(a, struct api_condition, 4);
    size_t n = 0;
    items[n++] = condition(API_CONDITION_READY, v->ready, v->reason, v->message, generation);
    items[n++] = v->is_error ? condition(API_CONDITION_SYNCED, "False", API_REASON_RECONCILE_ERROR,
                                         v->message, generation)
                             : condition(API_CONDITION_SYNCED, "True", API_REASON_RECONCILE_SUCCESS,
                                         STR("the last pass did all it had to"), generation);
    if (v->is_reconciling)
        items[n++] =
            condition(API_CONDITION_RECONCILING, "True", v->reason, v->message, generation);
    if (v->is_stalled)
        items[n++] = condition(API_CONDITION_STALLED, "True", v->reason, v->message, generation);
    for (size_t i = 0; i < n; i++)
        keep_transition(&items[i], before, now_ms);
    return (struct schema_list){items, n};
}

struct schema_list conditions_paused(const struct schema_list *before, struct str message,
                                     int64_t generation, int64_t now_ms, struct arena *a)
{
    struct api_condition *items = arena_new_array(a, struct api_condition, before->count + 2);
    size_t n = 0;
    const struct api_condition *old = before->items;
    if (api_condition_find(before, API_CONDITION_READY) == NULL) {
        items[n] = condition(API_CONDITION_READY, "False", API_REASON_RECONCILE_PAUSED, message,
                             generation);
        keep_transition(&items[n++], before, now_ms);
    }
    for (size_t i = 0; i < before->count; i++) {
        if (!str_eq_cstr(old[i].type, API_CONDITION_SYNCED))
            items[n++] = old[i];
    }
    items[n] =
        condition(API_CONDITION_SYNCED, "False", API_REASON_RECONCILE_PAUSED, message, generation);
    keep_transition(&items[n++], before, now_ms);
    return (struct schema_list){items, n};
}

struct verdict verdict_invalid(const char *message)
{
    return (struct verdict){
        .ready = "False",
        .reason = API_REASON_INVALID_SPEC,
        .message = str_from(message),
        .is_stalled = true,
        .is_error = true,
    };
}

static bool is_transport(const struct err *e)
{
    static const char *const reasons[] = {"ConnectFailed", "Timeout", "TLSFailed", "ConnectionLost",
                                          "DNSFailed"};
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (strcmp(e->reason, reasons[i]) == 0)
            return true;
    }
    return false;
}

/* Without what is another one at each try (request id, number of attempts): the log has it, and a
 * status that says the same is not written again. */
static struct str stable_message(const struct err *e, struct arena *a)
{
    char text[ERR_MSG_MAX];
    memcpy(text, e->msg, sizeof text);
    char *id = strstr(text, " (request id ");
    if (id != NULL)
        *id = '\0';
    char *attempts = strstr(text, "after ");
    char *end = attempts != NULL ? strstr(attempts, " attempts: ") : NULL;
    if (end != NULL && strspn(attempts + 6, "0123456789") == (size_t)(end - attempts - 6))
        memmove(attempts, end + 11, strlen(end + 11) + 1);
    return arena_copy(a, str_from(text));
}

struct verdict verdict_from_error(const struct err *e, struct arena *a)
{
    struct verdict v = {.ready = "False", .is_error = true, .message = stable_message(e, a)};
    v.is_reconciling = true;
    switch (e->cls) {
    case ERR_DENIED:
        v.reason = API_REASON_ACCESS_DENIED;
        break;
    case ERR_CREDENTIALS:
        v.reason = API_REASON_CREDENTIALS_UNAVAILABLE;
        break;
    case ERR_THROTTLED:
        v.reason = API_REASON_THROTTLED;
        break;
    case ERR_QUOTA:
        v.reason = API_REASON_QUOTA_EXCEEDED;
        break;
    case ERR_INVALID:
        v.reason = API_REASON_INVALID_SPEC;
        v.is_reconciling = false;
        v.is_stalled = true;
        break;
    case ERR_RETRY:
        v.reason = is_transport(e) ? API_REASON_ENDPOINT_UNREACHABLE : API_REASON_AWS_ERROR;
        break;
    case ERR_NONE:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_GONE:
    case ERR_CANCELLED:
    case ERR_BUG:
        v.reason = API_REASON_AWS_ERROR;
        break;
    }
    return v;
}

bool verdict_is_news(const struct verdict *v, const struct schema_list *before)
{
    const struct api_condition *ready = api_condition_find(before, API_CONDITION_READY);
    return ready == NULL || !str_eq_cstr(ready->reason, v->reason) ||
           !str_eq(ready->message, v->message);
}
