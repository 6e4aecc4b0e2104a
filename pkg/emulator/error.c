// SPDX-License-Identifier: Apache-2.0
/*
 * AWS's failures: the name of each and the HTTP status it comes with. All modelled exceptions of
 * ECR are 400; those of the protocol have their own status.
 */
#include "store_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *type;
    int status;
} codes[EMU_CODE_COUNT] = {
    [EMU_OK] = {"", 200},
    [EMU_INVALID_PARAMETER] = {"InvalidParameterException", 400},
    [EMU_VALIDATION] = {"ValidationException", 400},
    [EMU_LIMIT_EXCEEDED] = {"LimitExceededException", 400},
    [EMU_TEMPLATE_ALREADY_EXISTS] = {"TemplateAlreadyExistsException", 400},
    [EMU_TEMPLATE_NOT_FOUND] = {"TemplateNotFoundException", 400},
    [EMU_CACHE_RULE_ALREADY_EXISTS] = {"PullThroughCacheRuleAlreadyExistsException", 400},
    [EMU_CACHE_RULE_NOT_FOUND] = {"PullThroughCacheRuleNotFoundException", 400},
    [EMU_REPOSITORY_ALREADY_EXISTS] = {"RepositoryAlreadyExistsException", 400},
    [EMU_REPOSITORY_NOT_FOUND] = {"RepositoryNotFoundException", 400},
    [EMU_REPOSITORY_NOT_EMPTY] = {"RepositoryNotEmptyException", 400},
    [EMU_REPOSITORY_POLICY_NOT_FOUND] = {"RepositoryPolicyNotFoundException", 400},
    [EMU_LIFECYCLE_POLICY_NOT_FOUND] = {"LifecyclePolicyNotFoundException", 400},
    [EMU_INVALID_TAG_PARAMETER] = {"InvalidTagParameterException", 400},
    [EMU_TOO_MANY_TAGS] = {"TooManyTagsException", 400},
    [EMU_IMAGE_NOT_FOUND] = {"ImageNotFoundException", 400},
    [EMU_IMAGE_ALREADY_EXISTS] = {"ImageAlreadyExistsException", 400},
    [EMU_IMAGE_TAG_ALREADY_EXISTS] = {"ImageTagAlreadyExistsException", 400},
    [EMU_IMAGE_DIGEST_DOES_NOT_MATCH] = {"ImageDigestDoesNotMatchException", 400},
    [EMU_LAYERS_NOT_FOUND] = {"LayersNotFoundException", 400},
    [EMU_REFERENCED_IMAGES_NOT_FOUND] = {"ReferencedImagesNotFoundException", 400},
    [EMU_KMS] = {"KmsException", 400},
    [EMU_SERVER] = {"ServerException", 500},
    [EMU_UNKNOWN_OPERATION] = {"UnknownOperationException", 404},
    [EMU_SERIALIZATION] = {"SerializationException", 400},
    [EMU_REQUEST_TOO_LARGE] = {"RequestEntityTooLargeException", 413},
    [EMU_THROTTLING] = {"ThrottlingException", 400},
    [EMU_MISSING_TOKEN] = {"MissingAuthenticationTokenException", 400},
    [EMU_UNRECOGNIZED_CLIENT] = {"UnrecognizedClientException", 400},
    [EMU_INVALID_SIGNATURE] = {"InvalidSignatureException", 400},
    [EMU_INCOMPLETE_SIGNATURE] = {"IncompleteSignatureException", 400},
    [EMU_EXPIRED_TOKEN] = {"ExpiredTokenException", 400},
    [EMU_ACCESS_DENIED] = {"AccessDeniedException", 400},
};

bool emu_fail(struct emu_error *x, enum emu_code code, const char *fmt, ...)
{
    va_list ap;

    assert(x->code == EMU_OK && code != EMU_OK);
    x->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(x->message, sizeof(x->message), fmt, ap);
    va_end(ap);
    return false;
}

const char *emu_code_type(enum emu_code code)
{
    return codes[code].type;
}

int emu_code_status(enum emu_code code)
{
    return codes[code].status;
}
