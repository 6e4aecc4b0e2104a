// SPDX-License-Identifier: Apache-2.0
/*
 * AdmissionReview (admission.k8s.io/v1): what is needed of the request, and the answer.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

enum { REVIEW_MAX_BYTES = 8 << 20, REVIEW_UID_MAX = 128 };

/* Views into the document. */
struct review {
    struct str uid;
    struct str group, version, kind; /* of request.kind: what the object is written in */
    struct str subresource;
    struct str namespace;
    struct str name; /* may be absent: generateName */
    struct str operation;
    bool is_dry_run;
    const struct json *object;     /* NULL where there is none (DELETE) */
    const struct json *old_object; /* NULL where there is none */
};

/* ERR_INVALID: "request.uid: …". Members of a wrong type that are needed are errors, what is not
 * needed is not looked at. */
bool review_decode(const struct json *root, struct review *ret, struct err *e) BERTH_NODISCARD;

struct wanted;
/* Cuts the members that nobody looks at out of a review's text, in place; the new length. What is
 * cut is not judged; of other text that is no JSON, what is wrong stays for the parser to refuse.
 */
size_t review_prune(const struct wanted *wanted, char *text, size_t len);

/* The query's timeout ("timeout=5s", whole seconds as the API server sends it) in ms, or 10 s. */
int64_t review_timeout_ms(struct str query);

struct review_answer {
    struct str uid;
    bool is_allowed;
    struct str message; /* where it is not allowed */
    const struct str *warnings;
    size_t warning_count;
    /* audit annotations; absent ones are left out */
    struct str decision, repositories, created, source;
    int64_t milliseconds;
};
void review_encode(const struct review_answer *a, struct buf *out);
