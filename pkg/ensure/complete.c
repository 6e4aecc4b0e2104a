// SPDX-License-Identifier: Apache-2.0
/*
 * Half-made repositories: a crash between CreateRepository and the policies leaves one without
 * them. After each scan the leader looks at the young ones that a template with policies covers: if
 * our tag is on it, what is missing is put. What is there is never changed: somebody may have
 * edited it since. Each repository is looked at once in a process's life, a few at a time.
 */
#include "base/mem.h"
#include "ensure_priv.h"
#include "registry/repository.h"

static bool has_policies(const struct directory_cover *cover)
{
    return !cover->is_held && (!str_is_empty(cover->spec.repository_policy) ||
                               !str_is_empty(cover->spec.lifecycle_policy));
}

/* Not looked at yet, and not being created by us at this moment. */
static bool is_due(struct ensure *e, struct task *t, struct str repository)
{
    (void)pthread_mutex_lock(&e->mutex);
    const bool is_due =
        map_get(e->looked_at, ensure_name_key(&t->scratch, t->registry, repository)) == NULL &&
        !ensure_is_under_way_locked(e, TASK_CREATE, t->registry, repository);
    (void)pthread_mutex_unlock(&e->mutex);
    return is_due;
}

static void looked_at(struct ensure *e, struct task *t, struct str repository)
{
    (void)pthread_mutex_lock(&e->mutex);
    if (map_count(e->looked_at) >= LOOKED_AT_MAX) {
        map_free(e->looked_at, NULL);
        e->looked_at = map_new(); /* looking twice does no harm */
    }
    (void)map_put(e->looked_at, ensure_name_key(&t->scratch, t->registry, repository), e);
    (void)pthread_mutex_unlock(&e->mutex);
}

static bool put_missing(struct ensure *e, struct task *t, struct registry *r, struct str repository,
                        const struct directory_cover *cover, bool is_lifecycle, bool *has_put,
                        struct err *error)
{
    const struct str wanted =
        is_lifecycle ? cover->spec.lifecycle_policy : cover->spec.repository_policy;
    if (str_is_empty(wanted))
        return true;
    struct str now = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    enum registry_result result =
        is_lifecycle
            ? registry_repository_get_lifecycle(r, repository, &scope, &t->scratch, &now, error)
            : registry_repository_get_policy(r, repository, &scope, &t->scratch, &now, error);
    if (result == REGISTRY_OK && str_is_empty(now)) {
        result = ensure_put_policy(e, t, r, repository, cover, is_lifecycle, error);
        *has_put = *has_put || result == REGISTRY_OK;
    }
    return result != REGISTRY_FAILED;
}

/* False: ECR could not be asked, the rest waits. */
static bool complete_one(struct ensure *e, struct task *t, struct registry *r,
                         struct str repository, const struct directory_cover *cover,
                         struct err *error)
{
    struct registry_repository_info info;
    struct str tag = STR_NULL;
    struct aws_scope scope = ensure_scope(e, t, clock_mono_ms(e->o.clock) + CALL_MS);
    enum registry_result result =
        registry_repository_read(r, repository, &scope, &t->scratch, &info, error);
    if (result == REGISTRY_OK)
        result = registry_repository_get_tag(r, info.arn, STR(ENSURE_TAG), &scope, &t->scratch,
                                             &tag, error);
    if (result != REGISTRY_OK || str_is_null(tag))
        return result != REGISTRY_FAILED;
    bool has_put = false;
    if (!put_missing(e, t, r, repository, cover, false, &has_put, error) ||
        !put_missing(e, t, r, repository, cover, true, &has_put, error))
        return false;
    if (has_put) {
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
    return true;
}

/* Returns whether some are left. */
static bool complete_some(struct ensure *e, struct task *t, const struct directory_registry *entry)
{
    const int64_t since_ms = clock_unix_ms(e->o.clock) - COMPLETE_AGE_MS;
    const struct schema_list names = registry_repositories_since(
        entry->registry, since_ms, REGISTRY_REPOSITORIES_MAX, &t->scratch);
    const struct str *items = names.items;
    size_t done = 0;
    for (size_t i = 0; i < names.count && !stopper_is_stopped(&e->stopper); i++) {
        struct directory_cover cover;
        struct err error = ERR_INIT;
        if (!is_due(e, t, items[i]))
            continue;
        if (done == COMPLETE_AT_A_TIME)
            return true;
        if (ensure_is_allowed(e, items[i]) &&
            directory_cover(e->o.directory, entry, items[i], ECR_FOR_CREATE_ON_PUSH, e->o.choice,
                            true, &t->scratch, &cover) &&
            has_policies(&cover)) {
            done++;
            if (!complete_one(e, t, entry->registry, items[i], &cover, &error)) {
                log_warn(e->o.log, "a repository cannot be looked at, trying again",
                         KV("registry", t->registry), KV("repository", items[i]), KV_ERR(&error));
                return error.cls != ERR_DENIED; /* it would be asked for each */
            }
        }
        looked_at(e, t, items[i]);
    }
    return false;
}

void ensure_run_complete(struct ensure *e, struct task *t)
{
    struct directory_registry *entry BERTH_CLEANUP(directory_unrefp) =
        directory_get(e->o.directory, t->registry);
    const bool has_more = entry != NULL && entry->state == DIRECTORY_OPEN && !entry->is_read_only &&
                          complete_some(e, t, entry);
    arena_fini(&t->scratch);
    if (!has_more) {
        ensure_finish(t, ENSURE_PRESENT);
        return;
    }
    t->not_before_ms = clock_mono_ms(e->o.clock) + COMPLETE_PAUSE_MS;
}

void ensure_complete(struct ensure *e, struct str registry)
{
    (void)pthread_mutex_lock(&e->mutex);
    if (!e->is_stopping)
        (void)ensure_begin_locked(e, TASK_COMPLETE, registry, STR(""), 0);
    (void)pthread_mutex_unlock(&e->mutex);
}
