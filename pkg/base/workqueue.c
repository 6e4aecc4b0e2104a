// SPDX-License-Identifier: Apache-2.0
/*
 * The work queue: one entry per key in a map, ready ones in a list, dated ones in a binary heap.
 *
 * An entry lives while the key is ready, dated, being worked on, or has a backoff to remember.
 * State moves: idle -> ready -> working -> (dirty while working ->) ready … An add while working
 * only marks it dirty, so that a key is never with two workers.
 */
#include "base/workqueue.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"

#include <assert.h>
#include <string.h>

struct entry {
    struct entry *next; /* in the ready list */
    bool is_ready;
    bool is_working;
    bool is_dirty;
    int64_t due_ms; /* monotonic; 0: no date */
    size_t heap_at; /* index + 1 in the heap; 0: not in it */
    int64_t backoff_ms;
    size_t name;        /* index of what it is measured as */
    int64_t added_ms;   /* when it became ready or dirty */
    int64_t started_ms; /* when the worker took it */
    struct entry *next_working, **at_working;
    size_t len;
    char key[WORKQUEUE_KEY_MAX];
};

/* What is measured of the keys of one name, under the mutex. */
struct measure {
    size_t depth; /* ready and dirty keys, as client-go counts */
    uint64_t adds;
    uint64_t retries;
};

struct workqueue {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct map *entries;
    struct entry *first;
    struct entry **last;
    size_t ready_count;
    size_t working_count;
    struct entry **heap;
    size_t heap_count;
    size_t heap_cap;
    bool is_down;
    struct entry *working; /* a list */
    struct measure measures[WORKQUEUE_NAMES_MAX];
    /* fixed once measured */
    struct metrics *metrics;
    const struct workqueue_name *names;
    size_t name_count;
    struct metric_family *depth, *adds, *retries, *unfinished, *longest;
    struct metric_family *queue_seconds, *work_seconds;
};

struct workqueue *workqueue_new(void)
{
    struct workqueue *q = mem_alloc(sizeof *q);
    (void)pthread_mutex_init(&q->mutex, NULL);
    thread_cond_init(&q->cond);
    q->entries = map_new();
    q->last = &q->first;
    return q;
}

static void free_entry(void *p)
{
    mem_free(p);
}

struct workqueue *workqueue_free(struct workqueue *q)
{
    if (q == NULL)
        return NULL;
    metrics_collect_end(q->metrics, q);
    map_free(q->entries, free_entry);
    mem_free(q->heap);
    (void)pthread_cond_destroy(&q->cond);
    (void)pthread_mutex_destroy(&q->mutex);
    return mem_free(q);
}

/* ---- the heap of dated entries, earliest first ---- */

static void heap_set(struct workqueue *q, size_t i, struct entry *en)
{
    q->heap[i] = en;
    en->heap_at = i + 1;
}

static void heap_up(struct workqueue *q, size_t i)
{
    struct entry *en = q->heap[i];
    while (i > 0 && q->heap[(i - 1) / 2]->due_ms > en->due_ms) {
        heap_set(q, i, q->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(q, i, en);
}

static void heap_down(struct workqueue *q, size_t i)
{
    struct entry *en = q->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->heap_count)
            break;
        if (child + 1 < q->heap_count && q->heap[child + 1]->due_ms < q->heap[child]->due_ms)
            child++;
        if (q->heap[child]->due_ms >= en->due_ms)
            break;
        heap_set(q, i, q->heap[child]);
        i = child;
    }
    heap_set(q, i, en);
}

static void heap_add(struct workqueue *q, struct entry *en)
{
    if (q->heap_count == q->heap_cap) {
        q->heap_cap = q->heap_cap != 0 ? q->heap_cap * 2 : 64;
        q->heap = mem_realloc(q->heap, q->heap_cap * sizeof *q->heap);
    }
    heap_set(q, q->heap_count++, en);
    heap_up(q, q->heap_count - 1);
}

static void heap_remove(struct workqueue *q, struct entry *en)
{
    if (en->heap_at == 0)
        return;
    size_t i = en->heap_at - 1;
    struct entry *moved = q->heap[--q->heap_count];
    en->heap_at = 0;
    en->due_ms = 0;
    if (moved == en)
        return;
    heap_set(q, i, moved);
    heap_up(q, i);
    heap_down(q, moved->heap_at - 1);
}

/* ---- measuring ---- */

static const char *const *labels_of(const struct workqueue *q, size_t name, const char **labels)
{
    labels[0] = labels[1] = q->names[name].name;
    return labels;
}

static void observe(const struct workqueue *q, struct metric_family *f, size_t name, int64_t ms)
{
    const char *labels[2];
    if (f != NULL)
        metric_observe(f, labels_of(q, name, labels), (double)ms / 1000);
}

static size_t name_of(const struct workqueue *q, struct str key)
{
    size_t i = 0;
    while (i + 1 < q->name_count && !str_starts_with(key, str_from(q->names[i].prefix)))
        i++;
    return i;
}

