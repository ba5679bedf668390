/*
 * What the container runtime executes: hands one CNI call to the agent of this node, prints its
 * answer, ends with its status. Frames: sriovbond/shim/wire.py; numbers: generated.h, by build.py.
 *
 * Nothing waits longer than SHIM_DEADLINE_MS. Nothing is allocated. No path comes from the
 * environment, which others than root may have a say in (CNI_ARGS).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "generated.h"

#define QUEUE SHIM_STATE "/queue"
#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

enum { HEAD = 8, NUMBER = 4, FOLDER_BYTES = 32768, WRITE_BYTES = 4096, GRACE_S = 5, MAX_IFNAME = 15 };

extern char **environ;

/* environment and stdin lie in the request as they are sent; one more byte ends stdin as a text */
static char request[HEAD + NUMBER + MAX_ENVIRONMENT + MAX_STDIN + 1];
static char answer[HEAD + NUMBER + MAX_STDOUT];
static size_t request_bytes, stdin_at;
static int64_t deadline_ms;
static char why[512]; /* why the agent did not answer */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Tell whether `fd` is ready before the deadline; an error or a hangup is ready too. */
static bool is_ready(int fd, short events) {
    struct pollfd polled = {.fd = fd, .events = events};
    int ready;
    do {
        int64_t left = deadline_ms - now_ms();
        ready = left > 0 ? poll(&polled, 1, (int)left) : 0;
    } while (ready < 0 && errno == EINTR);
    if (!ready) errno = ETIMEDOUT;
    return ready > 0;
}

/* Have the deadline no sooner than this, for what must still be said. */
static void allow(int seconds) {
    int64_t until = now_ms() + seconds * 1000;
    if (deadline_ms < until) deadline_ms = until;
}

static bool is_again(void) { return errno == EINTR || errno == EAGAIN; }

/* Read what has come: 0 at the end, -1 for an error or at the deadline. */
static ssize_t read_some(int fd, char *to, size_t most) {
    for (;;) {
        if (!is_ready(fd, POLLIN)) return -1;
        ssize_t got = read(fd, to, most);
        if (got >= 0 || !is_again()) return got;
    }
}

static bool write_whole(int fd, const char *bytes, size_t count) {
    while (count) {
        if (!is_ready(fd, POLLOUT)) return false;
        /* poll promises a pipe room for PIPE_BUF only */
        ssize_t done = write(fd, bytes, count < WRITE_BYTES ? count : WRITE_BYTES);
        if (done < 0 && is_again()) continue;
        if (done <= 0) return false;
        bytes += done;
        count -= (size_t)done;
    }
    return true;
}

static void put_number(char *at, uint32_t number) {
    for (int i = 0; i < NUMBER; i++) at[i] = (char)(number >> (24 - 8 * i));
}

static uint32_t get_number(const char *at) {
    uint32_t number = 0;
    for (int i = 0; i < NUMBER; i++) number = number << 8 | (unsigned char)at[i];
    return number;
}

/* ---- what the runtime gave */

static bool take_environment(void) {
    size_t at = HEAD + NUMBER;
    for (char **pair = environ; pair && *pair; pair++) {
        size_t bytes = strlen(*pair) + 1;
        if (strncmp(*pair, "CNI_", 4) || !strchr(*pair, '=')) continue;
        if (bytes > HEAD + NUMBER + MAX_ENVIRONMENT - at) {
            request[stdin_at] = 0;
            return false;
        }
        memcpy(request + at, *pair, bytes);
        at += bytes;
    }
    put_number(request + HEAD, (uint32_t)(at - HEAD - NUMBER));
    stdin_at = at;
    return true;
}

/* Read stdin, MAX_STDIN bytes at most: the agent refuses the longest by its own limit. One that cannot
 * be read is as an empty one: the agent says what is wrong with it. */
