// SPDX-License-Identifier: Apache-2.0
/*
 * One admission request on its way: the review, its images and what is known of each, and the batch
 * where it waits for ECR. It belongs to the worker that decodes it, then, while it is parked, to
 * the ensure engine's callbacks, one at a time.
 */
#pragma once

#include "admission/admission.h"
#include "decide_priv.h"
#include "ecr/image.h"
#include "review_priv.h"

enum { NO_ITEM = -1 };

struct image {
    struct str text; /* as the object names it */
    struct image_facts facts;
    struct image_decision decision;
    struct directory_registry *registry; /* a reference; NULL where it is not ours */
    struct ecr_image parts;
    struct str template; /* object, or AWS's prefix; absent where none covers it */
    struct str error;    /* what ECR or the engine said, absent where nothing */
    ptrdiff_t item;      /* in the batch, or NO_ITEM */
};

struct request {
    struct admission *a;
    uint64_t call_id;
    int64_t began_us; /* monotonic */
    int64_t deadline_mono_ms;
    int64_t parked_us; /* 0: never was */
    struct arena arena;
    struct json_doc *doc;
    struct review review;
    struct image *images; /* new ones, distinct */
    size_t count;
    struct ensure_batch batch;
    bool is_cut; /* the object names more images than are looked at */
    bool is_overloaded;
};

struct admission {
    struct admission_options o;
    struct web_server *server;
    struct metric_family *requests;
    struct metric_family *seconds;
};

int64_t admission_now_us(void);
struct request *request_free(struct request *r);
BERTH_DEFINE_CLEANUP(struct request *, request_free);

/* --- images.c: what the object newly names ------------------------------------------------------
 */
/* At most ADMISSION_IMAGES_MAX; more are cut. */
void request_collect(struct request *r);
/* Whose each image is, and what the snapshot says; no I/O. */
void request_look_up(struct request *r);

/* --- request.c ----------------------------------------------------------------------------------
 */
/* Decides with what was looked up: answers, or parks. Takes r over. */
void request_run(struct request *r);

/* --- answer.c -----------------------------------------------------------------------------------
 */
/* Sends the answer that the images' decisions make, logs, counts. */
void request_answer(struct request *r);
/* All series that there can be are there from the start. */
void admission_begin_metrics(struct admission *a);
/* Decision and reason that a request which cannot be read counts as. */
extern const char *const admission_malformed[2];
/* Repositories of ours, in the order of the images, each name once; only created ones where asked.
 */
struct str request_repositories(struct request *r, bool only_created);
/* What a person is told of one image: one line of at most max bytes (100 or more). */
struct str image_says(const struct request *r, const struct image *i, size_t max, struct arena *a);
