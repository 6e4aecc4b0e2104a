// SPDX-License-Identifier: Apache-2.0
/*
 * The informer's copy: objects by namespace and name behind one mutex. One thread writes, any
 * reads. Decides what counts as a change: another resourceVersion.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"
#include "kube/object.h"

#include <stdbool.h>
#include <stddef.h>

struct map;
struct store;

struct store *kube_store_new(void) BERTH_NODISCARD;
struct store *kube_store_free(struct store *s);

/* Keeps a reference of its own. True: it is new, or has another resourceVersion. */
bool kube_store_put(struct store *s, const struct kube_object *o);
/* True: it was there. */
bool kube_store_remove(struct store *s, struct str namespace, struct str name);
/* The objects of `next` (see staging_*) take the place of all. *changed: what is new or has another
 * resourceVersion; *gone: what is not in next. Both are owned by the caller; next stays so. */
void kube_store_replace(struct store *s, struct map *next, struct kube_objects *changed,
                        struct kube_objects *gone);
struct kube_object *kube_store_get(struct store *s, struct str namespace, struct str name);
void kube_store_list(struct store *s, struct kube_objects *ret);
size_t kube_store_count(struct store *s);

/* A list that is being received: a map of the writer's thread alone. kube_staging_put() takes o. */
struct map *kube_staging_new(void) BERTH_NODISCARD;
struct map *kube_staging_free(struct map *m);
void kube_staging_put(struct map *m, struct kube_object *o);
void kube_staging_remove(struct map *m, const struct kube_object *o);
