// SPDX-License-Identifier: Apache-2.0
/*
 * What the client is made of, shared between its files.
 */
#pragma once

#include "aws/client.h"
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "http/http.h"

#include <stdbool.h>
#include <stdint.h>

/* An answer that is no success, as an error: class, reason, retry_after_ms, and a message with
 * operation, AWS's words and the request id. credentials: what must not appear in it (may be
 * NULL). Returns false. */
bool aws_error_from(const struct http_response *r, const char *operation,
                    const struct aws_credentials *credentials, struct err *e);

/* The request id of an answer: visible ASCII, "" where there is none. */
void aws_request_id(const struct http_response *r, char ret[static AWS_REQUEST_ID_MAX + 1]);

/* "Tue, 15 Nov 1994 08:12:31 GMT" (RFC 9110, the form that servers send). */
bool aws_parse_http_date(struct str s, int64_t *ret_unix_ms) BERTH_NODISCARD;

/* Is e a signature refused for its date, and r's Date far enough from signed_unix_ms to explain
 * it? Then *ret_unix_ms is AWS's time. */
bool aws_is_skewed(const struct err *e, const struct http_response *r, int64_t signed_unix_ms,
                   int64_t *ret_unix_ms) BERTH_NODISCARD;
