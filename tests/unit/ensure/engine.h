// SPDX-License-Identifier: Apache-2.0
/*
 * An engine over a fake ECR, and batches whose callbacks say what happened, for the tests of this
 * directory. Header-only.
 */
#pragma once

#include "base/log.h"
#include "base/mem.h"
#include "ensure_priv.h"
#include "fake_ecr.h"
#include "registry/repository.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define POLICY    "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
#define LIFECYCLE "{\"rules\":[]}"
/* "team" has both policies, "plain" has none */
#define TEMPLATE(PREFIX, MORE, UPDATED)                                                            \
    "{\"prefix\":\"" PREFIX "\",\"appliedFor\":[\"CREATE_ON_PUSH\"]," MORE                         \
    "\"createdAt\":1,\"updatedAt\":" UPDATED "}"
#define POLICIES                                                                                   \
    "\"repositoryPolicy\":\"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[]}\","          \
    "\"lifecyclePolicy\":\"{\\\"rules\\\":[]}\","
#define TEMPLATES                                                                                  \
    "[" TEMPLATE("team", POLICIES, "1") "," TEMPLATE("plain", "", "1") "," TEMPLATE("slow", "",    \
                                                                                    "1") "]"

enum { WAIT_MS = 20000, NEWS_MAX = 64 };

struct engine {
    struct fake_ecr ecr;
    struct aws_credentials_provider *credentials;
    struct log *log;
    struct directory *directory;
    struct registry *registry;
    struct ensure *ensure;
    struct ensure_options options;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    char news[NEWS_MAX][64]; /* "Reason repository" */
    size_t news_count;
    int reads;
};

static inline void engine_on_read(void *arg, struct str name)
{
    struct engine *g = arg;
    (void)name;
    (void)pthread_mutex_lock(&g->mutex);
    g->reads++;
    (void)pthread_cond_broadcast(&g->cond);
    (void)pthread_mutex_unlock(&g->mutex);
}

static inline void engine_on_news(void *arg, const struct ensure_news *news)
{
    struct engine *g = arg;
    (void)pthread_mutex_lock(&g->mutex);
    if (g->news_count < NEWS_MAX)
        (void)snprintf(g->news[g->news_count++], sizeof g->news[0], "%s %.*s", news->reason,
                       STR_ARG(news->repository));
    (void)pthread_cond_broadcast(&g->cond);
    (void)pthread_mutex_unlock(&g->mutex);
}

static inline bool engine_has_news(struct engine *g, const char *what)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    bool has = false;
    (void)pthread_mutex_lock(&g->mutex);
    while (!has && clock_mono_ms(clock_system()) < until) {
        for (size_t i = 0; i < g->news_count; i++)
            has = has || strcmp(g->news[i], what) == 0;
        if (!has)
            (void)thread_cond_wait_ms(&g->cond, &g->mutex, 50);
    }
    (void)pthread_mutex_unlock(&g->mutex);
    return has;
}

/* Until both templates and repositories have been read. */
static inline void engine_wait_read(struct engine *g, struct registry *r, uint64_t sequence)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct registry_state state = {0};
    (void)pthread_mutex_lock(&g->mutex);
    while (clock_mono_ms(clock_system()) < until) {
        (void)pthread_mutex_unlock(&g->mutex);
        registry_state(r, &a, &state);
        (void)pthread_mutex_lock(&g->mutex);
        if (state.has_read && state.has_repositories && state.sequence >= sequence)
            break;
        (void)thread_cond_wait_ms(&g->cond, &g->mutex, 20);
    }
    (void)pthread_mutex_unlock(&g->mutex);
    if (!state.has_read || !state.has_repositories)
        fail_msg("%s %s", state.error.msg, state.scan_error.msg);
}

static inline struct registry *engine_registry(struct engine *g, const char *name)
{
    const struct registry_options o = {.name = str_from(name),
                                       .region = STR("eu-west-1"),
                                       .http = &g->ecr.http,
                                       .credentials = g->credentials,
                                       .clock = clock_system(),
                                       .on_read = engine_on_read,
                                       .arg = g};
    const struct registry_config config = {.drift_interval_ms = 3600000,
                                           .scan_interval_ms = 3600000,
                                           .requests_per_second = 100000,
                                           .reads_pull_through_rules = true};
    struct registry *r = NULL;
    struct err e = ERR_INIT;
    if (!registry_new(&o, &config, &r, &e))
        fail_msg("%s", e.msg);
    registry_start(r);
    engine_wait_read(g, r, 0);
    return r;
}

static inline void engine_publish(struct engine *g, const char *name, struct registry *r,
                                  enum directory_state state, bool is_read_only)
{
    const struct directory_registry entry = {.name = str_from(name),
                                             .state = state,
                                             .message = STR("it is paused"),
                                             .is_read_only = is_read_only,
                                             .registry = r,
                                             .account_id = STR("123456789012"),
                                             .region = STR("eu-west-1")};
    directory_put(g->directory, &entry);
}

/* The repositories are listed anew: what a test put into ECR is in the scan. */
static inline void engine_scan(struct engine *g)
{
    engine_wait_read(g, g->registry, registry_request_read(g->registry, true));
}

