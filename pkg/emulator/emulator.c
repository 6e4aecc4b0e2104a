// SPDX-License-Identifier: Apache-2.0
/*
 * The emulator as a whole: checks its configuration, puts the parts together in order, and takes
 * them apart in the reverse order.
 */
#include "emulator/emulator.h"

#include "auth_priv.h"
#include "base/mem.h"
#include "blob_priv.h"
#include "control_priv.h"
#include "fault_priv.h"
#include "journal_priv.h"
#include "request_log_priv.h"
#include "server_priv.h"
#include "store_priv.h"
#include "v2_priv.h"
#include "validate_priv.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static const struct emu_route routes[] = {
    {"", "ecr", &emu_control_handler},
    {"/v2", "v2", &emu_v2_handler},
    {"/_emulator", NULL, &emu_admin_handler},
};

static bool region_ok(struct str region)
{
    for (size_t i = 0; i < region.len; i++) {
        char c = region.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return region.len > 0 && region.len < 64;
}

static bool check_config(const struct emulator_config *cfg, struct err *e)
{
    if (!emu_is_account(cfg->account))
        return err_set(e, ERR_INVALID, "Account", "account %.*s: want 12 digits",
                       STR_ARG(cfg->account));
    if (!region_ok(cfg->region))
        return err_set(e, ERR_INVALID, "Region", "region %.*s: want a name such as us-east-1",
                       STR_ARG(cfg->region));
    if (cfg->n_credentials > EMULATOR_CREDENTIALS_MAX)
        return err_set(e, ERR_INVALID, "Credentials", "more than %d key pairs",
                       EMULATOR_CREDENTIALS_MAX);
    if (cfg->data_dir != NULL && cfg->blob_parent_dir != NULL)
        return err_set(e, ERR_INVALID, "Data",
                       "a data directory has the layers too: name no other for them");
    for (size_t i = 0; i < cfg->n_credentials; i++)
        if (str_is_empty(cfg->credentials[i].access_key_id) ||
            str_is_empty(cfg->credentials[i].secret_access_key))
            return err_set(e, ERR_INVALID, "Credentials",
                           "a key pair needs an access key id and a secret");
    return true;
}

/* cfg was checked. */
static struct emulator *emulator_new(const struct emulator_config *cfg)
{
    struct emulator *emu = mem_alloc(sizeof(*emu));

    emu->clock = cfg->clock ? cfg->clock : clock_system();
    memcpy(emu->account, cfg->account.ptr, cfg->account.len);
    memcpy(emu->region, cfg->region.ptr, cfg->region.len);
    emu->behavior = cfg->behavior;
    emu->auth = emu_auth_new(cfg->credentials, cfg->n_credentials);
    emu->log = emu_request_log_new();
    emu->faults = emu_faults_new(emu->clock);
    emu->data_lock = -1;
    return emu;
}

/* The blobs and the state, in memory or in a directory that stays. */
static bool open_state(struct emulator *emu, const struct emulator_config *cfg, struct err *e)
{
    struct buf dir BERTH_CLEANUP(buf_fini) = BUF_INIT(PATH_MAX);

    if (cfg->data_dir == NULL) {
        emu->blobs = blobs_new(cfg->blob_parent_dir, emu->clock, e);
    } else {
        emu->data_lock = journal_lock(cfg->data_dir, e);
        if (emu->data_lock < 0)
            return false;
        buf_printf(&dir, "%s/blobs", cfg->data_dir);
        emu->blobs = blobs_open_directory(buf_cstr(&dir), emu->clock, e);
    }
    if (emu->blobs == NULL)
        return false;
    emu->store = emu_store_new(&emu->behavior, emu->clock, emu->blobs, cfg->account, cfg->region);
    if (cfg->data_dir == NULL || emu_store_load(emu->store, cfg->data_dir, e))
        return true;
    if (e->cls == ERR_INVALID)
        e->cls = ERR_CONFLICT; /* what is in the directory, not what we were told */
    return false;
}

bool emulator_start(const struct emulator_config *cfg, struct emulator **ret, struct err *e)
{
    struct emulator *emu = NULL;
    struct emu_server_config server = {.listen = cfg->listen,
                                       .tls_cert_file = cfg->tls_cert_file,
                                       .tls_key_file = cfg->tls_key_file,
                                       .routes = routes,
                                       .n_routes = ARRAY_SIZE(routes)};

    *ret = NULL;
    if (!check_config(cfg, e))
        return false;
    emu = emulator_new(cfg);
    if (!open_state(emu, cfg, e) || !emu_server_start(emu, &server, &emu->server, e)) {
        emulator_stop(emu);
        return false;
    }
    *ret = emu;
    return true;
}

struct emulator *emulator_stop(struct emulator *emu)
{
    if (emu == NULL)
        return NULL;
    emu_faults_stop(emu->faults); /* who waits does so no longer */
    emu->server = emu_server_stop(emu->server);
    emu->store = emu_store_free(emu->store);
    emu->blobs = blobs_free(emu->blobs);
    emu->log = emu_request_log_free(emu->log);
    emu->auth = emu_auth_free(emu->auth);
    emu->faults = emu_faults_free(emu->faults);
    if (emu->data_lock >= 0)
        (void)close(emu->data_lock);
    return mem_free(emu);
}

const char *emulator_endpoint(const struct emulator *emu)
{
    return emu->endpoint;
}

const char *emulator_registry(const struct emulator *emu)
{
    return emu->registry;
}
