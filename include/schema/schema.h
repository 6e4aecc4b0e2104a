// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptor tables: one row per field of an object of ours, and everything that follows from it.
 *
 * A `struct schema` describes a C struct: where each field lies, what the custom resource and AWS
 * call it, what is allowed in it, what its absence means. From that one table come the decoder of
 * the custom resource (which validates), the decoder of AWS' reply, the body of AWS' request, the
 * comparison of the two, the OpenAPI schema of the CRD and the reference page. Behaviour that
 * differs by field is a column of the table, never an `if` elsewhere.
 *
 * Absence is explicit and different from empty: a struct str without pointer, a list without
 * items pointer, `has` in every other value. Tables are `static const` and read-only: everything
 * here may be called from any thread, each with its own arena.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct json_writer;
struct schema;

/* --- values ---------------------------------------------------------------------------------- */

struct schema_i64 {
    bool has;
    int64_t value;
};
struct schema_bool {
    bool has;
    bool value;
};
/* items NULL: absent; a list that is present and empty has items and count 0. items points to
 * `count` elements: struct str for lists of strings, else the struct of the field's sub-schema. */
struct schema_list {
    void *items;
    size_t count;
};

/* A deep copy of a list of struct str; absent stays absent. */
struct schema_list schema_texts_copy(const struct schema_list *from, struct arena *a);

enum field_kind {
    FIELD_STR,      /* struct str */
    FIELD_BOOL,     /* struct schema_bool */
    FIELD_INT,      /* struct schema_i64; min and max bound the value */
    FIELD_DURATION, /* struct schema_i64, milliseconds; "90s", "1h30m"; min and max in ms */
    FIELD_TIME,     /* struct schema_i64, unix milliseconds; RFC 3339 here, a number at AWS */
    FIELD_DOCUMENT, /* struct str, JSON text; the resource takes a string or an object */
    FIELD_OBJECT,   /* the struct of `sub`, embedded; its first member is `bool has` */
    FIELD_STR_LIST, /* struct schema_list of struct str; enum, pattern, max are of the element */
    FIELD_LIST,     /* struct schema_list of the struct of `sub` */
};

enum field_flags {
    FIELD_REQUIRED = 1 << 0,
    FIELD_IMMUTABLE = 1 << 1, /* of a required field: a CEL rule; of others: write it in `rules` */
    FIELD_SET = 1 << 2,       /* a list without order and duplicates; compared as a set */
    FIELD_INLINE = 1 << 3,    /* an object whose fields lie in the parent's struct (offsets too);
                                 it is present when one of them is */
};

/* What schema_encode_aws() sends in mode COMPLETE where the field is absent. */
enum field_clear {
    FIELD_CLEAR_NONE = 0, /* nothing: AWS has nothing to clear, or another field clears it */
    FIELD_CLEAR_EMPTY,    /* "" or [] */
    FIELD_CLEAR_DEFAULT,  /* aws_default; of an object: the object with its fields' defaults */
};

/* Values with a meaning of their own: policy documents, prefixes. Members may be NULL. */
struct field_format {
    const char *name; /* for the reference page */
    /* Errors are ERR_INVALID and say what is wrong, without the field's name. */
    bool (*validate)(struct str s, struct err *e);
    /* Same meaning? Called with two present values. */
    bool (*equal)(struct str a, struct str b);
};

/* A rule on an object (or, in `struct field`, on one field): CEL for the API server, `holds` for
 * this process. A list ends with a NULL rule. */
struct schema_rule {
    const char *rule;
    const char *message;    /* says what must hold and names the field */
    const char *field_path; /* ".customRoleARN" relative to the object; NULL: the object */
    /* NULL where the rule looks at oldSelf; object is the struct of the schema. */
    bool (*holds)(const void *object);
};

