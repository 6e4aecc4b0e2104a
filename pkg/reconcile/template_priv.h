// SPDX-License-Identifier: Apache-2.0
/*
 * One pass over one RepositoryCreationTemplate: what template.c gathers and template_act.c uses.
 */
#pragma once

#include "reconcile_priv.h"

struct template_pass {
    struct pass *p;
    /* the object */
    struct str registry;
    struct str prefix; /* normalised */
    struct str deletion_policy;
    struct api_template_spec spec;
    bool is_valid;
    struct err invalid; /* where it is not */
    /* its status: as it is, and as it will be */
    struct api_template_status before;
    struct str before_text;
    struct api_template_status status;
    /* the world */
    struct access access;
    struct registry_template aws;
    struct schema_diff diff;
    struct str winner; /* who has the prefix, where that is another object */
    struct str heir;   /* who gets it next */
    struct api_ownership inheritance;
    struct template_facts facts;
};

/* template.c */
void template_gather_aws(struct template_pass *t);
/* Conditions from v and the rest of t->status; false: stop here, come again. */
bool template_apply_status(struct template_pass *t, const struct verdict *v);

/* The same, but conditions that tell of a failure stay while the call is tried again. */
bool template_apply_ownership(struct template_pass *t, const struct verdict *v);

/* template_act.c: true where the facts have changed and should be looked at again. */
bool template_act(struct template_pass *t, enum template_action action);
