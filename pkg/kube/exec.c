// SPDX-License-Identifier: Apache-2.0
/*
 * Asking a credential plug-in (client.authentication.k8s.io): what it is told, and reading the
 * ExecCredential that it prints.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "credentials_priv.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/config.h"

#include <unistd.h>

enum { INFO_MAX_BYTES = 3 << 20, WORDS_MAX = 4096, DIAG_SHOWN_BYTES = 400 };

extern char **environ;

void kube_exec_credential_fini(struct exec_credential *c)
{
    c->token = secret_free(c->token);
    c->client_key_pem = secret_free(c->client_key_pem);
    c->client_cert_pem = mem_free(c->client_cert_pem);
}

static bool lacks(const struct kube_exec *x, const char *what, struct err *e)
{
    return err_set(e, ERR_CREDENTIALS, "PluginAnswer", "the answer of credential plug-in %s: %s",
                   x->command, what);
}

static bool read_secrets(const struct kube_exec *x, const struct json *status,
                         struct exec_credential *ret, struct err *e)
{
    struct str token = json_str_or_null(json_get(status, "token"));
    struct str cert = json_str_or_null(json_get(status, "clientCertificateData"));
    struct str key = json_str_or_null(json_get(status, "clientKeyData"));
    if (str_is_empty(token) && str_is_empty(cert))
        return lacks(x, "status has neither token nor clientCertificateData", e);
    if (str_is_empty(cert) != str_is_empty(key))
        return lacks(x, "clientCertificateData and clientKeyData must come together", e);
    if (token.len > KUBE_TOKEN_MAX_BYTES || cert.len > KUBE_PEM_MAX_BYTES ||
        key.len > KUBE_PEM_MAX_BYTES)
        return lacks(x, "a credential is too long", e);
    if (!str_is_empty(token))
        ret->token = secret_new(token);
    if (!str_is_empty(cert)) {
        ret->client_cert_pem = mem_dup(cert.ptr, cert.len);
        ret->client_key_pem = secret_new(key);
    }
    return true;
}

bool kube_exec_read_answer(const struct kube_exec *x, struct str text, struct exec_credential *ret,
                           struct err *e)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err why = ERR_INIT; /* its text could have a piece of the token in it */
    *ret = (struct exec_credential){0};
    if (!json_parse(text, EXEC_OUTPUT_MAX_BYTES, &doc, &why))
        return lacks(x, "no JSON on stdout", e);
    const struct json *root = json_root(doc);
    if (!str_eq(json_str_or_null(json_get(root, "kind")), STR("ExecCredential")))
        return lacks(x, "kind is not ExecCredential", e);
    if (!str_eq_cstr(json_str_or_null(json_get(root, "apiVersion")), x->api_version))
        return lacks(x, "apiVersion is not the one that the kubeconfig asks for", e);
    const struct json *status = json_get(root, "status");
    struct str expires = json_str_or_null(json_get(status, "expirationTimestamp"));
    if (!str_is_empty(expires) && !clock_parse_rfc3339(expires, &ret->expires_unix_ms))
        return lacks(x, "expirationTimestamp is no RFC 3339 time", e);
    return read_secrets(x, status, ret, e);
}

static void words_free(const char ***at)
{
    *at = mem_free(*at);
}

static char *exec_info(const struct kube_exec *x, bool is_interactive)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(INFO_MAX_BYTES);
    struct json_writer w = json_writer_to(&text);
    buf_append(&text, STR("KUBERNETES_EXEC_INFO="));
    json_begin_object(&w);
    json_put_cstr(&w, "kind", "ExecCredential");
    json_put_cstr(&w, "apiVersion", x->api_version);
    json_key_begin_object(&w, "spec");
    json_put_bool(&w, "interactive", is_interactive);
    if (!str_is_null(x->cluster_json))
        json_put_raw(&w, "cluster", x->cluster_json);
    json_end(&w);
    json_end(&w);
    return buf_take(&text);
}

