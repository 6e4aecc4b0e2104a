// SPDX-License-Identifier: Apache-2.0
/*
 * The client of an AWS service that speaks JSON 1.1: takes from the rate limiter, signs, sends,
 * classifies, corrects the clock, tries again.
 *
 * Errors of a call: `cls` says what the caller may do, `reason` is AWS's code without namespace
 * ("RepositoryNotFoundException"; for transport failures http's reason), `msg` has operation,
 * AWS's message and the request id; retry_after_ms where AWS named one. Classes, by code first
 * and by status where there is none (AWS answers throttling with 400 as well as 429):
 *
 *   ERR_RETRY        network, 5xx, time-outs, an answer that is not JSON (reason BadResponse),
 *                    no time left (DeadlineExceeded, RateLimited)
 *   ERR_THROTTLED    ThrottlingException and its kin, 429
 *   ERR_DENIED       AccessDenied…: msg names the action that is missing
 *   ERR_CREDENTIALS  unknown, expired or malformed credentials, a signature refused
 *   ERR_QUOTA        LimitExceededException: a hard limit of the account; never tried again here
 *   ERR_NOT_FOUND    …NotFoundException; never a bare 404, which a proxy may have said
 *   ERR_CONFLICT     …AlreadyExistsException, RepositoryNotEmptyException, …
 *   ERR_INVALID      all else that AWS refuses, and an answer that is too large (TooLarge)
 *   ERR_CANCELLED    the stopper was raised
 *
 * Of AWS's message only what carries no credential is repeated (a refused signature is answered
 * with the canonical request, session token included).
 *
 * A client may be used from any thread at the same time; it blocks, with no lock held. The stopper
 * ends waits at once; an HTTP exchange in flight ends by itself, within AWS_ATTEMPT_TIMEOUT_MS.
 *
 * Metrics, with labels service and operation: berth_aws_api_requests_total counts HTTP exchanges
 * (and has outcome: "success" or the error's class, never a code of AWS, which could be any text),
 * berth_aws_api_request_duration_seconds times them, berth_aws_api_throttled_total counts those
 * that AWS throttled, berth_aws_api_retries_total repeated ones;
 * berth_aws_rate_limit_wait_seconds{share} times the waits for our own limiter.
 */
#pragma once

#include "aws/credentials.h"
#include "aws/limiter.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/thread.h"
#include "http/http.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* A page of 1000 templates, each with a policy of 10 KiB and a lifecycle of 30 KiB, both
     * escaped once more inside JSON, is 40 MB and a bit; nothing else comes near. */
    AWS_REPLY_MAX_BYTES = 48 * 1024 * 1024,
    AWS_ATTEMPT_TIMEOUT_MS = 30000, /* of one HTTP exchange */
    AWS_CONNECT_TIMEOUT_MS = 5000,
    AWS_CALL_TIMEOUT_MS = 120000, /* of a call with all its attempts, where no deadline is given */
    AWS_REQUEST_ID_MAX = 64
};

struct aws_client;

struct aws_client_options {
    /* Borrowed: these outlive the client. */
    const struct http_client *http;
    const struct aws_credentials_provider *credentials;
    const struct clock *clock;   /* NULL: the system's */
    struct aws_limiter *limiter; /* NULL: none */
    struct metrics *metrics;     /* NULL: none */
    struct http_cancel *cancel;  /* NULL: none; cuts the exchanges under way within a second */
    /* Copied. */
    struct str region;     /* "eu-west-1" */
    struct str service;    /* the name that is signed; absent: "ecr" */
    struct str endpoint;   /* "https://api.ecr.eu-west-1.amazonaws.com"; absent: the default */
    struct str user_agent; /* absent: "berth" */
    int attempts_max;      /* 0: 3 */
    /* A number in [0, 1) for the waits between attempts; NULL: a random one. For tests. */
    double (*random)(void *arg);
    void *random_arg;
};

/* ERR_INVALID where region or endpoint is malformed (the endpoint is scheme, host, port and an
 * optional path; no query, no user). */
bool aws_client_new(const struct aws_client_options *o, struct aws_client **ret,
                    struct err *e) BERTH_NODISCARD;
/* Nobody may be in it. NULL is fine; returns NULL. */
struct aws_client *aws_client_free(struct aws_client *c);
BERTH_DEFINE_CLEANUP(struct aws_client *, aws_client_free);

struct str aws_client_region(const struct aws_client *c);
struct str aws_client_endpoint(const struct aws_client *c);
const struct clock *aws_client_clock(const struct aws_client *c);
/* AWS's clock less ours, as learned from a refused signature; 0 where none was. */
int64_t aws_client_skew_ms(struct aws_client *c);

/* When the credentials that were used last end; 0: never, or none were used yet. Any thread. */
int64_t aws_client_credentials_expire_unix_ms(const struct aws_client *c);

/* Why and how long a call may run: one for all calls of a unit of work. */
struct aws_scope {
    int64_t deadline_mono_ms;     /* on the client's clock; 0: AWS_CALL_TIMEOUT_MS from now */
    struct stopper *stopper;      /* NULL: none */
    bool is_admission;            /* takes from the admission share, whatever the operation */
    int attempts_max;             /* 0: the client's */
    struct str user_agent_suffix; /* " reconcile/…"; absent: none */
};

struct aws_reply {
    struct json_doc *doc; /* owns json; never NULL after success */
    const struct json *json;
    char request_id[AWS_REQUEST_ID_MAX + 1]; /* "" where AWS sent none */
    int attempts; /* how often it was sent: also what libcurl sent again by itself counts */
};
#define AWS_REPLY_INIT ((struct aws_reply){0})
/* Frees the document; idempotent. */
void aws_reply_fini(struct aws_reply *r);

/*
 * target: "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories". body: the JSON input ("{}"
 * where there is none). scope may be NULL. On success *ret owns the answer (aws_reply_fini()).
 *
 * A write that AWS did and whose answer was lost is sent again like any other: the operations of
 * ECR are idempotent or answer AlreadyExists/NotFound, which callers of create and delete read as
 * "perhaps by us" (ret->attempts and err.reason tell).
 */
bool aws_json_call(struct aws_client *c, const char *target, enum aws_rate_class cls,
                   struct str body, const struct aws_scope *scope, struct aws_reply *ret,
                   struct err *e) BERTH_NODISCARD;

/* The class of an answer that is no success; pure, for tests and the emulator's peers. code: as
 * AWS sent it (namespace and URI allowed), absent where the body has none. */
enum err_class aws_error_class(struct str code, int http_status);
/* "ns#Code:http://…" gives "Code". A view. */
struct str aws_error_code(struct str raw);
