// SPDX-License-Identifier: Apache-2.0
/*
 * The table of kinds: where the built-in ones have their images, what a configuration adds, and
 * what of a configuration is refused.
 */
#include "admission/kinds.h"
#include "base/buf.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 64 * 1024 };

#define POD_SPEC                                                                                   \
    "{\"containers\":[{\"image\":\"c1\"},{\"image\":\"c2\"}],\"initContainers\":[{\"image\":"      \
    "\"i\"}],\"ephemeralContainers\":[{\"image\":\"e\"}],\"volumes\":[{\"image\":{\"reference\":"  \
    "\"v\"}},{\"emptyDir\":{}}]}"
#define POD_IMAGES "pull c1|pull c2|pull i|pull e|pull v|"
#define TEMPLATE   "{\"spec\":{\"template\":{\"spec\":" POD_SPEC "}}}"
#define PARAMS                                                                                     \
    "{\"spec\":{\"params\":[{\"name\":\"IMAGE\",\"value\":\"a\"},{\"name\":\"other\",\"value\":"   \
    "\"b\"},{\"name\":\"image\",\"value\":[\"c\",\"d\"]},{\"name\":\"IMAGE\",\"value\":{}}]}}"

static const struct {
    const char *group, *version, *kind, *object, *want;
} builtin[] = {
    {"", "v1", "Pod", "{\"spec\":" POD_SPEC "}", POD_IMAGES},
    {"", "v1", "ReplicationController", TEMPLATE, POD_IMAGES},
    {"apps", "v1", "Deployment", TEMPLATE, POD_IMAGES},
    {"apps", "v1beta9", "ReplicaSet", TEMPLATE, POD_IMAGES},
    {"apps", "v1", "StatefulSet", TEMPLATE, POD_IMAGES},
    {"apps", "v1", "DaemonSet", TEMPLATE, POD_IMAGES},
    {"batch", "v1", "Job", TEMPLATE, POD_IMAGES},
    {"batch", "v1", "CronJob", "{\"spec\":{\"jobTemplate\":" TEMPLATE "}}", POD_IMAGES},
    {"serving.knative.dev", "v1", "Service", TEMPLATE, POD_IMAGES},
    {"kpack.io", "v1alpha2", "Image",
     "{\"spec\":{\"tag\":\"t\",\"additionalTags\":[\"x\",\"y\"],\"cache\":{\"registry\":{\"tag\":"
     "\"c\"}}}}",
     "push t|push x|push y|push c|"},
    {"kpack.io", "v1alpha1", "Image", "{\"spec\":{\"tag\":\"t\"}}", "push t|"},
    {"tekton.dev", "v1", "TaskRun", PARAMS, "push a|push c|push d|"},
    {"tekton.dev", "v1beta1", "PipelineRun", PARAMS, "push a|push c|push d|"},
    /* of another group, another kind */
    {"", "v1", "Service", TEMPLATE, ""},
    {"apps", "v1", "Pod", "{\"spec\":" POD_SPEC "}", ""},
    {"", "v1", "Deployment", TEMPLATE, ""},
    {"", "v1", "pod", "{\"spec\":" POD_SPEC "}", ""},
    {"", "v1", "", "{}", ""},
    /* a Pod's place is no Deployment's */
    {"apps", "v1", "Deployment", "{\"spec\":" POD_SPEC "}", ""},
};

static bool collect(void *arg, struct str image, enum admission_purpose purpose)
{
    struct buf *out = arg;
    buf_printf(out, "%s %.*s|", purpose == ADMISSION_PUSH ? "push" : "pull", STR_ARG(image));
    return true;
}

static struct admission_kinds *kinds_of(const struct admission_kind *more, size_t count)
{
    struct err e = ERR_INIT;
    struct admission_kinds *k = NULL;
    if (!admission_kinds_new(more, count, &k, &e))
        fail_msg("%s", e.msg);
    return k;
}

static void must_give(const struct admission_kinds *k, const char *group, const char *version,
                      const char *kind, const char *object, const char *want)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    struct err e = ERR_INIT;
    if (!json_parse(str_from(object), TEXT_MAX, &doc, &e))
        fail_msg("%s: %s", kind, e.msg);
    struct admission_source source = {str_from(group), str_from(version), str_from(kind),
                                      json_root(doc), STR("h.example")};
    assert_true(admission_kinds_images(k, &source, &a, collect, &out));
    if (!str_eq_cstr(buf_str(&out), want))
        fail_msg("%s/%s %s: %s, not %s", group, version, kind, buf_cstr(&out), want);
    buf_reset(&out);
    source.object = NULL;
    assert_true(admission_kinds_images(k, &source, &a, collect, &out));
    assert_int_equal(out.len, 0);
}

static void builtin_kinds(void **state)
{
    (void)state;
    struct admission_kinds *k BERTH_CLEANUP(admission_kinds_freep) = kinds_of(NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(builtin); i++)
        must_give(k, builtin[i].group, builtin[i].version, builtin[i].kind, builtin[i].object,
                  builtin[i].want);
    assert_true(admission_kinds_has(k, STR("apps"), STR("v1"), STR("Deployment")));
    assert_true(admission_kinds_has(k, STR(""), STR("v7"), STR("Pod")));
    assert_false(admission_kinds_has(k, STR("apps"), STR("v1"), STR("Pod")));
    assert_false(admission_kinds_has(k, STR("carto.run"), STR("v1alpha1"), STR("Workload")));
}

#define LIST(...)                                                                                  \
    {                                                                                              \
        (struct str[]){__VA_ARGS__}, sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str)      \
    }

