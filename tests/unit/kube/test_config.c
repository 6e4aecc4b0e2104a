// SPDX-License-Identifier: Apache-2.0
/*
 * Finding, merging and reading kubeconfigs, and the configuration of a pod.
 */
#include "crypto/crypto.h"
#include "http/http.h"
#include "kube/config.h"
#include "temp_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct temp_dir dir;
    const char *env[8][2];
    size_t env_count;
    struct kube_config_options o;
};

static const char *fake_env(void *arg, const char *name)
{
    struct fixture *f = arg;
    for (size_t i = 0; i < f->env_count; i++)
        if (strcmp(f->env[i][0], name) == 0)
            return f->env[i][1];
    return NULL;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    temp_dir_init(&f->dir);
    f->o = (struct kube_config_options){.env = fake_env, .env_arg = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    temp_dir_fini(&f->dir);
    free(f);
    return 0;
}

static void set_env(struct fixture *f, const char *name, const char *value)
{
    f->env[f->env_count][0] = name;
    f->env[f->env_count][1] = arena_cstr(&f->dir.arena, str_from(value));
    f->env_count++;
}

static struct kube_config *must_load(struct fixture *f)
{
    struct kube_config *c = NULL;
    struct err e = ERR_INIT;
    if (!kube_config_load(&f->o, &c, &e))
        fail_msg("%s", e.msg);
    return c;
}

static void check_str(struct str got, const char *want)
{
    if (want == NULL ? !str_is_null(got) : !str_eq_cstr(got, want))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want ? want : "(absent)");
}

static const char SIMPLE[] = "apiVersion: v1\n"
                             "kind: Config\n"
                             "current-context: here\n"
                             "clusters:\n"
                             "- name: c\n"
                             "  cluster: {server: 'https://1.2.3.4:6443/', tls-server-name: api}\n"
                             "contexts:\n"
                             "- name: here\n"
                             "  context: {cluster: c, user: u, namespace: team}\n"
                             "- name: there\n"
                             "  context: {cluster: c}\n"
                             "users:\n"
                             "- name: u\n"
                             "  user: {token: abc}\n";

static void explicit_path_wins(void **state)
{
    struct fixture *f = *state;
    f->o.path = temp_write(&f->dir, "config", SIMPLE);
    set_env(f, "KUBECONFIG", "/nonexistent");
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->server, "https://1.2.3.4:6443");
    check_str(c->tls_server_name, "api");
    check_str(c->context, "here");
    check_str(c->namespace, "team");
    check_str(c->ca_pem, NULL);
    check_str(secret_reveal(c->token), "abc");
}

static void context_can_be_chosen(void **state)
{
    struct fixture *f = *state;
    f->o.path = temp_write(&f->dir, "config", SIMPLE);
    f->o.context = "there";
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->context, "there");
    check_str(c->namespace, "default");
    assert_null(c->token);
}

/* What each of two files of KUBECONFIG contributes. */
static void files_are_merged(void **state)
{
    struct fixture *f = *state;
    static const char ONE[] = "clusters: [{name: c, cluster: {server: 'https://one'}}]\n"
                              "users: [{name: u, user: {}}]\n";
    static const char TWO[] =
        "current-context: x\n"
        "clusters: [{name: c, cluster: {server: 'https://two', tls-server-name: not-taken}}]\n"
        "users: [{name: u, user: {token: not-taken}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u, namespace: two}}]\n";
    static const char THREE[] = "current-context: y\n"
                                "contexts: [{name: x, context: {cluster: c, namespace: three}},"
                                " {name: y, context: {cluster: c, namespace: y}}]\n";
    char list[512];
    snprintf(list, sizeof(list), "%s:%s::%s:%s", temp_path(&f->dir, "absent"),
             temp_write(&f->dir, "one", ONE), temp_write(&f->dir, "two", TWO),
             temp_write(&f->dir, "three", THREE));
    set_env(f, "KUBECONFIG", list);
    set_env(f, "KUBERNETES_SERVICE_HOST", "10.0.0.1"); /* comes after */
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->context, "x");
    check_str(c->server, "https://one");
    check_str(c->tls_server_name, NULL); /* entries are not mixed */
    check_str(c->namespace, "two");
    assert_null(c->token);
}

