// SPDX-License-Identifier: Apache-2.0
/*
 * What the package may do to an object before it is shared.
 */
#pragma once

#include "base/arena.h"
#include "kube/client.h"
#include "kube/object.h"

/* Before o is shared. Items of lists of built-in kinds come without apiVersion and kind: gives them
 * the list's. */
void kube_object_default_type(struct kube_object *o, const struct kube_resource *r);
/* "group/version", or the version alone in the core group. */
struct str kube_resource_api_version(const struct kube_resource *r, struct arena *a);
