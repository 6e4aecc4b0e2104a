// SPDX-License-Identifier: Apache-2.0
/*
 * An AdmissionReview as a peer sends it, down to the images that its object names: nothing crashes,
 * every image is text, what is decoded can be answered, and what is cut out before it is parsed
 * changes nothing of it.
 */
#include "admission/kinds.h"
#include "base/mem.h"
#include "ecr/image.h"
#include "fuzz.h"
#include "json/json.h"
#include "review_priv.h"
#include "wanted_priv.h"

enum { IMAGES_MAX = 2048, ANSWER_MAX = 256 * 1024 };

struct found {
    size_t count;
    size_t bytes;
};

static bool take(void *arg, struct str text, enum admission_purpose purpose)
{
    struct found *found = arg;
    struct ecr_image image;
    (void)purpose;
    const enum ecr_image_result result = ecr_image_parse(text, &image);
    FUZZ_MUST(result != ECR_IMAGE_OK || (image.host.len > 0 && image.repository.len > 0));
    found->bytes += text.len;
    return ++found->count < IMAGES_MAX;
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

/* False: it is no review. */
static bool read_review(const struct admission_kinds *kinds, struct str text, struct found *ret)
{
    struct err e = ERR_INIT;
    struct json_doc *doc BERTH_CLEANUP(json_doc_freep) = NULL;
    struct arena a BERTH_CLEANUP(arena_fini) = ARENA_INIT;
    struct review review;
    *ret = (struct found){0};
    if (!json_parse(text, REVIEW_MAX_BYTES, &doc, &e) ||
        !review_decode(json_root(doc), &review, &e))
        return false;
    const struct admission_source source = {review.group, review.version, review.kind,
                                            review.object, STR("registry.example")};
    (void)admission_kinds_images(kinds, &source, &a, take, ret);
    answer(&review);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct admission_kinds *kinds;
    struct err e = ERR_INIT;
    if (kinds == NULL && !admission_kinds_new(NULL, 0, &kinds, &e))
        return 0;
    struct found whole;
    struct found pruned;
    const bool is_review = read_review(kinds, fuzz_text(data, size), &whole);
    char *copy = mem_dup(data, size);
    const size_t len = review_prune(admission_kinds_wanted(kinds), copy, size);
    FUZZ_MUST(len <= size);
    if (is_review) {
        FUZZ_MUST(read_review(kinds, str_n(copy, len), &pruned));
        FUZZ_MUST(whole.count == pruned.count && whole.bytes == pruned.bytes);
    }
    mem_free(copy);
    return 0;
}
