// SPDX-License-Identifier: Apache-2.0
/*
 * An API server that has one Lease, and the link of one process to it: a struct http_client whose
 * time is the test's. The server keeps to optimistic locking as the real one does; the link can be
 * cut in each of the ways that leave something in doubt.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "http/http.h"
#include "json/json.h"
#include "json/write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { FAKE_LEASE_TEXT_MAX = 4096 };

struct fake_lease {
    bool is_there;
    int resource_version, uid;
    char labels[FAKE_LEASE_TEXT_MAX]; /* JSON */
    char spec[FAKE_LEASE_TEXT_MAX];
    bool has_namespace;
    int refusal;                   /* 0: none; else the HTTP status of every answer */
    int reads, updates, creations; /* requests */
};

static inline void fake_lease_init(struct fake_lease *s)
{
    *s = (struct fake_lease){.labels = "{}", .spec = "{}", .has_namespace = true};
}

static inline void fake_lease_put(struct fake_lease *s, const char *spec)
{
    s->uid += s->is_there ? 0 : 1;
    s->is_there = true;
    s->resource_version++;
    snprintf(s->spec, sizeof(s->spec), "%s", spec);
}

static inline void fake_lease_delete(struct fake_lease *s)
{
    s->is_there = false;
    s->resource_version++;
}

static inline void fake_lease_print(char *ret, const struct json *v)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(FAKE_LEASE_TEXT_MAX - 1);
    json_print(v, &out);
    snprintf(ret, FAKE_LEASE_TEXT_MAX, "%s", buf_ok(&out) && out.len ? buf_cstr(&out) : "{}");
}

static inline int fake_lease_refuse(struct buf *out, int status, const char *reason)
{
    buf_printf(out, "{\"kind\":\"Status\",\"reason\":\"%s\",\"message\":\"m\",\"code\":%d}", reason,
               status);
    return status;
}

static inline bool fake_lease_is_current(const struct fake_lease *s, const struct json *metadata)
{
    char rv[32], uid[32];
    snprintf(rv, sizeof(rv), "%d", s->resource_version);
    snprintf(uid, sizeof(uid), "u%d", s->uid);
    return s->is_there &&
           str_eq_cstr(json_str_or_null(json_get(metadata, "resourceVersion")), rv) &&
           str_eq_cstr(json_str_or_null(json_get(metadata, "uid")), uid);
}

/* Does what was asked; the answer goes to out. Returns the status. */
static inline int fake_lease_serve(struct fake_lease *s, const char *method, struct str body,
                                   struct buf *out)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    bool is_get = strcmp(method, "GET") == 0, is_post = strcmp(method, "POST") == 0;
    s->reads += is_get;
    s->creations += is_post;
    s->updates += !is_get && !is_post;
    if (s->refusal)
        return fake_lease_refuse(out, s->refusal, "Refused");
    if (!is_get && !json_parse(body, 1 << 20, &doc, &e))
        return fake_lease_refuse(out, 400, "BadRequest");
    const struct json *metadata = doc ? json_get(json_root(doc), "metadata") : NULL;
    if (!s->has_namespace || (is_get && !s->is_there))
        return fake_lease_refuse(out, 404, "NotFound");
    if (is_post && s->is_there)
        return fake_lease_refuse(out, 409, "AlreadyExists");
    if (!is_get && !is_post && !fake_lease_is_current(s, metadata))
        return fake_lease_refuse(out, 409, "Conflict");
    if (!is_get) {
        char spec[FAKE_LEASE_TEXT_MAX];
        fake_lease_print(spec, json_get(json_root(doc), "spec"));
        fake_lease_put(s, spec);
        fake_lease_print(s->labels, json_get(metadata, "labels"));
    }
    buf_printf(out,
               "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
               "\"name\":\"lock\",\"namespace\":\"ns\",\"uid\":\"u%d\",\"resourceVersion\":\"%d\","
               "\"labels\":%s},\"spec\":%s}",
               s->uid, s->resource_version, s->labels, s->spec);
    return is_post ? 201 : 200;
}

static inline bool fake_lease_spec_is(const struct fake_lease *s, const char *want)
{
    return s->is_there && strcmp(s->spec, want) == 0;
}

enum fake_link_mode {
    LINK_FINE,
    LINK_REFUSED,     /* no connection, at once */
    LINK_HANGS,       /* the request is lost: nothing until the time-out */
    LINK_LOSES_ANSWER /* it is done, but nobody hears of it until the time-out */
};

struct fake_link {
    struct http_client client;
    struct fake_lease *server;
    enum fake_link_mode mode;
    int64_t latency_ms; /* of each direction */
    int64_t timeout_ms; /* of the last call */
    int calls;
    void (*pass)(void *arg, int64_t ms); /* lets time pass */
    /* NULL, or what else becomes of a request: true where it was not served now */
    bool (*defer)(void *arg, const char *method, struct str body);
    void *arg;
};

static inline bool fake_link_timeout(struct fake_link *l, int64_t spent_ms, struct err *e)
{
    if (l->timeout_ms > spent_ms)
        l->pass(l->arg, l->timeout_ms - spent_ms);
    return err_set(e, ERR_RETRY, "Timeout", "fake: time-out");
}

static inline bool fake_link_send(void *impl, const struct http_request *rq, struct arena *a,
                                  struct http_response *ret, struct err *e)
{
    struct fake_link *l = impl;
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(4 * FAKE_LEASE_TEXT_MAX);
    struct str path = STR("https://api/apis/coordination.k8s.io/v1/namespaces/ns/leases");
    assert_true(str_starts_with(rq->url, path));
    assert_string_equal(arena_cstr(a, str_from_offset(rq->url, path.len)),
                        strcmp(rq->method, "POST") == 0 ? "" : "/lock");
    l->calls++;
    l->timeout_ms = rq->timeout_ms;
    *ret = (struct http_response){0};
    if (l->mode == LINK_REFUSED)
        return err_set(e, ERR_RETRY, "ConnectFailed", "fake: refused");
    if (l->mode == LINK_HANGS)
        return fake_link_timeout(l, 0, e);
    enum fake_link_mode mode = l->mode; /* of this call, whatever changes while time passes */
    int64_t timeout_ms = l->timeout_ms;
    l->pass(l->arg, l->latency_ms);
    bool is_deferred = l->defer && l->defer(l->arg, rq->method, rq->body);
    if (!is_deferred)
        ret->status = fake_lease_serve(l->server, rq->method, rq->body, &body);
    if (!is_deferred && mode == LINK_FINE && 2 * l->latency_ms < timeout_ms) {
        l->pass(l->arg, l->latency_ms);
        ret->body = arena_copy(a, buf_str(&body));
        return true;
    }
    *ret = (struct http_response){0};
    l->timeout_ms = timeout_ms;
    return fake_link_timeout(l, l->latency_ms, e);
}

static inline void fake_link_init(struct fake_link *l, struct fake_lease *server,
                                  void (*pass)(void *arg, int64_t ms), void *arg)
{
    *l = (struct fake_link){
        .client = {fake_link_send, NULL, NULL, l}, .server = server, .pass = pass, .arg = arg};
}
