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

enum {
    SERIAL_BYTES = 16,
    NAME_MAX_BYTES = 64 /* RFC 5280: ub-common-name */,
    DNS_NAME_MAX_BYTES = 253 /* RFC 1035, 2.3.4, as text */
};

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
    const bool is_one = address != NULL;
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is_one;
}

/* Letters, digits, '-', '.' and '*' only: the text becomes part of OpenSSL's list syntax. */
static bool is_dns_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '*';
        if (!is_word)
            return false;
    }
    return name.len > 0 && name.len <= DNS_NAME_MAX_BYTES;
}

static bool write_names(const struct crypto_leaf *o, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < o->dns_name_count; i++) {
        const bool is_ip = is_address(o->dns_names[i]);
        if (!is_ip && !is_dns_name(o->dns_names[i]))
            return err_set(e, ERR_INVALID, "InvalidCertificate",
                           "a certificate cannot be made: \"%.*s\" is neither a DNS name nor an "
                           "address",
                           STR_ARG(o->dns_names[i]));
        buf_printf(out, "%s%s:%.*s", i > 0 ? "," : "", is_ip ? "IP" : "DNS",
                   STR_ARG(o->dns_names[i]));
    }
    return buf_ok(out) || err_set(e, ERR_INVALID, "InvalidCertificate",
                                  "a certificate cannot be made: it has too many names");
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
    struct buf names BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    if (issuer == NULL || issuer_key == NULL)
        return fail(e, "the signer cannot be read");
    if (!write_names(o, &names, e))
        return false;
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
        add_extension(cert, issuer, NID_subject_alt_name, buf_cstr(&names)) &&
        X509_sign(cert, issuer_key, EVP_sha256()) > 0 && write_pair(cert, key, cert_out, key_out))
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

#define BEGIN_MARK "-----BEGIN CERTIFICATE-----"
#define END_MARK   "-----END CERTIFICATE-----"

static bool has_at(struct str s, size_t at, struct str what)
{
    return at + what.len <= s.len && memcmp(s.ptr + at, what.ptr, what.len) == 0;
}

/* The end of the block that begins at that place, behind its mark; 0: it has none. */
static size_t block_end(struct str bundle, size_t begin)
{
    for (size_t i = begin + STR(BEGIN_MARK).len; i < bundle.len; i++)
        if (has_at(bundle, i, STR(END_MARK)))
            return i + STR(END_MARK).len;
    return 0;
}

static bool is_line_end(struct str bundle, size_t at)
{
    while (at < bundle.len &&
           (bundle.ptr[at] == ' ' || bundle.ptr[at] == '\t' || bundle.ptr[at] == '\r'))
        at++;
    return at >= bundle.len || bundle.ptr[at] == '\n';
}

/* As Go's pem.Decode() wants it. A ':' is that of a header. */
static bool is_strict(struct str bundle, size_t begin, size_t end)
{
    const struct str inside = {bundle.ptr + begin, end - begin};
    return (begin == 0 || bundle.ptr[begin - 1] == '\n') &&
           is_line_end(bundle, begin + STR(BEGIN_MARK).len) && is_line_end(bundle, end) &&
           bundle.ptr[end - STR(END_MARK).len - 1] == '\n' &&
           memchr(inside.ptr, ':', inside.len) == NULL;
}

static void give(struct str block, bool is_strict_block, crypto_cert_fn *each, void *arg)
{
    X509 *cert BERTH_CLEANUP(free_x509) = read_cert(block);
    BIO *out BERTH_CLEANUP(free_bio) = BIO_new(BIO_s_mem());
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct crypto_cert_info info;
    if (cert == NULL || out == NULL || PEM_write_bio_X509(out, cert) != 1)
        return;
    describe(cert, &info);
    info.is_strict = is_strict_block;
    take_text(out, &text);
    if (buf_ok(&text))
        each(arg, &info, buf_str(&text));
}

/* The next block at *at or behind; *at is moved behind it. False at the end, or after so many. */
static bool next_block(struct str bundle, size_t *at, int *count, struct str *ret, bool *ret_strict)
{
    for (; *at < bundle.len && *count < CRYPTO_BUNDLE_MAX; ++*at) {
        if (!has_at(bundle, *at, STR(BEGIN_MARK)))
            continue;
        ++*count;
        const size_t begin = (*at)++;
        const size_t end = block_end(bundle, begin);
        if (end == 0)
            return false;
        *ret = (struct str){bundle.ptr + begin, end - begin};
        *ret_strict = is_strict(bundle, begin, end);
        return true;
    }
    return false;
}

void crypto_bundle_each(struct str bundle, crypto_cert_fn *each, void *arg)
{
    struct str block;
    bool is_strict_block;
    int count = 0;
    for (size_t at = 0; next_block(bundle, &at, &count, &block, &is_strict_block);)
        give(block, is_strict_block, each, arg);
}

/* Of what the block encodes, which is not looked into: many times faster. */
static bool has_fingerprint(struct str block, const char *fingerprint)
{
    BIO *in BERTH_CLEANUP(free_bio) = reader(block);
    char hex[CRYPTO_SHA256_HEX + 1] = "";
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    if (PEM_read_bio(in, &name, &header, &data, &len) == 1)
        crypto_sha256_hex((struct str){(const char *)data, (size_t)len}, hex);
    ERR_clear_error();
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return strcmp(hex, fingerprint) == 0;
}

bool crypto_bundle_has(struct str bundle, const char *fingerprint)
{
    struct str block;
    bool is_strict_block;
    int count = 0;
    for (size_t at = 0; next_block(bundle, &at, &count, &block, &is_strict_block);)
        if (is_strict_block && has_fingerprint(block, fingerprint))
            return true;
    return false;
}

/* --- verifying ---------------------------------------------------------------------------------
 */

static void free_store(X509_STORE **at)
{
    X509_STORE_free(*at);
}
static void free_verification(X509_STORE_CTX **at)
{
    X509_STORE_CTX_free(*at);
}
static void free_stack(STACK_OF(X509) * *at)
{
    sk_X509_pop_free(*at, X509_free);
}

static void add_trusted(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    X509 *cert BERTH_CLEANUP(free_x509) = read_cert(pem);
    (void)info;
    if (cert != NULL)
        (void)X509_STORE_add_cert(arg, cert);
}

static void add_to_chain(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    X509 *cert = read_cert(pem);
    (void)info;
    if (cert != NULL && sk_X509_push(arg, cert) <= 0)
        X509_free(cert);
}

bool crypto_chain_verifies(struct str chain, struct str bundle)
{
    X509 *leaf BERTH_CLEANUP(free_x509) = read_cert(chain);
    X509_STORE *store BERTH_CLEANUP(free_store) = X509_STORE_new();
    X509_STORE_CTX *verification BERTH_CLEANUP(free_verification) = X509_STORE_CTX_new();
    STACK_OF(X509) * between BERTH_CLEANUP(free_stack) = sk_X509_new_null();
    if (leaf == NULL || store == NULL || verification == NULL || between == NULL)
        return false;
    crypto_bundle_each(bundle, add_trusted, store);
    crypto_bundle_each(chain, add_to_chain, between);
    bool is_ok = X509_STORE_CTX_init(verification, store, leaf, between) == 1;
    if (is_ok) {
        X509_STORE_CTX_set_flags(verification,
                                 X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
        (void)X509_STORE_CTX_set_purpose(verification, X509_PURPOSE_SSL_SERVER);
        is_ok = X509_verify_cert(verification) == 1;
    }
    ERR_clear_error();
    return is_ok;
}
