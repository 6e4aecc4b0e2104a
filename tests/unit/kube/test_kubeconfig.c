// SPDX-License-Identifier: Apache-2.0
/*
 * What a kubeconfig may say wrong, value by value: every refusal names the file and what is wrong
 * in it; and the forms of users and plug-ins that test_config.c does not have.
 */
#include "base/buf.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "kube/config.h"
#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct temp_dir *dir = calloc(1, sizeof(*dir));
    temp_dir_init(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    temp_dir_fini(*state);
    free(*state);
    return 0;
}

static bool load(struct temp_dir *dir, const char *text, struct kube_config **ret, struct err *e)
{
    struct kube_config_options o = {.path = temp_write(dir, "config", text)};
    return kube_config_load(&o, ret, e);
}

static struct kube_config *must_load(struct temp_dir *dir, const char *text)
{
    struct kube_config *c = NULL;
    struct err e = ERR_INIT;
    if (!load(dir, text, &c, &e))
        fail_msg("%s", e.msg);
    return c;
}

#define HEAD          "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define CLUSTER       "clusters: [{name: c, cluster: {server: 'https://h'}}]\n"
#define WITH(CLUSTER) HEAD "clusters: [{name: c, cluster: {server: h, " CLUSTER "}}]\n"
#define USER(REST)    HEAD CLUSTER "users: [{name: u, user: {" REST "}}]\n"
#define API           "apiVersion: client.authentication.k8s.io/v1, command: x"
#define V1            API ", interactiveMode: Never"
#define EXEC(REST)    USER("exec: {" REST "}")

static void test_refusals(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"current-context: [x]\n", "current-context"},
        {"current-context: ''\n", "no current-context"},
        {"current-context: x\ncontexts: [{name: x, context: {namespace: [n]}}]\n", "namespace"},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: [c]}}]\n", "cluster"},
        {"current-context: x\ncontexts: [{name: x, context: {user: {a: b}}}]\n", "user"},
        {"current-context: x\ncontexts: [{name: [x]}]\n", "no context"},
        {"current-context: x\ncontexts: [x]\n", "no context"},
        {WITH("tls-server-name: [a]"), "tls-server-name"},
        {WITH("proxy-url: [a]"), "proxy-url"},
        {WITH("insecure-skip-tls-verify: maybe"), "insecure-skip-tls-verify"},
        {WITH("certificate-authority-data: [a]"), "certificate-authority-data"},
        {WITH("certificate-authority: [a]"), "certificate-authority"},
        {USER("client-certificate-data: [a]"), "client-certificate-data"},
        {USER("client-key-data: [a]"), "client-key-data"},
        {USER("client-key-data: eA=="), "must be given together"},
        {USER("password: b"), "password is not supported"},
        {USER("token: [a]"), "token"},
        {USER("tokenFile: [a]"), "tokenFile"},
        {USER("as: [a]"), "as"},
        {USER("as: a, as-uid: [b]"), "as-uid"},
        {USER("as: \"a\\nb\""), "control character"},
        {USER("as: \"a\\x7fb\""), "control character"},
        {USER("as: a, as-uid: \"\\tb\""), "control character"},
        {USER("as: a, as-groups: g"), "as-groups must be a list of strings"},
        {USER("as: a, as-groups: [[g]]"), "config"},
        {USER("as: a, as-groups: [\"\\r\"]"), "control character"},
        {USER("as: a, as-user-extra: {k: v}"), "k must be a list of strings"},
        {USER("as: a, as-user-extra: v"), "as-user-extra must be a map"},
        {USER("as: a, as-user-extra: [v]"), "as-user-extra must be a map"},
        {USER("as-uid: a"), "need \"as\""},
        {USER("as-user-extra: {k: [v]}"), "need \"as\""},
        {EXEC("apiVersion: [v]"), "apiVersion"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1, command: [x]"), "command"},
        {EXEC(V1 ", installHint: [h]"), "installHint"},
        {EXEC(V1 ", args: [[a]]"), "args"},
        {EXEC(V1 ", env: x"), "env must be a list"},
        {EXEC(V1 ", env: [{name: [n]}]"), "name"},
        {EXEC(V1 ", env: [{name: n, value: [v]}]"), "value"},
        {EXEC(V1 ", env: [{name: n=m, value: v}]"), "no usable name"},
        {EXEC(V1 ", provideClusterInfo: maybe"), "provideClusterInfo"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: [N]"),
         "interactiveMode"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct temp_dir *dir = *state;
        struct kube_config *c = NULL;
        struct err e = ERR_INIT;
        if (load(dir, cases[i].text, &c, &e))
            fail_msg("%s is accepted", cases[i].text);
        assert_null(c);
        assert_int_equal(e.cls, ERR_INVALID);
        if (strstr(e.msg, cases[i].want) == NULL || strstr(e.msg, dir->path) == NULL)
            fail_msg("%s: %s", cases[i].text, e.msg);
    }
}

