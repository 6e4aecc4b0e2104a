// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks: one per probe, image or repository under way, found by key, run by the workers in the
 * order they came, those that somebody waits for first. A registry that hangs cannot take all
 * workers: it gets three of four, and half of these for what nobody waits for, so that a backlog of
 * the background does not hold up who asks now.
 */
#include "base/mem.h"
#include "ensure_priv.h"

struct running {
    int all;
    int for_nobody;
};

/* --- keys -------------------------------------------------------------------------------------
 */

struct str ensure_name_key(struct arena *a, struct str registry, struct str repository)
{
    return arena_printf(a, "%.*s %.*s", STR_ARG(registry), STR_ARG(repository));
}

static struct str task_key(struct arena *a, enum task_kind kind, struct str registry,
                           struct str repository, struct str tag, struct str digest)
{
    return arena_printf(a, "%d %.*s %.*s %.*s %.*s", (int)kind, STR_ARG(registry),
                        STR_ARG(repository), STR_ARG(tag), STR_ARG(digest));
}

/* --- life -------------------------------------------------------------------------------------
 */

struct task *ensure_task_free(struct task *t)
{
    if (t == NULL)
        return NULL;
    while (t->waiters != NULL) {
        struct waiter *w = t->waiters;
        t->waiters = w->next;
        mem_free(w);
    }
    arena_fini(&t->arena);
    arena_fini(&t->scratch);
    return mem_free(t);
}

static void append_locked(struct ensure *e, struct task *t)
{
    t->prev = e->last_task;
    if (t->prev != NULL)
        t->prev->next = t;
    else
        e->tasks = t;
    e->last_task = t;
    e->task_count++;
    (void)map_put(e->by_key, t->key, t);
    (void)pthread_cond_signal(&e->work);
}

static void remove_locked(struct ensure *e, struct task *t)
{
    if (t->prev != NULL)
        t->prev->next = t->next;
    else
        e->tasks = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    else
        e->last_task = t->prev;
    e->task_count--;
    (void)map_remove(e->by_key, t->key);
}

static struct task *task_new(enum task_kind kind, struct str registry, struct str repository)
{
    struct task *t = mem_alloc(sizeof *t);
    t->kind = kind;
    t->registry = arena_copy(&t->arena, registry);
    t->repository = arena_copy(&t->arena, repository);
    t->retry_ms = RETRY_MIN_MS;
    return t;
}

static void add_waiter(struct task *t, struct parked *p, size_t item)
{
    struct waiter *w = mem_alloc(sizeof *w);
    *w = (struct waiter){p, item, t->waiters};
    t->waiters = w;
    p->tasks[item] = t;
    p->left++;
    /* a probe is worth as long as the most patient of those who wait */
    if (t->kind != TASK_CREATE && p->batch->deadline_mono_ms > t->deadline_ms)
        t->deadline_ms = p->batch->deadline_mono_ms;
}

/* Somebody waits again for what is between two tries: they do not wait out its longest pause, and
 * it is tried as long as if they had begun it. */
static void hasten_locked(struct ensure *e, struct task *t)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    t->deadline_ms = now_ms + ENSURE_BACKGROUND_MS;
    if (t->not_before_ms <= now_ms + RETRY_JOINED_MS)
        return;
    t->not_before_ms = now_ms + RETRY_JOINED_MS;
    t->retry_ms = RETRY_MIN_MS;
    (void)pthread_cond_signal(&e->work);
}

struct task *ensure_join_locked(struct ensure *e, enum task_kind kind, struct parked *p,
                                size_t item)
{
    const struct ensure_item *i = &p->batch->items[item];
    const bool is_image = kind == TASK_IMAGE;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct str key = task_key(&a, kind, i->registry->name, i->repository,
                                    is_image ? i->tag : STR(""), is_image ? i->digest : STR(""));
    struct task *t = map_get(e->by_key, key);
    if (t == NULL) {
        if (e->task_count >= ENSURE_TASKS_MAX)
            return NULL;
        t = task_new(kind, i->registry->name, i->repository);
        t->key = arena_copy(&t->arena, key);
        t->tag = is_image ? arena_copy(&t->arena, i->tag) : STR_NULL;
        t->digest = is_image ? arena_copy(&t->arena, i->digest) : STR_NULL;
        t->id = arena_copy(&t->arena, p->batch->id);
        if (kind == TASK_CREATE)
            t->deadline_ms = clock_mono_ms(e->o.clock) + ENSURE_BACKGROUND_MS;
        append_locked(e, t);
    } else if (kind == TASK_CREATE && !t->is_running) {
        hasten_locked(e, t);
    }
    add_waiter(t, p, item);
    return t;
}

