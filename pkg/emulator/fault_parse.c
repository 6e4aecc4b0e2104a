// SPDX-License-Identifier: Apache-2.0
/*
 * Reading a fault rule: strictly, because a rule with a misspelt member would silently test
 * something else.
 */
#include "base/mem.h"
#include "fault_impl_priv.h"
#include "json/json.h"
#include "limits_priv.h"
#include "store_priv.h"

enum { NUMBER_MAX = 1000000000 };

struct parse {
    struct fault_rule *rule;
    struct err *e;
};

const char *const fault_stale_operations[] = {"GetAccountSetting",
                                              "DescribeRepositoryCreationTemplates",
                                              "DescribeRepositories",
                                              "GetRepositoryPolicy",
                                              "GetLifecyclePolicy",
                                              "ListTagsForResource",
                                              NULL};
const char *const fault_normalise_operations[] = {"CreateRepositoryCreationTemplate",
                                                  "UpdateRepositoryCreationTemplate", NULL};

static bool fail(struct parse *p, const char *member, const char *want)
{
    return err_set(p->e, ERR_INVALID, "Fault", "%s: want %s", member, want);
}

/* Every member of v is one of names (NULL ends). */
static bool only(struct parse *p, const struct json *v, const char *where,
                 const char *const names[])
{
    for (const struct json *it = json_first(v); it; it = json_next(it)) {
        struct buf known BERTH_CLEANUP(buf_fini) = BUF_INIT(512);
        bool is_known = false;

        for (size_t i = 0; names[i] != NULL; i++) {
            is_known = is_known || str_eq_cstr(json_key(it), names[i]);
            buf_printf(&known, "%s%s", i > 0 ? ", " : "", names[i]);
        }
        if (!is_known)
            return err_set(p->e, ERR_INVALID, "Fault", "unknown member %s%.*s; there are %s", where,
                           STR_ARG(str_cut_utf8(json_key(it), 80)), buf_cstr(&known));
    }
    return true;
}

/* Texts and numbers that may be absent: then *ret stays as it is. */
static bool text(struct parse *p, const struct json *v, const char *key, struct str *ret)
{
    const struct json *member = json_get(v, key);
    struct str s = json_str_or_null(member);

    if (member == NULL)
        return true;
    if (str_is_empty(s) || s.len > EMU_FAULT_TEXT_MAX)
        return fail(p, key, "a string of 1 to 1024 characters");
    *ret = arena_copy(&p->rule->arena, s);
    return true;
}

static bool number(struct parse *p, const struct json *v, const char *key, int64_t min, int64_t max,
                   int64_t *ret)
{
    const struct json *member = json_get(v, key);

    if (member == NULL)
        return true;
    if (json_i64(member, ret) && *ret >= min && *ret <= max)
        return true;
    return err_set(p->e, ERR_INVALID, "Fault", "%s: want a whole number, %lld to %lld", key,
                   (long long)min, (long long)max);
}

static bool want_object(struct parse *p, const struct json *v, const char *name)
{
    return json_is_object(v) || fail(p, name, "an object");
}

static bool status(struct parse *p, const struct json *v)
{
    int64_t n = p->rule->fault.status;

    if (!number(p, v, "status", 400, 599, &n))
        return false;
    p->rule->fault.status = (int)n;
    return true;
}

/* ---- match ---- */

static bool read_api(struct parse *p)
{
    struct str api = p->rule->api;

    return str_is_null(api) || str_eq(api, STR("ecr")) || str_eq(api, STR("sts")) ||
           str_eq(api, STR("v2")) || fail(p, "api", "ecr, sts or v2");
}

static bool read_probability(struct parse *p, const struct json *v)
{
    const struct json *member = json_get(v, "probability");
    int64_t seed = 1;

    p->rule->probability = json_double_or(member, 1.0);
    if (member != NULL && (json_type(member) != JSON_NUMBER || p->rule->probability <= 0.0 ||
                           p->rule->probability > 1.0))
        return fail(p, "probability", "a number over 0, at most 1");
    if (!number(p, v, "seed", 0, NUMBER_MAX, &seed))
        return false;
    p->rule->random = (uint64_t)seed;
    return true;
}

static bool read_match(struct parse *p, const struct json *v)
{
    static const char *const names[] = {
        "api", "operation", "userAgent", "accessKeyId", "name", "after", "until",
        "nth", "every",     "count",     "probability", "seed", NULL};
    struct fault_rule *rule = p->rule;

    if (v == NULL) {
        rule->probability = 1.0;
        return true;
    }
    return want_object(p, v, "match") && only(p, v, "match.", names) &&
           text(p, v, "api", &rule->api) && read_api(p) &&
           text(p, v, "operation", &rule->operation) &&
           text(p, v, "userAgent", &rule->user_agent) &&
           text(p, v, "accessKeyId", &rule->access_key_id) && text(p, v, "name", &rule->name) &&
           number(p, v, "after", 0, NUMBER_MAX, &rule->after) &&
           number(p, v, "until", 1, NUMBER_MAX, &rule->until) &&
           number(p, v, "nth", 1, NUMBER_MAX, &rule->nth) &&
           number(p, v, "every", 1, NUMBER_MAX, &rule->every) &&
           number(p, v, "count", 1, NUMBER_MAX, &rule->count) && read_probability(p, v);
}

