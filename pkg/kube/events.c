// SPDX-License-Identifier: Apache-2.0
/*
 * The recorder: a bounded queue and the thread that sends from it; see kube/events.h. What becomes
 * of an event is decided in event_series.c.
 */
#include "kube/events.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "client_priv.h"
#include "crypto/crypto.h"
#include "event_series_priv.h"

#include <stdarg.h>
#include <string.h>

enum {
    SEND_TIMEOUT_MS = 3000,
    SEND_ATTEMPTS = 3,
    RETRY_DELAY_MS = 1000, /* doubles */
    TICK_MS = 30 * 1000,   /* series end, and what was held back is looked at again */
    BODY_MAX_BYTES = 16 << 10
};

static const struct kube_resource EVENTS = {"events.k8s.io", "v1", "events", "Event", true};

struct kube_recorder {
    struct kube_client *client;
    const struct clock *clock;
    char *controller, *instance;
    struct metric_family *sent, *dropped;
    struct thread thread;

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct event *head, **tail; /* the queue, under the mutex */
    size_t queued;
    bool is_stopping;
    int64_t stop_mono_ms; /* by clock_system(): when the flush is over */

    struct event_table *table; /* from here on: the recorder's thread alone */
    void (*on_error)(void *arg, const struct err *e);
    void *arg;
    struct err error; /* that was reported last; clear after one that went well */
    int64_t error_mono_ms;
};

static void count_dropped(struct kube_recorder *rec, const char *cause)
{
    metric_add(rec->dropped, (const char *[]){cause}, 1.0);
}

void kube_event(struct kube_recorder *rec, const struct kube_object *regarding,
                enum kube_event_type type, const char *reason, const char *action, struct str note)
{
    if (rec == NULL)
        return;
    struct event *ev = kube_event_new(regarding, type, reason, action, note);
    ev->unix_ms = clock_unix_ms(rec->clock);
    ev->mono_ms = clock_mono_ms(rec->clock);
    (void)pthread_mutex_lock(&rec->mutex);
    bool has_room = rec->queued < KUBE_EVENT_QUEUE_MAX && !rec->is_stopping;
    if (has_room) {
        *rec->tail = ev;
        rec->tail = &ev->next;
        rec->queued++;
        (void)pthread_cond_signal(&rec->wake);
    }
    (void)pthread_mutex_unlock(&rec->mutex);
    if (has_room)
        return;
    kube_event_free(ev);
    count_dropped(rec, "queue");
}

void kube_eventf(struct kube_recorder *rec, const struct kube_object *regarding,
                 enum kube_event_type type, const char *reason, const char *action, const char *fmt,
                 ...)
{
    struct buf note BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX_BYTES);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&note, fmt, ap);
    va_end(ap);
    kube_event(rec, regarding, type, reason, action, buf_str(&note));
}

static int64_t now_ms(void)
{
    return clock_mono_ms(clock_system());
}

/* Waits at most timeout_ms for something to do; NULL: nothing came. *ret_is_over: stopping, and
 * the queue is empty or the time is up. */
static struct event *take(struct kube_recorder *rec, int64_t timeout_ms, bool *ret_is_over)
{
    (void)pthread_mutex_lock(&rec->mutex);
    if (rec->head == NULL && !rec->is_stopping)
        (void)thread_cond_wait_ms(&rec->wake, &rec->mutex, timeout_ms);
    *ret_is_over = rec->is_stopping && (rec->head == NULL || now_ms() >= rec->stop_mono_ms);
    struct event *ev = *ret_is_over ? NULL : rec->head;
    if (ev) {
        rec->head = ev->next;
        rec->queued--;
        if (rec->head == NULL)
            rec->tail = &rec->head;
    }
    (void)pthread_mutex_unlock(&rec->mutex);
    return ev;
}

/* True: stopping. */
static bool wait_retry(struct kube_recorder *rec, int64_t delay_ms)
{
    int64_t until_ms = now_ms() + delay_ms;
    (void)pthread_mutex_lock(&rec->mutex);
    while (!rec->is_stopping && now_ms() < until_ms)
        (void)thread_cond_wait_ms(&rec->wake, &rec->mutex, until_ms - now_ms());
    bool is_stopping = rec->is_stopping;
    (void)pthread_mutex_unlock(&rec->mutex);
    return is_stopping;
}

static int64_t send_timeout_ms(struct kube_recorder *rec)
{
    (void)pthread_mutex_lock(&rec->mutex);
    int64_t left_ms = rec->is_stopping ? rec->stop_mono_ms - now_ms() : SEND_TIMEOUT_MS;
    (void)pthread_mutex_unlock(&rec->mutex);
    return left_ms < 1 ? 1 : left_ms;
}

static void new_name(struct event_series *s)
{
    uint64_t entropy;
    crypto_random(&entropy, sizeof(entropy));
    kube_event_series_rename(s, entropy);
}

static enum kube_result create(struct kube_recorder *rec, struct event_series *s, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX_BYTES);
    if (!s->is_maybe_sent)
        new_name(s); /* also where the one before exists */
    kube_event_write_create(s, rec->controller, rec->instance, &body);
    enum kube_result got = kube_client_create(rec->client, &EVENTS, kube_event_series_namespace(s),
                                              NULL, buf_str(&body), send_timeout_ms(rec), NULL, e);
    if (got != KUBE_EXISTS || !s->is_maybe_sent) {
        s->is_maybe_sent = got == KUBE_FAILED && e->cls == ERR_RETRY;
        return got;
    }
    /* it is ours, made by the attempt whose answer was lost; of a series, perhaps its beginning */
    s->is_maybe_sent = false;
    s->sent_count = 1;
    return s->count == 1 ? KUBE_OK : KUBE_EXISTS;
}

