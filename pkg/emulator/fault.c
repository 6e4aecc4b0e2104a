// SPDX-License-Identifier: Apache-2.0
/*
 * The fault rules in force: which of them a request falls under, and what it is told.
 */
#include "base/mem.h"
#include "base/thread.h"
#include "fault_impl_priv.h"
#include "fault_priv.h"
#include "json/write.h"
#include "limits_priv.h"
#include "store_priv.h"

#include <pthread.h>
#include <string.h>

struct emu_faults {
    const struct clock *clock;
    struct stopper stopper;
    pthread_mutex_t mutex;
    uint64_t next_id;
    size_t n;
    struct fault_rule *rules[EMU_FAULT_RULES_MAX];
};

/* ---- life, and the rules as such ---- */

struct emu_faults *emu_faults_new(const struct clock *clock)
{
    struct emu_faults *f = mem_alloc(sizeof(*f));

    f->clock = clock;
    f->next_id = 1;
    stopper_init(&f->stopper);
    pthread_mutex_init(&f->mutex, NULL);
    return f;
}

void emu_faults_stop(struct emu_faults *f)
{
    if (f != NULL)
        stopper_stop(&f->stopper);
}

struct emu_faults *emu_faults_free(struct emu_faults *f)
{
    if (f == NULL)
        return NULL;
    emu_faults_clear(f);
    pthread_mutex_destroy(&f->mutex);
    stopper_fini(&f->stopper);
    return mem_free(f);
}

bool emu_faults_add(struct emu_faults *f, struct str json, uint64_t *ret_id, struct err *e)
{
    struct fault_rule *rule = fault_rule_parse(json, e);

    *ret_id = 0;
    if (rule == NULL)
        return false;
    rule->filled_mono_ms = clock_mono_ms(f->clock);
    pthread_mutex_lock(&f->mutex);
    if (f->n < EMU_FAULT_RULES_MAX) {
        rule->id = f->next_id++;
        *ret_id = rule->id;
        f->rules[f->n++] = TAKE(rule);
    }
    pthread_mutex_unlock(&f->mutex);
    if (rule == NULL)
        return true;
    fault_rule_free(rule);
    return err_set(e, ERR_QUOTA, "Faults", "there are %d rules already: remove some",
                   EMU_FAULT_RULES_MAX);
}

bool emu_faults_remove(struct emu_faults *f, uint64_t id)
{
    struct fault_rule *rule = NULL;

    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->n && rule == NULL; i++) {
        if (f->rules[i]->id != id)
            continue;
        rule = f->rules[i];
        memmove(&f->rules[i], &f->rules[i + 1], (f->n - i - 1) * sizeof(f->rules[0]));
        f->n--;
    }
    pthread_mutex_unlock(&f->mutex);
    if (rule == NULL)
        return false;
    fault_rule_free(rule);
    return true;
}

void emu_faults_clear(struct emu_faults *f)
{
    pthread_mutex_lock(&f->mutex);
    while (f->n > 0)
        fault_rule_free(f->rules[--f->n]);
    pthread_mutex_unlock(&f->mutex);
}

void emu_faults_print(struct emu_faults *f, struct buf *out)
{
    struct json_writer w = json_writer_to(out);

    json_begin_array(&w);
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->n; i++) {
        const struct fault_rule *rule = f->rules[i];

        json_begin_object(&w);
        json_put_int(&w, "id", (int64_t)rule->id);
        json_put_int(&w, "seen", (int64_t)rule->seen);
        json_put_int(&w, "acted", (int64_t)rule->acted);
        json_put_raw(&w, "rule", rule->text);
        json_end(&w);
    }
    pthread_mutex_unlock(&f->mutex);
    json_end(&w);
}

void emu_faults_wait(struct emu_faults *f, int64_t ms)
{
    if (f != NULL && ms > 0)
        (void)stopper_wait_ms(&f->stopper, ms);
}

/* ---- does a rule act? ---- */

static bool matches(struct str pattern, struct str text)
{
    return str_is_null(pattern) || emu_filter_matches(pattern, text);
}

static bool is_one_of(struct str name, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (str_eq_cstr(name, names[i]))
            return true;
    return false;
}

static bool rule_matches(const struct fault_rule *rule, const struct emu_fault_subject *s)
{
    if (!matches(rule->api, s->api) || !matches(rule->operation, s->operation) ||
        !matches(rule->user_agent, s->user_agent) ||
        !matches(rule->access_key_id, s->access_key_id) || !matches(rule->name, s->name) ||
        !matches(rule->action, s->action) || !matches(rule->resource, s->resource))
        return false;
    if (rule->fault.effect == EMU_FAULT_STALE)
        return str_eq(s->api, STR("ecr")) && is_one_of(s->operation, fault_stale_operations);
    if (rule->fault.effect == EMU_FAULT_NORMALISE)
        return str_eq(s->api, STR("ecr")) && is_one_of(s->operation, fault_normalise_operations);
    return true;
}

/* SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same faults. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static bool is_its_turn(struct fault_rule *rule)
{
    int64_t seen = (int64_t)++rule->seen;
    int64_t n = seen - rule->after;

    if (n <= 0 || (rule->until > 0 && seen > rule->until) || (rule->nth > 0 && n != rule->nth) ||
        (rule->every > 0 && n % rule->every != 0) ||
        (rule->count > 0 && (int64_t)rule->acted >= rule->count))
        return false;
    return rule->probability >= 1.0 ||
           (double)(next_random(&rule->random) >> 11) * 0x1p-53 < rule->probability;
}

/* Takes a token; false where there is none. */
static bool take_token(struct fault_rule *rule, int64_t now_ms)
{
    double more = (double)(now_ms - rule->filled_mono_ms) * rule->per_second / 1000.0;

    rule->tokens = rule->tokens + more > rule->burst ? rule->burst : rule->tokens + more;
    rule->filled_mono_ms = now_ms;
    if (rule->tokens < 1.0)
        return false;
    rule->tokens -= 1.0;
    return true;
}

/* ---- what is said ---- */

static const struct {
    enum emu_fault_effect effect;
    const char *api;
    int status;
    const char *type;
    const char *message; /* of deny: see deny_message() */
} refusals[] = {
    {EMU_FAULT_THROTTLE, "ecr", 400, "ThrottlingException", "Rate exceeded"},
    {EMU_FAULT_THROTTLE, "sts", 400, "Throttling", "Rate exceeded"},
    {EMU_FAULT_THROTTLE, "v2", 429, "TOOMANYREQUESTS", "Rate exceeded"},
    {EMU_FAULT_FAIL, "ecr", 500, "InternalFailure", "The request processing has failed."},
    {EMU_FAULT_FAIL, "sts", 500, "InternalFailure", "The request processing has failed."},
    {EMU_FAULT_FAIL, "v2", 500, "UNKNOWN", "The request processing has failed."},
    {EMU_FAULT_DENY, "ecr", 400, "AccessDeniedException", NULL},
    {EMU_FAULT_DENY, "sts", 403, "AccessDenied", NULL},
    {EMU_FAULT_DENY, "v2", 403, "DENIED", NULL},
    {EMU_FAULT_QUOTA, "ecr", 400, "LimitExceededException",
     "The operation did not succeed because it would have exceeded a service limit for your "
     "account."},
    {EMU_FAULT_QUOTA, "sts", 400, "LimitExceeded", "A limit was exceeded."},
    {EMU_FAULT_QUOTA, "v2", 403, "DENIED",
     "The operation did not succeed because it would have exceeded a service limit for your "
     "account."},
};

static struct str deny_message(const struct emu_fault_subject *s, struct arena *arena)
{
    return arena_printf(arena,
                        "User: %.*s is not authorized to perform: %.*s on resource: %.*s because "
                        "no identity-based policy allows the %.*s action",
                        STR_ARG(s->caller), STR_ARG(s->action), STR_ARG(s->resource),
                        STR_ARG(s->action));
}

static struct emu_fault fault_for(const struct fault_rule *rule, const struct emu_fault_subject *s,
                                  struct arena *arena)
{
    struct emu_fault fault = rule->fault;

    fault.rule = rule->id;
    fault.type = arena_copy(arena, fault.type);
    fault.message = arena_copy(arena, fault.message);
    fault.members = arena_copy(arena, fault.members);
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        if (refusals[i].effect != fault.effect || !str_eq_cstr(s->api, refusals[i].api))
            continue;
        if (fault.status == 0)
            fault.status = refusals[i].status;
        if (str_is_null(fault.type))
            fault.type = str_from(refusals[i].type);
        if (str_is_null(fault.message))
            fault.message =
                refusals[i].message ? str_from(refusals[i].message) : deny_message(s, arena);
    }
    return fault;
}

struct emu_fault emu_faults_choose(struct emu_faults *f, const struct emu_fault_subject *subject,
                                   struct arena *arena)
{
    struct emu_fault fault = {0};

    if (f == NULL)
        return fault;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->n && fault.rule == 0; i++) {
        struct fault_rule *rule = f->rules[i];

        if (!rule_matches(rule, subject) || !is_its_turn(rule))
            continue;
        if (rule->fault.effect == EMU_FAULT_THROTTLE && take_token(rule, clock_mono_ms(f->clock)))
            continue;
        rule->acted++;
        fault = fault_for(rule, subject, arena);
    }
    pthread_mutex_unlock(&f->mutex);
    return fault;
}
