// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics and their series. One mutex guards all stored ones: what is done under it touches memory
 * only, and series are updated some hundred times a second at most. Families render sorted by
 * name and stored series by their label values, so that two renderings of one state are equal. The
 * text form is in metrics_text.c.
 */
#include "base/metrics.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"
#include "metrics_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct collector {
    metrics_collector *fn; /* NULL: ended */
    void *arg;
};

struct metrics {
    pthread_mutex_t mutex;
    pthread_cond_t rendered;         /* scrapes became 0 */
    struct metric_family **families; /* sorted by name */
    size_t count;
    struct collector *collectors;
    size_t collector_count;
    int scrapes; /* under way */
};

/* The texts of collected families, by their number. Of the thread that renders. */
struct metrics_scrape {
    struct buf *texts;
    size_t count;
};

static bool is_name(struct str s, bool may_have_colon)
{
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const bool is_digit = c >= '0' && c <= '9' && i > 0;
        if (!is_letter && !is_digit && !(may_have_colon && c == ':'))
            return false;
    }
    return s.len > 0;
}

static void series_free(void *p)
{
    struct series *s = p;
    mem_free(s->key);
    mem_free(s->found);
    mem_free(s);
}

static void family_free(struct metric_family *f)
{
    map_free(f->series, series_free);
    mem_free(f->name);
    mem_free(f->help);
    mem_free(f->label_text);
    mem_free(f->buckets);
    mem_free(f);
}

struct metrics *metrics_new(void)
{
    struct metrics *m = mem_alloc(sizeof(*m));
    pthread_mutex_init(&m->mutex, NULL);
    thread_cond_init(&m->rendered);
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (m == NULL)
        return NULL;
    for (size_t i = 0; i < m->count; i++)
        family_free(m->families[i]);
    mem_free(m->families);
    mem_free(m->collectors);
    pthread_cond_destroy(&m->rendered);
    pthread_mutex_destroy(&m->mutex);
    return mem_free(m);
}

/* The series with this key; made where it is not there, or the one for what is too many. */
static struct series *series_locked(struct metric_family *f, struct str key)
{
    struct series *s = map_get(f->series, key);
    if (s != NULL)
        return s;
    char other[METRICS_LABELS_MAX * sizeof("other")];
    if (f->label_count > 0 && map_count(f->series) >= METRICS_SERIES_MAX) {
        for (size_t i = 0; i < f->label_count; i++)
            memcpy(other + i * sizeof("other"), "other", sizeof("other"));
        key = str_n(other, f->label_count * sizeof("other"));
        s = map_get(f->series, key);
        if (s != NULL)
            return s;
    }
    s = mem_alloc(sizeof(*s));
    s->key = mem_dup(key.ptr, key.len);
    s->key_len = key.len;
    if (f->type == METRIC_HISTOGRAM)
        s->found = mem_alloc_array(f->bucket_count + 1, sizeof(*s->found));
    (void)map_put(f->series, key, s);
    return s;
}

static struct metric_family *find(const struct metrics *m, const char *name, size_t *ret_at)
{
    size_t at = 0;
    while (at < m->count && strcmp(m->families[at]->name, name) < 0)
        at++;
    *ret_at = at;
    return at < m->count && strcmp(m->families[at]->name, name) == 0 ? m->families[at] : NULL;
}

static struct metric_family *family_new(struct metrics *m, enum metric_type type, const char *name,
                                        const char *help, const char *labels)
{
    assert(is_name(str_from(name), true));
    struct metric_family *f = mem_alloc(sizeof(*f));
    f->owner = m;
    f->name = mem_strdup(name);
    f->help = mem_strdup(help);
    f->type = type;
    f->label_text = mem_strdup(labels);
    f->series = map_new();
    struct str rest = f->label_text[0] != '\0' ? str_from(f->label_text) : STR_NULL;
    struct str label;
    while (str_next(&rest, ',', &label)) {
        assert(is_name(label, false) && f->label_count < METRICS_LABELS_MAX);
        f->labels[f->label_count++] = label;
    }
    return f;
}

/* What a family is declared with. */
struct declaration {
    enum metric_type type;
    const char *name;
    const char *help;
    const char *labels;
    const double *buckets;
    size_t bucket_count;
    bool is_collected;
};

static struct metric_family *add_locked(struct metrics *m, const struct declaration *d, size_t at)
{
    struct metric_family *f = family_new(m, d->type, d->name, d->help, d->labels);
    f->is_collected = d->is_collected;
    f->number = m->count;
    if (d->bucket_count > 0) {
        f->buckets = mem_alloc_array(d->bucket_count, sizeof(*f->buckets));
        memcpy(f->buckets, d->buckets, d->bucket_count * sizeof(*f->buckets));
        f->bucket_count = d->bucket_count;
    }
    if (f->label_count == 0 && !f->is_collected) /* there from the start, as 0 */
        (void)series_locked(f, STR(""));
    m->families = mem_realloc(m->families, (m->count + 1) * sizeof(struct metric_family *));
    memmove(m->families + at + 1, m->families + at,
            (m->count - at) * sizeof(struct metric_family *));
    m->families[at] = f;
    m->count++;
    return f;
}