/* Entries of one kind, and paths of one entry, add to each other and to what is built in; none
 * hides another, also where they lead to one place. */
static void configured_kinds(void **state)
{
    (void)state;
    const struct admission_kind more[] = {
        {.group = STR("a.b"),
         .kind = STR("Box"),
         .versions = LIST(STR("v1"), STR("v2")),
         .images = LIST(STR(".spec.a"), STR(".spec.b"), STR("{registry}/{.metadata.name}"))},
        {.group = STR("a.b"),
         .kind = STR("Box"),
         .versions = LIST(STR("v2")),
         .images = LIST(STR(".spec.a"), STR(".spec.c[*]")),
         .purpose = ADMISSION_PUSH},
        {.group = STR("apps"),
         .kind = STR("Deployment"),
         .images = LIST(STR(".metadata.annotations['x/y']")),
         .purpose = ADMISSION_PUSH},
    };
    static const char box[] = "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"a\":\"A\",\"b\":[\"B1\","
                              "\"B2\"],\"c\":[\"C\"]}}";
    struct admission_kinds *k BERTH_CLEANUP(admission_kinds_freep) =
        kinds_of(more, ARRAY_SIZE(more));
    must_give(k, "a.b", "v1", "Box", box, "pull A|pull B1|pull B2|pull h.example/n|");
    must_give(k, "a.b", "v2", "Box", box, "push A|push C|pull A|pull B1|pull B2|pull h.example/n|");
    must_give(k, "a.b", "v3", "Box", box, "");
    must_give(k, "a.b", "", "Box", box, "");
    must_give(k, "apps", "v1", "Deployment",
              "{\"metadata\":{\"annotations\":{\"x/y\":\"p\"}},\"spec\":{\"template\":{\"spec\":"
              "{\"containers\":[{\"image\":\"q\"}]}}}}",
              "push p|pull q|");
    assert_true(admission_kinds_has(k, STR("a.b"), STR("v2"), STR("Box")));
    assert_false(admission_kinds_has(k, STR("a.b"), STR("v3"), STR("Box")));
    assert_true(admission_kinds_has(k, STR("apps"), STR("v1"), STR("Deployment")));
}

/* The configuration may go away once the table is made. */
static void keeps_copies(void **state)
{
    (void)state;
    char kind[] = "Box";
    char version[] = "v1";
    char path[] = ".spec['a b']";
    const struct admission_kind more = {.kind = str_from(kind),
                                        .versions = LIST(str_from(version)),
                                        .images = LIST(str_from(path))};
    struct admission_kinds *k BERTH_CLEANUP(admission_kinds_freep) = kinds_of(&more, 1);
    memset(kind, 'x', sizeof kind - 1);
    memset(version, 'x', sizeof version - 1);
    memset(path, 'x', sizeof path - 1);
    must_give(k, "", "v1", "Box", "{\"spec\":{\"a b\":\"c\"}}", "pull c|");
}

static void must_refuse(const struct admission_kind *more, size_t count, const char *want)
{
    struct err e = ERR_INIT;
    struct admission_kinds *k = NULL;
    assert_false(admission_kinds_new(more, count, &k, &e));
    assert_null(k);
    if (strstr(e.msg, want) == NULL)
        fail_msg("%s, not %s", e.msg, want);
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    const struct admission_kind good = {.kind = STR("Box"), .images = LIST(STR(".a"))};
    struct admission_kind second = good;
    second.images = (struct schema_list)LIST(STR(".a"), STR(".b["));
    must_refuse((const struct admission_kind[]){good, second}, 2,
                "kinds[1]: images[1]: \".b[\", column 4: in brackets must be");
    second.images = (struct schema_list){0};
    must_refuse(&second, 1, "kinds[0]: images must hold 1 to 64 paths");
    second.images.count = ADMISSION_PATHS_MAX + 1;
    must_refuse(&second, 1, "kinds[0]: images must hold 1 to 64 paths");
    struct str paths[ADMISSION_PATHS_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        paths[i] = STR(".a");
    second.images = (struct schema_list){paths, ARRAY_SIZE(paths)};
    struct admission_kinds *most BERTH_CLEANUP(admission_kinds_freep) = kinds_of(&second, 1);
    must_give(most, "", "v1", "Box", "{\"b\":1}", "");
    second = good;
    second.kind = STR_NULL;
    must_refuse(&second, 1, "kinds[0]: kind must be given");
    struct admission_kind many[ADMISSION_KINDS_MAX + 1];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = good;
    must_refuse(many, ARRAY_SIZE(many), "at most 200 kinds");
    struct admission_kinds *k BERTH_CLEANUP(admission_kinds_freep) =
        kinds_of(many, ADMISSION_KINDS_MAX);
    must_give(k, "", "v1", "Box", "{}", "");
}

static bool take_three(void *arg, struct str image, enum admission_purpose purpose)
{
    (void)image;
    (void)purpose;
    return ++*(int *)arg < 3;
}

static void ends_where_it_is_told(void **state)
{
    (void)state;
    struct admission_kinds *k BERTH_CLEANUP(admission_kinds_freep) = kinds_of(NULL, 0);
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    assert_true(json_parse(STR("{\"spec\":" POD_SPEC "}"), TEXT_MAX, &doc, &e));
    const struct admission_source source = {STR(""), STR("v1"), STR("Pod"), json_root(doc),
                                            STR_NULL};
    int count = 0;
    assert_false(admission_kinds_images(k, &source, &a, take_three, &count));
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_kinds),         cmocka_unit_test(configured_kinds),
        cmocka_unit_test(keeps_copies),          cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(ends_where_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