static void relative_paths_are_the_files(void **state)
{
    struct fixture *f = *state;
    temp_mkdir(&f->dir, "sub");
    temp_write(&f->dir, "sub/ca.pem", "CA");
    temp_write(&f->dir, "crt.pem", "CRT");
    temp_write(&f->dir, "sub/key.pem", "KEY");
    f->o.path = temp_write(
        &f->dir, "sub/config",
        "current-context: x\n"
        "clusters: [{name: c, cluster: {server: h, certificate-authority: ca.pem}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
        "users: [{name: u, user: {client-certificate: ../crt.pem, client-key-data: S0VZMg==,\n"
        "  client-key: key.pem, tokenFile: tok, exec: {apiVersion: "
        "client.authentication.k8s.io/v1beta1, command: ./bin/plug}}}]\n");
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->server, "https://h");
    check_str(c->ca_pem, "CA");
    check_str(c->ca_file, temp_path(&f->dir, "sub/ca.pem"));
    check_str(c->client_cert_pem, "CRT");
    check_str(secret_reveal(c->client_key_pem), "KEY2"); /* data wins over the file */
    check_str(c->token_file, temp_path(&f->dir, "sub/tok"));
    assert_string_equal(c->exec->command, temp_path(&f->dir, "sub/./bin/plug"));
    assert_true(c->exec->may_use_terminal);
    assert_false(c->exec->wants_terminal);
}

static void pods_configure_themselves(void **state)
{
    struct fixture *f = *state;
    f->o.service_account_dir = f->dir.path;
    temp_write(&f->dir, "ca.crt", "CA");
    temp_write(&f->dir, "namespace", "berth\n");
    set_env(f, "KUBERNETES_SERVICE_HOST", "fd00::1");
    set_env(f, "KUBERNETES_SERVICE_PORT", "443");
    set_env(f, "HOME", f->dir.path);
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->server, "https://[fd00::1]:443");
    check_str(c->ca_pem, "CA");
    check_str(c->namespace, "berth");
    check_str(c->token_file, temp_path(&f->dir, "token"));
    check_str(c->source, "in-cluster");
}

static void home_is_the_last_resort(void **state)
{
    struct fixture *f = *state;
    set_env(f, "HOME", f->dir.path);
    set_env(f, "KUBECONFIG", "");
    struct kube_config *none = NULL;
    struct err e = ERR_INIT;
    assert_false(kube_config_load(&f->o, &none, &e));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "KUBECONFIG is not set"));
    temp_mkdir(&f->dir, ".kube");
    temp_write(&f->dir, ".kube/config", SIMPLE);
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->server, "https://1.2.3.4:6443");
}

static void impersonation_becomes_headers(void **state)
{
    struct fixture *f = *state;
    f->o.path = temp_write(&f->dir, "config",
                           "current-context: x\n"
                           "clusters: [{name: c, cluster: {server: 'http://h'}}]\n"
                           "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
                           "users: [{name: u, user: {as: jane, as-uid: '7', as-groups: [a, b],\n"
                           "  as-user-extra: {'k/x': [v]}}}]\n");
    static const char *const WANT[][2] = {{"Impersonate-User", "jane"},
                                          {"Impersonate-Uid", "7"},
                                          {"Impersonate-Group", "a"},
                                          {"Impersonate-Group", "b"},
                                          {"Impersonate-Extra-k%2Fx", "v"}};
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    assert_int_equal(c->header_count, ARRAY_SIZE(WANT));
    for (size_t i = 0; i < ARRAY_SIZE(WANT); i++) {
        check_str(c->headers[i].name, WANT[i][0]);
        check_str(c->headers[i].value, WANT[i][1]);
    }
}

