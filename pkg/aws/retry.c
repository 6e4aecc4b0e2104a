// SPDX-License-Identifier: Apache-2.0
/*
 * The "standard" retry mode: "Retry behavior" of the AWS SDKs reference guide, with the numbers of
 * botocore's implementation.
 */
#include "aws/retry.h"

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

static bool is_retryable(const struct err *e)
{
    return e->cls == ERR_RETRY || e->cls == ERR_THROTTLED;
}

static bool is_timeout(const struct err *e)
{
    return str_eq_cstr(str_from(e->reason), "Timeout");
}

static int64_t delay_ms(int attempts, double random, uint32_t after_ms)
{
    int64_t most = AWS_RETRY_DELAY_MAX_MS;
    /* 2^(n-1) s passes the maximum of 20 s at n = 6 */
    if (attempts <= 5)
        most = INT64_C(1000) << (attempts - 1);
    int64_t delay = (int64_t)((double)most * random);
    int64_t asked = after_ms;
    if (asked > delay + AWS_RETRY_AFTER_EXTRA_MAX_MS)
        return delay + AWS_RETRY_AFTER_EXTRA_MAX_MS;
    return asked > delay ? asked : delay;
}

bool aws_retry_next(struct aws_retry *r, struct aws_retry_quota *q, const struct err *e,
                    double random, int64_t *ret_delay_ms)
{
    int most = r->attempts_max > 0 ? r->attempts_max : AWS_RETRY_ATTEMPTS;
    int cost = is_timeout(e) ? AWS_RETRY_COST_TIMEOUT : AWS_RETRY_COST;
    *ret_delay_ms = 0;
    r->attempts++;
    if (!is_retryable(e) || r->attempts >= most || q->available < cost)
        return false;
    q->available -= cost;
    r->last_cost = cost;
    *ret_delay_ms = delay_ms(r->attempts, random, e->retry_after_ms);
    return true;
}

void aws_retry_succeeded(struct aws_retry *r, struct aws_retry_quota *q)
{
    q->available += r->last_cost > 0 ? r->last_cost : AWS_RETRY_REFUND;
    if (q->available > AWS_RETRY_QUOTA)
        q->available = AWS_RETRY_QUOTA;
    r->last_cost = 0;
}
