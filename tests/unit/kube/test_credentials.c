// SPDX-License-Identifier: Apache-2.0
/*
 * Tokens that rotate and plug-ins, run for real: a script that the test writes.
 */
#include "base/clock.h"
#include "base/thread.h"
#include "credentials_priv.h"
#include "crypto/crypto.h"
#include "kube/config.h"
#include "temp_dir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define V1     "client.authentication.k8s.io/v1"
#define ANSWER "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\","

static const char *const NOTHING[] = {NULL};

static struct kube_exec plugin(const char *command)
{
    return (struct kube_exec){
        .api_version = V1, .command = command, .args = NOTHING, .env = NOTHING};
}

static const char *write_script(struct temp_dir *d, const char *name, const char *text)
{
    const char *path = temp_write(d, name, text);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

/* The authorization that is given now; the caller frees nothing. */
static void check_authorization(struct kube_credentials *s, const char *want)
{
    struct kube_cred *c BERTH_CLEANUP(kube_cred_unrefp) = NULL;
    struct err e = ERR_INIT;
    if (!kube_credentials_get(s, &c, &e))
        fail_msg("%s", e.msg);
    struct str got = kube_cred_view(c).authorization;
    if (!str_eq_cstr(got, want))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void answers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *token, *cert; /* NULL: not there */
        int64_t expires_unix_ms;
        const char *error; /* NULL: fine */
    } CASES[] = {
        {ANSWER "\"status\":{\"token\":\"t\"}}", "t", NULL, 0, NULL},
        {ANSWER "\"status\":{\"token\":\"t\",\"expirationTimestamp\":\"2026-01-02T03:04:05Z\"}}",
         "t", NULL, 1767323045000, NULL},
        {ANSWER "\"status\":{\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}}", NULL, "C",
         0, NULL},
        {ANSWER "\"status\":{\"clientCertificateData\":\"C\"}}", NULL, NULL, 0, "come together"},
        {ANSWER "\"status\":{\"clientKeyData\":\"C\"}}", NULL, NULL, 0, "neither token nor"},
        {ANSWER "\"status\":{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}", NULL, NULL, 0,
         "no RFC 3339"},
        {ANSWER "\"status\":{}}", NULL, NULL, 0, "neither token nor"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}",
         NULL, NULL, 0, "apiVersion is not the one"},
        {"{\"kind\":\"Secret\"}", NULL, NULL, 0, "kind is not"},
        {"token=sesame", NULL, NULL, 0, "no JSON"},
    };
    struct kube_exec x = plugin("plug");
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct exec_credential got = {0};
        struct err e = ERR_INIT;
        bool is_fine = kube_exec_read_answer(&x, str_from(CASES[i].text), &got, &e);
        assert_int_equal(is_fine, CASES[i].error == NULL);
        if (CASES[i].error) {
            assert_int_equal(e.cls, ERR_CREDENTIALS);
            assert_non_null(strstr(e.msg, CASES[i].error));
            assert_null(strstr(e.msg, "sesame"));
        }
        assert_int_equal(got.token != NULL, CASES[i].token != NULL);
        if (CASES[i].token)
            assert_string_equal(secret_reveal(got.token).ptr, CASES[i].token);
        if (CASES[i].cert)
            assert_string_equal(got.client_cert_pem, CASES[i].cert);
        if (is_fine)
            assert_int_equal(got.expires_unix_ms, CASES[i].expires_unix_ms);
        kube_exec_credential_fini(&got);
    }
}

/* Arguments and environment arrive as they are, without a shell; ours is inherited but for what
 * is set anew. */
