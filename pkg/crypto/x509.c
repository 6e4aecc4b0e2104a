// SPDX-License-Identifier: Apache-2.0
/*
 * Making and reading certificates with OpenSSL.
 */
#include "crypto/x509.h"

#include "crypto/crypto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SERIAL_BYTES = 16, NAME_MAX_BYTES = 64 /* RFC 5280: ub-common-name */ };

static void free_x509(X509 **at)
{
    X509_free(*at);
}
static void free_pkey(EVP_PKEY **at)
{
    EVP_PKEY_free(*at);
}
static void free_bio(BIO **at)
{
    BIO_free_all(*at);
}

static bool fail(struct err *e, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    (void)err_set(e, ERR_INVALID, "InvalidCertificate", "%s%s%s", what, why != NULL ? ": " : "",
                  why != NULL ? why : "");
    ERR_clear_error();
    return false;
}

/* A key with a passphrase is refused; without this OpenSSL asks on the terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *arg)
{
    (void)text;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

static BIO *reader(struct str pem)
{
    return BIO_new_mem_buf(pem.len > 0 ? pem.ptr : "", (int)pem.len);
}

static X509 *read_cert(struct str pem)
{
    BIO *in BERTH_CLEANUP(free_bio) = reader(pem);
    X509 *cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
    if (cert == NULL)
        ERR_clear_error();
    return cert;
}

static EVP_PKEY *read_key(struct str pem)
{
    BIO *in BERTH_CLEANUP(free_bio) = reader(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    if (key == NULL)
        ERR_clear_error();
    return key;
}

static void take_text(BIO *from, struct buf *to)
{
    char *text = NULL;
    const long n = BIO_get_mem_data(from, &text);
    if (n > 0)
        buf_append_bytes(to, text, (size_t)n);
}

/* --- making ------------------------------------------------------------------------------------
 */

static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_BYTES];
    crypto_random(bytes, sizeof bytes);
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and not shorter */
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    const bool is_ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return is_ok;
}

static bool set_times(X509 *cert, int64_t not_before_ms, int64_t not_after_ms)
{
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(not_before_ms / 1000)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(not_after_ms / 1000)) != NULL;
}

static bool set_name(X509 *cert, struct str common_name)
{
    const struct str cut = str_cut_utf8(common_name, NAME_MAX_BYTES);
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cut.ptr,
                                      (int)cut.len, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    const bool is_ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_ok;
}

static bool begin(X509 *cert, EVP_PKEY *key, struct str common_name, int64_t not_before_ms,
                  int64_t not_after_ms)
{
    return cert != NULL && key != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
           set_serial(cert) && set_times(cert, not_before_ms, not_after_ms) &&
           set_name(cert, common_name) && X509_set_pubkey(cert, key) == 1;
}

static bool write_pair(X509 *cert, EVP_PKEY *key, struct buf *cert_out, struct buf *key_out)
{
    BIO *cert_text BERTH_CLEANUP(free_bio) = BIO_new(BIO_s_mem());
    BIO *key_text BERTH_CLEANUP(free_bio) = BIO_new(BIO_s_secmem());
    if (cert_text == NULL || key_text == NULL || PEM_write_bio_X509(cert_text, cert) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1)
        return false;
    take_text(cert_text, cert_out);
    take_text(key_text, key_out);
    return buf_ok(cert_out) && buf_ok(key_out);
}

bool crypto_signer_new(struct str common_name, int64_t not_before_unix_ms,
                       int64_t not_after_unix_ms, struct buf *cert_out, struct buf *key_out,
                       struct err *e)
{
    EVP_PKEY *key BERTH_CLEANUP(free_pkey) = EVP_EC_gen("P-256");
    X509 *cert BERTH_CLEANUP(free_x509) = X509_new();
    if (begin(cert, key, common_name, not_before_unix_ms, not_after_unix_ms) &&
        X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 &&
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
        X509_sign(cert, key, EVP_sha256()) > 0 && write_pair(cert, key, cert_out, key_out))
        return true;
    return fail(e, "a certificate authority cannot be made");
}

static bool is_address(struct str name)
{
    char text[64];
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return address != NULL;
}

/* No ',' and no ';' or newline can be in them: the text is OpenSSL's list syntax. */
static bool is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' || c == '*';
        if (!is_word)
            return false;
    }
    return name.len > 0;
}

static bool add_names(X509 *cert, X509 *issuer, const struct crypto_leaf *o)
{
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    for (size_t i = 0; i < o->dns_name_count; i++) {
        if (!is_plain(o->dns_names[i]))
            return false;
        buf_printf(&names, "%s%s:%.*s", i > 0 ? "," : "",
                   is_address(o->dns_names[i]) ? "IP" : "DNS", STR_ARG(o->dns_names[i]));
    }
    return buf_ok(&names) && add_extension(cert, issuer, NID_subject_alt_name, buf_cstr(&names));
}

