// SPDX-License-Identifier: Apache-2.0
/*
 * A fake ECR behind the HTTP seam, for tests of what asks it from many threads: it keeps
 * repositories, answers what the operator calls, and can be told to hang, to refuse, to lose an
 * answer, or to let somebody else act just before or after a call. Header-only.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "base/thread.h"
#include "http/http.h"
#include "json/json.h"
#include "json/write.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FAKE_ECR_REPOSITORIES = 512, FAKE_ECR_TEXT = 256, FAKE_ECR_RULES = 16, FAKE_ECR_LOG = 4096 };

struct fake_repository {
    char name[FAKE_ECR_TEXT];
    char tag[FAKE_ECR_TEXT]; /* the value of ecr.berth.dev/template; "" none */
    char policy[FAKE_ECR_TEXT];
    char lifecycle[FAKE_ECR_TEXT];
    int64_t created_at_s;
};

enum fake_effect {
    FAKE_NOTHING, /* the rule is used up */
    FAKE_HANG,    /* until fake_ecr_release() or the exchange's time is up */
    FAKE_REFUSE,  /* with status and code */
    FAKE_LOSE,    /* it is done, the answer is lost */
    FAKE_ACT      /* act() is called first, then it is answered as ever */
};
struct fake_rule {
    const char *operation; /* "CreateRepository" */
    const char *name;      /* of the repository; NULL: all; "slow/" means all that begin so */
    int count;             /* how often; 0: always */
    enum fake_effect effect;
    int status;
    const char *code;
    void (*act)(void *arg); /* may call fake_ecr_find(), which does not lock */
    void *arg;
};

struct fake_ecr {
    struct http_client http;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct fake_repository repositories[FAKE_ECR_REPOSITORIES];
    size_t count;
    struct fake_rule rules[FAKE_ECR_RULES];
    size_t rule_count;
    int released; /* how often */
    int hanging;
    const char *templates; /* JSON array */
    const char *pull_through;
    const char *image;           /* the one tag that all repositories have */
    char log[FAKE_ECR_LOG][128]; /* "Operation name" of what was asked of single repositories */
    size_t asked;
};

static inline struct fake_repository *fake_ecr_find(struct fake_ecr *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->repositories[i].name, name) == 0)
            return &f->repositories[i];
    return NULL;
}

static inline void fake_ecr_put_text(char *to, struct str text)
{
    (void)snprintf(to, FAKE_ECR_TEXT, "%.*s", STR_ARG(text));
}

static inline struct fake_repository *fake_ecr_add(struct fake_ecr *f, const char *name,
                                                   const char *tag)
{
    struct fake_repository *r = &f->repositories[f->count++];
    *r = (struct fake_repository){.created_at_s = clock_unix_ms(clock_system()) / 1000};
    fake_ecr_put_text(r->name, str_from(name));
    fake_ecr_put_text(r->tag, str_from(tag));
    return r;
}

static inline void fake_ecr_remove(struct fake_ecr *f, const char *name)
{
    struct fake_repository *r = fake_ecr_find(f, name);
    if (r != NULL)
        *r = f->repositories[--f->count];
}

/* --- rules ------------------------------------------------------------------------------------ */

static inline void fake_ecr_rule(struct fake_ecr *f, struct fake_rule rule)
{
    (void)pthread_mutex_lock(&f->mutex);
    if (f->rule_count < FAKE_ECR_RULES)
        f->rules[f->rule_count++] = rule;
    (void)pthread_mutex_unlock(&f->mutex);
}

/* FAKE_HANG, FAKE_LOSE */
static inline void fake_ecr_upset(struct fake_ecr *f, const char *operation, const char *name,
                                  int count, enum fake_effect effect)
{
    fake_ecr_rule(f, (struct fake_rule){
                         .operation = operation, .name = name, .count = count, .effect = effect});
}

static inline void fake_ecr_refuse(struct fake_ecr *f, const char *operation, const char *name,
                                   int count, int status, const char *code)
{
    fake_ecr_rule(f, (struct fake_rule){.operation = operation,
                                        .name = name,
                                        .count = count,
                                        .effect = FAKE_REFUSE,
                                        .status = status,
                                        .code = code});
}

