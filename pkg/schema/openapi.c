// SPDX-License-Identifier: Apache-2.0
/*
 * The table as an OpenAPI v3 structural schema, the form that a CustomResourceDefinition takes.
 *
 * No `default` is ever written below spec: GitOps tools compare what was applied with what is
 * stored, and a default inside a list would differ for ever. Every text and list is bounded: the
 * API server refuses rules whose cost it cannot bound.
 */
#include "json/write.h"
#include "schema/schema.h"
#include "schema_priv.h"

#include <stdio.h>

static void put_rule(struct json_writer *w, const char *rule, const char *message,
                     const char *field_path)
{
    json_begin_object(w);
    json_put_cstr(w, "rule", rule);
    json_put_cstr(w, "message", message);
    if (field_path != NULL)
        json_put_cstr(w, "fieldPath", field_path);
    json_end(w);
}

static void put_own_rules(const struct schema_rule *r, struct json_writer *w)
{
    for (; r != NULL && r->rule != NULL; r++)
        put_rule(w, r->rule, r->message, r->field_path);
}

static void put_duration_rule(const struct field *f, struct json_writer *w)
{
    char least[SCHEMA_DURATION_TEXT];
    char most[SCHEMA_DURATION_TEXT];
    char rule[128];
    char message[128];
    schema_duration_text(f->min, least);
    schema_duration_text(f->max, most);
    (void)snprintf(rule, sizeof(rule),
                   "duration(self) >= duration('%s') && duration(self) <= "
                   "duration('%s')",
                   least, most);
    (void)snprintf(message, sizeof(message), "%s must be between %s and %s", f->name, least, most);
    put_rule(w, rule, message, NULL);
}

static void put_field_rules(const struct field *f, struct json_writer *w)
{
    bool is_duration = f->kind == FIELD_DURATION && f->max > 0;
    bool is_immutable = (f->flags & FIELD_IMMUTABLE) != 0;
    if (!is_duration && !is_immutable && f->rules == NULL)
        return;
    json_key_begin_array(w, "x-kubernetes-validations");
    if (is_immutable) {
        char message[128];
        (void)snprintf(message, sizeof(message), "%s is immutable: it must stay as it was created",
                       f->name);
        put_rule(w, "self == oldSelf", message, NULL);
    }
    if (is_duration)
        put_duration_rule(f, w);
    put_own_rules(f->rules, w);
    json_end(w);
}

/* The members of a string's schema. */
static void put_string(const struct field *f, struct json_writer *w)
{
    json_put_cstr(w, "type", "string");
    if (f->values != NULL) {
        json_key_begin_array(w, "enum");
        for (size_t i = 0; f->values[i] != NULL; i++)
            json_str(w, str_from(f->values[i]));
        json_end(w);
    }
    if (f->min > 0)
        json_put_int(w, "minLength", f->min);
    if (f->max > 0)
        json_put_int(w, "maxLength", f->max);
    if (f->pattern != NULL)
        json_put_cstr(w, "pattern", f->pattern);
}

/* Takes a string or an object and nothing else, although a structural schema cannot say so with
 * types: bounds that only numbers and arrays have refuse these, `not` the booleans. */
static void put_document(const struct field *f, struct json_writer *w)
{
    json_put_bool(w, "x-kubernetes-preserve-unknown-fields", true);
    json_put_int(w, "maxLength", f->max);
    json_put_int(w, "maxItems", 0);
    json_put_int(w, "minimum", 1);
    json_put_int(w, "maximum", 0);
    json_key_begin_object(w, "not");
    json_key_begin_array(w, "enum");
    json_bool(w, true);
    json_bool(w, false);
    json_begin_array(w);
    json_end(w);
    json_end(w);
    json_end(w);
}

static void put_object(const struct schema *s, struct json_writer *w);

static const char *list_type(const struct field *f)
{
    if (f->key != NULL)
        return "map";
    return (f->flags & FIELD_SET) != 0 ? "set" : "atomic";
}

static void put_list(const struct field *f, struct json_writer *w)
{
    json_put_cstr(w, "type", "array");
    if (f->min_items > 0)
        json_put_int(w, "minItems", f->min_items);
    json_put_int(w, "maxItems", f->max_items);
    json_put_cstr(w, "x-kubernetes-list-type", list_type(f));
    if (f->key != NULL) {
        json_key_begin_array(w, "x-kubernetes-list-map-keys");
        json_str(w, str_from(f->key));
        json_end(w);
    }
    json_key_begin_object(w, "items");
    if (f->kind == FIELD_STR_LIST)
        put_string(f, w);
    else
        put_object(f->sub, w);
    json_end(w);
}

static void put_integer(const struct field *f, struct json_writer *w)
{
    json_put_cstr(w, "type", "integer");
    json_put_cstr(w, "format", "int64");
    if (f->max > 0) {
        json_put_int(w, "minimum", f->min);
        json_put_int(w, "maximum", f->max);
    }
}

/* The members that depend on the kind. */
static void put_kind(const struct field *f, struct json_writer *w)
{
    switch (f->kind) {
    case FIELD_STR:
        put_string(f, w);
        return;
    case FIELD_DOCUMENT:
        put_document(f, w);
        return;
    case FIELD_BOOL:
        json_put_cstr(w, "type", "boolean");
        return;
    case FIELD_INT:
        put_integer(f, w);
        return;
    case FIELD_DURATION:
        json_put_cstr(w, "type", "string");
        json_put_int(w, "maxLength", SCHEMA_DURATION_LEN_MAX);
        json_put_cstr(w, "pattern", SCHEMA_DURATION_PATTERN);
        return;
    case FIELD_TIME:
        json_put_cstr(w, "type", "string");
        json_put_cstr(w, "format", "date-time");
        return;
    case FIELD_OBJECT:
        put_object(f->sub, w);
        return;
    case FIELD_STR_LIST:
    case FIELD_LIST:
        put_list(f, w);
        return;
    }
}

static void put_required(const struct schema *s, struct json_writer *w)
{
    bool is_open = false;
    for (size_t i = 0; i < s->count; i++) {
        if (!(s->fields[i].flags & FIELD_REQUIRED))
            continue;
        if (!is_open)
            json_key_begin_array(w, "required");
        is_open = true;
        json_str(w, str_from(s->fields[i].name));
    }
    if (is_open)
        json_end(w);
}

static void put_object(const struct schema *s, struct json_writer *w)
{
    json_put_cstr(w, "type", "object");
    json_key_begin_object(w, "properties");
    for (size_t i = 0; i < s->count; i++) {
        const struct field *f = &s->fields[i];
        json_key_str(w, str_from(f->name));
        json_begin_object(w);
        json_put_cstr(w, "description", f->doc);
        put_kind(f, w);
        put_field_rules(f, w);
        json_end(w);
    }
    json_end(w);
    put_required(s, w);
    if (s->rules != NULL) {
        json_key_begin_array(w, "x-kubernetes-validations");
        put_own_rules(s->rules, w);
        json_end(w);
    }
}

void schema_to_openapi(const struct schema *s, struct json_writer *w)
{
    json_begin_object(w);
    if (s->doc != NULL)
        json_put_cstr(w, "description", s->doc);
    put_object(s, w);
    json_end(w);
}
