// SPDX-License-Identifier: Apache-2.0
/*
 * A kind as a CustomResourceDefinition. It has no creationTimestamp, no status and no empty list,
 * so that what is applied stays what it is for GitOps tools, and Flux is told not to substitute
 * ${…} in it: patterns contain dollar signs.
 */
#include "schema/kind.h"

#include "json/write.h"
#include "schema_priv.h"

#include <stdio.h>

enum { NAME_BYTES = 256 };

static void put_strings(struct json_writer *w, const char *key, const char *const *list)
{
    if (list == NULL || list[0] == NULL)
        return;
    json_key_begin_array(w, key);
    for (; *list != NULL; list++)
        json_str(w, str_from(*list));
    json_end(w);
}

static void put_metadata(const struct schema_kind *k, struct json_writer *w)
{
    char name[NAME_BYTES];
    (void)snprintf(name, sizeof(name), "%s.%s", k->plural, k->group);
    json_key_begin_object(w, "metadata");
    json_put_cstr(w, "name", name);
    json_key_begin_object(w, "annotations");
    json_put_cstr(w, "kustomize.toolkit.fluxcd.io/substitute", "disabled");
    json_end(w);
    json_end(w);
}

static void put_names(const struct schema_kind *k, struct json_writer *w)
{
    char list_kind[NAME_BYTES];
    (void)snprintf(list_kind, sizeof(list_kind), "%sList", k->kind);
    json_key_begin_object(w, "names");
    json_put_cstr(w, "kind", k->kind);
    json_put_cstr(w, "listKind", list_kind);
    json_put_cstr(w, "plural", k->plural);
    json_put_cstr(w, "singular", k->singular);
    put_strings(w, "shortNames", k->short_names);
    put_strings(w, "categories", k->categories);
    json_end(w);
}

static void put_columns(const struct schema_kind *k, struct json_writer *w)
{
    json_key_begin_array(w, "additionalPrinterColumns");
    for (size_t i = 0; i < k->column_count; i++) {
        const struct schema_column *c = &k->columns[i];
        json_begin_object(w);
        json_put_cstr(w, "name", c->name);
        json_put_cstr(w, "type", c->type);
        json_put_cstr(w, "jsonPath", c->json_path);
        if (c->doc != NULL)
            json_put_cstr(w, "description", c->doc);
        if (c->is_wide)
            json_put_int(w, "priority", 1);
        json_end(w);
    }
    json_end(w);
}

static void put_plain(struct json_writer *w, const char *key, const char *type,
                      const char *description)
{
    json_key_begin_object(w, key);
    json_put_cstr(w, "type", type);
    if (description != NULL)
        json_put_cstr(w, "description", description);
    json_end(w);
}

/* The schema of status, with the default that says "not seen yet": until the operator has written
 * status, kstatus takes an object whose observedGeneration is not its generation as in progress. */
static void put_status(const struct schema *s, struct json_writer *w)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 20);
    struct json_writer inner = json_writer_to(&text);
    schema_to_openapi(s, &inner);
    /* `default` goes in front of the members that are there already */
    json_key_str(w, STR("status"));
    struct buf whole BERTH_CLEANUP(buf_fini) = BUF_INIT((1 << 20) + 64);
    buf_append_cstr(&whole, "{\"default\":{\"observedGeneration\":-1},");
    buf_append(&whole, str_from_offset(buf_str(&text), 1));
    json_raw(w, buf_str(&whole));
    if (!json_write_ok(&inner) || !buf_ok(&whole))
        w->failed = true;
}

static void put_version(const struct schema_kind *k, struct json_writer *w)
{
    json_begin_object(w);
    json_put_cstr(w, "name", k->version);
    json_put_bool(w, "served", true);
    json_put_bool(w, "storage", true);
    put_columns(k, w);
    if (k->selectable_fields != NULL) {
        json_key_begin_array(w, "selectableFields");
        for (const char *const *path = k->selectable_fields; *path != NULL; path++) {
            json_begin_object(w);
            json_put_cstr(w, "jsonPath", *path);
            json_end(w);
        }
        json_end(w);
    }
    json_key_begin_object(w, "subresources");
    json_key_begin_object(w, "status");
    json_end(w);
    json_end(w);
    json_key_begin_object(w, "schema");
    json_key_begin_object(w, "openAPIV3Schema");
    json_put_cstr(w, "description", k->doc);
    json_put_cstr(w, "type", "object");
    json_key_begin_object(w, "properties");
    put_plain(w, "apiVersion", "string", NULL);
    put_plain(w, "kind", "string", NULL);
    put_plain(w, "metadata", "object", NULL);
    json_key_str(w, STR("spec"));
    schema_to_openapi(k->spec, w);
    put_status(k->status, w);
    json_end(w);
    json_key_begin_array(w, "required");
    json_str(w, STR("spec"));
    json_end(w);
    json_end(w);
    json_end(w);
    json_end(w);
}

void schema_kind_to_crd(const struct schema_kind *k, struct json_writer *w)
{
    json_begin_object(w);
    json_put_cstr(w, "apiVersion", "apiextensions.k8s.io/v1");
    json_put_cstr(w, "kind", "CustomResourceDefinition");
    put_metadata(k, w);
    json_key_begin_object(w, "spec");
    json_put_cstr(w, "group", k->group);
    put_names(k, w);
    json_put_cstr(w, "scope", "Cluster");
    json_key_begin_array(w, "versions");
    put_version(k, w);
    json_end(w);
    json_end(w);
    json_end(w);
}
