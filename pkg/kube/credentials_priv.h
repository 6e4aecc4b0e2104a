// SPDX-License-Identifier: Apache-2.0
/*
 * The credentials of a client as they are now: tokens that rotate, plug-ins that are asked again.
 *
 * A snapshot (struct kube_cred) is immutable and counted. kube_credentials_get() gives the newest,
 * refreshing it where it is due: files (token, CA, client certificate and its key) when their
 * stat() changes and at least once a minute, a plug-in's answer when it expires. One thread
 * refreshes while others that have a valid snapshot go on with it. No lock is held while a file is
 * read or a plug-in runs.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct kube_config;
struct kube_cred;
struct kube_credentials;
struct kube_exec;
struct secret;

enum {
    CREDENTIALS_FILE_TTL_MS = 60 * 1000,
    EXEC_TIMEOUT_MS = 60 * 1000,
    EXEC_OUTPUT_MAX_BYTES = 1 << 20,
    EXEC_STDERR_MAX_BYTES = 4096
};

/* What one must know to make a connection, and what is sent on it. */
struct kube_cred_view {
    struct str authorization; /* "Bearer …"; absent: none. Never for text that people read. */
    struct str ca_pem;
    struct str client_cert_pem;
    struct str client_key_pem;
    uint64_t tls_generation; /* changes with ca_pem, client_cert_pem, client_key_pem */
};

struct kube_credentials *kube_credentials_new(const struct kube_config *config,
                                              const struct clock *clock) BERTH_NODISCARD;
struct kube_credentials *kube_credentials_free(struct kube_credentials *s);

/* The caller's reference. ERR_CREDENTIALS where there are none to be had. */
bool kube_credentials_get(struct kube_credentials *s, struct kube_cred **ret,
                          struct err *e) BERTH_NODISCARD;
/* The server refused `used` with 401. True where the next get() can give something else: another
 * thread refreshed it meanwhile, or there is a file or a plug-in to be asked again. */
bool kube_credentials_refused(struct kube_credentials *s, const struct kube_cred *used);

struct kube_cred_view kube_cred_view(const struct kube_cred *c);
struct kube_cred *kube_cred_unref(struct kube_cred *c);
BERTH_DEFINE_CLEANUP(struct kube_cred *, kube_cred_unref);

/* A plug-in's answer. */
struct exec_credential {
    struct secret *token;  /* NULL: none */
    char *client_cert_pem; /* NULL: none */
    struct secret *client_key_pem;
    int64_t expires_unix_ms; /* 0: when the server refuses it */
};
void kube_exec_credential_fini(struct exec_credential *c);
/* Runs the plug-in and reads its answer: blocks for at most EXEC_TIMEOUT_MS. ERR_CREDENTIALS with
 * what went wrong: its exit code and the last of its stderr, or what its answer lacks. */
bool kube_exec_run(const struct kube_exec *x, struct exec_credential *ret,
                   struct err *e) BERTH_NODISCARD;
/* The pure part of it: an ExecCredential as JSON. */
bool kube_exec_read_answer(const struct kube_exec *x, struct str text, struct exec_credential *ret,
                           struct err *e) BERTH_NODISCARD;
/* Starts argv (found in PATH) with the environment env, gathers stdout in out and the head of
 * stderr in diag (unless it has the terminal), both to their maximum, and ends it at the deadline.
 * False with *e set where it could not be started or did not end by itself with code 0. */
struct exec_process {
    const char *const *argv;
    const char *const *env;
    bool has_terminal; /* keeps our stdin and stderr: it may ask the user */
    int64_t timeout_ms;
};
struct buf;
bool kube_exec_process_run(const struct exec_process *p, struct buf *out, struct buf *diag,
                           struct err *e) BERTH_NODISCARD;
