// SPDX-License-Identifier: Apache-2.0
/*
 * What a live ValidatingWebhookConfiguration asks about: the hosts in its conditions.
 */
#include "admission/webhooks.h"
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool asks(const char *text, const char *host)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    if (!json_parse(str_from(text), 65536, &doc, &e))
        fail_msg("%s", e.msg);
    return webhooks_ask_about(json_root(doc), str_from(host));
}

#define CONDITION(regex)                                                                           \
    "{\"matchConditions\":[{\"name\":\"images-changed\",\"expression\":\"true\"},"                 \
    "{\"name\":\"names-an-ecr-image\",\"expression\":\"i.matches(r'(?i)^(ecr" regex ")/')\"}]}"
#define BOTH "|a\\\\.example(:443)?|b\\\\.example\\\\:5000"

static void asks_about_what_is_named(void **state)
{
    (void)state;
    static const char *const live = "{\"webhooks\":[" CONDITION(BOTH) "," CONDITION(BOTH) "]}";
    assert_true(asks(live, "a.example"));
    assert_true(asks(live, "a.example:443"));
    assert_true(asks(live, "b.example:5000"));
    assert_true(asks(live, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"));
    assert_false(asks(live, "a.example:80"));
    assert_false(asks(live, "b.example"));
    assert_false(asks(live, "b.example:500"));
    assert_false(asks(live, "example"));
    assert_false(asks(live, "axexample"));
}

static void every_entry_has_to_name_it(void **state)
{
    (void)state;
    assert_false(asks("{\"webhooks\":[" CONDITION(BOTH) "," CONDITION("") "]}", "a.example"));
    assert_false(asks("{\"webhooks\":[{}," CONDITION("") "]}", "a.example"));
}

static void conditions_of_others_are_not_judged(void **state)
{
    (void)state;
    assert_true(asks("{}", "a.example"));
    assert_true(asks("{\"webhooks\":[]}", "a.example"));
    assert_true(asks("{\"webhooks\":[{\"matchConditions\":[{\"name\":\"mine\","
                     "\"expression\":\"false\"}]}]}",
                     "a.example"));
    assert_false(asks("{\"webhooks\":[{\"matchConditions\":[{\"name\":\"names-an-ecr-image\"}]}]}",
                      "a.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_about_what_is_named),
        cmocka_unit_test(every_entry_has_to_name_it),
        cmocka_unit_test(conditions_of_others_are_not_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
