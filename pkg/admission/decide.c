// SPDX-License-Identifier: Apache-2.0
/*
 * What is to be done with one image; see decide_priv.h.
 */
#include "decide_priv.h"

static struct image_decision answer(enum api_action action, enum image_reason reason)
{
    return (struct image_decision){.action = action, .reason = reason};
}

static bool asks_for_images(const struct image_facts *f)
{
    return f->purpose == ADMISSION_PULL && f->choice.missing_image != API_ACTION_ALLOW;
}

static struct image_decision probe(const struct image_facts *f)
{
    /* the snapshot may be old: a repository that it lacks can be there, with its image */
    return (struct image_decision){.next = NEXT_PROBE, .wants_image = asks_for_images(f)};
}

/* The repository is there. */
static struct image_decision present(const struct image_facts *f, enum image_stage stage)
{
    if (!asks_for_images(f))
        return answer(API_ACTION_ALLOW, REASON_EXISTS);
    switch (f->image) {
    case ENSURE_IMAGE_PRESENT:
        return answer(API_ACTION_ALLOW, REASON_EXISTS);
    case ENSURE_IMAGE_ABSENT:
        return answer(f->choice.missing_image, REASON_IMAGE_MISSING);
    case ENSURE_IMAGE_UNKNOWN:
        break;
    }
    if (stage == STAGE_LOOKED_UP)
        return probe(f);
    return answer(f->choice.on_error, REASON_ERROR);
}

static bool may_ensure(const struct image_facts *f)
{
    if (f->choice.ensure_repositories == API_ENSURE_PUSH_ONLY)
        return f->purpose == ADMISSION_PUSH;
    return f->choice.ensure_repositories == API_ENSURE_ALWAYS;
}

static enum api_action missing_action(const struct image_facts *f)
{
    return f->purpose == ADMISSION_PULL ? f->choice.missing_image : API_ACTION_ALLOW;
}

/* Where the repository is missing, so is the image: the stricter of the two holds. */
static struct image_decision uncovered(const struct image_facts *f)
{
    const enum api_action image = missing_action(f);
    return image > f->choice.uncovered_repository
               ? answer(image, REASON_IMAGE_MISSING)
               : answer(f->choice.uncovered_repository, REASON_UNCOVERED);
}

/* Would it be created, if it turns out to be missing? Else *ret says what is told. */
static bool can_create(const struct image_facts *f, bool is_dry_run, struct image_decision *ret)
{
    if (f->cover == COVER_NONE)
        *ret = uncovered(f);
    else if (!may_ensure(f))
        *ret = answer(missing_action(f), REASON_NOT_ENSURED);
    else if (missing_action(f) == API_ACTION_DENY)
        *ret = answer(API_ACTION_DENY, REASON_IMAGE_MISSING);
    else if (f->cover == COVER_HELD)
        *ret = answer(API_ACTION_WARN, REASON_TEMPLATE_HELD);
    else if (f->is_read_only)
        *ret = answer(API_ACTION_WARN, REASON_READ_ONLY);
    else if (!f->is_allowed)
        *ret = answer(API_ACTION_WARN, REASON_NOT_ALLOWED);
    else if (is_dry_run)
        *ret = answer(API_ACTION_WARN, REASON_WOULD_CREATE);
    else
        return true;
    return false;
}

/* ECR says that it is not there. */
static struct image_decision absent(const struct image_facts *f, bool is_dry_run)
{
    struct image_decision d = {.next = NEXT_CREATE};
    (void)can_create(f, is_dry_run, &d);
    return d;
}

/* ECR could not be asked (in time): what is to be created is tried all the same, CreateRepository
 * harms nothing where it exists. */
static struct image_decision unknown(const struct image_facts *f, bool is_dry_run)
{
    struct image_decision d;
    if (f->choice.on_error == API_ACTION_DENY || !can_create(f, is_dry_run, &d))
        return answer(f->choice.on_error, REASON_ERROR);
    return (struct image_decision){.next = NEXT_CREATE};
}

static struct image_decision created(const struct image_facts *f)
{
    /* who pulls will have to wait for who pushes */
    return answer(f->purpose == ADMISSION_PULL ? API_ACTION_WARN : API_ACTION_ALLOW,
                  REASON_CREATED);
}

static struct image_decision tried(const struct image_facts *f, enum image_stage stage,
                                   bool is_dry_run)
{
    switch (f->outcome) {
    case ENSURE_PRESENT:
        return present(f, stage);
    case ENSURE_CREATED:
        return created(f);
    case ENSURE_PENDING:
        return answer(f->choice.on_error, REASON_PENDING);
    case ENSURE_LIMITED:
        return answer(f->choice.on_error, REASON_LIMITED);
    case ENSURE_REFUSED:
        return answer(API_ACTION_WARN, REASON_REFUSED);
    case ENSURE_FAILED:
    case ENSURE_UNKNOWN:
        return stage == STAGE_PROBED ? unknown(f, is_dry_run)
                                     : answer(f->choice.on_error, REASON_ERROR);
    case ENSURE_ABSENT:
        /* after trying: the engine stopped before it began */
        return stage == STAGE_PROBED ? absent(f, is_dry_run)
                                     : answer(f->choice.on_error, REASON_ERROR);
    }
    return answer(f->choice.on_error, REASON_ERROR);
}

