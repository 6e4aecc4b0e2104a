// SPDX-License-Identifier: Apache-2.0
/*
 * Running a credential plug-in: no shell, bounded output, a deadline after which it and what it
 * started are killed. Nothing here knows what the output means.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "credentials_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_STEP_MS = 20 };

struct pipe_pair {
    int read_fd, write_fd;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void pipe_fini(struct pipe_pair *p)
{
    close_fd(&p->read_fd);
    close_fd(&p->write_fd);
}

static bool pipe_open(struct pipe_pair *p, struct err *e)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set_errno(e, errno, "credential plug-in: make a pipe");
    p->read_fd = fds[0];
    p->write_fd = fds[1];
    /* the plug-in's end is an ordinary, blocking one */
    (void)fcntl(p->write_fd, F_SETFL, 0);
    return true;
}

struct child {
    pid_t pid;
    bool is_group; /* it leads a process group of its own */
    bool has_ended;
    int wait_status;
};

static int spawn(const struct exec_process *p, const struct pipe_pair *out,
                 const struct pipe_pair *diag, struct child *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_adddup2(&files, out->write_fd, STDOUT_FILENO);
    if (!p->has_terminal) {
        (void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        (void)posix_spawn_file_actions_adddup2(&files, diag->write_fd, STDERR_FILENO);
        /* with the terminal a group of its own would be stopped when it reads from it */
        flags |= POSIX_SPAWN_SETPGROUP;
        (void)posix_spawnattr_setpgroup(&attr, 0);
        child->is_group = true;
    }
    /* our threads block all signals and we ignore SIGPIPE: neither is to be inherited */
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, flags);
    union { /* posix_spawnp() takes char *const[] for the sake of old code, and writes nothing */
        const char *const *given;
        char *const *wanted;
    } argv = {.given = p->argv}, env = {.given = p->env};
    int error = posix_spawnp(&child->pid, p->argv[0], &files, &attr, argv.wanted, env.wanted);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Takes what is there; closes at the end. What is over the maximum is read and dropped, so that
 * the plug-in is not blocked. */
static void drain(int *fd, struct buf *out)
{
    char bytes[4096];
    while (*fd >= 0) {
        ssize_t n = read(*fd, bytes, sizeof(bytes));
        if (n > 0)
            buf_append_bytes(out, bytes, (size_t)n);
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno == EAGAIN)
            return;
        else
            close_fd(fd);
    }
}

static void reap(struct child *child, int options)
{
    if (child->has_ended)
        return;
    pid_t got;
    do
        got = waitpid(child->pid, &child->wait_status, options);
    while (got < 0 && errno == EINTR);
    child->has_ended = got != 0; /* also where somebody else reaped it */
    if (got < 0)
        child->wait_status = 0;
}

/* Until it has ended (its own children may keep the pipes open longer), or the deadline. */
static void gather(struct child *child, int *out_fd, struct buf *out, int *diag_fd,
                   struct buf *diag, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = *out_fd, .events = POLLIN},
                                {.fd = *diag_fd, .events = POLLIN}};
        reap(child, WNOHANG);
        drain(out_fd, out);
        drain(diag_fd, diag);
        if (child->has_ended || clock_mono_ms(clock_system()) >= deadline_ms)
            return;
        (void)poll(fds, 2, POLL_STEP_MS);
    }
}

static bool judge(const struct exec_process *p, const struct child *child, struct err *e)
{
    int status = child->wait_status;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        return err_set(e, ERR_CREDENTIALS, "PluginFailed",
                       "credential plug-in %s ended with exit code %d", p->argv[0],
                       WEXITSTATUS(status));
    return err_set(e, ERR_CREDENTIALS, "PluginFailed",
                   "credential plug-in %s was killed by signal %d", p->argv[0],
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

bool kube_exec_process_run(const struct exec_process *p, struct buf *out, struct buf *diag,
                           struct err *e)
{
    struct pipe_pair out_pipe BERTH_CLEANUP(pipe_fini) = {-1, -1};
    struct pipe_pair diag_pipe BERTH_CLEANUP(pipe_fini) = {-1, -1};
    struct child child = {.pid = -1};
    if (!pipe_open(&out_pipe, e) || !pipe_open(&diag_pipe, e))
        return false;
    int64_t deadline_ms = clock_mono_ms(clock_system()) + p->timeout_ms;
    int error = spawn(p, &out_pipe, &diag_pipe, &child);
    if (error != 0) {
        struct err why = ERR_INIT;
        err_set_errno(&why, error, "start credential plug-in %s", p->argv[0]);
        return err_set(e, ERR_CREDENTIALS, "PluginFailed", "%s", why.msg);
    }
    close_fd(&out_pipe.write_fd);
    close_fd(&diag_pipe.write_fd);
    gather(&child, &out_pipe.read_fd, out, &diag_pipe.read_fd, diag, deadline_ms);
    if (child.has_ended)
        return judge(p, &child, e);
    (void)kill(child.is_group ? -child.pid : child.pid, SIGKILL);
    reap(&child, 0);
    return err_set(e, ERR_CREDENTIALS, "PluginTimeout",
                   "credential plug-in %s did not answer within %d s", p->argv[0],
                   (int)(p->timeout_ms / 1000));
}