static enum kube_result patch(struct kube_recorder *rec, struct event_series *s, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(BODY_MAX_BYTES);
    kube_event_write_patch(s, &body);
    struct kube_patch p = {.resource = &EVENTS,
                           .namespace = kube_event_series_namespace(s),
                           .name = s->object_name,
                           .type = KUBE_PATCH_MERGE,
                           .body = buf_str(&body)};
    return kube_client_patch(rec->client, &p, send_timeout_ms(rec), NULL, e);
}

static void report_error(struct kube_recorder *rec, const struct err *e)
{
    int64_t now_mono_ms = clock_mono_ms(rec->clock);
    bool is_new = e->cls != rec->error.cls || strcmp(e->reason, rec->error.reason) != 0 ||
                  now_mono_ms - rec->error_mono_ms >= KUBE_EVENT_ERROR_REPEAT_MS;
    if (!err_is_set(e) || !is_new)
        return;
    rec->error = *e;
    rec->error_mono_ms = now_mono_ms;
    if (rec->on_error)
        rec->on_error(rec->arg, e);
}

static void send(struct kube_recorder *rec, struct event_series *s)
{
    int64_t delay_ms = RETRY_DELAY_MS;
    struct err e = ERR_INIT;
    for (int i = 0; i < SEND_ATTEMPTS; i++) {
        err_clear(&e);
        enum kube_result got = s->sent_count == 0 ? create(rec, s, &e) : patch(rec, s, &e);
        if (got == KUBE_OK) {
            s->sent_count = s->count;
            err_clear(&rec->error);
            metric_add(rec->sent, NULL, 1.0);
            return;
        }
        if (got == KUBE_NOT_FOUND && s->sent_count > 0) {
            s->sent_count = 0; /* its time in the server was over: say it anew */
            continue;
        }
        if (got == KUBE_EXISTS)
            continue;
        if (got != KUBE_FAILED || (e.cls != ERR_RETRY && e.cls != ERR_THROTTLED))
            break; /* denied, or the namespace goes: no retry can help */
        if (i + 1 < SEND_ATTEMPTS && wait_retry(rec, delay_ms))
            break;
        delay_ms *= 2;
    }
    count_dropped(rec, "failed");
    report_error(rec, &e);
}

static void handle(struct kube_recorder *rec, struct event *ev)
{
    int64_t mono_ms = ev->mono_ms;
    struct event_series *s = kube_event_table_add(rec->table, ev);
    if (kube_event_table_may_send(rec->table, s, mono_ms))
        send(rec, s);
    else
        count_dropped(rec, "rate"); /* its series still counts it */
}

static void tick(struct kube_recorder *rec)
{
    int64_t mono_ms = clock_mono_ms(rec->clock);
    struct event_series *s = kube_event_table_next_unsent(rec->table, mono_ms);
    if (s)
        send(rec, s);
    kube_event_table_expire(rec->table, mono_ms);
}

static void run(void *arg)
{
    struct kube_recorder *rec = arg;
    bool is_over = false;
    int64_t tick_ms = now_ms() + TICK_MS;
    while (!is_over) {
        int64_t left_ms = tick_ms - now_ms();
        struct event *ev = take(rec, left_ms > 0 ? left_ms : 0, &is_over);
        if (ev)
            handle(rec, ev);
        if (!is_over && now_ms() >= tick_ms) {
            tick(rec);
            tick_ms = now_ms() + TICK_MS;
        }
    }
}

struct kube_recorder *kube_recorder_new(const struct kube_recorder_options *o)
{
    struct kube_recorder *rec = mem_alloc(sizeof(*rec));
    rec->client = o->client;
    rec->clock = o->clock ? o->clock : clock_system();
    rec->controller = mem_strdup(o->reporting_controller);
    rec->instance = mem_strdup(o->reporting_instance);
    rec->on_error = o->on_error;
    rec->arg = o->arg;
    rec->tail = &rec->head;
    rec->table = kube_event_table_new();
    (void)pthread_mutex_init(&rec->mutex, NULL);
    thread_cond_init(&rec->wake);
    if (o->metrics) {
        rec->sent = metrics_counter(o->metrics, "berth_events_sent_total",
                                    "Events created and series patched.", "");
        rec->dropped = metrics_counter(
            o->metrics, "berth_events_dropped_total",
            "Events not sent: the queue was full, the rate too high, or sending failed.", "cause");
        static const char *const causes[] = {"queue", "rate", "failed"};
        for (size_t i = 0; i < ARRAY_SIZE(causes); i++) /* so that the first one is a rise */
            metric_add(rec->dropped, &causes[i], 0);
    }
    thread_start(&rec->thread, "events", run, rec);
    return rec;
}

struct kube_recorder *kube_recorder_stop(struct kube_recorder *rec)
{
    if (rec == NULL)
        return NULL;
    (void)pthread_mutex_lock(&rec->mutex);
    rec->is_stopping = true;
    rec->stop_mono_ms = now_ms() + KUBE_EVENT_STOP_MS;
    (void)pthread_cond_broadcast(&rec->wake);
    (void)pthread_mutex_unlock(&rec->mutex);
    thread_join(&rec->thread);
    for (struct event *ev = rec->head, *next; ev; ev = next) {
        next = ev->next;
        kube_event_free(ev);
        count_dropped(rec, "queue");
    }
    kube_event_table_free(rec->table);
    (void)pthread_cond_destroy(&rec->wake);
    (void)pthread_mutex_destroy(&rec->mutex);
    mem_free(rec->controller);
    mem_free(rec->instance);
    return mem_free(rec);
}
