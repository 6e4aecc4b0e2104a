// SPDX-License-Identifier: Apache-2.0
/*
 * Several replicas with the webhook's certificates, and everything that goes wrong: what they and
 * the API servers see is seconds old, wall clocks differ, requests are lost, or done without an
 * answer, replicas crash and come back without memory, somebody deletes, empties or spoils the
 * Secret, and the mode is changed while they serve. Whatever happens, at no moment is there an API
 * server whose caBundle does not verify what a replica serves that is ready and called.
 */
#include "base/file.h"
#include "base/mem.h"
#include "fleet.h"
#include "fleet_server.h"
#include "web/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    REPLICAS = 3,
    API_SERVERS = 3,
    STEP_MS = 250,
    ENDPOINTS_LATE_MS = 500, /* how long a replica is called after it was killed: not at all */
    FIRST_API_SERVER = REPLICAS
};

struct replica {
    struct world *world;
    struct certs certs;
    struct clock clock;
    struct fleet_viewer secret, webhook;
    struct web_tls *tls;
    struct log *log;
    int64_t skew_ms;
    int64_t due_ms; /* of its next look */
    int64_t down_until_ms;
    size_t secret_seen, webhook_seen; /* versions: news wake it */
    /* what was found good: by this API server's text and this certificate */
    const char *checked_text[API_SERVERS];
    uint64_t checked_publication[API_SERVERS];
    bool is_up;
};

struct world {
    struct fleet fleet;
    struct replica replicas[REPLICAS];
    struct certs_options options;
    char directory[64]; /* of the mode provided */
    enum certs_mode mode;
    uint64_t seed;
    int64_t called_ms; /* replica times API server times time */
    int promotions, crashes;
    bool has_crashes;
    bool is_begun; /* API servers trust somebody */
};

static int64_t replica_mono_ms(void *impl)
{
    return ((const struct replica *)impl)->world->fleet.now_ms;
}

static int64_t replica_unix_ms(void *impl)
{
    const struct replica *r = impl;
    return r->world->fleet.now_ms + r->skew_ms;
}

static void start(struct world *w, size_t index)
{
    struct replica *r = &w->replicas[index];
    *r = (struct replica){.world = w, .skew_ms = r->skew_ms, .due_ms = w->fleet.now_ms};
    r->clock = (struct clock){replica_unix_ms, replica_mono_ms, r};
    r->secret = (struct fleet_viewer){.fleet = &w->fleet, .object = &w->fleet.secret, index, false};
    r->webhook =
        (struct fleet_viewer){.fleet = &w->fleet, .object = &w->fleet.webhook, index, false};
    r->tls = web_tls_new();
    r->log = log_new(STDERR_FILENO, LOG_ERROR);
    struct certs *c = &r->certs;
    c->o = w->options;
    c->o.mode = w->mode;
    c->o.kube = (void *)&w->fleet;
    c->o.tls = r->tls;
    c->o.clock = &r->clock;
    c->o.log = r->log;
    c->o.directory = w->directory;
    c->secret = (void *)&r->secret;
    c->webhook = (void *)&r->webhook;
    c->files = BUF_INIT(CRYPTO_SHA256_HEX + 1);
    c->authorities = BUF_INIT(CRYPTO_PEM_MAX);
    trust_init(&c->trust);
    (void)pthread_mutex_init(&c->mutex, NULL);
    r->is_up = true;
}

static void crash(struct replica *r)
{
    if (!r->is_up)
        return;
    r->is_up = false;
    signers_wipe(&r->certs.memory);
    arena_fini(&r->certs.memory_arena);
    trust_fini(&r->certs.trust);
    buf_fini(&r->certs.files);
    buf_fini(&r->certs.authorities);
    (void)pthread_mutex_destroy(&r->certs.mutex);
    r->tls = web_tls_free(r->tls);
    r->log = log_free(r->log);
}

static bool is_ready(struct replica *r)
{
    return r->is_up && certs_is_ready(&r->certs, NULL);
}

static size_t ready_count(struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < REPLICAS; i++)
        n += is_ready(&w->replicas[i]);
    return n;
}

/* --- what must hold -----------------------------------------------------------------------------
 */

