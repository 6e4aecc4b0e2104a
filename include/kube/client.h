// SPDX-License-Identifier: Apache-2.0
/*
 * The Kubernetes REST client: objects as JSON, by resource.
 *
 * Outcomes that a caller expects are results; everything else is KUBE_FAILED with *e set from the
 * server's Status: cls as below, reason the server's own word ("Forbidden", "Invalid", …), http
 * status, Retry-After, and a message with the server's words and its field causes. With any other
 * result *e is untouched.
 *
 *     401                              ERR_CREDENTIALS   after one refresh and one retry
 *     403                              ERR_DENIED        (ERR_QUOTA: an exceeded ResourceQuota)
 *     404                              KUBE_NOT_FOUND    of object, namespace or the kind itself
 *     409 AlreadyExists                KUBE_EXISTS
 *     409                              KUBE_CONFLICT     changed since it was read, another uid
 *     410                              ERR_GONE
 *     429                              ERR_THROTTLED
 *     400, 405, 406, 413, 415, 422     ERR_INVALID       no retry can help
 *     5xx, transport                   ERR_RETRY
 *
 * No call is repeated by itself (but for 401): callers have a work queue with backoff. Any thread;
 * calls block for at most KUBE_TIMEOUT_MS.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/object.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct http_client;
struct kube_client;
struct kube_config;
struct metrics;

enum {
    KUBE_TIMEOUT_MS = 30 * 1000,
    KUBE_ANSWER_MAX_BYTES = 8 << 20, /* of one object */
    KUBE_PAGE_MAX_BYTES = 32 << 20   /* of one page of a list */
};

/* What is needed to address a kind: a table row of the caller. */
struct kube_resource {
    const char *group; /* "" for the core group */
    const char *version;
    const char *plural;
    const char *kind;
    bool is_namespaced;
};

enum kube_result {
    KUBE_OK,
    KUBE_NOT_FOUND,
    KUBE_CONFLICT,
    KUBE_EXISTS,
    KUBE_FAILED /* *e is set */
};

struct kube_client_options {
    const struct kube_config *config; /* outlives the client */
    const char *user_agent;
    struct metrics *metrics;   /* NULL: none; rest_client_requests_total{code,method,host} */
    const struct clock *clock; /* NULL: clock_system() */
    /* The test seam; NULL: made from config. Outlives the client. */
    const struct http_client *http;
};

/* Nothing is sent yet. ERR_INVALID where certificate or key cannot be used. */
bool kube_client_new(const struct kube_client_options *o, struct kube_client **ret,
                     struct err *e) BERTH_NODISCARD;
/* Nobody may be in it. NULL is fine; returns NULL. */
struct kube_client *kube_client_free(struct kube_client *c);
BERTH_DEFINE_CLEANUP(struct kube_client *, kube_client_free);
/* From now on calls fail with ERR_CANCELLED before they send; what is under way ends by itself. */
void kube_client_stop(struct kube_client *c);

/*
 * namespace is NULL for cluster-scoped kinds (and for lists of all namespaces). *ret, where it is
 * wanted (ret may be NULL), is the object as the server has it now: the caller's reference.
 */
enum kube_result kube_get(struct kube_client *c, const struct kube_resource *r,
                          const char *namespace, const char *name, struct kube_object **ret,
                          struct err *e) BERTH_NODISCARD;
/* body: the whole object as JSON. field_manager: NULL lets the server take the user agent. */
enum kube_result kube_create(struct kube_client *c, const struct kube_resource *r,
                             const char *namespace, const char *field_manager, struct str body,
                             struct kube_object **ret, struct err *e) BERTH_NODISCARD;

enum kube_patch_type {
    KUBE_PATCH_MERGE, /* RFC 7386 */
    KUBE_PATCH_JSON,  /* RFC 6902; a failed `test` is ERR_INVALID */
    KUBE_PATCH_APPLY  /* server-side apply; field_manager is needed */
};
struct kube_patch {
    const struct kube_resource *resource;
    const char *namespace; /* NULL: cluster-scoped */
    const char *name;
    const char *subresource; /* NULL, "status", … */
    enum kube_patch_type type;
    const char *field_manager; /* NULL only where type is not APPLY */
    bool is_force;             /* APPLY: take fields over from other managers */
    bool is_dry_run;
    struct str body;
};
enum kube_result kube_patch(struct kube_client *c, const struct kube_patch *p,
                            struct kube_object **ret, struct err *e) BERTH_NODISCARD;

/* uid: only the object that has this uid is deleted (KUBE_CONFLICT for another); absent: any.
 * KUBE_OK means accepted: finalizers may keep the object for a while. */
enum kube_result kube_delete(struct kube_client *c, const struct kube_resource *r,
                             const char *namespace, const char *name, struct str uid,
                             struct err *e) BERTH_NODISCARD;

struct kube_list_options {
    const struct kube_resource *resource;
    const char *namespace;       /* NULL: cluster-scoped, or all namespaces */
    int limit;                   /* 0: the server's choice (all) */
    struct str continue_token;   /* absent: the first page */
    struct str resource_version; /* absent: the newest; "0": whatever a cache has */
    struct str label_selector;   /* absent: none */
    struct str field_selector;
};
struct kube_page {
    struct kube_objects objects;
    char *resource_version;
    char *continue_token; /* "" on the last page */
    size_t unnamed;       /* items that had no name to be found: left out */
};
#define KUBE_PAGE_INIT ((struct kube_page){0})
void kube_page_fini(struct kube_page *p);
/* KUBE_NOT_FOUND: the server does not know the kind. ERR_GONE: the continue token is too old, list
 * from the start. ERR_INVALID with reason TooLarge: ask for a smaller page. */
enum kube_result kube_list_page(struct kube_client *c, const struct kube_list_options *o,
                                struct kube_page *ret, struct err *e) BERTH_NODISCARD;
