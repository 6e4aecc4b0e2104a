// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_parse(): what it refuses, with position, and the tree it builds.
 */
#include "base/buf.h"
#include "yaml/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 4 * 1024 * 1024 };

static void expect_refused(const char *name, struct str text, const char *message)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml before = {0};
    const struct yaml *root = &before; /* must be cleared */
    if (yaml_parse(text, LIMIT, &a, &root, &e))
        fail_msg("%s: accepted", name);
    assert_null(root);
    assert_int_equal(e.cls, ERR_INVALID);
    if (!str_eq_cstr(str_from(e.msg), message))
        fail_msg("%s: message is \"%s\", want \"%s\"", name, e.msg, message);
}

static const struct {
    const char *name;
    struct str text;
    const char *want;
} refused[] = {
    {"anchor", {STR_INIT("a: &x 1\n")}, "line 1, column 4: anchors (&name) are not supported"},
    {"anchor of a map",
     {STR_INIT("a: &x\n  b: 1\n")},
     "line 1, column 4: anchors (&name) are not supported"},
    {"anchor of a list",
     {STR_INIT("a: &x [1]\n")},
     "line 1, column 4: anchors (&name) are not supported"},
    {"anchor of a key",
     {STR_INIT("&x a: 1\n")},
     "line 1, column 1: anchors (&name) are not supported"},
    {"alias", {STR_INIT("a: *x\n")}, "line 1, column 4: aliases (*name) are not supported"},
    {"merge key",
     {STR_INIT("a:\n  <<: {b: 1}\n")},
     "line 2, column 3: merge keys (<<) are not supported"},
    {"tag",
     {STR_INIT("a: !!int 1\n")},
     "line 1, column 4: tags other than !!str are not supported"},
    {"tag of its own",
     {STR_INIT("a: !thing x\n")},
     "line 1, column 4: tags other than !!str are not supported"},
    {"tag of a map",
     {STR_INIT("a: !!str {b: 1}\n")},
     "line 1, column 4: tags other than !!str are not supported"},
    {"tag of a list",
     {STR_INIT("a: !!set [b]\n")},
     "line 1, column 4: tags other than !!str are not supported"},
    {"two colons",
     {STR_INIT("a: b: c\n")},
     "line 1, column 5: mapping values are not allowed in this context"},
    {"duplicate in a big map of one line",
     {STR_INIT(
         "{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, m: 1, n: 1, "
         "o: 1, p: 1, b: 2, q: 1}\n")},
     "line 1, column 98: duplicate key \"b\" (first at line 1)"},
    {"second document",
     {STR_INIT("a: 1\n---\nb: 2\n")},
     "line 2, column 1: a second document is not supported"},
    {"duplicate key",
     {STR_INIT("a: 1\nb: 2\na: 3\n")},
     "line 3, column 1: duplicate key \"a\" (first at line 1)"},
    {"duplicate by quotes",
     {STR_INIT("m:\n  a: 1\n  \"a\": 3\n")},
     "line 3, column 3: duplicate key \"a\" (first at line 2)"},
    {"duplicate in a big map",
     {STR_INIT("{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1,\n"
               " m: 1, n: 1, o: 1, p: 1, q: 1, b: 2}\n")},
     "line 2, column 32: duplicate key \"b\" (first at line 1)"},
    {"key is a list", {STR_INIT("? [a]\n: 1\n")}, "line 1, column 3: a key must be a text"},
    {"key is a map", {STR_INIT("{{a: 1}: 2}\n")}, "line 1, column 2: a key must be a text"},
    {"key is null", {STR_INIT("~: 1\n")}, "line 1, column 1: a key must be a text"},
    {"key is empty", {STR_INIT("?\n: 1\n")}, "line 1, column 2: a key must be a text"},
    {"tab",
     {STR_INIT("a:\n\tb: 1\n")},
     "line 2, column 1: found character that cannot start any token while scanning for the "
     "next token that begins at line 2"},
    {"indentation",
     {STR_INIT("a:\n  b: 1\n c: 2\n")},
     "line 3, column 2: did not find expected key while parsing a block mapping that begins at "
     "line 1"},
    {"open bracket",
     {STR_INIT("a: [1, 2\n")},
     "line 2, column 1: did not find expected ',' or ']' while parsing a flow sequence that "
     "begins at line 1"},
    {"open quote",
     {STR_INIT("a: \"b\n")},
     "line 2, column 1: found unexpected end of stream while scanning a quoted scalar that "
     "begins at line 1"},
    {"invalid utf-8",
     {STR_INIT("a: 1\nb: caf\xe9\n")},
     "line 2, column 7: incomplete UTF-8 octet sequence"},
    {"control character",
     {STR_INIT("a: 1\nb: \x01\n")},
     "line 2, column 4: control characters are not allowed"},
    {"NUL", {STR_INIT("a: 1\0\n")}, "line 1, column 5: control characters are not allowed"},
    {"NUL by escape", {STR_INIT("a: \"x\\0y\"\n")}, "line 1, column 4: NUL (\\0) in a text"},
    {"NUL in a key", {STR_INIT("\"x\\0y\": 1\n")}, "line 1, column 1: NUL (\\0) in a text"},
    {"utf-16",
     {STR_INIT("\xff\xfe"
               "a\0:\0 \0"
               "1\0")},
     "line 1, column 1: invalid leading UTF-8 octet"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        expect_refused(refused[i].name, refused[i].text, refused[i].want);
}

static void test_depth(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    for (int i = 0; i < YAML_MAX_DEPTH; i++)
        buf_append_char(&b, '[');
    for (int i = 0; i < YAML_MAX_DEPTH; i++)
        buf_append_char(&b, ']');
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml *root;
    assert_true(yaml_parse(buf_str(&b), LIMIT, &a, &root, &e));
    int depth = 0;
    for (const struct yaml *it = root; it != NULL; it = it->first)
        depth++;
    assert_int_equal(depth, YAML_MAX_DEPTH);
    buf_reset(&b);
    for (int i = 0; i < 100000; i++)
        buf_append_char(&b, '[');
    expect_refused("lists", buf_str(&b), "line 1, column 33: more than 32 levels");
}

static void test_limit(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml *root;
    assert_true(yaml_parse(STR("a: 1"), 4, &a, &root, &e));
    assert_false(yaml_parse(STR("a: 12"), 4, &a, &root, &e));
    assert_string_equal(e.reason, "TooLarge");
    assert_string_equal(e.msg, "5 bytes are over the limit of 4 bytes");
}

/* By comparing in pairs this takes minutes. */
static void test_many_members(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(LIMIT);
    for (int i = 0; i < COUNT; i++)
        buf_printf(&b, "key-%d: %d\n", i, i);
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml *root;
    assert_true(yaml_parse(buf_str(&b), LIMIT, &a, &root, &e));
    buf_append(&b, STR("key-7: 1\n"));
    expect_refused("duplicate among many", buf_str(&b),
                   "line 50001, column 1: duplicate key \"key-7\" (first at line 8)");
}

static void test_empty(void **state)
{
    (void)state;
    static const struct str texts[] = {
        {NULL, 0},           {STR_INIT("")},     {STR_INIT("\n\n")}, {STR_INIT("# only\n")},
        {STR_INIT("---\n")}, {STR_INIT("{}\n")}, {STR_INIT("~\n")},  {STR_INIT("---\n...\n")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        const struct yaml *root;
        if (!yaml_parse(texts[i], LIMIT, &a, &root, &e))
            fail_msg("%.*s: %s", STR_ARG(texts[i]), e.msg);
        assert_int_equal(root->kind, YAML_MAP);
        assert_null(root->first);
        assert_null(yaml_get(root, "a"));
    }
}

static void assert_scalar(const struct yaml *v, const char *want, bool is_plain, int line,
                          int column)
{
    assert_non_null(v);
    assert_int_equal(v->kind, YAML_SCALAR);
    assert_string_equal(v->scalar.ptr, want); /* NUL-terminated */
    assert_int_equal(v->scalar.len, strlen(want));
    assert_int_equal(v->is_plain, is_plain);
    assert_int_equal(v->line, line);
    assert_int_equal(v->column, column);
}

static void test_tree(void **state)
{
    (void)state;
    const struct str text = STR("\xef\xbb\xbf# a comment\n"
                                "plain: true\n"
                                "quoted: \"tr\\u00fce\"\n"
                                "single: 'it''s'\n"
                                "tagged: !!str 5\n"
                                "block: |\n"
                                "  one\n"
                                "  two\n"
                                "map:\n"
                                "  inner:   {x: 1, y: [2, 3]}\n"
                                "  1: number as key\n"
                                "list:\n"
                                "- a\n"
                                "-  - b\n"
                                "   -\n"
                                "- c: d\n"
                                "nothing:\n");
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml *root;
    if (!yaml_parse(text, LIMIT, &a, &root, &e))
        fail_msg("%s", e.msg);
    assert_scalar(yaml_get(root, "plain"), "true", true, 2, 8);
    assert_scalar(yaml_get(root, "quoted"),
                  "tr\xc3\xbc"
                  "e",
                  false, 3, 9);
    assert_scalar(yaml_get(root, "single"), "it's", false, 4, 9);
    assert_scalar(yaml_get(root, "tagged"), "5", false, 5, 9);
    assert_scalar(yaml_get(root, "block"), "one\ntwo\n", false, 6, 8);
    const struct yaml *map = yaml_get(root, "map");
    assert_int_equal(map->kind, YAML_MAP);
    assert_int_equal(map->key_line, 9);
    assert_int_equal(map->key_column, 1);
    const struct yaml *inner = yaml_get(map, "inner");
    assert_int_equal(inner->key_line, 10);
    assert_int_equal(inner->key_column, 3);
    assert_int_equal(inner->column, 12);
    assert_scalar(yaml_get(inner, "x"), "1", true, 10, 16);
    const struct yaml *y = yaml_get(inner, "y");
    assert_int_equal(y->kind, YAML_LIST);
    assert_scalar(y->first, "2", true, 10, 23);
    assert_scalar(y->first->next, "3", true, 10, 26);
    assert_null(y->first->next->next);
    assert_true(str_is_null(y->first->key));
    assert_scalar(yaml_get(map, "1"), "number as key", true, 11, 6);
    const struct yaml *list = yaml_get(root, "list");
    assert_scalar(list->first, "a", true, 13, 3);
    assert_scalar(list->first->next->first, "b", true, 14, 6);
    assert_true(yaml_is_null(list->first->next->first->next));
    assert_scalar(yaml_get(list->first->next->next, "c"), "d", true, 16, 6);
    assert_true(yaml_is_null(yaml_get(root, "nothing")));
    assert_null(yaml_get(root, "absent"));
    assert_null(yaml_get(list, "a"));
    assert_null(yaml_get(NULL, "a"));
}

static void test_json(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    const struct yaml *root;
    const struct str text = STR("{\"apiVersion\":\"v1\",\"users\":[{\"name\":\"x\",\"n\":5}],\n"
                                "\t\"null\":null}");
    if (!yaml_parse(text, LIMIT, &a, &root, &e))
        fail_msg("%s", e.msg);
    assert_scalar(yaml_get(root, "apiVersion"), "v1", false, 1, 15);
    const struct yaml *user = yaml_get(root, "users")->first;
    assert_string_equal(yaml_get(user, "n")->scalar.ptr, "5");
    assert_true(yaml_is_null(yaml_get(root, "null")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_tree),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
