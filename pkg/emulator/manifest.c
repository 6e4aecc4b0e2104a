// SPDX-License-Identifier: Apache-2.0
/*
 * Reading a manifest as far as a registry must: its kind, the blobs it names, the manifests an
 * index names, its artifact type and subject. Pure.
 */
#include "json/json.h"
#include "store_impl_priv.h"

static const struct {
    const char *media_type;
    bool is_index;
} kinds[] = {
    {"application/vnd.oci.image.manifest.v1+json", false},
    {"application/vnd.docker.distribution.manifest.v2+json", false},
    {"application/vnd.oci.image.index.v1+json", true},
    {"application/vnd.docker.distribution.manifest.list.v2+json", true},
};

bool emu_fail_parameter(struct emu_error *x, const char *member, const char *why)
{
    return emu_fail(x, EMU_INVALID_PARAMETER,
                    "Invalid parameter at '%s' failed to satisfy constraint: '%s'", member, why);
}

static bool bad_manifest(struct emu_error *x, const char *why)
{
    return emu_fail_parameter(x, "ImageManifest", why);
}

static bool is_digest(struct str s)
{
    if (s.len != 71 || !str_starts_with(s, STR("sha256:")))
        return false;
    for (size_t i = 7; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

/* Layers that live elsewhere by their own word need not be in the registry. */
static bool is_foreign(const struct json *layer)
{
    struct str type = json_str_or_null(json_get(layer, "mediaType"));

    return json_count(json_get(layer, "urls")) > 0 &&
           (str_contains(type, STR("foreign")) || str_contains(type, STR("nondistributable")));
}

static bool read_layers(const struct json *root, struct arena *arena, struct emu_manifest *ret,
                        struct emu_error *x)
{
    const struct json *config = json_get(root, "config");
    const struct json *layers = json_get(root, "layers");

    if (!json_is_object(config) || !json_is_array(layers))
        return bad_manifest(x, "Invalid JSON syntax");
    if (json_count(layers) > EMU_MANIFEST_LAYERS_MAX)
        return bad_manifest(x, "too many layers");
    ret->layers = arena_new_array(arena, struct str, json_count(layers) + 1);
    ret->layers[ret->n_layers++] = json_str_or_null(json_get(config, "digest"));
    for (const struct json *it = json_first(layers); it; it = json_next(it))
        if (!is_foreign(it))
            ret->layers[ret->n_layers++] = json_str_or_null(json_get(it, "digest"));
    for (size_t i = 0; i < ret->n_layers; i++)
        if (!is_digest(ret->layers[i]))
            return bad_manifest(x, "Invalid digest");
    return true;
}

static bool read_children(const struct json *root, struct arena *arena, struct emu_manifest *ret,
                          struct emu_error *x)
{
    const struct json *manifests = json_get(root, "manifests");

    if (!json_is_array(manifests))
        return bad_manifest(x, "Invalid JSON syntax");
    if (json_count(manifests) > EMU_MANIFEST_CHILDREN_MAX)
        return bad_manifest(x, "too many manifests");
    ret->children = arena_new_array(arena, struct str, json_count(manifests));
    for (const struct json *it = json_first(manifests); it; it = json_next(it)) {
        struct str digest = json_str_or_null(json_get(it, "digest"));

        if (!is_digest(digest))
            return bad_manifest(x, "Invalid digest");
        ret->children[ret->n_children++] = digest;
    }
    return true;
}

static bool read_kind(const struct json *root, struct str declared, struct emu_manifest *ret,
                      struct emu_error *x)
{
    struct str own = json_str_or_null(json_get(root, "mediaType"));

    if (!str_is_empty(own) && !str_is_empty(declared) && !str_eq(own, declared))
        return emu_fail_parameter(x, "ImageManifestMediaType",
                                  "the media type differs from that in the manifest");
    ret->media_type = str_is_empty(declared) ? own : declared;
    if (str_is_empty(ret->media_type))
        return bad_manifest(x, "Invalid JSON syntax");
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_eq_cstr(ret->media_type, kinds[i].media_type)) {
            ret->is_index = kinds[i].is_index;
            return true;
        }
    }
    return emu_fail_parameter(x, "ImageManifestMediaType", "unsupported media type");
}

bool emu_manifest_read(const struct json *root, struct str declared, struct arena *arena,
                       struct emu_manifest *ret, struct emu_error *x)
{
    *ret = (struct emu_manifest){0};
    if (!json_is_object(root) || json_i64_or(json_get(root, "schemaVersion"), 0) != 2)
        return bad_manifest(x, "Invalid JSON syntax");
    if (!read_kind(root, declared, ret, x))
        return false;
    ret->artifact_type = json_str_or_null(json_get(root, "artifactType"));
    if (str_is_empty(ret->artifact_type))
        ret->artifact_type = json_str_or_null(json_path(root, "config.mediaType"));
    ret->subject = json_str_or_null(json_path(root, "subject.digest"));
    if (!str_is_null(ret->subject) && !is_digest(ret->subject))
        return bad_manifest(x, "Invalid digest");
    return ret->is_index ? read_children(root, arena, ret, x) : read_layers(root, arena, ret, x);
}
