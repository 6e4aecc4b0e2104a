// SPDX-License-Identifier: Apache-2.0
/*
 * Faults: rules that a test adds over /_emulator/faults, and what they do to the requests that meet
 * them. docs/reference/ecr-emulator.md has the rules as their users write them.
 *
 * A request asks once, before it is authenticated, which rule it falls under (the first that
 * matches and acts); what that rule does is copied into the request and done by whoever is in
 * charge of that step. Rules are at most EMU_FAULT_RULES_MAX. Any thread; one mutex inside, under
 * which nothing else is called.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum emu_fault_effect {
    EMU_FAULT_NONE,
    EMU_FAULT_THROTTLE,  /* refused, where the bucket is empty */
    EMU_FAULT_FAIL,      /* refused */
    EMU_FAULT_DENY,      /* refused */
    EMU_FAULT_QUOTA,     /* refused */
    EMU_FAULT_DELAY,     /* before_ms, after_ms */
    EMU_FAULT_CUT,       /* cut, cut_bytes */
    EMU_FAULT_GARBAGE,   /* garbage */
    EMU_FAULT_STALE,     /* ms */
    EMU_FAULT_NORMALISE, /* members: what the input has instead of what was sent */
    EMU_FAULT_SKEW,      /* ms: our clock's error */
    EMU_FAULT_EXPIRE     /* the caller's credentials have expired */
};
enum emu_fault_cut { EMU_CUT_BEFORE, EMU_CUT_AFTER, EMU_CUT_BYTES };
enum emu_fault_garbage { EMU_GARBAGE_HTML, EMU_GARBAGE_EMPTY, EMU_GARBAGE_TRUNCATED };

/* What happens to one request; texts are in its arena. */
struct emu_fault {
    uint64_t rule; /* its id; 0: none */
    enum emu_fault_effect effect;
    int64_t ms;
    int64_t before_ms;
    int64_t after_ms;
    enum emu_fault_cut cut;
    uint64_t cut_bytes; /* of the body */
    enum emu_fault_garbage garbage;
    struct str members; /* a JSON object */
    /* of a refusal, in the words of the request's API */
    int status;
    struct str type;
    struct str message;
    int64_t retry_after_ms; /* 0: no header */
};

/* What rules look at. Absent texts match the pattern `*` only. */
struct emu_fault_subject {
    struct str api;       /* "ecr", "sts", "v2" */
    struct str operation; /* "DescribeRepositories", "PUT /v2/a/manifests/v1" */
    struct str user_agent;
    struct str access_key_id; /* claimed, not yet proved */
    struct str name;          /* of the template, repository or setting that is asked about */
    struct str action;        /* "ecr:PutImage" */
    struct str resource;      /* an ARN, or "*" */
    struct str caller;        /* an ARN */
};

struct emu_faults;

struct emu_faults *emu_faults_new(const struct clock *clock) BERTH_NODISCARD;
struct emu_faults *emu_faults_free(struct emu_faults *f);
/* Ends all waits, present and future: the emulator stops. */
void emu_faults_stop(struct emu_faults *f);

/* Adds a rule, as the last one. ERR_INVALID names the member that is wrong and what is accepted;
 * ERR_QUOTA: there are EMU_FAULT_RULES_MAX. */
bool emu_faults_add(struct emu_faults *f, struct str json, uint64_t *ret_id,
                    struct err *e) BERTH_NODISCARD;
bool emu_faults_remove(struct emu_faults *f, uint64_t id) BERTH_NODISCARD; /* false: no such rule */
void emu_faults_clear(struct emu_faults *f);
/* Appends all rules as a JSON array of {id, seen, acted, rule}. */
void emu_faults_print(struct emu_faults *f, struct buf *out);

/* The fault of a request; effect NONE where no rule acts. f may be NULL. */
struct emu_fault emu_faults_choose(struct emu_faults *f, const struct emu_fault_subject *subject,
                                   struct arena *arena);
/* Waits, unless the emulator stops. */
void emu_faults_wait(struct emu_faults *f, int64_t ms);

static inline bool emu_fault_is_refusal(const struct emu_fault *fault)
{
    return fault->effect >= EMU_FAULT_THROTTLE && fault->effect <= EMU_FAULT_QUOTA;
}
