// SPDX-License-Identifier: Apache-2.0
/*
 * The Secret, there and back, and what somebody else may have made of it.
 */
#include "certs_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "kube/object.h"
#include "pems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct pem one, two, old;
static const struct certs_options options = {.namespace = "berth", .secret = "certs"};

static int set_up(void **state)
{
    (void)state;
    pem_signer(&one, PEM_NOW_MS + PEM_LIFE_MS);
    pem_signer(&two, PEM_NOW_MS + PEM_LIFE_MS);
    pem_signer(&old, PEM_NOW_MS + PEM_LIFE_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pem_fini(&one);
    pem_fini(&two);
    pem_fini(&old);
    return 0;
}

static struct kube_object *parse(struct str text)
{
    struct kube_object *o = NULL;
    struct err e = ERR_INIT;
    if (!kube_object_parse(text, &o, &e))
        fail_msg("%s", e.msg);
    return o;
}

static struct signers whole(struct arena *a)
{
    struct signers s = {
        .cert = buf_str(&one.cert),
        .key = buf_str(&one.key),
        .next_cert = buf_str(&two.cert),
        .next_key = buf_str(&two.key),
        .promoted_at_ms = PEM_NOW_MS,
    };
    signers_set_bundle(&s, buf_str(&old.cert), a);
    return s;
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 4);
    const struct signers s = whole(&a);
    struct signers back;
    assert_true(s.has_old);
    signers_encode(&s, &options, NULL, &text);
    assert_true(buf_ok(&text));
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = parse(buf_str(&text));
    assert_true(str_eq_cstr(kube_object_name(o), "certs"));
    assert_true(str_eq_cstr(kube_object_namespace(o), "berth"));
    assert_true(secret_is_ours(o));
    assert_true(signers_decode(o, &a, &back));
    assert_true(str_eq(back.cert, s.cert) && str_eq(back.key, s.key));
    assert_true(str_eq(back.next_cert, s.next_cert) && str_eq(back.next_key, s.next_key));
    assert_true(str_eq(back.bundle, s.bundle));
    assert_true(back.has_old);
    assert_int_equal(back.promoted_at_ms, s.promoted_at_ms);
    signers_wipe(&back);
    assert_true(str_is_null(back.key));
}

/* A merge patch names the version, and removes what is no more. */
static void test_a_patch(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 4);
    struct kube_object *before BERTH_CLEANUP(kube_object_unrefp) =
        parse(STR("{\"metadata\":{\"name\":\"certs\",\"resourceVersion\":\"42\"}}"));
    struct signers s = whole(&a);
    s.next_cert = s.next_key = STR_NULL;
    signers_set_bundle(&s, STR_NULL, &a);
    assert_false(s.has_old);
    signers_encode(&s, &options, before, &text);
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    assert_true(json_parse(buf_str(&text), BUNDLE_TEXT_MAX * 4, &doc, &e));
    const struct json *data = json_get(json_root(doc), "data");
    const struct json *metadata = json_get(json_root(doc), "metadata");
    assert_true(str_eq_cstr(json_str_or_null(json_get(metadata, "resourceVersion")), "42"));
    assert_true(str_eq_cstr(
        json_str_or_null(json_get(json_get(metadata, "annotations"), "ecr.berth.dev/promoted-at")),
        "1970-01-21T20:00:00Z"));
    assert_null(json_get(metadata, "name"));
    assert_non_null(json_get(data, "next.crt"));
    assert_true(str_is_null(json_str_or_null(json_get(data, "next.crt"))));
    assert_true(str_is_null(json_str_or_null(json_get(data, "next.key"))));
}

static void put(struct buf *out, const char *key, struct str value)
{
    buf_printf(out, "%s\"%s\":\"", out->ptr[out->len - 1] == '{' ? "" : ",", key);
    crypto_base64_encode(value, out);
    buf_append_char(out, '"');
}

/* A Secret of these parts; absent ones are left out. */
static struct kube_object *secret_of(const char *metadata, struct str cert, struct str key,
                                     struct str next_cert, struct str next_key, struct str bundle)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    buf_printf(&out, "{\"metadata\":{\"name\":\"certs\"%s},\"data\":{", metadata);
    const struct {
        const char *key;
        struct str value;
    } parts[] = {{"tls.crt", cert},
                 {"tls.key", key},
                 {"next.crt", next_cert},
                 {"next.key", next_key},
                 {"ca.crt", bundle}};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (!str_is_null(parts[i].value))
            put(&out, parts[i].key, parts[i].value);
    buf_append_cstr(&out, "}}");
    return parse(buf_str(&out));
}

/* The bundle is that of the signers and what else was in it, whatever it was. */
static void test_the_bundle_has_the_signers(void **state)
{
    (void)state;
    struct buf with_old BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    buf_append_cstr(&with_old, "words\n");
    buf_append(&with_old, buf_str(&old.cert));
    buf_append(&with_old, (struct str){one.cert.ptr, one.cert.len - 1});
    const struct {
        struct str bundle;
        bool has_old;
    } cases[] = {{STR_NULL, false},
                 {STR("garbage"), false},
                 {buf_str(&two.cert), false},
                 {buf_str(&with_old), true}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct signers s;
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
            secret_of("", buf_str(&one.cert), buf_str(&one.key), buf_str(&two.cert),
                      buf_str(&two.key), cases[i].bundle);
        assert_true(signers_decode(o, &a, &s));
        assert_true(crypto_bundle_has(s.bundle, one.fingerprint));
        assert_true(crypto_bundle_has(s.bundle, two.fingerprint));
        assert_int_equal(crypto_bundle_has(s.bundle, old.fingerprint), cases[i].has_old);
        assert_int_equal(s.has_old, cases[i].has_old);
        signers_wipe(&s);
    }
}

