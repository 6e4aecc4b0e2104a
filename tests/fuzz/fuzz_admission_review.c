// SPDX-License-Identifier: Apache-2.0
/*
 * An AdmissionReview as a peer sends it, down to the images that its object names: nothing crashes,
 * every image is text, and what is decoded can be answered.
 */
#include "admission/kinds.h"
#include "ecr/image.h"
#include "fuzz.h"
#include "json/json.h"
#include "review_priv.h"

enum { IMAGES_MAX = 2048, ANSWER_MAX = 256 * 1024 };

static bool take(void *arg, struct str text, enum admission_purpose purpose)
{
    size_t *count = arg;
    struct ecr_image image;
    (void)purpose;
    const enum ecr_image_result result = ecr_image_parse(text, &image);
    FUZZ_MUST(result != ECR_IMAGE_OK || (image.host.len > 0 && image.repository.len > 0));
    return ++*count < IMAGES_MAX;
}

static void answer(const struct review *review)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(ANSWER_MAX);
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    const struct str warning = review->name;
    const struct review_answer a = {
        .uid = review->uid, .warnings = &warning, .warning_count = 1, .message = review->kind};
    review_encode(&a, &out);
    if (!buf_ok(&out))
        return;
    FUZZ_MUST(json_parse(buf_str(&out), ANSWER_MAX, &doc, &e));
    FUZZ_MUST(str_eq(json_str_or_null(json_path(json_root(doc), "response.uid")), review->uid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct admission_kinds *kinds;
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct review review;
    if (kinds == NULL && !admission_kinds_new(NULL, 0, &kinds, &e))
        return 0;
    if (!json_parse(fuzz_text(data, size), REVIEW_MAX_BYTES, &doc, &e) ||
        !review_decode(json_root(doc), &review, &e))
        return 0;
    size_t count = 0;
    const struct admission_source source = {review.group, review.version, review.kind,
                                            review.object, STR("registry.example")};
    (void)admission_kinds_images(kinds, &source, &a, take, &count);
    answer(&review);
    return 0;
}
