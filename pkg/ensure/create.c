// SPDX-License-Identifier: Apache-2.0
/*
 * One run of a creation: the repository, its policy, its lifecycle policy. Each step that is done
 * stays done over retries. What somebody else made stays as it is; what we made ourselves is
 * known by having asked, or, where an answer was lost, by our tag.
 */
#include "base/mem.h"
#include "ensure_priv.h"
#include "registry/repository.h"

#include <stdio.h>
#include <string.h>

/* --- outcomes ---------------------------------------------------------------------------------
 */

void ensure_finish(struct task *t, enum ensure_outcome outcome)
{
    t->outcome = outcome;
    t->is_finished = true;
}

void ensure_refuse(struct task *t, const char *reason, const char *fmt, ...)
{
    char text[ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_clear(&t->error);
    (void)err_set(&t->error, ERR_DENIED, reason, "%s", text);
    ensure_finish(t, ENSURE_REFUSED);
}

struct aws_scope ensure_scope(struct ensure *e, struct task *t, int64_t deadline_ms)
{
    const bool is_admission = t->kind != TASK_COMPLETE;
    return (struct aws_scope){
        .deadline_mono_ms = deadline_ms,
        .stopper = &e->stopper,
        .is_admission = is_admission,
        .user_agent_suffix = is_admission && t->id.len > 0
                                 ? arena_printf(&t->arena, " admission/%.*s", STR_ARG(t->id))
                                 : STR_NULL,
    };
}

void ensure_tell(struct ensure *e, const struct ensure_news *news)
{
    if (e->o.on_news != NULL)
        e->o.on_news(e->o.arg, news);
}

static void tell(struct ensure *e, const struct task *t, bool is_failure, const char *reason,
                 struct str message)
{
    const struct ensure_news news = {
        .registry = t->registry,
        .repository = t->repository,
        .template_object = t->creation.has_cover ? t->creation.cover.object : STR_NULL,
        .is_failure = is_failure,
        .reason = reason,
        .message = message,
    };
    ensure_tell(e, &news);
}

static void fail(struct ensure *e, struct task *t)
{
    log_warn(e->o.log, "repository not created", KV("registry", t->registry),
             KV("repository", t->repository), KV("admission", t->id),
             KV_CSTR("reason", t->error.reason), KV_ERR(&t->error));
    tell(e, t, true, "RepositoryCreationFailed",
         arena_printf(&t->arena, "repository %.*s: %s", STR_ARG(t->repository), t->error.msg));
    ensure_finish(t, ENSURE_FAILED);
}

static bool can_retry(const struct err *error)
{
    switch (error->cls) {
    case ERR_RETRY:
    case ERR_THROTTLED:
    case ERR_CREDENTIALS:
    case ERR_NOT_FOUND:
        return true;
    default:
        return false;
    }
}

void ensure_retry(struct ensure *e, struct task *t, const struct err *error)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    t->error = *error;
    if (error->cls == ERR_CANCELLED) { /* stopping */
        ensure_finish(t, ENSURE_PENDING);
        return;
    }
    if (!can_retry(error) || now_ms + t->retry_ms >= t->deadline_ms) {
        fail(e, t);
        return;
    }
    t->not_before_ms = now_ms + t->retry_ms;
    t->retry_ms = t->retry_ms * 2 < RETRY_MAX_MS ? t->retry_ms * 2 : RETRY_MAX_MS;
}

/* --- what may be created, and how ---------------------------------------------------------------
 */

