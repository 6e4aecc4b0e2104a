// SPDX-License-Identifier: Apache-2.0
/*
 * Whom a client trusts. The certificates are parsed once, into a store that all its connections
 * share: libcurl can cache them only inside one multi handle and only from a file, and otherwise
 * parses them for each connection. That needs libcurl's TLS to be the OpenSSL that we are linked
 * with; where it is not, curl is given the text.
 */
#include "base/mem.h"
#include "http_priv.h"

#include <string.h>

static bool can_share(void)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    return v->ssl_version != NULL && strncmp(v->ssl_version, "OpenSSL/3", 9) == 0;
}

bool http_trust_init(struct http_settings *s, struct str ca_pem, struct err *e)
{
    if (s->is_insecure)
        return true;
    if (!str_is_null(ca_pem) && !can_share()) {
        s->ca_pem = mem_dup(ca_pem.ptr, ca_pem.len);
        s->ca_bytes = ca_pem.len;
        return true;
    }
    if (!str_is_null(ca_pem))
        return crypto_ca_store_new(ca_pem, &s->ca_store, e);
    if (!can_share())
        return true;
    /* where the system has none, a client for plain HTTP still works: curl says it at first use */
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    struct err none = ERR_INIT;
    if (!crypto_ca_store_system(v->cainfo, v->capath, &s->ca_store, &none))
        s->ca_store = NULL;
    return true;
}

void http_trust_fini(struct http_settings *s)
{
    s->ca_pem = mem_free(s->ca_pem);
    s->ca_store = crypto_ca_store_free(s->ca_store);
}

static CURLcode on_tls_context(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    crypto_ca_store_use(arg, ssl_ctx);
    return CURLE_OK;
}

void http_trust_set(CURL *easy, const struct http_settings *s)
{
    if (s->ca_store != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, s->ca_store);
    } else if (s->ca_pem != NULL) {
        struct curl_blob blob = {.data = s->ca_pem, .len = s->ca_bytes, .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
        /* libcurl 7.88: the blob takes the place of the system's bundle but not of its directory,
         * so without this the system's certificates would still be trusted */
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}
