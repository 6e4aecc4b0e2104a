// SPDX-License-Identifier: Apache-2.0
/*
 * The metrics of the process that Prometheus' client libraries also have, read from the kernel at
 * each scrape. What cannot be read is left out.
 */
#include "process_metrics.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void emit_cpu(const struct process_metrics *p, struct metrics_scrape *s)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    metric_emit(s, p->cpu, NULL, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
}

/* /proc/self/statm: sizes in pages; the first is virtual, the second resident. */
static void emit_memory(const struct process_metrics *p, struct metrics_scrape *s)
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
    metric_emit(s, p->virtual_memory, NULL, (double)virtual_pages * (double)page);
    metric_emit(s, p->resident_memory, NULL, (double)resident_pages * (double)page);
}

static void emit_fds(const struct process_metrics *p, struct metrics_scrape *s)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        int count = -3; /* ".", "..", and that of this directory */
        while (readdir(dir) != NULL)
            count++;
        (void)closedir(dir);
        metric_emit(s, p->open_fds, NULL, count);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_emit(s, p->max_fds, NULL, (double)limit.rlim_cur);
}

static void collect(void *arg, struct metrics_scrape *s)
{
    const struct process_metrics *p = arg;
    metric_emit(s, p->build_info, (const char *const[]){BERTH_VERSION}, 1);
    metric_emit(s, p->start_time, NULL, (double)p->started_unix_ms / 1000);
    emit_cpu(p, s);
    emit_memory(p, s);
    emit_fds(p, s);
}

static struct metric_family *gauge(struct metrics *m, const char *name, const char *help)
{
    return metrics_collected(m, METRIC_GAUGE, name, help, "");
}

void process_metrics_start(struct process_metrics *p, struct metrics *m)
{
    *p = (struct process_metrics){
        .metrics = m,
        .started_unix_ms = clock_unix_ms(clock_system()),
        .build_info = metrics_collected(m, METRIC_GAUGE, "berth_build_info",
                                        "1, with the version of this binary.", "version"),
        .cpu = metrics_collected(m, METRIC_COUNTER, "process_cpu_seconds_total",
                                 "Total user and system CPU time spent in seconds.", ""),
        .start_time = gauge(m, "process_start_time_seconds",
                            "Start time of the process since unix epoch in seconds."),
        .virtual_memory = gauge(m, "process_virtual_memory_bytes", "Virtual memory size in bytes."),
        .resident_memory =
            gauge(m, "process_resident_memory_bytes", "Resident memory size in bytes."),
        .open_fds = gauge(m, "process_open_fds", "Number of open file descriptors."),
        .max_fds = gauge(m, "process_max_fds", "Maximum number of open file descriptors."),
    };
    metrics_collect(m, collect, p);
}

void process_metrics_stop(struct process_metrics *p)
{
    metrics_collect_end(p->metrics, p);
}
