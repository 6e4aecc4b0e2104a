// SPDX-License-Identifier: Apache-2.0
/*
 * One list or one watch of an informer. Facts of the protocol are from Kubernetes' "API concepts":
 * bookmarks, sendInitialEvents with its end mark, 410.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "client_priv.h"
#include "crypto/crypto.h"
#include "frame_priv.h"
#include "informer_priv.h"
#include "slice_priv.h"
#include "status_priv.h"
#include "url_priv.h"

#include <stdio.h>

struct watch {
    struct kube_informer *informer;
    struct frame_decoder decoder;
    struct map *staging; /* the stream list; NULL: it is complete, or none was asked for */
    const char *what;
    struct err error; /* what an ERROR event said */
};

static void watch_fini(struct watch *w)
{
    kube_frame_decoder_fini(&w->decoder);
    w->staging = kube_staging_free(w->staging);
}

/* *ret is NULL where the event has to be left out. False: memory is out; the watch begins anew with
 * this event, or the object would stay as it was. */
static bool read_object(struct watch *w, const struct frame *f, struct kube_object **ret)
{
    struct err e = ERR_INIT;
    if (kube_object_parse(f->object, ret, &e))
        return true;
    if (e.cls == ERR_RETRY) {
        w->error = e;
        return err_wrap(&w->error, "%s", w->what);
    }
    err_wrap(&e, "%s: an event is left out", w->what);
    kube_informer_report(w->informer, &e);
    return true;
}

static bool on_object(struct watch *w, const struct frame *f)
{
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
    if (!read_object(w, f, &o) || o == NULL)
        return !err_is_set(&w->error);
    bool is_deleted = f->type == FRAME_DELETED;
    if (w->staging) { /* versions count from the end mark on only */
        if (is_deleted)
            kube_staging_remove(w->staging, o);
        else
            kube_staging_put(w->staging, TAKE(o));
        return true;
    }
    kube_informer_set_version(w->informer, kube_object_resource_version(o));
    if (is_deleted)
        kube_informer_remove(w->informer, o);
    else
        kube_informer_put(w->informer, TAKE(o));
    return true;
}

static void on_bookmark(struct watch *w, const struct frame *f)
{
    static const char *const TOP[] = {"metadata"};
    static const char *const META[] = {"resourceVersion", "annotations"};
    static const char *const MARKS[] = {"k8s.io/initial-events-end"};
    struct str top[1], meta[2], marks[1];
    if (!kube_slice_members(f->object, TOP, 1, top) || !kube_slice_members(top[0], META, 2, meta))
        return;
    struct str version = kube_slice_plain_string(meta[0]);
    if (str_is_empty(version))
        return;
    bool is_end = kube_slice_members(meta[1], MARKS, 1, marks) &&
                  str_eq(kube_slice_plain_string(marks[0]), STR("true"));
    if (!w->staging) {
        kube_informer_set_version(w->informer, version);
    } else if (is_end) {
        kube_informer_replace(w->informer, w->staging, version);
        w->staging = kube_staging_free(w->staging);
    }
}

static bool on_frame(void *arg, const struct frame *f)
{
    struct watch *w = arg;
    struct err e = ERR_INIT;
    switch (f->type) {
    case FRAME_ADDED:
    case FRAME_MODIFIED:
    case FRAME_DELETED:
        return on_object(w, f);
    case FRAME_BOOKMARK:
        on_bookmark(w, f);
        return true;
    case FRAME_ERROR:
        return kube_status_fail(0, f->object, STR_NULL, w->what, &w->error);
    case FRAME_INVALID:
        err_set(&e, ERR_INVALID, "Undecodable", "%s: a line is no event and is left out", w->what);
        kube_informer_report(w->informer, &e);
        return true;
    }
    return true;
}

static bool on_data(void *arg, struct str data)
{
    struct watch *w = arg;
    if (kube_frame_decoder_feed(&w->decoder, data, on_frame, w))
        return true;
    if (w->decoder.is_out_of_memory)
        err_set(&w->error, ERR_RETRY, "OutOfMemory", "%s: out of memory for an event", w->what);
    return false;
}

static bool build_url(const struct kube_informer *i, struct buf *url, int timeout_s, struct err *e)
{
    struct url_target t = {.resource = i->o.resource, .namespace = i->o.namespace};
    bool is_first = true;
    char seconds[16];
    if (!kube_url_path(url, kube_client_server(i->o.client), &t, e))
        return false;
    (void)snprintf(seconds, sizeof(seconds), "%d", timeout_s);
    kube_url_query(url, &is_first, "watch", STR("true"));
    kube_url_query(url, &is_first, "allowWatchBookmarks", STR("true"));
    kube_url_query(url, &is_first, "timeoutSeconds", str_from(seconds));
    if (i->o.field_selector)
        kube_url_query(url, &is_first, "fieldSelector", str_from(i->o.field_selector));
    if (i->resource_version) {
        kube_url_query(url, &is_first, "resourceVersion", str_from(i->resource_version));
    } else {
        /* no resourceVersion with NotOlderThan: from the most recent state */
        kube_url_query(url, &is_first, "sendInitialEvents", STR("true"));
        kube_url_query(url, &is_first, "resourceVersionMatch", STR("NotOlderThan"));
    }
    return buf_ok(url) || err_set(e, ERR_INVALID, "TooLarge", "the request's URL is too long");
}