/* Once. */
static inline void fake_ecr_act(struct fake_ecr *f, const char *operation, const char *name,
                                void (*act)(void *arg), void *arg)
{
    fake_ecr_rule(f, (struct fake_rule){.operation = operation,
                                        .name = name,
                                        .count = 1,
                                        .effect = FAKE_ACT,
                                        .act = act,
                                        .arg = arg});
}

/* What hangs goes on, and nothing hangs, is refused or lost any more. */
static inline void fake_ecr_release(struct fake_ecr *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->rule_count = 0;
    f->released++;
    (void)pthread_cond_broadcast(&f->cond);
    (void)pthread_mutex_unlock(&f->mutex);
}

static inline bool fake_ecr_matches(const struct fake_rule *r, const char *operation,
                                    const char *name)
{
    if (r->effect == FAKE_NOTHING || strcmp(r->operation, operation) != 0)
        return false;
    const size_t n = r->name != NULL ? strlen(r->name) : 0;
    if (n > 0 && r->name[n - 1] == '/')
        return strncmp(name, r->name, n) == 0;
    return n == 0 || strcmp(name, r->name) == 0;
}

static inline struct fake_rule fake_ecr_take_rule(struct fake_ecr *f, const char *operation,
                                                  const char *name)
{
    for (size_t i = 0; i < f->rule_count; i++) {
        struct fake_rule *r = &f->rules[i];
        if (!fake_ecr_matches(r, operation, name))
            continue;
        const struct fake_rule taken = *r;
        if (r->count > 0 && --r->count == 0)
            r->effect = FAKE_NOTHING;
        return taken;
    }
    return (struct fake_rule){0};
}

static inline bool fake_ecr_hang(struct fake_ecr *f, const struct http_request *rq, struct err *e)
{
    const int64_t until = clock_mono_ms(clock_system()) + rq->timeout_ms;
    f->hanging++;
    (void)pthread_cond_broadcast(&f->cond);
    const int released = f->released;
    bool is_late = false;
    while (f->released == released && !is_late && !http_cancel_is_cancelled(rq->cancel)) {
        (void)thread_cond_wait_ms(&f->cond, &f->mutex, 5);
        is_late = clock_mono_ms(clock_system()) >= until;
    }
    f->hanging--;
    if (rq->cancel != NULL && http_cancel_is_cancelled(rq->cancel))
        return err_set(e, ERR_CANCELLED, "Cancelled", "cancelled");
    return !is_late || err_set(e, ERR_RETRY, "Timeout", "timed out");
}

/* --- answers ---------------------------------------------------------------------------------- */

static inline bool fake_ecr_error(struct arena *a, struct http_response *ret, int status,
                                  const char *code)
{
    ret->status = status;
    ret->body = arena_printf(a, "{\"__type\":\"%s\",\"message\":\"no\"}", code);
    return true;
}

static inline bool fake_ecr_ok(struct arena *a, struct http_response *ret, struct str body)
{
    ret->status = 200;
    ret->body = arena_copy(a, body);
    return true;
}

static inline struct str fake_ecr_show(struct arena *a, const struct fake_repository *r)
{
    return arena_printf(a,
                        "{\"repositoryName\":\"%s\",\"repositoryArn\":\"arn:aws:ecr:eu-west-1:"
                        "123456789012:repository/%s\",\"createdAt\":%lld}",
                        r->name, r->name, (long long)r->created_at_s);
}

static inline bool fake_ecr_list(struct fake_ecr *f, struct arena *a, struct http_response *ret)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(256 * 1024);
    buf_append(&out, STR("{\"repositories\":["));
    for (size_t i = 0; i < f->count; i++) {
        buf_append(&out, i > 0 ? STR(",") : STR(""));
        buf_append(&out, fake_ecr_show(a, &f->repositories[i]));
    }
    buf_append(&out, STR("]}"));
    return fake_ecr_ok(a, ret, buf_str(&out));
}

