/* TCP connections between two guests, in large writes: what is timed is the network, and not a shell's pipe.
 *
 *     flow receive STREAMS          says `listening`, reads all to their ends, says how many octets there were
 *     flow ADDRESS STREAMS MIB      connects, writes MIB in all, waits until the other has read it, says how long
 *
 * Static, for i386 (`tests.bench.guests` compiles it and puts it into the guests' first root file system).
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5000, PIECE = 256 << 10, MOST_STREAMS = 16 }; /* chosen */

static char buffer[PIECE];

static int64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * (int64_t)1000 + at.tv_nsec / 1000000;
}

static int failed(const char *what)
{
    perror(what);
    return 1;
}

static int receive(int streams)
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd peers[MOST_STREAMS];
    uint64_t octets = 0;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, MOST_STREAMS))
        return failed("listen");
    printf("listening\n");
    fflush(stdout);
    for (int index = 0; index < streams; index++)
        if ((peers[index] = (struct pollfd){ accept(listener, NULL, NULL), POLLIN, 0 }).fd < 0)
            return failed("accept");
    for (int open = streams; open > 0;) {
        if (poll(peers, (nfds_t)streams, -1) < 0)
            return failed("poll");
        for (int index = 0; index < streams; index++) {
            ssize_t count;
            if (!peers[index].revents)
                continue;
            if ((count = read(peers[index].fd, buffer, sizeof buffer)) < 0)
                return failed("read");
            octets += (uint64_t)count;
            if (count == 0) {
                close(peers[index].fd);
                peers[index].fd = -1;
                open--;
            }
        }
    }
    printf("octets %llu\n", (unsigned long long)octets);
    return 0;
}

static int send_to(const char *address, int64_t octets)
{
    struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    int connection = socket(AF_INET, SOCK_STREAM, 0);

    if (!inet_aton(address, &there.sin_addr) || connect(connection, (struct sockaddr *)&there, sizeof there))
        return failed("connect");
    while (octets > 0) {
        ssize_t count = write(connection, buffer, octets < PIECE ? (size_t)octets : PIECE);
        if (count <= 0)
            return failed("write");
        octets -= count;
    }
    shutdown(connection, SHUT_WR);
    return read(connection, buffer, sizeof buffer) ? failed("read") : 0; /* the end: all was read there */
}

int main(int count, char **words)
{
    int streams = count > 2 ? atoi(words[2]) : 0, bad = 0, status;
    int64_t began = now_ms();

    if (streams < 1 || streams > MOST_STREAMS)
        return 2;
    if (count == 3)
        return receive(streams);
    for (int index = 0; index < streams; index++)
        if (fork() == 0)
            return send_to(words[1], ((int64_t)atol(words[3]) << 20) / streams);
    for (int index = 0; index < streams; index++)
        bad |= wait(&status) < 0 || status;
    if (!bad)
        printf("milliseconds %lld.\n", (long long)(now_ms() - began));
    return bad;
}
