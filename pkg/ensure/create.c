// SPDX-License-Identifier: Apache-2.0
/*
 * One run of a creation: the repository, its policy, its lifecycle policy. Each step that is done
 * stays done over retries. What somebody else made stays as it is; what we made ourselves is
 * known by having asked, or, where an answer was lost or time has passed since, by our tag. Then a
 * policy that it has by now stays too: somebody has put it there.
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
    if (outcome == ENSURE_PRESENT || outcome == ENSURE_ABSENT || outcome == ENSURE_CREATED)
        err_clear(&t->error);
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
    if (is_admission && t->id.len > 0 && str_is_null(t->user_agent))
        t->user_agent = arena_printf(&t->arena, " admission/%.*s", STR_ARG(t->id));
    return (struct aws_scope){
        .deadline_mono_ms = deadline_ms,
        .stopper = &e->stopper,
        .is_admission = is_admission,
        .user_agent_suffix = t->user_agent,
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
    case ERR_CANCELLED: /* its client was stopped, we were not: there may be a new one */
        return true;
    default:
        return false;
    }
}

void ensure_retry(struct ensure *e, struct task *t, const struct err *error)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    t->error = *error;
    if (error->cls == ERR_CANCELLED && stopper_is_stopped(&e->stopper)) {
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

static void wait_for_registry(struct ensure *e, struct task *t, struct str why)
{
    struct err error = ERR_INIT;
    (void)err_set(&error, ERR_RETRY, "RegistryNotReady", "RegistrySettings \"%.*s\": %.*s",
                  STR_ARG(t->registry), STR_ARG(why));
    ensure_retry(e, t, &error);
}

/* Asked anew at each run until the repository is made: objects change meanwhile. False: refused, or
 * not now. */
static bool find_template(struct ensure *e, struct task *t, const struct directory_registry *entry)
{
    struct creation *c = &t->creation;
    arena_reset(&t->scratch);
    c->has_cover = false;
    if (entry == NULL || entry->state == DIRECTORY_CLOSED || entry->registry == NULL) {
        const struct str why = entry != NULL ? entry->message : STR("it is gone");
        ensure_refuse(t, "RegistryNotReady", "RegistrySettings \"%.*s\": %.*s",
                      STR_ARG(t->registry), STR_ARG(why));
    } else if (entry->state != DIRECTORY_OPEN) {
        /* templates and pull-through rules are not known: what would be made could be wrong */
        wait_for_registry(e, t, STR("it has not been read yet"));
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
                                e->o.choice, true, &t->scratch, &c->cover)) {
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

struct str ensure_tag_value(const struct directory_cover *cover)
{
    return str_is_null(cover->object) ? cover->prefix : cover->object;
}

static void log_write(struct ensure *e, const struct task *t, const char *operation,
                      const char *request_id)
{
    log_info(e->o.log, "wrote to ECR", KV("registry", t->registry), KV("repository", t->repository),
             KV_CSTR("operation", operation), KV("template", ensure_tag_value(&t->creation.cover)),
             KV("admission", t->id), KV_CSTR("requestID", request_id));
}

/* It exists: by us? Then our tag is on it, with the template that we make it from. False: *error
 * says why that could not be seen. */
static bool is_ours(struct ensure *e, struct task *t, struct registry *r, bool *ret,
                    struct err *error)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct registry_repository_info info;
    struct str value = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    *ret = false;
    enum registry_result result =
        registry_repository_read(r, t->repository, &scope, &a, &info, error);
    if (result == REGISTRY_OK)
        result =
            registry_repository_get_tag(r, info.arn, STR(ENSURE_TAG), &scope, &a, &value, error);
    if (result == REGISTRY_NOT_FOUND)
        return err_set(error, ERR_NOT_FOUND, "RepositoryNotFoundException",
                       "ECR does not show the repository that it says exists");
    *ret = result == REGISTRY_OK && str_eq(value, ensure_tag_value(&t->creation.cover));
    return result == REGISTRY_OK;
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
    const enum registry_result result = registry_repository_create(
        r, t->repository, &c->cover.spec, STR(ENSURE_TAG), ensure_tag_value(&c->cover), &scope,
        &attempts, &c->created_at_ms, request_id, &error);
    bool ours = result == REGISTRY_OK;
    if (result == REGISTRY_OK)
        log_write(e, t, "CreateRepository", request_id);
    if (result == REGISTRY_EXISTS && (c->is_maybe_ours || attempts > 1)) {
        c->is_looking = true;
        c->is_maybe_ours = true;
        if (!is_ours(e, t, r, &ours, &error)) {
            ensure_retry(e, t, &error);
            return false;
        }
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

static enum registry_result get_policy(struct ensure *e, struct task *t, const struct policy_put *p,
                                       bool *ret_has, struct err *error)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct str now = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    const enum registry_result result =
        p->is_lifecycle
            ? registry_repository_get_lifecycle(p->registry, p->repository, &scope, &a, &now, error)
            : registry_repository_get_policy(p->registry, p->repository, &scope, &a, &now, error);
    *ret_has = !str_is_empty(now);
    return result;
}

enum registry_result ensure_put_policy(struct ensure *e, struct task *t, const struct policy_put *p,
                                       bool *has_put, struct err *error)
{
    if (str_is_empty(p->text))
        return REGISTRY_OK;
    if (p->is_looking) {
        bool has = false;
        const enum registry_result result = get_policy(e, t, p, &has, error);
        if (result != REGISTRY_OK || has)
            return result;
    }
    char request_id[AWS_REQUEST_ID_MAX + 1] = "";
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    const enum registry_result result =
        p->is_lifecycle ? registry_repository_put_lifecycle(p->registry, p->repository, p->text,
                                                            &scope, request_id, error)
                        : registry_repository_put_policy(p->registry, p->repository, p->text,
                                                         &scope, request_id, error);
    if (result != REGISTRY_OK)
        return result;
    if (has_put != NULL)
        *has_put = true;
    log_info(e->o.log, "wrote to ECR", KV("registry", t->registry), KV("repository", p->repository),
             KV_CSTR("operation", p->is_lifecycle ? "PutLifecyclePolicy" : "SetRepositoryPolicy"),
             KV("template", p->template), KV("admission", t->id), KV_CSTR("requestID", request_id));
    return result;
}

static bool put_policy(struct ensure *e, struct task *t, struct registry *r, bool is_lifecycle)
{
    struct creation *c = &t->creation;
    struct err error = ERR_INIT;
    const struct policy_put p = {
        .registry = r,
        .repository = t->repository,
        .template = ensure_tag_value(&c->cover),
        .text = is_lifecycle ? c->cover.spec.lifecycle_policy : c->cover.spec.repository_policy,
        .is_lifecycle = is_lifecycle,
        .is_looking = c->is_looking,
    };
    const enum registry_result result = ensure_put_policy(e, t, &p, NULL, &error);
    if (result == REGISTRY_OK)
        return true;
    if (result == REGISTRY_NOT_FOUND)
        (void)err_set(&error, ERR_NOT_FOUND, "RepositoryNotFoundException",
                      "ECR does not show the repository that it has just made");
    (void)err_wrap(&error, "its %s", is_lifecycle ? "lifecycle policy" : "policy");
    c->is_looking = true;
    ensure_retry(e, t, &error);
    return false;
}

/* Between two tries somebody may have deleted the repository, and another may have made one of that
 * name. False: it is not ours any more, or that could not be seen. */
static bool go_on(struct ensure *e, struct task *t, const struct directory_registry *entry)
{
    struct err error = ERR_INIT;
    bool ours = false;
    if (entry == NULL || entry->registry == NULL) {
        /* completed later by whoever leads, see complete.c */
        ensure_refuse(t, "RegistryNotReady", "RegistrySettings \"%.*s\" cannot be used any more",
                      STR_ARG(t->registry));
    } else if (entry->state != DIRECTORY_OPEN || entry->is_read_only) {
        wait_for_registry(e, t, entry->is_read_only ? STR("it is read-only") : entry->message);
    } else if (!is_ours(e, t, entry->registry, &ours, &error)) {
        ensure_retry(e, t, &error);
    } else if (!ours) {
        ensure_finish(t, ENSURE_PRESENT);
    } else {
        return true;
    }
    return false;
}

static void succeed(struct ensure *e, struct task *t)
{
    const int64_t took_ms = clock_mono_ms(e->o.clock) - t->creation.began_ms;
    log_info(e->o.log, "repository created", KV("registry", t->registry),
             KV("repository", t->repository), KV("template", ensure_tag_value(&t->creation.cover)),
             KV("admission", t->id), KV_INT("milliseconds", took_ms));
    tell(e, t, false, "RepositoryCreated",
         arena_printf(&t->arena, "repository %.*s was created", STR_ARG(t->repository)));
    metric_observe(e->created_seconds, NULL, (double)took_ms / 1000);
    if (t->creation.created_at_ms != 0)
        ensure_looked_at(e, t->registry, t->repository, t->creation.created_at_ms);
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
    const bool is_made = c->step == CREATE_REPOSITORY ? find_template(e, t, entry) &&
                                                            create_repository(e, t, entry->registry)
                                                      : go_on(e, t, entry);
    if (is_made && c->step == CREATE_POLICY && put_policy(e, t, entry->registry, false))
        c->step = CREATE_LIFECYCLE;
    if (is_made && c->step == CREATE_LIFECYCLE && put_policy(e, t, entry->registry, true))
        succeed(e, t);
    /* what stopping cut is no outcome: whoever leads next completes it, or it is asked for again */
    if (t->is_finished && t->outcome != ENSURE_PENDING)
        metric_add(e->created, (const char *[]){outcome_word(t->outcome)}, 1);
}