static inline bool fake_ecr_create(struct fake_ecr *f, const struct json *in, const char *name,
                                   struct arena *a, struct http_response *ret)
{
    if (fake_ecr_find(f, name) != NULL)
        return fake_ecr_error(a, ret, 400, "RepositoryAlreadyExistsException");
    struct fake_repository *r = fake_ecr_add(f, name, "");
    const struct json *tags = json_get(in, "tags");
    for (const struct json *t = json_first(tags); t != NULL; t = json_next(t))
        if (str_eq_cstr(json_str_or_null(json_get(t, "Key")), "ecr.berth.dev/template"))
            fake_ecr_put_text(r->tag, json_str_or_null(json_get(t, "Value")));
    return fake_ecr_ok(a, ret,
                       arena_printf(a, "{\"repository\":%.*s}", STR_ARG(fake_ecr_show(a, r))));
}

static inline bool fake_ecr_get(struct arena *a, struct http_response *ret, const char *member,
                                const char *text, const char *none)
{
    if (text[0] == '\0')
        return fake_ecr_error(a, ret, 400, none);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct json_writer w = json_writer_to(&out);
    json_begin_object(&w);
    json_put_str(&w, member, str_from(text));
    json_end(&w);
    return fake_ecr_ok(a, ret, buf_str(&out));
}

/* Of a repository that is there. */
static inline bool fake_ecr_of_one(struct fake_ecr *f, struct fake_repository *r, const char *op,
                                   const struct json *in, struct arena *a,
                                   struct http_response *ret)
{
    if (strcmp(op, "DescribeRepositories") == 0)
        return fake_ecr_ok(
            a, ret, arena_printf(a, "{\"repositories\":[%.*s]}", STR_ARG(fake_ecr_show(a, r))));
    if (strcmp(op, "GetRepositoryPolicy") == 0)
        return fake_ecr_get(a, ret, "policyText", r->policy, "RepositoryPolicyNotFoundException");
    if (strcmp(op, "GetLifecyclePolicy") == 0)
        return fake_ecr_get(a, ret, "lifecyclePolicyText", r->lifecycle,
                            "LifecyclePolicyNotFoundException");
    if (strcmp(op, "SetRepositoryPolicy") == 0)
        fake_ecr_put_text(r->policy, json_str_or_null(json_get(in, "policyText")));
    if (strcmp(op, "PutLifecyclePolicy") == 0)
        fake_ecr_put_text(r->lifecycle, json_str_or_null(json_get(in, "lifecyclePolicyText")));
    if (strcmp(op, "ListTagsForResource") == 0)
        return fake_ecr_ok(a, ret,
                           r->tag[0] == '\0'
                               ? STR("{\"tags\":[]}")
                               : arena_printf(a,
                                              "{\"tags\":[{\"Key\":\"ecr.berth.dev/template\","
                                              "\"Value\":\"%s\"}]}",
                                              r->tag));
    if (strcmp(op, "DescribeImages") == 0 &&
        !str_eq_cstr(json_str_or_null(json_get(json_first(json_get(in, "imageIds")), "imageTag")),
                     f->image))
        return fake_ecr_error(a, ret, 400, "ImageNotFoundException");
    return fake_ecr_ok(a, ret, STR("{}"));
}

static inline bool fake_ecr_answer(struct fake_ecr *f, const char *op, const char *name,
                                   const struct json *in, struct arena *a,
                                   struct http_response *ret)
{
    if (strcmp(op, "DescribeRepositoryCreationTemplates") == 0)
        return fake_ecr_ok(a, ret,
                           arena_printf(a,
                                        "{\"registryId\":\"123456789012\","
                                        "\"repositoryCreationTemplates\":%s}",
                                        f->templates));
    if (strcmp(op, "DescribePullThroughCacheRules") == 0)
        return fake_ecr_ok(a, ret,
                           arena_printf(a, "{\"pullThroughCacheRules\":%s}", f->pull_through));
    if (name[0] == '\0')
        return fake_ecr_list(f, a, ret);
    if (strcmp(op, "CreateRepository") == 0)
        return fake_ecr_create(f, in, name, a, ret);
    struct fake_repository *r = fake_ecr_find(f, name);
    if (r == NULL)
        return fake_ecr_error(a, ret, 400, "RepositoryNotFoundException");
    return fake_ecr_of_one(f, r, op, in, a, ret);
}

