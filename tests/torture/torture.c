// SPDX-License-Identifier: Apache-2.0
/*
 * Faults inside the operator, for tests/integration/test_torture*.py. Linked into a second operator
 * that is for tests only (see CMakeLists.txt): the linker puts what is here before the seam of HTTP
 * and before the allocations that may fail, and leaves all else as it is in the product. Which call
 * fails, and how, is in a file that the test and the operator both map (struct torture; the same
 * layout is in berth_test/torture.py). Without BERTH_TORTURE in the environment nothing fails.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "kube/object.h"

#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum mode {
    REFUSED = 1, /* it is not sent */
    LOST,        /* it is sent, and nobody hears what came of it */
    UNAVAILABLE, /* it is not sent; the answer is that of a proxy, 503 */
    TORN,        /* it is sent, and half of the answer's body is missing */
    DIES,        /* the process ends without sending it */
    DIES_AFTER   /* … and before it looks at the answer */
};

enum {
    EXIT_DIED = 86,
    WHAT_MAX = 512,
    STACKS_MAX = 8192,
    DEPTH_MAX = 24,
    SEAM_FRAMES = 2,
    PROGRAM_BYTES_MAX = 1 << 30
};

struct torture {
    atomic_int_fast64_t http_left; /* the call that takes it from 1 to 0 fails; 0: none */
    atomic_int_fast64_t http_more; /* and so many after it */
    atomic_int_fast64_t http_mode;
    atomic_int_fast64_t alloc_left; /* of allocations that have not failed yet where they are */
    atomic_int_fast64_t failed;     /* how many did, of both */
    char what[WHAT_MAX];            /* the last that did */
    atomic_uint_fast64_t stacks[STACKS_MAX]; /* where allocations have failed: hashes */
};

bool __real_http_client_new(const struct http_options *o, struct http_client **ret, struct err *e);
bool __wrap_http_client_new(const struct http_options *o, struct http_client **ret, struct err *e);
const struct json *__real_kube_object_json(const struct kube_object *o);
const struct json *__wrap_kube_object_json(const struct kube_object *o);
void *__real_mem_try_alloc(size_t n);
void *__wrap_mem_try_alloc(size_t n);
void *__real_mem_try_realloc(void *p, size_t n);
void *__wrap_mem_try_realloc(void *p, size_t n);

/* Given by the linker: where the program begins. */
extern const char __executable_start;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct torture *shared;

static void map_shared(void)
{
    const char *path = getenv("BERTH_TORTURE");
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *at = fd < 0
                   ? MAP_FAILED
                   : mmap(NULL, sizeof(struct torture), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        perror(path);
        abort();
    }
    close(fd);
    shared = at;
}

static struct torture *torture(void)
{
    (void)pthread_once(&once, map_shared);
    return shared;
}

/* Counts down; true for who reaches 0. */
static bool is_turn(atomic_int_fast64_t *left)
{
    int_fast64_t n = atomic_load(left);
    while (n > 0)
        if (atomic_compare_exchange_weak(left, &n, n - 1))
            return n == 1;
    return false;
}

static void note(struct torture *t, const char *text)
{
    (void)snprintf(t->what, sizeof t->what, "%s", text);
    atomic_fetch_add(&t->failed, 1);
}

/* --- HTTP ------------------------------------------------------------------------------------ */

struct tortured {
    struct http_client client;
    struct http_client *real;
};

/* "POST CreateRepositoryCreationTemplate", "GET /apis/…", without host and query. */
static void describe(const struct http_request *rq, const char *verb, char out[static WHAT_MAX])
{
    struct str what = STR_NULL;
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, STR("x-amz-target")))
            what = str_from_offset(rq->headers[i].value,
                                   (size_t)(str_rindex(rq->headers[i].value, '.') + 1));
    if (str_is_null(what)) {
        const char *path = rq->url.ptr + strcspn(rq->url.ptr, ":");
        path += strncmp(path, "://", 3) == 0 ? 3 : 0;
        path += strcspn(path, "/");
        what = str_n(path, strcspn(path, "?"));
    }
    (void)snprintf(out, WHAT_MAX, "%s %.*s", verb, STR_ARG(what));
}

/* Is this the call that fails, and how? 0: it does not. */
static int mode_of(const struct http_request *rq, const char *verb)
{
    struct torture *t = torture();
    if (t == NULL)
        return 0;
    int_fast64_t more = atomic_load(&t->http_left) == 0 ? atomic_load(&t->http_more) : 0;
    while (more > 0 && !atomic_compare_exchange_weak(&t->http_more, &more, more - 1)) {
    }
    if (more <= 0 && !is_turn(&t->http_left))
        return 0;
    char what[WHAT_MAX];
    describe(rq, verb, what);
    note(t, what);
    int mode = (int)atomic_load(&t->http_mode);
    if (mode == DIES)
        _exit(EXIT_DIED);
    return mode;
}

static bool refused(struct err *e)
{
    return err_set(e, ERR_RETRY, "ConnectFailed", "torture: connection refused");
}

static bool lost(struct err *e)
{
    return err_set(e, ERR_RETRY, "ConnectionLost", "torture: the answer is lost");
}

static bool tortured_send(void *impl, const struct http_request *rq, struct arena *a,
                          struct http_response *ret, struct err *e)
{
    struct tortured *c = impl;
    int mode = mode_of(rq, rq->method);
    if (mode == REFUSED)
        return refused(e);
    if (mode == UNAVAILABLE) {
        *ret = (struct http_response){.status = 503, .body = STR("upstream is away"), .sent = 1};
        return true;
    }
    bool is_ok = http_send(c->real, rq, a, ret, e);
    if (mode == DIES_AFTER)
        _exit(EXIT_DIED);
    if (!is_ok)
        return false;
    if (mode == LOST) {
        *ret = (struct http_response){0};
        return lost(e);
    }
    if (mode == TORN)
        ret->body = arena_copy(a, str_n(ret->body.ptr, ret->body.len / 2));
    return true;
}

