// SPDX-License-Identifier: Apache-2.0
/*
 * main() of a fuzzer that is built without libFuzzer: gives each file of the directories that it
 * is told to the entry point, once, in memory of exactly its size, so that AddressSanitizer sees a
 * read beyond the end. Options (-…) are libFuzzer's and are ignored. A directory without files is
 * an error: such a test would test nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    FUZZ_MUST(f != NULL);
    FUZZ_MUST(fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    FUZZ_MUST(size >= 0);
    rewind(f);
    uint8_t *data = malloc((size_t)size);
    FUZZ_MUST(data != NULL || size == 0);
    FUZZ_MUST(fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

static int run_directory(const char *path)
{
    int count = 0;
    DIR *d = opendir(path);
    FUZZ_MUST(d != NULL);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        FUZZ_MUST(n > 0 && (size_t)n < sizeof(file));
        run_file(file);
        count++;
    }
    closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-')
            count += run_directory(argv[i]);
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
