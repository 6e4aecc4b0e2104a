// SPDX-License-Identifier: Apache-2.0
/*
 * The operations of ECR that we call, one row each, over an aws_client. Errors are those of
 * aws/client.h. Any thread; each call blocks within its scope.
 */
#pragma once

#include "aws/client.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ecr_op {
    ECR_CREATE_REPOSITORY_CREATION_TEMPLATE,
    ECR_UPDATE_REPOSITORY_CREATION_TEMPLATE,
    ECR_DELETE_REPOSITORY_CREATION_TEMPLATE,
    ECR_DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
    ECR_GET_ACCOUNT_SETTING,
    ECR_PUT_ACCOUNT_SETTING,
    ECR_DESCRIBE_REGISTRY,
    ECR_DESCRIBE_REPOSITORIES,
    ECR_DESCRIBE_PULL_THROUGH_CACHE_RULES,
    ECR_CREATE_REPOSITORY,
    ECR_SET_REPOSITORY_POLICY,
    ECR_GET_REPOSITORY_POLICY,
    ECR_PUT_LIFECYCLE_POLICY,
    ECR_GET_LIFECYCLE_POLICY,
    ECR_LIST_TAGS_FOR_RESOURCE,
    ECR_DESCRIBE_IMAGES
};
enum { ECR_OPS = ECR_DESCRIBE_IMAGES + 1 };

struct ecr_op_info {
    const char *name;        /* "DescribeRepositories" */
    enum aws_rate_class cls; /* READ or WRITE */
    const char *iam_action;  /* "ecr:DescribeRepositories" */
    const char *list_member; /* of the answer of a paginated operation; NULL for others */
};
/* Never NULL. */
const struct ecr_op_info *ecr_op_info(enum ecr_op op);

/* body: the operation's input as JSON. scope may be NULL. *ret owns the answer. */
bool ecr_call(struct aws_client *c, enum ecr_op op, struct str body, const struct aws_scope *scope,
              struct aws_reply *ret, struct err *e) BERTH_NODISCARD;

enum {
    ECR_PAGE_SIZE = 1000, /* maxResults of all our listings: the most that ECR allows */
    ECR_PAGES_MAX = 2000, /* twenty times the quota of repositories, at full pages */
    ECR_TOKEN_MAX = 16384,
    ECR_REGISTRY_ID_MAX = 12,
    ECR_SETTING_MAX = 64 /* name and value of an account setting */
};

/* One item of a list; it and its strings live until the function returns. False (with e set) ends
 * the listing with that error. */
typedef bool (*ecr_item_fn)(void *arg, const struct json *item, struct err *e);

/*
 * Calls each(arg) for all items, page by page (1000 an answer), so that no more than a page is in
 * memory. body: the input without maxResults and nextToken ("{}" for all). The listing is no
 * snapshot: AWS may change between pages, and what is created meanwhile may be missed. On failure
 * some items may have been given already: the caller drops them. ERR_RETRY (reason BadResponse)
 * where the list is missing, a token repeats, or ECR_PAGES_MAX pages are passed. *ret_registry_id
 * (ECR_REGISTRY_ID_MAX + 1 bytes, may be NULL) is the account of the answer, "" where it names
 * none.
 */
bool ecr_list(struct aws_client *c, enum ecr_op op, struct str body, const struct aws_scope *scope,
              ecr_item_fn each, void *arg, char *ret_registry_id, struct err *e) BERTH_NODISCARD;

/* DescribeRegistry: the account that the credentials belong to, the cheapest proof of identity.
 * ret_registry_id: 12 digits and NUL. */
bool ecr_registry_id(struct aws_client *c, const struct aws_scope *scope,
                     char ret_registry_id[static ECR_REGISTRY_ID_MAX + 1],
                     struct err *e) BERTH_NODISCARD;

/* name: "BLOB_MOUNTING", "REGISTRY_POLICY_SCOPE", "BASIC_SCAN_TYPE_VERSION". The value is AWS's
 * word ("ENABLED"), as it stands after the call. */
bool ecr_account_setting_get(struct aws_client *c, const struct aws_scope *scope, struct str name,
                             char ret_value[static ECR_SETTING_MAX + 1],
                             struct err *e) BERTH_NODISCARD;
/* ret_request_id: AWS_REQUEST_ID_MAX + 1 bytes for AWS's request id; may be NULL. */
bool ecr_account_setting_put(struct aws_client *c, const struct aws_scope *scope, struct str name,
                             struct str value, char ret_value[static ECR_SETTING_MAX + 1],
                             char *ret_request_id, struct err *e) BERTH_NODISCARD;
