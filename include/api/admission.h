// SPDX-License-Identifier: Apache-2.0
/*
 * spec.admission of a RegistrySettings: what the webhook does with workloads that name images of
 * this registry, and rules for exceptions. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"
#include "schema/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    API_ADMISSION_RULES_MAX = 50,
    API_ADMISSION_GLOBS_MAX = 50, /* of one rule, of each kind */
    API_ADMISSION_GLOB_MAX = 256, /* characters */
    API_CREATIONS_PER_MINUTE = 30,
    API_CREATIONS_PER_MINUTE_MAX = 10000
};

/* The fields that a rule can override; absent: the outer one's, and at last the default. */
struct api_admission_fields {
    struct str ensure_repositories;         /* Always (absent), PushOnly, Never */
    struct str uncovered_repository;        /* Warn (absent), Deny, Allow */
    struct str missing_image;               /* Allow (absent), Warn, Deny */
    struct str invalid_reference;           /* Warn (absent), Deny */
    struct str on_error;                    /* Warn (absent), Deny, Allow */
    struct schema_i64 creations_per_minute; /* per namespace; 30 */
};
struct api_admission_rule {
    struct schema_list namespaces; /* of struct str: globs; absent: all */
    struct schema_list prefixes;   /* globs over the repository's whole name; absent: all */
    struct api_admission_fields fields;
};
struct api_admission {
    bool has;
    struct api_admission_fields fields;
    struct schema_list rules; /* of struct api_admission_rule: the first that matches holds */
};

enum api_ensure { API_ENSURE_ALWAYS, API_ENSURE_PUSH_ONLY, API_ENSURE_OFF };
enum api_action { API_ACTION_ALLOW, API_ACTION_WARN, API_ACTION_DENY };

/* What holds for one namespace and repository. */
struct api_admission_choice {
    enum api_ensure ensure_repositories;
    enum api_action uncovered_repository;
    enum api_action missing_image;
    enum api_action invalid_reference;
    enum api_action on_error;
    int64_t creations_per_minute;
    ptrdiff_t rule; /* index of the rule that matched, -1: none */
};
struct api_admission_choice api_admission_choose(const struct api_admission *a,
                                                 struct str namespace, struct str repository);
/* '*' stands for any text (slashes too), '?' for one character; the whole text must match. Takes
 * at worst the product of both lengths (only the last star is tried again). */
bool api_glob_match(struct str glob, struct str text) BERTH_NODISCARD;
/* A deep copy in the arena. */
struct api_admission api_admission_copy(const struct api_admission *a, struct arena *arena);
