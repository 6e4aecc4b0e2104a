// SPDX-License-Identifier: Apache-2.0
/*
 * The decision: the rows of docs/reference/admission.md, and properties over every combination of
 * facts.
 */
#include "decide_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A missing repository that template and settings would have created, asked of ECR. */
static struct image_facts absent(void)
{
    return (struct image_facts){
        .kind = IMAGE_OURS,
        .purpose = ADMISSION_PULL,
        .choice = {.uncovered_repository = API_ACTION_WARN,
                   .invalid_reference = API_ACTION_WARN,
                   .on_error = API_ACTION_WARN},
        .registry = DIRECTORY_OPEN,
        .is_allowed = true,
        .cover = COVER_TEMPLATE,
        .outcome = ENSURE_ABSENT,
    };
}

struct row {
    const char *name;
    void (*change)(struct image_facts *f);
    enum image_stage stage;
    bool is_dry_run;
    enum image_next next;
    enum api_action action;
    enum image_reason reason;
};

static void as_it_is(struct image_facts *f)
{
    (void)f;
}
static void pushes(struct image_facts *f)
{
    f->purpose = ADMISSION_PUSH;
}
static void exists(struct image_facts *f)
{
    f->is_known = true;
}
static void exists_and_images_matter(struct image_facts *f)
{
    f->is_known = true;
    f->choice.missing_image = API_ACTION_DENY;
}
static void image_absent(struct image_facts *f)
{
    exists_and_images_matter(f);
    f->outcome = ENSURE_PRESENT;
    f->image = ENSURE_IMAGE_ABSENT;
}
static void image_present(struct image_facts *f)
{
    image_absent(f);
    f->image = ENSURE_IMAGE_PRESENT;
}
static void uncovered(struct image_facts *f)
{
    f->cover = COVER_NONE;
    f->choice.uncovered_repository = API_ACTION_DENY;
}
static void uncovered_and_image_denied(struct image_facts *f)
{
    f->cover = COVER_NONE;
    f->choice.uncovered_repository = API_ACTION_WARN;
    f->choice.missing_image = API_ACTION_DENY;
}
static void uncovered_and_image_denied_pushes(struct image_facts *f)
{
    uncovered_and_image_denied(f);
    f->purpose = ADMISSION_PUSH;
}
static void uncovered_allowed_and_image_warned(struct image_facts *f)
{
    f->cover = COVER_NONE;
    f->choice.uncovered_repository = API_ACTION_ALLOW;
    f->choice.missing_image = API_ACTION_WARN;
}
static void uncovered_and_image_warned(struct image_facts *f)
{
    uncovered_allowed_and_image_warned(f);
    f->choice.uncovered_repository = API_ACTION_WARN;
}
static void held(struct image_facts *f)
{
    f->cover = COVER_HELD;
}
static void read_only(struct image_facts *f)
{
    f->is_read_only = true;
}
static void beyond(struct image_facts *f)
{
    f->is_allowed = false;
}
static void off(struct image_facts *f)
{
    f->choice.ensure_repositories = API_ENSURE_OFF;
}
static void push_only(struct image_facts *f)
{
    f->choice.ensure_repositories = API_ENSURE_PUSH_ONLY;
}
static void push_only_pushes(struct image_facts *f)
{
    push_only(f);
    pushes(f);
}
static void missing_image_denied(struct image_facts *f)
{
    f->choice.missing_image = API_ACTION_DENY;
}
static void pull_through(struct image_facts *f)
{
    f->is_pull_through = true;
}
static void closed(struct image_facts *f)
{
    f->registry = DIRECTORY_CLOSED;
    f->choice.on_error = API_ACTION_DENY;
}
static void unread(struct image_facts *f)
{
    f->registry = DIRECTORY_UNREAD;
}
static void error(struct image_facts *f)
{
    f->outcome = ENSURE_FAILED;
}
static void error_denied(struct image_facts *f)
{
    f->outcome = ENSURE_FAILED;
    f->choice.on_error = API_ACTION_DENY;
}
static void error_uncovered(struct image_facts *f)
{
    f->outcome = ENSURE_UNKNOWN;
    f->cover = COVER_NONE;
}
static void was_created(struct image_facts *f)
{
    f->outcome = ENSURE_CREATED;
}
static void was_created_for_push(struct image_facts *f)
{
    f->outcome = ENSURE_CREATED;
    f->purpose = ADMISSION_PUSH;
}
static void appeared(struct image_facts *f)
{
    f->outcome = ENSURE_PRESENT;
}
static void pending(struct image_facts *f)
{
    f->outcome = ENSURE_PENDING;
}
static void limited(struct image_facts *f)
{
    f->outcome = ENSURE_LIMITED;
}
static void refused(struct image_facts *f)
{
    f->outcome = ENSURE_REFUSED;
}
static void foreign(struct image_facts *f)
{
    f->kind = IMAGE_FOREIGN;
}
static void unmanaged(struct image_facts *f)
{
    f->kind = IMAGE_UNMANAGED;
    f->unmanaged = API_ACTION_DENY;
}
static void invalid(struct image_facts *f)
{
    f->kind = IMAGE_INVALID;
}
static void placeholder(struct image_facts *f)
{
    f->kind = IMAGE_PLACEHOLDER;
}

