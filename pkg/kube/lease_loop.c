// SPDX-License-Identifier: Apache-2.0
/*
 * The loop of leader election: one thread that reads the Lease, decides, writes and calls back. See
 * lease_priv.h for the parts, kube/lease.h for the rules.
 */
#include "client_priv.h"
#include "crypto/crypto.h"
#include "http/http.h"
#include "lease_priv.h"

#include <string.h>

enum { ROUNDS_MAX = 2, BODY_SPARE_BYTES = 4096 };

static const struct kube_resource LEASES = {"coordination.k8s.io", "v1", "leases", "Lease", true};

static int64_t now_ms(const struct kube_lease *l)
{
    return clock_mono_ms(l->clock);
}

static void copy_holder(char *ret, struct str s)
{
    struct str cut = str_cut_utf8(s, KUBE_LEASE_HOLDER_MAX - 1);
    if (cut.len > 0)
        memcpy(ret, cut.ptr, cut.len);
    ret[cut.len] = '\0';
}

/* 0: no leader. Once we are stopping nothing makes us one again. */
static void set_leads_until(struct kube_lease *l, int64_t until_ms)
{
    (void)pthread_mutex_lock(&l->mutex);
    atomic_store(&l->leads_until_ms, l->is_stopping ? 0 : until_ms);
    (void)pthread_mutex_unlock(&l->mutex);
}

static void report_role(struct kube_lease *l, bool is_leader)
{
    if (l->is_reported_leader == is_leader)
        return;
    l->is_reported_leader = is_leader;
    const char *labels[] = {l->name};
    metric_set(l->status, labels, is_leader ? 1.0 : 0.0);
    metric_add(l->transitions, labels, 1.0);
    void (*callback)(void *arg) =
        is_leader ? l->callbacks.on_started_leading : l->callbacks.on_stopped_leading;
    if (callback)
        callback(l->callbacks.arg);
}

static void report_holder(struct kube_lease *l)
{
    struct str holder = l->seen.is_absent ? STR("") : l->seen.record.holder;
    char cut[KUBE_LEASE_HOLDER_MAX];
    copy_holder(cut, holder);
    if (!l->seen.is_known || (l->is_reported_holder && strcmp(cut, l->reported_holder) == 0))
        return;
    l->is_reported_holder = true;
    memcpy(l->reported_holder, cut, sizeof(cut));
    if (l->callbacks.on_new_holder)
        l->callbacks.on_new_holder(l->callbacks.arg, str_from(l->reported_holder));
}

static void report_error(struct kube_lease *l, const struct err *e)
{
    int64_t now = now_ms(l);
    /* who was given one right and lacks the next one wants to know; other messages may vary */
    bool is_other_denial = e->cls == ERR_DENIED && strcmp(e->msg, l->error.msg) != 0;
    bool is_new = e->cls != l->error.cls || strcmp(e->reason, l->error.reason) != 0 ||
                  is_other_denial || now - l->error_ms >= KUBE_LEASE_ERROR_REPEAT_MS;
    if (e->cls == ERR_CANCELLED || !is_new)
        return;
    l->error = *e;
    l->error_ms = now;
    if (l->callbacks.on_error)
        l->callbacks.on_error(l->callbacks.arg, e);
}

/* What other threads see of the last observation. */
static void publish(struct kube_lease *l)
{
    const struct lease_observation *o = &l->seen;
    struct str holder = o->is_absent ? STR("") : o->record.holder;
    int64_t until_ms = 0;
    bool is_others =
        kube_lease_decide(o, str_from(l->identity), now_ms(l), &until_ms) == LEASE_WAIT;
    (void)pthread_mutex_lock(&l->mutex);
    copy_holder(l->holder, holder);
    l->held_until_ms = is_others ? until_ms : 0;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->mutex);
}

static bool is_ours(const struct kube_lease *l)
{
    return l->seen.is_known && !l->seen.is_absent &&
           str_eq_cstr(l->seen.record.holder, l->identity);
}