static struct image_decision decide_ours(const struct image_facts *f, enum image_stage stage,
                                         bool is_dry_run)
{
    if (f->registry != DIRECTORY_OPEN)
        return answer(f->choice.on_error, REASON_REGISTRY_NOT_READY);
    if (stage == STAGE_LOOKED_UP) {
        if (f->is_known)
            return present(f, stage);
        /* the first pull makes it: nothing is missing, nothing uncovered */
        if (f->is_pull_through)
            return answer(API_ACTION_ALLOW, REASON_PULL_THROUGH);
        return probe(f);
    }
    if (f->is_pull_through && f->outcome != ENSURE_PRESENT)
        return answer(API_ACTION_ALLOW, REASON_PULL_THROUGH);
    return tried(f, stage, is_dry_run);
}

struct image_decision decide_image(const struct image_facts *f, enum image_stage stage,
                                   bool is_dry_run)
{
    switch (f->kind) {
    case IMAGE_FOREIGN:
        return answer(API_ACTION_ALLOW, REASON_FOREIGN);
    case IMAGE_PLACEHOLDER:
        return answer(API_ACTION_ALLOW, REASON_PLACEHOLDER);
    case IMAGE_UNMANAGED:
        return answer(f->unmanaged, REASON_UNMANAGED);
    case IMAGE_INVALID:
        return answer(f->choice.invalid_reference, REASON_INVALID);
    case IMAGE_OURS:
        return decide_ours(f, stage, is_dry_run);
    }
    return answer(API_ACTION_ALLOW, REASON_FOREIGN);
}

unsigned image_reason_actions(enum image_reason reason)
{
    enum {
        ALLOW = 1U << API_ACTION_ALLOW,
        WARN = 1U << API_ACTION_WARN,
        DENY = 1U << API_ACTION_DENY,
        ANY = ALLOW | WARN | DENY
    };
    static const unsigned actions[REASONS] = {
        [REASON_FOREIGN] = ALLOW,      [REASON_PLACEHOLDER] = ALLOW,
        [REASON_UNMANAGED] = ANY,      [REASON_INVALID] = WARN | DENY,
        [REASON_EXISTS] = ALLOW,       [REASON_IMAGE_MISSING] = WARN | DENY,
        [REASON_PULL_THROUGH] = ALLOW, [REASON_UNCOVERED] = ANY,
        [REASON_NOT_ENSURED] = ANY,    [REASON_TEMPLATE_HELD] = WARN,
        [REASON_READ_ONLY] = WARN,     [REASON_NOT_ALLOWED] = WARN,
        [REASON_WOULD_CREATE] = WARN,  [REASON_CREATED] = ALLOW | WARN,
        [REASON_PENDING] = ANY,        [REASON_LIMITED] = ANY,
        [REASON_REFUSED] = WARN,       [REASON_REGISTRY_NOT_READY] = ANY,
        [REASON_ERROR] = ANY,          [REASON_OVERLOADED] = ANY,
    };
    return actions[reason];
}

const char *image_reason_name(enum image_reason reason)
{
    static const char *const names[REASONS] = {
        [REASON_FOREIGN] = "Foreign",
        [REASON_PLACEHOLDER] = "Placeholder",
        [REASON_UNMANAGED] = "UnmanagedRegistry",
        [REASON_INVALID] = "InvalidReference",
        [REASON_EXISTS] = "Exists",
        [REASON_IMAGE_MISSING] = "ImageMissing",
        [REASON_PULL_THROUGH] = "PullThrough",
        [REASON_UNCOVERED] = "Uncovered",
        [REASON_NOT_ENSURED] = "NotEnsured",
        [REASON_TEMPLATE_HELD] = "TemplateHeld",
        [REASON_READ_ONLY] = "ReadOnly",
        [REASON_NOT_ALLOWED] = "NotAllowed",
        [REASON_WOULD_CREATE] = "WouldCreate",
        [REASON_CREATED] = "Created",
        [REASON_PENDING] = "Pending",
        [REASON_LIMITED] = "Limited",
        [REASON_REFUSED] = "Refused",
        [REASON_REGISTRY_NOT_READY] = "RegistryNotReady",
        [REASON_ERROR] = "Error",
        [REASON_OVERLOADED] = "Overloaded",
    };
    return names[reason];
}
