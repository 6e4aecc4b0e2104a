// SPDX-License-Identifier: Apache-2.0
/*
 * The two writes that the operator makes to its own objects. Both fail with KUBE_CONFLICT instead
 * of touching an object that was deleted and created anew since `obj` was read. Any thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"

struct kube_object;

/* Server-side apply of the status subresource: status is JSON text, the whole status that the
 * field manager wants (what it leaves out and applied before is removed). Forced: status has one
 * owner. *ret (may be NULL): the object as it is now.
 *
 * The API server does not compare metadata.uid when the status of a custom resource is applied
 * (1.36), so resourceVersion is applied too; where it is old, the object is read and, if it still
 * is the same one with the status that obj has, the status applied again. KUBE_CONFLICT: another
 * object has the name now, its status is another one (read again, decide again), or it changes all
 * the time; KUBE_NOT_FOUND: it is gone. */
enum kube_result kube_apply_status(struct kube_client *c, const struct kube_resource *r,
                                   const struct kube_object *obj, const char *field_manager,
                                   struct str status, struct kube_object **ret,
                                   struct err *e) BERTH_NODISCARD;

/* Replaces the list of finalizers by a merge patch with metadata.resourceVersion: KUBE_CONFLICT
 * where anything changed since obj was read (read again, decide again). */
enum kube_result kube_set_finalizers(struct kube_client *c, const struct kube_resource *r,
                                     const struct kube_object *obj, const struct str *finalizers,
                                     size_t count, struct kube_object **ret,
                                     struct err *e) BERTH_NODISCARD;
/* Adds or removes one finalizer and keeps those of others. Where nothing is to be changed no call
 * is made and *ret is another reference to obj. Removing the last one of an object that is being
 * deleted makes it vanish: *ret is then its last state. */
enum kube_result kube_change_finalizer(struct kube_client *c, const struct kube_resource *r,
                                       const struct kube_object *obj, const char *finalizer,
                                       bool is_present, struct kube_object **ret,
                                       struct err *e) BERTH_NODISCARD;
