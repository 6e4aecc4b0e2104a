// SPDX-License-Identifier: Apache-2.0
/*
 * What people are told of an image: for every reason, whatever the names and errors in it, one line
 * of UTF-8 that fits, with the end of the name and the beginning of the detail where it is cut.
 */
#include "request_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct directory_registry registry = {.name = {STR_INIT("default")}};

static struct image image_of(enum image_reason reason, struct str name, struct str detail)
{
    return (struct image){
        .text = name,
        .facts = {.kind = reason == REASON_INVALID     ? IMAGE_INVALID
                          : reason == REASON_UNMANAGED ? IMAGE_UNMANAGED
                                                       : IMAGE_OURS},
        .decision = {.action = API_ACTION_WARN, .reason = reason},
        .registry = &registry,
        .parts = {.host = name, .repository = name},
        .template = detail,
        .error = detail,
    };
}

static const struct {
    enum image_reason reason;
    const char *name, *detail, *want;
} rows[] = {
    {REASON_UNMANAGED, "h", "", "registry h is not managed: no RegistrySettings names it"},
    {REASON_INVALID, "h/A", "", "image h/A: ECR can have no such repository"},
    {REASON_IMAGE_MISSING, "a", "", "image a:latest is not there yet"},
    {REASON_UNCOVERED, "a", "", "repository a does not exist and no template covers it"},
    {REASON_NOT_ENSURED, "a", "", "repository a does not exist, and is not created here"},
    {REASON_TEMPLATE_HELD, "a", "t",
     "repository a does not exist; paused or read-only is template t"},
    {REASON_READ_ONLY, "a", "",
     "repository a does not exist; read-only is RegistrySettings default"},
    {REASON_NOT_ALLOWED, "a", "", "repository a does not exist and is beyond allowedPrefixes"},
    {REASON_WOULD_CREATE, "a", "t", "repository a would be created from template t"},
    {REASON_CREATED, "a", "t", "repository a was created, its image is not there yet; template t"},
    {REASON_PENDING, "a", "", "repository a is still being created"},
    {REASON_PENDING, "a", "e", "repository a is still being created: e"},
    {REASON_LIMITED, "a", "", "repository a was not created: too many a minute in namespace ns"},
    {REASON_REFUSED, "a", "e", "repository a was not created: e"},
    {REASON_REGISTRY_NOT_READY, "a", "",
     "repository a was not looked up: RegistrySettings default: it is being read"},
    {REASON_OVERLOADED, "a", "", "repository a: too many requests wait for ECR"},
    {REASON_ERROR, "a", "", "repository a: ECR could not be asked"},
    {REASON_ERROR, "a", "e", "repository a: e"},
    /* one line */
    {REASON_ERROR, "a", "x\ny\r\x7f\tz", "repository a: x y   z"},
    {REASON_INVALID, "h/\n", "", "image h/ : ECR can have no such repository"},
    {REASON_INVALID, "h/\xC2\x85\xC2\xA0", "",
     "image h/  \xC2\xA0: ECR can have no such repository"},
};

static struct request request_of(struct str namespace)
{
    return (struct request){.review = {.namespace = namespace}};
}

static void says(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct request r = request_of(STR("ns"));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct image image =
            image_of(rows[i].reason, str_from(rows[i].name), str_from(rows[i].detail));
        const struct str text = image_says(&r, &image, ADMISSION_WARNING_MAX, &a);
        if (!str_eq_cstr(text, rows[i].want))
            fail_msg("%.*s, not %s", STR_ARG(text), rows[i].want);
    }
}

static void names_tag_and_digest(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct request r = request_of(STR("ns"));
    struct image image = image_of(REASON_IMAGE_MISSING, STR("a"), STR(""));
    image.parts.tag = STR("1");
    assert_true(str_eq_cstr(image_says(&r, &image, 120, &a), "image a:1 is not there yet"));
    image.parts.digest = STR("sha256:x");
    assert_true(str_eq_cstr(image_says(&r, &image, 120, &a), "image a@sha256:x is not there yet"));
}

/* The unit over and over, then the end: n bytes at least. */
static struct str long_text(const char *unit, size_t n, const char *end, struct arena *a)
{
    const size_t size = strlen(unit);
    const size_t count = (n + size - 1) / size;
    char *text = arena_alloc(a, count * size + strlen(end) + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    memcpy(text + count * size, end, strlen(end));
    return str_n(text, count * size + strlen(end));
}

static bool is_one_line(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F)
            return false;
    return str_is_utf8(s);
}