/* Takes in what the server has, or (o is NULL) has not. Takes the reference. */
static bool observe(struct kube_lease *l, struct kube_object *o, struct err *e)
{
    struct kube_object *object BERTH_CLEANUP(kube_object_unrefp) = o;
    struct lease_record record;
    bool is_there = object != NULL;
    if (is_there && !kube_lease_read(object, &record, e))
        return false;
    kube_lease_observe(&l->seen, is_there ? &record : NULL, now_ms(l));
    if (is_there) {
        kube_object_unref(l->seen_object);
        l->seen_object = TAKE(object);
    }
    l->is_unsure = false;
    if (!is_ours(l)) {
        set_leads_until(l, 0);
        /* also where it is free by now: somebody may have led. One that was deleted is made anew in
         * a moment, and only if that fails leadership has ended */
        if (is_there)
            report_role(l, false);
    }
    publish(l);
    return true;
}

/* Leadership that ran out is told before anything can renew it. */
static void check_deadline(struct kube_lease *l)
{
    if (atomic_load(&l->leads_until_ms) != 0 && !kube_lease_is_leader(l)) {
        set_leads_until(l, 0);
        report_role(l, false);
    }
}

static enum kube_result call(struct kube_lease *l, enum client_verb verb, struct str body,
                             struct kube_object **ret, struct err *e)
{
    struct client_call c = {.verb = verb,
                            .resource = &LEASES,
                            .namespace = l->namespace,
                            .name = l->name,
                            .body = body,
                            .timeout_ms = kube_lease_call_ms(kube_lease_left_ms(l)),
                            .cancel = l->cancel};
    if (http_cancel_is_cancelled(l->cancel)) {
        err_set(e, ERR_CANCELLED, "Stopped", "stopping");
        return KUBE_FAILED;
    }
    return kube_client_call(l->client, &c, ret, e);
}

/* KUBE_OK: observed, whether there or not. */
static enum kube_result read_lease(struct kube_lease *l, struct err *e)
{
    struct kube_object *o = NULL;
    enum kube_result result = call(l, CLIENT_GET, STR_NULL, &o, e);
    if (result == KUBE_CONFLICT || result == KUBE_EXISTS)
        err_set(e, ERR_RETRY, "Unexpected", "get leases %s/%s: the server answers with a conflict",
                l->namespace, l->name);
    if (result != KUBE_OK && result != KUBE_NOT_FOUND)
        return KUBE_FAILED;
    return observe(l, o, e) ? KUBE_OK : KUBE_FAILED;
}

static enum kube_result send_record(struct kube_lease *l, enum client_verb verb,
                                    const struct lease_record *next, struct err *e)
{
    struct buf body BERTH_CLEANUP(buf_fini) = BUF_INIT(KUBE_OBJECT_MAX_BYTES + BODY_SPARE_BYTES);
    struct kube_object *o = NULL;
    const struct kube_object *old = verb == CLIENT_UPDATE ? l->seen_object : NULL;
    if (!kube_lease_write(next, l->namespace, l->name, old, &body, e))
        return KUBE_FAILED;
    enum kube_result result = call(l, verb, buf_str(&body), &o, e);
    /* what did not answer may have written, and what it wrote has another resourceVersion */
    l->is_unsure = result != KUBE_OK;
    return result != KUBE_OK || observe(l, o, e) ? result : KUBE_FAILED;
}

/* Writes ourselves into the Lease. Leadership counts from before the request: whoever reads it
 * starts counting after. */
