// SPDX-License-Identifier: Apache-2.0
/*
 * Which objects went past their finalizer and leave something in ECR: by their last state.
 */
#include "reconcile_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OBJECT(META, STATUS) "{\"metadata\":{\"name\":\"t\"" META "},\"status\":{" STATUS "}}"
#define OURS                 ",\"finalizers\":[\"other\",\"" API_FINALIZER "\"]"
#define TIME                 "\"2026-01-01T00:00:00Z\""
#define DELETING             ",\"deletionTimestamp\":" TIME
#define OWNED                "\"ownership\":{\"origin\":\"Created\",\"since\":" TIME "}"

static void test_last_states(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct str text;
        bool want;
    } cases[] = {
        {"past its finalizer", {STR_INIT(OBJECT(OURS, OWNED))}, true},
        {"deleted as it should be", {STR_INIT(OBJECT(OURS DELETING, OWNED))}, false},
        {"it had none", {STR_INIT(OBJECT("", OWNED))}, false},
        {"another one's finalizer",
         {STR_INIT(OBJECT(",\"finalizers\":[\"other\"]", OWNED))},
         false},
        {"before it owned anything", {STR_INIT(OBJECT(OURS, ""))}, false},
        {"ownership is cleared", {STR_INIT(OBJECT(OURS, "\"ownership\":null"))}, false},
        {"it cannot be read",
         {STR_INIT("{\"metadata\":{\"name\":\"t\"" OURS "},\"x\":1,\"x\":2}")},
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e = ERR_INIT;
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
        assert_true(kube_object_parse(cases[i].text, &o, &e));
        if (gone_is_unserved(o) != cases[i].want)
            fail_msg("%s: not %d", cases[i].name, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_last_states)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
