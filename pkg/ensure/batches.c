// SPDX-License-Identifier: Apache-2.0
/*
 * Batches that are parked: from their probes to the decision, from there to their creations, and
 * to the answer, at the latest at the deadline.
 *
 * A batch is on the list while it waits for tasks. Whoever takes it off the list (the worker of its
 * last task, or the timer at its deadline) owns it until it is put back or done.
 */
#include "base/mem.h"
#include "ensure_priv.h"
#include "registry/repository.h"

static void link_locked(struct ensure *e, struct parked *p)
{
    p->prev = NULL;
    p->next = e->parked;
    if (e->parked != NULL)
        e->parked->prev = p;
    e->parked = p;
}

void ensure_unpark_locked(struct ensure *e, struct parked *p)
{
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        e->parked = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    p->prev = NULL;
    p->next = NULL;
}

static void parked_free(struct parked *p)
{
    mem_free(p->tasks);
    mem_free(p);
}

/* Off the list, waits for nothing: the batch is its owner's again. */
static void finish(struct ensure *e, struct parked *p)
{
    struct ensure_batch *b = p->batch;
    (void)pthread_mutex_lock(&e->mutex);
    e->parked_count--;
    metric_set(e->parked_gauge, NULL, (double)e->parked_count);
    (void)pthread_mutex_unlock(&e->mutex);
    parked_free(p);
    b->done(b->arg, b);
}

/* --- submitting -------------------------------------------------------------------------------
 */

static void overloaded(struct ensure_item *item)
{
    item->outcome = ENSURE_FAILED;
    (void)err_set(&item->error, ERR_RETRY, "Overloaded",
                  "too many repositories are being worked on; try again in a moment");
}

/* A call that began before a creation of ours was done may end after it, with what was before. */
static bool was_made_since(const struct ensure_item *item)
{
    return item->registry->registry != NULL &&
           registry_repository_find(item->registry->registry, item->repository) == REGISTRY_PRESENT;
}

static void probe_locked(struct ensure *e, struct parked *p, size_t i)
{
    struct ensure_item *item = &p->batch->items[i];
    if (item->registry->registry == NULL || item->registry->state == DIRECTORY_CLOSED) {
        item->outcome = ENSURE_FAILED;
        (void)err_set(&item->error, ERR_RETRY, "RegistryNotReady",
                      "RegistrySettings \"%.*s\": %.*s", STR_ARG(item->registry->name),
                      STR_ARG(item->registry->message));
    } else if (ensure_is_absent_locked(e, item->registry->name, item->repository) &&
               !was_made_since(item)) {
        item->outcome = ENSURE_ABSENT;
        item->image = item->wants_image ? ENSURE_IMAGE_ABSENT : ENSURE_IMAGE_UNKNOWN;
    } else if (ensure_join_locked(e, item->wants_image ? TASK_IMAGE : TASK_PROBE, p, i) == NULL) {
        overloaded(item);
    }
}

bool ensure_submit(struct ensure *e, struct ensure_batch *b)
{
    struct parked *p = mem_alloc(sizeof *p);
    p->batch = b;
    p->tasks = mem_alloc_array(b->count + 1, sizeof(struct task *));
    p->submitted_ms = clock_mono_ms(e->o.clock);
    p->state = PARKED_PROBING;
    (void)pthread_mutex_lock(&e->mutex);
    if (e->is_stopping || e->parked_count >= ENSURE_PARKED_MAX) {
        (void)pthread_mutex_unlock(&e->mutex);
        parked_free(p);
        return false;
    }
    e->parked_count++;
    metric_set(e->parked_gauge, NULL, (double)e->parked_count);
    for (size_t i = 0; i < b->count; i++)
        probe_locked(e, p, i);
    link_locked(e, p);
    /* its deadline may be the nearest; and one that waits for nothing is advanced by the timer,
     * because callbacks run on the engine's threads */
    (void)pthread_cond_signal(&e->alarm);
    (void)pthread_mutex_unlock(&e->mutex);
    return true;
}

size_t ensure_parked(struct ensure *e)
{
    (void)pthread_mutex_lock(&e->mutex);
    const size_t n = e->parked_count;
    (void)pthread_mutex_unlock(&e->mutex);
    return n;
}

/* --- deciding and creating --------------------------------------------------------------------
 */

