// SPDX-License-Identifier: Apache-2.0
/*
 * A directory for the files of one test, removed with all that is in it.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_dir {
    char path[64];
    struct arena arena; /* what temp_path() gave */
    const char *made[4];
    size_t made_count;
};

static inline void temp_dir_init(struct temp_dir *d)
{
    *d = (struct temp_dir){.path = "/tmp/berth-kube-XXXXXX"};
    if (mkdtemp(d->path) == NULL)
        abort();
}

/* Removes the files of a directory, and then the directory. */
static inline void temp_remove_flat(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *it = dir ? readdir(dir) : NULL; it; it = readdir(dir))
        (void)unlinkat(dirfd(dir), it->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

/* Directories inside are those that temp_mkdir() made. */
static inline void temp_dir_fini(struct temp_dir *d)
{
    for (size_t i = 0; i < d->made_count; i++)
        temp_remove_flat(d->made[i]);
    temp_remove_flat(d->path);
    arena_fini(&d->arena);
}

/* dir/name, good until temp_dir_fini(). */
static inline const char *temp_path(struct temp_dir *d, const char *name)
{
    return arena_printf(&d->arena, "%s/%s", d->path, name).ptr;
}

static inline void temp_mkdir(struct temp_dir *d, const char *name)
{
    const char *path = temp_path(d, name);
    if (mkdir(path, 0700) != 0)
        abort();
    d->made[d->made_count++] = path;
}

static inline const char *temp_write(struct temp_dir *d, const char *name, const char *content)
{
    struct err e = ERR_INIT;
    const char *path = temp_path(d, name);
    if (!file_write(path, str_from(content), &e)) {
        fprintf(stderr, "%s\n", e.msg);
        abort();
    }
    return path;
}
