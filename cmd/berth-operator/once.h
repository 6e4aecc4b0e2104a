// SPDX-License-Identifier: Apache-2.0
/*
 * --once: a run that ends by itself, for pipelines.
 */
#pragma once

#include "base/log.h"
#include "signals.h"

struct controller;

enum { ONCE_ALL_READY = 0, ONCE_NOT_READY = 1, ONCE_FOLLOWS = 3 };

/* Waits until the controller has done what can be done now, or another process leads, or a signal
 * comes (then what is not Ready decides). Returns the exit code. */
int once(struct controller *c, struct signals *signals, struct log *log);
