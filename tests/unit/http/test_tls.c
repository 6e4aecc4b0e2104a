// SPDX-License-Identifier: Apache-2.0
/*
 * TLS, against `openssl s_server` on a port that the kernel chooses, with certificates that the
 * openssl command makes for this run: whom the client trusts, under which name, with which client
 * certificate, and what it says where it does not.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "base/file.h"
#include "http_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static char dir[] = "/tmp/berth-tls-XXXXXX";
static char home[4096];
/* The server of a test that failed in the middle is stopped by teardown(). */
static pid_t running;

/* Starts openssl in dir. */
static pid_t start_openssl(char *const argv[], int in_fd, int out_fd)
{
    pid_t pid = -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in_fd, 0);
    posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    TEST_MUST(posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

enum { ARGS_MAX = 40 };

/* A command line by blanks. */
static void split_args(char *line, char *argv[ARGS_MAX])
{
    int n = 0;
    char *rest = NULL;
    for (char *arg = strtok_r(line, " ", &rest); arg != NULL; arg = strtok_r(NULL, " ", &rest)) {
        TEST_MUST(n + 1 < ARGS_MAX);
        argv[n++] = arg;
    }
    argv[n] = NULL;
}

static void openssl(const char *command)
{
    char line[1024];
    char *argv[ARGS_MAX];
    int status = -1;
    snprintf(line, sizeof(line), "openssl %s", command);
    split_args(line, argv);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = start_openssl(argv, null_fd, null_fd);
    TEST_MUST(waitpid(pid, &status, 0) == pid);
    close(null_fd);
    if (status != 0)
        fail_msg("openssl %s", command);
}

static void make_ca(const char *name)
{
    char line[512];
    snprintf(line, sizeof(line),
             "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s "
             "-keyout %s.key -out %s.pem",
             name, name, name);
    openssl(line);
}

static void make_leaf(const char *ca, const char *name, const char *san)
{
    char line[512], extensions[64], text[128];
    struct err e = ERR_INIT;
    snprintf(extensions, sizeof(extensions), "%s.ext", name);
    snprintf(text, sizeof(text), "subjectAltName=%s\n", san);
    TEST_MUST(file_write(extensions, str_from(text), &e));
    snprintf(line, sizeof(line),
             "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s -keyout %s.key "
             "-out %s.csr",
             name, name, name);
    openssl(line);
    snprintf(line, sizeof(line),
             "x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days 2 -extfile %s "
             "-out %s.pem",
             name, ca, ca, extensions, name);
    openssl(line);
}

static int setup(void **state)
{
    (void)state;
    TEST_MUST(getcwd(home, sizeof(home)) != NULL);
    TEST_MUST(mkdtemp(dir) != NULL);
    TEST_MUST(chdir(dir) == 0);
    make_ca("ca");
    make_ca("stranger");
    make_leaf("ca", "server", "IP:127.0.0.1,DNS:api.berth.invalid");
    make_leaf("ca", "named", "DNS:only-this.berth.invalid");
    make_leaf("ca", "client", "DNS:client");
    make_leaf("stranger", "foreign", "DNS:client");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (running > 0) {
        kill(running, SIGTERM);
        waitpid(running, NULL, 0);
    }
    DIR *d = opendir(".");
    TEST_MUST(d != NULL);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.')
            unlink(entry->d_name);
    closedir(d);
    TEST_MUST(chdir(home) == 0);
    return rmdir(dir);
}

struct tls_server {
    pid_t pid;
    int in; /* while it is open a server that prints goes on */
    FILE *out;
    int port;
};

/* With -www it answers each GET with a page about the connection; without, it prints what it is
 * sent. */
static void tls_start(struct tls_server *t, const char *options)
{
    char line[512];
    char *argv[ARGS_MAX];
    int in[2], out[2];
    snprintf(line, sizeof(line), "openssl s_server -accept 127.0.0.1:0 %s", options);
    split_args(line, argv);
    TEST_MUST(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    t->pid = running = start_openssl(argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    t->in = in[1];
    t->out = fdopen(out[0], "r");
    t->port = 0;
    while (t->port == 0 && fgets(line, sizeof(line), t->out) != NULL)
        if (sscanf(line, "ACCEPT 127.0.0.1:%d", &t->port) != 1)
            t->port = 0;
    if (t->port == 0)
        fail_msg("openssl s_server %s did not start", options);
}

static void tls_stop(struct tls_server *t)
{
    int status = 0;
    kill(t->pid, SIGTERM);
    waitpid(t->pid, &status, 0);
    running = 0;
    fclose(t->out);
    close(t->in);
}

static struct str pem(struct arena *a, const char *name)
{
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(64 * 1024);
    struct err e = ERR_INIT;
    if (name == NULL)
        return STR_NULL;
    if (!file_read(name, &b, &e))
        fail_msg("%s", e.msg);
    return arena_copy(a, buf_str(&b));
}

#define SERVER "-www -cert server.pem -key server.key"
#define NAMED  "-cert named.pem -key named.key"
#define MUTUAL SERVER " -CAfile ca.pem -Verify 1 -verify_return_error"

static const struct {
    const char *name;
    const char *server;
    const char *ca, *cert, *key; /* files */
    const char *server_name;
    bool is_insecure;
    enum err_class cls; /* ERR_NONE: works */
    const char *reason;
    const char *words;
} cases[] = {
    {"right CA", SERVER, "ca.pem", NULL, NULL, NULL, false, ERR_NONE, "", ""},
    {"wrong CA", SERVER, "stranger.pem", NULL, NULL, NULL, false, ERR_RETRY, "TLSFailed",
     "certificate"},
    {"the system's CAs", SERVER, NULL, NULL, NULL, NULL, false, ERR_RETRY, "TLSFailed",
     "certificate"},
    {"unverified", SERVER, NULL, NULL, NULL, NULL, true, ERR_NONE, "", ""},
    {"wrong name", "-www " NAMED, "ca.pem", NULL, NULL, NULL, false, ERR_RETRY, "TLSFailed",
     "127.0.0.1"},
    {"given name", "-www " NAMED, "ca.pem", NULL, NULL, "only-this.berth.invalid", false, ERR_NONE,
     "", ""},
    {"wrong given name", SERVER, "ca.pem", NULL, NULL, "other.berth.invalid", false, ERR_RETRY,
     "TLSFailed", "other.berth.invalid"},
    {"client certificate", MUTUAL, "ca.pem", "client.pem", "client.key", NULL, false, ERR_NONE, "",
     ""},
    {"client certificate, TLS 1.2", MUTUAL " -tls1_2", "ca.pem", "client.pem", "client.key", NULL,
     false, ERR_NONE, "", ""},
    {"no client certificate", MUTUAL, "ca.pem", NULL, NULL, NULL, false, ERR_RETRY, "TLSFailed",
     "alert"},
    {"no client certificate, TLS 1.2", MUTUAL " -tls1_2", "ca.pem", NULL, NULL, NULL, false,
     ERR_RETRY, "TLSFailed", "alert"},
    {"client certificate of a stranger", MUTUAL, "ca.pem", "foreign.pem", "foreign.key", NULL,
     false, ERR_RETRY, "TLSFailed", "alert"},
    {"key of another certificate", MUTUAL, "ca.pem", "client.pem", "foreign.key", NULL, false,
     ERR_INVALID, "BadCertificate", "the client certificate or its key cannot be used"},
    {"TLS 1.1", SERVER " -tls1_1 -cipher DEFAULT:@SECLEVEL=0", "ca.pem", NULL, NULL, NULL, false,
     ERR_RETRY, "TLSFailed", ""},
};

static void test_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct tls_server t;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_client *c BERTH_CLEANUP(http_client_freep) = client_with((struct http_options){
            .ca_pem = pem(&a, cases[i].ca),
            .client_cert_pem = pem(&a, cases[i].cert),
            .client_key_pem = pem(&a, cases[i].key),
            .tls_server_name = cases[i].server_name,
            .is_insecure = cases[i].is_insecure,
        });
        tls_start(&t, cases[i].server);
        struct http_request rq = get_of(arena_printf(&a, "https://127.0.0.1:%d/x?y", t.port));
        bool is_ok = http_send(c, &rq, &a, &r, &e);
        tls_stop(&t);
        if (is_ok != (cases[i].cls == ERR_NONE) || e.cls != cases[i].cls ||
            strcmp(e.reason, cases[i].reason) != 0 || strstr(e.msg, cases[i].words) == NULL)
            fail_msg("%s: %s %s: %s", cases[i].name, err_class_name(e.cls), e.reason, e.msg);
        if (is_ok)
            assert_int_equal(r.status, 200);
        else
            assert_int_equal(strncmp(e.msg, "GET 127.0.0.1:", 14), 0);
    }
}

/* Well-formed PEM of bytes that are no certificate. */
static void test_what_only_openssl_can_see(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct http_client *c = NULL;
    struct http_options o = {
        .ca_pem = STR("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n")};
    assert_false(http_client_new(&o, &c, &e));
    assert_null(c);
    assert_int_equal(e.cls, ERR_INVALID);
    assert_string_equal(e.reason, "BadCertificate");
    assert_non_null(strstr(e.msg, "the configured CA certificates cannot be read"));
}

/* The request still goes to the URL's host: the name is for the certificate alone. The server
 * prints the request and never answers. */
static void test_given_name_is_not_the_host(void **state)
{
    (void)state;
    struct tls_server t;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    struct http_client *c BERTH_CLEANUP(http_client_freep) = client_with((struct http_options){
        .ca_pem = pem(&a, "ca.pem"), .tls_server_name = "only-this.berth.invalid"});
    tls_start(&t, NAMED);
    struct http_request rq = get_of(arena_printf(&a, "https://127.0.0.1:%d/x?y", t.port));
    rq.timeout_ms = 2 * SHORT_TIMEOUT_MS;
    assert_false(http_send(c, &rq, &a, &r, &e));
    assert_string_equal(e.reason, "Timeout");
    char line[4096], want[64];
    do /* what it says about the connection */
        assert_non_null(fgets(line, sizeof(line), t.out));
    while (strncmp(line, "GET ", 4) != 0);
    assert_string_equal(line, "GET /x?y HTTP/1.1\r\n");
    assert_non_null(fgets(line, sizeof(line), t.out));
    snprintf(want, sizeof(want), "Host: 127.0.0.1:%d\r\n", t.port);
    assert_string_equal(line, want);
    tls_stop(&t);
}

/* And it leaves plain requests alone. */
static void record_host(struct test_server *s, struct test_conn *c)
{
    test_header(c, "Host", s->arg, 64);
    test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void test_given_name_is_for_tls_only(void **state)
{
    (void)state;
    struct test_server s;
    char host[64], want[64];
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    test_server_start(&s, record_host, host);
    struct http_client *c BERTH_CLEANUP(http_client_freep) =
        client_with((struct http_options){.tls_server_name = "other.berth.invalid"});
    struct http_request rq = get_of(url_of(&s, &a, "/"));
    assert_true(http_send(c, &rq, &a, &r, &e));
    snprintf(want, sizeof(want), "127.0.0.1:%d", s.port);
    assert_string_equal(host, want);
    test_server_stop(&s);
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_what_only_openssl_can_see),
        cmocka_unit_test(test_given_name_is_not_the_host),
        cmocka_unit_test(test_given_name_is_for_tls_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
