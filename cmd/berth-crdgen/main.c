// SPDX-License-Identifier: Apache-2.0
/*
 * berth-crdgen: prints a file that is made from the tables of pkg/api, to standard output.
 *
 *     berth-crdgen crds    manifests/crds.yaml
 *     berth-crdgen docs    docs/reference/api.md
 *     berth-crdgen tables  the rows as JSON, for tests
 */
#include "api/api.h"
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

enum { OUTPUT_BYTES_MAX = 4 << 20 };

static const struct {
    const char *name;
    bool (*generate)(struct buf *out);
} outputs[] = {
    {"crds", api_generate_crds},
    {"docs", api_generate_reference},
    {"tables", api_generate_tables},
};

int main(int argc, char **argv)
{
    struct buf out BERTH_CLEANUP(buf_fini) = BUF_INIT(OUTPUT_BYTES_MAX);
    for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(outputs); i++) {
        if (strcmp(argv[1], outputs[i].name) != 0)
            continue;
        struct str text;
        if (!outputs[i].generate(&out)) {
            (void)fprintf(stderr, "berth-crdgen: %s does not fit %d bytes\n", argv[1],
                          OUTPUT_BYTES_MAX);
            return 1;
        }
        text = buf_str(&out);
        if (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
            perror("berth-crdgen: write");
            return 1;
        }
        return 0;
    }
    (void)fputs("usage: berth-crdgen crds|docs|tables\n", stderr);
    return 2;
}
