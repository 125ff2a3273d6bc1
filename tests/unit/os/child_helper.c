/* tests/unit/os/child_helper.c - the programs that test_child.c starts.  argv[1] chooses.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/child.h"

extern char **environ;

/* Ready when the line is out: the parent never sleeps to wait for us. */
static int
stay(const char *line)
{
    puts(line);
    fflush(stdout);
    while (pause() < 0)
        ;
    return 0;
}

static int
list_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;

    while ((e = readdir(d)))
        if (e->d_name[0] != '.' && atol(e->d_name) != dirfd(d))
            printf("%s\n", e->d_name);
    closedir(d);
    return 0;
}

static int
show_state(void)
{
    sigset_t mask;
    int sig = 0, blocked = 0, ignored = 0;
    struct sigaction sa;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (sig = 1; sig < NSIG; sig++) {
        blocked += sigismember(&mask, sig) == 1;
        if (sigaction(sig, NULL, &sa) == 0)
            ignored += sa.sa_handler == SIG_IGN;
    }
    prctl(PR_GET_PDEATHSIG, &sig);
    printf("blocked %d ignored %d leader %d pdeathsig %d\n", blocked, ignored,
           getpgrp() == getpid(), sig);
    return 0;
}

/* Starts a child of its own through child_spawn() from a thread that ends, tells its pid,
 * and waits to be killed. */
static int
spawn_grandchild(const char *self)
{
    const char *argv[] = {self, "stay", NULL};
    struct child_spec spec = {.argv = argv, .out = CHILD_PIPE};
    struct err err = ERR_INIT;
    struct child *c;
    char line[64];

    if (child_spawn(&spec, &c, &err) < 0)
        return 1;
    if (read(child_stdout_fd(c), line, sizeof(line)) <= 0)
        return 1;
    snprintf(line, sizeof(line), "%d", (int)child_identity(c)->pid);
    return stay(line);
}

/* A process in its own group and one in another, both holding our stdout. */
static int
leave_descendants(void)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            if (i == 1)
                setsid();
            for (;;)
                pause();
        }
        printf("%d\n", (int)pid);
    }
    return 0;
}

static int
write_much(long bytes)
{
    char block[1000];

    memset(block, 'o', sizeof(block));
    for (; bytes > 0; bytes -= (long)sizeof(block)) {
        fwrite(block, 1, sizeof(block), stdout);
        fwrite(block, 1, sizeof(block), stderr);
    }
    fprintf(stderr, "\nthe very end\n\n");
    return 3;
}

/* 200 ms of CPU time and 64 MiB of memory. */
static int
be_busy(void)
{
    const size_t size = (size_t)64 << 20;
    volatile char *mem = malloc(size);

    do
        for (size_t i = 0; i < size; i += 4096)
            mem[i] = 1;
    while (clock() < CLOCKS_PER_SEC / 5);
    free((void *)mem);
    return 0;
}

/* As sd_listen_fds(3) does. */
static int
show_listening(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int on = 0;
    socklen_t n = sizeof(on);

    printf("%s %s %s\n", pid && atol(pid) == (long)getpid() ? "mine" : "not mine",
           fds ? fds : "none",
           getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on ? "listens"
                                                                        : "does not");
    return 0;
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "args") == 0)
        for (int i = 2; i < argc; i++)
            printf("[%s]\n", argv[i]);
    if (strcmp(what, "env") == 0)
        for (char **e = environ; *e; e++)
            puts(*e);
    if (strcmp(what, "fds") == 0)
        return list_fds();
    if (strcmp(what, "state") == 0)
        return show_state();
    if (strcmp(what, "listen") == 0)
        return show_listening();
    if (strcmp(what, "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(what, "kill") == 0)
        return raise(SIGKILL);
    if (strcmp(what, "stay") == 0)
        return stay("ready");
    if (strcmp(what, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        return stay("ready");
    }
    if (strcmp(what, "spawn") == 0)
        return spawn_grandchild(argv[0]);
    if (strcmp(what, "leave") == 0)
        return leave_descendants();
    if (strcmp(what, "busy") == 0)
        return be_busy();
    if (strcmp(what, "much") == 0)
        return write_much(atol(argv[2]));
    if (strcmp(what, "forever") == 0)
        for (;;)
            write_much(100000);
    if (strcmp(what, "cat") == 0) {
        int c;

        while ((c = getchar()) != EOF)
            putchar(c);
    }
    return 0;
}
