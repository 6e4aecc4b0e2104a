// SPDX-License-Identifier: Apache-2.0
/*
 * SIGTERM and SIGINT. All threads have them blocked (from the first line of main on); one small
 * thread takes them by sigwait(), so that no code runs in a signal handler. The first one wakes
 * main, which ends in good order; while it does, a second one ends the process at once, as a person
 * who presses ^C twice wants it, with 128 plus its number.
 */
#pragma once

#include "base/thread.h"

#include <signal.h>
#include <stdatomic.h>

struct signals {
    sigset_t set;
    struct thread thread;
    struct stopper stopper; /* stopped by the first signal */
    atomic_int first;       /* 0: none yet */
    atomic_bool is_done;
};

/* Before any other thread is started: they inherit the mask. SIGPIPE is ignored, too. */
void signals_start(struct signals *s);
/* Returns the first signal. */
int signals_wait(struct signals *s);
void signals_stop(struct signals *s);
