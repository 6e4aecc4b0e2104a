// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook's server with nothing behind it: HTTPS on a port of the kernel's choice, and each
 * POST to /validate is answered with the same bytes by a worker, but for the uid, which an API
 * server wants to have back. webhook_constant.sh and webhook.py measure it.
 *
 *     webhook_constant <cert.pem> <key.pem> <workers> <inline bytes>
 *
 * Prints the address, serves until its standard input ends, and prints the counts.
 */
#include "base/file.h"
#include "base/num.h"
#include "web/server.h"
#include "web/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEM_MAX = 64 * 1024, FINISH_MS = 1000, CONNECTIONS = 256, HEAD = 256 };

static struct web_server *server;

/* The first one, where an API server has it. */
static struct str uid_of(struct str review)
{
    const struct str before = STR("\"uid\":\"");
    const char *at =
        memmem(review.ptr, review.len < HEAD ? review.len : HEAD, before.ptr, before.len);
    struct str uid = STR_NULL;
    struct str rest;
    if (at != NULL)
        (void)str_cut(str_from_offset(review, (size_t)(at - review.ptr) + before.len), '"', &uid,
                      &rest);
    return str_is_null(uid) ? STR("705ab4f5-6393-11e8-b7cc-42010a800002") : uid;
}

static void answer(void *arg, struct web_call *call)
{
    (void)arg;
    struct buf body = BUF_INIT(1024);
    buf_append(&body, STR("{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                          "\"response\":{\"uid\":\""));
    buf_append(&body, uid_of(buf_str(&call->body)));
    buf_append(&body, STR("\",\"allowed\":true}}"));
    web_server_answer(server, call->id, 200, "application/json", &body);
}

static bool publish(struct web_tls *tls, const char *chain_path, const char *key_path,
                    struct err *e)
{
    struct buf chain BERTH_CLEANUP(buf_fini) = BUF_INIT(PEM_MAX);
    struct buf key BERTH_CLEANUP(buf_fini) = BUF_INIT(PEM_MAX);
    return file_read(chain_path, &chain, e) && file_read(key_path, &key, e) &&
           web_tls_publish(tls, buf_str(&chain), buf_str(&key), e);
}

static bool serve(char **argv, struct web_tls *tls, struct err *e)
{
    static const char *const paths[] = {"/validate", NULL};
    uint64_t workers;
    uint64_t inline_bytes;
    if (!num_parse_u64(str_from(argv[3]), &workers) ||
        !num_parse_u64(str_from(argv[4]), &inline_bytes) || workers > 64)
        return err_set(e, ERR_INVALID, "", "workers and inline bytes must be numbers");
    const struct web_options o = {.listen = "127.0.0.1:0",
                                  .name = "bench",
                                  .tls = tls,
                                  .max_connections = CONNECTIONS,
                                  .call_handler = answer,
                                  .call_paths = paths,
                                  .workers = (int)workers,
                                  .inline_bytes = inline_bytes};
    if (!publish(tls, argv[1], argv[2], e) || !web_server_new(&o, &server, e))
        return false;
    web_server_start(server);
    (void)printf("%s\n", web_server_address(server));
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    (void)web_server_finish(server, FINISH_MS);
    const struct web_counts n = web_server_counts(server);
    (void)printf("answered %llu, dropped %llu, 503 %llu + %llu, timed out %llu\n",
                 (unsigned long long)n.answered, (unsigned long long)n.dropped,
                 (unsigned long long)n.refused_queue, (unsigned long long)n.refused_bytes,
                 (unsigned long long)n.timed_out);
    server = web_server_stop(server);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        (void)fprintf(stderr, "usage: %s cert.pem key.pem workers inline-bytes\n", argv[0]);
        return EXIT_FAILURE;
    }
    struct err e = ERR_INIT;
    struct web_tls *tls = web_tls_new();
    const bool is_ok = serve(argv, tls, &e);
    if (!is_ok)
        (void)fprintf(stderr, "%s\n", e.msg);
    web_tls_free(tls);
    return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
