// SPDX-License-Identifier: Apache-2.0
/*
 * The canonical form of a request, in parts, for the signer and its tests. Pure functions. Each
 * appends to a buffer whose maximum is the limit, and fails with ERR_INVALID.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "http/http.h"

#include <stdbool.h>
#include <stddef.h>

struct sigv4_url {
    struct str authority; /* host[:port] without a default port, as the Host header has it */
    struct str path;      /* may be absent */
    struct str query;     /* without '?'; absent where there is none */
};
/* Views of url. ERR_INVALID: not http(s), no host, user info, a fragment, control characters. */
bool sigv4_url_split(struct str url, struct sigv4_url *ret, struct err *e) BERTH_NODISCARD;

/* The path, normalised (RFC 3986, 5.2.4, and double slashes joined) unless is_kept, then encoded.
 */
void sigv4_canonical_path(struct str path, bool is_kept, struct buf *out);
/* The parameters, decoded, encoded anew and sorted by name and value. */
bool sigv4_canonical_query(struct str query, struct arena *a, struct buf *out,
                           struct err *e) BERTH_NODISCARD;
/* Lines "name:value\n" of the headers that are signed, sorted, and their names joined by ';'. */
bool sigv4_canonical_headers(const struct http_header *headers, size_t count, struct arena *a,
                             struct buf *lines, struct buf *names, struct err *e) BERTH_NODISCARD;
/* Is this header left out of the signature, because the way may change it? */
bool sigv4_is_unsigned(struct str name);
