// SPDX-License-Identifier: Apache-2.0
/*
 * A fault rule, between fault_parse.c, which reads it, and fault.c, which applies it.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "fault_priv.h"

#include <stdbool.h>
#include <stdint.h>

struct fault_rule {
    struct arena arena; /* of all its texts */
    uint64_t id;
    struct str text; /* as it came */

    /* what it matches: patterns with `*`, absent ones match all */
    struct str api;
    struct str operation;
    struct str user_agent;
    struct str access_key_id;
    struct str name;
    struct str action;   /* of deny */
    struct str resource; /* of deny */
    /* when it acts, among the requests that match; 0: not limited by it */
    int64_t after;
    int64_t until;
    int64_t nth;
    int64_t every;
    int64_t count;
    double probability; /* 1: always */
    uint64_t random;    /* state of its generator */

    struct emu_fault fault; /* what it does */
    double per_second;      /* throttle */
    double burst;
    double tokens;
    int64_t filled_mono_ms;

    uint64_t seen;
    uint64_t acted;
};

/* A new rule without id. The views of json need not outlive the call. */
struct fault_rule *fault_rule_parse(struct str json, struct err *e) BERTH_NODISCARD;
struct fault_rule *fault_rule_free(struct fault_rule *rule);
/* The operations that stale reads and normalised writes are for; NULL ends. */
extern const char *const fault_stale_operations[];
extern const char *const fault_normalise_operations[];
