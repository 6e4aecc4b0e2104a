// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of an informer: informer.c has its life and loop, watch.c what one list or watch does.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/thread.h"
#include "kube/informer.h"
#include "store_priv.h"

#include <stdbool.h>
#include <stdint.h>

struct http_cancel;
struct kube_objects;
struct map;
struct metric_family;

enum {
    WATCH_TIMEOUT_S = 290,
    WATCH_TIMEOUT_JITTER_S = 60,
    WATCH_GRACE_MS = 30 * 1000, /* beyond what we ask for: then we end it */
    WATCH_IDLE_MS = 130 * 1000, /* two intervals of bookmarks (1 min), and some */
    LIST_PAGE_SIZE = 500,
    LIST_RESTARTS_MAX = 3 /* when a continue token expires */
};

struct kube_informer {
    struct kube_informer_options o;
    const struct clock *clock;
    struct store *store;
    struct http_cancel *cancel;
    struct stopper stopper;
    struct thread thread;
    bool is_started;
    pthread_mutex_t mutex;
    pthread_cond_t synced;
    bool has_synced; /* under the mutex */

    /* the informer's thread alone: */
    char *resource_version; /* NULL: list first */
    bool can_stream_list;   /* until the server says that it cannot */
    bool must_page;         /* the next list only: a stream list ended before its time */
    int64_t listed_mono_ms; /* when the last list began */
    struct metric_family *objects, *lists, *watches, *errors;
};

/* `next` is the whole state as of version: keeps references to it and says what changed. */
void kube_informer_replace(struct kube_informer *i, struct map *next, struct str version);
/* One object is new or has changed (takes o). */
void kube_informer_put(struct kube_informer *i, struct kube_object *o);
void kube_informer_remove(struct kube_informer *i, const struct kube_object *o);
void kube_informer_set_version(struct kube_informer *i, struct str version);
void kube_informer_report(struct kube_informer *i, const struct err *e);

/* Lists by pages and replaces. */
bool kube_watch_list_pages(struct kube_informer *i, struct err *e) BERTH_NODISCARD;
/* Watches until it ends: from resource_version, or, where that is NULL, with a stream list first.
 * True: it ended in good order. */
bool kube_watch_run(struct kube_informer *i, struct err *e) BERTH_NODISCARD;
