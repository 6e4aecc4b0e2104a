// SPDX-License-Identifier: Apache-2.0
/*
 * Strict numbers and durations from text.
 */
#include "base/num.h"

bool num_parse_u64(struct str s, uint64_t *ret)
{
    *ret = 0;
    if (s.len == 0)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n))
            return false;
    }
    *ret = n;
    return true;
}

bool num_parse_i64(struct str s, int64_t *ret)
{
    *ret = 0;
    bool is_negative = s.len != 0 && s.ptr[0] == '-';
    uint64_t n = 0;
    if (!num_parse_u64(is_negative ? str_from_offset(s, 1) : s, &n))
        return false;
    if (n > (uint64_t)INT64_MAX + (is_negative ? 1 : 0))
        return false;
    *ret = is_negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool num_parse_hex_u64(struct str s, uint64_t *ret)
{
    *ret = 0;
    if (s.len == 0 || s.len > 16)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        int d = hex_digit(s.ptr[i]);
        if (d < 0)
            return false;
        n = n << 4 | (uint64_t)d;
    }
    *ret = n;
    return true;
}

/* The unit that *s starts with in milliseconds, taken off; 0 where there is none. */
static int64_t take_unit(struct str *s)
{
    static const struct {
        struct str name;
        int64_t ms;
    } units[] = {
        {{STR_INIT("ms")}, 1},
        {{STR_INIT("s")}, 1000},
        {{STR_INIT("m")}, 60000},
        {{STR_INIT("h")}, 3600000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (str_starts_with(*s, units[i].name)) {
            *s = str_from_offset(*s, units[i].name.len);
            return units[i].ms;
        }
    }
    return 0;
}

bool num_parse_duration_ms(struct str s, int64_t *ret_ms)
{
    *ret_ms = 0;
    int64_t sum = 0;
    if (s.len == 0)
        return false;
    while (s.len != 0) {
        size_t digits = 0;
        while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
            digits++;
        int64_t n = 0;
        if (!num_parse_i64(str_n(s.ptr, digits), &n))
            return false;
        s = str_from_offset(s, digits);
        int64_t unit = take_unit(&s);
        if (unit == 0 || __builtin_mul_overflow(n, unit, &n) ||
            __builtin_add_overflow(sum, n, &sum))
            return false;
    }
    *ret_ms = sum;
    return true;
}
