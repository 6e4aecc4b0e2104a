// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics and their text form. One mutex guards everything: what is done under it touches memory
 * only, and series are updated some hundred times a second at most. Families render sorted by
 * name and series by their label values, so that two renderings of one state are equal.
 */
#include "base/metrics.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct series {
    char *key; /* label values, each with its NUL */
    size_t key_len;
    double value;    /* of a histogram: the sum */
    uint64_t count;  /* of a histogram */
    uint64_t *found; /* of a histogram: observations in each bucket, not cumulated */
};

struct metric_family {
    struct metrics *owner;
    char *name;
    char *help;
    enum metric_type type;
    char *label_text; /* the names; labels point into it */
    struct str labels[METRICS_LABELS_MAX];
    size_t label_count;
    double *buckets;
    size_t bucket_count;
    struct map *series;
};

struct metrics {
    pthread_mutex_t mutex;
    struct metric_family **families; /* sorted by name */
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
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (m == NULL)
        return NULL;
    for (size_t i = 0; i < m->count; i++)
        family_free(m->families[i]);
    mem_free(m->families);
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

static struct metric_family *declare(struct metrics *m, enum metric_type type, const char *name,
                                     const char *help, const char *labels, const double *buckets,
                                     size_t bucket_count)
{
    pthread_mutex_lock(&m->mutex);
    size_t at;
    struct metric_family *f = find(m, name, &at);
    if (f == NULL) {
        f = family_new(m, type, name, help, labels);
        if (bucket_count > 0) {
            f->buckets = mem_alloc_array(bucket_count, sizeof(*buckets));
            memcpy(f->buckets, buckets, bucket_count * sizeof(*buckets));
            f->bucket_count = bucket_count;
        }
        if (f->label_count == 0) /* there from the start, as 0 */
            (void)series_locked(f, STR(""));
        m->families = mem_realloc(m->families, (m->count + 1) * sizeof(struct metric_family *));
        memmove(m->families + at + 1, m->families + at,
                (m->count - at) * sizeof(struct metric_family *));
        m->families[at] = f;
        m->count++;
    }
    assert(f->type == type && strcmp(f->label_text, labels) == 0);
    pthread_mutex_unlock(&m->mutex);
    return f;
}

struct metric_family *metrics_counter(struct metrics *m, const char *name, const char *help,
                                      const char *labels)
{
    return declare(m, METRIC_COUNTER, name, help, labels, NULL, 0);
}

struct metric_family *metrics_gauge(struct metrics *m, const char *name, const char *help,
                                    const char *labels)
{
    return declare(m, METRIC_GAUGE, name, help, labels, NULL, 0);
}

struct metric_family *metrics_histogram(struct metrics *m, const char *name, const char *help,
                                        const char *labels, const double *buckets, size_t count)
{
    for (size_t i = 1; i < count; i++)
        assert(buckets[i - 1] < buckets[i]);
    return declare(m, METRIC_HISTOGRAM, name, help, labels, buckets, count);
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

enum change { CHANGE_ADD, CHANGE_SET, CHANGE_OBSERVE };

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
    assert((f->type == METRIC_HISTOGRAM) == (how == CHANGE_OBSERVE));
    assert(!(f->type == METRIC_COUNTER && how == CHANGE_ADD && value < 0));
    size_t len;
    char *key BERTH_CLEANUP(mem_freecp) = key_of(f, values, &len);
    pthread_mutex_lock(&f->owner->mutex);
    struct series *s = series_locked(f, str_n(key, len));
    switch (how) {
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

static void append_number(struct buf *out, double d)
{
    if (isnan(d)) {
        buf_append(out, STR("NaN"));
    } else if (isinf(d)) {
        buf_append_cstr(out, d > 0 ? "+Inf" : "-Inf");
    } else {
        char text[40]; /* the shortest that reads back as the same double */
        for (int digits = 6; digits <= 17; digits++) {
            (void)snprintf(text, sizeof(text), "%.*g", digits, d);
            const double back = strtod(text, NULL);
            if (!(back < d) && !(back > d))
                break;
        }
        buf_append_cstr(out, text);
    }
}

/* The text format is UTF-8; what is not becomes '?', byte by byte. */
static void append_escaped(struct buf *out, struct str s, bool has_quotes)
{
    const bool is_utf8 = str_is_utf8(s);
    for (size_t i = 0; i < s.len; i++) {
        const char c = s.ptr[i];
        if (c == '\n')
            buf_append(out, STR("\\n"));
        else if (c == '\\')
            buf_append(out, STR("\\\\"));
        else if (c == '"' && has_quotes)
            buf_append(out, STR("\\\""));
        else
            buf_append_char(out, !is_utf8 && (unsigned char)c >= 0x80 ? '?' : c);
    }
}

/* name_suffix{label="value",…,le="bound"}; le is NULL but for buckets. */
static void append_series(struct buf *out, const struct metric_family *f, const struct series *s,
                          const char *suffix, const double *le)
{
    buf_printf(out, "%s%s", f->name, suffix);
    const char *value = s->key;
    for (size_t i = 0; i < f->label_count; i++) {
        buf_printf(out, "%s%.*s=\"", i == 0 ? "{" : ",", STR_ARG(f->labels[i]));
        append_escaped(out, str_from(value), true);
        buf_append_char(out, '"');
        value += strlen(value) + 1;
    }
    if (le != NULL) {
        buf_append_cstr(out, f->label_count > 0 ? ",le=\"" : "{le=\"");
        append_number(out, *le);
        buf_append_char(out, '"');
    }
    buf_append_cstr(out, f->label_count > 0 || le != NULL ? "} " : " ");
}

static void render_histogram(struct buf *out, const struct metric_family *f, const struct series *s)
{
    uint64_t so_far = 0;
    for (size_t i = 0; i <= f->bucket_count; i++) {
        const double le = i < f->bucket_count ? f->buckets[i] : (double)INFINITY;
        so_far += s->found[i];
        append_series(out, f, s, "_bucket", &le);
        buf_printf(out, "%" PRIu64 "\n", so_far);
    }
    append_series(out, f, s, "_sum", NULL);
    append_number(out, s->value);
    buf_append_char(out, '\n');
    append_series(out, f, s, "_count", NULL);
    buf_printf(out, "%" PRIu64 "\n", s->count);
}

static int compare_series(const void *x, const void *y)
{
    const struct series *a = *(const struct series *const *)x;
    const struct series *b = *(const struct series *const *)y;
    return str_cmp(str_n(a->key, a->key_len), str_n(b->key, b->key_len));
}

static void render_family(struct buf *out, const struct metric_family *f)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const size_t count = map_count(f->series);
    if (count == 0)
        return;
    buf_printf(out, "# HELP %s ", f->name);
    append_escaped(out, str_from(f->help), false);
    buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
    const struct series **sorted = mem_alloc_array(count, sizeof(const struct series *));
    size_t n = 0;
    for (struct map_entry *it = map_first(f->series); it != NULL; it = map_next(it))
        sorted[n++] = map_value(it);
    qsort(sorted, n, sizeof(*sorted), compare_series);
    for (size_t i = 0; i < n; i++) {
        if (f->type == METRIC_HISTOGRAM) {
            render_histogram(out, f, sorted[i]);
            continue;
        }
        append_series(out, f, sorted[i], "", NULL);
        append_number(out, sorted[i]->value);
        buf_append_char(out, '\n');
    }
    mem_free(sorted);
}

void metrics_render(struct metrics *m, struct buf *out)
{
    pthread_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->count; i++)
        render_family(out, m->families[i]);
    pthread_mutex_unlock(&m->mutex);
}
