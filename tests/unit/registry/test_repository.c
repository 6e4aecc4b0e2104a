// SPDX-License-Identifier: Apache-2.0
/*
 * Single repositories: what is sent, what is remembered of what calls have shown, and which are
 * young by AWS's clock.
 */
#include "fake_aws.h"
#include "registry/repository.h"
#include "registry_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AT "1700000000"

static const struct fake_step made = {
    .status = 200, .body = "{\"repository\":{\"repositoryName\":\"a/b\",\"createdAt\":" AT ".5}}"};
static const struct fake_step shown = {
    .status = 200,
    .body = "{\"repositories\":[{\"repositoryName\":\"a/b\",\"createdAt\":" AT "}]}"};
static const struct fake_step no_repository = {
    .status = 400, .body = "{\"__type\":\"RepositoryNotFoundException\",\"message\":\"no\"}"};
static const struct fake_step no_image = {
    .status = 400, .body = "{\"__type\":\"ImageNotFoundException\",\"message\":\"no\"}"};
static const struct fake_step exists = {
    .status = 400, .body = "{\"__type\":\"RepositoryAlreadyExistsException\",\"message\":\"no\"}"};
static const struct fake_step denied = {
    .status = 400, .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"};
static const struct fake_step empty = {.status = 200, .body = "{}"};

struct fixture {
    struct fake_aws aws;
    struct aws_credentials_provider *credentials;
    struct registry *registry;
    struct arena arena;
};

static void nothing(void *arg, struct str name)
{
    (void)arg;
    (void)name;
}

static void scan_add(struct registry_scan *scan, struct fixture *f, const char *name, int64_t at_s)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    const struct str text = arena_printf(
        &f->arena, "{\"repositoryName\":\"%s\",\"createdAt\":%lld}", name, (long long)at_s);
    assert_true(json_parse(text, 4096, &doc, &e));
    assert_true(registry_scan_add(scan, json_root(doc), &e));
}

/* As the registry's thread does. */
static void publish(struct fixture *f, struct registry_scan *scan)
{
    registry_scan_finish(scan);
    (void)pthread_mutex_lock(&f->registry->mutex);
    registry_settle_sightings_locked(f->registry, scan);
    (void)registry_scan_free(f->registry->scan);
    f->registry->scan = scan;
    (void)pthread_mutex_unlock(&f->registry->mutex);
}

/* Not started: it reads nothing by itself. The scan has old/one. */
static void start(struct fixture *f)
{
    struct aws_credentials_values v = {STR("KEY"), STR("not-a-secret"), STR_NULL, 0, "x"};
    struct aws_credentials *credentials = NULL;
    struct err e = ERR_INIT;
    *f = (struct fixture){0};
    fake_aws_init(&f->aws, 1700000000000);
    assert_true(aws_credentials_new(&v, &credentials, &e));
    f->credentials = aws_credentials_static_new(credentials);
    const struct registry_options o = {.name = STR("default"),
                                       .region = STR("eu-west-1"),
                                       .http = &f->aws.http,
                                       .credentials = f->credentials,
                                       .clock = &f->aws.clock.clock,
                                       .on_read = nothing};
    const struct registry_config config = {.requests_per_second = 1000};
    if (!registry_new(&o, &config, &f->registry, &e))
        fail_msg("%s", e.msg);
}

static void stop(struct fixture *f)
{
    f->registry = registry_unref(f->registry);
    aws_credentials_provider_free(f->credentials);
    fake_aws_fini(&f->aws);
    arena_fini(&f->arena);
}

static enum registry_presence known(struct fixture *f)
{
    return registry_repository_find(f->registry, STR("a/b"));
}

static enum registry_result create(struct fixture *f, const struct fake_step *answer,
                                   const struct api_template_spec *spec, int64_t *ret_created_at)
{
    struct err e = ERR_INIT;
    int attempts = 0;
    fake_aws_script(&f->aws, answer, 1);
    const enum registry_result result =
        registry_repository_create(f->registry, STR("a/b"), spec, STR("k"), STR("v"), NULL,
                                   &attempts, ret_created_at, NULL, &e);
    assert_int_equal(attempts, 1);
    assert_int_equal(err_is_set(&e), result == REGISTRY_FAILED);
    return result;
}

