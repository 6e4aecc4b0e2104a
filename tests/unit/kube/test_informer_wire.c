// SPDX-License-Identifier: Apache-2.0
/*
 * Informers over real connections: a small API server whose answers are cut at every byte, by a
 * close and by a reset, or that falls silent. Whatever is cut, nothing is lost, nothing is told
 * twice, and few requests are made for it.
 */
#include "base/buf.h"
#include "http/http.h"
#include "informer_priv.h"
#include "kube/client.h"
#include "kube/config.h"
#include "test_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WIRE_MAX = 4096, WAIT_MS = 20 * 1000, IDLE_MS = 100, REQUESTS_MAX = 5 };

static const struct kube_resource THINGS = {"test.dev", "v1", "things", "Thing", false};

#define META(NAME, RV)                                                                             \
    "{\"metadata\":{\"name\":\"" NAME "\",\"uid\":\"u-" NAME "\",\"resourceVersion\":\"" RV "\"}"
#define EVENT(TYPE, NAME, RV) "{\"type\":\"" TYPE "\",\"object\":" META(NAME, RV) "}}\n"
#define BOOKMARK(RV)                                                                               \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" RV "\"}}}\n"
#define END_MARK(RV)                                                                               \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" RV                   \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GATE_IS_OFF                                                                                \
    "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"code\":422,\"message\":\"sendInitialEvents is " \
    "forbidden: the gate is off\"}"
#define LIST                                                                                       \
    "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" META("a", "3") "}," META("b", "4") "}" \
                                                                                               "]" \
                                                                                               "}"

/* What happens after version 5, at which there are a and b: in the end a has version 6, b is gone,
 * c is there. */
static const struct {
    int version;
    const char *line;
} HISTORY[] = {
    {6, EVENT("MODIFIED", "a", "6")},
    {7, EVENT("DELETED", "b", "7")},
    {8, EVENT("ADDED", "c", "8")},
    {9, BOOKMARK("9")},
};
enum { LAST_VERSION = 9 };

enum cut_end { CUT_CLOSES, CUT_RESETS, CUT_IS_SILENT };

struct world {
    bool can_stream_list;
    int cut_answer; /* which answer of 200 is cut, from 0 on */
    size_t cut_at;
    enum cut_end end;
    /* the server's thread, and whoever has stopped it: */
    int answers;
    int requests;
    size_t cut_bytes;  /* how long the answer that was to be cut is */
    int whole_version; /* of the last event that went out whole before the cut; 0: of none */
    int next_version;  /* from which the next watch goes on; 0: there was none */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_all_told; /* a watch from the last version on, under the mutex */
};

static void put_chunk(struct buf *out, const char *text)
{
    buf_printf(out, "%zx\r\n%s\r\n", strlen(text), text);
}

/* The events after that version, and the end in good order. */
static void put_history(struct buf *out, int version)
{
    for (size_t i = 0; i < ARRAY_SIZE(HISTORY); i++)
        if (HISTORY[i].version > version)
            put_chunk(out, HISTORY[i].line);
    buf_append(out, STR("0\r\n\r\n"));
}

static int asked_version(const struct test_conn *c)
{
    const char *at = strstr(c->in, "&resourceVersion=");
    return at ? (int)strtol(at + strlen("&resourceVersion="), NULL, 10) : 0;
}

static void send_answer(struct world *w, struct test_conn *c, struct str wire)
{
    bool is_cut = w->answers++ == w->cut_answer;
    size_t n = wire.len;
    if (is_cut) {
        w->cut_bytes = wire.len;
        n = w->cut_at < n ? w->cut_at : n;
        for (size_t i = 0; i < ARRAY_SIZE(HISTORY); i++)
            if (memmem(wire.ptr, n, HISTORY[i].line, strlen(HISTORY[i].line)))
                w->whole_version = HISTORY[i].version;
    }
    test_send_bytes(c, wire.ptr, n);
    if (is_cut && w->end == CUT_CLOSES)
        test_close(c);
    if (is_cut && w->end == CUT_RESETS)
        test_reset(c);
}

