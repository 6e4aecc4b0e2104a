// SPDX-License-Identifier: Apache-2.0
/*
 * ecr-emulator: a local Amazon ECR for tests and demonstrations. Flags, start, one JSON line that
 * says where it serves, and a clean stop on SIGTERM or SIGINT. Exit status: 0 stopped, 1 could not
 * serve, 2 wrong usage.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "emulator/emulator.h"
#include "json/write.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, LINE_MAX_BYTES = 4096 };

enum option_id {
    OPTION_LISTEN = 256,
    OPTION_ACCOUNT,
    OPTION_REGION,
    OPTION_CREDENTIALS,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_BLOB_DIR,
    OPTION_DATA,
    OPTION_BEHAVIOR,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"account", required_argument, NULL, OPTION_ACCOUNT},
    {"region", required_argument, NULL, OPTION_REGION},
    {"credentials", required_argument, NULL, OPTION_CREDENTIALS},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"blob-dir", required_argument, NULL, OPTION_BLOB_DIR},
    {"data", required_argument, NULL, OPTION_DATA},
    {"behavior", required_argument, NULL, OPTION_BEHAVIOR},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: ecr-emulator [flags]\n"
    "\n"
    "A local Amazon ECR: the control API, STS GetCallerIdentity and the registry API (/v2/) on\n"
    "one listener. Prints one JSON line with \"endpoint\" and \"registry\" when it serves, and "
    "runs\n"
    "until SIGTERM or SIGINT. Nothing is kept without --data.\n"
    "\n"
    "  --listen ADDRESS:PORT          numeric address; port 0: the kernel's choice\n"
    "                                 (default 127.0.0.1:0)\n"
    "  --account DIGITS               account id (default 123456789012)\n"
    "  --region NAME                  region (default us-east-1)\n"
    "  --credentials KEY:SECRET[:TOKEN]\n"
    "                                 a key pair to accept; may be repeated (default test:test).\n"
    "                                 Others on this machine can see it: never a real one\n"
    "  --tls-cert FILE --tls-key FILE serve HTTPS, from PEM files\n"
    "  --data DIR                     keep all state in DIR, made if it is absent; what was\n"
    "                                 answered is there after a crash (default: in memory)\n"
    "  --blob-dir DIR                 where layers are kept while it runs, without --data\n"
    "                                 (default $TMPDIR)\n"
    "  --behavior NAME=VALUE          what AWS does not document; may be repeated\n"
    "  --help --version\n"
    "\n"
    "Behaviors (the first value is the default):\n";

static void print_help(void)
{
    const char *name = NULL;
    const char *values = NULL;
    const char *text = NULL;

    (void)fputs(usage, stdout);
    for (size_t i = 0; emulator_behavior_help(i, &name, &values, &text); i++)
        printf("  %s=%s\n      %s\n", name, values, text);
}

/* "KEY:SECRET[:TOKEN]": a token may have colons. */
static bool add_credentials(struct emulator_config *cfg, const char *text, struct err *e)
{
    struct emulator_credential *at = NULL;
    struct str rest = STR_NULL;

    if (cfg->n_credentials >= EMULATOR_CREDENTIALS_MAX)
        return err_set(e, ERR_INVALID, "Flags", "--credentials: at most %d",
                       EMULATOR_CREDENTIALS_MAX);
    at = &cfg->credentials[cfg->n_credentials];
    if (!str_cut(str_from(text), ':', &at->access_key_id, &rest))
        return err_set(e, ERR_INVALID, "Flags", "--credentials: want KEY:SECRET[:TOKEN]");
    (void)str_cut(rest, ':', &at->secret_access_key, &at->session_token);
    if (str_is_empty(at->access_key_id) || str_is_empty(at->secret_access_key))
        return err_set(e, ERR_INVALID, "Flags", "--credentials: want KEY:SECRET[:TOKEN]");
    cfg->n_credentials++;
    return true;
}

static bool add_behavior(struct emulator_config *cfg, const char *text, struct err *e)
{
    struct str name = STR_NULL;
    struct str value = STR_NULL;

    if (!str_cut(str_from(text), '=', &name, &value))
        return err_set(e, ERR_INVALID, "Flags", "--behavior %s: want NAME=VALUE", text);
    return emulator_behavior_set(&cfg->behavior, name, value, e);
}

static bool set_option(struct emulator_config *cfg, int id, const char *value, struct err *e)
{
    switch (id) {
    case OPTION_LISTEN:
        cfg->listen = value;
        return true;
    case OPTION_ACCOUNT:
        cfg->account = str_from(value);
        return true;
    case OPTION_REGION:
        cfg->region = str_from(value);
        return true;
    case OPTION_CREDENTIALS:
        return add_credentials(cfg, value, e);
    case OPTION_TLS_CERT:
        cfg->tls_cert_file = value;
        return true;
    case OPTION_TLS_KEY:
        cfg->tls_key_file = value;
        return true;
    case OPTION_BLOB_DIR:
        cfg->blob_parent_dir = value;
        return true;
    case OPTION_DATA:
        cfg->data_dir = value;
        return true;
    default:
        return add_behavior(cfg, value, e);
    }
}

/* -1: go on; else the exit status. */
static int parse_flags(struct emulator_config *cfg, int argc, char **argv)
{
    int id = 0;
    struct err e = ERR_INIT;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread starts */
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (id == '?') {
            (void)fputs("ecr-emulator --help lists the flags\n", stderr);
            return EXIT_USAGE;
        }
        if (id == OPTION_HELP) {
            print_help();
            return 0;
        }
        if (id == OPTION_VERSION) {
            puts("ecr-emulator " BERTH_VERSION);
            return 0;
        }
        if (!set_option(cfg, id, optarg, &e)) {
            fprintf(stderr, "ecr-emulator: %s\n", e.msg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ecr-emulator: unexpected argument %s; --help lists the flags\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    if ((cfg->tls_cert_file == NULL) != (cfg->tls_key_file == NULL)) {
        (void)fputs("ecr-emulator: --tls-cert and --tls-key go together\n", stderr);
        return EXIT_USAGE;
    }
    return -1;
}

static bool print_ready(const struct emulator *emu)
{
    struct buf line BERTH_CLEANUP(buf_fini) = BUF_INIT(LINE_MAX_BYTES);
    struct json_writer w = json_writer_to(&line);

    json_begin_object(&w);
    json_put_cstr(&w, "endpoint", emulator_endpoint(emu));
    json_put_cstr(&w, "registry", emulator_registry(emu));
    json_end(&w);
    return puts(buf_cstr(&line)) >= 0 && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct emulator_config cfg = {
        .listen = "127.0.0.1:0", .account = STR("123456789012"), .region = STR("us-east-1")};
    struct emulator *emu = NULL;
    struct err e = ERR_INIT;
    sigset_t stop;
    int signal_number = 0;
    int status = parse_flags(&cfg, argc, argv);

    if (status >= 0)
        return status;
    /* before any thread starts, so that all inherit it and only sigwait() takes them */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write says EFBIG instead */
    if (!emulator_start(&cfg, &emu, &e)) {
        fprintf(stderr, "ecr-emulator: %s\n", e.msg);
        return e.cls == ERR_INVALID ? EXIT_USAGE : 1;
    }
    if (print_ready(emu))
        sigwait(&stop, &signal_number);
    emulator_stop(emu);
    return signal_number != 0 ? 0 : 1;
}