/* ---- effects ---- */

static bool positive(struct parse *p, const struct json *v, const char *key, double fallback,
                     double *ret)
{
    const struct json *member = json_get(v, key);

    *ret = json_double_or(member, fallback);
    if (member == NULL)
        return true;
    return (json_type(member) == JSON_NUMBER && *ret > 0.0 && *ret <= NUMBER_MAX) ||
           fail(p, key, "a number over 0");
}

static bool read_throttle(struct parse *p, const struct json *v)
{
    static const char *const names[] = {"perSecond", "burst", "status", "retryAfterMs", NULL};
    struct fault_rule *rule = p->rule;

    if (!want_object(p, v, "throttle") || !only(p, v, "throttle.", names))
        return false;
    if (json_get(v, "perSecond") == NULL)
        return fail(p, "throttle.perSecond", "a number over 0");
    if (!positive(p, v, "perSecond", 1.0, &rule->per_second) ||
        !positive(p, v, "burst", rule->per_second < 1.0 ? 1.0 : rule->per_second, &rule->burst))
        return false;
    if (rule->burst < 1.0)
        return fail(p, "burst", "a number, 1 or more");
    rule->tokens = rule->burst;
    return status(p, v) && number(p, v, "retryAfterMs", 1, NUMBER_MAX, &rule->fault.retry_after_ms);
}

static bool read_fail(struct parse *p, const struct json *v)
{
    static const char *const names[] = {"status", "type", "message", "retryAfterMs", NULL};
    struct emu_fault *fault = &p->rule->fault;

    return want_object(p, v, "fail") && only(p, v, "fail.", names) && status(p, v) &&
           text(p, v, "type", &fault->type) && text(p, v, "message", &fault->message) &&
           number(p, v, "retryAfterMs", 1, NUMBER_MAX, &fault->retry_after_ms);
}

static bool read_deny(struct parse *p, const struct json *v)
{
    static const char *const names[] = {"action", "resource", "status", NULL};

    if (!want_object(p, v, "deny") || !only(p, v, "deny.", names))
        return false;
    if (json_get(v, "action") == NULL)
        return fail(p, "deny.action", "a pattern such as ecr:Put*");
    return text(p, v, "action", &p->rule->action) && text(p, v, "resource", &p->rule->resource) &&
           status(p, v);
}

static bool read_quota(struct parse *p, const struct json *v)
{
    if (json_is_string(v)) {
        p->rule->fault.message = arena_copy(&p->rule->arena, json_str_or_null(v));
        return true;
    }
    return json_bool_or(v, false) || fail(p, "quota", "true, or the message");
}

/* A number is what to wait before it is done. */
static bool read_delay(struct parse *p, const struct json *v)
{
    static const char *const names[] = {"before", "after", NULL};
    struct emu_fault *fault = &p->rule->fault;

    if (json_i64(v, &fault->before_ms))
        return (fault->before_ms >= 0 && fault->before_ms <= EMU_FAULT_DELAY_MS_MAX) ||
               fail(p, "delayMs", "0 to 600000");
    return (json_is_object(v) || fail(p, "delayMs", "a number, or {before, after}")) &&
           only(p, v, "delayMs.", names) &&
           number(p, v, "before", 0, EMU_FAULT_DELAY_MS_MAX, &fault->before_ms) &&
           number(p, v, "after", 0, EMU_FAULT_DELAY_MS_MAX, &fault->after_ms);
}

static bool read_cut(struct parse *p, const struct json *v)
{
    struct emu_fault *fault = &p->rule->fault;
    struct str word = json_str_or_null(v);
    int64_t bytes = 0;

    if (json_i64(v, &bytes) && bytes >= 0) {
        fault->cut = EMU_CUT_BYTES;
        fault->cut_bytes = (uint64_t)bytes;
        return true;
    }
    fault->cut = str_eq(word, STR("after")) ? EMU_CUT_AFTER : EMU_CUT_BEFORE;
    return str_eq(word, STR("after")) || str_eq(word, STR("before")) ||
           fail(p, "cut", "before, after, or a number of bytes");
}

static bool read_garbage(struct parse *p, const struct json *v)
{
    static const char *const words[] = {"html", "empty", "truncated-json"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!str_eq_cstr(json_str_or_null(v), words[i]))
            continue;
        p->rule->fault.garbage = (enum emu_fault_garbage)i;
        return true;
    }
    return fail(p, "garbage", "html, empty or truncated-json");
}

