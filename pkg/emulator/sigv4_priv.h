// SPDX-License-Identifier: Apache-2.0
/*
 * Checking SigV4 signatures, written from AWS's description and apart from any signer, so that a
 * signer that is wrong is found out. Pure: no clock, no state.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { SIGV4_HEX = 64, SIGV4_AUTHORIZATION_MAX = 8192 };

struct sigv4_header {
    struct str name; /* any case */
    struct str value;
};

struct sigv4_request {
    struct str method;
    struct str target; /* path and query as sent */
    const struct sigv4_header *headers;
    size_t n_headers;
    struct str body;
};

/* What an Authorization header says; views into it. */
struct sigv4_claim {
    struct str access_key_id;
    struct str date; /* YYYYMMDD */
    struct str region;
    struct str service;
    struct str signed_headers; /* "host;x-amz-date" */
    struct str signature;
};

/* False: *ret_missing names the parameter that is absent or malformed ("Credential"), or
 * "Algorithm" where it is no AWS4-HMAC-SHA256. */
bool sigv4_parse(struct str authorization, struct sigv4_claim *ret,
                 const char **ret_missing) BERTH_NODISCARD;
/* Is the header (lower case) among the signed ones? */
bool sigv4_is_signed(const struct sigv4_claim *claim, struct str name);
/* The value of the header of that name, or absent. */
struct str sigv4_header(const struct sigv4_request *r, const char *name);
/* The signature that the request should have, as 64 hex digits into ret. amz_date is the value of
 * X-Amz-Date. Allocates in arena. */
void sigv4_compute(const struct sigv4_request *r, const struct sigv4_claim *claim,
                   struct str amz_date, struct str secret, struct arena *arena,
                   char ret[static SIGV4_HEX + 1]);
