// SPDX-License-Identifier: Apache-2.0
/*
 * The language of paths and texts: what compiles, what does not and at which column, and what is
 * found by following it.
 */
#include "base/buf.h"
#include "json/json.h"
#include "path_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 64 * 1024 };

/* --- what does not compile ---------------------------------------------------------------------
 */

static const struct {
    const char *path;
    const char *want; /* in the message */
} wrong[] = {
    {"", "1 to 512 characters"},
    {".", "column 2: a name must follow the dot"},
    {"..a", "column 2: a name must follow the dot"},
    {".a.", "column 4: a name must follow the dot"},
    {".a b", "column 3: a path goes on with . or ["},
    {".a/b", "column 3: a path goes on"},
    {".a}", "column 3: a path goes on"},
    {".a@", "column 3: a path goes on"},
    {".a^", "column 3: a path goes on"},
    {".a`", "column 3: a path goes on"},
    {".a{", "column 3: a path goes on"},
    {".é", "column 2: a name must follow the dot"},
    {".a[", "column 4: in brackets must be"},
    {".a[]", "column 4: in brackets must be"},
    {".a[*", "column 5: ] is missing"},
    {".a[*x]", "column 5: ] is missing"},
    {".a[0", "column 5: ] is missing"},
    {".a[-1]", "column 6: in brackets must be"},
    {".a[65536]", "column 9: in brackets must be"},
    {".a[18446744073709551616]", "column 24: in brackets must be"},
    {".a[b]", "column 5: in brackets must be"},
    {".a['b]", "column 7: the quote is not closed"},
    {".a['']", "column 6: the name is empty"},
    {".a['b'", "column 7: ] is missing"},
    {".a[b=]", "column 6: a value must follow"},
    {".a[b='']", "column 8: the name is empty"},
    {".a[b='x", "column 8: the quote is not closed"},
    {".a[b=c d]", "column 7: ] is missing"},
    {".a[=b]", "column 4: in brackets must be"},
    {"a", "must be a path that begins with ."},
    {"nginx", "must be a path that begins with ."},
    {"{registry}/a", "must be a path that begins with ."},
    {"{", "column 2: in braces must be registry, or a path"},
    {"{}", "column 2: in braces must be registry, or a path"},
    {"{ .a}", "column 2: in braces must be"},
    {"{registr}", "column 2: in braces must be"},
    {"{.a", "column 4: } is missing"},
    {"{.a{.b}}", "column 4: a path goes on"},
    {"a}b{.a}", "column 2: } without {"},
    {"{.a}}", "column 5: } without {"},
    {"x{.a[*]}", "column 8: a path inside a text leads to one value"},
    {"x{.a[b=c].d}", "column 12: a path inside a text leads to one value"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct err e = ERR_INIT;
        if (admission_path_check(str_from(wrong[i].path), &e))
            fail_msg("%s compiles", wrong[i].path);
        if (strstr(e.msg, wrong[i].want) == NULL)
            fail_msg("%s: %s", wrong[i].path, e.msg);
        assert_int_equal(e.cls, ERR_INVALID);
    }
}

/* unit, n times, after the start */
static struct str repeat(const char *start, const char *unit, size_t n, struct buf *out)
{
    buf_reset(out);
    buf_append_cstr(out, start);
    for (size_t i = 0; i < n; i++)
        buf_append_cstr(out, unit);
    return buf_str(out);
}

static void is_bounded(void **state)
{
    (void)state;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    struct err e = ERR_INIT;
    assert_true(admission_path_check(repeat("", ".a", ADMISSION_STEPS_MAX, &out), &e));
    assert_false(admission_path_check(repeat("", ".a", ADMISSION_STEPS_MAX + 1, &out), &e));
    assert_non_null(strstr(e.msg, "column 65: the path has too many steps"));
    assert_true(admission_path_check(repeat(".", "a", ADMISSION_PATH_MAX - 1, &out), &e));
    struct err longer = ERR_INIT;
    assert_false(admission_path_check(repeat(".", "a", ADMISSION_PATH_MAX, &out), &longer));
    assert_non_null(strstr(longer.msg, "1 to 512 characters"));
    assert_true(admission_path_check(repeat("", "{.a}", ADMISSION_STEPS_MAX, &out), &e));
    struct err parts = ERR_INIT;
    assert_false(admission_path_check(repeat("x", "{.a}", ADMISSION_STEPS_MAX, &out), &parts));
    assert_non_null(strstr(parts.msg, "the text has too many parts"));
}

