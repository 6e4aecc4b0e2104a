// SPDX-License-Identifier: Apache-2.0
/*
 * The directory: which template covers, with ecr_prefix_choose() as the judge over random sets of
 * AWS's templates and ours; handing over; which registry answers to a host.
 */
#include "base/mem.h"
#include "fake_ecr.h"
#include "registry/directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, OURS = 8, AWS = 10, ROUNDS = 60, ASKED = 60, PATH = 64 };

struct fixture {
    struct fake_ecr *ecr; /* large */
    struct aws_credentials_provider *credentials;
    struct registry *registry;
    struct directory *directory;
};

static void nothing(void *arg, struct str name)
{
    (void)arg;
    (void)name;
}

static void wait_read(struct registry *r, uint64_t sequence)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    struct registry_state state = {0};
    struct stopper never;
    stopper_init(&never);
    do {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        registry_state(r, &a, &state);
    } while ((!state.has_read || !state.has_repositories || state.sequence < sequence) &&
             clock_mono_ms(clock_system()) < until && !stopper_wait_ms(&never, 2));
    stopper_fini(&never);
    if (state.is_failing || !state.has_read)
        fail_msg("%s", state.error.msg);
}

static void start(struct fixture *f, const char *templates)
{
    struct aws_credentials_values v = {STR("KEY"), STR("not-a-secret"), STR_NULL, 0, "x"};
    struct aws_credentials *credentials = NULL;
    struct err e = ERR_INIT;
    f->ecr = mem_alloc(sizeof *f->ecr);
    fake_ecr_init(f->ecr);
    f->ecr->templates = templates;
    assert_true(aws_credentials_new(&v, &credentials, &e));
    f->credentials = aws_credentials_static_new(credentials);
    const struct registry_options o = {.name = STR("default"),
                                       .region = STR("eu-west-1"),
                                       .http = &f->ecr->http,
                                       .credentials = f->credentials,
                                       .clock = clock_system(),
                                       .on_read = nothing};
    const struct registry_config config = {
        .drift_interval_ms = 3600000, .scan_interval_ms = 3600000, .requests_per_second = 100000};
    if (!registry_new(&o, &config, &f->registry, &e))
        fail_msg("%s", e.msg);
    registry_start(f->registry);
    wait_read(f->registry, 0);
    f->directory = directory_new();
}

static void stop(struct fixture *f)
{
    f->directory = directory_free(f->directory);
    registry_stop(f->registry);
    f->registry = registry_unref(f->registry);
    aws_credentials_provider_free(f->credentials);
    fake_ecr_fini(f->ecr);
    mem_free(f->ecr);
}

static void publish(struct fixture *f, const char *name, struct registry *r)
{
    const struct directory_registry entry = {.name = str_from(name), .registry = r};
    directory_put(f->directory, &entry);
}

/* --- random sets ------------------------------------------------------------------------------ */

static void random_path(char *text, int segments_max)
{
    size_t n = 0;
    for (int i = 0, segments = 1 + rand() % segments_max; i < segments; i++) {
        if (i != 0)
            text[n++] = '/';
        text[n++] = (char)('a' + rand() % 2);
        if (rand() % 3 == 0)
            text[n++] = (char)('a' + rand() % 2);
    }
    text[n] = '\0';
}

static void random_prefix(char *text)
{
    random_path(text, 3);
    if (rand() % 8 == 0)
        (void)snprintf(text, PATH, "ROOT");
    else if (rand() % 3 == 0)
        (void)snprintf(text + strlen(text), 2, "/");
}

struct made {
    char prefix[PATH];
    uint32_t applied_for;
};

static bool is_among(const struct made *m, size_t count, const char *prefix)
{
    for (size_t i = 0; i < count; i++)
        if (ecr_prefix_equal(str_from(m[i].prefix), str_from(prefix)))
            return true;
    return false;
}

/* Distinct prefixes, each for something. */
static void random_set(struct made *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        do
            random_prefix(m[i].prefix);
        while (is_among(m, i, m[i].prefix));
        m[i].applied_for = 1 + (uint32_t)rand() % 7;
    }
}

static void put_words(struct buf *out, uint32_t applied_for)
{
    const char *comma = "";
    for (uint32_t bit = 1; bit <= ECR_FOR_REPLICATION; bit <<= 1) {
        if ((applied_for & bit) == 0)
            continue;
        buf_printf(out, "%s\"%s\"", comma, ecr_applied_for_word(bit));
        comma = ",";
    }
}

