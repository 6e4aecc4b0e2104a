// SPDX-License-Identifier: Apache-2.0
/*
 * The command line.
 */
#pragma once

#include <stdbool.h>

enum flags_result {
    FLAGS_RUN,
    FLAGS_DONE, /* --help, --version: answered on standard output */
    FLAGS_WRONG /* told on standard error: exit 2 */
};

struct flags {
    const char *config;     /* NULL: the defaults */
    const char *kubeconfig; /* NULL: KUBECONFIG, the pod's service account, ~/.kube/config */
    bool is_check;          /* --check-config */
    bool is_once;           /* --once */
};

/* Strings point into argv. */
enum flags_result flags_parse(int argc, char *const *argv, struct flags *ret);