static bool take_stdin(void) {
    size_t at = stdin_at, end = stdin_at + MAX_STDIN;
    ssize_t got = 0;
    errno = 0;
    while (at < end && (got = read_some(STDIN_FILENO, request + at, end - at)) > 0) at += (size_t)got;
    request[at] = 0;
    request_bytes = at;
    memcpy(request, REQUEST_MAGIC, 4);
    put_number(request + 4, (uint32_t)(at - HEAD));
    return got >= 0 || errno != ETIMEDOUT;
}

static const char *variable(const char *name) {
    const char *text = getenv(name);
    return text ? text : "";
}

static const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Return the end of the JSON string that begins behind a quote: its closing quote, or NUL. */
static const char *end_of_string(const char *at) {
    for (; *at && *at != '"'; at++)
        if (*at == '\\' && at[1]) at++;
    return at;
}

static const char *supported(const char *text, size_t length) {
    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++)
        if (strlen(VERSIONS[i]) == length && !memcmp(VERSIONS[i], text, length)) return VERSIONS[i];
    return CURRENT_VERSION;
}

/* Return the cniVersion of the outermost object on stdin if it is one of ours, else the current. */
static const char *asked_version(void) {
    const char *version = CURRENT_VERSION;
    long depth = 0;
    for (const char *at = request + stdin_at; *at; at++) {
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']') depth--;
        if (*at != '"') continue;
        const char *key = at + 1, *end = end_of_string(key);
        if (!*end) break;
        at = end;
        const char *value = skip_space(end + 1);
        if (depth != 1 || *value != ':' || end - key != 10 || memcmp(key, "cniVersion", 10)) continue;
        value = skip_space(value + 1);
        if (*value != '"') continue;
        end = end_of_string(value + 1);
        version = supported(value + 1, (size_t)(end - value - 1));
    }
    return version;
}

/* ---- answers of our own: no byte of the runtime's is in their texts */

static bool say(const char *rest) {
    static char text[2048];
    int bytes = snprintf(text, sizeof text, "{\"cniVersion\": \"%s\", %s}\n", asked_version(), rest);
    allow(1);
    return write_whole(STDOUT_FILENO, text, (size_t)bytes);
}

static int fail(int code, const char *msg) {
    char rest[1536];
    snprintf(rest, sizeof rest, "\"code\": %d, \"msg\": \"%s\"", code, msg);
    say(rest);
    return 1;
}

/* ---- the agent */

static bool give_up(const char *deed, const char *fault) {
    snprintf(why, sizeof why, "%s %s: %s", deed, SHIM_SOCKET, fault);
    return false;
}

static bool call_agent(int channel) {
    const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = SHIM_SOCKET};
    int64_t until = now_ms() + SHIM_CONNECT_MS;
    while (connect(channel, (const struct sockaddr *)&name, sizeof name)) {
        if (!is_again() || now_ms() > until) return give_up("cannot connect to", strerror(errno));
        poll(NULL, 0, 10);
    }
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &bytes)) return give_up("cannot ask", strerror(errno));
    if (peer.uid != SHIM_OWNER) return give_up("cannot use", "it is not run by root, so nothing was sent to it");
    return true;
}

/* Send the first bytes, and the namespace's descriptor with them if there is one. */
static ssize_t send_first(int channel, int netns) {
    char control[CMSG_SPACE(sizeof netns)] __attribute__((aligned(8))) = {0};
    struct iovec part = {.iov_base = request, .iov_len = request_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (netns >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof netns);
        memcpy(CMSG_DATA(rights), &netns, sizeof netns);
    }
    return sendmsg(channel, &message, MSG_NOSIGNAL);
}

static bool send_request(int channel, int netns) {
    ssize_t sent;
    do {
        if (!is_ready(channel, POLLOUT)) return give_up("cannot send to", strerror(errno));
        sent = send_first(channel, netns);
    } while (sent < 0 && is_again());
    if (sent >= 0 && write_whole(channel, request + sent, request_bytes - (size_t)sent)) return true;
    /* an agent that has no room answers at once and hangs up */
    return errno == EPIPE || errno == ECONNRESET || give_up("cannot send to", strerror(errno));
}