static struct metric_family *declare(struct metrics *m, const struct declaration *d)
{
    if (m == NULL)
        return NULL;
    pthread_mutex_lock(&m->mutex);
    size_t at;
    struct metric_family *f = find(m, d->name, &at);
    if (f == NULL)
        f = add_locked(m, d, at);
    assert(f->type == d->type && f->is_collected == d->is_collected &&
           strcmp(f->label_text, d->labels) == 0);
    pthread_mutex_unlock(&m->mutex);
    return f;
}

struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help,
                                      const char *labels)
{
    return declare(m, &(struct declaration){METRIC_COUNTER, name, help, labels, NULL, 0, false});
}

struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help,
                                    const char *labels)
{
    return declare(m, &(struct declaration){METRIC_GAUGE, name, help, labels, NULL, 0, false});
}

struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help,
                                        const char *labels, const double *buckets, size_t count)
{
    for (size_t i = 1; i < count; i++)
        assert(buckets[i - 1] < buckets[i]);
    return declare(
        m, &(struct declaration){METRIC_HISTOGRAM, name, help, labels, buckets, count, false});
}

struct metric_family *metrics_collected(struct metrics *m, enum metric_type type, const char *name,
                                        const char *help, const char *labels)
{
    assert(type != METRIC_HISTOGRAM);
    return declare(m, &(struct declaration){type, name, help, labels, NULL, 0, true});
}

/* Label values with a NUL after each: no two lists give the same bytes. mem_free() it. */
static char *key_of(const struct metric_family *f, const char *const *values, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < f->label_count; i++)
        len += (values[i] != NULL ? strlen(values[i]) : 0) + 1;
    char *key = mem_alloc(len + 1);
    size_t at = 0;
    for (size_t i = 0; i < f->label_count; i++) {
        const size_t n = values[i] != NULL ? strlen(values[i]) : 0;
        if (n > 0)
            memcpy(key + at, values[i], n);
        at += n + 1;
    }
    *ret_len = len;
    return key;
}

enum change { CHANGE_NOTHING, CHANGE_ADD, CHANGE_SET, CHANGE_OBSERVE };

static void observe_locked(const struct metric_family *f, struct series *s, double value)
{
    size_t bucket = 0;
    while (bucket < f->bucket_count && !(value <= f->buckets[bucket])) /* NaN: the last */
        bucket++;
    s->found[bucket]++;
    s->count++;
    s->value += value;
}

static void change(struct metric_family *f, const char *const *values, enum change how,
                   double value)
{
    if (f == NULL)
        return;
    assert(!f->is_collected);
    assert(how == CHANGE_NOTHING || (f->type == METRIC_HISTOGRAM) == (how == CHANGE_OBSERVE));
    assert(!(f->type == METRIC_COUNTER && how == CHANGE_ADD && value < 0));
    size_t len;
    char *key BERTH_CLEANUP(mem_freecp) = key_of(f, values, &len);
    pthread_mutex_lock(&f->owner->mutex);
    struct series *s = series_locked(f, str_n(key, len));
    switch (how) {
    case CHANGE_NOTHING:
        break;
    case CHANGE_ADD:
        s->value += value;
        break;
    case CHANGE_SET:
        s->value = value;
        break;
    case CHANGE_OBSERVE:
        observe_locked(f, s, value);
        break;
    }
    pthread_mutex_unlock(&f->owner->mutex);
}

void metric_begin(struct metric_family *f, const char *const *values)
{
    change(f, values, CHANGE_NOTHING, 0);
}

void metric_add(struct metric_family *f, const char *const *values, double amount)
{
    change(f, values, CHANGE_ADD, amount);
}

void metric_set(struct metric_family *f, const char *const *values, double value)
{
    change(f, values, CHANGE_SET, value);
}

void metric_observe(struct metric_family *f, const char *const *values, double value)
{
    change(f, values, CHANGE_OBSERVE, value);
}

void metric_remove(struct metric_family *f, const char *const *values)
{
    if (f == NULL)
        return;
    size_t len;
    char *key BERTH_CLEANUP(mem_freecp) = key_of(f, values, &len);
    pthread_mutex_lock(&f->owner->mutex);
    struct series *s = map_remove(f->series, str_n(key, len));
    if (s != NULL)
        series_free(s);
    pthread_mutex_unlock(&f->owner->mutex);
}

