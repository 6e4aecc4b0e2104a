// SPDX-License-Identifier: Apache-2.0
/*
 * What can be said of PEM texts without parsing certificates (that is OpenSSL's, inside curl, at
 * the first use): that they hold what they must, in whole frames of base64. It finds the usual
 * mistakes early: a path or base64 of PEM in place of PEM, a text cut short, a key in place of a
 * certificate.
 */
#include "http_priv.h"

#define BEGIN  "-----BEGIN "
#define END    "-----END "
#define DASHES "-----"

static bool is_base64_line(struct str line)
{
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/' || c == '='))
            return false;
    }
    return true;
}

/* "-----BEGIN X-----" gives X. */
static bool label_of(struct str line, struct str mark, struct str *ret)
{
    if (!str_starts_with(line, mark) || !str_ends_with(line, STR(DASHES)) ||
        line.len < mark.len + sizeof(DASHES))
        return false;
    *ret = str_n(line.ptr + mark.len, line.len - mark.len - (sizeof(DASHES) - 1));
    return true;
}

/* Takes the next frame off *rest. 1: there is one, *ret is its label; 0: none; -1: damaged. What
 * stands outside of frames (comments, "Bag Attributes") is passed over. */
static int next_frame(struct str *rest, struct str *ret_label)
{
    struct str line, end;
    bool is_open = false;
    size_t lines = 0;
    while (str_next(rest, '\n', &line)) {
        line = str_trim(line);
        if (!is_open) {
            is_open = label_of(line, STR(BEGIN), ret_label);
            if (!is_open && str_starts_with(line, STR(BEGIN)))
                return -1;
        } else if (label_of(line, STR(END), &end)) {
            return str_eq(end, *ret_label) && lines > 0 ? 1 : -1;
        } else if (str_contains(line, STR(":"))) {
            continue; /* "Proc-Type: 4,ENCRYPTED" (RFC 1421) */
        } else if (!is_base64_line(line)) {
            return -1;
        } else {
            lines += line.len > 0;
        }
    }
    return is_open ? -1 : 0;
}

/* Every frame whole, and at least one whose label ends in `wanted`. */
static bool check(struct str pem, const char *what, struct str wanted, struct err *e)
{
    if (str_is_null(pem))
        return true;
    struct str rest = pem, label = STR_NULL;
    bool has_wanted = false;
    int found;
    while ((found = next_frame(&rest, &label)) > 0)
        has_wanted = has_wanted || str_ends_with(label, wanted);
    if (found < 0 || memchr(pem.ptr, '\0', pem.len) != NULL)
        return err_set(e, ERR_INVALID, "BadCertificate",
                       "the %s is damaged PEM: a frame is not whole or not base64", what);
    if (!has_wanted)
        return err_set(e, ERR_INVALID, "BadCertificate", "the %s holds no PEM of a %.*s", what,
                       STR_ARG(wanted));
    return true;
}

bool http_pem_check(const struct http_options *o, struct err *e)
{
    if (str_is_null(o->client_cert_pem) != str_is_null(o->client_key_pem))
        return err_set(e, ERR_INVALID, "BadCertificate",
                       "a client certificate needs its key, and a key its certificate");
    return check(o->ca_pem, "CA", STR("CERTIFICATE"), e) &&
           check(o->client_cert_pem, "client certificate", STR("CERTIFICATE"), e) &&
           check(o->client_key_pem, "client key", STR("PRIVATE KEY"), e);
}
