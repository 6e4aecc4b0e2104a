// SPDX-License-Identifier: Apache-2.0
/*
 * A table with every kind of field, for the tests of this package.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"
#include "schema/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sample_pair {
    struct str key, value;
};
struct sample_inner {
    bool has;
    struct str type;
    struct schema_i64 level;
};
struct sample {
    struct str name;
    struct str mode;
    struct str note;
    struct str hidden;
    struct str ref_name;
    struct str document;
    struct schema_bool on;
    struct schema_i64 count, every, at;
    struct schema_list colours;
    struct schema_list steps;
    struct schema_list pairs;
    struct schema_list points;
    struct sample_inner inner;
};

#define OFF(TYPE, MEMBER) .offset = (uint16_t)offsetof(TYPE, MEMBER), .doc = "A field."

static inline bool sample_is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 'a' || s.ptr[i] > 'z')
            return false;
    return s.len > 0;
}

/* Documents: JSON-looking text; equal when they have the same length. */
static inline bool sample_document_validate(struct str s, struct err *e)
{
    return str_starts_with(s, STR("{")) ||
           err_set(e, ERR_INVALID, "Bad", "must begin with a brace");
}
static inline bool sample_document_equal(struct str a, struct str b)
{
    return a.len == b.len;
}
static const struct field_format sample_document = {"document", sample_document_validate,
                                                    sample_document_equal};

static const char *const sample_modes[] = {"SLOW", "FAST", NULL};
static const char *const sample_colours[] = {"RED", "GREEN", "BLUE", NULL};

static const struct field sample_pair_fields[] = {
    {.name = "key",
     .kind = FIELD_STR,
     .flags = FIELD_REQUIRED,
     .aws = "Key",
     .min = 1,
     .max = 4,
     OFF(struct sample_pair, key)},
    {.name = "value",
     .kind = FIELD_STR,
     .aws = "Value",
     .max = 300,
     OFF(struct sample_pair, value)},
};
static const struct schema sample_pair_table = {
    "pairs", sizeof(struct sample_pair), sample_pair_fields, 2, NULL, NULL};

static const struct field sample_inner_fields[] = {
    {.name = "type",
     .kind = FIELD_STR,
     .flags = FIELD_REQUIRED,
     .clear = FIELD_CLEAR_DEFAULT,
     .aws_default = "PLAIN",
     .max = 10,
     OFF(struct sample_inner, type)},
    {.name = "level", .kind = FIELD_INT, .max = 9, OFF(struct sample_inner, level)},
};
static const struct schema sample_inner_table = {
    "inner", sizeof(struct sample_inner), sample_inner_fields, 2, NULL, NULL};

static const struct field sample_ref_fields[] = {
    {.name = "name",
     .kind = FIELD_STR,
     .flags = FIELD_REQUIRED,
     .max = 10,
     OFF(struct sample, ref_name)},
};
static const struct schema sample_ref_table = {
    "ref", sizeof(struct sample), sample_ref_fields, 1, NULL, NULL};

static inline bool sample_note_needs_name(const void *object)
{
    const struct sample *s = object;
    return str_is_null(s->note) || !str_is_null(s->name);
}
static const struct schema_rule sample_rules[] = {
    {"!has(self.note) || has(self.name)", "name must be given with note", ".name",
     sample_note_needs_name},
    {"!has(oldSelf.name)", "name is set once", ".name", NULL},
    {0},
};

static const struct field sample_fields[] = {
    {.name = "name",
     .kind = FIELD_STR,
     .min = 2,
     .max = 5,
     .pattern = "^[a-z]+$",
     .pattern_says = "must be a lower-case word",
     .matches = sample_is_word,
     OFF(struct sample, name)},
    {.name = "mode",
     .kind = FIELD_STR,
     .clear = FIELD_CLEAR_DEFAULT,
     .aws_default = "SLOW",
     .values = sample_modes,
     OFF(struct sample, mode)},
    {.name = "note",
     .kind = FIELD_STR,
     .aws = "Remark",
     .clear = FIELD_CLEAR_EMPTY,
     .max = 1000,
     OFF(struct sample, note)},
    {.name = "hidden", .kind = FIELD_STR, .aws = "", .max = 10, OFF(struct sample, hidden)},
    {.name = "ref",
     .kind = FIELD_OBJECT,
     .flags = FIELD_INLINE,
     .aws = "",
     .sub = &sample_ref_table,
     .doc = "A reference."},
    {.name = "document",
     .kind = FIELD_DOCUMENT,
     .clear = FIELD_CLEAR_EMPTY,
     .max = 40,
     .format = &sample_document,
     OFF(struct sample, document)},
    {.name = "on", .kind = FIELD_BOOL, OFF(struct sample, on)},
    {.name = "count", .kind = FIELD_INT, .min = 1, .max = 10, OFF(struct sample, count)},
    {.name = "every",
     .kind = FIELD_DURATION,
     .min = 10000,
     .max = 86400000,
     OFF(struct sample, every)},
    {.name = "at", .kind = FIELD_TIME, OFF(struct sample, at)},
    {.name = "colours",
     .kind = FIELD_STR_LIST,
     .flags = FIELD_SET,
     .min_items = 1,
     .max_items = 3,
     .values = sample_colours,
     OFF(struct sample, colours)},
    {.name = "steps", .kind = FIELD_STR_LIST, .max_items = 3, .max = 8, OFF(struct sample, steps)},
    {.name = "pairs",
     .kind = FIELD_LIST,
     .clear = FIELD_CLEAR_EMPTY,
     .max_items = 3,
     .sub = &sample_pair_table,
     .key = "key",
     OFF(struct sample, pairs)},
    {.name = "points",
     .kind = FIELD_LIST,
     .max_items = 3,
     .sub = &sample_pair_table,
     OFF(struct sample, points)},
    {.name = "inner",
     .kind = FIELD_OBJECT,
     .clear = FIELD_CLEAR_DEFAULT,
     .sub = &sample_inner_table,
     OFF(struct sample, inner)},
};
static const struct schema sample_table = {
    "spec", sizeof(struct sample), sample_fields, ARRAY_SIZE(sample_fields), sample_rules, NULL};

/* Parses text (which must be JSON); free the document. */
static inline struct json_doc *sample_parse(const char *text)
{
    struct json_doc *doc = NULL;
    struct err e = ERR_INIT;
    bool ok = json_parse(str_from(text), 1 << 20, &doc, &e);
    assert_true(ok);
    return doc;
}

static inline bool sample_decode(const char *text, struct arena *a, struct sample *ret,
                                 struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = sample_parse(text);
    return schema_decode_cr(&sample_table, json_root(doc), a, ret, e);
}
