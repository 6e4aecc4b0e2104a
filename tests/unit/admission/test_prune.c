// SPDX-License-Identifier: Apache-2.0
/*
 * managedFields goes, everything else stays as it was: judged by the parser.
 */
#include "base/mem.h"
#include "review_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *text, *want;
} rows[] = {
    {"both",
     "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":[{\"a\":\"]}\"}],\"x\":1}},"
     "\"oldObject\":{\"metadata\":{\"name\":\"n\",\"managedFields\" : [ ] }}}}",
     "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":[],\"x\":1}},"
     "\"oldObject\":{\"metadata\":{\"name\":\"n\",\"managedFields\" : [] }}}}"},
    {"quotes and slashes",
     "{\"request\":{\"object\":{\"metadata\":{\"a\":\"\\\\\\\"{[\","
     "\"managedFields\":[\"\\\\\",\"\\\"]\"],\"b\":\"\\\\\"}}}}",
     "{\"request\":{\"object\":{\"metadata\":{\"a\":\"\\\\\\\"{[\",\"managedFields\":[],"
     "\"b\":\"\\\\\"}}}}"},
    {"elsewhere it stays",
     "{\"request\":{\"object\":{\"spec\":{\"managedFields\":[1],\"metadata\":{\"managedFields\":[2]"
     "}},"
     "\"metadata\":[{\"managedFields\":[3]}]},\"metadata\":{\"managedFields\":[4]}}}",
     "{\"request\":{\"object\":{\"spec\":{\"managedFields\":[1],\"metadata\":{\"managedFields\":[2]"
     "}},"
     "\"metadata\":[{\"managedFields\":[3]}]},\"metadata\":{\"managedFields\":[4]}}}"},
    {"as a value", "{\"request\":{\"object\":{\"metadata\":{\"a\":\"managedFields\",\"b\":[1]}}}}",
     "{\"request\":{\"object\":{\"metadata\":{\"a\":\"managedFields\",\"b\":[1]}}}}"},
    {"null", "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":null}}}}",
     "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":null}}}}"},
    {"without an end", "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":[{\"a\":1",
     "{\"request\":{\"object\":{\"metadata\":{\"managedFields\":[{\"a\":1"},
    {"a string without an end", "{\"request\":{\"a\":\"b\\\"", "{\"request\":{\"a\":\"b\\\""},
    {"nothing", "", ""},
};

static void prunes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = mem_strdup(rows[i].text);
        const size_t n = review_prune(text, strlen(text));
        if (!str_eq_cstr(str_n(text, n), rows[i].want))
            fail_msg("%s: %.*s", rows[i].name, (int)n, text);
        mem_free(text);
    }
}

/* Every prefix of a review: no more is read than there is (the sanitizer looks), nothing grows. */
static void takes_any_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t n = 1; n <= strlen(rows[i].text); n++) {
            char *text = mem_alloc(n);
            memcpy(text, rows[i].text, n);
            assert_true(review_prune(text, n) <= n);
            mem_free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prunes),
        cmocka_unit_test(takes_any_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