static inline void fake_ecr_name_of(const struct json *in, char *name)
{
    struct str found = json_str_or_null(json_get(in, "repositoryName"));
    if (str_is_null(found))
        found = json_str_or_null(json_first(json_get(in, "repositoryNames")));
    const struct str arn = json_str_or_null(json_get(in, "resourceArn"));
    if (str_is_null(found) && !str_is_null(arn))
        found = str_from_offset(arn, (size_t)str_index(arn, '/') + 1);
    fake_ecr_put_text(name, found);
}

static inline bool fake_ecr_run(struct fake_ecr *f, const char *op, const char *name,
                                const struct json *in, const struct http_request *rq,
                                struct arena *a, struct http_response *ret, struct err *e)
{
    if (name[0] != '\0' && f->asked < FAKE_ECR_LOG)
        (void)snprintf(f->log[f->asked++], sizeof f->log[0], "%s %.36s", op, name);
    const struct fake_rule rule = fake_ecr_take_rule(f, op, name);
    if (rule.effect == FAKE_REFUSE)
        return fake_ecr_error(a, ret, rule.status, rule.code);
    if (rule.effect == FAKE_HANG && !fake_ecr_hang(f, rq, e))
        return false;
    if (rule.effect == FAKE_ACT)
        rule.act(rule.arg);
    (void)fake_ecr_answer(f, op, name, in, a, ret);
    return rule.effect != FAKE_LOSE || err_set(e, ERR_RETRY, "ConnectionLost", "lost");
}

static inline bool fake_ecr_send(void *impl, const struct http_request *rq, struct arena *a,
                                 struct http_response *ret, struct err *e)
{
    struct fake_ecr *f = impl;
    char op[64] = "";
    char name[FAKE_ECR_TEXT];
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, STR("x-amz-target")))
            (void)snprintf(
                op, sizeof op, "%.*s",
                STR_ARG(str_from_offset(rq->headers[i].value,
                                        (size_t)str_rindex(rq->headers[i].value, '.') + 1)));
    *ret = (struct http_response){.sent = 1};
    if (!json_parse(rq->body, 1 << 20, &doc, e))
        return false;
    fake_ecr_name_of(json_root(doc), name);
    (void)pthread_mutex_lock(&f->mutex);
    const bool is_ok = fake_ecr_run(f, op, name, json_root(doc), rq, a, ret, e);
    (void)pthread_cond_broadcast(&f->cond);
    (void)pthread_mutex_unlock(&f->mutex);
    return is_ok;
}

/* --- life and looking ------------------------------------------------------------------------- */

static inline void fake_ecr_init(struct fake_ecr *f)
{
    memset(f, 0, sizeof *f);
    f->http = (struct http_client){.send = fake_ecr_send, .impl = f};
    (void)pthread_mutex_init(&f->mutex, NULL);
    thread_cond_init(&f->cond);
    f->templates = "[]";
    f->pull_through = "[]";
    f->image = "1";
}

static inline void fake_ecr_fini(struct fake_ecr *f)
{
    (void)pthread_cond_destroy(&f->cond);
    (void)pthread_mutex_destroy(&f->mutex);
}

/* How often "Operation name" was asked; without a name: of whatever repository. */
static inline size_t fake_ecr_asked(struct fake_ecr *f, const char *what)
{
    size_t n = 0;
    const bool has_name = strchr(what, ' ') != NULL;
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->asked; i++)
        n += has_name
                 ? strcmp(f->log[i], what) == 0
                 : strncmp(f->log[i], what, strlen(what)) == 0 && f->log[i][strlen(what)] == ' ';
    (void)pthread_mutex_unlock(&f->mutex);
    return n;
}

static inline bool fake_ecr_wait(struct fake_ecr *f, int hanging)
{
    const int64_t until = clock_mono_ms(clock_system()) + 10000;
    (void)pthread_mutex_lock(&f->mutex);
    while (f->hanging < hanging && clock_mono_ms(clock_system()) < until)
        (void)thread_cond_wait_ms(&f->cond, &f->mutex, 100);
    const bool is_so = f->hanging >= hanging;
    (void)pthread_mutex_unlock(&f->mutex);
    return is_so;
}
