// SPDX-License-Identifier: Apache-2.0
/*
 * The store of fleet.h and the functions of the kube package that reach it. Included once by each
 * test program, so that the linker takes these and leaves the package's own out.
 */
#pragma once

#include "base/mem.h"
#include "crypto/crypto.h"
#include "fleet.h"
#include "json/json.h"
#include "json/write.h"
#include "kube/object.h"

#include <stdlib.h>
#include <string.h>

enum { FLEET_TEXT_MAX = 1 << 20 };

void fleet_init(struct fleet *f, uint64_t seed)
{
    memset(f, 0, sizeof *f); /* too big for the stack */
    f->now_ms = FLEET_START_MS;
    f->random = (__typeof__(f->random)){seed};
}

static void free_texts(struct fleet_object *o)
{
    for (size_t i = 0; i < o->count; i++)
        mem_free(o->texts[i]);
}

void fleet_fini(struct fleet *f)
{
    free_texts(&f->secret);
    free_texts(&f->webhook);
}

void fleet_put(struct fleet *f, struct fleet_object *o, struct str text)
{
    if (o->count == FLEET_VERSIONS)
        abort();
    const size_t n = o->count++;
    o->texts[n] = str_is_null(text) ? NULL : mem_strdup(text.ptr);
    for (size_t i = 0; i < FLEET_VIEWERS; i++) {
        const uint32_t most = (uint32_t)f->delay_max_ms[i] + 1;
        int64_t at_ms = f->now_ms + test_random_below(&f->random, most);
        if (n > 0 && at_ms < o->seen_at_ms[n - 1][i])
            at_ms = o->seen_at_ms[n - 1][i]; /* nobody sees versions out of order */
        o->seen_at_ms[n][i] = at_ms;
    }
}

static const char *newest(const struct fleet_object *o)
{
    return o->count > 0 ? o->texts[o->count - 1] : NULL;
}

struct str fleet_view(const struct fleet *f, const struct fleet_object *o, size_t viewer)
{
    for (size_t i = o->count; i > 0; i--)
        if (o->seen_at_ms[i - 1][viewer] <= f->now_ms)
            return o->texts[i - 1] != NULL ? str_from(o->texts[i - 1]) : STR_NULL;
    return STR_NULL;
}

static void put_base64(struct json_writer *w, struct str bundle)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(FLEET_TEXT_MAX);
    crypto_base64_encode(bundle, &text);
    json_put_str(w, "caBundle", buf_str(&text));
}

static void write_webhook(struct fleet *f, const struct str bundles[2])
{
    static const char *const names[] = {"one", "two"};
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(FLEET_TEXT_MAX);
    struct json_writer w = json_writer_to(&out);
    char version[32];
    (void)snprintf(version, sizeof version, "%zu", f->webhook.count + 1);
    json_begin_object(&w);
    json_key_begin_object(&w, "metadata");
    json_put_cstr(&w, "name", "berth");
    json_put_cstr(&w, "resourceVersion", version);
    json_end(&w);
    json_key_begin_array(&w, "webhooks");
    for (size_t i = 0; i < 2; i++) {
        json_begin_object(&w);
        json_put_cstr(&w, "name", names[i]);
        json_key_begin_object(&w, "clientConfig");
        put_base64(&w, bundles[i]);
        json_end(&w);
        json_end(&w);
    }
    json_end(&w);
    json_end(&w);
    fleet_put(f, &f->webhook, buf_str(&out));
}

void fleet_put_webhook(struct fleet *f, struct str first, struct str second)
{
    write_webhook(f, (const struct str[]){first, second});
}

void fleet_bundle(struct str text, size_t webhook, struct buf *out)
{
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct err e = ERR_INIT;
    if (str_is_null(text) || !json_parse(text, FLEET_TEXT_MAX, &doc, &e))
        return;
    const struct json *it = json_first(json_get(json_root(doc), "webhooks"));
    for (size_t i = 0; it != NULL && i < webhook; i++)
        it = json_next(it);
    const struct json *config = json_get(it, "clientConfig");
    if (!crypto_base64_decode(json_str_or_null(json_get(config, "caBundle")), out))
        abort();
}

/* --- what the certs package calls ---------------------------------------------------------------
 */

struct kube_informer *kube_informer_new(const struct kube_informer_options *o)
{
    (void)o;
    abort();
}
void kube_informer_start(struct kube_informer *i)
{
    (void)i;
}
struct kube_informer *kube_informer_free(struct kube_informer *i)
{
    (void)i;
    return NULL;
}

bool kube_informer_has_synced(struct kube_informer *i)
{
    return !((const struct fleet_viewer *)(void *)i)->is_unsynced;
}

struct kube_object *kube_informer_get(struct kube_informer *i, struct str namespace,
                                      struct str name)
{
    const struct fleet_viewer *v = (const void *)i;
    const struct str text = fleet_view(v->fleet, v->object, v->index);
    struct kube_object *object = NULL;
    struct err e = ERR_INIT;
    (void)namespace;
    (void)name;
    if (!str_is_null(text) && !kube_object_parse(text, &object, &e))
        abort();
    return object;
}

