// SPDX-License-Identifier: Apache-2.0
/*
 * Encoding and taking apart URLs, and what is said of PEM texts before they are used.
 */
// clang-format off: cmocka.h needs these four before it
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include "http_priv.h"

static const struct {
    struct str input;
    bool keep_slash;
    const char *want;
} encodings[] = {
    {{STR_INIT("")}, false, ""},
    {{STR_INIT("AZaz09-._~")}, false, "AZaz09-._~"},
    {{STR_INIT("a/b")}, false, "a%2Fb"},
    {{STR_INIT("a/b")}, true, "a/b"},
    {{STR_INIT(" +%&=?#:@!$'()*,;[]")},
     true,
     "%20%2B%25%26%3D%3F%23%3A%40%21%24%27%28%29%2A%2C%3B%5B%5D"},
    {{STR_INIT("\xc3\xa9\0\x7f\n")}, false, "%C3%A9%00%7F%0A"},
};

static void test_encode(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
        struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
        http_url_encode(&b, encodings[i].input, encodings[i].keep_slash);
        assert_string_equal(buf_cstr(&b), encodings[i].want);
    }
}

static const struct {
    struct str url;
    bool is_ok;
    bool is_https;
    const char *host, *port, *rest;
} urls[] = {
    {{STR_INIT("http://h")}, true, false, "h", NULL, ""},
    {{STR_INIT("https://h.example:8443/a?b")}, true, true, "h.example", "8443", "/a?b"},
    {{STR_INIT("https://h?b:c")}, true, true, "h", NULL, "?b:c"},
    {{STR_INIT("http://[::1]:80/")}, true, false, "[::1]", "80", "/"},
    {{STR_INIT("http://[fe80::1%25eth0]/")}, true, false, "[fe80::1%25eth0]", NULL, "/"},
    {{STR_INIT("https://a_b-c/x:1@y")}, true, true, "a_b-c", NULL, "/x:1@y"},
    {{STR_INIT("http://h:65535/")}, true, false, "h", "65535", "/"},
    {{STR_INIT("http://h:65536/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h:0/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h:/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h:1x/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h:000001/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http:///a")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://[]/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://[::1/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://::1/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("HTTP://h/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("//h/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("h:80")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("ftp://h/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://u@h/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://u:p@h:80/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h/#f")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h/\x7f")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h/\xc3\xa9")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h/\t")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("http://h\\@g/")}, false, false, NULL, NULL, NULL},
    {{STR_INIT("")}, false, false, NULL, NULL, NULL},
    {{NULL, 0}, false, false, NULL, NULL, NULL},
};

static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct http_url_parts p;
        if (http_url_split(urls[i].url, &p) != urls[i].is_ok)
            fail_msg("%.*s", STR_ARG(urls[i].url));
        assert_true(str_eq_cstr(p.host, urls[i].host));
        assert_true(str_eq_cstr(p.port, urls[i].port));
        assert_true(str_eq_cstr(p.rest, urls[i].rest));
        assert_int_equal(p.is_https, urls[i].is_https);
        assert_string_equal(http_url_default_port(&p).ptr, urls[i].is_https ? "443" : "80");
    }
}

static void test_split_refuses_long_urls(void **state)
{
    (void)state;
    static char url[HTTP_MAX_URL_BYTES + 2];
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://h/", 9);
    struct http_url_parts p;
    assert_true(http_url_split(str_n(url, HTTP_MAX_URL_BYTES), &p));
    assert_false(http_url_split(str_n(url, HTTP_MAX_URL_BYTES + 1), &p));
}

#define CERT "-----BEGIN CERTIFICATE-----\nTUlJ\nQg==\n-----END CERTIFICATE-----\n"
#define KEY  "-----BEGIN EC PRIVATE KEY-----\r\nTUlJ\r\n-----END EC PRIVATE KEY-----\r\n"

static const struct {
    const char *name;
    const char *ca, *cert, *key;
    const char *message; /* NULL: fine */
} pems[] = {
    {"nothing", NULL, NULL, NULL, NULL},
    {"all", CERT, CERT, KEY, NULL},
    {"chain with comments", "# one\n" CERT "\nsubject=CN = x:y\n" CERT, NULL, NULL, NULL},
    {"parameters before the key", NULL, CERT,
     "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" KEY, NULL},
    {"encrypted key", NULL, CERT,
     "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nTUlJ\n"
     "-----END RSA PRIVATE KEY-----\n",
     NULL},
    {"certificate without key", NULL, CERT, NULL,
     "a client certificate needs its key, and a key its certificate"},
    {"key without certificate", NULL, NULL, KEY,
     "a client certificate needs its key, and a key its certificate"},
    {"empty CA", "", NULL, NULL, "the CA holds no PEM of a CERTIFICATE"},
    {"a path", "/etc/ssl/ca.pem", NULL, NULL, "the CA holds no PEM of a CERTIFICATE"},
    {"base64 of PEM", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==", NULL, NULL,
     "the CA holds no PEM of a CERTIFICATE"},
    {"key in place of a certificate", NULL, KEY, KEY,
     "the client certificate holds no PEM of a CERTIFICATE"},
    {"certificate in place of a key", NULL, CERT, CERT,
     "the client key holds no PEM of a PRIVATE KEY"},
    {"cut short", "-----BEGIN CERTIFICATE-----\nTUlJ\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
    {"second one cut short", CERT "-----BEGIN CERTIFICATE-----\nTUlJ\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
    {"nothing inside", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
    {"not base64", "-----BEGIN CERTIFICATE-----\nT*lJ\n-----END CERTIFICATE-----\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
    {"another end", "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END PRIVATE KEY-----\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
    {"line breaks were lost", "-----BEGIN CERTIFICATE----- TUlJ -----END CERTIFICATE-----", NULL,
     NULL, "the CA is damaged PEM: a frame is not whole or not base64"},
    {"damaged begin", "-----BEGIN CERTIFICATE\nTUlJ\n-----END CERTIFICATE-----\n", NULL, NULL,
     "the CA is damaged PEM: a frame is not whole or not base64"},
};

static void test_pem(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pems); i++) {
        struct err e = ERR_INIT;
        struct http_options o = {.ca_pem = str_from(pems[i].ca),
                                 .client_cert_pem = str_from(pems[i].cert),
                                 .client_key_pem = str_from(pems[i].key)};
        bool is_ok = http_pem_check(&o, &e);
        if (is_ok != (pems[i].message == NULL))
            fail_msg("%s: %s", pems[i].name, e.msg);
        if (is_ok)
            continue;
        assert_int_equal(e.cls, ERR_INVALID);
        assert_string_equal(e.reason, "BadCertificate");
        if (strcmp(e.msg, pems[i].message) != 0)
            fail_msg("%s: %s", pems[i].name, e.msg);
        /* and that is what http_client_new() says */
        struct http_client *c = NULL;
        err_clear(&e);
        assert_false(http_client_new(&o, &c, &e));
        assert_null(c);
        assert_string_equal(e.msg, pems[i].message);
    }
}

static void test_options_are_single_lines(void **state)
{
    (void)state;
    const struct http_options bad[] = {
        {.user_agent = "a\r\nX: y"}, {.proxy_url = "http://h\n"}, {.tls_server_name = "h\t"}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err e = ERR_INIT;
        struct http_client *c = NULL;
        assert_false(http_client_new(&bad[i], &c, &e));
        assert_int_equal(e.cls, ERR_INVALID);
    }
}

int main(void)
{
    http_global_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_refuses_long_urls),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_options_are_single_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
