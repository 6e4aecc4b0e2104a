// SPDX-License-Identifier: Apache-2.0
/*
 * What a scrape asks of a registry: numbers only, so that nobody waits for it.
 */
#include "aws/client.h"
#include "aws/limiter.h"
#include "registry_priv.h"

void registry_measure(struct registry *r, struct registry_measures *ret)
{
    int64_t now_ms = clock_mono_ms(r->clock);
    *ret = (struct registry_measures){
        .credentials_expire_unix_ms = aws_client_credentials_expire_unix_ms(r->client),
        .rate = aws_limiter_rate(r->limiter),
    };
    (void)pthread_mutex_lock(&r->mutex);
    ret->rate_max = (double)r->config.requests_per_second;
    ret->templates.interval_ms = r->config.drift_interval_ms;
    ret->templates.has_tried = r->read != NULL || err_is_set(&r->error);
    ret->templates.is_failing = err_is_set(&r->error);
    if (r->read != NULL) {
        ret->templates.has_read = true;
        ret->templates.age_ms = now_ms - r->read->started_mono_ms;
        ret->templates.count = r->read->count;
    }
    ret->repositories.interval_ms = r->config.scan_interval_ms;
    ret->repositories.has_tried = r->scan != NULL || err_is_set(&r->scan_error);
    ret->repositories.is_failing = err_is_set(&r->scan_error);
    if (r->scan != NULL) {
        ret->repositories.has_read = true;
        ret->repositories.age_ms = now_ms - r->scan->started_mono_ms;
        ret->repositories.count = r->scan->count;
    }
    (void)pthread_mutex_unlock(&r->mutex);
}