bool ensure_is_under_way_locked(struct ensure *e, enum task_kind kind, struct str registry,
                                struct str repository)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    return map_get(e->by_key, task_key(&a, kind, registry, repository, STR(""), STR(""))) != NULL;
}

bool ensure_begin_locked(struct ensure *e, enum task_kind kind, struct str registry,
                         struct str repository, int64_t delay_ms)
{
    if (e->task_count >= ENSURE_TASKS_MAX ||
        ensure_is_under_way_locked(e, kind, registry, repository))
        return false;
    struct task *t = task_new(kind, registry, repository);
    t->key = task_key(&t->arena, kind, registry, repository, STR(""), STR(""));
    t->not_before_ms = clock_mono_ms(e->o.clock) + delay_ms;
    t->deadline_ms = t->not_before_ms + ENSURE_BACKGROUND_MS;
    append_locked(e, t);
    return true;
}

void ensure_leave_locked(struct ensure *e, struct parked *p, size_t item)
{
    struct task *t = p->tasks[item];
    if (t == NULL)
        return;
    for (struct waiter **at = &t->waiters; *at != NULL; at = &(*at)->next) {
        struct waiter *w = *at;
        if (w->parked != p || w->item != item)
            continue;
        *at = w->next;
        mem_free(w);
        break;
    }
    p->tasks[item] = NULL;
    p->left--;
    const bool is_probe = t->kind == TASK_PROBE || t->kind == TASK_IMAGE;
    if (is_probe && t->waiters == NULL && !t->is_running) {
        remove_locked(e, t);
        (void)ensure_task_free(t);
    }
}

/* --- absences ---------------------------------------------------------------------------------
 */

static void drop_old_absences_locked(struct ensure *e, int64_t now_ms)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(e->absent); it != NULL; it = next) {
        next = map_next(it);
        if (now_ms - *(const int64_t *)map_value(it) >= ENSURE_ABSENT_MS)
            mem_free(map_remove(e->absent, map_key(it)));
    }
}

void ensure_remember_absent_locked(struct ensure *e, struct str registry, struct str repository)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    if (map_count(e->absent) >= ABSENT_MAX)
        drop_old_absences_locked(e, now_ms);
    if (map_count(e->absent) >= ABSENT_MAX)
        return; /* it is only a saving of calls */
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    int64_t *at = mem_alloc(sizeof *at);
    *at = now_ms;
    mem_free(map_put(e->absent, ensure_name_key(&a, registry, repository), at));
}

bool ensure_is_absent_locked(struct ensure *e, struct str registry, struct str repository)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const int64_t *at = map_get(e->absent, ensure_name_key(&a, registry, repository));
    return at != NULL && clock_mono_ms(e->o.clock) - *at < ENSURE_ABSENT_MS;
}

void ensure_forget_absent_locked(struct ensure *e, struct str registry, struct str repository)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    mem_free(map_remove(e->absent, ensure_name_key(&a, registry, repository)));
}

/* --- running ----------------------------------------------------------------------------------
 */

static void begin_run_locked(struct ensure *e, struct task *t)
{
    struct running *r = map_get(e->running, t->registry);
    if (r == NULL) {
        r = mem_alloc(sizeof *r);
        (void)map_put(e->running, t->registry, r);
    }
    t->is_running = true;
    t->is_run_for_nobody = t->waiters == NULL;
    t->run_deadline_ms = t->deadline_ms;
    r->all++;
    r->for_nobody += t->is_run_for_nobody;
}

static void end_run_locked(struct ensure *e, struct task *t)
{
    struct running *r = map_get(e->running, t->registry);
    t->is_running = false;
    r->for_nobody -= t->is_run_for_nobody;
    if (--r->all == 0)
        mem_free(map_remove(e->running, t->registry));
}

static bool has_room_locked(const struct ensure *e, const struct task *t)
{
    const int most = e->o.threads > 1 ? (e->o.threads * 3 + 3) / 4 : 1;
    const int most_for_nobody = most > 1 ? most / 2 : 1;
    const struct running *r = map_get(e->running, t->registry);
    return r == NULL || (r->all < most && (t->waiters != NULL || r->for_nobody < most_for_nobody));
}

/* The first that can run; else *ret_wait_ms until one can (-1: nobody knows). */
static struct task *next_locked(struct ensure *e, int64_t *ret_wait_ms)
{
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    struct task *for_nobody = NULL;
    *ret_wait_ms = -1;
    for (struct task *t = e->tasks; t != NULL; t = t->next) {
        if (t->is_running)
            continue;
        if (t->not_before_ms > now_ms) {
            const int64_t wait = t->not_before_ms - now_ms;
            if (*ret_wait_ms < 0 || wait < *ret_wait_ms)
                *ret_wait_ms = wait;
            continue;
        }
        if (t->waiters == NULL && for_nobody != NULL)
            continue;
        if (!has_room_locked(e, t))
            continue;
        if (t->waiters != NULL)
            return t;
        for_nobody = t;
    }
    return for_nobody;
}

