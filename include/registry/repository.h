// SPDX-License-Identifier: Apache-2.0
/*
 * The repositories of a registry: what the last scan knows of them, without I/O, and the calls that
 * read and make single ones. What a call learns is remembered: a repository that was made or seen
 * counts as present, one that was found missing or deleted as absent, until a scan that started
 * later has been published. One that we made ourselves counts as present for REGISTRY_WRITE_WINS_MS
 * whatever reads say: ECR is eventually consistent. Any thread; the calls block within their scope.
 */
#pragma once

#include "registry/registry.h"

enum registry_presence {
    REGISTRY_UNSCANNED, /* no scan has been published yet, and nothing is remembered of it */
    REGISTRY_PRESENT,
    REGISTRY_ABSENT
};

/* Without I/O. */
enum registry_presence registry_repository_find(struct registry *r, struct str name);

/* Is the name under the prefix of a pull-through cache rule ("docker-hub" holds "docker-hub/x";
 * the rule with prefix ROOT holds everything)? ECR makes such repositories itself. Without I/O;
 * false where rules were not read (registry_config.reads_pull_through_rules). */
bool registry_is_pull_through(struct registry *r, struct str name);

/* As DescribeRepositories tells. Strings are in the caller's arena. */
struct registry_repository_info {
    struct str arn;
    struct str uri;
    int64_t created_at_ms; /* unix; 0 where AWS names none */
    struct str image_tag_mutability;
    struct str encryption_type;
    struct str kms_key;
};

/* DescribeRepositories for one name, live. REGISTRY_OK or REGISTRY_NOT_FOUND, remembered. */
enum registry_result registry_repository_read(struct registry *r, struct str name,
                                              const struct aws_scope *scope, struct arena *a,
                                              struct registry_repository_info *ret,
                                              struct err *e) BERTH_NODISCARD;

/*
 * CreateRepository with the template's encryption, mutability with its filters, and tags, and one
 * more tag {tag_key: tag_value}. REGISTRY_EXISTS where AWS had it (with *ret_attempts 1 it is
 * somebody else's; more: perhaps ours, whose answer was lost). Policies are set by the calls below.
 * *ret_created_at_ms: AWS's date of it, 0 where it names none.
 */
enum registry_result registry_repository_create(struct registry *r, struct str name,
                                                const struct api_template_spec *spec,
                                                struct str tag_key, struct str tag_value,
                                                const struct aws_scope *scope, int *ret_attempts,
                                                int64_t *ret_created_at_ms, char *request_id,
                                                struct err *e) BERTH_NODISCARD;
/* SetRepositoryPolicy, PutLifecyclePolicy: the text as the template has it. */
enum registry_result registry_repository_put_policy(struct registry *r, struct str name,
                                                    struct str text, const struct aws_scope *scope,
                                                    char *request_id,
                                                    struct err *e) BERTH_NODISCARD;
enum registry_result registry_repository_put_lifecycle(struct registry *r, struct str name,
                                                       struct str text,
                                                       const struct aws_scope *scope,
                                                       char *request_id,
                                                       struct err *e) BERTH_NODISCARD;
/* GetRepositoryPolicy, GetLifecyclePolicy: REGISTRY_OK with *ret absent where the repository has
 * none; REGISTRY_NOT_FOUND where there is no repository. */
enum registry_result registry_repository_get_policy(struct registry *r, struct str name,
                                                    const struct aws_scope *scope, struct arena *a,
                                                    struct str *ret, struct err *e) BERTH_NODISCARD;
enum registry_result registry_repository_get_lifecycle(struct registry *r, struct str name,
                                                       const struct aws_scope *scope,
                                                       struct arena *a, struct str *ret,
                                                       struct err *e) BERTH_NODISCARD;
/* ListTagsForResource: the value of one tag, absent where the repository lacks it. */
enum registry_result registry_repository_get_tag(struct registry *r, struct str arn, struct str key,
                                                 const struct aws_scope *scope, struct arena *a,
                                                 struct str *ret, struct err *e) BERTH_NODISCARD;

/* DescribeImages for one tag or digest (the digest where both are given; "latest" where neither
 * is): never BatchGetImage, which counts as a pull. REGISTRY_NOT_FOUND: no such image, or no such
 * repository; registry_repository_find() tells which, because what it says of the repository is
 * remembered (of the image nothing is). */
enum registry_result registry_image_read(struct registry *r, struct str repository, struct str tag,
                                         struct str digest, const struct aws_scope *scope,
                                         struct err *e) BERTH_NODISCARD;

struct registry_young {
    struct str name;
    int64_t created_at_ms; /* unix, AWS's clock */
};
/* Repositories of the newest scan that were made within the last max_age_ms, by AWS's clock as far
 * as it is known to differ from ours; newest first, at most max: an array of struct registry_young
 * in the arena. For finding half-made ones. */
struct schema_list registry_young_repositories(struct registry *r, int64_t max_age_ms, size_t max,
                                               struct arena *a);