/* head, then `count` times item, then tail. */
static void assert_too_many(struct temp_dir *dir, const char *head, const char *item, int count,
                            const char *tail, const char *want)
{
    for (int extra = 0; extra < 2; extra++) {
        struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(1 << 20);
        struct kube_config *c BERTH_CLEANUP(kube_config_freep) = NULL;
        struct err e = ERR_INIT;
        buf_append_cstr(&text, head);
        for (int i = 0; i < count + extra; i++)
            buf_append_cstr(&text, item);
        buf_append_cstr(&text, tail);
        assert_true(buf_ok(&text));
        bool is_ok = load(dir, buf_cstr(&text), &c, &e);
        assert_int_equal(is_ok, extra == 0);
        if (!is_ok && strstr(e.msg, want) == NULL)
            fail_msg("%s: %s", want, e.msg);
    }
}

static void test_limits(void **state)
{
    struct temp_dir *dir = *state;
    assert_too_many(dir, HEAD CLUSTER "users: [{name: u, user: {as: a, as-groups: [", "g,", 31,
                    "]}}]\n", "more than 32 groups");
    assert_too_many(dir, HEAD CLUSTER "users: [{name: u, user: {exec: {" V1 ", args: [", "a,", 256,
                    "]}}}]\n", "too many args");
    assert_too_many(dir, HEAD CLUSTER "users: [{name: u, user: {exec: {" V1 ", env: [",
                    "{name: n},", 256, "]}}}]\n", "too many entries in env");
    assert_too_many(dir, HEAD CLUSTER "users: [{name: u, user: {token: '", "t",
                    KUBE_TOKEN_MAX_BYTES, "'}}]\n", "the token is too long");
    /* "Impersonate-Extra-" and the key: 1,024 characters */
    assert_too_many(dir, HEAD CLUSTER "users: [{name: u, user: {as: a, as-user-extra: {? '", "k",
                    1024 - 18, "' : [v]}}}]\n", "a key of as-user-extra is too long");
}

static void test_what_is_null_is_absent(void **state)
{
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(
        *state, USER("token: ~, as-groups: null, as-user-extra: null, exec: ~, password: ~"));
    assert_null(c->token);
    assert_null(c->exec);
    assert_int_equal(c->header_count, 0);
}

static void test_users(void **state)
{
    struct kube_config *both BERTH_CLEANUP(kube_config_freep) =
        must_load(*state, USER("token: t, tokenFile: /run/t"));
    assert_true(str_eq_cstr(secret_reveal(both->token), "t"));
    assert_true(str_eq_cstr(both->token_file, "/run/t"));
    struct kube_config *plain BERTH_CLEANUP(kube_config_freep) =
        must_load(*state, USER("as: jane"));
    assert_int_equal(plain->header_count, 1);
}

static void test_terminals(void **state)
{
    static const struct {
        const char *text;
        bool may, wants;
    } cases[] = {
        {EXEC(V1), false, false},
        {EXEC(API ", interactiveMode: Always"), true, true},
        {EXEC("apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: "
              "IfAvailable"),
         true, false},
        {EXEC("apiVersion: client.authentication.k8s.io/v1beta1, command: x"), true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(*state, cases[i].text);
        assert_int_equal(c->exec->may_use_terminal, cases[i].may);
        assert_int_equal(c->exec->wants_terminal, cases[i].wants);
    }
}

#define INFORMED "users: [{name: u, user: {exec: {" V1 ", provideClusterInfo: true}}}]\n"

static void test_cluster_information(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {HEAD CLUSTER INFORMED, "{\"server\":\"https://h\"}"},
        {WITH("insecure-skip-tls-verify: true, tls-server-name: t") INFORMED,
         "{\"server\":\"https://h\",\"tls-server-name\":\"t\",\"insecure-skip-tls-verify\":true}"},
        {WITH("extensions: {a: b}") INFORMED, "{\"server\":\"https://h\"}"},
        {WITH("extensions: [{extension: 1}]") INFORMED, "{\"server\":\"https://h\"}"},
        {WITH("extensions: [{name: client.authentication.k8s.io/exec}]") INFORMED,
         "{\"server\":\"https://h\"}"},
        {WITH("extensions: [{name: client.authentication.k8s.io/exec, extension: false}]") INFORMED,
         "{\"server\":\"https://h\",\"config\":false}"},
        {WITH("extensions: [{name: client.authentication.k8s.io/exec, extension: [true, 'true', "
              "7, '7', 7x, null, 'null', {k: [v]}]}]") INFORMED,
         "{\"server\":\"https://h\",\"config\":[true,\"true\",7,\"7\",\"7x\",null,\"null\","
         "{\"k\":[\"v\"]}]}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(*state, cases[i].text);
        if (!str_eq_cstr(c->exec->cluster_json, cases[i].want))
            fail_msg("%s: %.*s", cases[i].text, STR_ARG(c->exec->cluster_json));
    }
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals), TEST(test_limits),    TEST(test_what_is_null_is_absent),
        TEST(test_users),    TEST(test_terminals), TEST(test_cluster_information),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