#define LOOKED STAGE_LOOKED_UP
#define PROBED STAGE_PROBED
#define TRIED  STAGE_TRIED
#define ALLOW  API_ACTION_ALLOW
#define WARN   API_ACTION_WARN
#define DENY   API_ACTION_DENY

static const struct row rows[] = {
    {"foreign", foreign, LOOKED, false, NEXT_ANSWER, ALLOW, REASON_FOREIGN},
    {"placeholder", placeholder, LOOKED, false, NEXT_ANSWER, ALLOW, REASON_PLACEHOLDER},
    {"unmanaged", unmanaged, LOOKED, false, NEXT_ANSWER, DENY, REASON_UNMANAGED},
    {"invalid", invalid, LOOKED, false, NEXT_ANSWER, WARN, REASON_INVALID},
    {"exists", exists, LOOKED, false, NEXT_ANSWER, ALLOW, REASON_EXISTS},
    {"exists, images matter", exists_and_images_matter, LOOKED, false, NEXT_PROBE, ALLOW, 0},
    {"image absent", image_absent, PROBED, false, NEXT_ANSWER, DENY, REASON_IMAGE_MISSING},
    {"image present", image_present, PROBED, false, NEXT_ANSWER, ALLOW, REASON_EXISTS},
    {"missing", as_it_is, LOOKED, false, NEXT_PROBE, ALLOW, 0},
    {"missing, dry run", as_it_is, LOOKED, true, NEXT_PROBE, ALLOW, 0},
    {"pull-through", pull_through, LOOKED, false, NEXT_ANSWER, ALLOW, REASON_PULL_THROUGH},
    {"closed", closed, LOOKED, false, NEXT_ANSWER, DENY, REASON_REGISTRY_NOT_READY},
    {"unread", unread, LOOKED, false, NEXT_ANSWER, WARN, REASON_REGISTRY_NOT_READY},
    {"absent", as_it_is, PROBED, false, NEXT_CREATE, ALLOW, 0},
    {"absent, dry run", as_it_is, PROBED, true, NEXT_ANSWER, WARN, REASON_WOULD_CREATE},
    {"absent, pushes", pushes, PROBED, false, NEXT_CREATE, ALLOW, 0},
    {"uncovered", uncovered, PROBED, false, NEXT_ANSWER, DENY, REASON_UNCOVERED},
    {"uncovered, missing image denied", uncovered_and_image_denied, PROBED, false, NEXT_ANSWER,
     DENY, REASON_IMAGE_MISSING},
    {"uncovered, missing image denied, pushes", uncovered_and_image_denied_pushes, PROBED, false,
     NEXT_ANSWER, WARN, REASON_UNCOVERED},
    {"uncovered allowed, missing image warned", uncovered_allowed_and_image_warned, PROBED, false,
     NEXT_ANSWER, WARN, REASON_IMAGE_MISSING},
    {"uncovered, missing image warned", uncovered_and_image_warned, PROBED, false, NEXT_ANSWER,
     WARN, REASON_UNCOVERED},
    {"held", held, PROBED, false, NEXT_ANSWER, WARN, REASON_TEMPLATE_HELD},
    {"read-only", read_only, PROBED, false, NEXT_ANSWER, WARN, REASON_READ_ONLY},
    {"beyond allowedPrefixes", beyond, PROBED, false, NEXT_ANSWER, WARN, REASON_NOT_ALLOWED},
    {"off", off, PROBED, false, NEXT_ANSWER, ALLOW, REASON_NOT_ENSURED},
    {"push only", push_only, PROBED, false, NEXT_ANSWER, ALLOW, REASON_NOT_ENSURED},
    {"push only, pushes", push_only_pushes, PROBED, false, NEXT_CREATE, ALLOW, 0},
    {"missing image denied", missing_image_denied, PROBED, false, NEXT_ANSWER, DENY,
     REASON_IMAGE_MISSING},
    {"appeared", appeared, PROBED, false, NEXT_ANSWER, ALLOW, REASON_EXISTS},
    {"error is tried", error, PROBED, false, NEXT_CREATE, ALLOW, 0},
    {"error, dry run", error, PROBED, true, NEXT_ANSWER, WARN, REASON_ERROR},
    {"error denied", error_denied, PROBED, false, NEXT_ANSWER, DENY, REASON_ERROR},
    {"error, uncovered", error_uncovered, PROBED, false, NEXT_ANSWER, WARN, REASON_ERROR},
    {"created", was_created, TRIED, false, NEXT_ANSWER, WARN, REASON_CREATED},
    {"created for a push", was_created_for_push, TRIED, false, NEXT_ANSWER, ALLOW, REASON_CREATED},
    {"somebody was faster", appeared, TRIED, false, NEXT_ANSWER, ALLOW, REASON_EXISTS},
    {"pending", pending, TRIED, false, NEXT_ANSWER, WARN, REASON_PENDING},
    {"limited", limited, TRIED, false, NEXT_ANSWER, WARN, REASON_LIMITED},
    {"refused", refused, TRIED, false, NEXT_ANSWER, WARN, REASON_REFUSED},
    {"failed", error, TRIED, false, NEXT_ANSWER, WARN, REASON_ERROR},
    {"not begun", as_it_is, TRIED, false, NEXT_ANSWER, WARN, REASON_ERROR},
};

