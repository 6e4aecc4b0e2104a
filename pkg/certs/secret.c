// SPDX-License-Identifier: Apache-2.0
/*
 * The Secret of the self-managed mode:
 *
 *     data:
 *       tls.crt, tls.key     the signer
 *       next.crt, next.key   the next signer, while rotating
 *       ca.crt               the bundle: all that are trusted
 *     metadata.annotations:
 *       ecr.berth.dev/promoted-at   when the signer took over, RFC 3339
 *     metadata.labels:
 *       app.kubernetes.io/managed-by: berth-operator   without it, what is in it stays
 */
#include "base/clock.h"
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/object.h"

#define PROMOTED_AT "ecr.berth.dev/promoted-at"
#define MANAGED_BY  "app.kubernetes.io/managed-by"
#define MANAGER     "berth-operator"

static struct str read_data(const struct json *object, const char *key, struct arena *a)
{
    const struct json *data = json_get(object, "data");
    const struct str text = json_str_or_null(json_get(data, key));
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    if (str_is_empty(text) || !crypto_base64_decode(text, &out) || out.len == 0)
        return STR_NULL;
    const struct str copy = arena_copy(a, buf_str(&out));
    crypto_wipe(out.ptr, out.len);
    return copy;
}

static bool is_signer(struct str cert, struct str key)
{
    struct crypto_cert_info info;
    struct err e = ERR_INIT;
    return !str_is_null(cert) && !str_is_null(key) && crypto_cert_read(cert, &info, &e) &&
           info.is_ca && crypto_key_matches(cert, key);
}

struct joining {
    struct buf *out;
    struct signers *s;
    size_t count;
    bool is_old;
};

static void join_one(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct joining *j = arg;
    if (j->count >= CRYPTO_BUNDLE_MAX || crypto_bundle_has(buf_str(j->out), info->fingerprint))
        return;
    buf_append(j->out, pem);
    j->count++;
    j->s->has_old = j->s->has_old || j->is_old;
}

void signers_set_bundle(struct signers *s, struct str held, struct arena *a)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct joining j = {.out = &out, .s = s};
    s->has_old = false;
    crypto_bundle_each(s->cert, join_one, &j);
    crypto_bundle_each(s->next_cert, join_one, &j);
    j.is_old = true;
    crypto_bundle_each(held, join_one, &j);
    s->bundle = arena_copy(a, buf_str(&out));
}

static void wipe(struct str key)
{
    /* they are copies of this package, in its own arena */
    if (!str_is_empty(key))
        crypto_wipe((void *)(uintptr_t)key.ptr, key.len);
}

bool signers_decode(const struct kube_object *secret, struct arena *a, struct signers *ret)
{
    const struct json *object = kube_object_json(secret);
    *ret = (struct signers){
        .cert = read_data(object, "tls.crt", a),
        .key = read_data(object, "tls.key", a),
        .next_cert = read_data(object, "next.crt", a),
        .next_key = read_data(object, "next.key", a),
    };
    if (!clock_parse_rfc3339(kube_object_annotation(secret, PROMOTED_AT), &ret->promoted_at_ms))
        ret->promoted_at_ms = 0;
    const bool is_usable = is_signer(ret->cert, ret->key);
    if (!is_usable) {
        wipe(ret->key);
        ret->cert = STR_NULL;
        ret->key = STR_NULL;
    }
    if (!is_signer(ret->next_cert, ret->next_key)) {
        wipe(ret->next_key);
        ret->next_cert = STR_NULL;
        ret->next_key = STR_NULL;
    }
    signers_set_bundle(ret, read_data(object, "ca.crt", a), a);
    return is_usable;
}

void signers_wipe(struct signers *s)
{
    wipe(s->key);
    wipe(s->next_key);
    *s = (struct signers){0};
}

bool secret_is_ours(const struct kube_object *secret)
{
    static const char *const keys[] = {"tls.crt", "tls.key", "next.crt", "next.key", "ca.crt"};
    const struct json *object = kube_object_json(secret);
    if (str_eq_cstr(kube_object_label(secret, MANAGED_BY), MANAGER))
        return true;
    if (object == NULL)
        return false; /* undecodable: nobody knows what is in it */
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!str_is_empty(json_str_or_null(json_get(json_get(object, "data"), keys[i]))))
            return false;
    return true;
}

static void put_data(struct json_writer *w, const char *key, struct str value)
{
    if (str_is_empty(value)) {
        json_put_null(w, key); /* a merge patch removes it */
        return;
    }
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 2);
    crypto_base64_encode(value, &text);
    json_put_str(w, key, buf_str(&text));
    crypto_wipe(text.ptr, text.len);
}

static void put_metadata(struct json_writer *w, const struct signers *s,
                         const struct certs_options *o, const struct kube_object *secret)
{
    json_key_begin_object(w, "metadata");
    if (secret != NULL) {
        json_put_str(w, "resourceVersion", kube_object_resource_version(secret));
    } else {
        json_put_cstr(w, "name", o->secret);
        json_put_cstr(w, "namespace", o->namespace);
    }
    json_key_begin_object(w, "labels");
    json_put_cstr(w, MANAGED_BY, MANAGER);
    json_end(w);
    if (s->promoted_at_ms != 0) {
        char text[CLOCK_TEXT_MAX];
        clock_format_rfc3339(s->promoted_at_ms, text);
        json_key_begin_object(w, "annotations");
        json_put_cstr(w, PROMOTED_AT, text);
        json_end(w);
    }
    json_end(w);
}

void signers_encode(const struct signers *s, const struct certs_options *o,
                    const struct kube_object *secret, struct buf *out)
{
    struct json_writer w = json_writer_to(out);
    json_begin_object(&w);
    if (secret == NULL) {
        json_put_cstr(&w, "apiVersion", "v1");
        json_put_cstr(&w, "kind", "Secret");
        json_put_cstr(&w, "type", "Opaque");
    }
    put_metadata(&w, s, o, secret);
    json_key_begin_object(&w, "data");
    put_data(&w, "tls.crt", s->cert);
    put_data(&w, "tls.key", s->key);
    put_data(&w, "ca.crt", s->bundle);
    if (secret != NULL || !str_is_empty(s->next_cert)) {
        put_data(&w, "next.crt", s->next_cert);
        put_data(&w, "next.key", s->next_key);
    }
    json_end(&w);
    json_end(&w);
    if (!json_write_ok(&w))
        out->failed = true;
}