/* Set ecr.templates and options before. */
static inline void engine_start(struct engine *g)
{
    struct aws_credentials_values v = {STR("KEY"), STR("not-a-secret"), STR_NULL, 0, "x"};
    struct aws_credentials *credentials = NULL;
    struct err e = ERR_INIT;
    (void)pthread_mutex_init(&g->mutex, NULL);
    thread_cond_init(&g->cond);
    assert_true(aws_credentials_new(&v, &credentials, &e));
    g->credentials = aws_credentials_static_new(credentials);
    g->directory = directory_new();
    g->registry = engine_registry(g, "default");
    engine_publish(g, "default", g->registry, DIRECTORY_OPEN, false);
    g->options.directory = g->directory;
    g->options.clock = clock_system();
    g->options.on_news = engine_on_news;
    g->options.arg = g;
    g->ensure = ensure_start(&g->options);
}

static inline struct engine *engine_new(void)
{
    struct engine *g = mem_alloc(sizeof *g);
    fake_ecr_init(&g->ecr);
    g->ecr.templates = TEMPLATES;
    return g;
}

/* As the operator does: registries first, so that calls are cut. */
static inline void engine_stop(struct engine *g)
{
    registry_stop(g->registry);
    g->ensure = ensure_stop(g->ensure);
}

static inline void engine_free(struct engine *g)
{
    engine_stop(g);
    g->directory = directory_free(g->directory);
    g->registry = registry_unref(g->registry);
    aws_credentials_provider_free(g->credentials);
    fake_ecr_fini(&g->ecr);
    (void)pthread_cond_destroy(&g->cond);
    (void)pthread_mutex_destroy(&g->mutex);
    mem_free(g);
}

/* --- batches ---------------------------------------------------------------------------------- */

enum { ITEMS = 4 };
struct asked {
    struct engine *engine;
    struct ensure_batch batch;
    struct ensure_item items[ITEMS];
    bool creates; /* what is absent or unknown */
    int probed, done;
    enum ensure_outcome at_probe[ITEMS];
    int64_t done_ms;
};

static inline bool asked_probed(void *arg, struct ensure_batch *b)
{
    struct asked *q = arg;
    bool wants = false;
    (void)pthread_mutex_lock(&q->engine->mutex);
    q->probed++;
    for (size_t i = 0; i < b->count; i++) {
        q->at_probe[i] = b->items[i].outcome;
        b->items[i].wants_creation = q->creates && b->items[i].outcome != ENSURE_PRESENT;
        wants = wants || b->items[i].wants_creation;
    }
    (void)pthread_cond_broadcast(&q->engine->cond);
    (void)pthread_mutex_unlock(&q->engine->mutex);
    return wants;
}

static inline void asked_done(void *arg, struct ensure_batch *b)
{
    struct asked *q = arg;
    (void)b;
    (void)pthread_mutex_lock(&q->engine->mutex);
    q->done++;
    q->done_ms = clock_mono_ms(clock_system());
    (void)pthread_cond_broadcast(&q->engine->cond);
    (void)pthread_mutex_unlock(&q->engine->mutex);
}

static inline void asked_init(struct asked *q, struct engine *g, const char *namespace,
                              int64_t timeout_ms)
{
    *q = (struct asked){.engine = g, .creates = true};
    q->batch = (struct ensure_batch){.namespace = str_from(namespace),
                                     .id = STR("uid-1"),
                                     .deadline_mono_ms = clock_mono_ms(clock_system()) + timeout_ms,
                                     .items = q->items,
                                     .probed = asked_probed,
                                     .done = asked_done,
                                     .arg = q};
}

static inline struct ensure_item *asked_add(struct asked *q, const char *registry,
                                            const char *repository)
{
    struct ensure_item *i = &q->items[q->batch.count++];
    *i = (struct ensure_item){.registry = directory_get(q->engine->directory, str_from(registry)),
                              .repository = str_from(repository),
                              .creations_per_minute = 1000};
    return i;
}

/* A batch of one. */
static inline void ask(struct asked *q, struct engine *g, const char *repository,
                       int64_t timeout_ms)
{
    asked_init(q, g, "default", timeout_ms);
    (void)asked_add(q, "default", repository);
    assert_true(ensure_submit(g->ensure, &q->batch));
}

static inline bool asked_wait_probed(struct asked *q)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    (void)pthread_mutex_lock(&q->engine->mutex);
    while (q->probed == 0 && clock_mono_ms(clock_system()) < until)
        (void)thread_cond_wait_ms(&q->engine->cond, &q->engine->mutex, 50);
    const bool is_probed = q->probed > 0;
    (void)pthread_mutex_unlock(&q->engine->mutex);
    return is_probed;
}

/* Waits for done(); the first item's outcome. */
static inline enum ensure_outcome answer_of(struct asked *q)
{
    const int64_t until = clock_mono_ms(clock_system()) + WAIT_MS;
    (void)pthread_mutex_lock(&q->engine->mutex);
    while (q->done == 0 && clock_mono_ms(clock_system()) < until)
        (void)thread_cond_wait_ms(&q->engine->cond, &q->engine->mutex, 50);
    const int done = q->done;
    (void)pthread_mutex_unlock(&q->engine->mutex);
    assert_int_equal(done, 1);
    return q->items[0].outcome;
}

static inline void asked_fini(struct asked *q)
{
    for (size_t i = 0; i < q->batch.count; i++)
        q->items[i].registry = directory_unref(q->items[i].registry);
    arena_fini(&q->batch.arena);
}

/* One question, from beginning to end. */
static inline enum ensure_outcome outcome_of(struct engine *g, const char *repository,
                                             struct err *ret)
{
    struct asked q;
    ask(&q, g, repository, WAIT_MS);
    const enum ensure_outcome outcome = answer_of(&q);
    if (ret != NULL)
        *ret = q.items[0].error;
    asked_fini(&q);
    return outcome;
}