static bool names_same(const char *a, const char *b)
{
    struct str name_a, name_b, rest;
    str_cut(str_from(a), '=', &name_a, &rest);
    str_cut(str_from(b), '=', &name_b, &rest);
    return str_eq(name_a, name_b);
}

static bool is_overridden(const struct kube_exec *x, const char *info, const char *pair)
{
    if (names_same(info, pair))
        return true;
    for (const char *const *own = x->env; own && *own; own++)
        if (names_same(*own, pair))
            return true;
    return false;
}

/* Ours, less what the kubeconfig sets anew, then the kubeconfig's, then the information. */
static const char **exec_environment(const struct kube_exec *x, const char *info)
{
    const char **env = mem_alloc_array(WORDS_MAX + 1, sizeof(*env));
    size_t count = 0;
    for (char **pair = environ; pair && *pair && count < WORDS_MAX / 2; pair++)
        if (!is_overridden(x, info, *pair))
            env[count++] = *pair;
    for (const char *const *own = x->env; own && *own && count < WORDS_MAX - 1; own++)
        env[count++] = *own;
    env[count++] = info;
    return env;
}

static const char **exec_arguments(const struct kube_exec *x)
{
    size_t count = 0;
    while (x->args && x->args[count])
        count++;
    const char **argv = mem_alloc_array(count + 2, sizeof(*argv));
    argv[0] = x->command;
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = x->args[i];
    return argv;
}

/* What it said last on stderr is what a user needs to know, on one line. */
static void add_diagnosis(const struct kube_exec *x, struct str diag, struct err *e)
{
    struct buf line BERTH_CLEANUP(buf_fini) = BUF_INIT(EXEC_STDERR_MAX_BYTES);
    diag = str_trim(diag);
    if (diag.len > DIAG_SHOWN_BYTES)
        diag = str_from_offset(diag, diag.len - DIAG_SHOWN_BYTES);
    for (size_t i = 0; i < diag.len; i++)
        buf_append_char(&line, (unsigned char)diag.ptr[i] < 0x20 ? ' ' : diag.ptr[i]);
    struct err before = *e;
    err_clear(e);
    err_set(e, before.cls, before.reason, "%s%s%s%s%s", before.msg, line.len > 0 ? ": " : "",
            buf_cstr(&line), x->install_hint ? "; hint: " : "",
            x->install_hint ? x->install_hint : "");
}

bool kube_exec_run(const struct kube_exec *x, struct exec_credential *ret, struct err *e)
{
    *ret = (struct exec_credential){0};
    bool has_terminal = x->may_use_terminal && isatty(STDIN_FILENO) == 1;
    if (x->wants_terminal && !has_terminal)
        return err_set(e, ERR_CREDENTIALS, "PluginFailed",
                       "credential plug-in %s needs a terminal and there is none", x->command);
    char *info BERTH_CLEANUP(mem_freecp) = exec_info(x, has_terminal);
    const char **env BERTH_CLEANUP(words_free) = exec_environment(x, info);
    const char **argv BERTH_CLEANUP(words_free) = exec_arguments(x);
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(EXEC_OUTPUT_MAX_BYTES);
    struct buf diag BERTH_CLEANUP(buf_fini) = BUF_INIT(EXEC_STDERR_MAX_BYTES);
    struct exec_process p = {
        .argv = argv, .env = env, .has_terminal = has_terminal, .timeout_ms = EXEC_TIMEOUT_MS};
    if (!kube_exec_process_run(&p, &out, &diag, e)) {
        add_diagnosis(x, buf_str(&diag), e);
        return false;
    }
    bool is_read = buf_ok(&out) ? kube_exec_read_answer(x, buf_str(&out), ret, e)
                                : lacks(x, "too much on stdout", e);
    if (out.ptr)
        crypto_wipe(out.ptr, out.len);
    if (!is_read)
        kube_exec_credential_fini(ret);
    return is_read;
}
