// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over one RegistrySettings: what settings.c gathers and settings_act.c uses.
 */
#pragma once

#include "reconcile_priv.h"

struct settings_pass {
    struct pass *p;
    struct api_settings_spec spec;
    bool is_valid;
    struct err invalid; /* where it is not */
    struct api_settings_status before;
    struct str before_text;
    struct api_settings_status status;
    struct registry *registry; /* a reference, or NULL */
    uint64_t needed_sequence;  /* decisions need a read as new as this */
    bool leads;
    struct registry_state state;
    struct str *templates; /* that refer to it */
    size_t template_count;
};

/* settings_act.c: puts the account settings that differ; *v says what holds then. False: nothing is
 * to be said now (stopping, not leading, or waiting to try again). */
bool settings_put(struct settings_pass *s, struct verdict *v);
/* Fills the counts and lists of the status. */
void settings_describe(struct settings_pass *s);
/* The verdict on whose registry it is: true where *v says why it cannot be used. */
bool settings_check_identity(struct settings_pass *s, struct verdict *v);
