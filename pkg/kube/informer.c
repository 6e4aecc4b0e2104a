// SPDX-License-Identifier: Apache-2.0
/*
 * The life of an informer, and its loop: list, watch, and after each end the decision what comes
 * next. See kube/informer.h.
 */
#include "kube/informer.h"

#include "backoff_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "client_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "informer_priv.h"

#include <assert.h>

enum {
    CALM_MS = 1000,            /* a watch that ends sooner is not renewed at once */
    RELIST_CALM_MS = 10 * 1000 /* nor is a list that is this young */
};

static const char *kind_of(const struct kube_informer *i)
{
    return i->o.resource->kind;
}

void kube_informer_report(struct kube_informer *i, const struct err *e)
{
    metric_add(i->errors, (const char *[]){kind_of(i), err_class_name(e->cls)}, 1.0);
    if (i->o.on_error)
        i->o.on_error(i->o.arg, e);
}

static void report_undecodable(struct kube_informer *i, const struct kube_object *o)
{
    struct err e = ERR_INIT;
    if (kube_object_undecodable(o) == NULL)
        return;
    err_set(&e, ERR_INVALID, "Undecodable", "%s \"%s\" cannot be read: %s", kind_of(i),
            kube_object_name(o).ptr, kube_object_undecodable(o));
    kube_informer_report(i, &e);
}

static void announce(struct kube_informer *i, const struct kube_object *o, bool is_deleted)
{
    if (!is_deleted)
        report_undecodable(i, o);
    if (i->o.on_change)
        i->o.on_change(i->o.arg, kube_object_namespace(o), kube_object_name(o), is_deleted);
}

static void count_objects(struct kube_informer *i)
{
    metric_set(i->objects, (const char *[]){kind_of(i)}, (double)kube_store_count(i->store));
}

void kube_informer_set_version(struct kube_informer *i, struct str version)
{
    if (str_is_empty(version) || (i->resource_version && str_eq_cstr(version, i->resource_version)))
        return;
    mem_free(i->resource_version);
    i->resource_version = mem_dup(version.ptr, version.len);
}

void kube_informer_replace(struct kube_informer *i, struct map *next, struct str version)
{
    struct kube_objects changed BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    struct kube_objects gone BERTH_CLEANUP(kube_objects_fini) = KUBE_OBJECTS_INIT;
    kube_store_replace(i->store, next, &changed, &gone);
    kube_informer_set_version(i, version);
    metric_add(i->lists, (const char *[]){kind_of(i)}, 1.0);
    count_objects(i);
    for (size_t n = 0; n < gone.count; n++)
        announce(i, gone.items[n], true);
    for (size_t n = 0; n < changed.count; n++)
        announce(i, changed.items[n], false);
    (void)pthread_mutex_lock(&i->mutex);
    i->has_synced = true;
    (void)pthread_cond_broadcast(&i->synced);
    (void)pthread_mutex_unlock(&i->mutex);
}

void kube_informer_put(struct kube_informer *i, struct kube_object *o)
{
    if (kube_store_put(i->store, o)) {
        count_objects(i);
        announce(i, o, false);
    }
    kube_object_unref(o);
}

void kube_informer_remove(struct kube_informer *i, const struct kube_object *o)
{
    if (!kube_store_remove(i->store, kube_object_namespace(o), kube_object_name(o)))
        return;
    count_objects(i);
    if (i->o.on_deleted)
        i->o.on_deleted(i->o.arg, o);
    announce(i, o, true);
}

static void forget_version(struct kube_informer *i)
{
    i->resource_version = mem_free(i->resource_version);
}

/* One list or watch. */
static bool step(struct kube_informer *i, struct err *e)
{
    if (i->resource_version)
        return kube_watch_run(i, e);
    if (i->can_stream_list && !i->must_page)
        return kube_watch_run(i, e);
    i->must_page = false;
    return kube_watch_list_pages(i, e);
}

/* What an error means for what comes next; true: it is an ordinary turn, to be neither reported
 * nor waited for. */
static bool turn(struct kube_informer *i, const struct err *e, bool was_list)
{
    if (e->cls == ERR_GONE) {
        forget_version(i);
        return clock_mono_ms(i->clock) - i->listed_mono_ms >= RELIST_CALM_MS;
    }
    if (e->cls == ERR_NOT_FOUND)
        forget_version(i); /* the kind went: what comes back is another state */
    if (was_list && i->can_stream_list && e->cls == ERR_INVALID &&
        (e->http_status == 400 || e->http_status == 422)) {
        i->can_stream_list = false; /* before 1.32, or its feature gate is off */
        return true;
    }
    return false;
}