static void complain(const struct world *w, size_t replica, size_t server, const char *what)
{
    fail_msg("seed %llu, %lld ms: API server %zu and replica %zu: %s", (unsigned long long)w->seed,
             (long long)(w->fleet.now_ms - FLEET_START_MS), server, replica, what);
}

/* By what the replica serves, as a client of it sees it. */
static void check_call(struct world *w, size_t replica, size_t server)
{
    struct replica *r = &w->replicas[replica];
    const struct certs *c = &r->certs;
    struct web_tls_info served;
    const struct str text = fleet_view(&w->fleet, &w->fleet.webhook, FIRST_API_SERVER + server);
    if (!web_tls_info(r->tls, &served))
        complain(w, replica, server, "nothing is served");
    if (served.not_after_unix_ms <= w->fleet.now_ms)
        complain(w, replica, server, "what is served has expired");
    w->called_ms += STEP_MS;
    if (r->checked_text[server] == text.ptr &&
        r->checked_publication[server] == served.publications)
        return;
    for (size_t i = 0; i < 2; i++) {
        struct buf bundle BERTH_CLEANUP(buf_fini) = BUF_INIT(FLEET_TEXT_MAX);
        fleet_bundle(text, i, &bundle);
        const bool is_trusted = c->o.mode == CERTS_SELF_MANAGED
                                    ? crypto_bundle_has(buf_str(&bundle), c->leaf_signer)
                                    : strstr(buf_cstr(&bundle), buf_cstr(&c->authorities)) != NULL;
        if (!is_trusted)
            complain(w, replica, server, "what is served is not trusted");
    }
    r->checked_text[server] = text.ptr;
    r->checked_publication[server] = served.publications;
}

static void check(struct world *w)
{
    for (size_t i = 0; i < REPLICAS; i++)
        for (size_t k = 0; w->is_begun && is_ready(&w->replicas[i]) && k < API_SERVERS; k++)
            check_call(w, i, k);
}

/* --- time ---------------------------------------------------------------------------------------
 */

/* Versions that it has seen. */
static size_t seen_of(const struct fleet *f, const struct fleet_object *o, size_t viewer)
{
    size_t n = 0;
    while (n < o->count && o->seen_at_ms[n][viewer] <= f->now_ms)
        n++;
    return n;
}

static void maybe_look(struct world *w, size_t index)
{
    struct replica *r = &w->replicas[index];
    if (!r->is_up) {
        if (r->down_until_ms <= w->fleet.now_ms)
            start(w, index);
        else
            return;
    }
    const size_t secret = seen_of(&w->fleet, &w->fleet.secret, index);
    const size_t webhook = seen_of(&w->fleet, &w->fleet.webhook, index);
    const bool has_news = secret != r->secret_seen || webhook != r->webhook_seen;
    if (r->due_ms > w->fleet.now_ms && !has_news)
        return;
    r->secret_seen = secret;
    r->webhook_seen = webhook;
    r->due_ms = w->fleet.now_ms + certs_look(&r->certs);
}

static void step(struct world *w)
{
    w->fleet.now_ms += STEP_MS;
    for (size_t i = 0; i < REPLICAS; i++)
        maybe_look(w, i);
    check(w);
    /* one at a time, as a PodDisruptionBudget has it */
    if (w->has_crashes && ready_count(w) == REPLICAS && chance(&w->fleet, 3)) {
        struct replica *r = &w->replicas[test_random_below(&w->fleet.random, REPLICAS)];
        crash(r);
        r->down_until_ms = w->fleet.now_ms + test_random_below(&w->fleet.random, 5000);
        w->crashes++;
    }
}

static void run(struct world *w, int64_t ms)
{
    for (const int64_t end_ms = w->fleet.now_ms + ms; w->fleet.now_ms < end_ms;)
        step(w);
}

static void run_until_ready(struct world *w)
{
    for (int i = 0; i < 60 * 1000 / STEP_MS && ready_count(w) < REPLICAS; i++)
        step(w);
    if (ready_count(w) < REPLICAS)
        fail_msg("seed %llu, %lld ms: only %zu replicas are ready", (unsigned long long)w->seed,
                 (long long)(w->fleet.now_ms - FLEET_START_MS), ready_count(w));
}

static const struct str names[] = {{STR_INIT("berth-webhook.berth.svc")}};

/* The very first start: nobody is trusted before, so that nobody has to wait; then API servers
 * learn of it. Waits are leaf/4: what viewers are late, and clocks wrong by, has to be less. */
