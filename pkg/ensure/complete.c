// SPDX-License-Identifier: Apache-2.0
/*
 * Half-made repositories: a crash between CreateRepository and the policies leaves one without
 * them. After each scan the leader looks at the young ones that a template with policies covers: if
 * our tag is on it and names that template, and the template is as it was when the repository was
 * made, what is missing is put. What is there is never changed, and what a template has since got
 * is not brought to repositories that were whole without it: a lifecycle policy deletes images.
 * Each repository is looked at once in a process's life, a few at a time.
 */
#include "base/mem.h"
#include "ensure_priv.h"
#include "registry/repository.h"

enum look {
    LOOK_DONE,  /* whole, or not ours to complete */
    LOOK_LATER, /* nothing can be said: after the next scan */
    LOOK_FAILED /* error says why */
};

static struct str look_key(struct arena *a, struct str registry, struct str repository,
                           int64_t created_at_ms)
{
    return arena_printf(a, "%.*s %.*s %lld", STR_ARG(registry), STR_ARG(repository),
                        (long long)created_at_ms);
}

/* Not looked at yet, and not being created by us at this moment. */
static bool is_due(struct ensure *e, struct task *t, const struct registry_young *y)
{
    const struct str key = look_key(&t->scratch, t->registry, y->name, y->created_at_ms);
    (void)pthread_mutex_lock(&e->mutex);
    const bool is_due = map_get(e->looked_at, key) == NULL &&
                        !ensure_is_under_way_locked(e, TASK_CREATE, t->registry, y->name);
    (void)pthread_mutex_unlock(&e->mutex);
    return is_due;
}

void ensure_looked_at(struct ensure *e, struct str registry, struct str repository,
                      int64_t created_at_ms)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct str key = look_key(&a, registry, repository, created_at_ms);
    (void)pthread_mutex_lock(&e->mutex);
    if (map_count(e->looked_at) >= LOOKED_AT_MAX) {
        map_free(e->looked_at, NULL);
        e->looked_at = map_new(); /* looking twice does no harm */
    }
    (void)map_put(e->looked_at, key, e);
    (void)pthread_mutex_unlock(&e->mutex);
}

static void tell_completed(struct ensure *e, struct task *t, struct str repository,
                           const struct directory_cover *cover)
{
    const struct ensure_news news = {
        .registry = t->registry,
        .repository = repository,
        .template_object = cover->object,
        .reason = "RepositoryCompleted",
        .message = arena_printf(&t->scratch,
                                "repository %.*s was left without policies by a crash and was "
                                "completed",
                                STR_ARG(repository)),
    };
    ensure_tell(e, &news);
}

static enum look look_of(enum registry_result result)
{
    if (result == REGISTRY_FAILED)
        return LOOK_FAILED;
    return result == REGISTRY_OK ? LOOK_DONE : LOOK_LATER;
}

static enum look put_missing(struct ensure *e, struct task *t, struct policy_put *p,
                             const struct api_template_spec *spec, bool *has_put, struct err *error)
{
    p->text = spec->repository_policy;
    enum registry_result result = ensure_put_policy(e, t, p, has_put, error);
    if (result == REGISTRY_OK) {
        p->is_lifecycle = true;
        p->text = spec->lifecycle_policy;
        result = ensure_put_policy(e, t, p, has_put, error);
    }
    return look_of(result);
}

/* template: as AWS has it. */
static enum look complete_one(struct ensure *e, struct task *t, struct registry *r,
                              struct str repository, const struct directory_cover *cover,
                              const struct api_template_observed *template, struct err *error)
{
    struct registry_repository_info info;
    struct str tag = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    enum registry_result result =
        registry_repository_read(r, repository, &scope, &t->scratch, &info, error);
    if (result == REGISTRY_OK)
        result = registry_repository_get_tag(r, info.arn, STR(ENSURE_TAG), &scope, &t->scratch,
                                             &tag, error);
    if (result != REGISTRY_OK)
        return look_of(result);
    if (!str_eq(tag, ensure_tag_value(cover)) || template->updated_at.value > info.created_at_ms)
        return LOOK_DONE;
    bool has_put = false;
    struct policy_put p = {
        .registry = r, .repository = repository, .template = tag, .is_looking = true};
    const enum look look = put_missing(e, t, &p, &template->spec, &has_put, error);
    if (has_put && look == LOOK_DONE)
        tell_completed(e, t, repository, cover);
    return look;
}

