// SPDX-License-Identifier: Apache-2.0
/*
 * When a failed call is tried again, and after how long: the "standard" mode of AWS's SDKs.
 *
 * Three attempts; a wait of random · min(2^(n-1), 20) s after the n-th; and a quota of 500 that
 * all calls of a client share, from which each retry takes 5 (10 after a time-out) and a success
 * gives back what its last retry took, or 1: when AWS is down, retries stop by themselves.
 * ERR_RETRY and ERR_THROTTLED are retried (429 too, which the SDKs' mode forgets); ERR_QUOTA is
 * not, though the SDKs take LimitExceededException for throttling: for ECR it is a hard limit.
 *
 * Pure: no clock, no random source, no lock of its own (the client's mutex guards the quota).
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    AWS_RETRY_ATTEMPTS = 3,
    AWS_RETRY_QUOTA = 500,
    AWS_RETRY_COST = 5,
    AWS_RETRY_COST_TIMEOUT = 10,
    AWS_RETRY_REFUND = 1,
    AWS_RETRY_DELAY_MAX_MS = 20000,
    AWS_RETRY_AFTER_EXTRA_MAX_MS = 5000 /* how far x-amz-retry-after may stretch the delay */
};

struct aws_retry_quota {
    int available;
};
#define AWS_RETRY_QUOTA_INIT ((struct aws_retry_quota){AWS_RETRY_QUOTA})

/* One call with its attempts. */
struct aws_retry {
    int attempts_max; /* 0: AWS_RETRY_ATTEMPTS */
    int attempts;     /* that failed so far */
    int last_cost;    /* taken from the quota by the last retry */
};
#define AWS_RETRY_INIT ((struct aws_retry){0})

/* An attempt failed with e; random is in [0, 1). True: wait *ret_delay_ms and try again (e's
 * retry_after_ms is honoured, between the delay and 5 s above it). False: give up, e stands. */
bool aws_retry_next(struct aws_retry *r, struct aws_retry_quota *q, const struct err *e,
                    double random, int64_t *ret_delay_ms) BERTH_NODISCARD;
/* The call succeeded: gives back to the quota. */
void aws_retry_succeeded(struct aws_retry *r, struct aws_retry_quota *q);
