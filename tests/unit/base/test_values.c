// SPDX-License-Identifier: Apache-2.0
/*
 * Errors, buffers, arenas, numbers, dates and files.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void test_err_wraps_and_cuts(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_false(err_set(&e, ERR_DENIED, "AccessDenied", "no %s", "way"));
    assert_false(err_wrap(&e, "read %d", 7));
    assert_string_equal(e.msg, "read 7: no way");
    assert_string_equal(e.reason, "AccessDenied");
    assert_string_equal(err_class_name(e.cls), "denied");
    err_clear(&e);
    assert_false(err_is_set(&e));
    char long_text[ERR_MSG_MAX * 2];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_false(err_set(&e, ERR_INVALID, long_text, "%s", long_text));
    assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
    assert_int_equal(strlen(e.reason), ERR_REASON_MAX - 1);
    err_clear(&e);
    assert_false(err_set_errno(&e, ENOENT, "cannot open %s", "x"));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "cannot open x: No such file or directory");
}

static void test_buf_fails_once_at_its_maximum(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(10);
    buf_append(&b, STR("12345"));
    buf_printf(&b, "%d", 67890);
    assert_true(buf_ok(&b));
    assert_string_equal(buf_cstr(&b), "1234567890");
    buf_append_char(&b, 'x');
    assert_false(buf_ok(&b));
    buf_consume(&b, 5);
    buf_append_char(&b, 'y');
    assert_string_equal(buf_cstr(&b), "67890");
    buf_reset(&b);
    assert_true(buf_ok(&b));
    buf_append_char(&b, 'z');
    assert_string_equal(buf_cstr(&b), "z");
    char *taken = buf_take(&b);
    assert_string_equal(taken, "z");
    mem_free(taken);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_cstr(&b), "");
}

static void test_buf_printf_longer_than_its_scratch(void **state)
{
    (void)state;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(2000);
    buf_printf(&b, "%01000d", 7);
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 1000);
    assert_int_equal(b.ptr[999], '7');
    buf_printf(&b, "%01001d", 7);
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 1000);
}

static void test_arena_zeroes_and_aligns(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    for (size_t n = 0; n < 20000; n += 333) {
        unsigned char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, n);
    }
    arena_reset(&a);
    unsigned char *again = arena_alloc(&a, 4000);
    for (size_t i = 0; i < 4000; i++)
        assert_int_equal(again[i], 0);
    assert_true(str_is_null(arena_copy(&a, STR_NULL)));
    assert_string_equal(arena_copy(&a, STR("abc")).ptr, "abc");
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x").ptr, "5-x");
    assert_string_equal(arena_cstr(&a, STR_NULL), "");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"+1", false, 0},
        {"1e3", false, 0},
        {"--1", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t n = 99;
        assert_int_equal(num_parse_i64(str_from(cases[i].text), &n), cases[i].ok);
        assert_true(n == cases[i].want);
    }
    uint64_t u = 0;
    assert_true(num_parse_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(num_parse_u64(STR("18446744073709551616"), &u));
    assert_true(num_parse_hex_u64(STR("fFfFfFfFfFfFfFfF"), &u) && u == UINT64_MAX);
    assert_false(num_parse_hex_u64(STR("10000000000000000"), &u));
    assert_false(num_parse_hex_u64(STR("0x1"), &u));
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"60s", 60000},
        {"1h30m", 5400000},
        {"300ms", 300},
        {"1m0s", 60000},
        {"0s", 0},
        {"", -1},
        {"60", -1},
        {"s", -1},
        {"1.5s", -1},
        {"-1s", -1},
        {"1 s", -1},
        {"5d", -1},
        {"99999999999999999h", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms = 99;
        assert_int_equal(num_parse_duration_ms(str_from(cases[i].text), &ms), cases[i].want >= 0);
        assert_true(ms == (cases[i].want >= 0 ? cases[i].want : 0));
    }
}

static void test_dates(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_MAX];
    clock_format_rfc3339(1440938160000, text);
    assert_string_equal(text, "2015-08-30T12:36:00Z");
    clock_format_amz(1440938160999, text);
    assert_string_equal(text, "20150830T123600Z");
    clock_format_rfc3339_micro(1440938160007, text);
    assert_string_equal(text, "2015-08-30T12:36:00.007000Z");
    clock_format_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"2015-08-30T12:36:00Z", 1440938160000},
        {"2015-08-30T12:36:00.5Z", 1440938160500},
        {"2015-08-30T14:36:00+02:00", 1440938160000},
        {"2015-08-30T12:36:00.123456789Z", 1440938160123},
        {"2015-08-30T12:36:00", -1},
        {"2015-13-30T12:36:00Z", -1},
        {"2015-08-30 12:36:00Z", -1},
        {"2015-08-30T12:36:00.Z", -1},
        {"2015-08-30T12:36:00Zx", -1},
        {"-015-08-30T12:36:00Z", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms = 99;
        assert_int_equal(clock_parse_rfc3339(str_from(cases[i].text), &ms), cases[i].want >= 0);
        assert_true(ms == (cases[i].want >= 0 ? cases[i].want : 0));
    }
    int64_t ms = 0;
    assert_true(clock_parse_amz(STR("20150830T123600Z"), &ms) && ms == 1440938160000);
    assert_false(clock_parse_amz(STR("2015-08-30T12:36:00Z"), &ms));
    struct clock_fake f;
    clock_fake_init(&f, 1000);
    clock_fake_advance(&f, 5);
    assert_int_equal(clock_unix_ms(&f.clock), 1005);
    assert_int_equal(clock_mono_ms(&f.clock), 5);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/berth-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    (void)snprintf(path, sizeof path, "%s/f", dir);
    struct err e = ERR_INIT;
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(5);
    assert_false(file_read(path, &b, &e));
    assert_int_equal(e.cls, ERR_NOT_FOUND);
    err_clear(&e);
    assert_true(file_write(path, STR("hello"), &e));
    assert_true(file_read(path, &b, &e));
    assert_string_equal(buf_cstr(&b), "hello");
    buf_reset(&b);
    assert_true(file_write(path, STR("hello!"), &e));
    assert_false(file_read(path, &b, &e));
    assert_int_equal(e.cls, ERR_INVALID);
    assert_int_equal(unlink(path), 0);
    /* nothing else was left: the temporary name is gone */
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_wraps_and_cuts),
        cmocka_unit_test(test_buf_fails_once_at_its_maximum),
        cmocka_unit_test(test_buf_printf_longer_than_its_scratch),
        cmocka_unit_test(test_arena_zeroes_and_aligns),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