static enum kube_result take(struct kube_lease *l, enum lease_action action, struct err *e)
{
    char now[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(clock_unix_ms(l->clock), now);
    struct lease_record next =
        kube_lease_next(&l->seen, action, str_from(l->identity), str_from(now));
    check_deadline(l);
    int64_t sent_ms = now_ms(l);
    enum client_verb verb = action == LEASE_CREATE ? CLIENT_CREATE : CLIENT_UPDATE;
    enum kube_result result = send_record(l, verb, &next, e);
    if (result == KUBE_NOT_FOUND && action == LEASE_CREATE) {
        err_set(e, ERR_NOT_FOUND, "NamespaceNotFound",
                "create leases %s/%s: the namespace does not exist", l->namespace, l->name);
        return KUBE_FAILED;
    }
    if (result == KUBE_OK && is_ours(l))
        set_leads_until(l, sent_ms + KUBE_LEASE_RENEW_DEADLINE_MS);
    return result;
}

/* A leader knows what the Lease is: one request. False where it must be read first. */
static bool renew_fast(struct kube_lease *l, enum kube_result *ret, struct err *e)
{
    int64_t now = now_ms(l);
    if (!is_ours(l) || l->is_unsure || now - l->seen.changed_ms >= KUBE_LEASE_DURATION_MS)
        return false;
    *ret = take(l, LEASE_RENEW, e);
    return *ret == KUBE_OK || *ret == KUBE_FAILED;
}

/* Reads, decides, writes; once more where somebody was faster. */
static enum kube_result renew_or_acquire(struct kube_lease *l, int64_t *ret_until_ms, struct err *e)
{
    enum kube_result result = KUBE_OK;
    if (renew_fast(l, &result, e))
        return result;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        check_deadline(l);
        result = read_lease(l, e);
        if (result != KUBE_OK)
            return result;
        enum lease_action action =
            kube_lease_decide(&l->seen, str_from(l->identity), now_ms(l), ret_until_ms);
        if (action == LEASE_WAIT)
            return KUBE_OK;
        result = take(l, action, e);
        if (result == KUBE_OK || result == KUBE_FAILED)
            return result;
    }
    return result; /* somebody is always faster: come again */
}

int64_t kube_lease_step(struct kube_lease *l)
{
    struct err e = ERR_INIT;
    struct lease_pause pause = {.started_ms = now_ms(l)};
    check_deadline(l);
    enum kube_result result = renew_or_acquire(l, &pause.until_ms, &e);
    check_deadline(l);
    report_holder(l);
    report_role(l, kube_lease_is_leader(l));
    publish(l);
    if (result == KUBE_FAILED)
        report_error(l, &e);
    else
        err_clear(&l->error);
    pause.has_failed = result != KUBE_OK;
    pause.retry_after_ms = e.retry_after_ms;
    pause.entropy = l->random();
    pause.left_ms = kube_lease_left_ms(l);
    pause.now_ms = now_ms(l);
    return kube_lease_pause_ms(&pause);
}

static enum kube_result give_back(struct kube_lease *l, struct err *e)
{
    char now[CLOCK_TEXT_MAX];
    clock_format_rfc3339_micro(clock_unix_ms(l->clock), now);
    struct lease_record next = kube_lease_given_back(&l->seen.record, str_from(now));
    return send_record(l, CLIENT_UPDATE, &next, e);
}

/* Ours as we saw it, or as a write that did not answer may have left it. */
static enum kube_result give_back_if_ours(struct kube_lease *l, struct err *e)
{
    enum kube_result result = KUBE_OK;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        if (l->is_unsure && read_lease(l, e) == KUBE_FAILED)
            return KUBE_FAILED;
        if (!is_ours(l))
            return KUBE_OK;
        result = give_back(l, e);
        if (result == KUBE_OK || result == KUBE_FAILED)
            return result;
    }
    return result;
}

void kube_lease_finish(struct kube_lease *l)
{
    struct err e = ERR_INIT;
    report_role(l, false);
    if (l->is_releasing && give_back_if_ours(l, &e) == KUBE_FAILED) {
        err_wrap(&e, "the Lease is not given back and runs out by itself");
        report_error(l, &e);
    }
    (void)pthread_mutex_lock(&l->mutex);
    l->is_finished = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->mutex);
}

void kube_lease_run(void *arg)
{
    struct kube_lease *l = arg;
    int64_t wait_ms = 0;
    while (!stopper_wait_ms(&l->stopper, wait_ms))
        wait_ms = kube_lease_step(l);
    kube_lease_finish(l);
}
