// SPDX-License-Identifier: Apache-2.0
/*
 * What caBundle is to be: ours, strangers for a while, no garbage; and since when the live bundles
 * show a certificate.
 */
#include "certs_priv.h"
#include "pems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { KEEP_MS = 20000, MANY = 40 };

static struct pem pems[MANY]; /* valid at PEM_NOW_MS, but for the last */
#define OURS    (&pems[0])
#define NEXT    (&pems[1])
#define OTHER   (&pems[2])
#define EXPIRED (&pems[MANY - 1])

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        pem_signer(&pems[i], i < MANY - 1 ? PEM_NOW_MS + PEM_LIFE_MS : PEM_NOW_MS - 1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        pem_fini(&pems[i]);
    return 0;
}

static void add(struct buf *out, const struct pem *p)
{
    buf_append(out, buf_str(&p->cert));
}

/* One look at webhooks that all have this bundle; the wanted one into out. */
static void look(struct trust *t, struct str ours, struct str live, int64_t mono_ms,
                 struct buf *out)
{
    buf_reset(out);
    trust_begin(t);
    trust_compose(t, ours, live, KEEP_MS, PEM_NOW_MS, mono_ms, out);
    trust_end(t, &live, 1, mono_ms);
}

static size_t count_of(struct str bundle, const char *mark)
{
    size_t n = 0;
    for (const char *at = bundle.ptr; at != NULL && (at = strstr(at, mark)) != NULL; at++)
        n++;
    return n;
}

static size_t certs_in(struct str bundle)
{
    return count_of(bundle, "-----BEGIN CERTIFICATE-----");
}

static void test_strangers_are_kept_for_a_while(void **state)
{
    (void)state;
    struct trust t;
    struct buf live BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    const struct str ours = buf_str(&OURS->cert);
    trust_init(&t);
    add(&live, OTHER);
    add(&live, EXPIRED);
    add(&live, OURS);
    look(&t, ours, buf_str(&live), 0, &out);
    assert_int_equal(certs_in(buf_str(&out)), 2);
    assert_true(crypto_bundle_has(buf_str(&out), OURS->fingerprint));
    assert_true(crypto_bundle_has(buf_str(&out), OTHER->fingerprint));
    look(&t, ours, buf_str(&live), KEEP_MS - 1, &out);
    assert_true(crypto_bundle_has(buf_str(&out), OTHER->fingerprint));
    look(&t, ours, buf_str(&live), KEEP_MS, &out);
    assert_true(str_eq(buf_str(&out), ours));
    /* it went, and comes back: a stranger anew */
    look(&t, ours, ours, KEEP_MS + 1, &out);
    look(&t, ours, buf_str(&live), KEEP_MS + 2, &out);
    assert_true(crypto_bundle_has(buf_str(&out), OTHER->fingerprint));
    trust_fini(&t);
}

/* A stranger in one of several webhooks is as old as it is; each has its own. */
static void test_several_webhooks(void **state)
{
    (void)state;
    struct trust t;
    struct buf live BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    const struct str ours = buf_str(&OURS->cert);
    add(&live, OTHER);
    const struct str lives[] = {buf_str(&live), ours, STR("")};
    trust_init(&t);
    for (int64_t ms = 0; ms <= KEEP_MS; ms += KEEP_MS / 2) {
        trust_begin(&t);
        for (size_t i = 0; i < 3; i++) {
            buf_reset(&out);
            trust_compose(&t, ours, lives[i], KEEP_MS, PEM_NOW_MS, ms, &out);
            assert_int_equal(certs_in(buf_str(&out)), i == 0 && ms < KEEP_MS ? 2 : 1);
        }
        trust_end(&t, lives, 3, ms);
        /* not all show it */
        assert_int_equal(trust_shown_for_ms(&t, OURS->fingerprint, ms), -1);
    }
    trust_fini(&t);
}