static void give_outcome(const struct task *t, const struct parked *p, struct ensure_item *item,
                         int64_t now_ms)
{
    item->outcome = t->outcome;
    item->took_ms = now_ms - p->submitted_ms;
    if (t->kind == TASK_IMAGE)
        item->image = t->image;
    if (err_is_set(&t->error))
        item->error = t->error;
    if (t->creation.has_cover)
        item->template = arena_copy(&p->batch->arena, str_is_null(t->creation.cover.object)
                                                          ? t->creation.cover.prefix
                                                          : t->creation.cover.object);
}

/* Everybody who waits gets the outcome; batches that wait for nothing more leave the list and are
 * chained by `next` for ensure_advance(). */
static struct parked *settle_locked(struct ensure *e, struct task *t)
{
    struct parked *ready = NULL;
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    while (t->waiters != NULL) {
        struct waiter *w = t->waiters;
        struct parked *p = w->parked;
        t->waiters = w->next;
        give_outcome(t, p, &p->batch->items[w->item], now_ms);
        p->tasks[w->item] = NULL;
        p->left--;
        mem_free(w);
        if (p->left == 0 && p->state != PARKED_DECIDING) {
            ensure_unpark_locked(e, p);
            p->next = ready;
            ready = p;
        }
    }
    if (t->outcome == ENSURE_ABSENT)
        ensure_remember_absent_locked(e, t->registry, t->repository);
    else if (t->outcome == ENSURE_CREATED || t->outcome == ENSURE_PRESENT)
        ensure_forget_absent_locked(e, t->registry, t->repository);
    if (!str_is_null(t->creation.quota) && t->outcome != ENSURE_CREATED)
        ensure_give_back_creation_locked(e, t->creation.quota, t->creation.quota_slot);
    remove_locked(e, t);
    return ready;
}

/* A probe that ended by a deadline, or with its registry (a new one may be there), while somebody
 * waits who has more time: once more for them. */
static bool probes_again_locked(struct ensure *e, struct task *t)
{
    const bool is_probe = t->kind == TASK_PROBE || t->kind == TASK_IMAGE;
    const int64_t now_ms = clock_mono_ms(e->o.clock);
    if (!is_probe || !t->is_finished || t->outcome != ENSURE_FAILED || t->waiters == NULL ||
        e->is_stopping)
        return false;
    const bool was_cut = t->error.cls == ERR_CANCELLED;
    const bool was_late = t->error.cls == ERR_RETRY && now_ms + LATE_MS >= t->run_deadline_ms &&
                          t->deadline_ms > t->run_deadline_ms;
    if ((!was_cut && !was_late) || now_ms + RETRY_MIN_MS >= t->deadline_ms)
        return false;
    t->is_finished = false;
    t->not_before_ms = was_cut ? now_ms + RETRY_MIN_MS : now_ms;
    err_clear(&t->error);
    return true;
}

static void run(struct ensure *e, struct task *t)
{
    switch (t->kind) {
    case TASK_PROBE:
    case TASK_IMAGE:
        ensure_run_probe(e, t);
        return;
    case TASK_CREATE:
        ensure_run_create(e, t);
        return;
    case TASK_COMPLETE:
        ensure_run_complete(e, t);
        return;
    }
}

static void run_one(struct ensure *e, struct task *t)
{
    run(e, t);
    (void)pthread_mutex_lock(&e->mutex);
    end_run_locked(e, t);
    const bool is_over = t->is_finished && !probes_again_locked(e, t);
    struct parked *ready = is_over ? settle_locked(e, t) : NULL;
    /* its registry may have others waiting, or it waits itself */
    (void)pthread_cond_signal(&e->work);
    (void)pthread_mutex_unlock(&e->mutex);
    if (is_over)
        (void)ensure_task_free(t);
    while (ready != NULL) {
        struct parked *p = ready;
        ready = p->next;
        p->next = NULL;
        ensure_advance(e, p);
    }
}

void ensure_work(void *arg)
{
    struct ensure *e = arg;
    (void)pthread_mutex_lock(&e->mutex);
    while (!e->is_stopping) {
        int64_t wait_ms = -1;
        struct task *t = next_locked(e, &wait_ms);
        if (t == NULL) {
            (void)thread_cond_wait_ms(&e->work, &e->mutex, wait_ms);
            continue;
        }
        begin_run_locked(e, t);
        (void)pthread_mutex_unlock(&e->mutex);
        run_one(e, t);
        (void)pthread_mutex_lock(&e->mutex);
    }
    (void)pthread_mutex_unlock(&e->mutex);
}
