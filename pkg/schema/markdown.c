// SPDX-License-Identifier: Apache-2.0
/*
 * The reference page: one table of fields for each object of a kind.
 */
#include "schema/kind.h"
#include "schema/schema.h"
#include "schema_priv.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATH_BYTES = 256 };

/* Text inside a cell: a bar would end it. */
static void append_cell(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            buf_append_char(out, '\\');
        buf_append_char(out, *text == '\n' ? ' ' : *text);
    }
}

static const char *type_text(const struct field *f)
{
    switch (f->kind) {
    case FIELD_STR:
        return f->values != NULL ? "enum" : "string";
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_DURATION:
        return "duration";
    case FIELD_TIME:
        return "date";
    case FIELD_DOCUMENT:
        return "JSON text or object";
    case FIELD_OBJECT:
        return "object";
    case FIELD_STR_LIST:
        return (f->flags & FIELD_SET) ? "set of strings" : "list of strings";
    case FIELD_LIST:
        return f->key != NULL ? "map" : "list of objects";
    }
    return "";
}

static void append_values(const struct field *f, struct buf *out)
{
    for (size_t i = 0; f->values[i] != NULL; i++)
        buf_printf(out, "%s`%s`", i > 0 ? ", " : " One of ", f->values[i]);
    buf_append_char(out, '.');
}

static void append_range(int64_t least, int64_t most, const char *what, struct buf *out)
{
    if (least == most)
        buf_printf(out, " %" PRId64 "%s.", most, what);
    else if (least > 0)
        buf_printf(out, " %" PRId64 " to %" PRId64 "%s.", least, most, what);
    else
        buf_printf(out, " At most %" PRId64 "%s.", most, what);
}

static void append_bounds(const struct field *f, struct buf *out)
{
    if (f->values != NULL)
        append_values(f, out);
    if (f->kind == FIELD_DURATION && f->max > 0) {
        char least[SCHEMA_DURATION_TEXT];
        char most[SCHEMA_DURATION_TEXT];
        schema_duration_text(f->min, least);
        schema_duration_text(f->max, most);
        buf_printf(out, " %s to %s.", least, most);
    } else if (f->max > 0) {
        append_range(f->min, f->max, f->kind == FIELD_INT ? "" : " characters", out);
    }
    if (f->max_items > 0)
        append_range(f->min_items, f->max_items, " elements", out);
    if (f->key != NULL)
        buf_printf(out, " Unique by `%s`.", f->key);
    if (f->aws_default != NULL && !(f->flags & FIELD_REQUIRED))
        buf_printf(out, " Absent means `%s`.", f->aws_default);
    if (f->pattern != NULL) {
        buf_append_cstr(out, " Pattern: <code>");
        append_cell(out, f->pattern);
        buf_append_cstr(out, "</code>.");
    }
}

static void append_row(const struct field *f, struct buf *out)
{
    bool is_required = (f->flags & FIELD_REQUIRED) != 0;
    bool is_immutable = (f->flags & FIELD_IMMUTABLE) != 0;
    buf_printf(out, "| `%s` | %s | ", f->name, type_text(f));
    append_cell(out, f->doc);
    if (is_required)
        buf_append_cstr(out, is_immutable ? " **Required, immutable.**" : " **Required.**");
    append_bounds(f, out);
    buf_append_cstr(out, " |\n");
}

static void append_rules(const struct schema_rule *r, struct buf *out)
{
    if (r == NULL)
        return;
    buf_append_cstr(out, "\nRules that the API server holds it to:\n\n");
    for (; r->rule != NULL; r++)
        buf_printf(out, "- %s\n", r->message);
}

void schema_to_markdown(const struct schema *s, const char *path, struct buf *out)
{
    buf_printf(out, "\n### `%s`\n\n", path);
    if (s->doc != NULL)
        buf_printf(out, "%s\n\n", s->doc);
    buf_append_cstr(out, "| Field | Type | Meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < s->count; i++)
        append_row(&s->fields[i], out);
    append_rules(s->rules, out);
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        char below[PATH_BYTES];
        if (f->sub == NULL)
            continue;
        (void)snprintf(below, sizeof(below), "%s.%s%s", path, f->name,
                       f->kind == FIELD_LIST ? "[]" : "");
        schema_to_markdown(f->sub, below, out);
    }
}

static void append_list(const char *label, const char *const *list, struct buf *out)
{
    if (list == NULL || list[0] == NULL)
        return;
    buf_printf(out, "- %s:", label);
    for (; *list != NULL; list++)
        buf_printf(out, " `%s`%s", *list, list[1] != NULL ? "," : "");
    buf_append_char(out, '\n');
}

void schema_kind_to_markdown(const struct schema_kind *k, struct buf *out)
{
    buf_printf(out, "\n## %s\n\n%s\n\n- `apiVersion: %s/%s`, cluster-scoped\n", k->kind, k->doc,
               k->group, k->version);
    append_list("Short names", k->short_names, out);
    append_list("Categories", k->categories, out);
    append_list("Field selectors", k->selectable_fields, out);
    buf_append_cstr(out, "\n| Column | Shown | Meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < k->column_count; i++) {
        const struct schema_column *c = &k->columns[i];
        buf_printf(out, "| %s | %s | ", c->name, c->is_wide ? "with `-o wide`" : "always");
        append_cell(out, c->doc);
        buf_append_cstr(out, " |\n");
    }
    schema_to_markdown(k->spec, "spec", out);
    schema_to_markdown(k->status, "status", out);
}