/* What costs no call is not remembered: it can be otherwise after the next scan. False: nothing to
 * do for it. */
static bool find_policies(struct ensure *e, const struct directory_registry *entry,
                          struct str repository, struct arena *a, struct directory_cover *cover,
                          struct registry_template *ret)
{
    if (!ensure_is_allowed(e, repository) ||
        !directory_cover(e->o.directory, entry, repository, ECR_FOR_CREATE_ON_PUSH, e->o.choice,
                         false, a, cover) ||
        cover->is_held)
        return false;
    registry_template_get(entry->registry, cover->prefix, ret);
    return ret->value != NULL && (!str_is_empty(ret->value->spec.repository_policy) ||
                                  !str_is_empty(ret->value->spec.lifecycle_policy));
}

/* Would the next repository meet the same error? */
static bool is_of_registry(const struct err *error)
{
    return error->cls == ERR_RETRY || error->cls == ERR_THROTTLED || error->cls == ERR_DENIED ||
           error->cls == ERR_CREDENTIALS || error->cls == ERR_CANCELLED;
}

struct round {
    size_t done;
    bool has_more;
    bool has_failed; /* in a way that may pass */
};

/* False: enough for this round. */
static bool look_at(struct ensure *e, struct task *t, const struct directory_registry *entry,
                    const struct registry_young *y, struct round *round)
{
    struct registry_template template BERTH_CLEANUP(registry_template_fini) = {0};
    struct directory_cover cover;
    struct err error = ERR_INIT;
    if (!is_due(e, t, y) || !find_policies(e, entry, y->name, &t->scratch, &cover, &template))
        return true;
    if (round->done == COMPLETE_AT_A_TIME) {
        round->has_more = true;
        return false;
    }
    round->done++;
    const enum look look =
        complete_one(e, t, entry->registry, y->name, &cover, template.value, &error);
    if (look == LOOK_FAILED) {
        log_warn(e->o.log, "a repository cannot be completed", KV("registry", t->registry),
                 KV("repository", y->name), KV_ERR(&error));
        round->has_failed = is_of_registry(&error) && error.cls != ERR_DENIED;
        if (is_of_registry(&error))
            return false;
    }
    if (look != LOOK_LATER)
        ensure_looked_at(e, t->registry, y->name, y->created_at_ms);
    return true;
}

static struct round look_at_some(struct ensure *e, struct task *t,
                                 const struct directory_registry *entry)
{
    struct round round = {0};
    const struct schema_list young = registry_young_repositories(
        entry->registry, COMPLETE_AGE_MS, REGISTRY_REPOSITORIES_MAX, &t->scratch);
    const struct registry_young *items = young.items;
    for (size_t i = 0; i < young.count && !stopper_is_stopped(&e->stopper); i++)
        if (!look_at(e, t, entry, &items[i], &round))
            break;
    return round;
}

void ensure_run_complete(struct ensure *e, struct task *t)
{
    struct directory_registry *entry BERTH_CLEANUP(directory_unrefp) =
        directory_get(e->o.directory, t->registry);
    struct round round = {0};
    if (entry != NULL && entry->state == DIRECTORY_OPEN && !entry->is_read_only)
        round = look_at_some(e, t, entry);
    arena_fini(&t->scratch);
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    /* what fails for long is left to the next scan */
    if (round.has_more)
        t->deadline_ms = now_ms + ENSURE_BACKGROUND_MS;
    else if (!round.has_failed || now_ms >= t->deadline_ms)
        ensure_finish(t, ENSURE_PRESENT);
    t->not_before_ms = now_ms + COMPLETE_PAUSE_MS;
}

void ensure_complete(struct ensure *e, struct str registry)
{
    (void)pthread_mutex_lock(&e->mutex);
    if (!e->is_stopping)
        (void)ensure_begin_locked(e, TASK_COMPLETE, registry, STR(""), 0);
    (void)pthread_mutex_unlock(&e->mutex);
}
