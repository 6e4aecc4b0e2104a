// SPDX-License-Identifier: Apache-2.0
/*
 * What is said about errors of the API server beside their own words.
 */
#include "reconcile_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_hints(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct err e;
        const char *want; /* a part of it; NULL: none */
    } cases[] = {
        {"401", {.cls = ERR_CREDENTIALS, .http_status = 401, .reason = "Unauthorized"}, "accept"},
        {"403", {.cls = ERR_DENIED, .http_status = 403, .reason = "Forbidden"}, "roles"},
        {"a quota", {.cls = ERR_QUOTA, .http_status = 403, .reason = "Forbidden"}, NULL},
        {"no CRD", {.cls = ERR_NOT_FOUND, .http_status = 404}, "crds.yaml"},
        {"no CRD, by a list", {.cls = ERR_NOT_FOUND, .reason = "NotFound"}, "crds.yaml"},
        {"no namespace", {.cls = ERR_NOT_FOUND, .reason = "NamespaceNotFound"}, "namespace"},
        {"TLS", {.cls = ERR_RETRY, .reason = "TLSFailed"}, "certificate-authority"},
        {"a plug-in that fails", {.cls = ERR_CREDENTIALS, .reason = "PluginFailed"}, NULL},
        {"the network", {.cls = ERR_RETRY, .reason = "ConnectFailed"}, NULL},
        {"the server", {.cls = ERR_RETRY, .http_status = 500}, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *got = reconcile_hint(&cases[i].e);
        bool is_right =
            cases[i].want == NULL ? got == NULL : got != NULL && strstr(got, cases[i].want) != NULL;
        if (!is_right)
            fail_msg("%s: \"%s\"", cases[i].name, got != NULL ? got : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hints),
    };
    return cmocka_run_group_tests_name("reconcile hint", tests, NULL, NULL);
}
