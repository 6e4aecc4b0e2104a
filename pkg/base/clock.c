// SPDX-License-Identifier: Apache-2.0
/*
 * The system's clocks, a fake one, and dates as text.
 */
#include "base/clock.h"

#include "base/num.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_unix_ms(void *impl)
{
    (void)impl;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_mono_ms(void *impl)
{
    (void)impl;
    return read_ms(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
    static const struct clock c = {system_unix_ms, system_mono_ms, NULL};
    return &c;
}

static int64_t fake_unix_ms(void *impl)
{
    return ((struct clock_fake *)impl)->unix_ms;
}

static int64_t fake_mono_ms(void *impl)
{
    return ((struct clock_fake *)impl)->mono_ms;
}

void clock_fake_init(struct clock_fake *f, int64_t unix_ms)
{
    *f = (struct clock_fake){{fake_unix_ms, fake_mono_ms, f}, unix_ms, 0};
}

void clock_fake_advance(struct clock_fake *f, int64_t ms)
{
    f->unix_ms += ms;
    f->mono_ms += ms;
}

/* Broken-down UTC; dates out of range (a hostile peer's) become the epoch. */
static struct tm utc(int64_t unix_ms)
{
    struct tm tm = {0};
    int64_t seconds = unix_ms >= 0 ? unix_ms / 1000 : (unix_ms - 999) / 1000;
    time_t t = seconds < -62135596800 || seconds > 253402300799 ? 0 : (time_t)seconds;
    if (gmtime_r(&t, &tm) == NULL)
        tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    return tm;
}

static int ms_part(int64_t unix_ms)
{
    int64_t ms = unix_ms % 1000;
    return (int)(ms < 0 ? ms + 1000 : ms);
}

void clock_format_rfc3339(int64_t unix_ms, char *text)
{
    struct tm tm = utc(unix_ms);
    (void)snprintf(text, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void clock_format_rfc3339_micro(int64_t unix_ms, char *text)
{
    struct tm tm = utc(unix_ms);
    (void)snprintf(text, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   ms_part(unix_ms));
}

void clock_format_amz(int64_t unix_ms, char *text)
{
    struct tm tm = utc(unix_ms);
    (void)snprintf(text, CLOCK_TEXT_MAX, "%04d%02d%02dT%02d%02d%02dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* n digits of *s as a number between least and most, taken off. */
static bool take_digits(struct str *s, size_t n, int least, int most, int *ret)
{
    int64_t value = 0;
    if (s->len < n || s->ptr[0] == '-' || !num_parse_i64(str_n(s->ptr, n), &value) ||
        value < least || value > most)
        return false;
    *s = str_from_offset(*s, n);
    *ret = (int)value;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_from_offset(*s, 1);
    return true;
}

/* Date and time with the separators given ('\0': none). */
static bool take_date_time(struct str *s, char date_sep, char time_sep, int64_t *ret_seconds)
{
    struct tm tm = {0};
    bool ok = take_digits(s, 4, 1, 9999, &tm.tm_year) && (!date_sep || take_char(s, date_sep)) &&
              take_digits(s, 2, 1, 12, &tm.tm_mon) && (!date_sep || take_char(s, date_sep)) &&
              take_digits(s, 2, 1, 31, &tm.tm_mday) && (take_char(s, 'T') || take_char(s, 't')) &&
              take_digits(s, 2, 0, 23, &tm.tm_hour) && (!time_sep || take_char(s, time_sep)) &&
              take_digits(s, 2, 0, 59, &tm.tm_min) && (!time_sep || take_char(s, time_sep)) &&
              take_digits(s, 2, 0, 60, &tm.tm_sec);
    if (!ok)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_seconds = (int64_t)timegm(&tm);
    return true;
}

static bool take_fraction_ms(struct str *s, int *ret_ms)
{
    *ret_ms = 0;
    if (!take_char(s, '.'))
        return true;
    size_t n = 0;
    for (int scale = 100; n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++, scale /= 10)
        *ret_ms += (s->ptr[n] - '0') * scale;
    *s = str_from_offset(*s, n);
    return n != 0;
}

static bool take_zone(struct str *s, int *ret_seconds)
{
    *ret_seconds = 0;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return true;
    int sign = take_char(s, '+') ? 1 : (take_char(s, '-') ? -1 : 0);
    int hours = 0;
    int minutes = 0;
    if (sign == 0 || !take_digits(s, 2, 0, 23, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, 0, 59, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse_rfc3339(struct str s, int64_t *ret_unix_ms)
{
    *ret_unix_ms = 0;
    int64_t seconds = 0;
    int ms = 0;
    int zone = 0;
    if (!take_date_time(&s, '-', ':', &seconds) || !take_fraction_ms(&s, &ms) ||
        !take_zone(&s, &zone) || s.len != 0)
        return false;
    *ret_unix_ms = (seconds - zone) * 1000 + ms;
    return true;
}

bool clock_parse_amz(struct str s, int64_t *ret_unix_ms)
{
    *ret_unix_ms = 0;
    int64_t seconds = 0;
    if (!take_date_time(&s, '\0', '\0', &seconds) || !take_char(&s, 'Z') || s.len != 0)
        return false;
    *ret_unix_ms = seconds * 1000;
    return true;
}
