// SPDX-License-Identifier: Apache-2.0
/*
 * The modes whose certificate somebody else makes: files of a mounted Secret, read again and again.
 * A pair that is half replaced is not published: web_tls_publish() checks it whole, and it has to
 * be of an authority of the ca.crt that was read with it. The next look finds all three.
 */
#include "base/file.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "web/tls.h"

#include <stdio.h>

enum { PATH_LEN = 4096 };

struct files {
    struct buf ca; /* empty: there is none, or it is not ours to look at */
    struct buf cert;
    struct buf key;
};

static bool read_file(const struct certs *c, const char *name, struct buf *out, struct err *e)
{
    char path[PATH_LEN];
    const int n = snprintf(path, sizeof path, "%s/%s", c->o.directory, name);
    if (n < 0 || n >= PATH_LEN)
        return err_set(e, ERR_INVALID, "InvalidPath", "the directory's name is too long");
    return file_read(path, out, e);
}

static bool read_ca(const struct certs *c, struct buf *out, struct err *e)
{
    struct err missing = ERR_INIT;
    if (c->o.mode != CERTS_PROVIDED || read_file(c, "ca.crt", out, &missing) ||
        missing.cls == ERR_NOT_FOUND)
        return true;
    *e = missing;
    return false;
}

static void digest_of(const struct files *f, char digest[static CRYPTO_SHA256_HEX + 1])
{
    struct buf both BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX * 2);
    buf_append(&both, buf_str(&f->cert));
    buf_append(&both, buf_str(&f->key));
    crypto_sha256_hex(buf_str(&both), digest);
    if (both.ptr != NULL)
        crypto_wipe(both.ptr, both.len);
}

/* Is it worth being served? */
static bool check(const struct certs *c, const struct files *f, struct crypto_cert_info *ret,
                  struct err *e)
{
    if (!crypto_cert_read(buf_str(&f->cert), ret, e))
        return err_wrap(e, "%s/tls.crt", c->o.directory);
    if (ret->not_after_unix_ms <= clock_unix_ms(c->o.clock))
        return err_set(e, ERR_INVALID, "InvalidCertificate", "%s/tls.crt has expired",
                       c->o.directory);
    if (f->ca.len > 0 && !crypto_chain_verifies(buf_str(&f->cert), buf_str(&f->ca)))
        return err_set(e, ERR_INVALID, "InvalidCertificate",
                       "%s/tls.crt was signed by no certificate of ca.crt beside it",
                       c->o.directory);
    return true;
}

/* By another authority than that of what is served: only once API servers trust it. */
static bool may_change(struct certs *c, struct str ca, int64_t *wait_ms)
{
    if (ca.len == 0 || str_eq(ca, buf_str(&c->authorities)))
        return true;
    const struct leaf_facts facts = {
        .is_valid = c->leaf_not_after_ms > clock_unix_ms(c->o.clock),
        .is_trusted = certs_shown_for_ms(c, buf_str(&c->authorities)) >= 0,
        .other_live_for_ms = certs_shown_for_ms(c, ca),
        .leaf_lifetime_ms = c->o.leaf_lifetime_ms,
    };
    return leaf_may_change(&facts, wait_ms);
}

static bool load(struct certs *c, struct files *f, int64_t *wait_ms, struct err *e)
{
    struct crypto_cert_info info;
    char digest[CRYPTO_SHA256_HEX + 1];
    if (!read_file(c, "tls.crt", &f->cert, e) || !read_file(c, "tls.key", &f->key, e))
        return false;
    digest_of(f, digest);
    if (str_eq_cstr(buf_str(&c->files), digest))
        return true;
    if (!check(c, f, &info, e))
        return false;
    if (!may_change(c, buf_str(&f->ca), wait_ms))
        return true;
    if (!web_tls_publish(c->o.tls, buf_str(&f->cert), buf_str(&f->key), e))
        return err_wrap(e, "%s", c->o.directory);
    buf_reset(&c->files);
    buf_append_cstr(&c->files, digest);
    buf_reset(&c->authorities);
    buf_append(&c->authorities, buf_str(&f->ca));
    certs_serves(c, &info, "");
    log_info(c->o.log, "webhook certificates", KV_CSTR("what", "certificate loaded"),
             KV_CSTR("directory", c->o.directory));
    return true;
}

bool certs_from_files(struct certs *c, int64_t *ret_wait_ms, struct err *e)
{
    struct files f = {
        .ca = BUF_INIT(CRYPTO_PEM_MAX),
        .cert = BUF_INIT(CRYPTO_PEM_MAX),
        .key = BUF_INIT(CRYPTO_PEM_MAX),
    };
    struct err of_load = ERR_INIT;
    *ret_wait_ms = FILES_EVERY_MS;
    /* who is trusted comes first: what is served next may need it; but a pair of the same authority
     * is served also while the API server is away */
    const bool is_read = read_ca(c, &f.ca, e);
    const bool is_kept = is_read && (f.ca.len == 0 || certs_keep_bundle(c, buf_str(&f.ca), e));
    const bool is_loaded = is_read && load(c, &f, ret_wait_ms, &of_load);
    if (is_kept && !is_loaded)
        *e = of_load;
    if (f.key.ptr != NULL)
        crypto_wipe(f.key.ptr, f.key.len);
    buf_fini(&f.ca);
    buf_fini(&f.cert);
    buf_fini(&f.key);
    return is_kept && is_loaded;
}