static enum registry_result read_it(struct fixture *f, const struct fake_step *answer)
{
    struct err e = ERR_INIT;
    struct registry_repository_info info;
    fake_aws_script(&f->aws, answer, 1);
    return registry_repository_read(f->registry, STR("a/b"), NULL, &f->arena, &info, &e);
}

static enum registry_result read_image(struct fixture *f, const struct fake_step *answer)
{
    struct err e = ERR_INIT;
    fake_aws_script(&f->aws, answer, 1);
    return registry_image_read(f->registry, STR("a/b"), STR("1"), STR_NULL, NULL, &e);
}

static void what_is_sent(void **state)
{
    (void)state;
    struct fixture f;
    int64_t at = 0;
    struct api_tag tags[] = {{STR("team"), STR("a")}, {STR("k"), STR("theirs")}};
    struct api_exclusion_filter filters[] = {{STR("v*"), STR("WILDCARD")}};
    const struct api_template_spec spec = {.image_tag_mutability = STR("IMMUTABLE_WITH_EXCLUSION"),
                                           .exclusion_filters = {filters, 1},
                                           .encryption = {true, STR("KMS"), STR("arn:k")},
                                           .resource_tags = {tags, 2}};
    start(&f);
    assert_int_equal(create(&f, &made, &spec, &at), REGISTRY_OK);
    assert_int_equal(at, 1700000000500);
    assert_true(str_eq_cstr(
        f.aws.bodies[0],
        "{\"repositoryName\":\"a/b\",\"tags\":[{\"Key\":\"k\",\"Value\":\"v\"},"
        "{\"Key\":\"team\",\"Value\":\"a\"}],\"imageTagMutability\":\"IMMUTABLE_WITH_EXCLUSION\","
        "\"imageTagMutabilityExclusionFilters\":[{\"filter\":\"v*\",\"filterType\":\"WILDCARD\"}],"
        "\"encryptionConfiguration\":{\"encryptionType\":\"KMS\",\"kmsKey\":\"arn:k\"}}"));
    const struct api_template_spec bare = {0};
    assert_int_equal(create(&f, &exists, &bare, &at), REGISTRY_EXISTS);
    assert_int_equal(at, 0);
    assert_true(
        str_eq_cstr(f.aws.bodies[0],
                    "{\"repositoryName\":\"a/b\",\"tags\":[{\"Key\":\"k\",\"Value\":\"v\"}]}"));
    stop(&f);
}

static void what_calls_have_shown_is_remembered(void **state)
{
    (void)state;
    const struct api_template_spec bare = {0};
    struct fixture f;
    int64_t at = 0;
    for (int has_scan = 0; has_scan < 2; has_scan++) {
        start(&f);
        if (has_scan)
            publish(&f, registry_scan_new(0));
        const enum registry_presence before = has_scan ? REGISTRY_ABSENT : REGISTRY_UNSCANNED;
        assert_int_equal(known(&f), before);
        assert_int_equal(create(&f, &denied, &bare, &at), REGISTRY_FAILED);
        assert_int_equal(known(&f), before);
        assert_int_equal(read_it(&f, &shown), REGISTRY_OK);
        assert_int_equal(known(&f), REGISTRY_PRESENT);
        assert_int_equal(read_it(&f, &no_repository), REGISTRY_NOT_FOUND);
        assert_int_equal(known(&f), before);
        /* an image, or none, in a repository that is there */
        assert_int_equal(read_image(&f, &no_image), REGISTRY_NOT_FOUND);
        assert_int_equal(known(&f), REGISTRY_PRESENT);
        assert_int_equal(read_image(&f, &no_repository), REGISTRY_NOT_FOUND);
        assert_int_equal(known(&f), before);
        assert_int_equal(read_image(&f, &empty), REGISTRY_OK);
        assert_int_equal(known(&f), REGISTRY_PRESENT);
        stop(&f);
    }
}