static void test_shown(void **state)
{
    (void)state;
    struct trust t;
    struct buf both BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    const struct str ours = buf_str(&OURS->cert);
    add(&both, NEXT);
    add(&both, OURS);
    const struct str two = buf_str(&both);
    trust_init(&t);
    look(&t, ours, ours, 50000, &out); /* the first look: it is so since long ago */
    assert_false(t.had_strangers);
    assert_int_equal(trust_shown_for_ms(&t, OURS->fingerprint, 50000), TRUST_WAIT_MAX_MS);
    look(&t, two, two, 51000, &out);
    assert_int_equal(trust_shown_for_ms(&t, NEXT->fingerprint, 51000), 0);
    assert_int_equal(trust_shown_for_ms(&t, NEXT->fingerprint, 52000), 1000);
    assert_int_equal(trust_shown_for_ms(&t, OTHER->fingerprint, 52000), -1);
    /* somebody takes it away, and it comes back: the time begins again */
    look(&t, two, ours, 53000, &out);
    assert_int_equal(trust_shown_for_ms(&t, NEXT->fingerprint, 53000), -1);
    look(&t, two, two, 54000, &out);
    assert_int_equal(trust_shown_for_ms(&t, NEXT->fingerprint, 54000), 0);
    assert_int_equal(trust_shown_for_ms(&t, OURS->fingerprint, 54000), TRUST_WAIT_MAX_MS + 4000);
    trust_fini(&t);
    /* others are trusted at the first look */
    trust_init(&t);
    look(&t, ours, two, 0, &out);
    assert_true(t.had_strangers);
    assert_int_equal(trust_shown_for_ms(&t, OURS->fingerprint, 0), 0);
    look(&t, ours, ours, 0, &out);
    assert_true(t.had_strangers); /* it stays */
    trust_fini(&t);
}

static void test_the_same(void **state)
{
    (void)state;
    struct buf a BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf b BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    add(&a, OURS);
    add(&a, NEXT);
    buf_append_cstr(&b, "# somebody's words\n");
    add(&b, NEXT);
    buf_append_cstr(&b, "\r\nand more\n");
    add(&b, OURS);
    assert_true(trust_is_same(buf_str(&a), buf_str(&b)));
    assert_true(trust_is_same(STR(""), STR("")));
    assert_true(trust_is_same(STR(""), STR("garbage")));
    assert_false(trust_is_same(buf_str(&a), STR("")));
    assert_false(trust_is_same(STR(""), buf_str(&a)));
    assert_false(trust_is_same(buf_str(&a), buf_str(&OURS->cert)));
    assert_false(trust_is_same(buf_str(&OURS->cert), buf_str(&a)));
    add(&b, OURS); /* twice is written once */
    assert_false(trust_is_same(buf_str(&a), buf_str(&b)));
}

/* What OpenSSL reads and an API server does not is no trust. */
static void test_what_an_api_server_reads(void **state)
{
    (void)state;
    struct buf glued BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    const struct str ours = buf_str(&OURS->cert);
    buf_append(&glued, (struct str){NEXT->cert.ptr, NEXT->cert.len - 1}); /* no newline */
    add(&glued, OURS);
    assert_false(trust_is_same(ours, buf_str(&glued)));
    trust_normalise(buf_str(&glued), PEM_NOW_MS, &out);
    assert_int_equal(certs_in(buf_str(&out)), 2);
    assert_true(crypto_bundle_has(buf_str(&out), OURS->fingerprint));
    assert_true(crypto_bundle_has(buf_str(&out), NEXT->fingerprint));
    assert_false(trust_is_same(buf_str(&out), buf_str(&glued)));
    buf_reset(&out);
    trust_normalise(buf_str(&EXPIRED->cert), PEM_NOW_MS, &out);
    assert_int_equal(out.len, 0);
}

/* More than a bundle holds: ours are in it, whatever is before them. */
static void test_many(void **state)
{
    (void)state;
    struct trust t;
    struct buf live BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(BUNDLE_TEXT_MAX);
    const struct str ours = buf_str(&OURS->cert);
    for (size_t i = 2; i < MANY - 1; i++)
        add(&live, &pems[i]);
    add(&live, OURS);
    trust_init(&t);
    look(&t, ours, buf_str(&live), 0, &out);
    assert_int_equal(certs_in(buf_str(&out)), CRYPTO_BUNDLE_MAX);
    assert_true(str_starts_with(buf_str(&out), ours));
    assert_false(trust_is_same(buf_str(&out), buf_str(&live)));
    /* the same one many times is one */
    buf_reset(&live);
    for (size_t i = 0; i < CRYPTO_BUNDLE_MAX; i++)
        add(&live, OTHER);
    look(&t, ours, buf_str(&live), 1, &out);
    assert_int_equal(certs_in(buf_str(&out)), 2);
    trust_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strangers_are_kept_for_a_while),
        cmocka_unit_test(test_several_webhooks),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_the_same),
        cmocka_unit_test(test_what_an_api_server_reads),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
