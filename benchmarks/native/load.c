/* Load for relays: a service, and clients that use it as hard as they can. Both ends are on loopback.
 *
 *   load serve                        prints its port; ``S``: counts what comes, ``E``: echoes, ``D``: sends without end
 *   load bulk PORT CLIENTS SECONDS    sends as much as it can; the service must have counted every byte
 *   load pull PORT CLIENTS SECONDS    takes as much as it can, and leaves without an end (frp passes on no half-close)
 *   load ping PORT CLIENTS SECONDS    64 bytes there and back, one after the other
 *   load connect PORT CLIENTS SECONDS a connection for each 64 bytes there and back
 *   load hold PORT COUNT              opens connections that were used once, and holds them until stdin ends
 *
 * Clients print one line of JSON. Neither end touches the payload (sendfile from memory, MSG_TRUNC), so that what is
 * measured is the relay and not the load. Any byte that is lost, and any error, ends the program with a message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, PING = 64, EVENTS = 256, MOST_DESCRIPTORS = 65536, WARM_UP = 200 };

static char buffer[BLOCK]; /* of the service */
static int block;          /* a file in memory, of one block */
static int port;
static double seconds;

typedef struct {
    pthread_t thread;
    uint64_t bytes;
    double took;
    float *delays; /* microseconds */
    long count;
} Client;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "broken off");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void no_delay(int connection) {
    int yes = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* The service */

static char modes[MOST_DESCRIPTORS];
static uint64_t counts[MOST_DESCRIPTORS];

static int supply(int connection) {
    off_t start = 0;
    return sendfile(connection, block, &start, BLOCK) >= 0 || errno == EAGAIN;
}

/* Take what has come; 0: the connection is at its end. */
static int answer(int connection) {
    char *mode = &modes[connection];
    ssize_t got = 1;
    if (!*mode && (got = recv(connection, mode, 1, 0)) <= 0) return got < 0 && errno == EAGAIN;
    if (*mode == 'D') return supply(connection);
    if (*mode == 'S') {
        for (int turn = 0; turn < 4; turn++) {
            if ((got = recv(connection, NULL, BLOCK, MSG_TRUNC)) <= 0) break;
            counts[connection] += got;
        }
        if (got == 0) send(connection, &counts[connection], sizeof counts[connection], MSG_NOSIGNAL);
    } else if ((got = recv(connection, buffer, BLOCK, 0)) > 0) {
        if (send(connection, buffer, got, MSG_NOSIGNAL) != got) return 0; /* pings are small: they always fit */
    }
    return got > 0 || (got < 0 && errno == EAGAIN);
}

static void serve(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4096)) fail("listen");
    getsockname(listener, (struct sockaddr *)&own, &size);
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    int epoll = epoll_create1(0);
    struct epoll_event events[EVENTS], wanted = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        int found = epoll_wait(epoll, events, EVENTS, -1);
        for (int number = 0; number < found; number++) {
            int connection = events[number].data.fd;
            if (connection != listener) {
                if (!answer(connection)) {
                    close(connection);
                } else if (modes[connection] == 'D') {
                    wanted.events = EPOLLIN | EPOLLOUT;
                    wanted.data.fd = connection;
                    epoll_ctl(epoll, EPOLL_CTL_MOD, connection, &wanted);
                }
                continue;
            }
            while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                no_delay(connection);
                modes[connection] = 0;
                counts[connection] = 0;
                wanted.events = EPOLLIN;
                wanted.data.fd = connection;
                epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &wanted);
            }
        }
    }
}

/* The clients */

static int dial(void) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(port)};
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection, (struct sockaddr *)&target, sizeof target)) fail("connect");
    no_delay(connection);
    return connection;
}

/* Send the first ``size`` bytes of ``data`` and wait until ``expected`` bytes are back. */
static void exchange(int connection, const char *data, ssize_t size, ssize_t expected) {
    char back[PING];
    if (send(connection, data, size, MSG_NOSIGNAL) != size) fail("send");
    errno = 0;
    if (recv(connection, back, expected, MSG_WAITALL) != expected) fail("receive");
}

