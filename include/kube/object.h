// SPDX-License-Identifier: Apache-2.0
/*
 * struct kube_object: one object of the API server as it was received, immutable and counted.
 *
 * Objects are never modelled: whoever knows the kind reads what it needs from the JSON, which is
 * as it was received but for metadata.managedFields and kubectl's last-applied-configuration: both
 * are null. What every user needs of the metadata is parsed once. An object that is too big
 * (KUBE_OBJECT_MAX_BYTES) or that the JSON reader refuses is kept as an *undecodable* one, with its
 * identity and the reason, so that one bad object can neither stop a watch nor vanish silently.
 *
 * Any thread may read, ref and unref; the last unref frees. Views into it live as long as a
 * reference is held.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct kube_object;

enum {
    KUBE_OBJECT_MAX_BYTES = 2 << 20, /* etcd refuses more than 1.5 MiB by default */
    KUBE_NAME_MAX = 253              /* of a DNS subdomain */
};

/* From an object's JSON text, which is copied where needed. Fails (ERR_INVALID) only where not
 * even a metadata.name can be found, or (ERR_RETRY) memory is out: else what is wrong gives an
 * undecodable object. The new object has one reference. */
bool kube_object_parse(struct str text, struct kube_object **ret, struct err *e) BERTH_NODISCARD;

/* Returns o (NULL gives NULL). */
struct kube_object *kube_object_ref(const struct kube_object *o);
/* Returns NULL. */
struct kube_object *kube_object_unref(struct kube_object *o);
BERTH_DEFINE_CLEANUP(struct kube_object *, kube_object_unref);
/* The same object for keeping: it shares everything with o but the tree of its JSON, which is many
 * times the size of the text and is made anew where it is asked for. One reference. */
struct kube_object *kube_object_packed(const struct kube_object *o) BERTH_NODISCARD;

/* The whole object; NULL (absent) where it is undecodable. Parsed at the first call, and kept until
 * o goes. */
const struct json *kube_object_json(const struct kube_object *o);
/* NULL where it is decodable; else why not, for people. */
const char *kube_object_undecodable(const struct kube_object *o);

/* Never absent: "" where the object has none. NUL-terminated. */
struct str kube_object_api_version(const struct kube_object *o);
struct str kube_object_kind(const struct kube_object *o);
struct str kube_object_namespace(const struct kube_object *o);
struct str kube_object_name(const struct kube_object *o);
struct str kube_object_uid(const struct kube_object *o);
struct str kube_object_resource_version(const struct kube_object *o);
int64_t kube_object_generation(const struct kube_object *o); /* 0 where it has none */
/* metadata.deletionTimestamp is set. */
bool kube_object_is_deleting(const struct kube_object *o);
/* 0 where it has none. */
int64_t kube_object_created_unix_ms(const struct kube_object *o);

/* Absent where it has none (or is undecodable). */
struct str kube_object_annotation(const struct kube_object *o, const char *key);
struct str kube_object_label(const struct kube_object *o, const char *key);
bool kube_object_has_finalizer(const struct kube_object *o, const char *name);
size_t kube_object_finalizer_count(const struct kube_object *o);
struct str kube_object_finalizer(const struct kube_object *o, size_t index);

/* A set of references that is owned as one. */
struct kube_objects {
    struct kube_object **items;
    size_t count;
};
#define KUBE_OBJECTS_INIT ((struct kube_objects){0})
/* Gives all references back. Idempotent. */
void kube_objects_fini(struct kube_objects *set);