static bool receive(int channel, size_t from, size_t to) {
    while (from < to) {
        ssize_t got = read_some(channel, answer + from, to - from);
        if (got < 0) return give_up("cannot hear from", strerror(errno));
        if (got == 0) return give_up("cannot hear from", "it hung up without a whole answer");
        from += (size_t)got;
    }
    return true;
}

/* Have the agent answer: `status` and `bytes` of `answer` behind head and status. */
static bool converse(int channel, int netns, int *status, size_t *bytes) {
    if (!call_agent(channel) || !send_request(channel, netns)) return false;
    if (!receive(channel, 0, HEAD)) return false;
    uint32_t length = get_number(answer + 4);
    if (memcmp(answer, ANSWER_MAGIC, 4) || length < NUMBER || length > NUMBER + MAX_STDOUT)
        return give_up("cannot understand", "it sent what is no answer; are both of one version?");
    if (!receive(channel, HEAD, HEAD + length)) return false;
    uint32_t number = get_number(answer + HEAD);
    if (number > 255) return give_up("cannot understand", "it sent what is no exit status");
    *status = (int)number;
    *bytes = length - NUMBER;
    return true;
}

static bool ask(int *status, size_t *bytes) {
    int channel = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (channel < 0) return give_up("cannot make a socket for", strerror(errno));
    /* what cannot be opened goes as a path only, and the agent says so as the plugin would */
    const char *path = variable("CNI_NETNS");
    int netns = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    bool done = converse(channel, netns, status, bytes);
    if (netns >= 0) close(netns);
    close(channel);
    return done;
}

/* ---- the queue of DELs: one file an attachment, whole or not there */

/* What an ADD takes (sriovbond/cni/environment.py); of what is beyond ASCII the agent is the judge. */
static bool is_container_id(const char *text) {
    return strspn(text, ALPHANUMERIC) && !text[strspn(text, ALPHANUMERIC "_.-")];
}

static bool is_ifname(const char *text) {
    bool is_short = *text && strlen(text) <= MAX_IFNAME;
    bool is_plain = !text[strcspn(text, "/: \t\n\v\f\r\x1c\x1d\x1e\x1f")];
    return is_short && is_plain && strcmp(text, ".") && strcmp(text, "..");
}

/* Write the name of an attachment's file, as Attachment.key of sriovbond/cni/attachment.py does. */
static void write_name(char *name, size_t room) {
    const char *id = variable("CNI_CONTAINERID"), *ifname = variable("CNI_IFNAME");
    uint64_t hash = FNV_START;
    for (const char *at = id; *at; at++) hash = (hash ^ (unsigned char)*at) * FNV_PRIME;
    if (strlen(id) > MAX_CONTAINER_ID)
        snprintf(name, room, "#%016llx@%s", (unsigned long long)hash, ifname);
    else
        snprintf(name, room, "%s@%s", id, ifname);
}

/* Open a folder that is the owner's alone, made if it is not there. */
static int open_folder(const char *path) {
    bool is_new = !mkdir(path, 0700);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (folder < 0 || fstat(folder, &status)) return -1;
    bool is_own = status.st_uid == SHIM_OWNER && !(status.st_mode & 022);
    if (!is_own) errno = EPERM;
    return is_own && (!is_new || !syncfs(folder)) ? folder : -1;
}