static int compare_series(const void *x, const void *y)
{
    const struct series *a = *(const struct series *const *)x;
    const struct series *b = *(const struct series *const *)y;
    return str_cmp(str_n(a->key, a->key_len), str_n(b->key, b->key_len));
}

static void render_stored_locked(struct buf *out, const struct metric_family *f)
{
    const size_t count = map_count(f->series);
    if (count == 0)
        return;
    metrics_text_head(out, f);
    const struct series **sorted = mem_alloc_array(count, sizeof(const struct series *));
    size_t n = 0;
    for (struct map_entry *it = map_first(f->series); it != NULL; it = map_next(it))
        sorted[n++] = map_value(it);
    qsort(sorted, n, sizeof(*sorted), compare_series);
    for (size_t i = 0; i < n; i++)
        metrics_text_series(out, f, sorted[i]);
    mem_free(sorted);
}

/* --- collecting --------------------------------------------------------------------------------
 */

void metrics_collect(struct metrics *m, metrics_collector *fn, void *arg)
{
    if (m == NULL)
        return;
    pthread_mutex_lock(&m->mutex);
    size_t at = 0;
    while (at < m->collector_count && m->collectors[at].fn != NULL)
        at++;
    if (at == m->collector_count) {
        m->collectors =
            mem_realloc(m->collectors, (m->collector_count + 1) * sizeof(*m->collectors));
        m->collector_count++;
    }
    m->collectors[at] = (struct collector){fn, arg};
    pthread_mutex_unlock(&m->mutex);
}

void metrics_collect_end(struct metrics *m, const void *arg)
{
    if (m == NULL)
        return;
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->collector_count; i++) {
        if (m->collectors[i].arg == arg)
            m->collectors[i].fn = NULL;
    }
    /* collectors do not block, so that this is a matter of milliseconds */
    while (m->scrapes > 0)
        (void)thread_cond_wait_ms(&m->rendered, &m->mutex, -1);
    pthread_mutex_unlock(&m->mutex);
}

void metric_emit(struct metrics_scrape *s, const struct metric_family *f, const char *const *values,
                 double value)
{
    if (f == NULL)
        return;
    assert(f->is_collected);
    if (f->number >= s->count)
        return; /* declared since this scrape began: in the next one */
    struct buf *out = &s->texts[f->number];
    if (!buf_ok(out))
        return;
    if (out->len == 0)
        metrics_text_head(out, f);
    const size_t before = out->len;
    metrics_text_value(out, f, values, value);
    if (!buf_ok(out)) /* whole lines only; it stays failed, so that nothing follows */
        buf_truncate(out, before);
}

/* The collector with that index as it is now; false: there are no more. */
static bool collector_at(struct metrics *m, size_t i, struct collector *ret)
{
    pthread_mutex_lock(&m->mutex);
    const bool is_one = i < m->collector_count;
    if (is_one)
        *ret = m->collectors[i];
    pthread_mutex_unlock(&m->mutex);
    return is_one;
}

static void collect(struct metrics *m, struct metrics_scrape *s)
{
    struct collector c;
    s->texts = mem_alloc_array(s->count, sizeof(*s->texts));
    for (size_t i = 0; i < s->count; i++)
        s->texts[i] = BUF_INIT(METRICS_COLLECTED_MAX_BYTES);
    for (size_t i = 0; collector_at(m, i, &c); i++) {
        if (c.fn != NULL)
            c.fn(c.arg, s);
    }
}

/* The families as they are now; mem_free() them. They live as long as m. */
static struct metric_family **begin_scrape(struct metrics *m, size_t *ret_count)
{
    pthread_mutex_lock(&m->mutex);
    m->scrapes++;
    struct metric_family **families = mem_alloc_array(m->count, sizeof(struct metric_family *));
    if (m->count > 0)
        memcpy(families, m->families, m->count * sizeof(struct metric_family *));
    *ret_count = m->count;
    pthread_mutex_unlock(&m->mutex);
    return families;
}

static void end_scrape(struct metrics *m)
{
    pthread_mutex_lock(&m->mutex);
    if (--m->scrapes == 0)
        (void)pthread_cond_broadcast(&m->rendered);
    pthread_mutex_unlock(&m->mutex);
}

void metrics_render(struct metrics *m, struct buf *out)
{
    struct metrics_scrape s = {0};
    struct metric_family **families = begin_scrape(m, &s.count);
    collect(m, &s);
    end_scrape(m);
    for (size_t i = 0; i < s.count; i++) {
        const struct metric_family *f = families[i];
        struct buf *text = &s.texts[f->number];
        if (f->is_collected) {
            buf_append(out, buf_str(text));
            buf_fini(text);
            continue;
        }
        pthread_mutex_lock(&m->mutex);
        render_stored_locked(out, f);
        pthread_mutex_unlock(&m->mutex);
    }
    mem_free(s.texts);
    mem_free(families);
}