struct tortured_stream {
    const struct http_stream_ops *ops;
    void *arg;
    int mode;
    bool is_cut;
};

static bool on_response(void *arg, const struct http_response *r)
{
    struct tortured_stream *s = arg;
    if (s->mode == DIES_AFTER)
        _exit(EXIT_DIED);
    if (s->mode == LOST) {
        s->is_cut = true;
        return false;
    }
    return s->ops->on_response(s->arg, r);
}

static bool on_data(void *arg, struct str data)
{
    struct tortured_stream *s = arg;
    if (s->mode != TORN)
        return s->ops->on_data(s->arg, data);
    s->is_cut = true;
    (void)s->ops->on_data(s->arg, str_n(data.ptr, data.len / 2));
    return false;
}

static bool tortured_stream(void *impl, const struct http_request *rq, int64_t idle_ms,
                            struct http_cancel *cancel, const struct http_stream_ops *ops,
                            void *arg, struct err *e)
{
    static const struct http_stream_ops ours = {on_response, on_data};
    struct tortured *c = impl;
    struct tortured_stream s = {.ops = ops, .arg = arg, .mode = mode_of(rq, "STREAM")};
    if (s.mode == REFUSED)
        return refused(e);
    if (s.mode == UNAVAILABLE) {
        const struct http_response r = {.status = 503, .sent = 1};
        if (ops->on_response(arg, &r))
            (void)ops->on_data(arg, STR("upstream is away"));
        return true;
    }
    bool is_fine = http_stream(c->real, rq, idle_ms, cancel, &ours, &s, e);
    return is_fine && s.is_cut ? lost(e) : is_fine;
}

static void tortured_free(void *impl)
{
    struct tortured *c = impl;
    http_client_free(c->real);
    mem_free(c);
}

bool __wrap_http_client_new(const struct http_options *o, struct http_client **ret, struct err *e)
{
    struct http_client *real = NULL;
    *ret = NULL;
    if (!__real_http_client_new(o, &real, e))
        return false;
    struct tortured *c = mem_alloc(sizeof *c);
    c->client = (struct http_client){tortured_send, tortured_stream, tortured_free, c};
    c->real = real;
    *ret = &c->client;
    return true;
}

/* --- allocations whose size a peer chooses -----------------------------------------------------
 */

/* Who asks for memory: places in this program, as the linker counts them, so that they are the same
 * in each process. Libraries are elsewhere each time, and far away: not counted. */
static size_t callers(int64_t at[static DEPTH_MAX])
{
    void *frames[DEPTH_MAX];
    size_t count = 0;
    int n = backtrace(frames, DEPTH_MAX);
    for (int i = SEAM_FRAMES; i < n; i++) {
        int64_t offset = (int64_t)((uintptr_t)frames[i] - (uintptr_t)&__executable_start);
        if (offset > 0 && offset < PROGRAM_BYTES_MAX)
            at[count++] = offset;
    }
    return count;
}

/* FNV-1a; not 0. */
static uint64_t hash_of(const int64_t *at, size_t count)
{
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uint64_t)at[i]) * 1099511628211U;
    return hash != 0 ? hash : 1;
}

/* Has an allocation with these callers failed before? Otherwise it now has. */
static bool is_first_here(struct torture *t, uint64_t hash, bool is_noted)
{
    for (size_t i = 0; i < STACKS_MAX; i++) {
        atomic_uint_fast64_t *slot = &t->stacks[(hash + i) % STACKS_MAX];
        uint_fast64_t seen = atomic_load(slot);
        if (seen == hash)
            return false;
        if (seen == 0)
            return !is_noted || atomic_compare_exchange_strong(slot, &seen, hash);
    }
    return false;
}

/* In what may allocate and must not fail: backtrace() at its first use, and what ends the process
 * where memory is out. */
static _Thread_local bool is_spared;

static bool allocation_fails(size_t n)
{
    struct torture *t = torture();
    if (t == NULL || is_spared || n <= MEM_SMALL_BYTES || atomic_load(&t->alloc_left) <= 0)
        return false;
    is_spared = true;
    int64_t at[DEPTH_MAX];
    size_t count = callers(at);
    uint64_t hash = hash_of(at, count);
    bool fails =
        is_first_here(t, hash, false) && is_turn(&t->alloc_left) && is_first_here(t, hash, true);
    if (fails) {
        struct buf what BERTH_CLEANUP(buf_fini) = BUF_INIT(WHAT_MAX - 1);
        buf_append_cstr(&what, "allocation");
        for (size_t i = 0; i < count; i++)
            buf_printf(&what, " %llx", (unsigned long long)at[i]);
        note(t, buf_cstr(&what));
    }
    is_spared = false;
    return fails;
}

void *__wrap_mem_try_alloc(size_t n)
{
    return allocation_fails(n) ? NULL : __real_mem_try_alloc(n);
}

void *__wrap_mem_try_realloc(void *p, size_t n)
{
    return allocation_fails(n) ? NULL : __real_mem_try_realloc(p, n);
}

/* It has no error to return: a tree that was there once and that memory lacks for now ends the
 * process. */
const struct json *__wrap_kube_object_json(const struct kube_object *o)
{
    bool was_spared = is_spared;
    is_spared = true;
    const struct json *json = __real_kube_object_json(o);
    is_spared = was_spared;
    return json;
}
