// SPDX-License-Identifier: Apache-2.0
/*
 * Request URLs, and the delays between attempts.
 */
#include "backoff_priv.h"
#include "url_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct kube_resource THINGS = {"test.dev", "v1", "things", "Thing", false};
static const struct kube_resource MAPS = {"", "v1", "configmaps", "ConfigMap", true};

static const struct {
    const char *server;
    struct url_target target;
    const char *want; /* NULL: refused */
} CASES[] = {
    {"https://h:1", {&THINGS, NULL, NULL, NULL}, "https://h:1/apis/test.dev/v1/things"},
    {"https://h/k8s/c-1",
     {&THINGS, NULL, "a.b", "status"},
     "https://h/k8s/c-1/apis/test.dev/v1/things/a.b/status"},
    {"https://h", {&MAPS, NULL, NULL, NULL}, "https://h/api/v1/configmaps"},
    {"https://h", {&MAPS, "ns", NULL, NULL}, "https://h/api/v1/namespaces/ns/configmaps"},
    {"https://h", {&MAPS, "ns", "x", NULL}, "https://h/api/v1/namespaces/ns/configmaps/x"},
    {"https://h",
     {&THINGS, NULL, "system:a b?#", NULL},
     "https://h/apis/test.dev/v1/things/system%3Aa%20b%3F%23"},
    {"https://h", {&THINGS, NULL, "", NULL}, NULL},
    {"https://h", {&THINGS, NULL, ".", NULL}, NULL},
    {"https://h", {&THINGS, NULL, "..", NULL}, NULL},
    {"https://h", {&THINGS, NULL, "a/b", NULL}, NULL},
    {"https://h", {&THINGS, NULL, "a%2fb", NULL}, NULL},
    {"https://h", {&THINGS, "ns", "a", NULL}, NULL},
    {"https://h", {&MAPS, NULL, "a", NULL}, NULL},
    {"https://h", {&MAPS, "", "a", NULL}, NULL},
    {"https://h", {&MAPS, "..", NULL, NULL}, NULL},
};

static void paths_are_built(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(URL_MAX_BYTES);
        struct err e = ERR_INIT;
        bool is_fine = kube_url_path(&out, str_from(CASES[i].server), &CASES[i].target, &e);
        assert_int_equal(is_fine, CASES[i].want != NULL);
        if (is_fine)
            assert_string_equal(buf_cstr(&out), CASES[i].want);
        else
            assert_int_equal(e.cls, ERR_INVALID);
    }
}

static void queries_are_encoded(void **state)
{
    (void)state;
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(URL_MAX_BYTES);
    bool is_first = true;
    kube_url_query(&out, &is_first, "limit", STR("500"));
    kube_url_query(&out, &is_first, "fieldSelector", STR("metadata.name=a&b"));
    assert_string_equal(buf_cstr(&out), "?limit=500&fieldSelector=metadata.name%3Da%26b");
}

static void delays_double_with_jitter(void **state)
{
    (void)state;
    struct backoff b = kube_backoff_new(BACKOFF_MIN_MS);
    static const int64_t WANT_MS[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    int64_t now_ms = 1000000;
    for (size_t i = 0; i < ARRAY_SIZE(WANT_MS); i++)
        assert_int_equal(kube_backoff_next_ms(&b, now_ms += 1000, 0), WANT_MS[i]);
    /* the jitter never goes over the maximum, and at most doubles */
    assert_int_equal(kube_backoff_next_ms(&b, now_ms, 1023), BACKOFF_MAX_MS);
    now_ms += BACKOFF_RESET_MS + 1;
    assert_int_equal(kube_backoff_next_ms(&b, now_ms, 512), 1200);
    assert_int_equal(kube_backoff_next_ms(&b, now_ms, 1023), 1600 + 1600 * 1023 / 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_built),
        cmocka_unit_test(queries_are_encoded),
        cmocka_unit_test(delays_double_with_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