/* Asked anew at each run until the repository is made: objects change meanwhile. False: refused. */
static bool find_template(struct ensure *e, struct task *t, const struct directory_registry *entry)
{
    struct creation *c = &t->creation;
    if (entry == NULL || entry->state == DIRECTORY_CLOSED || entry->registry == NULL) {
        const struct str why = entry != NULL ? entry->message : STR("it is gone");
        ensure_refuse(t, "RegistryNotReady", "RegistrySettings \"%.*s\": %.*s",
                      STR_ARG(t->registry), STR_ARG(why));
    } else if (entry->is_read_only) {
        ensure_refuse(t, "ReadOnly", "RegistrySettings \"%.*s\" is read-only",
                      STR_ARG(t->registry));
    } else if (!ensure_is_allowed(e, t->repository)) {
        ensure_refuse(t, "NotAllowed", "allowedPrefixes of the operator does not hold %.*s",
                      STR_ARG(t->repository));
    } else if (registry_is_pull_through(entry->registry, t->repository)) {
        ensure_refuse(t, "PullThrough", "a pull-through cache rule makes %.*s at the first pull",
                      STR_ARG(t->repository));
    } else if (!directory_cover(e->o.directory, entry, t->repository, ECR_FOR_CREATE_ON_PUSH,
                                e->o.choice, true, &t->arena, &c->cover)) {
        ensure_refuse(t, "Uncovered", "no template for CREATE_ON_PUSH covers %.*s",
                      STR_ARG(t->repository));
    } else if (c->cover.is_held) {
        c->has_cover = true;
        ensure_refuse(t, "TemplateHeld",
                      "RepositoryCreationTemplate \"%.*s\" is paused or read-only",
                      STR_ARG(c->cover.object));
    } else {
        c->has_cover = true;
        return true;
    }
    return false;
}

static struct str tag_value(const struct directory_cover *cover)
{
    return str_is_null(cover->object) ? cover->prefix : cover->object;
}

static void log_write(struct ensure *e, const struct task *t, const char *operation,
                      const char *request_id)
{
    log_info(e->o.log, "wrote to ECR", KV("registry", t->registry), KV("repository", t->repository),
             KV_CSTR("operation", operation), KV("template", tag_value(&t->creation.cover)),
             KV("admission", t->id), KV_CSTR("requestID", request_id));
}

/* It exists already: by us, where an answer was lost? Then our tag is on it. */
static bool is_ours(struct ensure *e, struct task *t, struct registry *r, bool *ret,
                    struct err *error)
{
    struct registry_repository_info info;
    struct str value = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    *ret = false;
    enum registry_result result =
        registry_repository_read(r, t->repository, &scope, &t->arena, &info, error);
    if (result == REGISTRY_OK)
        result = registry_repository_get_tag(r, info.arn, STR(ENSURE_TAG), &scope, &t->arena,
                                             &value, error);
    if (result == REGISTRY_FAILED)
        return false;
    *ret = result == REGISTRY_OK && !str_is_null(value);
    return true;
}

/* --- the steps --------------------------------------------------------------------------------
 */

/* True: go on with the next step. */
static bool create_repository(struct ensure *e, struct task *t, struct registry *r)
{
    struct creation *c = &t->creation;
    struct err error = ERR_INIT;
    int attempts = 0;
    char request_id[AWS_REQUEST_ID_MAX + 1] = "";
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    const enum registry_result result =
        registry_repository_create(r, t->repository, &c->cover.spec, STR(ENSURE_TAG),
                                   tag_value(&c->cover), &scope, &attempts, request_id, &error);
    bool ours = result == REGISTRY_OK;
    if (result == REGISTRY_OK)
        log_write(e, t, "CreateRepository", request_id);
    if (result == REGISTRY_EXISTS && (c->is_maybe_ours || attempts > 1) &&
        !is_ours(e, t, r, &ours, &error)) {
        c->is_maybe_ours = true;
        ensure_retry(e, t, &error);
        return false;
    }
    if (result == REGISTRY_FAILED || result == REGISTRY_NOT_FOUND) {
        c->is_maybe_ours = c->is_maybe_ours || (attempts > 0 && can_retry(&error));
        ensure_retry(e, t, &error);
        return false;
    }
    if (!ours) { /* somebody else was faster: another replica, a person, a push */
        ensure_finish(t, ENSURE_PRESENT);
        return false;
    }
    c->step = CREATE_POLICY;
    return true;
}