/* A rule that could never act is a mistake. */
static bool check_operations(struct parse *p, const char *effect, const char *const names[])
{
    struct buf known BERTH_CLEANUP(buf_fini) = BUF_INIT(512);

    for (size_t i = 0; names[i] != NULL; i++) {
        if (str_is_null(p->rule->operation) ||
            emu_filter_matches(p->rule->operation, str_from(names[i])))
            return true;
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return err_set(p->e, ERR_INVALID, "Fault", "%s is for %s only", effect, buf_cstr(&known));
}

static bool read_stale(struct parse *p, const struct json *v)
{
    static const char *const names[] = {"ms", NULL};

    p->rule->fault.ms = -1;
    if (!want_object(p, v, "stale") || !only(p, v, "stale.", names) ||
        !number(p, v, "ms", 1, EMU_FAULT_DELAY_MS_MAX, &p->rule->fault.ms))
        return false;
    return (p->rule->fault.ms > 0 || fail(p, "stale.ms", "a number of milliseconds")) &&
           check_operations(p, "stale", fault_stale_operations);
}

static bool read_normalise(struct parse *p, const struct json *v)
{
    struct buf members BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_FAULT_BODY_MAX);

    if (!json_is_object(v) || json_first(v) == NULL)
        return fail(p, "normalise", "an object of the members to replace; null removes one");
    json_print(v, &members);
    if (!buf_ok(&members))
        return fail(p, "normalise", "plain values");
    p->rule->fault.members = arena_copy(&p->rule->arena, buf_str(&members));
    return check_operations(p, "normalise", fault_normalise_operations);
}

static bool read_skew(struct parse *p, const struct json *v)
{
    int64_t ms = 0;

    if (!json_i64(v, &ms) || ms < -EMU_FAULT_SKEW_MS_MAX || ms > EMU_FAULT_SKEW_MS_MAX)
        return fail(p, "skewMs", "a number of milliseconds, a day at most");
    p->rule->fault.ms = ms;
    return true;
}

static bool read_expire(struct parse *p, const struct json *v)
{
    struct str key = json_str_or_null(v);

    if (str_is_empty(key) || key.len > EMU_FAULT_TEXT_MAX)
        return fail(p, "expire", "an access key id");
    if (!str_is_null(p->rule->access_key_id))
        return fail(p, "match.accessKeyId", "nothing: expire names the key");
    p->rule->access_key_id = arena_copy(&p->rule->arena, key);
    return true;
}

static const struct {
    const char *name;
    enum emu_fault_effect effect;
    bool (*read)(struct parse *p, const struct json *v);
} effects[] = {
    {"throttle", EMU_FAULT_THROTTLE, read_throttle},
    {"fail", EMU_FAULT_FAIL, read_fail},
    {"deny", EMU_FAULT_DENY, read_deny},
    {"quota", EMU_FAULT_QUOTA, read_quota},
    {"delayMs", EMU_FAULT_DELAY, read_delay},
    {"cut", EMU_FAULT_CUT, read_cut},
    {"garbage", EMU_FAULT_GARBAGE, read_garbage},
    {"stale", EMU_FAULT_STALE, read_stale},
    {"normalise", EMU_FAULT_NORMALISE, read_normalise},
    {"skewMs", EMU_FAULT_SKEW, read_skew},
    {"expire", EMU_FAULT_EXPIRE, read_expire},
};

static bool read_effect(struct parse *p, const struct json *root)
{
    const char *names[ARRAY_SIZE(effects) + 2] = {"match"};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(effects); i++) {
        names[i + 1] = effects[i].name;
        n += json_get(root, effects[i].name) != NULL;
    }
    if (!only(p, root, "", names))
        return false;
    if (n != 1)
        return fail(p, "rule",
                    "exactly one of throttle, fail, deny, quota, delayMs, cut, garbage, stale, "
                    "normalise, skewMs, expire");
    for (size_t i = 0; i < ARRAY_SIZE(effects); i++) {
        const struct json *v = json_get(root, effects[i].name);

        if (v == NULL)
            continue;
        p->rule->fault.effect = effects[i].effect;
        return effects[i].read(p, v);
    }
    return false;
}

struct fault_rule *fault_rule_free(struct fault_rule *rule)
{
    if (rule == NULL)
        return NULL;
    arena_fini(&rule->arena);
    return mem_free(rule);
}

struct fault_rule *fault_rule_parse(struct str json, struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct buf compact BERTH_CLEANUP(buf_fini) = BUF_INIT(EMU_FAULT_BODY_MAX);
    struct fault_rule *rule = NULL;
    struct parse p = {.e = e};

    if (!json_parse(json, EMU_FAULT_BODY_MAX, &doc, e))
        return NULL;
    if (!json_is_object(json_root(doc))) {
        (void)fail(&p, "rule", "an object");
        return NULL;
    }
    rule = mem_alloc(sizeof(*rule));
    p.rule = rule;
    json_print(json_root(doc), &compact);
    rule->text = arena_copy(&rule->arena, buf_str(&compact));
    if (read_match(&p, json_get(json_root(doc), "match")) && read_effect(&p, json_root(doc))) {
        if (buf_ok(&compact))
            return rule;
        (void)fail(&p, "rule", "numbers that JSON can hold");
    }
    return fault_rule_free(rule);
}