static const char directory[] = "/tmp/berth-certs-XXXXXX";

static struct world *world_init(uint64_t seed, int64_t ca_s, int64_t leaf_s)
{
    static struct world world; /* it is big */
    struct world *w = &world;
    memset(w, 0, sizeof *w); /* too big for the stack */
    w->seed = seed;
    memcpy(w->directory, directory, sizeof directory);
    fleet_init(&w->fleet, seed);
    if (mkdtemp(w->directory) == NULL)
        abort();
    w->options = (struct certs_options){
        .namespace = "berth",
        .secret = "certs",
        .webhook = "berth",
        .dns_names = names,
        .dns_name_count = 1,
        .ca_lifetime_ms = ca_s * 1000,
        .leaf_lifetime_ms = leaf_s * 1000,
        .instance = "pod",
    };
    const int64_t wait_ms = trust_wait_ms(w->options.leaf_lifetime_ms);
    for (size_t i = 0; i < REPLICAS; i++)
        w->fleet.delay_max_ms[i] = wait_ms / 4;
    for (size_t i = 0; i < API_SERVERS; i++)
        w->fleet.delay_max_ms[FIRST_API_SERVER + i] = wait_ms / 2;
    for (size_t i = 0; i < REPLICAS; i++)
        w->replicas[i].skew_ms = (int64_t)test_random_below(&w->fleet.random, 2001) - 1000;
    fleet_put_webhook(&w->fleet, STR(""), STR(""));
    for (size_t i = 0; i < REPLICAS; i++)
        start(w, i);
    run_until_ready(w);
    run(w, wait_ms);
    w->is_begun = true;
    return w;
}

static void remove_file(const struct world *w, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", w->directory, name);
    (void)unlink(path);
}

static void world_fini(struct world *w)
{
    for (size_t i = 0; i < REPLICAS; i++)
        crash(&w->replicas[i]);
    remove_file(w, "ca.crt");
    remove_file(w, "tls.crt");
    remove_file(w, "tls.key");
    (void)rmdir(w->directory);
    fleet_fini(&w->fleet);
}

/* How many different signers there were: first certificates of the Secret. */
static size_t signers_seen(struct world *w)
{
    char last[CRYPTO_FINGERPRINT] = "";
    size_t n = 0;
    for (size_t i = 0; i < w->fleet.secret.count; i++) {
        struct kube_object *o BERTH_CLEANUP(kube_object_unrefp) = NULL;
        struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
        struct signers s = {0};
        struct crypto_cert_info info;
        struct err e = ERR_INIT;
        if (w->fleet.secret.texts[i] == NULL ||
            !kube_object_parse(str_from(w->fleet.secret.texts[i]), &o, &e) ||
            !signers_decode(o, &a, &s) || !crypto_cert_read(s.cert, &info, &e))
            continue;
        n += strcmp(last, info.fingerprint) != 0;
        memcpy(last, info.fingerprint, sizeof last);
    }
    return n;
}

/* --- worlds -------------------------------------------------------------------------------------
 */

static void test_rotation(void **state)
{
    (void)state;
    int crashes = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = world_init(seed, 60, 20);
        assert_int_equal(signers_seen(w), 1); /* though all three began at once */
        w->has_crashes = true;
        w->fleet.lost_percent = 10;
        w->fleet.silent_percent = 10;
        run(w, 150 * 1000);
        /* a new one every 40 to 45 s */
        assert_in_range(signers_seen(w), 3, 5);
        crashes += w->crashes;
        assert_true(w->called_ms > 150 * 1000 * API_SERVERS * 2);
        world_fini(w);
    }
    assert_true(crashes > 6);
}

static void spoil_secret(struct world *w, uint32_t how)
{
    static const char *const texts[] = {
        NULL,
        "\"data\":{}",
        "\"data\":{\"tls.crt\":\"Z2FyYmFnZQ==\",\"tls.key\":\"Z2FyYmFnZQ==\",\"ca.crt\":\"!\"}",
        "\"data\":{\"tls.crt\":{},\"ca.crt\":[1]}",
    };
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    if (texts[how] != NULL)
        buf_printf(&text,
                   "{\"metadata\":{\"name\":\"certs\",\"namespace\":\"berth\","
                   "\"resourceVersion\":\"%zu\",\"labels\":{"
                   "\"app.kubernetes.io/managed-by\":\"berth-operator\"}},%s}",
                   w->fleet.secret.count + 1, texts[how]);
    fleet_put(&w->fleet, &w->fleet.secret, texts[how] != NULL ? buf_str(&text) : STR_NULL);
}

