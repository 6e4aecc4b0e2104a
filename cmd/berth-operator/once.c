// SPDX-License-Identifier: Apache-2.0
/*
 * Running once.
 */
#include "once.h"

#include "reconcile/controller.h"

enum {
    ONCE_POLL_MS = 50,
    /* in a row: an event and the pass that it causes may fall between two questions */
    ONCE_IDLE_POLLS = 6
};

int once(struct controller *c, struct signals *signals, struct log *log)
{
    int idle = 0;
    size_t not_ready = 0;
    while (idle < ONCE_IDLE_POLLS && !stopper_wait_ms(&signals->stopper, ONCE_POLL_MS)) {
        switch (controller_progress(c, &not_ready)) {
        case CONTROLLER_FOLLOWS:
            log_error(log, "another process leads: nothing was reconciled",
                      KV_INT("code", ONCE_FOLLOWS));
            return ONCE_FOLLOWS;
        case CONTROLLER_BUSY:
            idle = 0;
            break;
        case CONTROLLER_IDLE:
            idle++;
            break;
        }
    }
    bool is_whole = idle == ONCE_IDLE_POLLS;
    log_info(log, is_whole ? "reconciled once" : "stopped before everything was reconciled",
             KV_INT("notReady", (int64_t)not_ready));
    return is_whole && not_ready == 0 ? ONCE_ALL_READY : ONCE_NOT_READY;
}
