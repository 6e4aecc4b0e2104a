// SPDX-License-Identifier: Apache-2.0
/*
 * The rows as JSON, so that a test in another language can compare them with AWS' own model.
 */
#include "json/write.h"
#include "schema/schema.h"
#include "schema_priv.h"

enum { PATH_MAX_BYTES = 256 };

static const char *kind_name(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STR:
        return "string";
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_DURATION:
        return "duration";
    case FIELD_TIME:
        return "time";
    case FIELD_DOCUMENT:
        return "document";
    case FIELD_OBJECT:
        return "object";
    case FIELD_STR_LIST:
        return "strings";
    case FIELD_LIST:
        return "objects";
    }
    return "";
}

static void append_step(struct buf *path, const char *name, const struct field *f)
{
    if (path->len > 0)
        buf_append_char(path, '.');
    buf_append_cstr(path, name);
    if (f->kind == FIELD_LIST)
        buf_append_cstr(path, "[]");
}

static void put_bounds(const struct field *f, struct json_writer *w)
{
    if (f->pattern != NULL)
        json_put_cstr(w, "pattern", f->pattern);
    if (f->max > 0) {
        json_put_int(w, "min", f->min);
        json_put_int(w, "max", f->max);
    }
    if (f->max_items > 0) {
        json_put_int(w, "minItems", f->min_items);
        json_put_int(w, "maxItems", f->max_items);
    }
    if (f->values == NULL)
        return;
    json_key_begin_array(w, "values");
    for (size_t i = 0; f->values[i] != NULL; i++)
        json_str(w, str_from(f->values[i]));
    json_end(w);
}

static void put_rows(const struct schema *s, struct buf *path, struct buf *aws, bool is_sent,
                     struct json_writer *w)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        const char *key = schema_aws_key(f);
        bool is_ours = !is_sent || key == NULL;
        size_t path_len = path->len;
        size_t aws_len = aws->len;
        append_step(path, f->name, f);
        if (!is_ours)
            append_step(aws, key, f);
        json_begin_object(w);
        json_put_str(w, "path", buf_str(path));
        if (!is_ours)
            json_put_str(w, "aws", buf_str(aws));
        json_put_cstr(w, "kind", kind_name(f->kind));
        json_put_bool(w, "required", (f->flags & FIELD_REQUIRED) != 0);
        put_bounds(f, w);
        json_end(w);
        if (f->sub != NULL)
            put_rows(f->sub, path, aws, !is_ours, w);
        buf_truncate(path, path_len);
        buf_truncate(aws, aws_len);
    }
}

void schema_to_table(const struct schema *s, struct json_writer *w)
{
    struct buf path BERTH_CLEANUP(buf_fini) = BUF_INIT(PATH_MAX_BYTES);
    struct buf aws BERTH_CLEANUP(buf_fini) = BUF_INIT(PATH_MAX_BYTES);
    put_rows(s, &path, &aws, true, w);
}
