// SPDX-License-Identifier: Apache-2.0
/*
 * What the operations, the informer and the recorder share: one authenticated exchange with the
 * API server, whole or as a stream.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/client.h"

#include <stdbool.h>
#include <stdint.h>

struct http_cancel;
struct http_response;

struct client_request {
    const char *method;
    struct str url;
    const char *content_type; /* NULL where there is no body */
    struct str body;
    int64_t timeout_ms;         /* 0: KUBE_TIMEOUT_MS; of a stream: none */
    size_t max_body_bytes;      /* 0: KUBE_ANSWER_MAX_BYTES */
    const char *what;           /* the call, for messages */
    struct http_cancel *cancel; /* NULL: none; not of streams */
};

/* An answer of any status is a success, but for a 401 that stays after one refresh, which is
 * returned as such too. Errors are those of http_send(), wrapped with `what`. */
bool kube_client_send(struct kube_client *c, const struct client_request *rq, struct arena *a,
                      struct http_response *ret, struct err *e) BERTH_NODISCARD;

/* A stream whose bytes go to on_data (false ends it); an answer that is no 200 is turned into an
 * error (also 404 and 409), 401 is retried once. Ends as http_stream does. */
bool kube_client_stream(struct kube_client *c, const struct client_request *rq, int64_t idle_ms,
                        struct http_cancel *cancel, bool (*on_data)(void *arg, struct str data),
                        void *arg, struct err *e) BERTH_NODISCARD;

const struct clock *kube_client_clock(const struct kube_client *c);
struct str kube_client_server(const struct kube_client *c);

/* kube_list_page() that another thread can cut; cancel may be NULL. */
enum kube_result kube_client_list_page(struct kube_client *c, const struct kube_list_options *o,
                                       struct http_cancel *cancel, struct kube_page *ret,
                                       struct err *e) BERTH_NODISCARD;
/* kube_create() and kube_patch() with another time-out. */
enum kube_result kube_client_create(struct kube_client *c, const struct kube_resource *r,
                                    const char *namespace, const char *field_manager,
                                    struct str body, int64_t timeout_ms, struct kube_object **ret,
                                    struct err *e) BERTH_NODISCARD;
enum kube_result kube_client_patch(struct kube_client *c, const struct kube_patch *p,
                                   int64_t timeout_ms, struct kube_object **ret,
                                   struct err *e) BERTH_NODISCARD;

/* One operation on a whole object, with limits of its own. */
enum client_verb { CLIENT_GET, CLIENT_CREATE, CLIENT_UPDATE };
struct client_call {
    enum client_verb verb;
    const struct kube_resource *resource;
    const char *namespace; /* NULL: cluster-scoped */
    const char *name;
    struct str body;            /* the object; absent for CLIENT_GET */
    int64_t timeout_ms;         /* 0: KUBE_TIMEOUT_MS */
    struct http_cancel *cancel; /* NULL: none; once cancelled: ERR_CANCELLED within a second */
};
/* Results are those of kube_get() and kube_create(); an update whose metadata.resourceVersion is
 * old, or whose uid is another's, is KUBE_CONFLICT. */
enum kube_result kube_client_call(struct kube_client *c, const struct client_call *call,
                                  struct kube_object **ret, struct err *e) BERTH_NODISCARD;