/* --- what is found -----------------------------------------------------------------------------
 */

#define OBJECT                                                                                     \
    "{\"metadata\":{\"name\":\"n\",\"namespace\":\"ns\",\"generation\":7,"                         \
    "\"annotations\":{\"a.b/c\":\"x:1\",\"d e\":\"y\"},\"labels\":{}},"                            \
    "\"spec\":{\"tag\":\"t\",\"tags\":[\"a\",1,null,\"b\",[\"c\"],{\"d\":\"e\"}],"                 \
    "\"empty\":\"\",\"null\":null,\"yes\":true,\"half\":0.5,\"big\":9007199254740993,"             \
    "\"images\":[{\"name\":\"one\",\"ref\":\"i1\"},{\"name\":\"two\",\"ref\":\"i2\"},"             \
    "{\"name\":\"one\",\"ref\":[\"i3\",\"i4\"]},{\"ref\":\"i5\"},\"i6\"],"                         \
    "\"azAZ09_-\":\"all\",\"map\":{\"k1\":{\"name\":\"one\",\"ref\":\"m1\"},\"k2\":{\"name\":\"a " \
    "b\",\"ref\":\"m2\"}},"                                                                        \
    "\"0\":\"zero\",\"list\":[[\"p\"],[\"q\",\"r\"]]}}"

static const struct {
    const char *path;
    const char *want; /* each followed by '|' */
} rows[] = {
    {".spec.tag", "t|"},
    {".spec['tag']", "t|"},
    {".spec.azAZ09_-", "all|"},
    {"['spec']['tag']", "t|"},
    {".metadata.annotations['a.b/c']", "x:1|"},
    {".metadata.annotations['d e']", "y|"},
    /* a list of strings gives its strings, and no more */
    {".spec.tags", "a|b|"},
    {".spec.tags[*]", "a|b|c|"},
    {".spec.list", ""},
    {".spec.list[*]", "p|q|r|"},
    {".spec.list[*][*]", "p|q|r|"},
    {".spec.list[1]", "q|r|"},
    {".spec.list[1][0]", "q|"},
    {".spec.list[2]", ""},
    {".spec.list[65535]", ""},
    /* a number in brackets is an index and a name after a dot a member, whatever it looks like */
    {".spec[0]", ""},
    {".spec.0", "zero|"},
    {".spec['0']", "zero|"},
    {".spec.images[*].ref", "i1|i2|i3|i4|i5|"},
    {".spec.images[0].ref", "i1|"},
    {".spec.images[4]", "i6|"},
    {".spec.images[name=one].ref", "i1|i3|i4|"},
    {".spec.images[name='one'].ref", "i1|i3|i4|"},
    {".spec.images[name=none].ref", ""},
    {".spec.images[other=one].ref", ""},
    {".spec.images[name=one]", ""},
    {".spec.map[*].ref", "m1|m2|"},
    {".spec.map[name=one].ref", "m1|"},
    {".spec.map[name='a b'].ref", "m2|"},
    {".spec.map[*]", ""},
    /* what is not there, or of another kind */
    {".nothing", ""},
    {".nothing.at[0].all[*]", ""},
    {".spec.tag.deeper", ""},
    {".spec.tag[0]", ""},
    {".spec.tag[*]", ""},
    {".spec.tag[a=b]", ""},
    {".spec.null", ""},
    {".spec.yes", ""},
    {".metadata.generation", ""},
    {".metadata.labels", ""},
    {".spec.empty", "|"},
    /* texts */
    {"{registry}/tap/{.metadata.name}-{.metadata.namespace}", "h.example/tap/n-ns|"},
    {"{.metadata.name}", "n|"},
    {"{.metadata.name}{.metadata.name}", "nn|"},
    {"a/{.metadata.generation}", "a/7|"},
    {"a/{.spec.tags[0]}", "a/a|"},
    {"a/{.spec.tags[1]}", "a/1|"},
    {"a/{.metadata.annotations['a.b/c']}", "a/x:1|"},
    {"a/{['metadata'].name}", "a/n|"},
    {"é/{.metadata.name}", "é/n|"},
    {"a/{.spec.tags}", ""},
    {"a/{.spec.nothing}", ""},
    {"a/{.spec.empty}", ""},
    {"a/{.spec.null}", ""},
    {"a/{.spec.yes}", ""},
    {"a/{.spec.half}", ""},
    {"a/{.spec.big}", ""},
    {"a/{.metadata}", ""},
    {"{.metadata.name}/{.spec.nothing}", ""},
};

