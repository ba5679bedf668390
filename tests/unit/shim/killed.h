/* Kills the shim before the KILLED_AT-th step of putting a DEL into the queue. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static int steps;
#define STEP(call) (++steps == atoi(getenv("KILLED_AT")) ? raise(SIGKILL) : 0, (call))
#define mkdir(path, mode) STEP(mkdir(path, mode))
#define fsync(fd) STEP(fsync(fd))
#define syncfs(fd) STEP(syncfs(fd))
#define renameat(from, name, to, new) STEP(renameat(from, name, to, new))
