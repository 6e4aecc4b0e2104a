// SPDX-License-Identifier: Apache-2.0
/*
 * The table of ECR's operations, listing by pages, and the few calls whose answers are plain
 * values.
 */
#include "ecr/ecr.h"

#include "aws/client.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "ecr/prefix.h"
#include "json/json.h"
#include "json/write.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ECR_TARGET_PREFIX "AmazonEC2ContainerRegistry_V20150921."
enum { TARGET_MAX = 128, INPUT_MAX = 256 * 1024 };

#define OP(NAME, CLS, LIST)                                                                        \
    {                                                                                              \
        NAME, CLS, "ecr:" NAME, LIST                                                               \
    }
static const struct ecr_op_info ops[ECR_OPS] = {
    [ECR_CREATE_REPOSITORY_CREATION_TEMPLATE] =
        OP("CreateRepositoryCreationTemplate", AWS_RATE_WRITE, NULL),
    [ECR_UPDATE_REPOSITORY_CREATION_TEMPLATE] =
        OP("UpdateRepositoryCreationTemplate", AWS_RATE_WRITE, NULL),
    [ECR_DELETE_REPOSITORY_CREATION_TEMPLATE] =
        OP("DeleteRepositoryCreationTemplate", AWS_RATE_WRITE, NULL),
    [ECR_DESCRIBE_REPOSITORY_CREATION_TEMPLATES] =
        OP("DescribeRepositoryCreationTemplates", AWS_RATE_READ, "repositoryCreationTemplates"),
    [ECR_GET_ACCOUNT_SETTING] = OP("GetAccountSetting", AWS_RATE_READ, NULL),
    [ECR_PUT_ACCOUNT_SETTING] = OP("PutAccountSetting", AWS_RATE_WRITE, NULL),
    [ECR_DESCRIBE_REGISTRY] = OP("DescribeRegistry", AWS_RATE_READ, NULL),
    [ECR_DESCRIBE_REPOSITORIES] = OP("DescribeRepositories", AWS_RATE_READ, "repositories"),
    [ECR_DESCRIBE_PULL_THROUGH_CACHE_RULES] =
        OP("DescribePullThroughCacheRules", AWS_RATE_READ, "pullThroughCacheRules"),
    [ECR_CREATE_REPOSITORY] = OP("CreateRepository", AWS_RATE_WRITE, NULL),
    [ECR_SET_REPOSITORY_POLICY] = OP("SetRepositoryPolicy", AWS_RATE_WRITE, NULL),
    [ECR_GET_REPOSITORY_POLICY] = OP("GetRepositoryPolicy", AWS_RATE_READ, NULL),
    [ECR_PUT_LIFECYCLE_POLICY] = OP("PutLifecyclePolicy", AWS_RATE_WRITE, NULL),
    [ECR_GET_LIFECYCLE_POLICY] = OP("GetLifecyclePolicy", AWS_RATE_READ, NULL),
    [ECR_LIST_TAGS_FOR_RESOURCE] = OP("ListTagsForResource", AWS_RATE_READ, NULL),
    [ECR_DESCRIBE_IMAGES] = OP("DescribeImages", AWS_RATE_READ, NULL),
};

const struct ecr_op_info *ecr_op_info(enum ecr_op op)
{
    assert((unsigned)op < ECR_OPS);
    return &ops[op];
}

bool ecr_call(struct aws_client *c, enum ecr_op op, struct str body, const struct aws_scope *scope,
              struct aws_reply *ret, struct err *e)
{
    char target[TARGET_MAX];
    const struct ecr_op_info *info = ecr_op_info(op);
    (void)snprintf(target, sizeof target, ECR_TARGET_PREFIX "%s", info->name);
    return aws_json_call(c, target, info->cls, body, scope, ret, e);
}

static bool bad_response(struct err *e, enum ecr_op op, const char *says)
{
    return err_set(e, ERR_RETRY, "BadResponse", "%s: %s", ecr_op_info(op)->name, says);
}

/* The members of body, then maxResults and the token of the page before. */
static bool page_input(struct str body, struct str token, struct buf *out, struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(str_is_empty(body) ? STR("{}") : body, INPUT_MAX, &doc, e))
        return err_wrap(e, "input of a listing");
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    for (const struct json *m = json_first(json_root(doc)); m != NULL; m = json_next(m)) {
        json_key_str(&w, json_key(m));
        json_value(&w, m);
    }
    json_put_int(&w, "maxResults", ECR_PAGE_SIZE);
    if (token.len > 0)
        json_put_str(&w, "nextToken", token);
    json_end(&w);
    return json_write_ok(&w) || err_set(e, ERR_INVALID, "InputTooLarge",
                                        "input of a listing is larger than %d bytes", INPUT_MAX);
}

static void copy_text(struct str s, size_t max, char *ret)
{
    size_t n = s.len < max ? s.len : max;
    if (n > 0)
        memcpy(ret, s.ptr, n);
    ret[n] = '\0';
}

