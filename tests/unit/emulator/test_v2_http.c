// SPDX-License-Identifier: Apache-2.0
/*
 * The registry behind the real server, with a clock that the test moves: tokens and uploads that
 * end with time, and what is switchable. The rest of /v2/ is tests/contract/test_emulator_v2.py.
 */
#include "auth_priv.h"
#include "base/mem.h"
#include "base/num.h"
#include "blob_priv.h"
#include "crypto/crypto.h"
#include "request_log_priv.h"
#include "server_priv.h"
#include "store_priv.h"
#include "v2_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLY_MAX ((size_t)64 * 1024)

static const struct emu_route routes[] = {{"/v2", "v2", &emu_v2_handler}};

struct fixture {
    struct clock_fake clock;
    struct emulator emu;
    struct buf authorization; /* "Basic …" */
    struct buf reply;
    int status;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));
    struct err e = ERR_INIT;
    struct emulator *emu = &f->emu;
    struct emu_server_config config = {
        .listen = "127.0.0.1:0", .routes = routes, .n_routes = ARRAY_SIZE(routes)};
    clock_fake_init(&f->clock, 1767225600000);
    f->authorization = BUF_INIT(16384);
    f->reply = BUF_INIT(REPLY_MAX);
    emu->clock = &f->clock.clock;
    snprintf(emu->account, sizeof(emu->account), "123456789012");
    snprintf(emu->region, sizeof(emu->region), "eu-west-1");
    emu->blobs = blobs_new(NULL, emu->clock, &e);
    assert_non_null(emu->blobs);
    emu->store = emu_store_new(&emu->behavior, emu->clock, emu->blobs, str_from(emu->account),
                               str_from(emu->region));
    emu->log = emu_request_log_new();
    emu->auth = emu_auth_new(NULL, 0);
    assert_true(emu_server_start(emu, &config, &emu->server, &e));

    struct buf token BERTH_CLEANUP(buf_fini) = BUF_INIT(8192);
    struct emu_settings settings = {0};
    struct emu_repository *repository;
    struct emu_error x = EMU_ERROR_INIT;
    int64_t expires_unix_ms;
    buf_append(&token, STR("AWS:"));
    emu_token_issue(emu, STR("test"), &token, &expires_unix_ms);
    buf_append(&f->authorization, STR("Basic "));
    crypto_base64_encode(buf_str(&token), &f->authorization);
    emu_store_lock(emu->store);
    assert_true(
        emu_store_create_repository_locked(emu->store, STR("app"), &settings, &repository, &x));
    emu_store_unlock(emu->store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    emu_server_stop(f->emu.server);
    emu_auth_free(f->emu.auth);
    emu_request_log_free(f->emu.log);
    emu_store_free(f->emu.store);
    blobs_free(f->emu.blobs);
    buf_fini(&f->authorization);
    buf_fini(&f->reply);
    mem_free(f);
    return 0;
}

static int dial(const struct fixture *f)
{
    uint64_t port;
    struct str registry = str_from(f->emu.registry);
    assert_true(
        num_parse_u64(str_from_offset(registry, (size_t)(str_rindex(registry, ':') + 1)), &port));
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* One request on a connection of its own; the reply is in f->reply, its status returned. */
static int ask(struct fixture *f, const char *method, const char *path, const char *headers,
               struct str body)
{
    struct buf request BERTH_CLEANUP(buf_fini) = BUF_INIT(REPLY_MAX);
    uint64_t status = 0;
    char piece[4096];
    ssize_t n;
    int fd = dial(f);
    buf_printf(&request,
               "%s %s HTTP/1.1\r\nConnection: close\r\nAuthorization: %s\r\n"
               "Content-Length: %zu\r\n%s\r\n",
               method, path, buf_cstr(&f->authorization), body.len, headers);
    buf_append(&request, body);
    assert_true(buf_ok(&request));
    assert_int_equal(send(fd, request.ptr, request.len, MSG_NOSIGNAL), request.len);
    buf_reset(&f->reply);
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_append_bytes(&f->reply, piece, (size_t)n);
    close(fd);
    assert_true(f->reply.len > 12);
    assert_true(num_parse_u64(str_n(f->reply.ptr + 9, 3), &status));
    return (int)status;
}

#define HOST "Host: registry.test:5000\r\n"

static bool replied(const struct fixture *f, const char *text)
{
    return strstr(buf_cstr(&f->reply), text) != NULL;
}

/* The path of Location, into path[512]. */
static void location(const struct fixture *f, char *path)
{
    const char *at = strstr(buf_cstr(&f->reply), "Location: http://");
    assert_non_null(at);
    const char *from = strstr(at, "/v2/");
    const char *end = strstr(at, "\r\n");
    assert_true(from != NULL && end != NULL && from < end && end - from < 512);
    memcpy(path, from, (size_t)(end - from));
    path[end - from] = '\0';
}

static void start_upload(struct fixture *f, char *path)
{
    assert_int_equal(ask(f, "POST", "/v2/app/blobs/uploads/", HOST, STR("")), 202);
    location(f, path);
}

/* --- time ------------------------------------------------------------------------------------- */

static void token_expires(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, "GET", "/v2/", HOST, STR("")), 200);
    clock_fake_advance(&f->clock, EMU_TOKEN_LIFE_MS);
    assert_int_equal(ask(f, "GET", "/v2/", HOST, STR("")), 403);
    assert_true(replied(f, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Your authorization "
                           "token has expired. Reauthenticate and try again.\"}]}"));
}

