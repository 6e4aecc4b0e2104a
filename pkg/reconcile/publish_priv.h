// SPDX-License-Identifier: Apache-2.0
/*
 * Publishing into the directory (publish.c). Without a directory all of it does nothing.
 */
#pragma once

#include "settings_priv.h"

/* After a pass has decided: on the worker that has the key. */
void reconcile_publish_registry(struct settings_pass *s, enum gate gate, struct str message);
void reconcile_unpublish_registry(struct controller *c, struct str name);
/* o is NULL where the object is gone. On the informer's thread. */
void reconcile_publish_template(struct controller *c, struct str name, const struct kube_object *o);
