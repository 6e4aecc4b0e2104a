// SPDX-License-Identifier: Apache-2.0
/*
 * Image references as workloads write them ("host[:port]/repository[:tag][@digest]"), by the
 * grammar of the distribution project's reference package, which kubelet and containerd use. Pure;
 * any thread.
 */
#pragma once

#include "base/compiler.h"
#include "base/str.h"

enum {
    ECR_IMAGE_MAX = 4096, /* bytes of a reference; longer ones are no reference */
    ECR_TAG_MAX = 128     /* characters, OCI distribution spec 1.1 */
};

struct ecr_image {
    struct str host;       /* as written, with its port: compare without case */
    struct str repository; /* without host, tag and digest */
    struct str tag;        /* absent where none is written */
    struct str digest;     /* "sha256:…"; absent where none is written */
};

enum ecr_image_result {
    ECR_IMAGE_OK,
    ECR_IMAGE_NO_HOST,     /* a name of the default registry ("nginx", "library/nginx:1") */
    ECR_IMAGE_PLACEHOLDER, /* holds "$(…)", "${…}" or "{{…}}": to be filled in by somebody else */
    ECR_IMAGE_INVALID      /* has a host, and what follows is no reference; ret->host is set */
};

/*
 * Views into text. A first component is a host where it holds '.' or ':' or is "localhost", as
 * that package decides. The repository need not be one that ECR could have (upper case is
 * ECR_IMAGE_INVALID already; ECR's own lengths are ecr_repository_validate()'s to judge).
 */
enum ecr_image_result ecr_image_parse(struct str text, struct ecr_image *ret) BERTH_NODISCARD;

/* Without its port; a view. */
struct str ecr_image_host_name(struct str host);
/* Host and port without case; a missing port and ":443" are the same. */
bool ecr_image_host_equal(struct str a, struct str b) BERTH_NODISCARD;
