// SPDX-License-Identifier: Apache-2.0
/*
 * What http_send() puts on the wire: request line, headers and body as given, and nothing that
 * nobody asked for.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "http_test.h"

/* The request as it arrived. */
struct seen {
    char text[8192];
    size_t head_len;
    char value[256];
    int count;
    const char *name; /* of the header to read into value */
};

static void record(struct test_server *s, struct test_conn *c)
{
    struct seen *seen = s->arg;
    snprintf(seen->text, sizeof(seen->text), "%s", c->in);
    seen->head_len = c->head_len;
    if (seen->name != NULL)
        seen->count = test_header(c, seen->name, seen->value, sizeof(seen->value));
    test_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n");
}

static void send_it(struct http_client *c, struct test_server *s, struct http_request rq,
                    const char *path)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    rq.url = url_of(s, &a, path);
    rq.timeout_ms = SAFE_TIMEOUT_MS;
    if (!http_send(c, &rq, &a, &r, &e))
        fail_msg("%s", e.msg);
}

static const struct {
    const char *name;
    const char *method;
    struct str body;
    struct http_header header;
    const char *want; /* after the request line and Host, in this order */
    const char *want_body;
} requests[] = {
    {"GET", "GET", {0}, {{0}, {0}}, "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n", ""},
    {"DELETE", "DELETE", {0}, {{0}, {0}}, "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n", ""},
    {"HEAD", "HEAD", {0}, {{0}, {0}}, "Accept: */*\r\nAccept-Encoding: identity\r\n\r\n", ""},
    {"POST without body",
     "POST",
     {0},
     {{0}, {0}},
     "Accept: */*\r\nAccept-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
     ""},
    {"PATCH",
     "PATCH",
     {STR_INIT("{}")},
     {{STR_INIT("Content-Type")}, {STR_INIT("application/merge-patch+json")}},
     "Accept: */*\r\nContent-Type: application/merge-patch+json\r\n"
     "Accept-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
     "{}"},
    {"a body names no type by itself",
     "POST",
     {STR_INIT("x")},
     {{0}, {0}},
     "Accept: */*\r\nAccept-Encoding: identity\r\nContent-Length: 1\r\n\r\n",
     "x"},
    {"DELETE with body",
     "DELETE",
     {STR_INIT("{}")},
     {{0}, {0}},
     "Accept: */*\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
     "{}"},
    {"empty body",
     "PUT",
     {STR_INIT("")},
     {{0}, {0}},
     "Accept: */*\r\nAccept-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
     ""},
    {"Accept is the caller's",
     "GET",
     {0},
     {{STR_INIT("Accept")}, {STR_INIT("application/json")}},
     "Accept: application/json\r\nAccept-Encoding: identity\r\n\r\n",
     ""},
    {"Accept-Encoding is the caller's",
     "GET",
     {0},
     {{STR_INIT("accept-encoding")}, {STR_INIT("gzip")}},
     "Accept: */*\r\naccept-encoding: gzip\r\n\r\n",
     ""},
    {"empty header",
     "GET",
     {0},
     {{STR_INIT("X-Empty")}, {STR_INIT("")}},
     "Accept: */*\r\nX-Empty:\r\nAccept-Encoding: identity\r\n\r\n",
     ""},
    {"value is trimmed",
     "GET",
     {0},
     {{STR_INIT("X-A")}, {STR_INIT(" b ")}},
     "Accept: */*\r\nX-A: b\r\nAccept-Encoding: identity\r\n\r\n",
     ""},
};

static void test_what_is_sent(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen;
    test_server_start(&s, record, &seen);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        struct http_request rq = {.method = requests[i].method,
                                  .body = requests[i].body,
                                  .headers = &requests[i].header,
                                  .header_count = requests[i].header.name.ptr != NULL};
        send_it(c, &s, rq, "/a");
        char want[1024];
        snprintf(want, sizeof(want), "%s /a HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s",
                 requests[i].method, s.port, requests[i].want, requests[i].want_body);
        if (strcmp(seen.text, want) != 0)
            fail_msg("%s: sent %s", requests[i].name, seen.text);
    }
    test_server_stop(&s);
}

static const char *const paths[] = {
    "/",
    "/?a=b&c=%20",
    "/a/../b/./c",
    "//double//slash",
    "/%2e%2E/x%2fy",
    "/a%20b+c~_-.",
    "/a;b=c",
    "/a?x=http://y/../z",
    "/[x]|^",
};

static void test_path_is_sent_as_it_is(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen;
    test_server_start(&s, record, &seen);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        send_it(c, &s, (struct http_request){.method = "GET"}, paths[i]);
        char want[256];
        snprintf(want, sizeof(want), "GET %s HTTP/1.1\r\n", paths[i]);
        if (strncmp(seen.text, want, strlen(want)) != 0)
            fail_msg("%s: sent %s", paths[i], seen.text);
    }
    test_server_stop(&s);
}

static void test_large_body_without_expect(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen = {.name = "Expect"};
    static char body[100 * 1024];
    memset(body, 'b', sizeof(body));
    test_server_start(&s, record, &seen);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    send_it(c, &s, (struct http_request){.method = "POST", .body = str_n(body, sizeof(body))}, "/");
    assert_int_equal(seen.count, 0);
    test_server_stop(&s);
}

