// SPDX-License-Identifier: Apache-2.0
/*
 * The shared certificate store, over OpenSSL's X509_STORE, which counts its users and locks itself.
 */
#include "crypto/ca_store.h"

#include "base/mem.h"
#include "crypto_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <limits.h>

struct crypto_ca_store {
    X509_STORE *store;
};

static struct crypto_ca_store *store_new(void)
{
    struct crypto_ca_store *s = mem_alloc(sizeof(*s));
    s->store = X509_STORE_new();
    if (s->store == NULL)
        crypto_priv_broken("X509_STORE_new");
    /* as libcurl does: an intermediate certificate that is listed is trusted by itself */
    X509_STORE_set_flags(s->store, X509_V_FLAG_PARTIAL_CHAIN);
    return s;
}

/* All certificates of the text; keys and revocation lists beside them are passed over. -1: damage.
 */
static int add_pem(X509_STORE *store, struct str pem)
{
    int added = 0;
    BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
    STACK_OF(X509_INFO) *infos = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    if (infos == NULL)
        added = -1;
    for (int i = 0; i < sk_X509_INFO_num(infos) && added >= 0; i++) {
        X509 *certificate = sk_X509_INFO_value(infos, i)->x509;
        if (certificate != NULL)
            added = X509_STORE_add_cert(store, certificate) == 1 ? added + 1 : -1;
    }
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return added;
}

bool crypto_ca_store_new(struct str pem, struct crypto_ca_store **ret, struct err *e)
{
    *ret = NULL;
    struct crypto_ca_store *s BERTH_CLEANUP(crypto_ca_store_freep) = store_new();
    if (add_pem(s->store, pem) < 1)
        return err_set(e, ERR_INVALID, "BadCertificate",
                       "the configured CA certificates cannot be read: no PEM of certificates");
    *ret = TAKE(s);
    return true;
}

bool crypto_ca_store_system(const char *file, const char *dir, struct crypto_ca_store **ret,
                            struct err *e)
{
    *ret = NULL;
    struct crypto_ca_store *s BERTH_CLEANUP(crypto_ca_store_freep) = store_new();
    bool has_file = file != NULL && X509_STORE_load_file(s->store, file) == 1;
    bool has_dir = dir != NULL && X509_STORE_load_path(s->store, dir) == 1;
    ERR_clear_error();
    if (!has_file && !has_dir)
        return err_set(e, ERR_INVALID, "BadCertificate",
                       "the system's CA certificates cannot be read from %s or %s",
                       file ? file : "a file", dir ? dir : "a directory");
    *ret = TAKE(s);
    return true;
}

struct crypto_ca_store *crypto_ca_store_free(struct crypto_ca_store *s)
{
    if (s != NULL)
        X509_STORE_free(s->store);
    return mem_free(s);
}

void crypto_ca_store_use(const struct crypto_ca_store *s, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, s->store);
}
