// SPDX-License-Identifier: Apache-2.0
/*
 * Prometheus' text format, version 0.0.4: numbers, escapes, and the lines of a series.
 */
#include "base/str.h"
#include "metrics_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void append_label(struct buf *out, const struct metric_family *f, size_t i, struct str value)
{
    buf_append_char(out, i == 0 ? '{' : ',');
    buf_append(out, f->labels[i]);
    buf_append(out, STR("=\""));
    append_escaped(out, value, true);
    buf_append_char(out, '"');
}

/* name_suffix{label="value",…,le="bound"}; le is NULL but for buckets. */
static void append_name(struct buf *out, const struct metric_family *f, const struct series *s,
                        const char *suffix, const double *le)
{
    buf_append_cstr(out, f->name);
    buf_append_cstr(out, suffix);
    const char *value = s->key;
    for (size_t i = 0; i < f->label_count; i++) {
        append_label(out, f, i, str_from(value));
        value += strlen(value) + 1;
    }
    if (le != NULL) {
        buf_append_cstr(out, f->label_count > 0 ? ",le=\"" : "{le=\"");
        append_number(out, *le);
        buf_append_char(out, '"');
    }
    buf_append_cstr(out, f->label_count > 0 || le != NULL ? "} " : " ");
}

static void append_histogram(struct buf *out, const struct metric_family *f, const struct series *s)
{
    uint64_t so_far = 0;
    for (size_t i = 0; i <= f->bucket_count; i++) {
        const double le = i < f->bucket_count ? f->buckets[i] : (double)INFINITY;
        so_far += s->found[i];
        append_name(out, f, s, "_bucket", &le);
        buf_printf(out, "%" PRIu64 "\n", so_far);
    }
    append_name(out, f, s, "_sum", NULL);
    append_number(out, s->value);
    buf_append_char(out, '\n');
    append_name(out, f, s, "_count", NULL);
    buf_printf(out, "%" PRIu64 "\n", s->count);
}

void metrics_text_head(struct buf *out, const struct metric_family *f)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s ", f->name);
    append_escaped(out, str_from(f->help), false);
    buf_printf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
}

void metrics_text_series(struct buf *out, const struct metric_family *f, const struct series *s)
{
    if (f->type == METRIC_HISTOGRAM) {
        append_histogram(out, f, s);
        return;
    }
    append_name(out, f, s, "", NULL);
    append_number(out, s->value);
    buf_append_char(out, '\n');
}

void metrics_text_value(struct buf *out, const struct metric_family *f, const char *const *values,
                        double value)
{
    buf_append_cstr(out, f->name);
    for (size_t i = 0; i < f->label_count; i++)
        append_label(out, f, i, str_from(values[i] != NULL ? values[i] : ""));
    buf_append_cstr(out, f->label_count > 0 ? "} " : " ");
    append_number(out, value);
    buf_append_char(out, '\n');
}
