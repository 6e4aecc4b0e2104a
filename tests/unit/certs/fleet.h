// SPDX-License-Identifier: Apache-2.0
/*
 * A cluster for tests/unit/certs: one store with a Secret and a ValidatingWebhookConfiguration, and
 * views of it that are late, for replicas and for API servers. The functions of the kube package
 * that the certs package calls are those of fleet_server.c here; everything else is what runs in a
 * pod.
 */
#pragma once

#include "certs_priv.h"
#include "test_random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLEET_VERSIONS = 4096,   /* of each object, in one world */
    FLEET_VIEWERS = 8,       /* replicas, then API servers */
    FLEET_START_MS = 1000000 /* so that no time is 0 */
};

/* One of the two objects: all its versions, and when each viewer sees which. */
struct fleet_object {
    char *texts[FLEET_VERSIONS]; /* JSON; NULL: it is not there */
    int64_t seen_at_ms[FLEET_VERSIONS][FLEET_VIEWERS];
    size_t count;
};

struct fleet {
    int64_t now_ms; /* true time, monotonic */
    struct test_random random;
    struct fleet_object secret;
    struct fleet_object webhook;
    int64_t delay_max_ms[FLEET_VIEWERS]; /* of each viewer */
    int lost_percent;                    /* requests that fail before they are done */
    int silent_percent;                  /* … that are done, and whose answer is lost */
    int conflicts;                       /* that were answered */
    bool is_secret_refused;
    bool is_webhook_refused;
};

/* What struct certs has for its informers and its client: who looks. */
struct fleet_viewer {
    struct fleet *fleet;
    struct fleet_object *object; /* of an informer */
    size_t index;
    bool is_unsynced;
};

void fleet_init(struct fleet *f, uint64_t seed);
void fleet_fini(struct fleet *f);
/* A new version of the object; text NULL: it is deleted. */
void fleet_put(struct fleet *f, struct fleet_object *o, struct str text);
/* The newest version that the viewer has seen; absent: none. */
struct str fleet_view(const struct fleet *f, const struct fleet_object *o, size_t viewer);
/* A configuration with two webhooks and these bundles (PEM). */
void fleet_put_webhook(struct fleet *f, struct str first, struct str second);
/* The caBundle of one of them in that text, decoded into out. */
void fleet_bundle(struct str text, size_t webhook, struct buf *out);
