// SPDX-License-Identifier: Apache-2.0
/*
 * Which members of a review anybody looks at, level by level: what pruning keeps (review_prune()).
 * Level 0 has the members of the review itself, 1 those of its request, 2 those of its objects, and
 * so on; an element of a list is a level too. Names are of all paths at once, so more is kept than
 * one kind needs, and never less.
 */
#pragma once

#include "path_priv.h"

enum {
    WANTED_OBJECT_LEVEL = 2,
    WANTED_LEVELS = WANTED_OBJECT_LEVEL + ADMISSION_STEPS_MAX,
    WANTED_NAMES_MAX = 64 /* of a level; with more, all of its members are kept */
};

struct wanted_level {
    struct str *names; /* distinct */
    size_t count;
    bool has_all; /* a path has [*], [0] or [name=value] here */
};

struct wanted {
    struct wanted_level levels[WANTED_LEVELS];
};

/* What review_decode() and request_collect() read, whatever the kind. The arena keeps the names,
 * which are literals or of expressions that live as long. */
void wanted_init(struct wanted *w, struct arena *a);
/* And what this leads to in an object. */
void wanted_add(struct wanted *w, const struct expression *x, struct arena *a);
/* Is a member of that name looked at? False for levels that there are not. */
bool wanted_has(const struct wanted *w, size_t level, struct str name);

struct admission_kinds;
const struct wanted *admission_kinds_wanted(const struct admission_kinds *k);
