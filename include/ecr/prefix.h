// SPDX-License-Identifier: Apache-2.0
/*
 * Names in ECR: prefixes of templates, repositories, exclusion filters, tags, ARNs and registry
 * hosts, and which template covers a repository. Everything here is a pure function and may be
 * called from any thread.
 *
 * The patterns are those of ECR's API model (2015-09-21), matched by hand; the *_PATTERN texts
 * say the same as regular expressions (RE2 syntax) for the CRD and the reference page, and a test
 * holds both to each other. An ecr_*_validate() that returns false has set ERR_INVALID with a
 * message that says what must hold, without the name of the field: the caller adds it with
 * err_wrap(e, "spec.prefix"). Absent text is refused like empty text.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ECR_PREFIX_MAX = 256,
    ECR_REPOSITORY_MIN = 2,
    ECR_REPOSITORY_MAX = 256,
    ECR_FILTER_MAX = 128,
    ECR_FILTER_WILDCARDS_MAX = 2, /* as the terraform provider asks; AWS documents no number */
    ECR_FILTERS_MAX = 5,
    ECR_DESCRIPTION_MAX = 256,
    ECR_TAGS_MAX = 50,
    ECR_TAG_KEY_MAX = 128, /* characters, not bytes; so is the next */
    ECR_TAG_VALUE_MAX = 256,
    ECR_ROLE_ARN_MAX = 2048,
    ECR_KMS_KEY_MAX = 2048,
    ECR_HOST_MAX = 253, /* RFC 1035, without the port */
    ECR_ACCOUNT_ID_LEN = 12
};

#define ECR_REPOSITORY_PATTERN                                                                     \
    "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$"
#define ECR_PREFIX_PATTERN                                                                         \
    "^([a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*/?|ROOT)$"
#define ECR_FILTER_PATTERN  "^[0-9a-zA-Z._*-]{1,128}$"
#define ECR_KMS_KEY_PATTERN "^arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$"
#define ECR_ROLE_ARN_PATTERN                                                                       \
    "^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/([!-~]+/)?[a-zA-Z0-9_+=,.@-]{1,64}$"
#define ECR_ACCOUNT_ID_PATTERN "^[0-9]{12}$"
#define ECR_REGISTRY_HOST_PATTERN                                                                  \
    "^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\\[[0-9a-f:.]+\\])"        \
    "(:[0-9]{1,5})?$"
/* The template for all repositories that no other template covers. */
#define ECR_PREFIX_ROOT "ROOT"

/* The patterns above, and nothing but them (no lengths): for `matches` of the field tables. */
bool ecr_repository_matches(struct str s);
bool ecr_prefix_matches(struct str s);
bool ecr_filter_matches(struct str s);
bool ecr_kms_key_matches(struct str s);
bool ecr_role_arn_matches(struct str s);
bool ecr_account_id_matches(struct str s);
bool ecr_registry_host_matches(struct str s);

/* A template's prefix: 1 to 256 characters, one trailing slash allowed, or ROOT. */
bool ecr_prefix_validate(struct str prefix, struct err *e) BERTH_NODISCARD;
/* A repository's name: 2 to 256 characters. */
bool ecr_repository_validate(struct str name, struct err *e) BERTH_NODISCARD;
/* One filter of imageTagMutabilityExclusionFilters (filterType WILDCARD). */
bool ecr_filter_validate(struct str filter, struct err *e) BERTH_NODISCARD;
/* Tags: letters, digits and spaces of any script and _ . : / = + - @ (AWS tagging rules). Keys
 * may not begin with "aws:" in any case; values may be empty, which is why absent is refused here
 * only for keys. What is not UTF-8 is refused; of characters beyond ASCII only controls are. */
bool ecr_tag_key_validate(struct str key, struct err *e) BERTH_NODISCARD;
bool ecr_tag_value_validate(struct str value, struct err *e) BERTH_NODISCARD;
/* customRoleArn: the ARN of an IAM role (up to 2048 characters). */
bool ecr_role_arn_validate(struct str arn, struct err *e) BERTH_NODISCARD;
/* kmsKey of a template: the ARN of a key; no id, no alias. */
bool ecr_kms_key_validate(struct str arn, struct err *e) BERTH_NODISCARD;
bool ecr_account_id_validate(struct str account_id, struct err *e) BERTH_NODISCARD;
/* "host" or "host:port" as an image reference begins with: lower-case DNS labels, or an IPv4
 * address, or "[IPv6]"; port 1 to 65535. No scheme, no path. A name without dot and port is
 * refused unless it is "localhost", because an image reference would take it for a path. */
bool ecr_registry_host_validate(struct str host, struct err *e) BERTH_NODISCARD;

/* The parts of one of ECR's own registry names ("123456789012.dkr.ecr.eu-west-1.amazonaws.com",
 * FIPS and dual-stack forms too), in any case, without port. False where host is none. The views
 * point into host. */
struct ecr_host {
    struct str account_id;
    struct str region;
    bool is_fips;
    bool is_dualstack;
};
bool ecr_host_parse(struct str host, struct ecr_host *ret) BERTH_NODISCARD;

/* Without the trailing slash: "prod/" and "prod" are one prefix (AWS: "There is always an assumed
 * `/` applied to the end of the prefix"). A view of prefix. Calls to AWS use AWS's own spelling. */
struct str ecr_prefix_normalise(struct str prefix);
bool ecr_prefix_is_root(struct str prefix);
/* The same prefix, whatever the trailing slash. */
bool ecr_prefix_equal(struct str a, struct str b);

/* Does a template with this prefix cover the repository, seen alone? By whole path segments:
 * "prod" covers "prod/x" and "prod/x/y", not "production/x" and not "prod"; ROOT covers all. */
bool ecr_prefix_covers(struct str prefix, struct str repository);

/* What a template is for; a set of bits. */
enum ecr_applied_for {
    ECR_FOR_CREATE_ON_PUSH = 1 << 0,
    ECR_FOR_PULL_THROUGH_CACHE = 1 << 1,
    ECR_FOR_REPLICATION = 1 << 2
};

/* The bit of AWS's word ("CREATE_ON_PUSH", …), 0 where it is none that we know. */
uint32_t ecr_applied_for_parse(struct str word);
/* AWS's word for one bit; NULL for anything else. */
const char *ecr_applied_for_word(uint32_t bit);

struct ecr_candidate {
    struct str prefix;
    uint32_t applied_for; /* enum ecr_applied_for */
};

/* AWS does not document what happens when the longest prefix lacks what is wanted. */
enum ecr_choice {
    ECR_CHOOSE_FILTERED_LONGEST = 0, /* it is passed over: the longest of those that have it */
    ECR_CHOOSE_LONGEST_FILTERED      /* it shields: nothing covers the repository */
};

/*
 * The one function that decides which template covers a repository: the longest covering prefix,
 * ROOT where no other covers it; `wanted` is one bit, or 0 for "whatever it is for". Of two
 * candidates with the same prefix ("prod", "prod/") the first that has `wanted` is taken: put
 * first what is to win. Returns its index, or -1. Linear in count, without allocation.
 */
ptrdiff_t ecr_prefix_choose(const struct ecr_candidate *candidates, size_t count,
                            struct str repository, uint32_t wanted,
                            enum ecr_choice how) BERTH_NODISCARD;
