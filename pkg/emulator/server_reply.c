// SPDX-License-Identifier: Apache-2.0
/*
 * Replies over libmicrohttpd: kept when a handler gives them, sent when what they tell is on disk,
 * and late, torn or spoilt where a fault rule says so.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "fault_priv.h"
#include "json/write.h"
#include "server_impl_priv.h"
#include "store_priv.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CUT_POLL_MS = 5, CUT_WAIT_MS = 2000, CUT_BLOCK_BYTES = 16 * 1024 };

/* ---- what handlers call ---- */

void emu_reply_header(struct emu_request *r, const char *name, struct str value)
{
    struct emu_conn *c = r->conn;

    if (c->n_headers >= EMU_REPLY_HEADERS_MAX)
        return;
    c->header_name[c->n_headers] = arena_cstr(&r->arena, str_from(name));
    c->header_value[c->n_headers] = arena_cstr(&r->arena, value);
    c->n_headers++;
}

void emu_answer_fini(struct emu_answer *a)
{
    if (a->kind == EMU_ANSWER_FD)
        close(a->fd);
    mem_free(a->owned);
    *a = (struct emu_answer){.kind = EMU_ANSWER_NONE};
}

/* Takes what the answer holds. */
static void set_answer(struct emu_request *r, int status, struct emu_answer answer)
{
    if (r->has_replied) {
        emu_answer_fini(&answer);
        return;
    }
    r->has_replied = true;
    r->status = status;
    r->conn->answer = answer;
}

void emu_reply(struct emu_request *r, int status, const char *content_type, struct str body)
{
    struct str copy = arena_copy(&r->arena, body.ptr ? body : STR(""));

    set_answer(r, status,
               (struct emu_answer){.kind = EMU_ANSWER_BYTES,
                                   .content_type = content_type,
                                   .ptr = copy.ptr,
                                   .len = copy.len});
}

void emu_reply_take(struct emu_request *r, int status, const char *content_type, struct buf *body)
{
    size_t len = buf_str(body).len;
    char *bytes = buf_take(body);

    set_answer(r, status,
               (struct emu_answer){.kind = EMU_ANSWER_BYTES,
                                   .content_type = content_type,
                                   .owned = bytes,
                                   .ptr = bytes,
                                   .len = len});
}

void emu_reply_fd(struct emu_request *r, int status, const char *content_type, int fd,
                  uint64_t offset, uint64_t len)
{
    set_answer(r, status,
               (struct emu_answer){.kind = EMU_ANSWER_FD,
                                   .content_type = content_type,
                                   .fd = fd,
                                   .offset = offset,
                                   .len = len});
}

void emu_reply_head(struct emu_request *r, int status, const char *content_type, uint64_t len)
{
    set_answer(
        r, status,
        (struct emu_answer){.kind = EMU_ANSWER_HEAD, .content_type = content_type, .len = len});
}

void emu_reply_cut(struct emu_request *r)
{
    r->has_replied = true;
    r->is_cut = true;
}

/* ---- into libmicrohttpd ---- */

static void free_bytes(void *p)
{
    mem_free(p);
}

