// SPDX-License-Identifier: Apache-2.0
/*
 * What the server does with the holder of a certificate.
 */
#pragma once

#include "web/tls.h"

#include <stdbool.h>

/* Sets a new SSL_CTX (of libwebsockets, hence void) up to serve what `t` holds: versions, ciphers,
 * no resumption, the bundle at each handshake. What it marks is connection.is_secured of the
 * struct connection in the SSL's app data. */
bool web_tls_configure(void *ssl_ctx, struct web_tls *t);