/* Somebody spoils the Secret at any moment of a rotation, also while a replica starts. */
static void test_spoiled_secret(void **state)
{
    (void)state;
    int crashes = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = world_init(seed, 60, 20);
        w->has_crashes = true;
        for (int i = 0; i < 20; i++) {
            run(w, 1000 + test_random_below(&w->fleet.random, 8000));
            spoil_secret(w, test_random_below(&w->fleet.random, 4));
        }
        w->has_crashes = false;
        run_until_ready(w);
        run(w, 60 * 1000);
        crashes += w->crashes;
        world_fini(w);
    }
    assert_true(crashes > 6);
}

static void write_file(const struct world *w, const char *name, struct str text)
{
    char path[128];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/%s", w->directory, name);
    if (!file_write(path, text, &e))
        abort();
}

/* What somebody else provides: another authority each time. */
static void provide(struct world *w)
{
    struct buf ca BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf ca_key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf cert BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(CRYPTO_PEM_MAX);
    struct err e = ERR_INIT;
    const int64_t begin_ms = w->fleet.now_ms - BACKDATE_MS;
    const struct crypto_leaf leaf = {STR("pod"), names, 1, begin_ms, begin_ms + 100 * BACKDATE_MS};
    if (!crypto_signer_new(STR("provided"), begin_ms, leaf.not_after_unix_ms, &ca, &ca_key, &e) ||
        !crypto_leaf_new(&leaf, buf_str(&ca), buf_str(&ca_key), &cert, &key, &e))
        abort();
    write_file(w, "ca.crt", buf_str(&ca));
    write_file(w, "tls.crt", buf_str(&cert));
    write_file(w, "tls.key", buf_str(&key));
}

/* One after the other, each when all others are ready: as a Deployment does it. */
static void change_mode(struct world *w, enum certs_mode mode)
{
    w->mode = mode;
    for (size_t i = 0; i < REPLICAS; i++) {
        crash(&w->replicas[i]);
        w->replicas[i].down_until_ms = w->fleet.now_ms + 500;
        step(w);
        run_until_ready(w);
    }
}

static void test_mode_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct world *w = world_init(seed, 300, 100);
        w->fleet.lost_percent = 5;
        w->fleet.silent_percent = 5;
        provide(w);
        change_mode(w, CERTS_PROVIDED);
        run(w, 5000);
        for (int i = 0; i < 3; i++) { /* all three files at once, another authority */
            provide(w);
            run(w, 15 * 1000);
        }
        change_mode(w, CERTS_SELF_MANAGED);
        run(w, 250 * 1000); /* the strangers go, the signer is rotated */
        struct buf bundle BERTH_CLEANUP(buf_fini) = BUF_INIT(FLEET_TEXT_MAX);
        fleet_bundle(str_from(newest(&w->fleet.webhook)), 0, &bundle);
        assert_null(strstr(buf_cstr(&bundle), "provided"));
        assert_int_equal(ready_count(w), REPLICAS);
        assert_true(w->called_ms > 300 * 1000 * API_SERVERS * 2);
        world_fini(w);
    }
}

/* While the API server refuses, what is served is renewed from memory and stays ready; no signer
 * takes over that nobody was told of. */
static void test_refused(void **state)
{
    (void)state;
    for (int what = 0; what < 2; what++) {
        struct world *w = world_init(7, 300, 20);
        (*(what == 0 ? &w->fleet.is_webhook_refused : &w->fleet.is_secret_refused)) = true;
        run(w, 270 * 1000); /* longer than many leaves */
        assert_int_equal(ready_count(w), REPLICAS);
        assert_int_equal(signers_seen(w), 1);
        w->fleet.is_webhook_refused = w->fleet.is_secret_refused = false;
        run(w, 60 * 1000);
        assert_int_equal(ready_count(w), REPLICAS);
        assert_int_equal(signers_seen(w), 2);
        world_fini(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_spoiled_secret),
        cmocka_unit_test(test_mode_changes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