static struct str template_text(struct arena *a, const struct made *m)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    buf_printf(&out, "{\"prefix\":\"%s\",\"appliedFor\":[", m->prefix);
    put_words(&out, m->applied_for);
    buf_append(&out, STR("],\"description\":\""));
    buf_printf(&out, "%s\"", m->prefix);
    return arena_copy(a, buf_str(&out));
}

static const char *aws_answer(struct arena *a, const struct made *m, size_t count)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s%.*s,\"createdAt\":1,\"updatedAt\":1}", i == 0 ? "[" : ",",
                   STR_ARG(template_text(a, &m[i])));
    buf_append(&out, STR("]"));
    return arena_cstr(a, buf_str(&out));
}

static void put_ours(struct fixture *f, struct arena *a, const struct made *m, size_t i)
{
    const struct directory_template t = {
        .object = arena_printf(a, "object-%zu", i),
        .registry = STR("default"),
        .prefix = str_from(m->prefix),
        .applied_for = m->applied_for,
        .spec = arena_printf(a, "%.*s}", STR_ARG(template_text(a, m))),
    };
    directory_template_put(f->directory, &t);
}

static void compare(struct fixture *f, const struct made *ours, size_t our_count,
                    const struct made *aws, size_t aws_count)
{
    struct ecr_candidate all[OURS + AWS];
    size_t count = 0;
    for (size_t i = 0; i < our_count; i++)
        all[count++] = (struct ecr_candidate){str_from(ours[i].prefix), ours[i].applied_for};
    for (size_t i = 0; i < aws_count; i++)
        if (!is_among(ours, our_count, aws[i].prefix)) /* ours lie over them */
            all[count++] = (struct ecr_candidate){str_from(aws[i].prefix), aws[i].applied_for};
    struct directory_registry *r BERTH_CLEANUP(directory_unrefp) =
        directory_get(f->directory, STR("default"));
    for (int n = 0; n < ASKED; n++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        char name[PATH];
        random_path(name, 5);
        const uint32_t wanted = (uint32_t)(rand() % 4 == 0 ? 0 : 1 << rand() % 3);
        const enum ecr_choice how =
            rand() % 2 == 0 ? ECR_CHOOSE_FILTERED_LONGEST : ECR_CHOOSE_LONGEST_FILTERED;
        struct directory_cover cover;
        const ptrdiff_t at = ecr_prefix_choose(all, count, str_from(name), wanted, how);
        const bool is_covered =
            directory_cover(f->directory, r, str_from(name), wanted, how, true, &a, &cover);
        if (is_covered != (at >= 0))
            fail_msg("%s wanted %u how %d: %d, judge %td", name, wanted, (int)how, is_covered, at);
        if (at < 0)
            continue;
        assert_true(ecr_prefix_equal(cover.prefix, all[at].prefix));
        assert_int_equal(!str_is_null(cover.object), (size_t)at < our_count);
        assert_true(str_eq(cover.spec.description, all[at].prefix));
    }
}

static void covers_as_the_judge_says(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture f;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct made ours[OURS];
        struct made aws[AWS];
        random_set(ours, OURS);
        random_set(aws, AWS);
        start(&f, aws_answer(&a, aws, AWS));
        publish(&f, "default", f.registry);
        for (size_t i = 0; i < OURS; i++)
            put_ours(&f, &a, &ours[i], i);
        compare(&f, ours, OURS, aws, AWS);
        /* half of ours go */
        for (size_t i = OURS / 2; i < OURS; i++)
            directory_template_remove(f.directory, arena_printf(&a, "object-%zu", i));
        compare(&f, ours, OURS / 2, aws, AWS);
        stop(&f);
    }
}

/* --- handing over ----------------------------------------------------------------------------- */

static void put_named(struct fixture *f, const char *object, const char *prefix)
{
    const struct directory_template t = {.object = str_from(object),
                                         .registry = STR("default"),
                                         .prefix = str_from(prefix),
                                         .applied_for = ECR_FOR_CREATE_ON_PUSH,
                                         .spec = STR("{}")};
    directory_template_put(f->directory, &t);
}