/* A read that is behind does not undo our own write, for a while. */
static void what_we_made_beats_reads(void **state)
{
    (void)state;
    const struct api_template_spec bare = {0};
    struct fixture f;
    int64_t at = 0;
    start(&f);
    publish(&f, registry_scan_new(0));
    assert_int_equal(create(&f, &made, &bare, &at), REGISTRY_OK);
    clock_fake_advance(&f.aws.clock, REGISTRY_WRITE_WINS_MS - 1);
    assert_int_equal(read_it(&f, &no_repository), REGISTRY_NOT_FOUND);
    assert_int_equal(known(&f), REGISTRY_PRESENT);
    publish(&f, registry_scan_new(clock_mono_ms(&f.aws.clock.clock)));
    assert_int_equal(known(&f), REGISTRY_PRESENT);
    clock_fake_advance(&f.aws.clock, 1);
    assert_int_equal(read_it(&f, &no_repository), REGISTRY_NOT_FOUND);
    assert_int_equal(known(&f), REGISTRY_ABSENT);
    /* a scan that began late enough is believed too */
    assert_int_equal(create(&f, &made, &bare, &at), REGISTRY_OK);
    clock_fake_advance(&f.aws.clock, REGISTRY_WRITE_WINS_MS);
    publish(&f, registry_scan_new(clock_mono_ms(&f.aws.clock.clock)));
    assert_int_equal(known(&f), REGISTRY_ABSENT);
    stop(&f);
}

static void assert_young(struct fixture *f, size_t max, const char *expected)
{
    const struct schema_list young =
        registry_young_repositories(f->registry, 3600000, max, &f->arena);
    const struct registry_young *items = young.items;
    struct str text = STR("");
    for (size_t i = 0; i < young.count; i++)
        text = arena_printf(&f->arena, "%.*s%.*s ", STR_ARG(text), STR_ARG(items[i].name));
    if (!str_eq_cstr(text, expected))
        fail_msg("%.*s, not %s", STR_ARG(text), expected);
}

static void the_young_by_the_clock_of_aws(void **state)
{
    (void)state;
    static const struct fake_step skewed[] = {
        {.status = 403,
         .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: "
                 "20231114T221320Z is now earlier than 20231115T001320Z (20231115T001820Z - 5 "
                 "min.)\"}",
         .headers = {{{STR_INIT("date")}, {STR_INIT("Wed, 15 Nov 2023 00:18:20 GMT")}}}},
        {.status = 200,
         .body = "{\"repositories\":[{\"repositoryName\":\"a/b\",\"createdAt\":" AT "}]}"},
    };
    struct fixture f;
    start(&f);
    assert_young(&f, 9, "");
    struct registry_scan *scan = registry_scan_new(0);
    scan_add(scan, &f, "x/old", 1700000000 - 3601);
    scan_add(scan, &f, "x/edge", 1700000000 - 3600);
    scan_add(scan, &f, "x/new", 1700000000);
    scan_add(scan, &f, "x/ahead", 1700000000 + 7200); /* AWS's clock is 125 minutes ahead */
    publish(&f, scan);
    assert_young(&f, 9, "x/ahead x/new x/edge ");
    assert_young(&f, 1, "x/ahead ");
    struct err e = ERR_INIT;
    struct registry_repository_info info;
    fake_aws_script(&f.aws, skewed, ARRAY_SIZE(skewed));
    if (registry_repository_read(f.registry, STR("a/b"), NULL, &f.arena, &info, &e) != REGISTRY_OK)
        fail_msg("%s", e.msg);
    assert_young(&f, 9, "x/ahead ");
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent),
        cmocka_unit_test(what_calls_have_shown_is_remembered),
        cmocka_unit_test(what_we_made_beats_reads),
        cmocka_unit_test(the_young_by_the_clock_of_aws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
