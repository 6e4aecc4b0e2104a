// SPDX-License-Identifier: Apache-2.0
/*
 * The modes whose certificate somebody else makes: files of a mounted Secret, read again and again.
 * A pair that is half replaced is not published (web_tls_publish() checks it whole); the next look
 * finds both.
 */
#include "base/file.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "web/tls.h"

#include <stdio.h>

enum { PATH_LEN = 4096 };

static bool read_file(const struct certs *c, const char *name, struct buf *out, struct err *e)
{
    char path[PATH_LEN];
    const int n = snprintf(path, sizeof path, "%s/%s", c->o.directory, name);
    if (n < 0 || n >= PATH_LEN)
        return err_set(e, ERR_INVALID, "InvalidPath", "the directory's name is too long");
    return file_read(path, out, e);
}

static bool publish(struct certs *c, struct str cert, struct str key, struct err *e)
{
    struct buf both BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX * 2);
    char digest[CRYPTO_SHA256_HEX + 1];
    buf_append(&both, cert);
    buf_append(&both, key);
    crypto_sha256_hex(buf_str(&both), digest);
    crypto_wipe(both.ptr, both.len);
    if (str_eq_cstr(buf_str(&c->files), digest))
        return true;
    struct crypto_cert_info info;
    if (!web_tls_publish(c->o.tls, cert, key, e) || !crypto_cert_read(cert, &info, e))
        return false;
    buf_reset(&c->files);
    buf_append_cstr(&c->files, digest);
    certs_serves(c, info.not_after_unix_ms, "");
    log_info(c->o.log, "webhook certificates", KV_CSTR("what", "certificate loaded"),
             KV_CSTR("directory", c->o.directory));
    return true;
}

static bool load(struct certs *c, struct err *e)
{
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    const bool is_ok = read_file(c, "tls.crt", &cert, e) && read_file(c, "tls.key", &key, e) &&
                       publish(c, buf_str(&cert), buf_str(&key), e);
    if (key.ptr != NULL)
        crypto_wipe(key.ptr, key.len);
    return is_ok;
}

/* provided: the bundle is ours to keep where there is one. */
static bool keep_bundle(struct certs *c, struct err *e)
{
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf ca BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct err missing = ERR_INIT;
    if (c->o.mode != CERTS_PROVIDED)
        return true;
    if (!read_file(c, "ca.crt", &ca, &missing)) {
        if (missing.cls == ERR_NOT_FOUND)
            return true;
        *e = missing;
        return false;
    }
    return certs_keep_bundle(c, buf_str(&ca), &a, NULL, e);
}

bool certs_from_files(struct certs *c, int64_t *ret_wait_ms, struct err *e)
{
    *ret_wait_ms = FILES_EVERY_MS;
    /* who is trusted comes first: what is served next may need it */
    return keep_bundle(c, e) && load(c, e);
}