static void create_locked(struct ensure *e, struct parked *p, size_t i)
{
    struct ensure_item *item = &p->batch->items[i];
    const struct str registry = item->registry->name;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct str quota = STR_NULL;
    int64_t slot = 0;
    /* who joins a creation that is under way makes nothing new */
    const bool is_new = !ensure_is_under_way_locked(e, TASK_CREATE, registry, item->repository);
    if (is_new && was_made_since(item)) {
        err_clear(&item->error);
        item->outcome = ENSURE_PRESENT;
        return;
    }
    if (is_new && !ensure_take_creation_locked(e, registry, p->batch->namespace,
                                               item->creations_per_minute, &a, &quota, &slot)) {
        item->outcome = ENSURE_LIMITED;
        (void)err_set(&item->error, ERR_THROTTLED, "CreationsPerMinute",
                      "namespace %.*s has had its %lld repositories of this minute",
                      STR_ARG(p->batch->namespace), (long long)item->creations_per_minute);
        return;
    }
    err_clear(&item->error);
    item->outcome = ENSURE_PENDING;
    struct task *t = ensure_join_locked(e, TASK_CREATE, p, i);
    if (t == NULL) {
        overloaded(item);
        ensure_give_back_creation_locked(e, quota, slot);
    } else if (is_new) {
        t->creation.quota = arena_copy(&t->arena, quota);
        t->creation.quota_slot = slot;
    }
}

/* What the item waits for goes on without it. */
static void leave_all_locked(struct ensure *e, struct parked *p)
{
    for (size_t i = 0; i < p->batch->count; i++) {
        const struct task *t = p->tasks[i];
        if (t == NULL)
            continue;
        struct ensure_item *item = &p->batch->items[i];
        if (!t->is_running && err_is_set(&t->error))
            item->error = t->error;
        else if (p->state == PARKED_PROBING && !err_is_set(&item->error))
            (void)err_set(&item->error, ERR_RETRY, "Timeout", "ECR did not answer in time");
        ensure_leave_locked(e, p, i);
    }
}

/* Asks what is to be created and begins it. True: p waits for it, on the list again. */
static bool decide(struct ensure *e, struct parked *p)
{
    struct ensure_batch *b = p->batch;
    p->state = PARKED_DECIDING;
    if (!b->probed(b->arg, b))
        return false;
    (void)pthread_mutex_lock(&e->mutex);
    for (size_t i = 0; i < b->count && !e->is_stopping; i++) {
        if (b->items[i].wants_creation)
            create_locked(e, p, i);
    }
    p->state = PARKED_CREATING;
    const bool is_late = e->is_stopping || clock_mono_ms(e->o.clock) >= b->deadline_mono_ms;
    if (is_late)
        leave_all_locked(e, p);
    const bool waits = p->left > 0;
    if (waits) {
        link_locked(e, p);
        (void)pthread_cond_signal(&e->alarm);
    }
    (void)pthread_mutex_unlock(&e->mutex);
    return waits;
}

void ensure_advance(struct ensure *e, struct parked *p)
{
    if (p->state == PARKED_PROBING && decide(e, p))
        return;
    finish(e, p);
}

/* --- deadlines --------------------------------------------------------------------------------
 */

/* The first that waits for nothing or is late; else *ret_wait_ms until one is. */
static struct parked *due_locked(struct ensure *e, int64_t *ret_wait_ms)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    *ret_wait_ms = -1;
    for (struct parked *p = e->parked; p != NULL; p = p->next) {
        const int64_t wait = p->batch->deadline_mono_ms - now_ms;
        if (wait <= 0 || p->left == 0)
            return p;
        if (*ret_wait_ms < 0 || wait < *ret_wait_ms)
            *ret_wait_ms = wait;
    }
    return NULL;
}

void ensure_watch_deadlines(void *arg)
{
    struct ensure *e = arg;
    (void)pthread_mutex_lock(&e->mutex);
    while (!e->is_stopping) {
        int64_t wait_ms = -1;
        struct parked *p = due_locked(e, &wait_ms);
        if (p == NULL) {
            (void)thread_cond_wait_ms(&e->alarm, &e->mutex, wait_ms);
            continue;
        }
        ensure_unpark_locked(e, p);
        leave_all_locked(e, p);
        (void)pthread_mutex_unlock(&e->mutex);
        ensure_advance(e, p);
        (void)pthread_mutex_lock(&e->mutex);
    }
    (void)pthread_mutex_unlock(&e->mutex);
}

void ensure_finish_all(struct ensure *e)
{
    (void)pthread_mutex_lock(&e->mutex);
    while (e->parked != NULL) {
        struct parked *p = e->parked;
        ensure_unpark_locked(e, p);
        leave_all_locked(e, p);
        (void)pthread_mutex_unlock(&e->mutex);
        finish(e, p);
        (void)pthread_mutex_lock(&e->mutex);
    }
    (void)pthread_mutex_unlock(&e->mutex);
}
