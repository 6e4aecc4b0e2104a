// SPDX-License-Identifier: Apache-2.0
/*
 * One run of a probe: is the repository there by now, and is the image in it? Asked live, because
 * the snapshot said that it is not there, or knows nothing of images.
 */
#include "ensure_priv.h"
#include "registry/repository.h"

static void fail(struct task *t, const struct err *error)
{
    t->error = *error;
    ensure_finish(t, ENSURE_FAILED);
}

static void probe_repository(struct ensure *e, struct task *t, struct registry *r)
{
    struct err error = ERR_INIT;
    struct registry_repository_info info;
    struct aws_scope scope = ensure_scope(e, t, t->run_deadline_ms);
    switch (registry_repository_read(r, t->repository, &scope, &t->arena, &info, &error)) {
    case REGISTRY_OK:
    case REGISTRY_EXISTS:
        ensure_finish(t, ENSURE_PRESENT);
        return;
    case REGISTRY_NOT_FOUND:
        ensure_finish(t, ENSURE_ABSENT);
        return;
    case REGISTRY_FAILED:
        fail(t, &error);
        return;
    }
}

static void probe_image(struct ensure *e, struct task *t, struct registry *r)
{
    struct err error = ERR_INIT;
    struct aws_scope scope = ensure_scope(e, t, t->run_deadline_ms);
    const enum registry_result result =
        registry_image_read(r, t->repository, t->tag, t->digest, &scope, &error);
    if (result == REGISTRY_FAILED) {
        fail(t, &error);
        return;
    }
    t->image = result == REGISTRY_NOT_FOUND ? ENSURE_IMAGE_ABSENT : ENSURE_IMAGE_PRESENT;
    /* "no such repository" was remembered by the call */
    const bool is_gone = result == REGISTRY_NOT_FOUND &&
                         registry_repository_find(r, t->repository) != REGISTRY_PRESENT;
    ensure_finish(t, is_gone ? ENSURE_ABSENT : ENSURE_PRESENT);
}

void ensure_run_probe(struct ensure *e, struct task *t)
{
    struct directory_registry *entry BERTH_CLEANUP(directory_unrefp) =
        directory_get(e->o.directory, t->registry);
    if (entry == NULL || entry->registry == NULL) {
        struct err error = ERR_INIT;
        (void)err_set(&error, ERR_RETRY, "RegistryNotReady", "RegistrySettings \"%.*s\" %s",
                      STR_ARG(t->registry), entry == NULL ? "is gone" : "cannot be used");
        fail(t, &error);
    } else if (t->kind == TASK_IMAGE) {
        probe_image(e, t, entry->registry);
    } else {
        probe_repository(e, t, entry->registry);
    }
}
