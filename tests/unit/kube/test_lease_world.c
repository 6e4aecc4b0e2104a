// SPDX-License-Identifier: Apache-2.0
/*
 * Several processes, one Lease, and everything that goes wrong: requests that are lost, done
 * without an answer, or done long after they timed out; processes that are stopped for half a
 * minute, also in the middle of a call; crashes; clocks of different speed; wall clocks that jump.
 * Whatever happens, at no moment two of them lead; and once it stops happening one of them does.
 */
#include "base/mem.h"
#include "fake_lease.h"
#include "kube/client.h"
#include "kube/config.h"
#include "lease_priv.h"
#include "test_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    PROCESSES = 3,
    PENDING_MAX = 64,
    WORLDS = 200,
    CHAOS_MS = 600 * 1000,
    CALM_MS = 60 * 1000,
    SPEED = 1000, /* of a clock that is right */
    SPEED_ERROR = 100
};

struct process {
    struct world *world;
    struct fake_link link;
    struct clock clock;
    int64_t offset_ms, wall_offset_ms, speed;
    struct kube_client *client;
    struct kube_lease *lease;
    int64_t due_ms; /* world time of its next round */
    bool is_busy;   /* in a round: time passes in its calls */
    bool is_told;   /* by the callbacks: it leads */
};

/* A request that its sender gave up, and that is done nevertheless. */
struct pending {
    int64_t due_ms;
    char *method, *body; /* NULL: free */
};

struct world {
    int64_t now_ms;
    struct test_random random;
    uint64_t seed;
    bool is_calm;
    struct kube_config config;
    struct fake_lease server;
    struct process processes[PROCESSES];
    struct pending pending[PENDING_MAX];
    int64_t led_ms;
    int terms;
};

static bool chance(struct world *w, uint32_t percent)
{
    return !w->is_calm && test_random_below(&w->random, 100) < percent;
}

static int64_t process_mono_ms(void *impl)
{
    const struct process *p = impl;
    return p->offset_ms + p->world->now_ms * p->speed / SPEED;
}

static int64_t process_unix_ms(void *impl)
{
    const struct process *p = impl;
    return p->wall_offset_ms + p->world->now_ms;
}

static int leaders(const struct world *w)
{
    int n = 0;
    for (int i = 0; i < PROCESSES; i++)
        n += kube_lease_is_leader(w->processes[i].lease);
    return n;
}

static void check(const struct world *w)
{
    if (leaders(w) > 1)
        fail_msg("seed %llu: two leaders at %lld ms", (unsigned long long)w->seed,
                 (long long)w->now_ms);
}

static void round_of(struct process *p);

static void serve_pending(struct world *w, struct pending *p)
{
    struct buf ignored BERTH_CLEANUP(buf_fini) = BUF_INIT(4 * FAKE_LEASE_TEXT_MAX);
    (void)fake_lease_serve(&w->server, p->method, str_from(p->body), &ignored);
    p->method = mem_free(p->method);
    p->body = mem_free(p->body);
}

/* The earliest of what is due by then; false: nothing. */
static bool happen(struct world *w, int64_t until_ms)
{
    struct pending *late = NULL;
    struct process *next = NULL;
    int64_t at_ms = until_ms + 1;
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (w->pending[i].method && w->pending[i].due_ms < at_ms) {
            late = &w->pending[i];
            at_ms = late->due_ms;
        }
    for (int i = 0; i < PROCESSES; i++)
        if (!w->processes[i].is_busy && w->processes[i].due_ms < at_ms) {
            next = &w->processes[i];
            at_ms = next->due_ms;
        }
    if (at_ms > until_ms)
        return false;
    check(w); /* before time goes on: leadership ends by time only */
    if (at_ms > w->now_ms) {
        w->led_ms += leaders(w) > 0 ? at_ms - w->now_ms : 0;
        w->now_ms = at_ms;
    }
    if (next)
        round_of(next);
    else
        serve_pending(w, late);
    check(w);
    return true;
}

static void advance(struct world *w, int64_t ms)
{
    int64_t until_ms = w->now_ms + ms;
    while (happen(w, until_ms))
        ;
    if (until_ms > w->now_ms) {
        w->led_ms += leaders(w) > 0 ? until_ms - w->now_ms : 0;
        w->now_ms = until_ms;
    }
    check(w);
}

/* Time in a call of p; now and then p is stopped in it. */
static void pass(void *arg, int64_t ms)
{
    struct process *p = arg;
    advance(p->world, ms * SPEED / p->speed);
    if (chance(p->world, 3))
        advance(p->world, test_random_below(&p->world->random, 30000));
}

