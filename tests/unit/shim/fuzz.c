/*
 * Runs the shim in one process under sanitizers, CASES times: a mutated environment, a mutated stdin,
 * an agent that sends a mutated answer. What it sends must be a frame; what it prints must be the
 * agent's answer or its own. Deterministic: the case's number is the seed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
static int play_agent(int channel, const struct sockaddr *name, socklen_t bytes);
#define connect play_agent
#define main shim_main
#define fsync(fd) 0
#include SHIM_SOURCE
#undef main
#undef connect
#undef fsync

enum { ROOM = 60000 };
static uint32_t seed;
static int agent = -1;
static char sent[ROOM], heard[ROOM], printed[ROOM * 2];
static size_t sent_bytes;

static uint32_t dice(uint32_t sides) {
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return seed % sides;
}

static size_t mutate(char *bytes, size_t count, size_t room) {
    for (uint32_t times = dice(6); times; times--) {
        size_t at = count ? dice((uint32_t)count) : 0;
        switch (dice(5)) {
        case 0: if (count) bytes[at] = (char)dice(256); break;
        case 1: if (count) bytes[at] ^= (char)(1 << dice(8)); break;
        case 2: count = at; break;
        case 3:
            if (count && count < room) memmove(bytes + at + 1, bytes + at, count++ - at);
            break;
        case 4: {
            size_t more = dice(4000);
            if (more > room - count) more = room - count;
            memset(bytes + count, "{[\"\\a"[dice(5)], more);
            count += more;
        }
        }
    }
    return count;
}

static int play_agent(int channel, const struct sockaddr *name, socklen_t bytes) {
    int pair[2];
    (void)name, (void)bytes;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)) abort();
    dup2(pair[0], channel);
    close(pair[0]);
    agent = pair[1];
    uint32_t length = dice(300);
    memcpy(sent, ANSWER_MAGIC, 4);
    put_number(sent + 4, length + NUMBER);
    put_number(sent + HEAD, dice(3));
    memset(sent + HEAD + NUMBER, 'x', length);
    sent_bytes = mutate(sent, HEAD + NUMBER + length, ROOM);
    if (write(agent, sent, sent_bytes) != (ssize_t)sent_bytes) abort();
    if (dice(32)) shutdown(agent, SHUT_WR); else if (dice(2)) { close(agent); agent = -1; }
    return 0;
}

static void judge(int status, int out) {
    ssize_t told = pread(out, printed, sizeof printed, 0);
    if (told < 0) abort();
    bool own = told > 16 && !memcmp(printed, "{\"cniVersion\": \"", 16);
    bool relayed = sent_bytes >= HEAD + NUMBER + (size_t)told &&
                   !memcmp(printed, sent + HEAD + NUMBER, (size_t)told);
    if (!(own || relayed || !told) || status < 0 || status > 255) abort();
    if (agent < 0) return;
    ssize_t got = recv(agent, heard, sizeof heard, 0);
    close(agent);
    /* on a busy machine the deadline may pass before a byte is sent */
    if (got < 0 && strstr(why, strerror(ETIMEDOUT))) return;
    if (got < HEAD + NUMBER || memcmp(heard, REQUEST_MAGIC, 4)) abort();
    if (get_number(heard + 4) != got - HEAD) abort();
}

static void one_case(const char *command) {
    static char texts[7][ROOM];
    static char *variables[8];
    const char *const given[] = {"CNI_CONTAINERID=pod1", "CNI_IFNAME=bond0", "CNI_NETNS=/proc/self/ns/net",
                                 "CNI_ARGS=a=b", "CNI_PATH=/a:/b", "HOME=/"};
    int count = 0;
    snprintf(texts[6], ROOM, "CNI_COMMAND=%s", command);
    variables[count++] = texts[6];
    for (int i = 0; i < 6; i++) {
        size_t bytes = strlen(given[i]);
        memcpy(texts[i], given[i], bytes);
        if (!dice(4)) bytes = mutate(texts[i], bytes, 3000);
        texts[i][bytes] = 0;
        if (dice(8)) variables[count++] = texts[i];
    }
    variables[count] = NULL;
    environ = variables;

    char stdin_[ROOM] = "{\"a\": [\"\\\"\"], \"cniVersion\" : \"1.0.0\", \"name\": \"n\"}";
    size_t bytes = mutate(stdin_, strlen(stdin_), 20000);
    int in = memfd_create("in", 0), out = memfd_create("out", 0);
    if (write(in, stdin_, bytes) < 0) abort();
    lseek(in, 0, SEEK_SET);
    dup2(in, 0), dup2(out, 1);
    agent = -1, sent_bytes = 0, why[0] = 0;
    judge(shim_main(), out);
    close(in), close(out);
}

int main(void) {
    static const char *const commands[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "AD"};
    for (uint32_t number = 1; number <= CASES; number++) {
        seed = number * 2654435761u;
        one_case(commands[dice(7)]);
    }
    return 0;
}
