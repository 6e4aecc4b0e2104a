// SPDX-License-Identifier: Apache-2.0
/*
 * The time to Ready: what is measured, from when, and what is not.
 */
#include "base/compiler.h"
#include "readiness_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOT = -1, START = 1000000 }; /* START: a whole second */

/* The states of one object, as they are seen one after the other. */
struct step {
    int64_t at_ms;
    const char *uid;
    int64_t generation;
    bool is_judged, is_ready, is_held;
    int64_t want_ms;
};
enum { STEPS_MAX = 8 };
static const struct row {
    const char *name;
    int64_t created_ms;
    struct step steps[STEPS_MAX];
} rows[] = {
    {"created, then Ready, once",
     START,
     {{START + 300, "u", 1, false, false, false, NOT},
      {START + 350, "u", 1, true, false, false, NOT},
      {START + 800, "u", 1, true, true, false, 500},
      {START + 900, "u", 1, true, true, false, NOT},
      {START + 950, "u", 1, true, false, false, NOT},
      {START + 990, "u", 1, true, true, false, NOT}}},
    {"seen late: from the second of its creation",
     START,
     {{START + 5000, "u", 1, false, false, false, NOT},
      {START + 6999, "u", 1, true, true, false, 6000}}},
    {"a clock behind the API server's",
     START,
     {{START - 50, "u", 1, false, false, false, NOT}, {START - 20, "u", 1, true, true, false, 30}}},
    {"our clock was set back",
     START,
     {{START + 500, "u", 1, false, false, false, NOT},
      {START + 100, "u", 1, true, true, false, 0}}},
    {"a change of the spec, and one before the first was Ready",
     START,
     {{START + 100, "u", 1, false, false, false, NOT},
      {START + 200, "u", 1, true, true, false, 100},
      {START + 5000, "u", 2, false, false, false, NOT},
      {START + 6000, "u", 3, false, false, false, NOT},
      {START + 6400, "u", 3, true, true, false, 400}}},
    {"Ready when first seen", START, {{START + 90000, "u", 1, true, true, false, NOT}}},
    {"judged before it was first seen",
     START,
     {{START + 90000, "u", 1, true, false, false, NOT},
      {START + 95000, "u", 1, true, true, false, NOT},
      {START + 99000, "u", 2, true, true, false, 0}}},
    {"changed while nobody looked",
     START,
     {{START + 90000, "u", 4, false, false, false, NOT},
      {START + 91000, "u", 4, true, true, false, NOT}}},
    {"another object of that name",
     START,
     {{START + 100, "u", 1, false, false, false, NOT},
      {START + 200, "v", 1, false, false, false, NOT},
      {START + 700, "v", 1, true, true, false, 500}}},
    {"paused meanwhile",
     START,
     {{START + 100, "u", 1, false, false, true, NOT},
      {START + 9000, "u", 1, false, false, false, NOT},
      {START + 9100, "u", 1, true, true, false, NOT},
      {START + 9200, "u", 2, false, false, false, NOT},
      {START + 9300, "u", 2, true, true, false, 100}}},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct readiness r = {0};
        for (size_t n = 0; n < STEPS_MAX && rows[i].steps[n].uid != NULL; n++) {
            const struct step *step = &rows[i].steps[n];
            const struct readiness_sight sight = {
                .uid = str_from(step->uid),
                .generation = step->generation,
                .created_ms = rows[i].created_ms,
                .is_judged = step->is_judged,
                .is_ready = step->is_ready,
                .is_held = step->is_held,
            };
            int64_t got = readiness_see(&r, &sight, step->at_ms);
            if (got != step->want_ms)
                fail_msg("%s, step %zu: %lld, not %lld", rows[i].name, n, (long long)got,
                         (long long)step->want_ms);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
