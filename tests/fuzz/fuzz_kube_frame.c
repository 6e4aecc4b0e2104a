// SPDX-License-Identifier: Apache-2.0
/*
 * The watch's frame decoder: the events do not depend on how the bytes were cut on the way. The
 * first byte of the input says where they are cut, the second how long a line may be.
 */
#include "frame_priv.h"
#include "fuzz.h"

/* The events so far, as one text. */
struct events {
    struct buf text;
    int count;
};

static bool on_frame(void *arg, const struct frame *f)
{
    struct events *events = arg;
    events->count++;
    FUZZ_MUST(f->type <= FRAME_INVALID);
    buf_printf(&events->text, "%d%d ", (int)f->type, f->is_cut);
    buf_append(&events->text, f->object);
    buf_append_char(&events->text, '\n');
    return true;
}

static void events_fini(struct events *events)
{
    buf_fini(&events->text);
}

static void decode(struct str text, size_t piece, size_t max, struct events *events)
{
    struct frame_decoder d BERTH_CLEANUP(kube_frame_decoder_fini) = FRAME_DECODER_INIT(max);
    for (size_t at = 0; at < text.len; at += piece) {
        size_t n = text.len - at < piece ? text.len - at : piece;
        FUZZ_MUST(kube_frame_decoder_feed(&d, str_n(text.ptr + at, n), on_frame, events));
        FUZZ_MUST(d.line.len <= max);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t piece = (size_t)data[0] + 1;
    size_t max = ((size_t)data[1] + 1) * 16;
    struct str text = fuzz_text(data + 2, size - 2);
    struct events whole BERTH_CLEANUP(events_fini) = {BUF_INIT(1 << 24), 0};
    struct events cut BERTH_CLEANUP(events_fini) = {BUF_INIT(1 << 24), 0};
    decode(text, text.len, max, &whole);
    decode(text, piece, max, &cut);
    FUZZ_MUST(whole.count == cut.count);
    FUZZ_MUST(str_eq(buf_str(&whole.text), buf_str(&cut.text)));
    return 0;
}
