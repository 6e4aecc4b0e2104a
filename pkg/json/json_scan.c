// SPDX-License-Identifier: Apache-2.0
/*
 * The scan before cJSON: one pass over the tokens of a text that refuses what cJSON accepts though
 * RFC 8259 does not (raw control characters and NUL, bad escapes, numbers such as 01 and 1.) or
 * what would harm us (\u0000, which cuts C strings; depth; number of values), and that decides for
 * each number whether a double holds it. How tokens may follow one another is left to cJSON.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "json_priv.h"

#include <ctype.h>
#include <float.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* cJSON 1.7.15: parse_number() reads 63 bytes and takes what follows for the next token. */
    NUMBER_MAX = 63,
    SIGNIFICANT_MAX = 17, /* decimal digits that a double can tell apart at best */
    EXPONENT_CAP = 100000
};

static const uint64_t EXACT_MAX = UINT64_C(1) << 53;

struct scanner {
    struct str text;
    size_t at;
    int depth;
    size_t values;
    size_t numbers;
    struct json_scan *out;
    struct err *e;
};

bool json_fail_at(struct str text, size_t at, struct err *e, const char *fmt, ...)
{
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < at && i < text.len; i++)
        if (text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    struct buf problem BERTH_CLEANUP(buf_fini) = BUF_INIT(ERR_MSG_MAX);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&problem, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "InvalidJSON", "line %zu, column %zu: %s", line,
                   at - line_start + 1, buf_cstr(&problem));
}

void json_scan_fini(struct json_scan *s)
{
    s->inexact = mem_free(s->inexact);
    *s = (struct json_scan){0};
}

static char peek(const struct scanner *s, size_t offset)
{
    return s->at + offset < s->text.len ? s->text.ptr[s->at + offset] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool scan_escape(struct scanner *s)
{
    const char c = peek(s, 1);
    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
            return json_fail_at(s->text, s->at, s->e, "unknown escape in a string");
        s->at += 2;
        return true;
    }
    bool is_zero = true;
    for (size_t i = 2; i < 6; i++) {
        /* cJSON 1.7.15: parse_hex4() gives 0 for what is not hexadecimal */
        if (!isxdigit((unsigned char)peek(s, i)))
            return json_fail_at(s->text, s->at, s->e, "\\u without four hexadecimal digits");
        is_zero = is_zero && peek(s, i) == '0';
    }
    if (is_zero)
        return json_fail_at(s->text, s->at, s->e, "\\u0000 (NUL) in a string");
    s->at += 6;
    return true;
}