static void all_told(struct world *w)
{
    pthread_mutex_lock(&w->mutex);
    w->is_all_told = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static void answer_list(struct buf *wire, const char *status, const char *body)
{
    buf_printf(wire,
               "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               status, strlen(body), body);
}

static void answer(struct test_server *s, struct test_conn *c)
{
    struct world *w = s->arg;
    struct buf wire BERTH_CLEANUP(buf_fini) = BUF_INIT(WIRE_MAX);
    w->requests++;
    if (w->answers > w->cut_answer && w->next_version == 0)
        w->next_version = asked_version(c);
    if (strstr(c->in, "sendInitialEvents=true") && !w->can_stream_list) {
        answer_list(&wire, "422 Unprocessable Entity", GATE_IS_OFF);
        test_send(c, buf_cstr(&wire));
        return;
    }
    if (strstr(c->in, "sendInitialEvents=true")) {
        buf_append(&wire, STR(HEAD));
        put_chunk(&wire, EVENT("ADDED", "a", "3"));
        put_chunk(&wire, EVENT("ADDED", "b", "4"));
        put_chunk(&wire, END_MARK("5"));
        put_history(&wire, 5);
    } else if (strstr(c->in, "watch=true") && asked_version(c) >= LAST_VERSION) {
        test_send(c, HEAD); /* and nothing more: what came before is done with */
        all_told(w);
        return;
    } else if (strstr(c->in, "watch=true")) {
        buf_append(&wire, STR(HEAD));
        put_history(&wire, asked_version(c));
    } else {
        answer_list(&wire, "200 OK", LIST);
    }
    send_answer(w, c, buf_str(&wire));
}

/* What was told: "+a@3" for a state of an object, "-b@" for its end. */
struct seen {
    struct buf text;
    struct kube_informer *informer;
    int errors;
};

static void on_change(void *arg, struct str namespace, struct str name, bool is_deleted)
{
    struct seen *s = arg;
    (void)namespace;
    struct kube_object *o = kube_informer_get(s->informer, STR(""), name);
    buf_printf(&s->text, "%c%.*s@%.*s ", is_deleted ? '-' : '+', STR_ARG(name),
               STR_ARG(o ? kube_object_resource_version(o) : STR("")));
    kube_object_unref(o);
}

static void on_error(void *arg, const struct err *e)
{
    struct seen *s = arg;
    (void)e;
    s->errors++;
}

static bool wait_all_told(struct world *w)
{
    pthread_mutex_lock(&w->mutex);
    while (!w->is_all_told && thread_cond_wait_ms(&w->changed, &w->mutex, WAIT_MS))
        ;
    bool is_all_told = w->is_all_told;
    pthread_mutex_unlock(&w->mutex);
    return is_all_told;
}

static void check(const struct world *w, const struct seen *s, const char *text)
{
    static const char *const ORDERS[] = {"+a@3 +b@4 +a@6 -b@ +c@8 ", "+b@4 +a@3 +a@6 -b@ +c@8 "};
    if (strcmp(text, ORDERS[0]) != 0 && strcmp(text, ORDERS[1]) != 0)
        fail_msg("cut at %zu of answer %d: told \"%s\"", w->cut_at, w->cut_answer, text);
    assert_int_equal(kube_informer_count(s->informer), 2);
    if (w->end == CUT_IS_SILENT) { /* a machine that is busy makes others seem silent too */
        assert_true(s->errors >= 1);
        return;
    }
    if (w->end == CUT_CLOSES && w->whole_version > 0 && w->next_version != w->whole_version)
        fail_msg("cut at %zu of answer %d: goes on from %d, not from %d", w->cut_at, w->cut_answer,
                 w->next_version, w->whole_version);
    if (w->requests > REQUESTS_MAX)
        fail_msg("cut at %zu of answer %d: %d requests", w->cut_at, w->cut_answer, w->requests);
    /* Where nothing at all was answered on a kept connection libcurl itself asks again, and the end
     * of the last chunk is enough of an end for it. */
    bool is_told = w->cut_at > 0 && w->cut_at + 2 < w->cut_bytes && w->end == CUT_CLOSES;
    if (s->errors > 1 || (s->errors < 1 && is_told))
        fail_msg("cut at %zu of answer %d: %d errors", w->cut_at, w->cut_answer, s->errors);
}

/* One informer from its start until it knows all of history. */
static void live(struct world *w, const struct http_client *http)
{
    struct test_server server;
    struct kube_client *client = NULL;
    struct err e = ERR_INIT;
    struct seen seen = {.text = BUF_INIT(4096)};
    char url[64];
    pthread_mutex_init(&w->mutex, NULL);
    thread_cond_init(&w->changed);
    test_server_start(&server, answer, w);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", server.port);
    struct kube_config config = {.server = str_from(url)};
    struct kube_client_options co = {.config = &config, .user_agent = "test", .http = http};
    assert_true(kube_client_new(&co, &client, &e));
    struct kube_informer_options o = {.client = client,
                                      .resource = &THINGS,
                                      .on_change = on_change,
                                      .on_error = on_error,
                                      .arg = &seen,
                                      .backoff_min_ms = 1,
                                      .idle_ms = w->end == CUT_IS_SILENT ? IDLE_MS : 0};
    seen.informer = kube_informer_new(&o);
    kube_informer_start(seen.informer);
    bool is_all_told = wait_all_told(w);
    kube_informer_stop(seen.informer);
    test_server_stop(&server);
    if (!is_all_told)
        fail_msg("cut at %zu of answer %d: not all was told, but \"%s\"", w->cut_at, w->cut_answer,
                 buf_cstr(&seen.text));
    check(w, &seen, buf_cstr(&seen.text));
    kube_informer_free(seen.informer);
    kube_client_free(client);
    buf_fini(&seen.text);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
}

/* That answer, cut at every step-th of its bytes. */
static void cut_everywhere(struct world how, size_t step)
{
    struct http_client *http BERTH_CLEANUP(http_client_freep) = NULL;
    struct http_options o = {.proxy_url = ""};
    struct err e = ERR_INIT;
    size_t size = 1;
    assert_true(http_client_new(&o, &http, &e)); /* reads the system's certificates: once */
    for (size_t at = 0; at < size; at += step) {
        struct world w = how;
        w.cut_at = at;
        live(&w, http);
        size = w.cut_bytes;
        assert_in_range(size, 50, WIRE_MAX);
    }
}

static void a_stream_list_and_its_watch(void **state)
{
    (void)state;
    cut_everywhere((struct world){.can_stream_list = true, .end = CUT_CLOSES}, 1);
    cut_everywhere((struct world){.can_stream_list = true, .end = CUT_RESETS}, 1);
}

static void a_page(void **state)
{
    (void)state;
    cut_everywhere((struct world){.end = CUT_CLOSES}, 1);
    cut_everywhere((struct world){.end = CUT_RESETS}, 1);
}

static void a_watch(void **state)
{
    (void)state;
    cut_everywhere((struct world){.cut_answer = 1, .end = CUT_CLOSES}, 1);
    cut_everywhere((struct world){.cut_answer = 1, .end = CUT_RESETS}, 1);
}

/* The peer is there and says nothing more. */
static void silence(void **state)
{
    (void)state;
    cut_everywhere((struct world){.can_stream_list = true, .end = CUT_IS_SILENT}, 37);
    cut_everywhere((struct world){.cut_answer = 1, .end = CUT_IS_SILENT}, 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_list_and_its_watch),
        cmocka_unit_test(a_page),
        cmocka_unit_test(a_watch),
        cmocka_unit_test(silence),
    };
    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
