// SPDX-License-Identifier: Apache-2.0
/*
 * The thread that waits for signals.
 */
#include "signals.h"

#include <unistd.h>

static void take_signals(void *arg)
{
    struct signals *s = arg;
    for (;;) {
        int signal_number = 0;
        if (sigwait(&s->set, &signal_number) != 0)
            continue;
        if (signal_number == SIGUSR1) { /* from signals_stop(), or from nobody we know */
            if (atomic_load(&s->is_done))
                return;
            continue;
        }
        if (atomic_load(&s->first) != 0)
            _exit(128 + signal_number);
        atomic_store(&s->first, signal_number);
        stopper_stop(&s->stopper);
    }
}

void signals_start(struct signals *s)
{
    *s = (struct signals){0};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigemptyset(&s->set);
    (void)sigaddset(&s->set, SIGTERM);
    (void)sigaddset(&s->set, SIGINT);
    (void)sigaddset(&s->set, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    stopper_init(&s->stopper);
    thread_start(&s->thread, "signals", take_signals, s);
}

int signals_wait(struct signals *s)
{
    (void)stopper_wait_ms(&s->stopper, -1);
    return atomic_load(&s->first);
}

void signals_stop(struct signals *s)
{
    atomic_store(&s->is_done, true);
    (void)pthread_kill(s->thread.id, SIGUSR1);
    thread_join(&s->thread);
    stopper_fini(&s->stopper);
}