static void *bulk(void *argument) {
    Client *client = argument;
    int connection = dial();
    double began = now();
    uint64_t counted = 0;
    if (send(connection, "S", 1, MSG_NOSIGNAL) != 1) fail("send");
    while (now() < began + seconds) {
        off_t start = 0;
        ssize_t sent = sendfile(connection, block, &start, BLOCK);
        if (sent <= 0) fail("send");
        client->bytes += sent;
    }
    shutdown(connection, SHUT_WR);
    errno = 0;
    if (recv(connection, &counted, sizeof counted, MSG_WAITALL) != sizeof counted) fail("receive");
    if (counted != client->bytes) fail("bytes were lost");
    client->took = now() - began;
    close(connection);
    return NULL;
}

static void *pull(void *argument) {
    Client *client = argument;
    int connection = dial();
    double began = now();
    if (send(connection, "D", 1, MSG_NOSIGNAL) != 1) fail("send");
    while ((client->took = now() - began) < seconds) {
        ssize_t got = recv(connection, NULL, BLOCK, MSG_TRUNC);
        if (got <= 0) fail("receive");
        client->bytes += got;
    }
    close(connection);
    return NULL;
}

static void note(Client *client, double began) {
    if ((client->count & (client->count - 1)) == 0) /* full: its room is a power of two */
        client->delays = realloc(client->delays, (client->count ? 2 * client->count : 1) * sizeof(float));
    client->delays[client->count++] = (now() - began) * 1e6;
}

static void *ping(void *argument) {
    Client *client = argument;
    char data[PING] = "E";
    int connection = dial();
    exchange(connection, data, PING, PING - 1); /* the first byte says what is wanted */
    for (int number = 0; number < WARM_UP; number++) exchange(connection, data, PING, PING);
    double began = now(), at;
    while ((at = now()) < began + seconds) {
        exchange(connection, data, PING, PING);
        note(client, at);
    }
    client->took = now() - began;
    close(connection);
    return NULL;
}

static void *connects(void *argument) {
    Client *client = argument;
    char data[PING + 1] = "E";
    double began = now(), at;
    while ((at = now()) < began + seconds) {
        int connection = dial();
        exchange(connection, data, PING + 1, PING);
        close(connection);
        note(client, at);
    }
    client->took = now() - began;
    return NULL;
}

static void hold(int count) {
    char data[PING + 1] = "E";
    for (int number = 0; number < count; number++) exchange(dial(), data, PING + 1, PING);
    printf("%d\n", count);
    fflush(stdout);
    while (read(0, data, sizeof data) > 0) continue;
}

static int ascending(const void *one, const void *other) {
    float difference = *(const float *)one - *(const float *)other;
    return difference < 0 ? -1 : difference > 0;
}

static void report(Client *clients, int count) {
    uint64_t bytes = 0;
    long total = 0, at = 0;
    double took = 0;
    for (int number = 0; number < count; number++) {
        bytes += clients[number].bytes;
        total += clients[number].count;
        took = clients[number].took > took ? clients[number].took : took;
    }
    float *delays = calloc(total + 1, sizeof(float));
    for (int number = 0; number < count; at += clients[number++].count)
        if (clients[number].count) memcpy(delays + at, clients[number].delays, clients[number].count * sizeof(float));
    qsort(delays, total, sizeof(float), ascending);
    printf("{\"bytes\": %lu, \"count\": %ld, \"seconds\": %.6f, \"p50\": %.3f, \"p99\": %.3f}\n", bytes, total, took,
           delays[total / 2], delays[total * 99 / 100]);
}

static void run(void *(*work)(void *), int size) {
    Client *clients = calloc(size, sizeof *clients);
    for (int number = 0; number < size; number++) pthread_create(&clients[number].thread, NULL, work, &clients[number]);
    for (int number = 0; number < size; number++) pthread_join(clients[number].thread, NULL);
    report(clients, size);
}

typedef struct {
    const char *name;
    void *(*work)(void *);
} Kind;

static const Kind kinds[] = {{"bulk", bulk}, {"pull", pull}, {"ping", ping}, {"connect", connects}, {NULL, NULL}};

int main(int count, char **arguments) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MOST_DESCRIPTORS ? files.rlim_max : MOST_DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    block = memfd_create("block", 0);
    if (write(block, buffer, BLOCK) != BLOCK) fail("memory");
    if (count == 2 && !strcmp(arguments[1], "serve")) serve();
    if (count < 4) return 2;
    port = atoi(arguments[2]);
    int size = atoi(arguments[3]);
    if (!strcmp(arguments[1], "hold")) return hold(size), 0;
    if (count != 5) return 2;
    seconds = atof(arguments[4]);
    for (const Kind *kind = kinds; kind->name; kind++)
        if (!strcmp(arguments[1], kind->name)) run(kind->work, size);
}
