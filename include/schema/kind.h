// SPDX-License-Identifier: Apache-2.0
/*
 * A kind of custom resource as data, and its CustomResourceDefinition and reference page made from
 * that. Used by the generator and its tests only; nothing here runs in the operator.
 */
#pragma once

#include "base/buf.h"
#include "json/json.h"
#include "schema/schema.h"

#include <stdbool.h>

struct json_writer;

struct schema_column {
    const char *name;
    const char *type; /* string, integer, date */
    const char *json_path;
    bool is_wide; /* only with -o wide */
    const char *doc;
};

struct schema_kind {
    const char *group, *version;
    const char *kind, *plural, *singular;
    const char *const *short_names; /* NULL-ended, as the lists below */
    const char *const *categories;
    const char *const *selectable_fields; /* ".spec.prefix" */
    const struct schema *spec;
    const struct schema *status; /* with default {observedGeneration: -1} */
    const struct schema_column *columns;
    size_t column_count;
    const char *doc;
};

/* Writes the CRD as one value. */
void schema_kind_to_crd(const struct schema_kind *k, struct json_writer *w);
/* Appends the chapter of the reference page. */
void schema_kind_to_markdown(const struct schema_kind *k, struct buf *out);
/* Appends v as block YAML, members in their order, strings quoted where YAML would read them as
 * something else. Ends with a newline. */
void schema_json_to_yaml(const struct json *v, struct buf *out);