static bool has_room(int folder) {
    static char entries[FOLDER_BYTES] __attribute__((aligned(8)));
    long files = 0, got;
    while ((got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
        for (long at = 0; at < got; files++) {
            unsigned short bytes; /* struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen */
            memcpy(&bytes, entries + at + 16, sizeof bytes);
            at += bytes;
        }
    if (!got && files >= MAX_QUEUED) errno = ENOSPC;
    return !got && files < MAX_QUEUED;
}

static bool put(int folder, const char *fresh, const char *name) {
    int file = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return false;
    bool done = write_whole(file, request, request_bytes) && !fsync(file) &&
                !renameat(folder, fresh, folder, name) && !fsync(folder);
    int fault = errno;
    close(file);
    if (!done) unlinkat(folder, fresh, 0);
    errno = fault;
    return done;
}

static bool enqueue(void) {
    char name[MAX_CONTAINER_ID + 32], fresh[64];
    struct timespec now;
    allow(GRACE_S);
    clock_gettime(CLOCK_REALTIME, &now);
    write_name(name, sizeof name);
    snprintf(fresh, sizeof fresh, ".%lld-%ld-%ld", (long long)now.tv_sec, now.tv_nsec, (long)getpid());
    int state = open_folder(SHIM_STATE), folder = state < 0 ? -1 : open_folder(QUEUE);
    bool done = folder >= 0 && has_room(folder) && put(folder, fresh, name);
    int fault = errno;
    if (folder >= 0) close(folder);
    if (state >= 0) close(state);
    errno = fault;
    return done;
}

static int queue_del(void) {
    char text[1024];
    if (!is_container_id(variable("CNI_CONTAINERID")) || !is_ifname(variable("CNI_IFNAME")))
        return fail(4, "cannot run DEL: CNI_CONTAINERID or CNI_IFNAME is not set, or names nothing "
                       "that an ADD can have made; the runtime sets these variables");
    if (!enqueue()) {
        snprintf(text, sizeof text,
                 "cannot run DEL now: %s; nor can it be kept for later in %s: %s; repair one of them, "
                 "and the runtime will try again", why, QUEUE, strerror(errno));
        return fail(11, text);
    }
    snprintf(text, sizeof text, "level=warning msg=\"DEL is kept for later\" why=\"%s\" queue=%s\n",
             why, QUEUE);
    write_whole(STDERR_FILENO, text, strlen(text));
    return 0;
}

/* ---- the call */

static int without_agent(const char *command) {
    char text[1024];
    if (!strcmp(command, "DEL")) return queue_del();
    snprintf(text, sizeof text, "cannot run %s now: %s; look at the sriovbond agent of this node",
             command, why);
    return fail(strcmp(command, "STATUS") ? 11 : 50, text);
}

static bool is_command(const char *text) {
    static const char *const commands[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(text, commands[i])) return true;
    return false;
}

/* Give 0, 1 and 2 a meaning where the caller has closed them: a socket must not become stdout. */
static void fill_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDWR | O_CLOEXEC); /* the lowest that is free */
}

int main(void) {
    const char *command = variable("CNI_COMMAND");
    int status = 1;
    size_t bytes = 0;

    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* one byte of a buffer would cost 2 MiB of zeros */
    deadline_ms = now_ms() + SHIM_DEADLINE_MS;
    request_bytes = stdin_at = HEAD + NUMBER;
    request[stdin_at] = 0;
    alarm(SHIM_DEADLINE_MS / 1000 + 3 * GRACE_S); /* should a file system hang */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    fill_streams();
    if (!is_command(command))
        return fail(4, "cannot run a command: CNI_COMMAND is none of ADD, DEL, CHECK, GC, STATUS, "
                       "VERSION; the runtime sets it");
    if (!take_environment()) return fail(4, "cannot run a command: the CNI_ variables are too long");
    if (!take_stdin()) return fail(11, "cannot read stdin: the runtime did not end it in time");
    if (!strcmp(command, "VERSION")) return say(SUPPORTED) ? 0 : 1;
    if (!ask(&status, &bytes)) return without_agent(command);
    allow(GRACE_S);
    return write_whole(STDOUT_FILENO, answer + HEAD + NUMBER, bytes) ? status : 1;
}
