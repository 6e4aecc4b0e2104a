// SPDX-License-Identifier: Apache-2.0
/*
 * Struct to JSON: the members of a custom resource (its status), and the body of a request to AWS.
 */
#include "base/clock.h"
#include "json/write.h"
#include "schema/schema.h"
#include "schema_priv.h"

void schema_write_value(const struct field *f, const void *object, struct json_writer *w)
{
    const void *at = schema_at(f, object);
    char text[CLOCK_TEXT_MAX];
    switch (f->kind) {
    case FIELD_STR:
    case FIELD_DOCUMENT:
        json_str(w, *(const struct str *)at);
        return;
    case FIELD_BOOL:
        json_bool(w, ((const struct schema_bool *)at)->value);
        return;
    case FIELD_INT:
        json_int(w, ((const struct schema_i64 *)at)->value);
        return;
    case FIELD_DURATION:
        schema_duration_text(((const struct schema_i64 *)at)->value, text);
        json_str(w, str_from(text));
        return;
    case FIELD_TIME:
        schema_time_text(((const struct schema_i64 *)at)->value, text);
        json_str(w, str_from(text));
        return;
    case FIELD_OBJECT:
        json_begin_object(w);
        schema_encode_cr(f->sub, at, w);
        json_end(w);
        return;
    case FIELD_STR_LIST:
    case FIELD_LIST: {
        const struct schema_list *l = at;
        json_begin_array(w);
        for (size_t i = 0; i < l->count; i++) {
            const void *element = schema_element(f, l, i);
            if (f->kind == FIELD_STR_LIST) {
                json_str(w, *(const struct str *)element);
                continue;
            }
            json_begin_object(w);
            schema_encode_cr(f->sub, element, w);
            json_end(w);
        }
        json_end(w);
        return;
    }
    }
}

void schema_encode_cr(const struct schema *s, const void *in, struct json_writer *w)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        if (!schema_is_present(f, in))
            continue;
        json_key_str(w, str_from(f->name));
        schema_write_value(f, in, w);
    }
}

static void encode_aws_list(const struct field *f, const struct schema_list *l,
                            struct json_writer *w)
{
    json_begin_array(w);
    for (size_t i = 0; i < l->count; i++) {
        const void *element = schema_element(f, l, i);
        if (f->kind == FIELD_STR_LIST) {
            json_str(w, *(const struct str *)element);
            continue;
        }
        json_begin_object(w);
        schema_encode_aws(f->sub, element, SCHEMA_CREATE, w);
        json_end(w);
    }
    json_end(w);
}

/* What clears an absent field. */
static void encode_clear(const struct field *f, const void *at, struct json_writer *w)
{
    bool is_list = f->kind == FIELD_STR_LIST || f->kind == FIELD_LIST;
    if (f->kind == FIELD_OBJECT) {
        json_begin_object(w);
        schema_encode_aws(f->sub, at, SCHEMA_COMPLETE, w);
        json_end(w);
    } else if (is_list) {
        json_begin_array(w);
        json_end(w);
    } else {
        json_str(w, f->clear == FIELD_CLEAR_DEFAULT ? str_from(f->aws_default) : STR(""));
    }
}

void schema_encode_aws(const struct schema *s, const void *in, enum schema_mode mode,
                       struct json_writer *w)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        const void *at = schema_at(f, in);
        const char *key = schema_aws_key(f);
        bool is_present = schema_is_present(f, in);
        bool is_cleared = !is_present && mode == SCHEMA_COMPLETE && f->clear != FIELD_CLEAR_NONE;
        if (key == NULL || (!is_present && !is_cleared))
            continue;
        json_key_str(w, str_from(key));
        if (is_cleared) {
            encode_clear(f, at, w);
        } else if (f->kind == FIELD_OBJECT) {
            json_begin_object(w);
            schema_encode_aws(f->sub, at, mode, w);
            json_end(w);
        } else if (f->kind == FIELD_STR_LIST || f->kind == FIELD_LIST) {
            encode_aws_list(f, at, w);
        } else {
            schema_write_value(f, in, w);
        }
    }
}
