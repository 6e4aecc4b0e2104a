// SPDX-License-Identifier: Apache-2.0
/*
 * Where kinds name images: the built-in table, what the operator's configuration adds, and the
 * small language of paths and texts that both are written in (docs/reference/admission.md):
 *
 *     .spec.tag                        a string, or a list of strings
 *     .spec.additionalTags[*]          each element of a list, or each member of an object
 *     .spec.images[0]                  one element
 *     .spec.params[name=IMAGE].value   the elements whose member has that value
 *     .metadata.annotations['a.b/c']   a member whose name has other characters
 *     {registry}/tap/{.metadata.name}-{.metadata.namespace}
 *                                      a text with paths in braces, none of them with [*] or [a=b];
 *                                      {registry} stands for the host of the RegistrySettings
 *                                      "default", or of the only one there is
 *
 * A path that leads nowhere gives nothing, and so does a text with such a path. Entries of one kind
 * add to each other. Pure after admission_kinds_new(); any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stddef.h>

struct json;
struct admission_kinds;

enum {
    ADMISSION_PATH_MAX = 512, /* characters of a path or text */
    ADMISSION_STEPS_MAX = 32, /* of a path */
    ADMISSION_PATHS_MAX = 64, /* of an entry */
    ADMISSION_KINDS_MAX = 200 /* entries */
};

enum admission_purpose { ADMISSION_PULL, ADMISSION_PUSH };

/* One entry of the configuration's admission.kinds; strings are copied. */
struct admission_kind {
    struct str group;
    struct schema_list versions; /* of struct str; empty: all */
    struct str kind;
    struct str resource;       /* its plural in URLs; absent: guessed from kind */
    struct schema_list images; /* of struct str: paths or texts */
    enum admission_purpose purpose;
};

/* The built-in kinds and these. ERR_INVALID names the entry, the path and the place in it. */
bool admission_kinds_new(const struct admission_kind *more, size_t count,
                         struct admission_kinds **ret, struct err *e) BERTH_NODISCARD;
struct admission_kinds *admission_kinds_free(struct admission_kinds *k);
BERTH_DEFINE_CLEANUP(struct admission_kinds *, admission_kinds_free);
/* One path or text, for checking a configuration. */
bool admission_path_check(struct str path, struct err *e) BERTH_NODISCARD;

/* Gives every image that the object names, in the order of the table, duplicates too; the text
 * lives in the object or the arena. False ends it (too many). registry_host: what {registry} stands
 * for; absent: such texts give nothing. Returns false where image() did. */
struct admission_source {
    struct str group, version, kind;
    const struct json *object; /* NULL is fine */
    struct str registry_host;
};
bool admission_kinds_images(const struct admission_kinds *k, const struct admission_source *source,
                            struct arena *a,
                            bool (*image)(void *arg, struct str image, enum admission_purpose),
                            void *arg);
/* Is there an entry for it? */
bool admission_kinds_has(const struct admission_kinds *k, struct str group, struct str version,
                         struct str kind);