static int64_t delay_after(struct kube_informer *i, struct backoff *b, const struct err *e)
{
    uint32_t entropy;
    crypto_random(&entropy, sizeof(entropy));
    int64_t delay_ms = kube_backoff_next_ms(b, clock_mono_ms(i->clock), entropy);
    return delay_ms > e->retry_after_ms ? delay_ms : e->retry_after_ms;
}

static void run(void *arg)
{
    struct kube_informer *i = arg;
    struct backoff backoff =
        kube_backoff_new(i->o.backoff_min_ms > 0 ? i->o.backoff_min_ms : BACKOFF_MIN_MS);
    while (!stopper_is_stopped(&i->stopper)) {
        struct err e = ERR_INIT;
        bool was_list = i->resource_version == NULL;
        int64_t start_ms = clock_mono_ms(i->clock);
        bool is_fine = step(i, &e);
        if (stopper_is_stopped(&i->stopper) || e.cls == ERR_CANCELLED)
            return;
        if (is_fine && (was_list || clock_mono_ms(i->clock) - start_ms >= CALM_MS))
            continue;
        if (!is_fine && turn(i, &e, was_list))
            continue;
        if (!is_fine && e.cls != ERR_GONE)
            kube_informer_report(i, &e);
        if (stopper_wait_ms(&i->stopper, delay_after(i, &backoff, &e)))
            return;
    }
}

static void declare_metrics(struct kube_informer *i, struct metrics *m)
{
    i->objects = metrics_gauge(m, "berth_informer_objects", "Objects in the local copy.", "kind");
    i->lists = metrics_counter(m, "berth_informer_lists_total",
                               "Complete lists that replaced the local copy.", "kind");
    i->watches = metrics_counter(m, "berth_informer_watches_total", "Watches started.", "kind");
    i->errors = metrics_counter(m, "berth_informer_errors_total",
                                "Failures of lists and watches, and objects that cannot be read.",
                                "kind,class");
    /* so that the first one is a rise */
    metric_add(i->errors, (const char *[]){kind_of(i), err_class_name(ERR_RETRY)}, 0);
}

struct kube_informer *kube_informer_new(const struct kube_informer_options *o)
{
    struct kube_informer *i = mem_alloc(sizeof(*i));
    i->o = *o;
    i->clock = o->clock ? o->clock : clock_system();
    i->store = kube_store_new();
    i->cancel = http_cancel_new();
    i->can_stream_list = true;
    stopper_init(&i->stopper);
    (void)pthread_mutex_init(&i->mutex, NULL);
    thread_cond_init(&i->synced);
    if (o->metrics)
        declare_metrics(i, o->metrics);
    return i;
}

void kube_informer_start(struct kube_informer *i)
{
    assert(!i->is_started);
    i->is_started = true;
    thread_start(&i->thread, "informer", run, i);
}

void kube_informer_stop(struct kube_informer *i)
{
    stopper_stop(&i->stopper);
    http_cancel_now(i->cancel);
    (void)pthread_mutex_lock(&i->mutex);
    (void)pthread_cond_broadcast(&i->synced);
    (void)pthread_mutex_unlock(&i->mutex);
    thread_join(&i->thread);
}

struct kube_informer *kube_informer_free(struct kube_informer *i)
{
    if (i == NULL)
        return NULL;
    kube_informer_stop(i);
    i->store = kube_store_free(i->store);
    i->cancel = http_cancel_free(i->cancel);
    i->resource_version = mem_free(i->resource_version);
    stopper_fini(&i->stopper);
    (void)pthread_cond_destroy(&i->synced);
    (void)pthread_mutex_destroy(&i->mutex);
    return mem_free(i);
}

bool kube_informer_has_synced(struct kube_informer *i)
{
    (void)pthread_mutex_lock(&i->mutex);
    bool has_synced = i->has_synced;
    (void)pthread_mutex_unlock(&i->mutex);
    return has_synced;
}

bool kube_informer_wait_synced(struct kube_informer *i, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + timeout_ms;
    (void)pthread_mutex_lock(&i->mutex);
    while (!i->has_synced && !stopper_is_stopped(&i->stopper)) {
        int64_t left_ms = deadline_ms - clock_mono_ms(clock_system());
        if (left_ms <= 0 || !thread_cond_wait_ms(&i->synced, &i->mutex, left_ms))
            break;
    }
    bool has_synced = i->has_synced;
    (void)pthread_mutex_unlock(&i->mutex);
    return has_synced;
}

struct kube_object *kube_informer_get(struct kube_informer *i, struct str namespace,
                                      struct str name)
{
    return kube_store_get(i->store, namespace, name);
}

void kube_informer_list(struct kube_informer *i, struct kube_objects *ret)
{
    kube_store_list(i->store, ret);
}

size_t kube_informer_count(struct kube_informer *i)
{
    return kube_store_count(i->store);
}
