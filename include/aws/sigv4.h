// SPDX-License-Identifier: Apache-2.0
/*
 * AWS Signature Version 4, the form with an Authorization header: a pure function of request,
 * credentials and time (the "Create a signed AWS API request" page of the IAM user guide; proved
 * by AWS's test suite). Own code, because CURLOPT_AWS_SIGV4 of libcurl 7.88 sorts neither query
 * nor headers and signs no session token. Any thread.
 */
#pragma once

#include "aws/credentials.h"
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "http/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AWS_SIGV4_ADDS_MAX = 5,         /* host, date, token, body hash, authorization */
    AWS_SIGV4_QUERY_MAX = 128,      /* parameters */
    AWS_SIGV4_CANONICAL_MAX = 65536 /* bytes of path, query and headers in canonical form */
};

struct aws_sigv4_request {
    const char *method; /* "POST" */
    /* Absolute, http or https, as it will be sent. The path is normalised and then encoded once
     * more, as every service but S3 wants it. */
    struct str url;
    const struct http_header *headers;
    size_t header_count;
    struct str payload; /* absent: empty */
    const struct aws_credentials *credentials;
    struct str region;
    struct str service;
    int64_t unix_ms;        /* now, corrected by the skew to AWS's clock */
    bool is_body_hash_sent; /* adds x-amz-content-sha256; ECR does not need it */
    bool is_path_kept;      /* does not normalise the path (dot segments, double slashes) */
    bool is_token_unsigned; /* adds x-amz-security-token after signing (some services) */
};

struct aws_sigv4_signed {
    /* To be sent besides the request's own headers: x-amz-date, x-amz-security-token,
     * x-amz-content-sha256, authorization. Strings are in the arena. "host" is not among them: it
     * is signed as the request's own Host header says or else as the URL does (without a default
     * port), which is what an HTTP client sends. */
    struct http_header headers[AWS_SIGV4_ADDS_MAX];
    size_t count;
    /* The steps between, for tests and for people who compare with AWS's error text; neither
     * holds a secret but the session token. */
    struct str canonical_request;
    struct str string_to_sign;
    struct str signature;
};

/*
 * Signs. Headers that travel may change are left out (authorization, connection, expect,
 * keep-alive, proxy-*, te, trailer, transfer-encoding, upgrade, user-agent, x-amzn-trace-id), and
 * so are x-amz-date, x-amz-security-token and (with is_body_hash_sent) x-amz-content-sha256 of
 * the caller: the signer's own win. ERR_INVALID: a URL that is none, a line break in a header,
 * more than the limits above.
 */
bool aws_sigv4_sign(const struct aws_sigv4_request *rq, struct arena *a,
                    struct aws_sigv4_signed *ret, struct err *e) BERTH_NODISCARD;

/* The signing key of one day, region and service, for tests and for the emulator's peers. The
 * caller wipes it with crypto_wipe(). */
void aws_sigv4_key(const struct secret *secret_key, struct str date /* 20150830 */,
                   struct str region, struct str service, uint8_t ret[static CRYPTO_SHA256_BYTES]);
