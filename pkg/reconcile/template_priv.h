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
    /* said as soon as the status says the same; reason NULL: nothing */
    struct {
        const char *reason;
        const char *action;
        struct str note;
    } warning;
};

/* template.c */
void template_gather_aws(struct template_pass *t);
/* Conditions from v and the rest of t->status; false: stop here, come again. */
bool template_apply_status(struct template_pass *t, const struct verdict *v);

/* The same, but conditions that tell of a failure stay while the call is tried again. */
bool template_apply_ownership(struct template_pass *t, const struct verdict *v);

/* template_act.c: true where the facts have changed and should be looked at again. */
bool template_act(struct template_pass *t, enum template_action action);

/* An event on the object. */
void template_event(struct template_pass *t, enum kube_event_type type, const char *reason,
                    const char *action, struct str note);
/* A warning where Ready says something new: it goes out once the status is written, which is next.
 * Where it is not (the object has changed, or this process leads no more), it is not true either.
 */
void template_warn(struct template_pass *t, const char *reason, const char *action,
                   const struct verdict *v);
/* "imageTagMutability (desired IMMUTABLE, observed MUTABLE), …", short enough for a message. */
struct str template_describe(struct template_pass *t, const struct schema_diff *diff);
struct verdict template_working(const char *reason, const char *what);
struct verdict template_contended(struct template_pass *t);
/* Ends the pass: finalizer as it has to be, conditions from v. Always false. */
bool template_finish(struct template_pass *t, const struct verdict *v);
bool template_in_sync(struct template_pass *t);
bool template_not_converging(struct template_pass *t);
void template_own(struct template_pass *t, const char *origin, struct schema_i64 created_at);
void template_disown(struct template_pass *t);
/* Before an object owns anything, its RegistrySettings carries the finalizer that makes its
 * deletion wait: else both could go at once, and nobody would be left to delete the template. */
bool template_is_registry_held(struct template_pass *t);
bool template_release(struct template_pass *t);

/* template_write.c: as template_act() */
bool template_create(struct template_pass *t);
bool template_update(struct template_pass *t);
bool template_delete(struct template_pass *t);
/* Before a deletion is decided: where the outcome of Create is not known and the snapshot lacks the
 * template, AWS is asked for it. False: come again. */
bool template_look(struct template_pass *t);
