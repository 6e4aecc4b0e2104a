// SPDX-License-Identifier: Apache-2.0
/*
 * Which event goes out as what: repeats become series, floods are held back. No I/O and no clock:
 * times come with the events. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "kube/events.h"

#include <stdbool.h>
#include <stdint.h>

enum { EVENT_SERIES_MAX = 4096, EVENT_NAME_HEX = 16, EVENT_FIELD_MAX_BYTES = 128 };

/* One call of kube_event(). Strings are in its arena. */
struct event {
    struct arena arena;
    struct event *next;                                                   /* of the queue */
    struct str api_version, kind, namespace, name, uid, resource_version; /* regarding */
    enum kube_event_type type;
    struct str reason, action, note;
    int64_t unix_ms, mono_ms;
};
struct event *kube_event_new(const struct kube_object *regarding, enum kube_event_type type,
                             const char *reason, const char *action,
                             struct str note) BERTH_NODISCARD;
struct event *kube_event_free(struct event *ev);

/* What was said of one object in the same words. */
struct event_series {
    struct event *event; /* the first one */
    char *object_name;   /* of the Event object; NULL until it is to be created */
    int64_t count;       /* how often it was said */
    int64_t sent_count;  /* what the server knows; 0: not created yet */
    bool is_maybe_sent;  /* it may know it by that name: an answer was lost */
    int64_t last_unix_ms, last_mono_ms;
};

struct event_table;
struct event_table *kube_event_table_new(void) BERTH_NODISCARD;
struct event_table *kube_event_table_free(struct event_table *t);
/* Takes ev; the series that it belongs to, valid until the next call. */
struct event_series *kube_event_table_add(struct event_table *t, struct event *ev);
/* Takes one of the calls that object and reason have; false: held back. */
bool kube_event_table_may_send(struct event_table *t, const struct event_series *s,
                               int64_t mono_ms);
/* Forgets series that ended, and full buckets. */
void kube_event_table_expire(struct event_table *t, int64_t mono_ms);
/* A series of which the server does not know all and that may be sent now; NULL: none. A call was
 * taken. */
struct event_series *kube_event_table_next_unsent(struct event_table *t, int64_t mono_ms);
size_t kube_event_table_count(const struct event_table *t);

/* Gives the series a (new) name for its Event object: "<name>.<hex>". entropy makes it unique. */
void kube_event_series_rename(struct event_series *s, uint64_t entropy);
/* The namespace of the Event object. */
const char *kube_event_series_namespace(const struct event_series *s);
/* The Event to create, and the merge patch of its series. */
void kube_event_write_create(const struct event_series *s, const char *controller,
                             const char *instance, struct buf *out);
void kube_event_write_patch(const struct event_series *s, struct buf *out);