static void decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct image_facts f = absent();
        r->change(&f);
        const struct image_decision d = decide_image(&f, r->stage, r->is_dry_run);
        if (d.next != r->next ||
            (d.next == NEXT_ANSWER && (d.action != r->action || d.reason != r->reason)))
            fail_msg("%s: next %d, action %d, %s", r->name, (int)d.next, (int)d.action,
                     image_reason_name(d.reason));
    }
}

static void asks_for_the_image_only_where_somebody_wants_to_know(void **state)
{
    (void)state;
    struct image_facts f = absent();
    assert_int_equal(decide_image(&f, STAGE_LOOKED_UP, false).next, NEXT_PROBE);
    assert_false(decide_image(&f, STAGE_LOOKED_UP, false).wants_image);
    /* of a repository that the snapshot lacks too: it may be older than that and its image */
    f.choice.missing_image = API_ACTION_WARN;
    assert_true(decide_image(&f, STAGE_LOOKED_UP, false).wants_image);
    f.is_known = true;
    assert_true(decide_image(&f, STAGE_LOOKED_UP, false).wants_image);
    f.outcome = ENSURE_PRESENT;
    f.image = ENSURE_IMAGE_PRESENT;
    f.is_known = false;
    assert_int_equal(decide_image(&f, STAGE_PROBED, false).reason, REASON_EXISTS);
    f.image = ENSURE_IMAGE_UNKNOWN;
    f.is_known = true;
    f.outcome = ENSURE_UNKNOWN;
    f.purpose = ADMISSION_PUSH;
    assert_int_equal(decide_image(&f, STAGE_LOOKED_UP, false).next, NEXT_ANSWER);
}

/* --- every combination ---------------------------------------------------------------------------
 */

/* The next combination of digits below their bases; false after the last. */
static bool count_up(unsigned *digits, const unsigned *bases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (++digits[i] < bases[i])
            return true;
        digits[i] = 0;
    }
    return false;
}

enum { KIND, PURPOSE, ENSURE, MISSING, ON_ERROR, REGISTRY, FLAGS, COVER, OUTCOME, IMAGE, FACTS };

