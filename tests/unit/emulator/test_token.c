// SPDX-License-Identifier: Apache-2.0
/*
 * Registry tokens: twelve hours, and no other than those that were issued here. And the options
 * for what AWS does not document.
 */
#include "auth_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { HOURS_12_MS = 12 * 3600 * 1000 };

static void test_tokens(void **state)
{
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf token BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct clock_fake clock;
    struct emulator emu = {.auth = emu_auth_new(NULL, 0)};
    struct emulator other = {.auth = emu_auth_new(NULL, 0)};
    struct str key = STR_NULL;
    int64_t expires_ms = 0;

    (void)state;
    clock_fake_init(&clock, 1700000000000);
    emu.clock = &clock.clock;
    other.clock = &clock.clock;
    emu_token_issue(&emu, STR("a|key"), &token, &expires_ms);
    assert_int_equal(expires_ms, 1700000000000 + HOURS_12_MS);
    assert_int_equal(emu_token_check(&emu, buf_str(&token), &arena, &key), EMU_TOKEN_OK);
    assert_true(str_eq(key, STR("a|key")));
    clock_fake_advance(&clock, HOURS_12_MS - 1);
    assert_int_equal(emu_token_check(&emu, buf_str(&token), &arena, &key), EMU_TOKEN_OK);
    clock_fake_advance(&clock, 1);
    assert_int_equal(emu_token_check(&emu, buf_str(&token), &arena, &key), EMU_TOKEN_EXPIRED);
    assert_int_equal(emu_token_check(&other, buf_str(&token), &arena, &key), EMU_TOKEN_INVALID);
    assert_true(str_is_null(key));
    /* any changed character */
    for (size_t i = 0; i < token.len; i++) {
        char was = token.ptr[i];

        token.ptr[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(emu_token_check(&emu, buf_str(&token), &arena, &key), EMU_TOKEN_INVALID);
        token.ptr[i] = was;
    }
    emu_auth_free(emu.auth);
    emu_auth_free(other.auth);
}

static void test_nonsense(void **state)
{
    static const char *const nonsense[] = {"", "x", "!!!!", "fHx8", "fA==", "MXxhfA=="};
    static char huge[8192];
    struct arena arena BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct emulator emu = {.auth = emu_auth_new(NULL, 0), .clock = clock_system()};
    struct str key = STR_NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++)
        assert_int_equal(emu_token_check(&emu, str_from(nonsense[i]), &arena, &key),
                         EMU_TOKEN_INVALID);
    memset(huge, 'A', sizeof(huge));
    assert_int_equal(emu_token_check(&emu, str_n(huge, sizeof(huge)), &arena, &key),
                     EMU_TOKEN_INVALID);
    emu_auth_free(emu.auth);
}

static void test_behaviors(void **state)
{
    struct emulator_behavior b = {0};
    struct emulator_behavior zero = {0};
    struct err e = ERR_INIT;
    const char *name = NULL;
    const char *values = NULL;
    const char *text = NULL;
    size_t n = 0;

    (void)state;
    for (; emulator_behavior_help(n, &name, &values, &text); n++) {
        struct str first = STR_NULL;
        struct str second = STR_NULL;

        /* of a choice, the first is the default and the second is not */
        if (!str_cut(str_from(values), '|', &first, &second))
            continue;
        assert_true(emulator_behavior_set(&b, str_from(name), second, &e));
        assert_int_not_equal(memcmp(&b, &zero, sizeof(b)), 0);
        assert_true(emulator_behavior_set(&b, str_from(name), first, &e));
        assert_memory_equal(&b, &zero, sizeof(b));
    }
    assert_int_equal(n, 10);
    assert_true(emulator_behavior_set(&b, STR("tag-invalid-status"), STR("409"), &e));
    assert_int_equal(b.tag_invalid_status, 409);
    assert_false(emulator_behavior_set(&b, STR("tag-invalid-status"), STR("399"), &e));
    assert_non_null(strstr(e.msg, "400..499"));
    err_clear(&e);
    assert_false(emulator_behavior_set(&b, STR("tag"), STR("1"), &e));
    assert_int_equal(e.cls, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_behaviors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
