// SPDX-License-Identifier: Apache-2.0
/*
 * The registry itself: who it is, its account settings, and tokens for /v2/.
 */
#include "control_priv.h"
#include "crypto/crypto.h"
#include "store_impl_priv.h"

static bool describe(struct emu_call *c)
{
    json_put_cstr(&c->w, "registryId", c->emu->account);
    json_key_begin_object(&c->w, "replicationConfiguration");
    json_key_begin_array(&c->w, "rules");
    json_end(&c->w);
    json_end(&c->w);
    return true;
}

static void write_setting(struct emu_call *c, struct str name)
{
    json_put_str(&c->w, "name", name);
    json_put_cstr(&c->w, "value", emu_store_setting_locked(c->store, name));
}

static bool get_setting(struct emu_call *c)
{
    struct str name = emu_in_str(c, "name");

    if (emu_store_setting_locked(c->store, name) == NULL)
        return emu_fail_parameter(&c->x, "name", "Invalid account setting name");
    write_setting(c, name);
    return true;
}

static bool put_setting(struct emu_call *c)
{
    struct str name = emu_in_str(c, "name");

    if (!emu_store_put_setting_locked(c->store, name, emu_in_str(c, "value"), &c->x))
        return false;
    write_setting(c, name);
    return true;
}

/* registryIds is deprecated: "specifying a registry ID doesn't change the permissions scope". */
static bool get_token(struct emu_call *c)
{
    struct buf password BERTH_CLEANUP(buf_fini) = BUF_INIT(4096);
    struct buf token BERTH_CLEANUP(buf_fini) = BUF_INIT(8192);
    int64_t expires_ms = 0;

    buf_append_cstr(&password, "AWS:");
    emu_token_issue(c->emu, c->access_key_id, &password, &expires_ms);
    crypto_base64_encode(buf_str(&password), &token);
    json_key_begin_array(&c->w, "authorizationData");
    json_begin_object(&c->w);
    json_put_str(&c->w, "authorizationToken", buf_str(&token));
    emu_put_time(c, "expiresAt", expires_ms);
    json_put_cstr(&c->w, "proxyEndpoint", c->emu->endpoint);
    json_end(&c->w);
    json_end(&c->w);
    return true;
}

const struct emu_operation emu_registry_operations[] = {
    {"DescribeRegistry", describe},
    {"GetAccountSetting", get_setting},
    {"PutAccountSetting", put_setting},
    {"GetAuthorizationToken", get_token},
    {NULL, NULL},
};