static void test_no_cookies_and_user_agent(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen;
    test_server_start(&s, record, &seen);
    struct http_client *c BERTH_CLEANUP(http_client_freep) =
        client_with((struct http_options){.user_agent = "berth/1 (test)"});
    seen.name = "User-Agent";
    send_it(c, &s, (struct http_request){.method = "GET"}, "/");
    assert_string_equal(seen.value, "berth/1 (test)");
    seen.name = "Cookie"; /* the first answer set one */
    send_it(c, &s, (struct http_request){.method = "GET"}, "/");
    assert_int_equal(seen.count, 0);
    test_server_stop(&s);
}

static void test_proxy(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct err e = ERR_INIT;
    struct http_response r;
    test_server_start(&s, record, &seen);
    struct str proxy = url_of(&s, &a, "");
    struct http_request rq = get_of(STR("http://berth.invalid/x"));
    setenv("NO_PROXY", "berth.invalid", 1);
    /* given: whatever NO_PROXY says */
    struct http_client *given BERTH_CLEANUP(http_client_freep) =
        client_with((struct http_options){.proxy_url = proxy.ptr});
    assert_true(http_send(given, &rq, &a, &r, &e));
    assert_int_equal(strncmp(seen.text, "GET http://berth.invalid/x HTTP/1.1\r\n", 37), 0);
    /* by the environment */
    unsetenv("NO_PROXY");
    setenv("http_proxy", proxy.ptr, 1);
    struct http_options o = {0};
    struct http_client *env = NULL;
    assert_true(http_client_new(&o, &env, &e));
    assert_true(http_send(env, &rq, &a, &r, &e));
    http_client_free(env);
    assert_int_equal(s.requests, 2);
    /* none, whatever the environment says */
    struct http_client *none BERTH_CLEANUP(http_client_freep) = plain_client();
    struct http_request direct = get_of(url_of(&s, &a, "/direct"));
    assert_true(http_send(none, &direct, &a, &r, &e));
    assert_int_equal(strncmp(seen.text, "GET /direct HTTP/1.1\r\n", 22), 0);
    unsetenv("http_proxy");
    test_server_stop(&s);
}

static const struct {
    const char *name;
    const char *method;
    struct str url; /* absent: the server's */
    struct http_header header;
} refused[] = {
    {"no method", NULL, {0}, {{0}, {0}}},
    {"lower case", "get", {0}, {{0}, {0}}},
    {"a method with a line break", "GET / HTTP/1.1\r\nX:", {0}, {{0}, {0}}},
    {"no scheme", "GET", {STR_INIT("127.0.0.1/")}, {{0}, {0}}},
    {"another scheme", "GET", {STR_INIT("file:///etc/passwd")}, {{0}, {0}}},
    {"user name", "GET", {STR_INIT("http://user:pass@127.0.0.1/")}, {{0}, {0}}},
    {"line break in the URL", "GET", {STR_INIT("http://127.0.0.1/\r\nX: y")}, {{0}, {0}}},
    {"blank in the URL", "GET", {STR_INIT("http://127.0.0.1/a b")}, {{0}, {0}}},
    {"NUL in the URL", "GET", {STR_INIT("http://127.0.0.1/\0x")}, {{0}, {0}}},
    {"header name with a blank", "GET", {0}, {{STR_INIT("X Y")}, {STR_INIT("z")}}},
    {"no header name", "GET", {0}, {{STR_INIT("")}, {STR_INIT("z")}}},
    {"header name with a colon", "GET", {0}, {{STR_INIT("X:")}, {STR_INIT("z")}}},
    {"line break in a value", "GET", {0}, {{STR_INIT("X")}, {STR_INIT("y\r\nZ: s3cret")}}},
    {"NUL in a value", "GET", {0}, {{STR_INIT("X")}, {STR_INIT("y\0s3cret")}}},
    {"length", "GET", {0}, {{STR_INIT("content-length")}, {STR_INIT("1")}}},
    {"encoding", "GET", {0}, {{STR_INIT("Transfer-Encoding")}, {STR_INIT("chunked")}}},
};

static void test_refuses_before_sending(void **state)
{
    (void)state;
    struct test_server s;
    static struct seen seen;
    test_server_start(&s, record, &seen);
    struct http_client *c BERTH_CLEANUP(http_client_freep) = plain_client();
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct err e = ERR_INIT;
        struct http_response r;
        struct http_request rq = {
            .method = refused[i].method,
            .url = str_is_null(refused[i].url) ? url_of(&s, &a, "/") : refused[i].url,
            .headers = &refused[i].header,
            .header_count = refused[i].header.name.ptr != NULL,
        };
        if (http_send(c, &rq, &a, &r, &e))
            fail_msg("sent: %s", refused[i].name);
        assert_int_equal(e.cls, ERR_INVALID);
        assert_string_equal(e.reason, "BadRequest");
        assert_null(strstr(e.msg, "s3cret"));
        assert_null(strstr(e.msg, "pass"));
    }
    assert_int_equal(s.connections, 0);
    test_server_stop(&s);
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_path_is_sent_as_it_is),
        cmocka_unit_test(test_large_body_without_expect),
        cmocka_unit_test(test_no_cookies_and_user_agent),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_refuses_before_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
