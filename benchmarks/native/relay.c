/* The least a relay can do: the measure that ours is held against. Prints its port, then relays until it is killed.
 *
 *   relay TARGET_PORT
 *
 * One thread, edge-triggered epoll, splice(2) through pipes that are lent only while bytes are in them. It counts nothing
 * and describes nothing, and like ours it passes on half-closes and resets. Both ends are on loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIPE_SIZE = 1 << 20, PIPES = 48, EVENTS = 256, TURNS = 16, MOST_DESCRIPTORS = 65536 };

typedef struct {
    int from, to;
    int pipe[2];    /* {-1, -1}: none is lent */
    ssize_t inside; /* bytes in the pipe */
    int ended, finished;
} Direction;

typedef struct {
    int ends[2];
    Direction up, down;
} Link;

static Link *links[MOST_DESCRIPTORS];
static int free_pipes[PIPES][2];
static int free_count;

static int take_pipe(Direction *way) {
    if (way->pipe[0] >= 0) return 0;
    if (free_count) {
        free_count--;
        way->pipe[0] = free_pipes[free_count][0];
        way->pipe[1] = free_pipes[free_count][1];
        return 0;
    }
    if (pipe2(way->pipe, O_NONBLOCK | O_CLOEXEC)) return -1;
    fcntl(way->pipe[0], F_SETPIPE_SZ, PIPE_SIZE);
    return 0;
}

static void return_pipe(Direction *way) {
    if (way->pipe[0] < 0) return;
    if (way->inside == 0 && free_count < PIPES) {
        free_pipes[free_count][0] = way->pipe[0];
        free_pipes[free_count++][1] = way->pipe[1];
    } else {
        close(way->pipe[0]);
        close(way->pipe[1]);
    }
    way->pipe[0] = way->pipe[1] = -1;
    way->inside = 0;
}

/* Move what can be moved; -1: a socket failed, 1: there is more to do at once. */
static int advance(Direction *way) {
    for (int turn = 0; turn < TURNS; turn++) {
        if (way->inside == 0) {
            if (way->ended) break;
            if (take_pipe(way)) return -1;
            ssize_t got = splice(way->from, NULL, way->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (got < 0 && errno == EAGAIN) break;
            if (got < 0) return errno == ENOTCONN ? 0 : -1; /* the target has not answered yet */
            if (got == 0) way->ended = 1;
            way->inside = got;
        } else {
            ssize_t sent =
                splice(way->pipe[0], NULL, way->to, NULL, way->inside, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (sent < 0) return errno == EAGAIN ? 0 : -1;
            way->inside -= sent;
        }
        if (turn == TURNS - 1) return 1;
    }
    if (way->inside == 0) return_pipe(way);
    if (way->ended && way->inside == 0 && !way->finished && !shutdown(way->to, SHUT_WR)) way->finished = 1;
    return 0;
}

static void end(Link *link, int failed) {
    struct linger reset = {1, 0};
    for (int side = 0; side < 2; side++) {
        if (failed) setsockopt(link->ends[side], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        links[link->ends[side]] = NULL;
        close(link->ends[side]);
    }
    return_pipe(&link->up);
    return_pipe(&link->down);
    free(link);
}

static void take_connections(int listener, int epoll, struct sockaddr_in *target) {
    int yes = 1;
    for (;;) {
        int in = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (in < 0) return;
        int out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (out < 0) {
            close(in);
            return;
        }
        setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        connect(out, (struct sockaddr *)target, sizeof *target);
        Link *link = calloc(1, sizeof *link);
        link->ends[0] = in;
        link->ends[1] = out;
        link->up = (Direction){.from = in, .to = out, .pipe = {-1, -1}};
        link->down = (Direction){.from = out, .to = in, .pipe = {-1, -1}};
        links[in] = links[out] = link;
        for (int side = 0; side < 2; side++) {
            struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
            wanted.data.fd = link->ends[side];
            epoll_ctl(epoll, EPOLL_CTL_ADD, link->ends[side], &wanted);
        }
    }
}

static void serve(Link *link, unsigned events) {
    int failed = (events & EPOLLERR) != 0;
    for (int more = 1; more && !failed;) {
        int up = advance(&link->up), down = up < 0 ? 0 : advance(&link->down);
        failed = up < 0 || down < 0;
        more = up > 0 || down > 0;
    }
    if (failed || (link->up.finished && link->down.finished)) end(link, failed);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MOST_DESCRIPTORS ? files.rlim_max : MOST_DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = target;
    socklen_t size = sizeof own;
    target.sin_port = htons(atoi(arguments[1]));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&own, &size);
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    int epoll = epoll_create1(0);
    struct epoll_event events[EVENTS], wanted = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        int found = epoll_wait(epoll, events, EVENTS, -1);
        for (int number = 0; number < found; number++) {
            int descriptor = events[number].data.fd;
            if (descriptor == listener)
                take_connections(listener, epoll, &target);
            else if (links[descriptor])
                serve(links[descriptor], events[number].events);
        }
    }
}
