// SPDX-License-Identifier: Apache-2.0
/*
 * Where the API server is and how to authenticate: from a kubeconfig or from inside a pod.
 *
 * The order is that of controller-runtime: the path that was given; else the files of KUBECONFIG
 * (separated by colons, merged as kubectl does: per cluster, user and context the first file that
 * has the entry wins, current-context is of the first file that sets it, files that do not exist
 * are skipped); else the pod's service account where KUBERNETES_SERVICE_HOST is set; else
 * ~/.kube/config. Relative paths in a kubeconfig are relative to that file.
 *
 * Supported: certificate and key as data or file, token, tokenFile, exec plug-ins
 * (client.authentication.k8s.io/v1 and v1beta1), impersonation, proxy-url, tls-server-name.
 * Refused with a message that says what to use instead: username/password and auth-provider.
 *
 * A loaded configuration is immutable and may be read from any thread. Secrets are struct secret;
 * no message of this package has one in it.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct http_header;
struct secret;

enum {
    KUBE_CONFIG_MAX_BYTES = 4 << 20, /* of one kubeconfig */
    KUBE_CONFIG_MAX_FILES = 64,      /* in KUBECONFIG */
    KUBE_PEM_MAX_BYTES = 1 << 20,    /* of one certificate or key file */
    KUBE_TOKEN_MAX_BYTES = 64 << 10
};

/* A credential plug-in, as users[].user.exec has it. */
struct kube_exec {
    const char *api_version;  /* "client.authentication.k8s.io/v1" or "…/v1beta1" */
    const char *command;      /* a relative path with a slash is resolved already */
    const char *const *args;  /* NULL-ended */
    const char *const *env;   /* NULL-ended, "NAME=value": added to our environment */
    const char *install_hint; /* NULL: none; part of the message when it cannot be started */
    bool wants_cluster_info;  /* provideClusterInfo */
    bool wants_terminal;      /* interactiveMode: Always */
    bool may_use_terminal;    /* IfAvailable */
    struct str cluster_json;  /* spec.cluster of KUBERNETES_EXEC_INFO; absent unless wanted */
};

/* Strings live in the arena and are NUL-terminated. A test may fill one in by itself. */
struct kube_config {
    struct arena arena;
    struct str source;          /* for people: the kubeconfig files, or "in-cluster" */
    struct str context;         /* absent in-cluster */
    struct str server;          /* "https://10.0.0.1:443/prefix", no slash at the end */
    struct str ca_pem;          /* absent: the system's certificates */
    struct str ca_file;         /* absent, or the file of ca_pem: read again when it changes */
    struct str tls_server_name; /* absent: the URL's host */
    struct str proxy_url;       /* absent: as the environment says */
    bool is_insecure;           /* insecure-skip-tls-verify */
    struct str namespace;       /* the context's or the pod's; "default" where neither says */

    struct str client_cert_pem; /* absent: none */
    struct secret *client_key_pem;
    struct str client_cert_file, client_key_file; /* absent, or the file: as ca_file */
    struct secret *token;                         /* NULL: none */
    struct str token_file; /* absent: none; wins over token, which serves until it can be read */
    const struct kube_exec *exec;      /* NULL: none; used where there is no token */
    const struct http_header *headers; /* impersonation */
    size_t header_count;
};

struct kube_config_options {
    const char *path;    /* --kubeconfig; NULL or "": by the rules above */
    const char *context; /* --context; NULL or "": current-context */
    /* Seams for tests; NULL: getenv(), and /var/run/secrets/kubernetes.io/serviceaccount. */
    const char *(*env)(void *arg, const char *name);
    void *env_arg;
    const char *service_account_dir;
};

/* ERR_NOT_FOUND: no configuration anywhere (the message lists where it looked); ERR_INVALID: what
 * is wrong in which file; ERR_DENIED: a file may not be read. No network, no plug-in is run. */
bool kube_config_load(const struct kube_config_options *o, struct kube_config **ret,
                      struct err *e) BERTH_NODISCARD;
/* Wipes each struct secret. NULL is fine; returns NULL. */
struct kube_config *kube_config_free(struct kube_config *c);
BERTH_DEFINE_CLEANUP(struct kube_config *, kube_config_free);