/* One page: the items to each(), its token to *token (empty after the last page). */
static bool list_page(struct aws_client *c, enum ecr_op op, struct str input,
                      const struct aws_scope *scope, ecr_item_fn each, void *arg, struct buf *token,
                      char *ret_registry_id, struct err *e)
{
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    if (!ecr_call(c, op, input, scope, &reply, e))
        return false;
    const struct json *list = json_get(reply.json, ecr_op_info(op)->list_member);
    if (!json_is_null(list) && !json_is_array(list))
        return bad_response(e, op, "the answer has no list");
    for (const struct json *item = json_first(list); item != NULL; item = json_next(item))
        if (!each(arg, item, e))
            return false;
    struct str id = json_str_or_null(json_get(reply.json, "registryId"));
    if (ret_registry_id != NULL && ecr_account_id_matches(id))
        copy_text(id, ECR_REGISTRY_ID_MAX, ret_registry_id);
    struct str next = json_str_or_null(json_get(reply.json, "nextToken"));
    if (next.len > 0 && str_eq(next, buf_str(token)))
        return bad_response(e, op, "the token of the next page repeats");
    buf_reset(token);
    buf_append(token, next);
    return buf_ok(token) || bad_response(e, op, "the token of the next page is too long");
}

bool ecr_list(struct aws_client *c, enum ecr_op op, struct str body, const struct aws_scope *scope,
              ecr_item_fn each, void *arg, char *ret_registry_id, struct err *e)
{
    struct buf token BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_TOKEN_MAX);
    assert(ecr_op_info(op)->list_member != NULL);
    if (ret_registry_id != NULL)
        ret_registry_id[0] = '\0';
    for (int page = 0; page < ECR_PAGES_MAX; page++) {
        struct buf input BERTH_CLEANUP(buf_fini) = BUF_INIT(INPUT_MAX);
        if (!page_input(body, buf_str(&token), &input, e) ||
            !list_page(c, op, buf_str(&input), scope, each, arg, &token, ret_registry_id, e))
            return false;
        if (token.len == 0)
            return true;
    }
    return bad_response(e, op, "the listing does not end");
}

bool ecr_registry_id(struct aws_client *c, const struct aws_scope *scope,
                     char ret_registry_id[static ECR_REGISTRY_ID_MAX + 1], struct err *e)
{
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    ret_registry_id[0] = '\0';
    if (!ecr_call(c, ECR_DESCRIBE_REGISTRY, STR("{}"), scope, &reply, e))
        return false;
    struct str id = json_str_or_null(json_get(reply.json, "registryId"));
    if (!ecr_account_id_matches(id))
        return bad_response(e, ECR_DESCRIBE_REGISTRY, "the answer names no registry");
    copy_text(id, ECR_REGISTRY_ID_MAX, ret_registry_id);
    return true;
}

static bool setting_call(struct aws_client *c, enum ecr_op op, const struct aws_scope *scope,
                         struct str name, struct str value, char *ret_value, char *ret_request_id,
                         struct err *e)
{
    struct aws_reply reply BERTH_CLEANUP(aws_reply_fini) = AWS_REPLY_INIT;
    struct buf input BERTH_CLEANUP(buf_fini) = BUF_INIT(INPUT_MAX);
    struct json_writer w = json_writer_to(&input);
    ret_value[0] = '\0';
    json_begin_object(&w);
    json_put_str(&w, "name", name);
    if (!str_is_null(value))
        json_put_str(&w, "value", value);
    json_end(&w);
    if (!json_write_ok(&w))
        return err_set(e, ERR_INVALID, "InputTooLarge", "an account setting is too long");
    if (!ecr_call(c, op, buf_str(&input), scope, &reply, e))
        return err_wrap(e, "account setting %.*s", STR_ARG(name));
    struct str got = json_str_or_null(json_get(reply.json, "value"));
    if (got.len == 0 || got.len > ECR_SETTING_MAX)
        return bad_response(e, op, "the answer has no value");
    copy_text(got, ECR_SETTING_MAX, ret_value);
    if (ret_request_id != NULL)
        memcpy(ret_request_id, reply.request_id, sizeof reply.request_id);
    return true;
}

bool ecr_account_setting_get(struct aws_client *c, const struct aws_scope *scope, struct str name,
                             char ret_value[static ECR_SETTING_MAX + 1], struct err *e)
{
    return setting_call(c, ECR_GET_ACCOUNT_SETTING, scope, name, STR_NULL, ret_value, NULL, e);
}

bool ecr_account_setting_put(struct aws_client *c, const struct aws_scope *scope, struct str name,
                             struct str value, char ret_value[static ECR_SETTING_MAX + 1],
                             char *ret_request_id, struct err *e)
{
    return setting_call(c, ECR_PUT_ACCOUNT_SETTING, scope, name, value, ret_value, ret_request_id,
                        e);
}
