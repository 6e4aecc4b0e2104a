// SPDX-License-Identifier: Apache-2.0
/*
 * The admission webhook: an AdmissionReview in, an answer out. It extracts the images that the
 * object newly names, looks their repositories up without I/O, decides, and hands what needs ECR to
 * the ensure engine, from whose callbacks the answer then comes. Pure are kinds and
 * paths (admission/kinds.h) and the decision (decide_priv.h). Never does a request fail because of
 * something that is not ours: what cannot be read of other registries' references is no concern.
 *
 * Threads: admission_handle() is the web server's web_call_handler and runs on its workers, or on
 * its loop, without blocking; answers are sent from there or from the ensure engine's threads.
 */
#pragma once

#include "admission/kinds.h"
#include "api/admission.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "ensure/ensure.h"
#include "registry/directory.h"

struct admission;
struct web_call;
struct web_server;

enum {
    ADMISSION_WARNING_MAX = 120,   /* characters of a warning */
    ADMISSION_WARNINGS_MAX = 20,   /* of an answer; the last then says how many more */
    ADMISSION_IMAGES_MAX = 2048,   /* of an object, before duplicates are dropped */
    ADMISSION_MARGIN_MIN_MS = 200, /* the API server's timeout less this, or an eighth … */
    ADMISSION_MARGIN_MAX_MS = 1000 /* … but no more than this */
};

struct admission_options {
    struct directory *directory; /* outlives it, as all of these */
    struct ensure *ensure;
    const struct clock *clock;
    struct log *log;
    struct metrics *metrics; /* NULL: none */
    const struct admission_kinds *kinds;
    enum api_action unmanaged_registries; /* ECR hosts that no object names */
    enum ecr_choice choice;
};

struct admission *admission_new(const struct admission_options *o) BERTH_NODISCARD;
/* No call may be in it, the engine has been stopped. NULL is fine; returns NULL. */
struct admission *admission_free(struct admission *a);
BERTH_DEFINE_CLEANUP(struct admission *, admission_free);

/* The server that answers go to; before the first call. */
void admission_set_server(struct admission *a, struct web_server *s);
/* web_call_handler: arg is the struct admission. */
void admission_handle(void *arg, struct web_call *call);
