// SPDX-License-Identifier: Apache-2.0
/*
 * The engine that brings repositories into being: it parks who waits for them, confirms what the
 * snapshot says is missing, creates each repository once however many ask, with the settings of the
 * template that covers it, and goes on in the background when those who asked have gone.
 *
 * A batch is one admission request. ensure_submit() parks it; the engine's own threads work on all
 * of its items side by side: first every item is probed (does it exist by now? is its image
 * there?), then probed() decides, then what it marked is created, then done() is called. Where the
 * batch's deadline comes first, probed() is still asked, with items that are ENSURE_UNKNOWN: what
 * it marks is created in the background, and done() follows at once with ENSURE_PENDING for it.
 * Where the deadline comes during creation, done() has ENSURE_PENDING for what is not through, and
 * the work goes on. Two batches that name one repository share one probe and one creation.
 * Creating is CreateRepository, then SetRepositoryPolicy and PutLifecyclePolicy where the template
 * has them, tried again (RepositoryNotFound right after our own create, throttling, 5xx) until it
 * is whole.
 *
 * Callbacks run on the engine's threads, without a lock held, each exactly once per accepted batch
 * (probed() not at all where the engine stops first), never after ensure_stop() returned. They
 * must not block. Nothing here touches a repository that is not ours: one that exists without our
 * tag stays as it is.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/str.h"
#include "registry/directory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENSURE_TAG "ecr.berth.dev/template" /* on what we made: the object, or AWS's prefix */

enum {
    ENSURE_PARKED_MAX = 256, /* batches at a time */
    ENSURE_ITEMS_MAX = 256,  /* of a batch: more containers than a Pod can have */
    ENSURE_THREADS = 8,
    ENSURE_TASKS_MAX = 4096, /* repositories under way; beyond that ENSURE_FAILED, Overloaded */
    ENSURE_ABSENT_MS = 5000, /* a live "there is none" is believed so long */
    ENSURE_BACKGROUND_MS = 5 * 60 * 1000, /* how long a creation is tried when nobody waits */
    ENSURE_NAMESPACES_MAX = 4096          /* whose creations of the last minute are counted */
};

struct ensure;

enum ensure_outcome {
    ENSURE_UNKNOWN, /* not probed */
    ENSURE_PRESENT, /* is there; made by somebody else or long ago */
    ENSURE_ABSENT,  /* confirmed live */
    ENSURE_CREATED, /* made for this batch, whole */
    ENSURE_PENDING, /* the deadline came first; it goes on */
    ENSURE_LIMITED, /* creationsPerMinute of the namespace is used up */
    ENSURE_REFUSED, /* beyond allowedPrefixes, held, read-only, closed, pull-through: error says */
    ENSURE_FAILED   /* error says why */
};
enum ensure_image { ENSURE_IMAGE_UNKNOWN, ENSURE_IMAGE_PRESENT, ENSURE_IMAGE_ABSENT };

struct ensure_item {
    /* in */
    struct directory_registry *registry; /* a reference of the batch */
    struct str repository;               /* the batch's memory, as all strings */
    struct str tag, digest;              /* of the image, for wants_image */
    bool wants_image;                    /* is the image there? */
    int64_t creations_per_minute;        /* the limit that holds for it; counted by itself */
    /* set by probed() */
    bool wants_creation;
    /* out */
    enum ensure_outcome outcome;
    enum ensure_image image;
    struct err error;    /* of FAILED, REFUSED, and of a PENDING that has failed before */
    struct str template; /* object or prefix that it was made from; in the batch's arena */
    int64_t took_ms;     /* from submit to its outcome */
};

struct ensure_batch {
    struct arena arena;   /* of the caller until submitted and after done() */
    struct str namespace; /* of the request: who is limited */
    struct str id;        /* of the request, for logs and the user agent */
    int64_t deadline_mono_ms;
    struct ensure_item *items; /* distinct (registry, repository, tag, digest) */
    size_t count;
    /* May set items' wants_creation and returns whether anything is to be created. */
    bool (*probed)(void *arg, struct ensure_batch *b);
    /* The batch is the callee's again. */
    void (*done)(void *arg, struct ensure_batch *b);
    void *arg;
};

/* What happened to a repository, for events and logs; strings live during the call. */
struct ensure_news {
    struct str registry, repository;
    struct str template_object; /* absent: AWS's own template */
    bool is_failure;
    const char *reason; /* CamelCase: "RepositoryCreated", "RepositoryCreationFailed", … */
    struct str message;
};

struct ensure_options {
    struct directory *directory; /* outlives the engine, as all of these */
    const struct clock *clock;
    struct log *log;
    struct metrics *metrics; /* NULL: none */
    enum ecr_choice choice;
    const struct str *allowed_prefixes; /* globs, '*' and '?'; copied; count 0: all */
    size_t allowed_prefix_count;
    int threads;                                                /* 0: ENSURE_THREADS */
    void (*on_news)(void *arg, const struct ensure_news *news); /* NULL: none; engine's threads */
    void *arg;
};

struct ensure *ensure_start(const struct ensure_options *o) BERTH_NODISCARD;
/* Takes the batch over until done(). False: ENSURE_PARKED_MAX are parked or it is stopping; nothing
 * was begun, and the batch stays the caller's. Any thread. Does not block. */
bool ensure_submit(struct ensure *e, struct ensure_batch *b) BERTH_NODISCARD;
size_t ensure_parked(struct ensure *e);
/* Is the repository within allowed_prefixes? Any thread. */
bool ensure_is_allowed(const struct ensure *e, struct str repository) BERTH_NODISCARD;
/*
 * Repositories of the newest scan that carry our tag, were made within the last day from the
 * template that covers them, and lack a policy or lifecycle that it had then and still has (a crash
 * came between the calls) are completed in the background, a bounded number at a time, never ones
 * that were looked at before. For the leader, after each scan. Does not block.
 */
void ensure_complete(struct ensure *e, struct str registry);
/* Batches that are parked get done() with what is known: ENSURE_PENDING where a creation had begun,
 * ENSURE_UNKNOWN, ENSURE_ABSENT or ENSURE_FAILED where none had. Calls end within CALL_MS, or at
 * once where their registry is stopped before. Nobody may be in ensure_submit(). Joins. */
struct ensure *ensure_stop(struct ensure *e);