enum registry_result ensure_put_policy(struct ensure *e, struct task *t, struct registry *r,
                                       struct str repository, const struct directory_cover *cover,
                                       bool is_lifecycle, struct err *error)
{
    const struct str text =
        is_lifecycle ? cover->spec.lifecycle_policy : cover->spec.repository_policy;
    if (str_is_empty(text))
        return REGISTRY_OK;
    char request_id[AWS_REQUEST_ID_MAX + 1] = "";
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    const enum registry_result result =
        is_lifecycle
            ? registry_repository_put_lifecycle(r, repository, text, &scope, request_id, error)
            : registry_repository_put_policy(r, repository, text, &scope, request_id, error);
    if (result == REGISTRY_OK)
        log_info(e->o.log, "wrote to ECR", KV("registry", t->registry),
                 KV("repository", repository),
                 KV_CSTR("operation", is_lifecycle ? "PutLifecyclePolicy" : "SetRepositoryPolicy"),
                 KV("template", tag_value(cover)), KV("admission", t->id),
                 KV_CSTR("requestID", request_id));
    return result;
}

static bool put_policy(struct ensure *e, struct task *t, struct registry *r, bool is_lifecycle)
{
    struct err error = ERR_INIT;
    const enum registry_result result =
        ensure_put_policy(e, t, r, t->repository, &t->creation.cover, is_lifecycle, &error);
    if (result == REGISTRY_OK)
        return true;
    if (result == REGISTRY_NOT_FOUND)
        (void)err_set(&error, ERR_NOT_FOUND, "RepositoryNotFoundException",
                      "ECR does not show the repository that it has just made");
    (void)err_wrap(&error, "its %s", is_lifecycle ? "lifecycle policy" : "policy");
    ensure_retry(e, t, &error);
    return false;
}

static void succeed(struct ensure *e, struct task *t)
{
    const int64_t took_ms = clock_mono_ms(e->o.clock) - t->creation.began_ms;
    err_clear(&t->error);
    log_info(e->o.log, "repository created", KV("registry", t->registry),
             KV("repository", t->repository), KV("template", tag_value(&t->creation.cover)),
             KV("admission", t->id), KV_INT("milliseconds", took_ms));
    tell(e, t, false, "RepositoryCreated",
         arena_printf(&t->arena, "repository %.*s was created", STR_ARG(t->repository)));
    metric_observe(e->created_seconds, NULL, (double)took_ms / 1000);
    ensure_finish(t, ENSURE_CREATED);
}

static const char *outcome_word(enum ensure_outcome outcome)
{
    switch (outcome) {
    case ENSURE_CREATED:
        return "created";
    case ENSURE_PRESENT:
        return "existed";
    case ENSURE_REFUSED:
        return "refused";
    default:
        return "failed";
    }
}

void ensure_run_create(struct ensure *e, struct task *t)
{
    struct creation *c = &t->creation;
    struct directory_registry *entry BERTH_CLEANUP(directory_unrefp) =
        directory_get(e->o.directory, t->registry);
    if (c->began_ms == 0)
        c->began_ms = clock_mono_ms(e->o.clock);
    if (c->step == CREATE_REPOSITORY) {
        if (find_template(e, t, entry) && create_repository(e, t, entry->registry))
            c->step = CREATE_POLICY;
    } else if (entry == NULL || entry->registry == NULL) {
        /* completed later by whoever leads, see complete.c */
        ensure_refuse(t, "RegistryNotReady", "RegistrySettings \"%.*s\" cannot be used any more",
                      STR_ARG(t->registry));
    }
    if (!t->is_finished && c->step == CREATE_POLICY && put_policy(e, t, entry->registry, false))
        c->step = CREATE_LIFECYCLE;
    if (!t->is_finished && c->step == CREATE_LIFECYCLE && put_policy(e, t, entry->registry, true))
        succeed(e, t);
    if (t->is_finished)
        metric_add(e->created, (const char *[]){outcome_word(t->outcome)}, 1);
}