static void count_added_locked(struct workqueue *q, struct entry *en)
{
    en->added_ms = clock_mono_ms(clock_system());
    q->measures[en->name].depth++;
    q->measures[en->name].adds++;
}

static void start_working_locked(struct workqueue *q, struct entry *en)
{
    en->started_ms = clock_mono_ms(clock_system());
    q->measures[en->name].depth--;
    en->next_working = q->working;
    en->at_working = &q->working;
    if (q->working != NULL)
        q->working->at_working = &en->next_working;
    q->working = en;
}

static void stop_working_locked(struct entry *en)
{
    *en->at_working = en->next_working;
    if (en->next_working != NULL)
        en->next_working->at_working = en->at_working;
}

static void collect(void *arg, struct metrics_scrape *s)
{
    struct workqueue *q = arg;
    int64_t unfinished_ms[WORKQUEUE_NAMES_MAX] = {0};
    int64_t longest_ms[WORKQUEUE_NAMES_MAX] = {0};
    struct measure measures[WORKQUEUE_NAMES_MAX];
    (void)pthread_mutex_lock(&q->mutex);
    int64_t now_ms = clock_mono_ms(clock_system());
    memcpy(measures, q->measures, sizeof measures);
    for (const struct entry *en = q->working; en != NULL; en = en->next_working) {
        int64_t ms = now_ms - en->started_ms;
        unfinished_ms[en->name] += ms;
        longest_ms[en->name] = ms > longest_ms[en->name] ? ms : longest_ms[en->name];
    }
    (void)pthread_mutex_unlock(&q->mutex);
    for (size_t i = 0; i < q->name_count; i++) {
        const char *labels[2];
        (void)labels_of(q, i, labels);
        metric_emit(s, q->depth, labels, (double)measures[i].depth);
        metric_emit(s, q->adds, labels, (double)measures[i].adds);
        metric_emit(s, q->retries, labels, (double)measures[i].retries);
        metric_emit(s, q->unfinished, labels, (double)unfinished_ms[i] / 1000);
        metric_emit(s, q->longest, labels, (double)longest_ms[i] / 1000);
    }
}

void workqueue_measure(struct workqueue *q, struct metrics *m, const struct workqueue_name *names,
                       size_t count)
{
    /* those of client-go that our clock can tell apart, and one more in each decade */
    static const double seconds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 100, 1000};
    static const char labels[] = "name,controller";
    assert(count > 0 && count <= WORKQUEUE_NAMES_MAX);
    if (m == NULL)
        return;
    q->metrics = m;
    q->names = names;
    q->name_count = count;
    q->depth = metrics_collected(m, METRIC_GAUGE, "workqueue_depth", "Keys that wait for a worker.",
                                 labels);
    q->adds = metrics_collected(m, METRIC_COUNTER, "workqueue_adds_total",
                                "Keys added that were not waiting already.", labels);
    q->retries = metrics_collected(m, METRIC_COUNTER, "workqueue_retries_total",
                                   "Keys to be added again at a later time.", labels);
    q->unfinished = metrics_collected(m, METRIC_GAUGE, "workqueue_unfinished_work_seconds",
                                      "How long the keys being worked on have been with their "
                                      "workers, all together.",
                                      labels);
    q->longest = metrics_collected(m, METRIC_GAUGE, "workqueue_longest_running_processor_seconds",
                                   "How long the longest of them has been.", labels);
    q->queue_seconds = metrics_histogram(m, "workqueue_queue_duration_seconds",
                                         "How long a key waited for a worker.", labels, seconds,
                                         ARRAY_SIZE(seconds));
    q->work_seconds =
        metrics_histogram(m, "workqueue_work_duration_seconds", "How long a worker had a key.",
                          labels, seconds, ARRAY_SIZE(seconds));
    metrics_collect(m, collect, q);
}

/* ---- entries ---- */

static struct entry *entry_of(struct workqueue *q, struct str key)
{
    assert(key.len < WORKQUEUE_KEY_MAX);
    struct entry *en = map_get(q->entries, key);
    if (en == NULL) {
        en = mem_alloc(sizeof *en);
        memcpy(en->key, key.ptr, key.len);
        en->len = key.len;
        en->name = name_of(q, key);
        map_put(q->entries, key, en);
    }
    return en;
}

static void drop_if_idle(struct workqueue *q, struct entry *en)
{
    if (en->is_ready || en->is_working || en->heap_at != 0 || en->backoff_ms != 0)
        return;
    map_remove(q->entries, str_n(en->key, en->len));
    mem_free(en);
}

static void push_ready_locked(struct workqueue *q, struct entry *en)
{
    en->is_ready = true;
    en->next = NULL;
    *q->last = en;
    q->last = &en->next;
    q->ready_count++;
    (void)pthread_cond_signal(&q->cond);
}

static void make_ready_locked(struct workqueue *q, struct entry *en)
{
    heap_remove(q, en);
    if (en->is_ready || en->is_dirty)
        return;
    count_added_locked(q, en);
    if (en->is_working)
        en->is_dirty = true;
    else
        push_ready_locked(q, en);
}