static bool defer(void *arg, const char *method, struct str body)
{
    struct process *p = arg;
    struct world *w = p->world;
    if (strcmp(method, "GET") == 0 || !chance(w, 10))
        return false;
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (w->pending[i].method == NULL) {
            w->pending[i] = (struct pending){w->now_ms + test_random_below(&w->random, 20000),
                                             mem_strdup(method), mem_dup(body.ptr, body.len)};
            return true;
        }
    return false;
}

static void on_started(void *arg)
{
    struct process *p = arg;
    assert_false(p->is_told);
    p->is_told = true;
    p->world->terms++;
}

static void on_stopped(void *arg)
{
    struct process *p = arg;
    assert_true(p->is_told);
    assert_false(kube_lease_is_leader(p->lease));
    p->is_told = false;
}

static void begin(struct process *p)
{
    struct kube_lease_options o = {.client = p->client,
                                   .namespace = "ns",
                                   .name = "lock",
                                   .instance = "pod",
                                   .clock = &p->clock,
                                   .on_started_leading = on_started,
                                   .on_stopped_leading = on_stopped,
                                   .arg = p};
    p->lease = kube_lease_new(&o);
}

static void restart(struct process *p)
{
    if (chance(p->world, 50)) { /* in good order; else as a crash */
        kube_lease_begin_stop(p->lease, true);
        kube_lease_finish(p->lease);
        assert_false(p->is_told);
    }
    kube_lease_free(p->lease);
    p->is_told = false;
    begin(p);
}

static void upset(struct process *p)
{
    struct world *w = p->world;
    static const enum fake_link_mode MODES[] = {LINK_FINE, LINK_REFUSED, LINK_HANGS,
                                                LINK_LOSES_ANSWER};
    if (w->is_calm)
        p->link.mode = LINK_FINE;
    else if (chance(w, 30))
        p->link.mode = MODES[chance(w, 60) ? 0 : test_random_below(&w->random, ARRAY_SIZE(MODES))];
    p->link.latency_ms = test_random_below(&w->random, w->is_calm || chance(w, 90) ? 50 : 3000);
    if (chance(w, 5))
        p->wall_offset_ms += (int64_t)test_random_below(&w->random, 2000000) - 1000000;
    if (chance(w, 2)) /* somebody edits labels */
        w->server.resource_version += w->server.is_there;
}

static void round_of(struct process *p)
{
    struct world *w = p->world;
    p->is_busy = true;
    upset(p);
    if (chance(w, 2))
        restart(p);
    int64_t wait_ms = kube_lease_step(p->lease);
    p->due_ms = w->now_ms + wait_ms * SPEED / p->speed + 1;
    if (chance(w, 4)) /* stopped between two rounds */
        p->due_ms += test_random_below(&w->random, 40000);
    p->is_busy = false;
}

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = {seed}, .seed = seed, .config.server = STR("https://api")};
    fake_lease_init(&w->server);
    for (int i = 0; i < PROCESSES; i++) {
        struct process *p = &w->processes[i];
        struct err e = ERR_INIT;
        *p = (struct process){.world = w,
                              .clock = {process_unix_ms, process_mono_ms, p},
                              .offset_ms = 1 + test_random_below(&w->random, 1000000),
                              .speed = SPEED - SPEED_ERROR +
                                       test_random_below(&w->random, 2 * SPEED_ERROR + 1),
                              .due_ms = test_random_below(&w->random, 3000)};
        fake_link_init(&p->link, &w->server, pass, p);
        p->link.defer = defer;
        struct kube_client_options c = {
            .config = &w->config, .user_agent = "test", .http = &p->link.client};
        assert_true(kube_client_new(&c, &p->client, &e));
        begin(p);
    }
}

static void world_fini(struct world *w)
{
    for (int i = 0; i < PROCESSES; i++) {
        kube_lease_free(w->processes[i].lease);
        kube_client_free(w->processes[i].client);
    }
    for (size_t i = 0; i < PENDING_MAX; i++) {
        mem_free(w->pending[i].method);
        mem_free(w->pending[i].body);
    }
}

static void never_two_and_in_the_end_one(void **state)
{
    (void)state;
    int64_t led_ms = 0, all_ms = 0;
    int terms = 0;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct world w;
        world_init(&w, seed);
        advance(&w, CHAOS_MS);
        led_ms += w.led_ms;
        all_ms += w.now_ms;
        terms += w.terms;
        w.is_calm = true;
        advance(&w, CALM_MS);
        if (leaders(&w) != 1)
            fail_msg("seed %llu: nobody leads", (unsigned long long)seed);
        w.led_ms = 0;
        int64_t from_ms = w.now_ms;
        advance(&w, CALM_MS);
        assert_int_equal(w.led_ms, w.now_ms - from_ms); /* without a break */
        world_fini(&w);
    }
    /* the chaos was one, and there was something to get wrong in it */
    assert_true(terms > 5 * WORLDS);
    assert_in_range(led_ms * 100 / all_ms, 20, 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(never_two_and_in_the_end_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
