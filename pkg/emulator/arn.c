// SPDX-License-Identifier: Apache-2.0
/*
 * Amazon resource names of this account.
 */
#include "auth_priv.h"
#include "server_priv.h"

static const char *partition(const struct emulator *emu)
{
    if (strncmp(emu->region, "cn-", 3) == 0)
        return "aws-cn";
    return strncmp(emu->region, "us-gov-", 7) == 0 ? "aws-us-gov" : "aws";
}

struct str emu_repository_arn(const struct emulator *emu, struct arena *arena, struct str name)
{
    return arena_printf(arena, "arn:%s:ecr:%s:%s:repository/%.*s", partition(emu), emu->region,
                        emu->account, STR_ARG(name));
}

struct str emu_caller_arn(const struct emulator *emu, struct arena *arena, struct str key,
                          bool is_temporary)
{
    if (is_temporary)
        return arena_printf(arena, "arn:%s:sts::%s:assumed-role/emulator/%.*s", partition(emu),
                            emu->account, STR_ARG(key));
    return arena_printf(arena, "arn:%s:iam::%s:user/%.*s", partition(emu), emu->account,
                        STR_ARG(key));
}