static enum kube_result fail(struct err *e, bool is_refused)
{
    (void)err_set(e, is_refused ? ERR_DENIED : ERR_RETRY, is_refused ? "Forbidden" : "Timeout",
                  "the request failed");
    e->http_status = is_refused ? 403 : 0;
    return KUBE_FAILED;
}

static bool chance(struct fleet *f, int percent)
{
    return (int)test_random_below(&f->random, 100) < percent;
}

/* The version that a text names. */
static int64_t version_in(const struct json *object)
{
    const struct str text =
        json_str_or_null(json_get(json_get(object, "metadata"), "resourceVersion"));
    return str_is_null(text) ? 0 : strtoll(text.ptr, NULL, 10);
}

/* data of a merge patch names every key: the result is the body with a new version. */
static void store_secret(struct fleet *f, const struct json *body)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(FLEET_TEXT_MAX);
    const struct json *metadata = json_get(body, "metadata");
    buf_printf(&out,
               "{\"type\":\"Opaque\",\"metadata\":{\"name\":\"certs\",\"namespace\":\"berth\","
               "\"resourceVersion\":\"%zu\",\"labels\":",
               f->secret.count + 1);
    json_print(json_get(metadata, "labels"), &out);
    buf_append_cstr(&out, ",\"annotations\":");
    if (json_get(metadata, "annotations") != NULL)
        json_print(json_get(metadata, "annotations"), &out);
    else
        buf_append_cstr(&out, "{}");
    buf_append_cstr(&out, "},\"data\":");
    json_print(json_get(body, "data"), &out);
    buf_append_char(&out, '}');
    fleet_put(f, &f->secret, buf_str(&out));
}

static bool is_current(const struct fleet_object *o, int64_t version)
{
    return newest(o) != NULL && version == (int64_t)o->count;
}

enum kube_result kube_create(struct kube_client *c, const struct kube_resource *r,
                             const char *namespace, const char *field_manager, struct str body,
                             struct kube_object **ret, struct err *e)
{
    struct fleet *f = (void *)c;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    (void)r;
    (void)namespace;
    (void)field_manager;
    (void)ret;
    if (f->is_secret_refused || chance(f, f->lost_percent))
        return fail(e, f->is_secret_refused);
    if (newest(&f->secret) != NULL)
        return KUBE_EXISTS;
    if (!json_parse(body, FLEET_TEXT_MAX, &doc, e))
        return KUBE_FAILED;
    store_secret(f, json_root(doc));
    return chance(f, f->silent_percent) ? fail(e, false) : KUBE_OK;
}

/* As the API server does it: whole or not at all. */
static bool patch_webhook(struct fleet *f, const struct json *ops)
{
    struct buf bundles[2] = {BUF_INIT(FLEET_TEXT_MAX), BUF_INIT(FLEET_TEXT_MAX)};
    bool is_ok = newest(&f->webhook) != NULL;
    for (size_t i = 0; is_ok && i < 2; i++)
        fleet_bundle(str_from(newest(&f->webhook)), i, &bundles[i]);
    for (const struct json *op = json_first(ops); is_ok && op != NULL; op = json_next(op)) {
        const struct str path = json_str_or_null(json_get(op, "path"));
        const struct str value = json_str_or_null(json_get(op, "value"));
        const size_t index = str_starts_with(path, STR("/webhooks/1/")) ? 1 : 0;
        if (str_eq_cstr(path, "/metadata/resourceVersion"))
            is_ok = is_current(&f->webhook, strtoll(value.ptr, NULL, 10));
        else if (str_eq_cstr(json_str_or_null(json_get(op, "op")), "test"))
            is_ok = str_eq_cstr(value, index == 1 ? "two" : "one");
        else {
            buf_reset(&bundles[index]);
            is_ok = crypto_base64_decode(value, &bundles[index]);
        }
    }
    if (is_ok)
        fleet_put_webhook(f, buf_str(&bundles[0]), buf_str(&bundles[1]));
    buf_fini(&bundles[0]);
    buf_fini(&bundles[1]);
    return is_ok;
}

enum kube_result kube_patch(struct kube_client *c, const struct kube_patch *p,
                            struct kube_object **ret, struct err *e)
{
    struct fleet *f = (void *)c;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    const bool is_webhook = p->resource == certs_configurations();
    const bool is_refused = is_webhook ? f->is_webhook_refused : f->is_secret_refused;
    (void)ret;
    if (is_refused || chance(f, f->lost_percent))
        return fail(e, is_refused);
    if (!json_parse(p->body, FLEET_TEXT_MAX, &doc, e))
        return KUBE_FAILED;
    if (is_webhook) {
        if (!patch_webhook(f, json_root(doc))) {
            f->conflicts++;
            (void)err_set(e, ERR_INVALID, "Invalid", "the test of a patch failed");
            e->http_status = 422;
            return KUBE_FAILED;
        }
    } else if (newest(&f->secret) == NULL) {
        return KUBE_NOT_FOUND;
    } else if (!is_current(&f->secret, version_in(json_root(doc)))) {
        f->conflicts++;
        return KUBE_CONFLICT;
    } else {
        store_secret(f, json_root(doc));
    }
    return chance(f, f->silent_percent) ? fail(e, false) : KUBE_OK;
}
