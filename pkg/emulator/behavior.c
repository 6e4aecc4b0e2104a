// SPDX-License-Identifier: Apache-2.0
/*
 * What AWS leaves undocumented, as options by name: one table for the parser and the help.
 */
#include "base/num.h"
#include "emulator/emulator.h"

#include <stddef.h>

enum { VALUES_MAX = 2 };

struct row {
    const char *name;
    const char *help_values;
    const char *text;
    const char *values[VALUES_MAX]; /* of a bool: false, true; NULL: a number */
    size_t offset;
    int min; /* of a number */
    int max;
};

#define AT(member) offsetof(struct emulator_behavior, member)

static const struct row rows[] = {
    {.name = "update-without-mutability",
     .help_values = "keep|reset",
     .text = "updating a template without imageTagMutability keeps it, or makes it MUTABLE",
     .values = {"keep", "reset"},
     .offset = AT(is_update_resetting_mutability)},
    {.name = "template-match",
     .help_values = "applied-first|longest-first",
     .text = "a push looks among the templates applied for CREATE_ON_PUSH, or takes the longest "
             "prefix of all and fails where that is not applied for it",
     .values = {"applied-first", "longest-first"},
     .offset = AT(is_longest_prefix_first)},
    {.name = "trailing-slash",
     .help_values = "same|distinct",
     .text = "the prefixes prod and prod/ are one template, or two",
     .values = {"same", "distinct"},
     .offset = AT(is_slash_distinct)},
    {.name = "unknown-prefix",
     .help_values = "not-found|left-out",
     .text = "describing an unknown prefix fails with TemplateNotFoundException, or leaves it out",
     .values = {"not-found", "left-out"},
     .offset = AT(is_unknown_prefix_left_out)},
    {.name = "manifest-put-creates",
     .help_values = "yes|no",
     .text = "the PUT of a manifest creates the repository too, or only an upload does",
     .values = {"yes", "no"},
     .offset = AT(is_manifest_put_not_creating)},
    {.name = "patch-status",
     .help_values = "202|201",
     .text = "the status of PATCH on an upload: that of the specification, or that of ECR",
     .values = {"202", "201"},
     .offset = AT(is_patch_201)},
    {.name = "tag-invalid-status",
     .help_values = "400..499",
     .text = "the status of TAG_INVALID on /v2/ (default 400)",
     .offset = AT(tag_invalid_status),
     .min = 400,
     .max = 499},
    {.name = "missing-layers-status",
     .help_values = "400..499",
     .text = "the status on /v2/ for a manifest whose layers are missing (default 404)",
     .offset = AT(missing_layers_status),
     .min = 400,
     .max = 499},
    {.name = "max-templates",
     .help_values = "1..10000",
     .text = "templates of the registry, beyond which LimitExceededException (default 10000)",
     .offset = AT(max_templates),
     .min = 1,
     .max = 10000},
    {.name = "control-calls-per-second",
     .help_values = "0..100000",
     .text = "control calls per second, beyond which ThrottlingException (default 0: no limit)",
     .offset = AT(control_calls_per_second),
     .min = 0,
     .max = 100000},
};

static bool set_choice(const struct row *row, struct emulator_behavior *b, struct str value)
{
    for (int i = 0; i < VALUES_MAX; i++) {
        if (!str_eq_cstr(value, row->values[i]))
            continue;
        *(bool *)(void *)((char *)b + row->offset) = i == 1;
        return true;
    }
    return false;
}

static bool set_number(const struct row *row, struct emulator_behavior *b, struct str value)
{
    int64_t n = 0;

    if (!num_parse_i64(value, &n) || n < row->min || n > row->max)
        return false;
    *(int *)(void *)((char *)b + row->offset) = (int)n;
    return true;
}

bool emulator_behavior_set(struct emulator_behavior *b, struct str name, struct str value,
                           struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];

        if (!str_eq_cstr(name, row->name))
            continue;
        if (row->values[0] ? set_choice(row, b, value) : set_number(row, b, value))
            return true;
        return err_set(e, ERR_INVALID, "Behavior", "behavior %s: %.*s is none of %s", row->name,
                       STR_ARG(value), row->help_values);
    }
    return err_set(e, ERR_INVALID, "Behavior", "unknown behavior %.*s; --help lists them",
                   STR_ARG(name));
}

bool emulator_behavior_help(size_t i, const char **ret_name, const char **ret_values,
                            const char **ret_text)
{
    if (i >= ARRAY_SIZE(rows))
        return false;
    *ret_name = rows[i].name;
    *ret_values = rows[i].help_values;
    *ret_text = rows[i].text;
    return true;
}
