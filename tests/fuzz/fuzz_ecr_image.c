// SPDX-License-Identifier: Apache-2.0
/*
 * Image references: the parts of what parses are the text again, and each is what it should be.
 */
#include "base/buf.h"
#include "ecr/image.h"
#include "ecr/prefix.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = fuzz_text(data, size);
    struct ecr_image i;
    if (ecr_image_parse(text, &i) != ECR_IMAGE_OK)
        return 0;
    struct buf again BERTH_CLEANUP(buf_fini) = BUF_INIT(ECR_IMAGE_MAX);
    buf_append(&again, i.host);
    buf_append_char(&again, '/');
    buf_append(&again, i.repository);
    if (!str_is_null(i.tag)) {
        buf_append_char(&again, ':');
        buf_append(&again, i.tag);
    }
    if (!str_is_null(i.digest)) {
        buf_append_char(&again, '@');
        buf_append(&again, i.digest);
    }
    FUZZ_MUST(str_eq(buf_str(&again), text));
    FUZZ_MUST(ecr_repository_matches(i.repository));
    FUZZ_MUST(i.tag.len <= ECR_TAG_MAX);
    FUZZ_MUST(ecr_image_host_equal(i.host, i.host));
    return 0;
}
