// SPDX-License-Identifier: Apache-2.0
/*
 * What is cut out of a review before it is parsed: never a member that a path leads to, nor what
 * makes a text no JSON where somebody looks.
 */
#include "base/mem.h"
#include "json/json.h"
#include "review_priv.h"
#include "test_random.h"
#include "wanted_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 64 * 1024, MUTATIONS = 20000 };

static struct admission_kinds *kinds;

static int set_up(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    return admission_kinds_new(NULL, 0, &kinds, &e) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    kinds = admission_kinds_free(kinds);
    return 0;
}

#define OBJECT(TEXT) "{\"request\":{\"object\":" TEXT "}}"

static const struct {
    const char *name, *text, *want;
} rows[] = {
    {"members of the request",
     "{\"a\":1,\"kind\":\"K\",\"request\":{\"uid\":\"u\",\"userInfo\":{\"groups\":[\"}\"]},"
     "\"dryRun\":false,\"options\":null},\"b\":\"x\"}",
     "{\"kind\":\"K\",\"request\":{\"uid\":\"u\",\"dryRun\":false}}"},
    {"the first, the last, all",
     "{\"request\":{\"x\":1,\"object\":{\"x\":{},\"metadata\":{\"x\":[]},\"y\":\"\"},\"y\":2}}",
     "{\"request\":{\"object\":{\"metadata\":{}}}}"},
    {"a container",
     OBJECT("{\"spec\":{\"containers\":[{\"env\":[{\"a\":\"]\"}],\"image\":\"i\",\"tty\":true},"
            "{\"image\":\"j\",\"ports\":[1]}],\"nodeName\":\"n\"}}"),
     OBJECT("{\"spec\":{\"containers\":[{\"image\":\"i\"},{\"image\":\"j\"}]}}")},
    {"managedFields, status",
     OBJECT("{\"metadata\":{\"managedFields\":[{\"f:a\":{}}],\"annotations\":{\"a\":\"b\"}},"
            "\"status\":{\"image\":\"i\"}}"),
     OBJECT("{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}")},
    {"blanks",
     " \n{ \"x\" : 1 , \"request\" : { \"object\" : { \"spec\" : { } , \"x\" : [ 1 ] } } } ",
     "{\"request\" :{\"object\" :{\"spec\" :{}}}} "},
    {"quotes and slashes",
     OBJECT("{\"x\":\"\\\\\\\"}{[\",\"spec\":{\"tag\":\"\\\"\\\\\"},\"y\":\"\\\\\"}"),
     OBJECT("{\"spec\":{\"tag\":\"\\\"\\\\\"}}")},
    {"a name with an escape may be any", OBJECT("{\"s\\u0070ec\":{\"x\":1}}"),
     OBJECT("{\"s\\u0070ec\":{}}")},
    {"twice stays twice", OBJECT("{\"spec\":1,\"x\":2,\"spec\":3}"),
     OBJECT("{\"spec\":1,\"spec\":3}")},
    {"lists of values", OBJECT("{\"spec\":{\"additionalTags\":[ \"a\" , 1,null,[ [\"b\"] ],{}]}}"),
     OBJECT("{\"spec\":{\"additionalTags\":[\"a\",1,null,[[\"b\"]],{}]}}")},
    /* what is no JSON stays so, from where it is wrong */
    {"a comma too many", "{\"x\":1,}", "{,}"},
    {"a comma at first", "{,\"x\":1}", "{,\"x\":1}"},
    {"a comma too few", "{\"kind\":1 \"x\":2}", "{\"kind\":1 \"x\":2}"},
    {"no comma", "{\"kind\":\"K\";\"x\":2}", "{\"kind\":\"K\";\"x\":2}"},
    {"no colon", "{\"x\" 1}", "{\"x\" 1}"},
    {"no value", "{\"x\":}", "{\"x\":}"},
    {"no value of a wanted one", "{\"kind\": }", "{\"kind\":}"},
    {"a name that is none", "{1:2}", "{1:2}"},
    {"no end", "{\"x\":1", "{"},
    {"no end of a list", "[1,", "[1,"},
    {"no end of what is cut", "{\"kind\":1,\"x\":[{\"a\":1", "{\"kind\":1,\"x\":[{\"a\":1"},
    {"no end of a string", "{\"x\":\"b\\\"", "{\"x\":\"b\\\""},
    {"a list with a comma too many", "[1,]", "[1,]"},
    {"a list like an object", "[1}", "[1}"},
    {"more after it", "{\"x\":1} {\"x\":1}", "{} {\"x\":1}"},
    {"nothing", "", ""},
};

