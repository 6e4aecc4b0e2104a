// SPDX-License-Identifier: Apache-2.0
/*
 * The command line. Not getopt_long(): it takes abbreviations, which break when a flag is added.
 */
#include "flags.h"

#include "base/compiler.h"
#include "base/str.h"

#include <stdio.h>

static const char usage[] =
    "usage: berth-operator [--config FILE] [--kubeconfig FILE] [--once]\n"
    "       berth-operator webhook-manifest [--help] ...\n"
    "\n"
    "Keeps Amazon ECR equal to the RegistrySettings and RepositoryCreationTemplate objects of a\n"
    "Kubernetes cluster.\n"
    "\n"
    "  --config FILE      the configuration; without it every setting has its default\n"
    "  --kubeconfig FILE  how to reach the API server; without it the files in KUBECONFIG, the\n"
    "                     pod's service account or ~/.kube/config\n"
    "  --once             reconciles everything once and ends: 0 all objects are Ready, 1 not "
    "all,\n"
    "                     3 another process leads\n"
    "  --check-config     reads the configuration, says what is wrong with it and ends\n"
    "  --version          prints the version and ends\n"
    "  --help             prints this and ends\n"
    "\n"
    "webhook-manifest prints the ValidatingWebhookConfiguration of the admission webhook.\n"
    "AWS credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.\n"
    "SIGTERM and SIGINT end it in good order, a second one at once.\n";

static enum flags_result wrong(const char *what, struct str argument)
{
    (void)fprintf(stderr, "berth-operator: %s %.*s; berth-operator --help lists the flags\n", what,
                  STR_ARG(argument));
    return FLAGS_WRONG;
}

/* The value of a flag that takes one: after '=', or the next argument. NULL where there is none. */
static const char *value_of(struct str after, bool has_equals, char *const *argv, int *at)
{
    if (has_equals)
        return str_is_empty(after) ? NULL : after.ptr;
    const char *next = argv[*at + 1];
    if (next == NULL || next[0] == '\0' || next[0] == '-')
        return NULL;
    ++*at;
    return next;
}

enum flags_result flags_parse(int argc, char *const *argv, struct flags *ret)
{
    *ret = (struct flags){0};
    const struct {
        const char *name;
        const char **value; /* NULL: takes none */
        bool *is_set;
        const char *print;
    } known[] = {
        {"--config", &ret->config, NULL, NULL},
        {"--kubeconfig", &ret->kubeconfig, NULL, NULL},
        {"--once", NULL, &ret->is_once, NULL},
        {"--check-config", NULL, &ret->is_check, NULL},
        {"--version", NULL, NULL, "berth-operator " BERTH_VERSION "\n"},
        {"--help", NULL, NULL, usage},
    };
    for (int at = 1; at < argc; at++) {
        const struct str argument = str_from(argv[at]);
        struct str name, after;
        const bool has_equals = str_cut(argument, '=', &name, &after);
        size_t i = 0;
        while (i < ARRAY_SIZE(known) && !str_eq_cstr(name, known[i].name))
            i++;
        if (i == ARRAY_SIZE(known))
            return wrong(str_starts_with(name, STR("-")) ? "unknown flag" : "unexpected argument",
                         argument);
        if (known[i].value == NULL && has_equals)
            return wrong("no value is taken by", name);
        if (known[i].print != NULL) {
            (void)fputs(known[i].print, stdout);
            return FLAGS_DONE;
        }
        if (known[i].is_set != NULL)
            *known[i].is_set = true;
        if (known[i].value != NULL) {
            *known[i].value = value_of(after, has_equals, argv, &at);
            if (*known[i].value == NULL)
                return wrong("a file must follow", name);
        }
    }
    return FLAGS_RUN;
}