static void add_after_locked(struct workqueue *q, struct entry *en, int64_t delay_ms)
{
    if (delay_ms <= 0) {
        make_ready_locked(q, en);
        return;
    }
    if (en->is_ready || en->is_dirty)
        return;
    int64_t due = clock_mono_ms(clock_system()) + delay_ms;
    if (en->heap_at != 0 && en->due_ms <= due)
        return;
    heap_remove(q, en);
    en->due_ms = due;
    heap_add(q, en);
    q->measures[en->name].retries++;
    /* a waiting worker may have to wake earlier than it planned */
    (void)pthread_cond_signal(&q->cond);
}

void workqueue_add(struct workqueue *q, struct str key)
{
    workqueue_add_after(q, key, 0);
}

void workqueue_add_after(struct workqueue *q, struct str key, int64_t delay_ms)
{
    (void)pthread_mutex_lock(&q->mutex);
    if (!q->is_down)
        add_after_locked(q, entry_of(q, key), delay_ms);
    (void)pthread_mutex_unlock(&q->mutex);
}

void workqueue_add_failed(struct workqueue *q, struct str key)
{
    (void)pthread_mutex_lock(&q->mutex);
    if (!q->is_down) {
        struct entry *en = entry_of(q, key);
        int64_t next = en->backoff_ms != 0 ? en->backoff_ms * 2 : WORKQUEUE_BACKOFF_MIN_MS;
        en->backoff_ms = next < WORKQUEUE_BACKOFF_MAX_MS ? next : WORKQUEUE_BACKOFF_MAX_MS;
        add_after_locked(q, en, en->backoff_ms);
    }
    (void)pthread_mutex_unlock(&q->mutex);
}

void workqueue_forget(struct workqueue *q, struct str key)
{
    (void)pthread_mutex_lock(&q->mutex);
    struct entry *en = map_get(q->entries, key);
    if (en != NULL) {
        en->backoff_ms = 0;
        drop_if_idle(q, en);
    }
    (void)pthread_mutex_unlock(&q->mutex);
}

/* Moves entries whose date has come to the ready list; returns ms to the next date, or -1. */
static int64_t promote_locked(struct workqueue *q)
{
    int64_t now = clock_mono_ms(clock_system());
    while (q->heap_count != 0 && q->heap[0]->due_ms <= now)
        make_ready_locked(q, q->heap[0]);
    return q->heap_count != 0 ? q->heap[0]->due_ms - now : -1;
}

bool workqueue_get(struct workqueue *q, char *key, size_t *ret_len)
{
    (void)pthread_mutex_lock(&q->mutex);
    while (!q->is_down) {
        int64_t wait_ms = promote_locked(q);
        if (q->first != NULL)
            break;
        (void)thread_cond_wait_ms(&q->cond, &q->mutex, wait_ms);
    }
    bool has_key = !q->is_down;
    size_t name = 0;
    int64_t waited_ms = 0;
    if (has_key) {
        struct entry *en = q->first;
        q->first = en->next;
        if (q->first == NULL)
            q->last = &q->first;
        q->ready_count--;
        en->is_ready = false;
        en->is_working = true;
        q->working_count++;
        start_working_locked(q, en);
        name = en->name;
        waited_ms = en->started_ms - en->added_ms;
        memcpy(key, en->key, en->len + 1);
        *ret_len = en->len;
    }
    (void)pthread_mutex_unlock(&q->mutex);
    if (has_key)
        observe(q, q->queue_seconds, name, waited_ms);
    return has_key;
}

void workqueue_done(struct workqueue *q, struct str key)
{
    (void)pthread_mutex_lock(&q->mutex);
    struct entry *en = map_get(q->entries, key);
    bool was_working = en != NULL && en->is_working;
    size_t name = 0;
    int64_t worked_ms = 0;
    if (was_working) {
        name = en->name;
        worked_ms = clock_mono_ms(clock_system()) - en->started_ms;
        en->is_working = false;
        q->working_count--;
        stop_working_locked(en);
        if (en->is_dirty) {
            en->is_dirty = false;
            push_ready_locked(q, en);
        }
        drop_if_idle(q, en);
    }
    (void)pthread_mutex_unlock(&q->mutex);
    if (was_working)
        observe(q, q->work_seconds, name, worked_ms);
}

void workqueue_shut_down(struct workqueue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    q->is_down = true;
    (void)pthread_cond_broadcast(&q->cond);
    (void)pthread_mutex_unlock(&q->mutex);
}

size_t workqueue_depth(struct workqueue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    size_t n = q->ready_count + q->heap_count;
    (void)pthread_mutex_unlock(&q->mutex);
    return n;
}

bool workqueue_is_working(struct workqueue *q, struct str key)
{
    (void)pthread_mutex_lock(&q->mutex);
    const struct entry *en = map_get(q->entries, key);
    bool is_working = en != NULL && en->is_working;
    (void)pthread_mutex_unlock(&q->mutex);
    return is_working;
}

bool workqueue_is_idle(struct workqueue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
    bool is_idle = q->ready_count == 0 && q->working_count == 0;
    (void)pthread_mutex_unlock(&q->mutex);
    return is_idle;
}