static bool scan_string(struct scanner *s)
{
    const size_t start = s->at++;
    while (s->at < s->text.len) {
        const unsigned char c = (unsigned char)s->text.ptr[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return json_fail_at(s->text, s->at, s->e,
                                "control character 0x%02x in a string (must be escaped)", c);
        if (c != '\\')
            s->at++;
        else if (!scan_escape(s))
            return false;
    }
    return json_fail_at(s->text, start, s->e, "string without an end");
}

static size_t count_digits(const struct scanner *s, size_t from)
{
    size_t n = 0;
    while (is_digit(peek(s, from + n)))
        n++;
    return n;
}

/* The length of the number at s->at by RFC 8259's grammar; 0 where there is none. */
static size_t number_length(const struct scanner *s)
{
    size_t n = peek(s, 0) == '-' ? 1 : 0;
    const size_t whole = count_digits(s, n);
    if (whole == 0 || (whole > 1 && peek(s, n) == '0'))
        return 0;
    n += whole;
    if (peek(s, n) == '.') {
        const size_t fraction = count_digits(s, n + 1);
        if (fraction == 0)
            return 0;
        n += 1 + fraction;
    }
    if (peek(s, n) == 'e' || peek(s, n) == 'E') {
        n++;
        if (peek(s, n) == '+' || peek(s, n) == '-')
            n++;
        const size_t exponent = count_digits(s, n);
        if (exponent == 0)
            return 0;
        n += exponent;
    }
    const char next = peek(s, n);
    return isalnum((unsigned char)next) || next == '.' || next == '+' || next == '-' ? 0 : n;
}

/* A number as digits × 10^scale, without zeros at either end of the digits. */
struct decimal {
    uint64_t digits; /* the first SIGNIFICANT_MAX of them */
    int count;       /* of all significant digits */
    int64_t scale;
};

/* One more digit of the mantissa; zeros: those seen since the last digit that is not 0, which count
 * as digits once another follows, and as a scale until then. */
static void add_digit(struct decimal *d, int *zeros, char c)
{
    if (c == '0') {
        if (d->count > 0) {
            ++*zeros;
            d->scale++;
        }
        return;
    }
    d->scale -= *zeros;
    for (; *zeros >= 0; --*zeros) {
        if (d->count < SIGNIFICANT_MAX)
            d->digits = d->digits * 10 + (uint64_t)(*zeros > 0 ? 0 : c - '0');
        d->count++;
    }
    *zeros = 0;
}

static int64_t exponent_of(const char *p)
{
    if (*p != 'e' && *p != 'E')
        return 0;
    const bool is_negative = p[1] == '-';
    int64_t exponent = 0;
    for (p += 1 + (p[1] == '-' || p[1] == '+'); is_digit(*p); p++)
        if (exponent < EXPONENT_CAP)
            exponent = exponent * 10 + (*p - '0');
    return is_negative ? -exponent : exponent;
}

static struct decimal decimal_of(const char *p)
{
    struct decimal d = {0};
    int zeros = 0;
    bool is_fraction = false;
    for (p += *p == '-'; is_digit(*p) || *p == '.'; p++) {
        if (*p == '.') {
            is_fraction = true;
            continue;
        }
        d.scale -= is_fraction;
        add_digit(&d, &zeros, *p);
    }
    d.scale += exponent_of(p);
    return d;
}

/*
 * Does the double of this text stand for it? Whole numbers: up to 2^53, decided from the digits,
 * since 2^53 + 1 has the double of 2^53. Fractions: at most 17 significant digits, not rounded to a
 * whole number, not lost to underflow; such a double prints as the same decimal again.
 */
static bool is_exact_number(const char *text)
{
    const struct decimal d = decimal_of(text);
    if (d.count == 0)
        return true;
    if (d.count > SIGNIFICANT_MAX)
        return false;
    if (d.scale < 0) {
        const double value = strtod(text + (*text == '-'), NULL);
        return value >= DBL_MIN && value < (double)EXACT_MAX && value != (double)(uint64_t)value;
    }
    uint64_t whole = d.digits;
    for (int64_t i = 0; i < d.scale; i++) {
        whole *= 10;
        if (whole > EXACT_MAX)
            return false;
    }
    return whole <= EXACT_MAX;
}

static bool note_inexact(struct scanner *s)
{
    struct json_scan *out = s->out;
    if (out->count == out->cap) {
        const size_t cap = out->cap > 0 ? out->cap * 2 : 16;
        size_t *grown = mem_try_realloc(out->inexact, cap * sizeof(*grown));
        if (grown == NULL)
            return err_set(s->e, ERR_RETRY, "OutOfMemory", "out of memory while reading json");
        out->inexact = grown;
        out->cap = cap;
    }
    out->inexact[out->count++] = s->numbers;
    return true;
}

static bool scan_number(struct scanner *s)
{
    const size_t n = number_length(s);
    if (n == 0)
        return json_fail_at(s->text, s->at, s->e, "not a number as json has them");
    if (n > NUMBER_MAX)
        return json_fail_at(s->text, s->at, s->e, "number of more than %d characters", NUMBER_MAX);
    char text[NUMBER_MAX + 1] = {0};
    memcpy(text, s->text.ptr + s->at, n);
    if (!is_exact_number(text) && !note_inexact(s))
        return false;
    s->numbers++;
    s->at += n;
    return true;
}

static bool scan_literal(struct scanner *s)
{
    static const struct str literals[] = {
        {STR_INIT("true")}, {STR_INIT("false")}, {STR_INIT("null")}};
    for (size_t i = 0; i < ARRAY_SIZE(literals); i++)
        if (str_starts_with(str_from_offset(s->text, s->at), literals[i])) {
            s->at += literals[i].len;
            return true;
        }
    const unsigned char c = (unsigned char)s->text.ptr[s->at];
    if (c > 0x20 && c < 0x7f)
        return json_fail_at(s->text, s->at, s->e, "unexpected '%c'", c);
    return json_fail_at(s->text, s->at, s->e, "unexpected byte 0x%02x", c);
}

static bool scan_token(struct scanner *s)
{
    switch (s->text.ptr[s->at]) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case ':':
        s->at++;
        return true;
    case ',':
        s->at++;
        if (++s->values > JSON_MAX_VALUES)
            return json_fail_at(s->text, s->at, s->e, "more than %d values", JSON_MAX_VALUES);
        return true;
    case '[':
    case '{':
        if (++s->depth > JSON_MAX_DEPTH)
            return json_fail_at(s->text, s->at, s->e, "more than %d levels", JSON_MAX_DEPTH);
        s->values++;
        s->at++;
        return true;
    case ']':
    case '}':
        s->depth--;
        s->at++;
        return true;
    case '"':
        return scan_string(s);
    default:
        return s->text.ptr[s->at] == '-' || is_digit(s->text.ptr[s->at]) ? scan_number(s)
                                                                         : scan_literal(s);
    }
}

bool json_scan_text(struct str text, struct json_scan *ret, struct err *e)
{
    *ret = (struct json_scan){0};
    struct json_scan found = {0};
    struct scanner s = {.text = text, .out = &found, .e = e};
    while (s.at < text.len)
        if (!scan_token(&s)) {
            json_scan_fini(&found);
            return false;
        }
    *ret = found;
    return true;
}