static struct image_facts facts_of(const unsigned *d)
{
    return (struct image_facts){
        .kind = (enum image_kind)d[KIND],
        .purpose = (enum admission_purpose)d[PURPOSE],
        .choice = {.ensure_repositories = (enum api_ensure)d[ENSURE],
                   .missing_image = (enum api_action)d[MISSING],
                   .uncovered_repository = (enum api_action)d[ON_ERROR],
                   .invalid_reference = d[MISSING] == 0 ? API_ACTION_WARN : API_ACTION_DENY,
                   .on_error = (enum api_action)d[ON_ERROR]},
        .unmanaged = (enum api_action)d[MISSING],
        .registry = (enum directory_state)d[REGISTRY],
        .is_read_only = (d[FLAGS] & 1U) != 0,
        .is_known = (d[FLAGS] & 2U) != 0,
        .is_pull_through = (d[FLAGS] & 4U) != 0,
        .is_allowed = (d[FLAGS] & 8U) != 0,
        .cover = (enum image_cover)d[COVER],
        .outcome = (enum ensure_outcome)d[OUTCOME],
        .image = (enum ensure_image)d[IMAGE],
    };
}

/* Reasons with the actions that they came with. */
static unsigned seen_actions[REASONS];

static void check(const struct image_facts *f, enum image_stage stage, bool is_dry_run)
{
    const struct image_decision d = decide_image(f, stage, is_dry_run);
    if (d.next == NEXT_ANSWER)
        seen_actions[d.reason] |= 1U << d.action;
    const bool is_ours = f->kind == IMAGE_OURS;
    /* it comes to an end: looked up, probed, tried */
    assert_true(stage != STAGE_TRIED || d.next == NEXT_ANSWER);
    assert_true(d.next != NEXT_PROBE || stage == STAGE_LOOKED_UP);
    assert_true(d.next != NEXT_CREATE || stage == STAGE_PROBED);
    /* what is not ours costs nothing and is never denied but by its own setting */
    assert_true(is_ours || d.next == NEXT_ANSWER);
    if (f->kind == IMAGE_FOREIGN || f->kind == IMAGE_PLACEHOLDER)
        assert_int_equal(d.action, API_ACTION_ALLOW);
    if (d.next == NEXT_CREATE) {
        assert_false(is_dry_run);
        assert_int_equal(f->registry, DIRECTORY_OPEN);
        assert_int_equal(f->cover, COVER_TEMPLATE);
        assert_false(f->is_read_only);
        assert_false(f->is_pull_through);
        assert_true(f->is_allowed);
        assert_int_not_equal(f->choice.ensure_repositories, API_ENSURE_OFF);
        assert_int_not_equal(f->outcome, ENSURE_PRESENT);
        assert_true(f->purpose == ADMISSION_PUSH ||
                    f->choice.ensure_repositories == API_ENSURE_ALWAYS);
        assert_true(f->purpose == ADMISSION_PUSH || f->choice.missing_image != API_ACTION_DENY);
    }
    /* a known repository is looked up without I/O unless images matter */
    if (is_ours && f->registry == DIRECTORY_OPEN && f->is_known && stage == STAGE_LOOKED_UP &&
        (f->purpose == ADMISSION_PUSH || f->choice.missing_image == API_ACTION_ALLOW))
        assert_true(d.next == NEXT_ANSWER && d.action == API_ACTION_ALLOW);
    /* a pull-through name is never missing */
    if (is_ours && f->is_pull_through && !f->is_known && f->registry == DIRECTORY_OPEN &&
        f->outcome != ENSURE_PRESENT)
        assert_true(d.next == NEXT_ANSWER && d.action == API_ACTION_ALLOW);
    assert_true(strlen(image_reason_name(d.reason)) > 0);
}

static void holds_for_every_combination(void **state)
{
    (void)state;
    static const unsigned bases[FACTS] = {5, 2, 3, 3, 3, 3, 16, 3, ENSURE_FAILED + 1, 3};
    unsigned digits[FACTS] = {0};
    do {
        const struct image_facts f = facts_of(digits);
        for (int stage = STAGE_LOOKED_UP; stage <= STAGE_TRIED; stage++) {
            check(&f, (enum image_stage)stage, false);
            check(&f, (enum image_stage)stage, true);
        }
    } while (count_up(digits, bases, FACTS));
    /* metrics begin with exactly what there can be; Overloaded is given by request.c */
    seen_actions[REASON_OVERLOADED] = image_reason_actions(REASON_OVERLOADED);
    for (int reason = 0; reason < REASONS; reason++) {
        print_message("%s\n", image_reason_name((enum image_reason)reason));
        assert_int_equal(image_reason_actions((enum image_reason)reason), seen_actions[reason]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
        cmocka_unit_test(asks_for_the_image_only_where_somebody_wants_to_know),
        cmocka_unit_test(holds_for_every_combination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