#define HEAD       "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
#define CLUSTER    "clusters: [{name: c, cluster: {server: 'https://h'}}]\n"
#define EXEC(REST) HEAD CLUSTER "users: [{name: u, user: {exec: {" REST "}}}]\n"

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } CASES[] = {
        {"clusters: []\n", "no current-context"},
        {"current-context: x\n", "no context \"x\""},
        {HEAD, "no cluster \"c\""},
        {HEAD CLUSTER, "no user \"u\""},
        {HEAD CLUSTER "users: [{name: u, user: {}}, {name: u, user: {}}]\n", "is twice in users"},
        {HEAD CLUSTER "users: {name: u}\n", "users must be a list"},
        {HEAD "clusters: [{name: c, cluster: {}}]\n", "must be an http or https URL"},
        {HEAD "clusters: [{name: c, cluster: {server: 'ftp://h'}}]\n", "must be an http"},
        {HEAD "clusters: [{name: c, cluster: {server: h, insecure-skip-tls-verify: true, "
              "certificate-authority-data: eA==}}]\n",
         "exclude one another"},
        {HEAD "clusters: [{name: c, cluster: {server: h, certificate-authority-data: '?'}}]\n",
         "certificate-authority-data is no base64"},
        {HEAD "clusters: [{name: c, cluster: {server: h, certificate-authority: gone.pem}}]\n",
         "gone.pem"},
        {HEAD "clusters: [{name: c, cluster: {server: [h]}}]\n", "server"},
        {HEAD CLUSTER "users: [{name: u, user: {username: a, password: b}}]\n",
         "username is not supported: use a client certificate, a token or an exec plug-in"},
        {HEAD CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n",
         "auth-provider is not supported: use the provider's exec plug-in"},
        {HEAD CLUSTER "users: [{name: u, user: {client-certificate-data: eA==}}]\n",
         "must be given together"},
        {HEAD CLUSTER "users: [{name: u, user: {as-groups: [a]}}]\n", "need \"as\""},
        {EXEC("command: x"), "apiVersion must be client.authentication.k8s.io/v1 or"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1alpha1, command: x"),
         "apiVersion must be"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1beta1"), "command is needed"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1, command: x"),
         "interactiveMode is needed"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: No"),
         "interactiveMode must be"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: [{value: v}]"),
         "no usable name"},
        {EXEC("apiVersion: client.authentication.k8s.io/v1beta1, command: x, args: y"),
         "args must be a list"},
        {"a: [", "line "},
        {"[]", "must be a map"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct kube_config *c = NULL;
        struct err e = ERR_INIT;
        f->o.path = temp_write(&f->dir, "config", CASES[i].text);
        assert_false(kube_config_load(&f->o, &c, &e));
        assert_null(c);
        if (strstr(e.msg, CASES[i].want) == NULL || strstr(e.msg, f->dir.path) == NULL)
            fail_msg("%s: %s", CASES[i].want, e.msg);
    }
}

static void missing_files_are_named(void **state)
{
    struct fixture *f = *state;
    struct kube_config *c = NULL;
    struct err e = ERR_INIT;
    f->o.path = temp_path(&f->dir, "absent");
    assert_false(kube_config_load(&f->o, &c, &e));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "absent"));
    err_clear(&e);
    f->o.path = NULL;
    set_env(f, "KUBECONFIG", temp_path(&f->dir, "absent"));
    assert_false(kube_config_load(&f->o, &c, &e));
    assert_non_null(strstr(e.msg, "none of the files in KUBECONFIG"));
}

static void plugins_learn_of_the_cluster(void **state)
{
    struct fixture *f = *state;
    f->o.path = temp_write(
        &f->dir, "config",
        HEAD "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: "
             "Q0E=, proxy-url: 'http://p', extensions: [{name: other, extension: 1}, {name: "
             "client.authentication.k8s.io/exec, extension: {a: [1, 'x', {b: null}, []], c: true, "
             "d: {}}}]}}]\n"
             "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, "
             "command: plug, interactiveMode: Never, provideClusterInfo: true, args: [a, '--b'], "
             "env: [{name: N, value: 'v=1'}]}}}]\n");
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = must_load(f);
    check_str(c->exec->cluster_json,
              "{\"server\":\"https://h\",\"certificate-authority-data\":\"Q0E=\",\"proxy-url\":"
              "\"http://p\",\"config\":{\"a\":[1,\"x\",{\"b\":null},[]],\"c\":true,\"d\":{}}}");
    assert_string_equal(c->exec->command, "plug");
    assert_string_equal(c->exec->args[1], "--b");
    assert_null(c->exec->args[2]);
    assert_string_equal(c->exec->env[0], "N=v=1");
    assert_null(c->exec->env[1]);
    assert_false(c->exec->may_use_terminal);
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(explicit_path_wins),
        TEST(context_can_be_chosen),
        TEST(files_are_merged),
        TEST(relative_paths_are_the_files),
        TEST(pods_configure_themselves),
        TEST(home_is_the_last_resort),
        TEST(impersonation_becomes_headers),
        TEST(what_is_wrong_is_said),
        TEST(missing_files_are_named),
        TEST(plugins_learn_of_the_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
