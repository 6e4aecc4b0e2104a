// SPDX-License-Identifier: Apache-2.0
/*
 * Policy documents: lifecycle policies (what ECR expires) and IAM policies of repositories. Both
 * are checked before they are sent, so that the error names the place in the document, and both
 * are compared by meaning, because ECR prints IAM policies anew (other order, other white space)
 * and a difference that is none would be written again and again.
 *
 * All functions are pure and may be called from any thread. Absent and empty text are the same
 * ("no policy"): they are equal to each other, unequal to any document, and never valid.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum {
    ECR_LIFECYCLE_MAX = 30720, /* characters; the API's limit for repositories and templates */
    ECR_LIFECYCLE_MIN = 100,   /* of PutLifecyclePolicy; a template's may be shorter */
    ECR_LIFECYCLE_RULES_MAX = 50,
    ECR_LIFECYCLE_WILDCARDS_MAX = 4, /* "*" in one entry of tagPatternList */
    ECR_POLICY_MAX = 10240           /* characters of an IAM policy (repository and registry) */
};

/*
 * Every rule of "Lifecycle policy parameters" in the ECR user guide. is_template: the text goes
 * into a template, where the minimum length does not hold. ERR_INVALID, with the path inside the
 * document: "rules[1].selection.countNumber must be at least 1". The first thing that is wrong is
 * named. Members that the grammar does not have are refused, as ECR does.
 */
bool ecr_lifecycle_validate(struct str text, bool is_template, struct err *e) BERTH_NODISCARD;
/* The same for a template, in the form that field tables take. */
bool ecr_lifecycle_validate_template(struct str text, struct err *e) BERTH_NODISCARD;

/*
 * Same rules: matched by rulePriority (the order in the document means nothing), tag lists as
 * sets, storageClass absent = "standard" (the documented default), description absent = "". Other
 * members must be equal as JSON. Where either text is not JSON, both are compared as text.
 */
bool ecr_lifecycle_equal(struct str a, struct str b);

/*
 * The grammar of IAM policy documents as far as it holds for repositories: a JSON object with
 * Version (2012-10-17 or 2008-10-17, optional), Id, Statement (one or a list, not empty), each
 * with Effect, Principal or NotPrincipal, Action or NotAction, optional Sid, Resource or
 * NotResource, Condition; at most ECR_POLICY_MAX characters. Whether principals exist and actions
 * are ECR's is AWS's to say. ERR_INVALID with the path: "Statement[0].Effect must be Allow or
 * Deny".
 */
bool ecr_policy_validate(struct str text, struct err *e) BERTH_NODISCARD;

/*
 * Same meaning, by equivalences that the IAM user guide states (policy.c cites each): statements
 * in any order, a scalar as a list of one, lists as sets, action names and condition keys without
 * case, Principal "*" = {"AWS": "*"}, an account id = its root's ARN, Version absent =
 * 2008-10-17, booleans and numbers in conditions as their text, Sid and Id absent = "". Nothing
 * else: an absent Resource is not "*", and Effect, ARNs and condition values keep their case.
 * Where either text is not JSON, both are compared as text.
 */
bool ecr_policy_equal(struct str a, struct str b);
