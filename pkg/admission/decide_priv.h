// SPDX-License-Identifier: Apache-2.0
/*
 * The decision, pure: what is known of each image in, what is to be done and said out. The table of
 * docs/reference/admission.md is this file in words.
 *
 * It is asked up to three times for a request: with what the snapshot says (stage LOOKED_UP), with
 * what ECR was asked (PROBED), and with what became of creations (TRIED). Each time an image either
 * has its verdict, or wants the next stage.
 */
#pragma once

#include "admission/kinds.h"
#include "api/admission.h"
#include "ensure/ensure.h"

enum image_kind {
    IMAGE_FOREIGN,     /* another registry's, or the default one's */
    IMAGE_PLACEHOLDER, /* to be filled in by somebody else */
    IMAGE_UNMANAGED,   /* an ECR host that no RegistrySettings names */
    IMAGE_INVALID,     /* a host of ours, and no repository that ECR could have */
    IMAGE_OURS
};

enum image_stage { STAGE_LOOKED_UP, STAGE_PROBED, STAGE_TRIED };

enum image_cover { COVER_NONE, COVER_TEMPLATE, COVER_HELD };

struct image_facts {
    enum image_kind kind;
    enum admission_purpose purpose;
    struct api_admission_choice choice; /* of OURS and INVALID */
    enum api_action unmanaged;          /* of UNMANAGED */
    /* of OURS */
    enum directory_state registry;
    bool is_read_only;
    bool is_known; /* the snapshot holds the repository */
    bool is_pull_through;
    bool is_allowed; /* within allowedPrefixes */
    enum image_cover cover;
    /* after probing and trying */
    enum ensure_outcome outcome;
    enum ensure_image image;
};

enum image_next { NEXT_ANSWER, NEXT_PROBE, NEXT_CREATE };

enum image_reason {
    REASON_FOREIGN,
    REASON_PLACEHOLDER,
    REASON_UNMANAGED,
    REASON_INVALID,
    REASON_EXISTS,
    REASON_IMAGE_MISSING,
    REASON_PULL_THROUGH,
    REASON_UNCOVERED,
    REASON_NOT_ENSURED,
    REASON_TEMPLATE_HELD,
    REASON_READ_ONLY,
    REASON_NOT_ALLOWED,
    REASON_WOULD_CREATE,
    REASON_CREATED,
    REASON_PENDING,
    REASON_LIMITED,
    REASON_REFUSED,
    REASON_REGISTRY_NOT_READY,
    REASON_ERROR,
    REASON_OVERLOADED,
    REASONS
};

struct image_decision {
    enum image_next next;
    bool wants_image; /* with NEXT_PROBE: whether the image is there, too */
    enum api_action action;
    enum image_reason reason;
};

/* Where any image of a request is denied, nothing is created for the others (request.c). */
struct image_decision decide_image(const struct image_facts *f, enum image_stage stage,
                                   bool is_dry_run);

/* With which actions (bit 1 << enum api_action) a request can be answered for that reason: what
 * metrics can have. */
unsigned image_reason_actions(enum image_reason reason);
/* CamelCase, for metrics, logs and docs. */
const char *image_reason_name(enum image_reason reason);