static void prunes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *text = mem_strdup(rows[i].text);
        const size_t n = review_prune(admission_kinds_wanted(kinds), text, strlen(text));
        if (!str_eq_cstr(str_n(text, n), rows[i].want))
            fail_msg("%s: %.*s", rows[i].name, (int)n, text);
        mem_free(text);
    }
}

/* Every prefix of a review: no more is read than there is (the sanitizer looks), nothing grows. */
static void takes_any_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t n = 1; n <= strlen(rows[i].text); n++) {
            char *text = mem_alloc(n);
            memcpy(text, rows[i].text, n);
            assert_true(review_prune(admission_kinds_wanted(kinds), text, n) <= n);
            mem_free(text);
        }
    }
}

/* --- what is found is the same ------------------------------------------------------------------
 */

#define POD_SPEC                                                                                   \
    "{\"nodeName\":\"n\",\"containers\":[{\"name\":\"a\",\"image\":\"c1\",\"env\":[{\"name\":"     \
    "\"x\",\"value\":\"y\"}]},{\"image\":\"c2\"}],\"initContainers\":[{\"image\":\"i\"}],"         \
    "\"volumes\":[{\"image\":{\"reference\":\"v\",\"x\":1}}]}"

static const char *const reviews[][2] = {
    {"Pod", "{\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"},\"managedFields\":[{}]},"
            "\"spec\":" POD_SPEC ",\"status\":{\"phase\":\"x\"}}"},
    {"apps/Deployment", "{\"spec\":{\"replicas\":1,\"template\":{\"metadata\":{\"labels\":{}},"
                        "\"spec\":" POD_SPEC "}}}"},
    {"batch/CronJob",
     "{\"spec\":{\"schedule\":\"*\",\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":" POD_SPEC
     "}}}}}"},
    {"kpack.io/Image", "{\"spec\":{\"tag\":\"t\",\"additionalTags\":[\"a\",\"b\"],\"cache\":{"
                       "\"registry\":{\"tag\":\"c\"}},\"source\":{\"git\":{}}}}"},
    {"tekton.dev/TaskRun", "{\"spec\":{\"params\":[{\"name\":\"IMAGE\",\"value\":\"p\"},{\"name\":"
                           "\"x\",\"value\":[\"q\"]},{\"name\":\"image\",\"value\":[\"r\"]}]}}"},
    {"x/Box", "{\"spec\":{\"deep\":[{\"map\":{\"a b\":{\"ref\":[\"d\"],\"no\":1}}}]},\"metadata\":{"
              "\"name\":\"n\",\"annotations\":{\"a.b/c\":\"e\"}}}"},
};

static bool collect(void *arg, struct str image, enum admission_purpose purpose)
{
    (void)purpose;
    buf_append(arg, image);
    buf_append_char(arg, '|');
    return true;
}

/* The images of the review, or what is wrong with it. */
static bool read_review(struct str text, struct buf *out)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    struct review r;
    if (!json_parse(text, TEXT_MAX, &doc, &e) || !review_decode(json_root(doc), &r, &e))
        return false;
    const struct json *objects[] = {r.object, r.old_object};
    buf_printf(out, "%.*s %d|", STR_ARG(r.uid), r.is_dry_run);
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        const struct admission_source source = {r.group, r.version, r.kind, objects[i],
                                                STR("h.example")};
        (void)admission_kinds_images(kinds, &source, &a, collect, out);
        const struct json *annotations = json_path(objects[i], "metadata.annotations");
        buf_printf(out, "%d", json_get(annotations, "kubernetes.io/config.mirror") != NULL);
    }
    return true;
}

