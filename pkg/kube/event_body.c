// SPDX-License-Identifier: Apache-2.0
/*
 * Events as JSON: the fields of events.k8s.io/v1 and what its validation wants
 * (pkg/apis/core/validation/events.go): eventTime, reason, action, reporting names, series.count
 * of at least 2 where there is one, and no deprecated field.
 */
#include "base/clock.h"
#include "event_series_priv.h"
#include "json/write.h"

static void put_series(struct json_writer *w, const struct event_series *s)
{
    char text[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(s->last_unix_ms, text);
    json_key_begin_object(w, "series");
    json_put_int(w, "count", s->count);
    json_put_cstr(w, "lastObservedTime", text);
    json_end(w);
}

static void put_unless_empty(struct json_writer *w, const char *key, struct str s)
{
    if (!str_is_empty(s))
        json_put_str(w, key, s);
}

static void put_regarding(struct json_writer *w, const struct event *ev)
{
    json_key_begin_object(w, "regarding");
    put_unless_empty(w, "apiVersion", ev->api_version);
    put_unless_empty(w, "kind", ev->kind);
    put_unless_empty(w, "namespace", ev->namespace);
    json_put_str(w, "name", ev->name);
    put_unless_empty(w, "uid", ev->uid);
    put_unless_empty(w, "resourceVersion", ev->resource_version);
    json_end(w);
}

void kube_event_write_create(const struct event_series *s, const char *controller,
                             const char *instance, struct buf *out)
{
    const struct event *ev = s->event;
    struct json_writer w = json_writer_to(out);
    char text[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(ev->unix_ms, text);
    json_begin_object(&w);
    json_put_cstr(&w, "apiVersion", "events.k8s.io/v1");
    json_put_cstr(&w, "kind", "Event");
    json_key_begin_object(&w, "metadata");
    json_put_cstr(&w, "name", s->object_name);
    json_put_cstr(&w, "namespace", kube_event_series_namespace(s));
    json_end(&w);
    json_put_cstr(&w, "eventTime", text);
    json_put_cstr(&w, "type", ev->type == KUBE_EVENT_WARNING ? "Warning" : "Normal");
    json_put_str(&w, "reason", ev->reason);
    json_put_str(&w, "action", ev->action);
    put_unless_empty(&w, "note", ev->note);
    json_put_cstr(&w, "reportingController", controller);
    json_put_str(&w, "reportingInstance", str_cut_utf8(str_from(instance), EVENT_FIELD_MAX_BYTES));
    put_regarding(&w, ev);
    if (s->count >= 2)
        put_series(&w, s);
    json_end(&w);
}

void kube_event_write_patch(const struct event_series *s, struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    put_series(&w, s);
    json_end(&w);
}