struct field {
    const char *name; /* in the custom resource */
    enum field_kind kind;
    uint16_t offset;
    unsigned flags;
    const char *aws; /* key at AWS; NULL: the same name, "": neither sent nor compared */
    enum field_clear clear;
    const char *aws_default; /* what AWS reports where nothing was set, and so what absent means */
    int64_t min, max; /* strings: characters; numbers and durations: the value. max 0: none */
    uint32_t min_items, max_items; /* of lists */
    const char *pattern;           /* RE2, anchored; for the CRD and the page */
    const char *pattern_says;      /* "must be …", for errors */
    bool (*matches)(struct str s); /* the pattern by hand; set wherever pattern is */
    const char *const *values;     /* an enum, NULL-ended */
    const struct schema *sub;      /* of objects and lists of objects */
    const char *key;               /* of a list of objects that is a map: the key's name in `sub` */
    const struct field_format *format;
    const struct schema_rule *rules;
    const char *doc; /* one or more sentences for `kubectl explain` and the page */
};

struct schema {
    const char *name; /* path in errors, "spec" */
    size_t size;      /* of the C struct */
    const struct field *fields;
    size_t count;
    const struct schema_rule *rules; /* NULL: none */
    const char *doc;
};

/* Cuts of texts in differences; what status shows. */
enum { SCHEMA_TEXT_MAX = 256 };

/* --- the custom resource --------------------------------------------------------------------- */

/* Decodes and validates `value` (an object; NULL or null counts as {}) into *out, which is zeroed
 * first and of schema->size. Strings are copied to the arena. Members that the schema lacks are
 * passed over (the API server prunes them; a newer version may have stored them). ERR_INVALID
 * with reason "InvalidSpec" names the path: "spec.lifecyclePolicy: …". On failure *out is
 * undefined. */
bool schema_decode_cr(const struct schema *s, const struct json *value, struct arena *a, void *out,
                      struct err *e) BERTH_NODISCARD;
/* Writes what is present in `in` as members of the object that is open in w. */
void schema_encode_cr(const struct schema *s, const void *in, struct json_writer *w);

/* --- AWS ------------------------------------------------------------------------------------- */

enum schema_mode {
    SCHEMA_CREATE,   /* what is present */
    SCHEMA_COMPLETE, /* that, and for what is absent what clears it: the complete desired state */
};

/* Decodes an object of AWS' reply. Lenient where AWS may grow (unknown members and enum values,
 * longer texts), ERR_RETRY with reason "BadResponse" where a type is wrong. */
bool schema_decode_aws(const struct schema *s, const struct json *value, struct arena *a, void *out,
                       struct err *e) BERTH_NODISCARD;
/* Writes members into the object that is open in w. */
void schema_encode_aws(const struct schema *s, const void *in, enum schema_mode mode,
                       struct json_writer *w);

/* --- comparison ------------------------------------------------------------------------------ */

struct schema_difference {
    struct str field;    /* "imageTagMutability", "resourceTags[CostCenter]" */
    struct str desired;  /* text, at most SCHEMA_TEXT_MAX bytes (UTF-8 kept whole); absent: none */
    struct str observed; /* likewise */
};
struct schema_diff {
    struct schema_difference *items;
    size_t count;
};

/* Compares all fields that AWS knows. Absent, empty and AWS' default are the same; sets compare
 * without order, lists with a key by key, documents by their format. Texts live in the arena. */
void schema_diff(const struct schema *s, const void *desired, const void *observed, struct arena *a,
                 struct schema_diff *ret);
/* No difference? As schema_diff(), without the texts. */
bool schema_equal(const struct schema *s, const void *x, const void *y);

/* --- generators and checks ------------------------------------------------------------------- */

/* Writes the OpenAPI v3 structural schema of s as one value of w (an object). */
void schema_to_openapi(const struct schema *s, struct json_writer *w);
/* Appends one table of the fields of s and of everything below it, paths starting at `path`. */
void schema_to_markdown(const struct schema *s, const char *path, struct buf *out);
/* Appends one JSON object per field to the array that is open in w: path, aws (dotted, absent
 * where not sent), kind, required, values, pattern, min, max, minItems, maxItems. For the test
 * that compares the tables with AWS' own model. */
void schema_to_table(const struct schema *s, struct json_writer *w);
/* The table is sound: offsets inside the struct, names unique, lists ended, a matcher for each
 * pattern. ERR_BUG names the row. For tests. */
bool schema_check(const struct schema *s, struct err *e) BERTH_NODISCARD;

/* The row of that name; NULL where there is none. */
const struct field *schema_field(const struct schema *s, const char *name);