/* True: it could be read. */
static bool must_be_same(struct str text)
{
    struct buf whole BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    struct buf pruned BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    char *copy = mem_dup(text.ptr, text.len);
    const bool was_read = read_review(text, &whole);
    const size_t n = review_prune(admission_kinds_wanted(kinds), copy, text.len);
    /* what cannot be read may be read when what nobody looks at is gone, never the other way */
    if (was_read &&
        (!read_review(str_n(copy, n), &pruned) || !str_eq(buf_str(&whole), buf_str(&pruned))))
        fail_msg("%.*s\npruned: %.*s\n%s, not %s", STR_ARG(text), (int)n, copy, buf_cstr(&pruned),
                 buf_cstr(&whole));
    mem_free(copy);
    return was_read;
}

static void write_review(size_t i, struct buf *out)
{
    struct str group;
    struct str kind;
    if (!str_cut(str_from(reviews[i][0]), '/', &group, &kind)) {
        kind = group;
        group = STR("");
    }
    buf_printf(out,
               "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
               "\"uid\":\"u\",\"kind\":{\"group\":\"%.*s\",\"version\":\"v1\",\"kind\":\"%.*s\"},"
               "\"userInfo\":{\"username\":\"x\"},\"operation\":\"UPDATE\",\"object\":%s,"
               "\"oldObject\":%s,\"dryRun\":true,\"options\":{}}}",
               STR_ARG(group), STR_ARG(kind), reviews[i][1], reviews[i][1]);
}

static int set_up_more(void **state)
{
    (void)state;
    static struct str paths[] = {{STR_INIT(".spec.deep[0].map['a b'].ref")},
                                 {STR_INIT(".metadata.annotations['a.b/c']")},
                                 {STR_INIT("{registry}/{.metadata.name}")}};
    static struct str version = {STR_INIT("v1")};
    const struct admission_kind more = {.group = STR("x"),
                                        .kind = STR("Box"),
                                        .versions = {&version, 1},
                                        .images = {paths, ARRAY_SIZE(paths)}};
    struct err e = ERR_INIT;
    return admission_kinds_new(&more, 1, &kinds, &e) ? 0 : -1;
}

static void finds_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(reviews); i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        struct buf found BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        write_review(i, &text);
        assert_true(must_be_same(buf_str(&text)));
        assert_true(read_review(buf_str(&text), &found));
        assert_true(found.len > 10); /* it has images */
    }
}

/* One to three bytes changed, taken out, put in: structure, names and values. */
static void finds_the_same_in_anything(void **state)
{
    (void)state;
    static const char bytes[] = "{}[]\",:\\ u0x1ni";
    struct test_random random = {.state = 7};
    size_t read = 0;
    for (size_t i = 0; i < MUTATIONS; i++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        write_review(i % ARRAY_SIZE(reviews), &text);
        for (size_t n = 1 + test_random_below(&random, 3); n > 0; n--) {
            const size_t at = test_random_below(&random, (uint32_t)text.len - 1);
            const size_t how = test_random_below(&random, 3);
            if (how == 0) {
                memmove(text.ptr + at, text.ptr + at + 1, text.len - at - 1);
                buf_truncate(&text, text.len - 1);
            } else {
                text.ptr[at] = bytes[test_random_below(&random, sizeof bytes - 1)];
            }
        }
        read += must_be_same(buf_str(&text));
    }
    assert_true(read > MUTATIONS / 10);
    assert_true(read < MUTATIONS);
}

/* More names than a level takes: all of its members are kept. */
static void many_names_keep_all(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct wanted w;
    struct err e = ERR_INIT;
    wanted_init(&w, &a);
    assert_false(wanted_has(&w, 2, STR("other")));
    for (size_t i = 0; i < WANTED_NAMES_MAX; i++) {
        struct expression x;
        const struct str path = arena_printf(&a, ".name%zu", i);
        assert_true(expression_compile(path, &a, &x, &e));
        wanted_add(&w, &x, &a);
        wanted_add(&w, &x, &a);
        assert_true(wanted_has(&w, 2, str_from_offset(path, 1)));
    }
    assert_true(wanted_has(&w, 2, STR("metadata")));
    assert_true(wanted_has(&w, 2, STR("other")));
    assert_false(wanted_has(&w, 1, STR("other")));
    assert_false(wanted_has(&w, WANTED_LEVELS, STR("metadata")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prunes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_any_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_same, set_up_more, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_same_in_anything, set_up_more, tear_down),
        cmocka_unit_test(many_names_keep_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
