// SPDX-License-Identifier: Apache-2.0
/*
 * The deadline of stopping.
 */
#include "deadline.h"

#include <unistd.h>

static void wait_for_it(void *arg)
{
    struct deadline *d = arg;
    if (stopper_wait_ms(&d->stopper, d->timeout_ms))
        return;
    log_warn(d->log, "stopped without waiting for a call that is not answered",
             KV_INT("code", d->code));
    _exit(d->code);
}

void deadline_start(struct deadline *d, struct log *log, int code, int64_t timeout_ms)
{
    stopper_init(&d->stopper);
    d->log = log;
    d->code = code;
    d->timeout_ms = timeout_ms;
    d->thread = (struct thread){0};
    thread_start(&d->thread, "deadline", wait_for_it, d);
}

void deadline_stop(struct deadline *d)
{
    stopper_stop(&d->stopper);
    thread_join(&d->thread);
    stopper_fini(&d->stopper);
}