static ssize_t no_body(void *cls, uint64_t pos, char *out, size_t max)
{
    (void)cls;
    (void)pos;
    (void)out;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Takes what the answer holds. */
static struct MHD_Response *make_response(struct emu_answer *a)
{
    struct MHD_Response *response = NULL;
    /* libmicrohttpd 0.9.75 wants void * but does not write */
    void *bytes = (void *)(uintptr_t)a->ptr;

    if (a->kind == EMU_ANSWER_HEAD)
        return MHD_create_response_from_callback(a->len, 1, no_body, NULL, NULL);
    if (a->kind == EMU_ANSWER_FD)
        response = MHD_create_response_from_fd_at_offset64(a->len, a->fd, a->offset);
    else if (a->owned != NULL)
        response = MHD_create_response_from_buffer_with_free_callback(a->len, a->owned, free_bytes);
    else
        response = MHD_create_response_from_buffer(a->len, bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        emu_answer_fini(a);
    *a = (struct emu_answer){.kind = EMU_ANSWER_NONE};
    return response;
}

/* ---- connections that break ---- */

static int socket_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

/* tcp(7): connecting to AF_UNSPEC dissolves a connection; Linux tells the peer by a reset. */
static void reset_connection(struct MHD_Connection *mhd)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int fd = socket_of(mhd);

    if (fd >= 0)
        (void)connect(fd, &nowhere, sizeof(nowhere));
}

/* The part of an answer that is sent before its connection breaks. */
struct cut {
    struct emu_answer answer;
    struct emu_faults *faults;
    struct MHD_Connection *mhd;
    uint64_t limit;
};

/* What was given to the kernel should reach the peer before the reset overtakes it. */
static void wait_until_sent(const struct cut *cut)
{
    int fd = socket_of(cut->mhd);

    for (int waited_ms = 0; waited_ms < CUT_WAIT_MS; waited_ms += CUT_POLL_MS) {
        int unsent = 0;

        if (fd < 0 || ioctl(fd, SIOCOUTQ, &unsent) != 0 || unsent == 0)
            return;
        emu_faults_wait(cut->faults, CUT_POLL_MS);
    }
}

static ssize_t read_cut(void *cls, uint64_t pos, char *out, size_t max)
{
    const struct cut *cut = cls;
    const struct emu_answer *a = &cut->answer;
    uint64_t n = pos < cut->limit ? cut->limit - pos : 0;
    ssize_t got = 0;

    if (n > max)
        n = max;
    if (n > 0 && a->kind == EMU_ANSWER_BYTES) {
        memcpy(out, a->ptr + pos, n);
        return (ssize_t)n;
    }
    if (n > 0 && a->kind == EMU_ANSWER_FD)
        got = pread(a->fd, out, n, (off_t)(a->offset + pos));
    if (got > 0)
        return got;
    wait_until_sent(cut);
    reset_connection(cut->mhd);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_cut(void *cls)
{
    struct cut *cut = cls;

    emu_answer_fini(&cut->answer);
    mem_free(cut);
}

static struct MHD_Response *make_cut_response(struct emu_conn *c, uint64_t limit)
{
    struct cut *cut = mem_alloc(sizeof(*cut));
    uint64_t len = c->answer.len;
    struct MHD_Response *response = NULL;

    *cut = (struct cut){
        .answer = c->answer, .faults = c->r.emu->faults, .mhd = c->mhd, .limit = limit};
    c->answer = (struct emu_answer){.kind = EMU_ANSWER_NONE};
    response = MHD_create_response_from_callback(len, CUT_BLOCK_BYTES, read_cut, cut, free_cut);
    if (response == NULL)
        free_cut(cut);
    return response;
}

/* ---- faults of a reply ---- */

static const char html_body[] = "<html>\n<head><title>502 Bad Gateway</title></head>\n"
                                "<body><center><h1>502 Bad Gateway</h1></center></body>\n</html>\n";

static void spoil(struct emu_answer *a, enum emu_fault_garbage garbage)
{
    if (garbage == EMU_GARBAGE_TRUNCATED) {
        a->len /= 2;
        return;
    }
    emu_answer_fini(a);
    *a = (struct emu_answer){.kind = EMU_ANSWER_BYTES, .content_type = "text/html", .ptr = ""};
    if (garbage == EMU_GARBAGE_HTML) {
        a->ptr = html_body;
        a->len = sizeof(html_body) - 1;
    }
}

/* RFC 9110: "Sun, 06 Nov 1994 08:49:37 GMT". */
static void add_date(struct emu_request *r, int64_t unix_ms)
{
    char text[64];
    struct tm tm;
    time_t seconds = (time_t)(unix_ms / 1000);

    if (gmtime_r(&seconds, &tm) != NULL &&
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
        emu_reply_header(r, MHD_HTTP_HEADER_DATE, str_from(text));
}

static void reply_unsettled(struct emu_request *r, const struct err *e)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(4 * ERR_MSG_MAX);
    struct json_writer w = json_writer_to(&out);
    bool is_v2 = str_eq(r->log.api, STR("v2"));

    r->log.error = is_v2 ? STR("UNKNOWN") : STR("ServerException");
    json_begin_object(&w);
    if (is_v2) {
        json_key_begin_array(&w, "errors");
        json_begin_object(&w);
        json_put_str(&w, "code", r->log.error);
        json_put_cstr(&w, "message", e->msg);
        json_end(&w);
        json_end(&w);
    } else {
        json_put_str(&w, "__type", r->log.error);
        json_put_cstr(&w, "message", e->msg);
    }
    json_end(&w);
    emu_reply_take(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "application/json", &out);
}

/* What was changed must be on disk before anybody is told; what was read, likewise. */
static void settle(struct emu_conn *c)
{
    struct emu_request *r = &c->r;
    struct err e = ERR_INIT;

    if (r->is_cut || c->route == NULL || c->route->api == NULL || r->emu->store == NULL ||
        emu_store_flush(r->emu->store, &e))
        return;
    emu_answer_fini(&c->answer);
    c->n_headers = 0;
    r->has_replied = false;
    reply_unsettled(r, &e);
}

enum MHD_Result emu_answer_queue(struct emu_conn *c, void (*log)(struct emu_conn *c))
{
    struct emu_request *r = &c->r;
    const struct emu_fault *fault = &r->fault;
    struct MHD_Response *response = NULL;
    enum MHD_Result res = MHD_NO;

    settle(c);
    if (fault->effect == EMU_FAULT_DELAY)
        emu_faults_wait(r->emu->faults, fault->after_ms);
    if (fault->effect == EMU_FAULT_GARBAGE && c->answer.kind != EMU_ANSWER_HEAD)
        spoil(&c->answer, fault->garbage);
    if (fault->effect == EMU_FAULT_SKEW)
        add_date(r, clock_unix_ms(r->emu->clock) + fault->ms);
    log(c);
    if (r->is_cut || (fault->effect == EMU_FAULT_CUT && fault->cut == EMU_CUT_AFTER)) {
        reset_connection(c->mhd);
        return MHD_NO;
    }
    if (c->answer.kind == EMU_ANSWER_NONE)
        return MHD_NO;
    const char *content_type = c->answer.content_type;
    bool is_cut = fault->effect == EMU_FAULT_CUT && c->answer.kind != EMU_ANSWER_HEAD &&
                  fault->cut_bytes < c->answer.len;

    response = is_cut ? make_cut_response(c, fault->cut_bytes) : make_response(&c->answer);
    if (response == NULL)
        return MHD_NO;
    if (content_type != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (size_t i = 0; i < c->n_headers; i++)
        (void)MHD_add_response_header(response, c->header_name[i], c->header_value[i]);
    res = MHD_queue_response(c->mhd, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return res;
}