static void plugin_is_told(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    static const char *const ARGS[] = {"a b", "$HOME;'", NULL};
    static const char *const ENV[] = {"BERTH_TEST_SET=new", NULL};
    struct kube_exec x = plugin(write_script(
        &d, "plug",
        "#!/bin/sh\n"
        "cat >/dev/null\n" /* stdin is at its end */
        "case \"$KUBERNETES_EXEC_INFO\" in\n"
        "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":{\"interactive\":false,"
        "\"cluster\":{\"server\":\"s\"}}}') info=ok;;\n"
        "*) info=bad;;\n"
        "esac\n"
        "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"status\":{\"token\":"
        "\"%s|%s|%s|%s|%s|%s\"}}' \"$#\" \"$1\" \"$2\" \"$BERTH_TEST_SET\" \"$BERTH_TEST_KEPT\" "
        "$info\n"));
    x.args = ARGS;
    x.env = ENV;
    x.cluster_json = STR("{\"server\":\"s\"}");
    assert_int_equal(setenv("BERTH_TEST_SET", "old", 1), 0);
    assert_int_equal(setenv("BERTH_TEST_KEPT", "kept", 1), 0);
    struct exec_credential got = {0};
    struct err e = ERR_INIT;
    if (!kube_exec_run(&x, &got, &e))
        fail_msg("%s", e.msg);
    assert_string_equal(secret_reveal(got.token).ptr, "2|a b|$HOME;'|new|kept|ok");
    kube_exec_credential_fini(&got);
    temp_dir_fini(&d);
}

static void failing_plugins_are_explained(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    static const struct {
        const char *script; /* NULL: there is none */
        const char *want;
    } CASES[] = {
        {"#!/bin/sh\necho not logged in >&2; echo sesame; exit 3\n",
         "ended with exit code 3: not logged in; hint: install it"},
        {"#!/bin/sh\nkill -9 $$\n", "killed by signal 9"},
        {"#!/bin/sh\necho hello\n", "no JSON"},
        {"#!/bin/sh\nhead -c 2000000 /dev/zero\n", "too much on stdout"},
        {NULL, "start credential plug-in"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        const char *path =
            CASES[i].script ? write_script(&d, "plug", CASES[i].script) : temp_path(&d, "absent");
        struct kube_exec x = plugin(path);
        struct exec_credential got = {0};
        struct err e = ERR_INIT;
        x.install_hint = "install it";
        assert_false(kube_exec_run(&x, &got, &e));
        assert_int_equal(e.cls, ERR_CREDENTIALS);
        assert_null(got.token);
        if (strstr(e.msg, CASES[i].want) == NULL || strstr(e.msg, "sesame") != NULL)
            fail_msg("%s: %s", CASES[i].want, e.msg);
    }
    struct kube_exec x = plugin("/bin/true");
    struct exec_credential got = {0};
    struct err e = ERR_INIT;
    x.wants_terminal = x.may_use_terminal = true;
    if (!isatty(STDIN_FILENO)) {
        assert_false(kube_exec_run(&x, &got, &e));
        assert_non_null(strstr(e.msg, "needs a terminal"));
    }
    temp_dir_fini(&d);
}

/* Also what the plug-in started is ended, or the pipe that it holds would never be at its end. */
static void slow_plugins_are_killed(void **state)
{
    (void)state;
    int fds[2];
    char command[64], byte;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    int held = dup(fds[1]); /* inherited, unlike fds[1] */
    assert_int_equal(close(fds[1]), 0);
    snprintf(command, sizeof(command), "sleep 1000 & wait");
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
    struct buf diag BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
    struct exec_process p = {.argv = argv, .env = NOTHING, .timeout_ms = 300};
    struct err e = ERR_INIT;
    assert_false(kube_exec_process_run(&p, &out, &diag, &e));
    assert_string_equal(e.reason, "PluginTimeout");
    assert_int_equal(close(held), 0);
    assert_int_equal(read(fds[0], &byte, 1), 0); /* nobody holds the other end any more */
    assert_int_equal(close(fds[0]), 0);
}

static void token_files_are_read_again(void **state)
{
    (void)state;
    struct temp_dir d;
    struct clock_fake clock;
    temp_dir_init(&d);
    clock_fake_init(&clock, 1000000);
    struct kube_config cfg = {.token_file = str_from(temp_write(&d, "token", "one\n"))};
    struct kube_credentials *s = kube_credentials_new(&cfg, &clock.clock);
    check_authorization(s, "Bearer one");
    /* another file under the name, as kubelet's rotation makes it: seen at once */
    temp_write(&d, "token", "two");
    check_authorization(s, "Bearer two");
    /* unreadable or empty: the one before serves on */
    assert_int_equal(unlink(cfg.token_file.ptr), 0);
    clock_fake_advance(&clock, CREDENTIALS_FILE_TTL_MS);
    check_authorization(s, "Bearer two");
    temp_write(&d, "token", "  \n");
    check_authorization(s, "Bearer two");
    temp_write(&d, "token", "with space");
    check_authorization(s, "Bearer two");
    temp_write(&d, "token", "three");
    check_authorization(s, "Bearer three");
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

/* A change that stat() does not show is seen after a minute, or when the server refuses. */
static void hidden_changes_are_seen_in_time(void **state)
{
    (void)state;
    struct temp_dir d;
    struct clock_fake clock;
    temp_dir_init(&d);
    clock_fake_init(&clock, 1000000);
    const char *path = temp_write(&d, "token", "one");
    struct kube_config cfg = {.token_file = str_from(path)};
    struct kube_credentials *s = kube_credentials_new(&cfg, &clock.clock);
    check_authorization(s, "Bearer one");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    static const char *const TOKENS[] = {"two", "six"};
    for (size_t i = 0; i < ARRAY_SIZE(TOKENS); i++) {
        FILE *file = fopen(path, "r+"); /* the same file, of the same size */
        assert_non_null(file);
        assert_int_equal(fwrite(TOKENS[i], 1, 3, file), 3);
        assert_int_equal(fclose(file), 0);
        struct timespec times[2] = {st.st_atim, st.st_mtim};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        if (i == 0) {
            clock_fake_advance(&clock, CREDENTIALS_FILE_TTL_MS - 1);
            check_authorization(s, "Bearer one");
            clock_fake_advance(&clock, 1);
            check_authorization(s, "Bearer two");
            continue;
        }
        struct kube_cred *used = NULL;
        struct err e = ERR_INIT;
        assert_true(kube_credentials_get(s, &used, &e));
        assert_true(kube_credentials_refused(s, used));
        check_authorization(s, "Bearer six");
        assert_true(kube_credentials_refused(s, used)); /* another one is there already */
        check_authorization(s, "Bearer six");
        kube_cred_unref(used);
    }
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

static void static_tokens_cannot_be_refreshed(void **state)
{
    (void)state;
    struct kube_config cfg = {.token = secret_new(STR("fixed"))};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    struct kube_cred *used = NULL;
    struct err e = ERR_INIT;
    assert_true(kube_credentials_get(s, &used, &e));
    assert_false(kube_credentials_refused(s, used));
    check_authorization(s, "Bearer fixed");
    kube_cred_unref(used);
    kube_credentials_free(s);
    secret_free(cfg.token);
}

static void no_token_is_an_error(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    struct kube_config cfg = {.token_file = str_from(temp_path(&d, "token"))};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    struct kube_cred *c = NULL;
    struct err e = ERR_INIT;
    assert_false(kube_credentials_get(s, &c, &e));
    assert_int_equal(e.cls, ERR_CREDENTIALS);
    assert_non_null(strstr(e.msg, cfg.token_file.ptr));
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

/* The script counts its runs in a file. */
static void plugins_are_asked_when_due(void **state)
{
    (void)state;
    struct temp_dir d;
    struct clock_fake clock;
    temp_dir_init(&d);
    clock_fake_init(&clock, 1767323000000); /* 45 s before what the plug-in says */
    const char *counter = temp_write(&d, "count", "");
    const char *args[] = {counter, NULL};
    struct kube_exec x = plugin(
        write_script(&d, "plug",
                     "#!/bin/sh\n"
                     "echo x >>\"$1\"\n"
                     "n=$(wc -l <\"$1\")\n"
                     "echo '" ANSWER "\"status\":{\"token\":\"t'$((n))'\",\"expirationTimestamp\":"
                     "\"2026-01-02T03:04:05Z\"}}'\n"));
    x.args = args;
    struct kube_config cfg = {.exec = &x};
    struct kube_credentials *s = kube_credentials_new(&cfg, &clock.clock);
    check_authorization(s, "Bearer t1");
    clock_fake_advance(&clock, 44999);
    check_authorization(s, "Bearer t1");
    clock_fake_advance(&clock, 1);
    check_authorization(s, "Bearer t2");
    clock_fake_init(&clock, 1767323000000);
    struct kube_cred *used = NULL;
    struct err e = ERR_INIT;
    assert_true(kube_credentials_get(s, &used, &e));
    assert_true(kube_credentials_refused(s, used));
    check_authorization(s, "Bearer t3");
    kube_cred_unref(used);
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

static void get_once(void *arg)
{
    struct kube_cred *c = NULL;
    struct err e = ERR_INIT;
    if (kube_credentials_get(arg, &c, &e))
        kube_cred_unref(c);
}

/* Threads that come while a plug-in runs, or fails, take its result. */
static void one_thread_asks_for_all(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    const char *counter = temp_write(&d, "count", "");
    const char *args[] = {counter, temp_path(&d, "gate"), NULL};
    assert_int_equal(mkfifo(args[1], 0600), 0);
    struct kube_exec x =
        plugin(write_script(&d, "plug",
                            "#!/bin/sh\n"
                            "echo x >>\"$1\"\n"
                            "cat \"$2\" >/dev/null\n" /* until the test lets it go on */
                            "echo '" ANSWER "\"status\":{\"token\":\"t\"}}'\n"));
    x.args = args;
    struct kube_config cfg = {.exec = &x};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    struct thread threads[4] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_start(&threads[i], "get", get_once, s);
    int gate = open(args[1], O_WRONLY | O_CLOEXEC); /* blocks until the plug-in reads */
    assert_true(gate >= 0);
    assert_int_equal(close(gate), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(&threads[i]);
    struct buf runs BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
    struct err e = ERR_INIT;
    assert_true(file_read(counter, &runs, &e));
    assert_string_equal(buf_cstr(&runs), "x\n");
    check_authorization(s, "Bearer t");
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

static void tls_generation_follows_the_ca(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    struct kube_config cfg = {.ca_file = str_from(temp_write(&d, "ca", "one")),
                              .ca_pem = STR("one")};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    struct kube_cred *before = NULL, *same = NULL, *after = NULL;
    struct err e = ERR_INIT;
    assert_true(kube_credentials_get(s, &before, &e));
    temp_write(&d, "ca", "one"); /* another file with the same content */
    assert_true(kube_credentials_get(s, &same, &e));
    assert_int_equal(kube_cred_view(before).tls_generation, kube_cred_view(same).tls_generation);
    temp_write(&d, "ca", "two");
    assert_true(kube_credentials_get(s, &after, &e));
    assert_string_equal(kube_cred_view(after).ca_pem.ptr, "two");
    assert_true(kube_cred_view(after).tls_generation > kube_cred_view(same).tls_generation);
    assert_true(str_is_null(kube_cred_view(after).authorization));
    kube_cred_unref(before);
    kube_cred_unref(same);
    kube_cred_unref(after);
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

/* Certificate and key on disk are read again; one that cannot be read leaves what there is. */
static void client_certificates_are_read_again(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    struct kube_config cfg = {.client_cert_file = str_from(temp_write(&d, "cert", "cert 1")),
                              .client_key_file = str_from(temp_write(&d, "key", "key 1")),
                              .client_cert_pem = STR("cert 1"),
                              .client_key_pem = secret_new(STR("key 1"))};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    static const struct {
        const char *name, *content, *want_cert, *want_key; /* content NULL: removed */
        bool is_same;
    } STEPS[] = {
        {"cert", "cert 1", "cert 1", "key 1", true},
        {"cert", "cert 22", "cert 22", "key 1", false},
        {"key", "key 22", "cert 22", "key 22", false},
        {"key", NULL, "cert 22", "key 22", true},
        {"cert", "", "cert 22", "key 22", true},
    };
    uint64_t generation = 1;
    for (size_t i = 0; i < ARRAY_SIZE(STEPS); i++) {
        struct kube_cred *c BERTH_CLEANUP(kube_cred_unrefp) = NULL;
        struct err e = ERR_INIT;
        if (STEPS[i].content)
            temp_write(&d, STEPS[i].name, STEPS[i].content);
        else
            assert_int_equal(unlink(temp_path(&d, STEPS[i].name)), 0);
        assert_true(kube_credentials_get(s, &c, &e));
        struct kube_cred_view now = kube_cred_view(c);
        assert_true(str_eq_cstr(now.client_cert_pem, STEPS[i].want_cert));
        assert_true(str_eq_cstr(now.client_key_pem, STEPS[i].want_key));
        assert_int_equal(now.tls_generation == generation, STEPS[i].is_same);
        generation = now.tls_generation;
    }
    kube_credentials_free(s);
    secret_free(cfg.client_key_pem);
    temp_dir_fini(&d);
}

/* A CA that changes is no reason to run the plug-in again. */
static void plugins_are_not_asked_for_a_file(void **state)
{
    (void)state;
    struct temp_dir d;
    temp_dir_init(&d);
    const char *args[] = {temp_write(&d, "count", ""), NULL};
    struct kube_exec x =
        plugin(write_script(&d, "plug",
                            "#!/bin/sh\n"
                            "echo x >>\"$1\"\n"
                            "echo '" ANSWER "\"status\":{\"token\":\"t'$(wc -l <\"$1\")'\","
                            "\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}}'\n"));
    x.args = args;
    struct kube_config cfg = {
        .exec = &x, .ca_file = str_from(temp_write(&d, "ca", "one")), .ca_pem = STR("one")};
    struct kube_credentials *s = kube_credentials_new(&cfg, clock_system());
    check_authorization(s, "Bearer t1");
    temp_write(&d, "ca", "three");
    check_authorization(s, "Bearer t1");
    struct kube_cred *c = NULL;
    struct err e = ERR_INIT;
    assert_true(kube_credentials_get(s, &c, &e));
    assert_string_equal(kube_cred_view(c).ca_pem.ptr, "three");
    assert_true(str_eq_cstr(kube_cred_view(c).client_cert_pem, "C"));
    assert_true(str_eq_cstr(kube_cred_view(c).client_key_pem, "K"));
    assert_true(kube_credentials_refused(s, c));
    check_authorization(s, "Bearer t2");
    kube_cred_unref(c);
    kube_credentials_free(s);
    temp_dir_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(plugin_is_told),
        cmocka_unit_test(failing_plugins_are_explained),
        cmocka_unit_test(slow_plugins_are_killed),
        cmocka_unit_test(token_files_are_read_again),
        cmocka_unit_test(hidden_changes_are_seen_in_time),
        cmocka_unit_test(static_tokens_cannot_be_refreshed),
        cmocka_unit_test(no_token_is_an_error),
        cmocka_unit_test(plugins_are_asked_when_due),
        cmocka_unit_test(one_thread_asks_for_all),
        cmocka_unit_test(tls_generation_follows_the_ca),
        cmocka_unit_test(client_certificates_are_read_again),
        cmocka_unit_test(plugins_are_not_asked_for_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
