// SPDX-License-Identifier: Apache-2.0
/*
 * The engine's life. Its threads: the workers, which run tasks (tasks.c), and one that minds the
 * deadlines (batches.c), so that they hold even while all workers wait for ECR.
 */
#include "ensure/ensure.h"

#include "base/mem.h"
#include "ensure_priv.h"

static void copy_options(struct ensure *e, const struct ensure_options *o)
{
    e->o = *o;
    struct str *prefixes = arena_new_array(&e->arena, struct str, o->allowed_prefix_count + 1);
    for (size_t i = 0; i < o->allowed_prefix_count; i++)
        prefixes[i] = arena_copy(&e->arena, o->allowed_prefixes[i]);
    e->o.allowed_prefixes = prefixes;
    if (e->o.threads <= 0)
        e->o.threads = ENSURE_THREADS;
}

static void declare_metrics(struct ensure *e)
{
    static const double seconds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};
    struct metrics *m = e->o.metrics;
    if (m == NULL)
        return;
    e->created =
        metrics_counter(m, "berth_repository_creations_total",
                        "Repositories that workloads asked for, by how it ended.", "outcome");
    e->created_seconds =
        metrics_histogram(m, "berth_repository_creation_duration_seconds",
                          "Time from the first call of a creation until the repository was whole.",
                          "", seconds, ARRAY_SIZE(seconds));
    e->parked_gauge = metrics_gauge(m, "berth_admission_parked_requests",
                                    "Admission requests that wait for ECR.", "");
    metric_set(e->parked_gauge, NULL, 0);
    static const char *const outcomes[] = {"created", "existed", "refused", "failed"};
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        metric_begin(e->created, &outcomes[i]);
}

struct ensure *ensure_start(const struct ensure_options *o)
{
    struct ensure *e = mem_alloc(sizeof *e);
    copy_options(e, o);
    (void)pthread_mutex_init(&e->mutex, NULL);
    thread_cond_init(&e->work);
    thread_cond_init(&e->alarm);
    stopper_init(&e->stopper);
    e->by_key = map_new();
    e->running = map_new();
    e->absent = map_new();
    e->quotas = map_new();
    e->looked_at = map_new();
    declare_metrics(e);
    e->workers = mem_alloc_array((size_t)e->o.threads, sizeof *e->workers);
    for (int i = 0; i < e->o.threads; i++)
        thread_start(&e->workers[i], "ensure", ensure_work, e);
    thread_start(&e->timer, "ensure-timer", ensure_watch_deadlines, e);
    return e;
}

static void free_value(void *p)
{
    mem_free(p);
}

static void free_all(struct ensure *e)
{
    for (struct task *t = e->tasks; t != NULL;) {
        struct task *next = t->next;
        (void)ensure_task_free(t);
        t = next;
    }
    map_free(e->by_key, NULL);
    map_free(e->running, free_value);
    map_free(e->absent, free_value);
    map_free(e->quotas, free_value);
    map_free(e->looked_at, NULL);
    stopper_fini(&e->stopper);
    (void)pthread_cond_destroy(&e->work);
    (void)pthread_cond_destroy(&e->alarm);
    (void)pthread_mutex_destroy(&e->mutex);
    mem_free(e->workers);
    arena_fini(&e->arena);
    mem_free(e);
}

struct ensure *ensure_stop(struct ensure *e)
{
    if (e == NULL)
        return NULL;
    (void)pthread_mutex_lock(&e->mutex);
    e->is_stopping = true;
    (void)pthread_cond_broadcast(&e->work);
    (void)pthread_cond_broadcast(&e->alarm);
    (void)pthread_mutex_unlock(&e->mutex);
    stopper_stop(&e->stopper);
    for (int i = 0; i < e->o.threads; i++)
        thread_join(&e->workers[i]);
    thread_join(&e->timer);
    ensure_finish_all(e);
    free_all(e);
    return NULL;
}