static void upload_expires(void **state)
{
    struct fixture *f = *state;
    char path[512];
    start_upload(f, path);
    clock_fake_advance(&f->clock, BLOB_SESSION_IDLE_MS);
    assert_int_equal(ask(f, "PATCH", path, HOST, STR("touched")), 202);
    clock_fake_advance(&f->clock, BLOB_SESSION_IDLE_MS);
    assert_int_equal(ask(f, "GET", path, HOST, STR("")), 204);
    clock_fake_advance(&f->clock, BLOB_SESSION_IDLE_MS + 1);
    assert_int_equal(ask(f, "GET", path, HOST, STR("")), 404);
    assert_true(replied(f, "\"BLOB_UPLOAD_UNKNOWN\""));
}

static void uploads_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char id[BLOB_UPLOAD_ID_MAX];
    for (int i = 0; i < BLOB_SESSIONS_MAX; i++)
        assert_int_equal(blobs_session_start(f->emu.blobs, STR("app"), id, &e), BLOB_OK);
    assert_int_equal(ask(f, "POST", "/v2/app/blobs/uploads/", HOST, STR("")), 429);
    assert_true(replied(f, "\"TOOMANYREQUESTS\""));
}

/* --- where a client is sent ------------------------------------------------------------------- */

static void location_is_where_the_client_called(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"Host: a/b\r\n", "Host: a b\r\n", "Host: \"x\"\r\n"};
    char endpoint[300];
    snprintf(endpoint, sizeof(endpoint), "Location: %s/v2/app/", f->emu.endpoint);
    assert_int_equal(ask(f, "POST", "/v2/app/blobs/uploads/", HOST, STR("")), 202);
    assert_true(replied(f, "Location: http://registry.test:5000/v2/app/blobs/uploads/"));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(ask(f, "POST", "/v2/app/blobs/uploads/", bad[i], STR("")), 202);
        assert_true(replied(f, endpoint));
    }
}

/* --- switches --------------------------------------------------------------------------------- */

#define MANIFEST_TYPE "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
#define INDEX_TYPE    "Content-Type: application/vnd.oci.image.index.v1+json\r\n"
#define MISSING                                                                                    \
    "{\"schemaVersion\":2,\"config\":{\"digest\":"                                                 \
    "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"},\"layers\":[]}"
#define EMPTY_INDEX "{\"schemaVersion\":2,\"manifests\":[]}"

static void patch_status(void **state)
{
    struct fixture *f = *state;
    char path[512];
    start_upload(f, path);
    assert_int_equal(ask(f, "PATCH", path, HOST, STR("x")), 202);
    f->emu.behavior.is_patch_201 = true;
    assert_int_equal(ask(f, "PATCH", path, HOST, STR("y")), 201);
    assert_true(replied(f, "Range: 0-1\r\n"));
}

static void missing_layers_status(void **state)
{
    struct fixture *f = *state;
    const char *path = "/v2/app/manifests/v1";
    assert_int_equal(ask(f, "PUT", path, HOST MANIFEST_TYPE, STR(MISSING)), 404);
    f->emu.behavior.missing_layers_status = 400;
    assert_int_equal(ask(f, "PUT", path, HOST MANIFEST_TYPE, STR(MISSING)), 400);
    assert_true(replied(f, "\"BLOB_UPLOAD_UNKNOWN\""));
}

static void immutable_tag_status(void **state)
{
    struct fixture *f = *state;
    const char *path = "/v2/app/manifests/v1";
    emu_store_lock(f->emu.store);
    emu_store_repository_locked(f->emu.store, STR("app"), NULL)->settings.mutability =
        EMU_IMMUTABLE;
    emu_store_unlock(f->emu.store);
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX)), 201);
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX)), 400);
    assert_true(replied(f, "\"TAG_INVALID\""));
    f->emu.behavior.tag_invalid_status = 409;
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX)), 409);
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX "\n")), 409);
}

static void manifest_put_does_not_create(void **state)
{
    struct fixture *f = *state;
    const char *path = "/v2/new/app/manifests/v1";
    struct emu_error x = EMU_ERROR_INIT;
    struct emu_template *t = mem_alloc(sizeof(*t));
    t->prefix = mem_strdup("new");
    t->applied_for = EMU_CREATE_ON_PUSH;
    emu_store_lock(f->emu.store);
    assert_true(emu_store_add_template_locked(f->emu.store, t, &x));
    emu_store_unlock(f->emu.store);
    f->emu.behavior.is_manifest_put_not_creating = true;
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX)), 404);
    assert_true(replied(f, "\"NAME_UNKNOWN\""));
    assert_int_equal(ask(f, "POST", "/v2/new/app/blobs/uploads/", HOST, STR("")), 202);
    assert_int_equal(ask(f, "PUT", path, HOST INDEX_TYPE, STR(EMPTY_INDEX)), 201);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(token_expires),        WITH_SERVER(upload_expires),
        WITH_SERVER(uploads_are_bounded),  WITH_SERVER(location_is_where_the_client_called),
        WITH_SERVER(patch_status),         WITH_SERVER(missing_layers_status),
        WITH_SERVER(immutable_tag_status), WITH_SERVER(manifest_put_does_not_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