static void leaf_of_one(struct pem *p)
{
    static const struct str names[] = {{STR_INIT("localhost")}};
    const struct crypto_leaf leaf = {STR("leaf"), names, 1, 0, PEM_NOW_MS + PEM_LIFE_MS};
    struct err e = ERR_INIT;
    *p = (struct pem){.cert = BUF_INIT(CRYPTO_PEM_MAX), .key = BUF_INIT(CRYPTO_PEM_MAX)};
    if (!crypto_leaf_new(&leaf, buf_str(&one.cert), buf_str(&one.key), &p->cert, &p->key, &e))
        fail_msg("%s", e.msg);
}

/* A pair that cannot sign is none; half of one neither. */
static void test_no_signer(void **state)
{
    (void)state;
    struct pem leaf;
    leaf_of_one(&leaf);
    const struct str pairs[][2] = {
        {STR_NULL, STR_NULL},
        {buf_str(&one.cert), STR_NULL},
        {STR_NULL, buf_str(&one.key)},
        {buf_str(&one.cert), buf_str(&two.key)},
        {buf_str(&leaf.cert), buf_str(&leaf.key)},
        {STR("garbage"), STR("garbage")},
        {buf_str(&one.key), buf_str(&one.cert)},
        {(struct str){one.cert.ptr, one.cert.len / 2}, buf_str(&one.key)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct signers s;
        struct kube_object *first BERTH_CLEANUP(kube_object_unrefp) =
            secret_of("", pairs[i][0], pairs[i][1], buf_str(&two.cert), buf_str(&two.key),
                      buf_str(&old.cert));
        assert_false(signers_decode(first, &a, &s));
        assert_true(str_is_null(s.cert) && str_is_null(s.key));
        assert_true(str_eq(s.next_cert, buf_str(&two.cert))); /* it may take over */
        assert_true(crypto_bundle_has(s.bundle, old.fingerprint));
        signers_wipe(&s);
        struct kube_object *next BERTH_CLEANUP(kube_object_unrefp) = secret_of(
            "", buf_str(&one.cert), buf_str(&one.key), pairs[i][0], pairs[i][1], STR_NULL);
        assert_true(signers_decode(next, &a, &s));
        assert_true(str_is_null(s.next_cert) && str_is_null(s.next_key));
        signers_wipe(&s);
    }
    pem_fini(&leaf);
}

/* As many as fit, the signer first; nothing was promoted; no room for the text. */
static void test_limits(void **state)
{
    (void)state;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct buf many BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX * 4);
    struct buf small BERTH_CLEANUP(buf_fini) = BUF_INIT(100);
    struct signers s = {.cert = buf_str(&one.cert), .key = buf_str(&one.key)};
    for (int i = 0; i < CRYPTO_BUNDLE_MAX; i++) {
        struct pem other;
        pem_signer(&other, PEM_NOW_MS + PEM_LIFE_MS);
        buf_append(&many, buf_str(&other.cert));
        pem_fini(&other);
    }
    signers_set_bundle(&s, buf_str(&many), &a);
    assert_true(str_starts_with(s.bundle, s.cert));
    assert_true(s.bundle.len < many.len + one.cert.len);
    assert_true(s.bundle.len > many.len - one.cert.len);
    signers_encode(&s, &options, NULL, &text);
    assert_true(buf_ok(&text));
    assert_null(strstr(buf_cstr(&text), "promoted-at"));
    assert_null(strstr(buf_cstr(&text), "next"));
    signers_encode(&s, &options, NULL, &small);
    assert_false(buf_ok(&small));
}

static void test_whose_it_is(void **state)
{
    (void)state;
    static const char label[] = ",\"labels\":{\"app.kubernetes.io/managed-by\":\"berth-operator\"}";
    static const char theirs[] = ",\"labels\":{\"app.kubernetes.io/managed-by\":\"Helm\"}";
    const struct {
        const char *metadata;
        struct str cert;
        bool is_ours;
    } cases[] = {{label, STR("anything"), true},
                 {label, STR_NULL, true},
                 {"", STR_NULL, true}, /* nothing of anybody is in it */
                 {theirs, STR_NULL, true},
                 {"", STR("something"), false},
                 {theirs, STR("something"), false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
            secret_of(cases[i].metadata, cases[i].cert, STR_NULL, STR_NULL, STR_NULL, STR_NULL);
        assert_int_equal(secret_is_ours(o), cases[i].is_ours);
    }
    /* what cannot be read is nobody's to write */
    struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) =
        parse(STR("{\"metadata\":{\"name\":\"certs\"},\"data\":{\"a\":1,\"a\":2}}"));
    assert_non_null(kube_object_undecodable(o));
    assert_false(secret_is_ours(o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_a_patch),
        cmocka_unit_test(test_the_bundle_has_the_signers),
        cmocka_unit_test(test_no_signer),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_whose_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