static int64_t time_ms(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

bool crypto_leaf_new(const struct crypto_leaf *o, struct str signer_cert, struct str signer_key,
                     struct buf *cert_out, struct buf *key_out, struct err *e)
{
    X509 *issuer BERTH_CLEANUP(free_x509) = read_cert(signer_cert);
    EVP_PKEY *issuer_key BERTH_CLEANUP(free_pkey) = read_key(signer_key);
    if (issuer == NULL || issuer_key == NULL)
        return fail(e, "the signer cannot be read");
    const int64_t most_ms = time_ms(X509_get0_notAfter(issuer));
    const int64_t until_ms = o->not_after_unix_ms < most_ms ? o->not_after_unix_ms : most_ms;
    EVP_PKEY *key BERTH_CLEANUP(free_pkey) = EVP_EC_gen("P-256");
    X509 *cert BERTH_CLEANUP(free_x509) = X509_new();
    if (begin(cert, key, o->common_name, o->not_before_unix_ms, until_ms) &&
        X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
        add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") &&
        add_extension(cert, issuer, NID_ext_key_usage, "serverAuth") &&
        add_extension(cert, issuer, NID_authority_key_identifier, "keyid") &&
        add_names(cert, issuer, o) && X509_sign(cert, issuer_key, EVP_sha256()) > 0 &&
        write_pair(cert, key, cert_out, key_out))
        return true;
    return fail(e, "a certificate cannot be made");
}

/* --- reading -----------------------------------------------------------------------------------
 */

static void describe(X509 *cert, struct crypto_cert_info *ret)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    *ret = (struct crypto_cert_info){
        .not_before_unix_ms = time_ms(X509_get0_notBefore(cert)),
        .not_after_unix_ms = time_ms(X509_get0_notAfter(cert)),
        .is_ca = X509_check_ca(cert) == 1,
    };
    if (X509_digest(cert, EVP_sha256(), digest, &n) == 1 && n == CRYPTO_SHA256_BYTES)
        crypto_hex(digest, n, ret->fingerprint);
}

bool crypto_cert_read(struct str pem, struct crypto_cert_info *ret, struct err *e)
{
    X509 *cert BERTH_CLEANUP(free_x509) = read_cert(pem);
    if (cert == NULL)
        return fail(e, "the certificate cannot be read (PEM is expected)");
    describe(cert, ret);
    return true;
}

bool crypto_key_matches(struct str cert_pem, struct str key_pem)
{
    X509 *cert BERTH_CLEANUP(free_x509) = read_cert(cert_pem);
    EVP_PKEY *key BERTH_CLEANUP(free_pkey) = read_key(key_pem);
    const bool is_match = cert != NULL && key != NULL && X509_check_private_key(cert, key) == 1;
    ERR_clear_error();
    return is_match;
}

static void give(X509 *cert, crypto_cert_fn *each, void *arg)
{
    struct crypto_cert_info info;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    BIO *out BERTH_CLEANUP(free_bio) = BIO_new(BIO_s_mem());
    describe(cert, &info);
    if (out == NULL || PEM_write_bio_X509(out, cert) != 1)
        return;
    take_text(out, &text);
    each(arg, &info, buf_str(&text));
}

/* Begins at the next "-----BEGIN": what a bad block leaves behind is passed over. */
void crypto_bundle_each(struct str bundle, crypto_cert_fn *each, void *arg)
{
    static const char mark[] = "-----BEGIN CERTIFICATE-----";
    const size_t len = sizeof mark - 1;
    int n = 0;
    for (size_t i = 0; i + len <= bundle.len && n < CRYPTO_BUNDLE_MAX; i++) {
        if (bundle.ptr[i] != '-' || memcmp(bundle.ptr + i, mark, len) != 0)
            continue;
        n++;
        X509 *cert BERTH_CLEANUP(free_x509) = read_cert(str_from_offset(bundle, i));
        if (cert != NULL)
            give(cert, each, arg);
    }
}

struct search {
    const char *fingerprint;
    bool is_found;
};

static void compare(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct search *s = arg;
    (void)pem;
    s->is_found = s->is_found || strcmp(info->fingerprint, s->fingerprint) == 0;
}

bool crypto_bundle_has(struct str bundle, struct str cert)
{
    struct crypto_cert_info info;
    struct err e = ERR_INIT;
    if (!crypto_cert_read(cert, &info, &e))
        return false;
    struct search s = {.fingerprint = info.fingerprint};
    crypto_bundle_each(bundle, compare, &s);
    return s.is_found;
}
