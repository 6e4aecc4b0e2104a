// SPDX-License-Identifier: Apache-2.0
/*
 * Hexadecimal and base64 (RFC 4648, section 4). Decoding is our own and strict: OpenSSL's decoder
 * counts padding as data and lets text through that other decoders read differently.
 */
#include "crypto/crypto.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void crypto_hex(const uint8_t *p, size_t n, char *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = hex_digits[p[i] >> 4];
        ret[2 * i + 1] = hex_digits[p[i] & 15];
    }
    ret[2 * n] = '\0';
}

void crypto_base64_encode(struct str data, struct buf *out)
{
    const uint8_t *p = (const uint8_t *)data.ptr;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t bits = (uint32_t)p[i] << 16;
        if (left > 1)
            bits |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            bits |= p[i + 2];
        const char text[4] = {base64_digits[bits >> 18], base64_digits[bits >> 12 & 63],
                              left > 1 ? base64_digits[bits >> 6 & 63] : '=',
                              left > 2 ? base64_digits[bits & 63] : '='};
        buf_append_bytes(out, text, sizeof(text));
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Appends the bytes of one group of four digits, pads of them being '='. */
static bool decode_group(uint32_t bits, int pads, struct buf *out)
{
    if ((pads == 1 && (bits & 0xff) != 0) || (pads == 2 && (bits & 0xffff) != 0))
        return false; /* bits that no encoder sets (RFC 4648, 3.5) */
    const char bytes[3] = {(char)(bits >> 16 & 0xff), (char)(bits >> 8 & 0xff),
                           (char)(bits & 0xff)};
    buf_append_bytes(out, bytes, (size_t)(3 - pads));
    return true;
}

static bool decode(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    int digits = 0; /* in this group, pads included */
    int pads = 0;
    bool is_ended = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_space(c))
            continue;
        int value = c == '=' ? 0 : base64_value(c);
        if (value < 0 || is_ended || (c == '=' ? digits < 2 : pads > 0))
            return false;
        pads += c == '=';
        bits = bits << 6 | (uint32_t)value;
        if (++digits == 4) {
            if (!decode_group(bits, pads, out))
                return false;
            is_ended = pads > 0;
            bits = 0;
            digits = 0;
        }
    }
    return digits == 0;
}

bool crypto_base64_decode(struct str text, struct buf *out)
{
    size_t before = out->len;
    if (decode(text, out) && buf_ok(out))
        return true;
    if (out->len > before)
        buf_truncate(out, before);
    return false;
}