/* Every reason, lengths of name and detail around every limit, characters of each width. */
static void always_fits(void **state)
{
    (void)state;
    static const char *const units[] = {"x", "\u00e9", "\u20ac", "\U0001f600", "a\xC2\x85\n"};
    static const size_t lengths[] = {0,  1,  20, 37, 38, 39, 40, 41, 42,  43,  44,  45,   46,
                                     47, 48, 49, 50, 60, 70, 80, 90, 100, 119, 120, 4096, 100000};
    for (size_t reason = REASON_UNMANAGED; reason < REASONS; reason++) {
        for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
            for (size_t n = 0; n < ARRAY_SIZE(lengths) * ARRAY_SIZE(lengths); n++) {
                struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
                const struct str name =
                    long_text(units[u], lengths[n % ARRAY_SIZE(lengths)], "END", &a);
                const struct str detail =
                    long_text(units[u], lengths[n / ARRAY_SIZE(lengths)], "", &a);
                const struct request r = request_of(detail);
                const struct image image = image_of((enum image_reason)reason, name, detail);
                const struct str text = image_says(&r, &image, ADMISSION_WARNING_MAX, &a);
                if (text.len > ADMISSION_WARNING_MAX || !is_one_line(text))
                    fail_msg("%s, %zu and %zu: %zu bytes: %.*s",
                             image_reason_name(image.decision.reason), name.len, detail.len,
                             text.len, STR_ARG(text));
                /* what is there is not cut where it fits, nor the end of a name ever */
                if (text.len > 0 && name.len > 3 && !str_contains(text, STR("END")))
                    fail_msg("%s, %zu and %zu: %.*s", image_reason_name(image.decision.reason),
                             name.len, detail.len, STR_ARG(text));
            }
        }
    }
}

/* Both long: the name ends, the detail begins, and the room is used. */
static void cuts_both(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    const struct request r = request_of(STR("ns"));
    const struct str name = long_text("team/", 250, "app", &a);
    struct image image = image_of(REASON_REFUSED, name, STR("AccessDeniedException: no"));
    const struct str one = image_says(&r, &image, ADMISSION_WARNING_MAX, &a);
    assert_true(str_contains(one, STR("/team/app was not created: AccessDeniedException: no")));
    assert_true(one.len > ADMISSION_WARNING_MAX - 8);
    image.error = long_text("Denied ", 500, "", &a);
    const struct str both = image_says(&r, &image, ADMISSION_WARNING_MAX, &a);
    assert_true(str_contains(both, STR("/team/app was not created: Denied")));
    assert_true(str_ends_with(both, STR("…")));
    assert_true(both.len > ADMISSION_WARNING_MAX - 8);
    image = image_of(REASON_UNCOVERED, name, STR(""));
    const struct str none = image_says(&r, &image, ADMISSION_WARNING_MAX, &a);
    assert_true(str_ends_with(none, STR("team/app does not exist and no template covers it")));
    assert_true(none.len > ADMISSION_WARNING_MAX - 8);
}

/* Two registries may have repositories of one name, and only one of them was created. */
static void lists_repositories(void **state)
{
    (void)state;
    struct image images[] = {
        image_of(REASON_EXISTS, STR("a"), STR("")),  image_of(REASON_FOREIGN, STR("f"), STR("")),
        image_of(REASON_CREATED, STR("a"), STR("")), image_of(REASON_CREATED, STR("b"), STR("")),
        image_of(REASON_CREATED, STR("b"), STR("")),
    };
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        images[i].facts.kind = i == 1 ? IMAGE_FOREIGN : IMAGE_OURS;
        images[i].facts.outcome = i >= 2 ? ENSURE_CREATED : ENSURE_PRESENT;
    }
    struct request r = {.images = images, .count = ARRAY_SIZE(images)};
    assert_true(str_eq_cstr(request_repositories(&r, false), "a,b"));
    assert_true(str_eq_cstr(request_repositories(&r, true), "a,b"));
    images[2].facts.outcome = ENSURE_PENDING;
    assert_true(str_eq_cstr(request_repositories(&r, true), "b"));
    arena_fini(&r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says),
        cmocka_unit_test(names_tag_and_digest),
        cmocka_unit_test(always_fits),
        cmocka_unit_test(cuts_both),
        cmocka_unit_test(lists_repositories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
