// SPDX-License-Identifier: Apache-2.0
/*
 * Leader election as its users see it: what any thread may ask, beginning and end. The thread
 * itself is lease_loop.c.
 */
#include "base/mem.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "lease_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t system_unix_ms(void *impl)
{
    (void)impl;
    return clock_unix_ms(clock_system());
}

static int64_t system_boot_ms(void *impl)
{
    struct timespec t;
    (void)impl;
    if (clock_gettime(CLOCK_BOOTTIME, &t) != 0)
        return clock_mono_ms(clock_system());
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* As clock_system(), but it runs on while the machine is suspended. */
static const struct clock BOOT_CLOCK = {system_unix_ms, system_boot_ms, NULL};

static uint32_t random_u32(void)
{
    uint32_t n = 0;
    crypto_random(&n, sizeof(n));
    return n;
}

static int64_t now_ms(const struct kube_lease *l)
{
    return clock_mono_ms(l->clock);
}

int64_t kube_lease_left_ms(const struct kube_lease *l)
{
    /* the clock is read after the deadline: a pause between the two can only end leadership */
    int64_t until_ms = atomic_load(&l->leads_until_ms);
    int64_t left_ms = until_ms == 0 ? 0 : until_ms - now_ms(l);
    return left_ms > 0 ? left_ms : 0;
}

bool kube_lease_is_leader(const struct kube_lease *l)
{
    return kube_lease_left_ms(l) > 0;
}

const char *kube_lease_identity(const struct kube_lease *l)
{
    return l->identity;
}

struct kube_lease *kube_lease_new(const struct kube_lease_options *o)
{
    struct kube_lease *l = mem_alloc(sizeof(*l));
    char uuid[37];
    crypto_uuid(uuid);
    struct str instance = str_cut_utf8(str_from(o->instance ? o->instance : ""),
                                       KUBE_LEASE_HOLDER_MAX - sizeof(uuid) - 1);
    (void)snprintf(l->identity, sizeof(l->identity), "%.*s_%s", STR_ARG(instance), uuid);
    l->client = o->client;
    l->namespace = mem_strdup(o->namespace);
    l->name = mem_strdup(o->name);
    l->clock = o->clock ? o->clock : &BOOT_CLOCK;
    l->callbacks = *o;
    l->random = random_u32;
    l->cancel = http_cancel_new();
    atomic_init(&l->leads_until_ms, 0);
    stopper_init(&l->stopper);
    (void)pthread_mutex_init(&l->mutex, NULL);
    thread_cond_init(&l->changed);
    if (o->metrics) {
        l->status =
            metrics_gauge(o->metrics, "leader_election_master_status",
                          "1 while this process leads by the Lease of that name, else 0.", "name");
        l->transitions =
            metrics_counter(o->metrics, "berth_leader_election_transitions_total",
                            "How often this process started or stopped leading.", "name");
    }
    metric_set(l->status, (const char *[]){l->name}, 0.0);
    metric_add(l->transitions, (const char *[]){l->name}, 0.0);
    return l;
}

void kube_lease_start(struct kube_lease *l)
{
    thread_start(&l->thread, "lease", kube_lease_run, l);
}

void kube_lease_begin_stop(struct kube_lease *l, bool is_releasing)
{
    (void)pthread_mutex_lock(&l->mutex);
    if (!l->is_stopping)
        l->is_releasing = is_releasing;
    l->is_stopping = true;
    atomic_store(&l->leads_until_ms, 0);
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->mutex);
    stopper_stop(&l->stopper);
}

/* Calls get KUBE_LEASE_STOP_MS to end by themselves: one that is cut costs its connection, and
 * leaves open whether it was done. */
static void stop(struct kube_lease *l, bool is_releasing)
{
    if (!l->thread.is_running)
        return;
    kube_lease_begin_stop(l, is_releasing);
    (void)pthread_mutex_lock(&l->mutex);
    int64_t until_ms = clock_mono_ms(clock_system()) + KUBE_LEASE_STOP_MS;
    int64_t left_ms = KUBE_LEASE_STOP_MS;
    while (!l->is_finished && left_ms > 0) {
        (void)thread_cond_wait_ms(&l->changed, &l->mutex, left_ms);
        left_ms = until_ms - clock_mono_ms(clock_system());
    }
    (void)pthread_mutex_unlock(&l->mutex);
    http_cancel_now(l->cancel);
    thread_join(&l->thread);
}

void kube_lease_release(struct kube_lease *l)
{
    stop(l, true);
}

void kube_lease_stop(struct kube_lease *l)
{
    stop(l, false);
}

struct kube_lease *kube_lease_free(struct kube_lease *l)
{
    if (l == NULL)
        return NULL;
    stop(l, false);
    kube_object_unref(l->seen_object);
    http_cancel_free(l->cancel);
    stopper_fini(&l->stopper);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->mutex);
    mem_free(l->namespace);
    mem_free(l->name);
    return mem_free(l);
}

void kube_lease_holder(struct kube_lease *l, char ret[static KUBE_LEASE_HOLDER_MAX])
{
    (void)pthread_mutex_lock(&l->mutex);
    memcpy(ret, l->holder, KUBE_LEASE_HOLDER_MAX);
    (void)pthread_mutex_unlock(&l->mutex);
}

static enum kube_lease_role role(const struct kube_lease *l)
{
    if (kube_lease_is_leader(l))
        return KUBE_LEASE_LEADER;
    return l->held_until_ms > now_ms(l) ? KUBE_LEASE_FOLLOWER : KUBE_LEASE_UNKNOWN;
}

enum kube_lease_role kube_lease_wait_role(struct kube_lease *l, int64_t timeout_ms)
{
    int64_t until_ms = clock_mono_ms(clock_system()) + timeout_ms;
    (void)pthread_mutex_lock(&l->mutex);
    enum kube_lease_role found = role(l);
    int64_t left_ms = timeout_ms;
    while (found == KUBE_LEASE_UNKNOWN && !l->is_stopping && left_ms > 0) {
        (void)thread_cond_wait_ms(&l->changed, &l->mutex, left_ms);
        found = role(l);
        left_ms = until_ms - clock_mono_ms(clock_system());
    }
    if (l->is_stopping)
        found = KUBE_LEASE_UNKNOWN;
    (void)pthread_mutex_unlock(&l->mutex);
    return found;
}
