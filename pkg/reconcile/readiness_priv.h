// SPDX-License-Identifier: Apache-2.0
/*
 * How long an object took to become Ready: from its creation, or from the change of its spec, to
 * Ready=True of that generation. Pure, from what the watch shows; every replica follows it, so that
 * one that comes to lead knows when it began.
 *
 * Each generation is measured at most once. Where the beginning is not known, it is not measured:
 * a change that was made while this process did not run, an object that some process had judged
 * before this one saw it, one that is or was paused, one that is being deleted.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What the watch shows of the object. */
struct readiness_sight {
    struct str uid;
    int64_t generation;
    int64_t created_ms; /* unix; whole seconds, as the API server has it */
    bool is_judged;     /* its status speaks of this generation */
    bool is_ready;      /* Ready is True for this generation */
    bool is_held;       /* paused, or being deleted */
};

enum { READINESS_UID_MAX = 64 };

struct readiness {
    char uid[READINESS_UID_MAX]; /* "": nothing was seen yet */
    int64_t generation;
    int64_t since_ms;
    bool is_done; /* measured, or not to be measured */
};

/* The object is seen. Returns milliseconds where it has just become Ready, else -1. */
int64_t readiness_see(struct readiness *r, const struct readiness_sight *sight, int64_t now_ms);
