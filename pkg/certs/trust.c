// SPDX-License-Identifier: Apache-2.0
/*
 * Whom caBundle trusts: ours, and for a while what others put there, so that replicas of another
 * certificate mode are trusted while the mode is changed. What is not a certificate, has expired,
 * or was a stranger for one leaf lifetime goes. And since when the live bundles show a certificate,
 * which says when API servers are sure to have seen it.
 */
#include "base/mem.h"
#include "certs_priv.h"

#include <string.h>

/* A certificate of the live bundles. */
struct seen {
    int64_t first_mono_ms;
    uint64_t round; /* when last */
};

static void free_seen(void *p)
{
    mem_free(p);
}

void trust_init(struct trust *t)
{
    *t = (struct trust){.strangers = map_new(), .shown = map_new()};
}

void trust_fini(struct trust *t)
{
    map_free(t->strangers, free_seen);
    map_free(t->shown, free_seen);
}

static int64_t see(struct trust *t, struct map *in, const char *fingerprint, int64_t now_mono_ms)
{
    struct seen *known = map_get(in, str_from(fingerprint));
    if (known == NULL) {
        known = mem_alloc(sizeof *known);
        known->first_mono_ms = now_mono_ms;
        (void)map_put(in, str_from(fingerprint), known);
    }
    known->round = t->round;
    return known->first_mono_ms;
}

/* What left the bundle is new when it comes back. */
static void forget_absent(const struct trust *t, struct map *in)
{
    struct map_entry *next = NULL;
    for (struct map_entry *it = map_first(in); it != NULL; it = next) {
        next = map_next(it);
        if (((const struct seen *)map_value(it))->round != t->round)
            mem_free(map_remove(in, map_key(it)));
    }
}

/* --- composing ----------------------------------------------------------------------------------
 */

struct composing {
    struct trust *trust;
    struct str ours;
    struct buf *out;
    int64_t keep_ms;
    int64_t now_unix_ms;
    int64_t now_mono_ms;
    size_t count;
};

static void append_once(struct composing *c, const char *fingerprint, struct str pem)
{
    if (c->count >= CRYPTO_BUNDLE_MAX || crypto_bundle_has(buf_str(c->out), fingerprint))
        return;
    buf_append(c->out, pem);
    c->count++;
}

static void add_ours(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct composing *c = arg;
    if (info->not_after_unix_ms > c->now_unix_ms)
        append_once(c, info->fingerprint, pem);
}

static void add_stranger(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct composing *c = arg;
    if (info->not_after_unix_ms <= c->now_unix_ms || crypto_bundle_has(c->ours, info->fingerprint))
        return;
    const int64_t first_ms = see(c->trust, c->trust->strangers, info->fingerprint, c->now_mono_ms);
    if (c->now_mono_ms - first_ms < c->keep_ms)
        append_once(c, info->fingerprint, pem);
}

void trust_normalise(struct str bundle, int64_t now_unix_ms, struct buf *out)
{
    struct composing c = {.out = out, .now_unix_ms = now_unix_ms};
    crypto_bundle_each(bundle, add_ours, &c);
}

void trust_begin(struct trust *t)
{
    t->round++;
}

void trust_compose(struct trust *t, struct str ours, struct str live, int64_t keep_ms,
                   int64_t now_unix_ms, int64_t now_mono_ms, struct buf *out)
{
    struct composing c = {t, ours, out, keep_ms, now_unix_ms, now_mono_ms, 0};
    crypto_bundle_each(ours, add_ours, &c);
    crypto_bundle_each(live, add_stranger, &c);
}

struct showing {
    struct trust *trust;
    const struct str *lives;
    size_t count;
    int64_t now_mono_ms;
};

static void note_shown(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    const struct showing *s = arg;
    (void)pem;
    for (size_t i = 0; i < s->count; i++)
        if (!crypto_bundle_has(s->lives[i], info->fingerprint))
            return;
    (void)see(s->trust, s->trust->shown, info->fingerprint, s->now_mono_ms);
}

void trust_end(struct trust *t, const struct str *lives, size_t count, int64_t now_mono_ms)
{
    struct showing s = {t, lives, count, now_mono_ms};
    forget_absent(t, t->strangers);
    if (!t->has_begun) {
        t->has_begun = true;
        t->had_strangers = map_count(t->strangers) > 0;
        /* It trusts nobody but us, so that this is nothing that just began. */
        if (!t->had_strangers)
            s.now_mono_ms -= TRUST_WAIT_MAX_MS;
    }
    if (count > 0)
        crypto_bundle_each(lives[0], note_shown, &s);
    forget_absent(t, t->shown);
}

int64_t trust_shown_for_ms(const struct trust *t, const char *fingerprint, int64_t now_mono_ms)
{
    const struct seen *known = map_get(t->shown, str_from(fingerprint));
    return known != NULL ? now_mono_ms - known->first_mono_ms : -1;
}

/* --- comparing ----------------------------------------------------------------------------------
 */

struct comparing {
    struct str other;
    size_t count;
    bool is_subset;
};

static void compare(void *arg, const struct crypto_cert_info *info, struct str pem)
{
    struct comparing *c = arg;
    (void)pem;
    c->count++;
    c->is_subset = c->is_subset && crypto_bundle_has(c->other, info->fingerprint);
}

bool trust_is_same(struct str wanted, struct str live)
{
    if (str_eq(wanted, live))
        return true; /* nearly always: what we wrote */
    struct comparing in_live = {live, 0, true};
    struct comparing in_wanted = {wanted, 0, true};
    crypto_bundle_each(wanted, compare, &in_live);
    crypto_bundle_each(live, compare, &in_wanted);
    return in_live.is_subset && in_wanted.is_subset && in_live.count == in_wanted.count;
}
