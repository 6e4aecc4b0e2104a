// SPDX-License-Identifier: Apache-2.0
/*
 * What curl says about an exchange that failed, as our error: a class and reason for code, and for
 * people a sentence with method, host and port. curl's own words are added where they carry what
 * nothing else does (TLS), cleaned and cut, because parts of them come from the peer.
 */
#include "http_priv.h"

#include <stdio.h>

enum { DETAIL_BYTES = 200 };

/* curl's words, printable and without its full stop. */
static void detail_of(const struct http_exchange *x, CURLcode code, char ret[static DETAIL_BYTES])
{
    const char *text = x->curl_text[0] != '\0' ? x->curl_text : curl_easy_strerror(code);
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < DETAIL_BYTES; n++)
        ret[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : ' ';
    while (n > 0 && (ret[n - 1] == ' ' || ret[n - 1] == '.'))
        n--;
    ret[n] = '\0';
}

static bool error_of_end(const struct http_exchange *x, struct err *e)
{
    if (x->end == HTTP_EXCHANGE_HEADERS_TOO_LARGE)
        return err_set(e, ERR_INVALID, "TooLarge",
                       "%s: the answer has more than %d headers or %d bytes of them", x->where,
                       (int)HTTP_MAX_HEADERS, (int)HTTP_MAX_HEADER_BYTES);
    return err_set(e, ERR_INVALID, "TooLarge", "%s: the answer is larger than %zu bytes", x->where,
                   x->max_body_bytes);
}

static bool connect_error(const struct http_exchange *x, struct err *e)
{
    long os_error = 0;
    char text[128];
    curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_error);
    if (os_error == 0)
        return err_set(e, ERR_RETRY, "ConnectFailed", "%s: cannot connect", x->where);
    return err_set(e, ERR_RETRY, "ConnectFailed", "%s: cannot connect: %s", x->where,
                   strerror_r((int)os_error, text, sizeof(text)));
}

static bool timeout_error(const struct http_exchange *x, struct err *e)
{
    curl_off_t started_us = 0;
    curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &started_us);
    const char *what = started_us == 0 ? "no connection" : "no complete answer";
    /* no measured time: the text may stand in a status, where it should not change by itself */
    return err_set(e, ERR_RETRY, "Timeout", "%s: %s in time", x->where, what);
}

static bool lost_error(const struct http_exchange *x, CURLcode code, struct err *e)
{
    char detail[DETAIL_BYTES];
    long proxy_status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300)
        return err_set(e, ERR_RETRY, "ConnectFailed",
                       "%s: the proxy refused the connection with status %ld", x->where,
                       proxy_status);
    /* a TLS 1.3 server tells that it wants another client certificate only after the handshake */
    detail_of(x, code, detail);
    if (strstr(detail, " alert ") != NULL)
        return err_set(e, ERR_RETRY, "TLSFailed", "%s: the peer ended TLS: %s", x->where, detail);
    return err_set(e, ERR_RETRY, "ConnectionLost",
                   "%s: the connection ended before the answer was whole", x->where);
}

static bool tls_error(const struct http_exchange *x, CURLcode code, struct err *e)
{
    char detail[DETAIL_BYTES];
    detail_of(x, code, detail);
    return err_set(e, ERR_RETRY, "TLSFailed", "%s: TLS failed: %s", x->where, detail);
}

static bool certificate_error(const struct http_exchange *x, CURLcode code, struct err *e)
{
    char detail[DETAIL_BYTES];
    detail_of(x, code, detail);
    const char *what = code == CURLE_SSL_CACERT_BADFILE ? x->settings->ca_pem
                                                              ? "the configured CA certificates"
                                                              : "the system's CA certificates"
                                                        : "the client certificate or its key";
    return err_set(e, ERR_INVALID, "BadCertificate", "%s: %s cannot be used: %s", x->where, what,
                   detail);
}

static bool other_error(const struct http_exchange *x, CURLcode code, struct err *e)
{
    char detail[DETAIL_BYTES];
    detail_of(x, code, detail);
    return err_set(e, ERR_RETRY, "ProtocolError", "%s: no HTTP answer that can be read: %s",
                   x->where, detail);
}

bool http_exchange_error(const struct http_exchange *x, CURLcode code, struct err *e)
{
    if (x->end == HTTP_EXCHANGE_HEADERS_TOO_LARGE || x->end == HTTP_EXCHANGE_BODY_TOO_LARGE)
        return error_of_end(x, e);
    if (x->end == HTTP_EXCHANGE_OUT_OF_MEMORY)
        return err_set(e, ERR_RETRY, "OutOfMemory", "%s: out of memory for the answer", x->where);
    switch (code) {
    case CURLE_FILESIZE_EXCEEDED:
        return error_of_end(x, e);
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(e, ERR_CANCELLED, "Cancelled", "%s: cancelled", x->where);
    case CURLE_OPERATION_TIMEDOUT:
        return timeout_error(x, e);
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, ERR_RETRY, "DNSFailed", "%s: the host name cannot be resolved", x->where);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return err_set(e, ERR_RETRY, "DNSFailed", "%s: the proxy's name cannot be resolved",
                       x->where);
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return connect_error(x, e);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
        return tls_error(x, code, e);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return certificate_error(x, code, e);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return lost_error(x, code, e);
    case CURLE_URL_MALFORMAT:
        return err_set(e, ERR_INVALID, "BadRequest", "%s: the URL is malformed", x->where);
    case CURLE_OUT_OF_MEMORY:
        return err_set(e, ERR_RETRY, "OutOfMemory", "%s: out of memory", x->where);
    default:
        return other_error(x, code, e);
    }
}
