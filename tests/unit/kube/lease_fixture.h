// SPDX-License-Identifier: Apache-2.0
/*
 * One process that takes part in leader election, without its thread: a test makes it do round
 * after round, and says what the server, the link and the clock do meanwhile.
 */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "fake_lease.h"
#include "kube/client.h"
#include "kube/config.h"
#include "lease_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { START_UNIX_MS = 1000000000 };

struct fixture {
    struct fake_lease server;
    struct fake_link link;
    struct clock_fake clock;
    struct kube_config config;
    struct kube_client *client;
    struct metrics *metrics;
    struct kube_lease *lease;
    int started, stopped, errors;
    int64_t stopped_ms; /* when that was told */
    bool led_when_stopped, led_when_started;
    struct stopper is_told; /* raised by the first start */
    struct err error;
    struct buf holders; /* all that were reported, in order */
};

static inline void pass(void *arg, int64_t ms)
{
    if (ms > 0) /* with a thread beside us it stands still */
        clock_fake_advance(&((struct fixture *)arg)->clock, ms);
}

static inline void on_started(void *arg)
{
    struct fixture *f = arg;
    f->led_when_started = kube_lease_is_leader(f->lease);
    f->started++;
    stopper_stop(&f->is_told);
}

static inline void on_stopped(void *arg)
{
    struct fixture *f = arg;
    f->led_when_stopped |= kube_lease_is_leader(f->lease);
    f->stopped_ms = f->clock.mono_ms;
    f->stopped++;
}

static inline void on_holder(void *arg, struct str holder)
{
    struct fixture *f = arg;
    buf_printf(&f->holders, "[%.*s]",
               STR_ARG(str_eq_cstr(holder, kube_lease_identity(f->lease)) ? STR("me") : holder));
}

static inline void on_error(void *arg, const struct err *e)
{
    struct fixture *f = arg;
    f->error = *e;
    f->errors++;
}

static inline uint32_t no_jitter(void)
{
    return 0;
}

static inline int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err e = ERR_INIT;
    fake_lease_init(&f->server);
    clock_fake_init(&f->clock, START_UNIX_MS);
    clock_fake_advance(&f->clock, 1);
    fake_link_init(&f->link, &f->server, pass, f);
    f->holders = BUF_INIT(4096);
    stopper_init(&f->is_told);
    f->config = (struct kube_config){.server = STR("https://api")};
    f->metrics = metrics_new();
    struct kube_client_options c = {
        .config = &f->config, .user_agent = "test", .http = &f->link.client};
    assert_true(kube_client_new(&c, &f->client, &e));
    struct kube_lease_options o = {.client = f->client,
                                   .namespace = "ns",
                                   .name = "lock",
                                   .instance = "pod",
                                   .clock = &f->clock.clock,
                                   .metrics = f->metrics,
                                   .on_started_leading = on_started,
                                   .on_stopped_leading = on_stopped,
                                   .on_new_holder = on_holder,
                                   .on_error = on_error,
                                   .arg = f};
    f->lease = kube_lease_new(&o);
    f->lease->random = no_jitter;
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    kube_lease_free(f->lease);
    kube_client_free(f->client);
    metrics_free(f->metrics);
    buf_fini(&f->holders);
    stopper_fini(&f->is_told);
    assert_false(f->led_when_stopped);
    assert_true(f->started == 0 || f->led_when_started);
    mem_free(f);
    return 0;
}

static inline int64_t step(struct fixture *f)
{
    return kube_lease_step(f->lease);
}

/* Rounds for that long, each after the pause that the one before asked for. */
static inline void rounds(struct fixture *f, int64_t ms)
{
    int64_t end_ms = f->clock.mono_ms + ms;
    for (;;) {
        int64_t wait_ms = step(f);
        if (f->clock.mono_ms + wait_ms >= end_ms)
            break;
        clock_fake_advance(&f->clock, wait_ms);
    }
    if (end_ms > f->clock.mono_ms)
        clock_fake_advance(&f->clock, end_ms - f->clock.mono_ms);
}

static inline bool leads(const struct fixture *f)
{
    return kube_lease_is_leader(f->lease);
}

static inline void check_spec(struct fixture *f, const char *holder, int duration_s,
                              int64_t acquired_ms, int64_t renewed_ms, int transitions)
{
    char want[1024], acquired[CLOCK_TEXT_MAX], renewed[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(acquired_ms, acquired);
    clock_format_rfc3339_micro(renewed_ms, renewed);
    snprintf(want, sizeof(want),
             "{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":%d,\"acquireTime\":\"%s\","
             "\"renewTime\":\"%s\",\"leaseTransitions\":%d}",
             holder, duration_s, acquired, renewed, transitions);
    assert_true(f->server.is_there);
    assert_string_equal(f->server.spec, want);
}

#define OTHERS(RENEWED)                                                                            \
    "{\"holderIdentity\":\"other\",\"leaseDurationSeconds\":15,\"renewTime\":\"" RENEWED           \
    "\",\"leaseTransitions\":4}"

static inline void expect_metric(struct fixture *f, const char *line)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 16);
    metrics_render(f->metrics, &out);
    if (strstr(buf_cstr(&out), line) == NULL)
        fail_msg("%s is not in\n%s", line, buf_cstr(&out));
}

#define TEST(F) cmocka_unit_test_setup_teardown(F, set_up, tear_down)