static bool collect(void *arg, struct str text)
{
    struct buf *out = arg;
    buf_append(out, text);
    buf_append_char(out, '|');
    return true;
}

struct fixture {
    struct arena arena;
    struct json_doc *doc;
};

static const struct json *parse(struct fixture *f, struct str text)
{
    struct err e = ERR_INIT;
    if (!json_parse(text, 1 << 20, &f->doc, &e))
        fail_msg("%s", e.msg);
    return json_root(f->doc);
}

static void end(struct fixture *f)
{
    f->doc = json_doc_free(f->doc);
    arena_fini(&f->arena);
}

static struct expression compile(struct fixture *f, const char *path)
{
    struct err e = ERR_INIT;
    struct expression x;
    if (!expression_compile(str_from(path), &f->arena, &x, &e))
        fail_msg("%s", e.msg);
    return x;
}

static void finds(void **state)
{
    (void)state;
    struct fixture f = {.arena = ARENA_INIT};
    const struct json *object = parse(&f, STR(OBJECT));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
        const struct expression x = compile(&f, rows[i].path);
        assert_true(expression_follow(&x, object, STR("h.example"), &f.arena, collect, &out));
        if (!str_eq_cstr(buf_str(&out), rows[i].want))
            fail_msg("%s: %s, not %s", rows[i].path, buf_cstr(&out), rows[i].want);
    }
    end(&f);
}

/* No object, no registry. */
static void finds_nothing(void **state)
{
    (void)state;
    struct fixture f = {.arena = ARENA_INIT};
    const struct json *object = parse(&f, STR(OBJECT));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct expression x = compile(&f, rows[i].path);
        assert_true(expression_follow(&x, NULL, STR("h.example"), &f.arena, collect, &out));
        assert_int_equal(out.len, 0);
    }
    const struct expression x = compile(&f, "{registry}/{.metadata.name}");
    assert_true(expression_follow(&x, object, STR_NULL, &f.arena, collect, &out));
    assert_true(expression_follow(&x, object, STR(""), &f.arena, collect, &out));
    assert_int_equal(out.len, 0);
    end(&f);
}

static bool take_two(void *arg, struct str text)
{
    (void)text;
    return ++*(int *)arg < 2;
}

static void ends_where_it_is_told(void **state)
{
    (void)state;
    static const char *const many[] = {".spec.tags", ".spec.tags[*]", ".spec.images[*].ref",
                                       ".spec.images[name=one].ref", ".spec.list[*][*]"};
    struct fixture f = {.arena = ARENA_INIT};
    const struct json *object = parse(&f, STR(OBJECT));
    for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
        int count = 0;
        const struct expression x = compile(&f, many[i]);
        assert_false(expression_follow(&x, object, STR_NULL, &f.arena, take_two, &count));
        assert_int_equal(count, 2);
    }
    int count = 1;
    const struct expression x = compile(&f, "{.metadata.name}");
    assert_false(expression_follow(&x, object, STR_NULL, &f.arena, take_two, &count));
    end(&f);
}

/* A text that would be too long is none; what is found is text of the arena. */
static void texts_are_bounded(void **state)
{
    (void)state;
    struct fixture f = {.arena = ARENA_INIT};
    struct buf object BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    (void)repeat("{\"a\":\"", "x", 4096, &object);
    buf_append_cstr(&object, "\"}");
    const struct json *root = parse(&f, buf_str(&object));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(TEXT_MAX);
    const struct expression fits = compile(&f, "{.a}{.a}");
    assert_true(expression_follow(&fits, root, STR_NULL, &f.arena, collect, &out));
    assert_int_equal(out.len, 2 * 4096 + 1);
    const struct expression not = compile(&f, "{.a}{.a}x");
    assert_true(expression_follow(&not, root, STR_NULL, &f.arena, collect, &out));
    assert_int_equal(out.len, 2 * 4096 + 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(finds),
        cmocka_unit_test(finds_nothing),
        cmocka_unit_test(ends_where_it_is_told),
        cmocka_unit_test(texts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