bool kube_watch_run(struct kube_informer *i, struct err *e)
{
    struct buf url BERTH_CLEANUP(buf_fini) = BUF_INIT(URL_MAX_BYTES);
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct watch w BERTH_CLEANUP(watch_fini) = {.informer = i,
                                                .decoder = FRAME_DECODER_INIT(FRAME_MAX_BYTES)};
    uint16_t entropy;
    crypto_random(&entropy, sizeof(entropy));
    int timeout_s = WATCH_TIMEOUT_S + entropy % WATCH_TIMEOUT_JITTER_S;
    w.what = arena_printf(&a, "watch %s", i->o.resource->plural).ptr;
    if (!build_url(i, &url, timeout_s, e))
        return err_wrap(e, "%s", w.what);
    bool is_list = i->resource_version == NULL;
    if (is_list) {
        w.staging = kube_staging_new();
        i->listed_mono_ms = clock_mono_ms(i->clock);
    }
    struct client_request rq = {.method = "GET",
                                .url = buf_str(&url),
                                .timeout_ms = timeout_s * 1000 + WATCH_GRACE_MS,
                                .what = w.what};
    metric_add(i->watches, (const char *[]){i->o.resource->kind}, 1.0);
    int64_t idle_ms = i->o.idle_ms > 0 ? i->o.idle_ms : WATCH_IDLE_MS;
    if (!kube_client_stream(i->o.client, &rq, idle_ms, i->cancel, on_data, &w, e)) {
        if (w.staging && e->http_status == 0)
            i->must_page = true;
        return false;
    }
    if (err_is_set(&w.error)) {
        *e = w.error;
        return false;
    }
    if (!w.staging)
        return true;
    /* a server that does not know sendInitialEvents watches on without an end mark */
    i->must_page = true;
    return err_set(e, ERR_RETRY, "NoEndMark", "%s: the stream ended before the list was complete",
                   w.what);
}

static bool list_all(struct kube_informer *i, struct map *staging, char **ret_version,
                     struct err *e)
{
    int limit = LIST_PAGE_SIZE;
    char *token BERTH_CLEANUP(mem_freecp) = NULL;
    for (;;) {
        struct kube_page page BERTH_CLEANUP(kube_page_fini) = KUBE_PAGE_INIT;
        struct kube_list_options o = {.resource = i->o.resource,
                                      .namespace = i->o.namespace,
                                      .limit = limit,
                                      .continue_token = str_from(token),
                                      .field_selector = str_from(i->o.field_selector)};
        struct err why = ERR_INIT;
        enum kube_result got = kube_client_list_page(i->o.client, &o, i->cancel, &page, &why);
        if (got == KUBE_NOT_FOUND)
            return err_set(e, ERR_NOT_FOUND, "NotFound",
                           "list %s: the server does not know the kind: is its CRD installed?",
                           i->o.resource->plural);
        if (got != KUBE_OK && str_eq_cstr(STR("TooLarge"), why.reason) && limit > 1) {
            limit /= 2; /* a continue token is good for any limit */
            continue;
        }
        if (got != KUBE_OK) {
            *e = why;
            return false;
        }
        for (size_t n = 0; n < page.objects.count; n++)
            kube_staging_put(staging, kube_object_ref(page.objects.items[n]));
        if (page.unnamed > 0) {
            struct err bad = ERR_INIT;
            err_set(&bad, ERR_INVALID, "Undecodable", "list %s: %zu objects without a name",
                    i->o.resource->plural, page.unnamed);
            kube_informer_report(i, &bad);
        }
        mem_free(*ret_version); /* the same on all pages; the last one counts */
        *ret_version = TAKE(page.resource_version);
        mem_free(token);
        token = TAKE(page.continue_token);
        if (token[0] == '\0')
            return true;
    }
}

bool kube_watch_list_pages(struct kube_informer *i, struct err *e)
{
    i->listed_mono_ms = clock_mono_ms(i->clock);
    for (int restart = 0;; restart++) {
        struct map *staging = kube_staging_new();
        char *version BERTH_CLEANUP(mem_freecp) = NULL;
        struct err why = ERR_INIT;
        bool is_whole = list_all(i, staging, &version, &why);
        if (is_whole)
            kube_informer_replace(i, staging, str_from(version));
        kube_staging_free(staging);
        if (is_whole)
            return true;
        if (why.cls != ERR_GONE || restart + 1 >= LIST_RESTARTS_MAX) {
            *e = why;
            return false;
        }
    }
}
