// SPDX-License-Identifier: Apache-2.0
/*
 * A kubeconfig, from text to configuration: it is accepted with a server, or refused with a reason.
 * Files that it names are looked for in a directory that does not exist; inputs that name devices
 * are passed over, as reading one could wait for ever.
 */
#include "base/mem.h"
#include "config_priv.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = fuzz_text(data, size);
    if (str_contains(text, STR("/dev")) || str_contains(text, STR("/proc")))
        return 0;
    struct kube_config *c BERTH_CLEANUP(kube_config_freep) = mem_alloc(sizeof(*c));
    struct kubeconfig k = {.count = 1};
    struct err e = ERR_INIT;
    k.files[0].path = STR("/nonexistent/config");
    k.files[0].dir = STR("/nonexistent");
    if (!yaml_parse(text, KUBE_CONFIG_MAX_BYTES, &c->arena, &k.files[0].root, &e) ||
        k.files[0].root->kind != YAML_MAP)
        return 0;
    if (kube_kubeconfig_resolve(&k, STR_NULL, c, &e))
        FUZZ_MUST(c->server.len > 0);
    else
        FUZZ_MUST(e.cls != ERR_NONE && e.msg[0] != '\0');
    return 0;
}
