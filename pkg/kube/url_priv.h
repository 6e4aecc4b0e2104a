// SPDX-License-Identifier: Apache-2.0
/*
 * Request URLs of the API server. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"

#include <stdbool.h>

enum { URL_MAX_BYTES = 16 << 10 }; /* continue tokens are some 200 bytes */

struct url_target {
    const struct kube_resource *resource;
    const char *namespace;
    const char *name;        /* NULL: the collection */
    const char *subresource; /* NULL: none */
};

/* Appends server and path. ERR_INVALID for a name that is no path segment (empty, ".", "..", with
 * a slash or percent sign: IsValidPathSegmentName of apimachinery), for a namespace where the kind
 * has none and for none where an object of a namespaced kind is named. */
bool kube_url_path(struct buf *out, struct str server, const struct url_target *t,
                   struct err *e) BERTH_NODISCARD;
/* Appends "?key=value" or "&key=value" (*is_first says which and is cleared), value encoded. */
void kube_url_query(struct buf *out, bool *is_first, const char *key, struct str value);
