// SPDX-License-Identifier: Apache-2.0
/*
 * The metrics of the process that Prometheus' client libraries also have, read from the kernel when
 * they are asked for. What cannot be read is left out.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/num.h"
#include "base/str.h"
#include "probes.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void set_cpu(struct metrics *m)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    metric_set(metrics_counter(m, "process_cpu_seconds_total",
                               "Total user and system CPU time spent in seconds.", ""),
               NULL, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

/* /proc/self/statm: sizes in pages; the first is virtual, the second resident. */
static void set_memory(struct metrics *m)
{
    struct buf text BERTH_CLEANUP(buf_fini) = BUF_INIT(256);
    struct err e = ERR_INIT;
    const long page = sysconf(_SC_PAGESIZE);
    if (page <= 0 || !file_read("/proc/self/statm", &text, &e))
        return;
    struct str rest = buf_str(&text);
    struct str virtual_text, resident_text;
    uint64_t virtual_pages, resident_pages;
    if (!str_next(&rest, ' ', &virtual_text) || !num_parse_u64(virtual_text, &virtual_pages) ||
        !str_next(&rest, ' ', &resident_text) || !num_parse_u64(resident_text, &resident_pages))
        return;
    metric_set(
        metrics_gauge(m, "process_virtual_memory_bytes", "Virtual memory size in bytes.", ""), NULL,
        (double)virtual_pages * (double)page);
    metric_set(
        metrics_gauge(m, "process_resident_memory_bytes", "Resident memory size in bytes.", ""),
        NULL, (double)resident_pages * (double)page);
}

static void set_fds(struct metrics *m)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        int count = -3; /* ".", "..", and that of this directory */
        while (readdir(dir) != NULL)
            count++;
        (void)closedir(dir);
        metric_set(metrics_gauge(m, "process_open_fds", "Number of open file descriptors.", ""),
                   NULL, count);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_set(
            metrics_gauge(m, "process_max_fds", "Maximum number of open file descriptors.", ""),
            NULL, (double)limit.rlim_cur);
}

void process_metrics_update(struct metrics *m, int64_t started_unix_ms)
{
    metric_set(
        metrics_gauge(m, "berth_build_info", "1, with the version of this binary.", "version"),
        (const char *const[]){BERTH_VERSION}, 1);
    metric_set(metrics_gauge(m, "process_start_time_seconds",
                             "Start time of the process since unix epoch in seconds.", ""),
               NULL, (double)started_unix_ms / 1000);
    set_cpu(m);
    set_memory(m);
    set_fds(m);
}
