// SPDX-License-Identifier: Apache-2.0
/*
 * The time that stopping may take. What is under way is cut where that is possible; a call to an
 * API server that does not answer is not, and its time-out is longer than people and kubelets want
 * to wait. So a small thread ends the process when the time is over: at any moment that is as
 * harmless as a crash, after which the next start takes up what was left.
 */
#pragma once

#include "base/log.h"
#include "base/thread.h"

enum { DEADLINE_MS = 1800 /* of closing everything */ };

struct deadline {
    struct stopper stopper;
    struct thread thread;
    struct log *log;
    int64_t timeout_ms;
    int code;
};

/* code: what the process ends with, where deadline_stop() does not come within timeout_ms. */
void deadline_start(struct deadline *d, struct log *log, int code, int64_t timeout_ms);
void deadline_stop(struct deadline *d);