static const char *object_of(struct fixture *f, const char *repository, struct arena *a)
{
    struct directory_registry *r BERTH_CLEANUP(directory_unrefp) =
        directory_get(f->directory, STR("default"));
    struct directory_cover cover;
    if (!directory_cover(f->directory, r, str_from(repository), ECR_FOR_CREATE_ON_PUSH,
                         ECR_CHOOSE_FILTERED_LONGEST, false, a, &cover))
        return "none";
    return str_is_null(cover.object) ? "aws" : arena_cstr(a, cover.object);
}

static void whoever_stays_has_the_prefix(void **state)
{
    (void)state;
    struct fixture f;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    start(&f, "[{\"prefix\":\"team\",\"appliedFor\":[\"CREATE_ON_PUSH\"],\"createdAt\":1,"
              "\"updatedAt\":1}]");
    publish(&f, "default", f.registry);
    assert_string_equal(object_of(&f, "team/x", &a), "aws");
    put_named(&f, "old", "team");
    put_named(&f, "new", "team/");
    assert_string_equal(object_of(&f, "team/x", &a), "new");
    put_named(&f, "old", "team"); /* its last change, after the hand-over */
    directory_template_remove(f.directory, STR("old"));
    assert_string_equal(object_of(&f, "team/x", &a), "new");
    put_named(&f, "new", "other"); /* deleted and made anew under another prefix */
    assert_string_equal(object_of(&f, "team/x", &a), "aws");
    assert_string_equal(object_of(&f, "other/x", &a), "new");
    directory_template_remove(f.directory, STR("new"));
    directory_template_remove(f.directory, STR("new"));
    assert_string_equal(object_of(&f, "other/x", &a), "none");
    stop(&f);
}

/* --- hosts ------------------------------------------------------------------------------------ */

#define ECR_OWN "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

static void put_registry(struct fixture *f, const char *name, const char *host, int64_t created_at,
                         enum directory_state state)
{
    struct str hosts[] = {str_from(host)};
    const struct directory_registry entry = {.name = str_from(name),
                                             .state = state,
                                             .registry = f->registry,
                                             .account_id = STR("123456789012"),
                                             .region = STR("eu-west-1"),
                                             .hosts = {hosts, host[0] != '\0'},
                                             .created_at_ms = created_at};
    directory_put(f->directory, &entry);
}

static const char *found(struct fixture *f, const char *host, struct arena *a)
{
    struct directory_registry *r BERTH_CLEANUP(directory_unrefp) =
        directory_find(f->directory, str_from(host));
    return r != NULL ? arena_cstr(a, r->name) : "none";
}

static void a_host_belongs_to_the_older(void **state)
{
    (void)state;
    struct fixture f;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    start(&f, "[]");
    put_registry(&f, "young", "proxy.example.com:5000", 200, DIRECTORY_OPEN);
    assert_string_equal(found(&f, "proxy.example.com:5000", &a), "young");
    put_registry(&f, "b-old", "proxy.example.com:5000", 100, DIRECTORY_OPEN);
    put_registry(&f, "a-old", "Proxy.example.com:5000", 100, DIRECTORY_OPEN);
    assert_string_equal(found(&f, "proxy.example.com:5000", &a), "a-old");
    assert_string_equal(found(&f, "proxy.example.com", &a), "none");
    assert_string_equal(found(&f, ECR_OWN, &a), "a-old");
    assert_string_equal(found(&f, ECR_OWN ":443", &a), "a-old");
    assert_string_equal(found(&f, "999999999999.dkr.ecr.eu-west-1.amazonaws.com", &a), "none");
    /* of one registry the object that works, not the loser of a conflict */
    put_registry(&f, "a-old", "", 100, DIRECTORY_CLOSED);
    assert_string_equal(found(&f, ECR_OWN, &a), "b-old");
    directory_remove(f.directory, STR("b-old"));
    assert_string_equal(found(&f, "proxy.example.com:5000", &a), "young");
    stop(&f);
}

static void a_reference_outlives_the_entry(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, "[]");
    put_registry(&f, "default", "h:1", 1, DIRECTORY_OPEN);
    struct directory_registry *r = directory_default(f.directory);
    directory_remove(f.directory, STR("default"));
    assert_null(directory_default(f.directory));
    assert_true(str_eq_cstr(r->name, "default"));
    assert_true(str_eq_cstr(((const struct str *)r->hosts.items)[0], "h:1"));
    stop(&f);
    r = directory_unref(r);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_as_the_judge_says),
        cmocka_unit_test(whoever_stays_has_the_prefix),
        cmocka_unit_test(a_host_belongs_to_the_older),
        cmocka_unit_test(a_reference_outlives_the_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
