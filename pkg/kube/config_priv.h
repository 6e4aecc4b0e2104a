// SPDX-License-Identifier: Apache-2.0
/*
 * What the files that build a struct kube_config share. A kubeconfig stays a YAML tree: an entry
 * is looked up in the files in their order, which is the merge rule (the first that has it wins).
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "kube/config.h"
#include "yaml/yaml.h"

#include <stdbool.h>
#include <stddef.h>

struct kubeconfig_file {
    struct str path;
    struct str dir; /* relative paths in the file start here */
    const struct yaml *root;
};

struct kubeconfig {
    struct kubeconfig_file files[KUBE_CONFIG_MAX_FILES];
    size_t count;
};

/* An entry of clusters, users or contexts. */
struct kubeconfig_entry {
    const struct yaml *body; /* the map under "cluster", "user" or "context"; NULL: none found */
    const struct kubeconfig_file *file;
};

/* Reads one file. ERR_NOT_FOUND where it does not exist. The trees live in c's arena. */
bool kube_kubeconfig_add_file(struct kubeconfig *k, struct kube_config *c, struct str path,
                              struct err *e) BERTH_NODISCARD;
/* Fills c from the context (absent: the current one). */
bool kube_kubeconfig_resolve(const struct kubeconfig *k, struct str context, struct kube_config *c,
                             struct err *e) BERTH_NODISCARD;

/* users[].user: token, certificate, plug-in, impersonation. */
bool kube_kubeconfig_read_user(const struct kubeconfig_entry *user, struct kube_config *c,
                               struct err *e) BERTH_NODISCARD;
/* users[].user.exec; cluster is what the plug-in may be told about. */
bool kube_kubeconfig_read_exec(const struct kubeconfig_entry *user, const struct yaml *exec,
                               const struct kubeconfig_entry *cluster, struct kube_config *c,
                               struct err *e) BERTH_NODISCARD;

/* The member as text; absent where it is not there, null or "". Errors name file and key. */
bool kube_kubeconfig_str(const struct kubeconfig_entry *entry, const char *key, struct str *ret,
                         struct err *e) BERTH_NODISCARD;
bool kube_kubeconfig_bool(const struct kubeconfig_entry *entry, const char *key, bool *ret,
                          struct err *e) BERTH_NODISCARD;
/* The content of key + "-data" (base64), else of the file that key names (its path in *ret_path,
 * may be NULL); absent where neither is there. */
bool kube_kubeconfig_data(const struct kubeconfig_entry *entry, const char *key,
                          struct kube_config *c, struct str *ret, struct str *ret_path,
                          struct err *e) BERTH_NODISCARD;
/* path, relative to dir unless it is absolute; in c's arena. */
struct str kube_kubeconfig_join(struct kube_config *c, struct str dir, struct str path);
/* Reads a small file into c's arena. */
bool kube_config_read_file(struct kube_config *c, const char *path, size_t max_bytes,
                           struct str *ret, struct err *e) BERTH_NODISCARD;

/* From the pod's environment and service account. */
bool kube_incluster_load(struct kube_config *c, const char *host, const char *port, const char *dir,
                         struct err *e) BERTH_NODISCARD;
