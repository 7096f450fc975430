/* Load for what joins two VDE networks, between ends that cost next to nothing: one process sends, one receives, many
 * frames a system call, on descriptors that `wire_ends.py` has joined to the wire.
 *
 *     wirepump SEND_FD RECEIVE_FD OCTETS SECONDS WINDOW       prints: frames received in SECONDS, sent, received, strays
 *
 * The sender has at most WINDOW frames outstanding; credit comes back through shared memory. The first 0.2 s do not
 * count. Numbers stand at the beginning of each frame's payload; the receiver checks that they only go up
 * (strays: they did not).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define HEADER 14
#define OCTETS_MAX 9234
#define WARM_UP_NS 200000000LL
#define STALL_NS 100000000LL /* frames of a window that have not come by then are lost */

static struct {
	_Atomic uint64_t position; /* one more than the number that came last */
	_Atomic uint64_t received, strays;
	_Atomic uint32_t bell, waiting;
} *shared;

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint8_t frames[BATCH][OCTETS_MAX];
static struct mmsghdr messages[BATCH];
static struct iovec pieces[BATCH];

static void prepare(size_t octets)
{
	for (int i = 0; i < BATCH; i++) {
		memcpy(frames[i], "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5", HEADER);
		pieces[i] = (struct iovec){frames[i], octets};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	}
}

static void receive(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prepare(OCTETS_MAX);
	for (;;) {
		int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (count < 0 && errno != EINTR)
			exit(1);
		uint64_t position = atomic_load(&shared->position), number;
		int old = 0;
		for (int i = 0; i < count; i++) {
			memcpy(&number, frames[i] + HEADER, sizeof number);
			if (messages[i].msg_len < HEADER + sizeof number || number < position)
				old++;
			else
				position = number + 1;
		}
		if (count > 0) {
			atomic_fetch_add(&shared->received, count - old);
			atomic_fetch_add(&shared->strays, old);
			atomic_store(&shared->position, position);
			if (atomic_exchange(&shared->waiting, 0)) {
				atomic_fetch_add(&shared->bell, 1);
				syscall(SYS_futex, &shared->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
			}
		}
	}
}

/* Until frames below `target` have come, or none has for a while; up to where nothing is owed. */
static uint64_t wait_credit(uint64_t target, uint64_t sent)
{
	for (;;) {
		uint32_t bell = atomic_load(&shared->bell);
		atomic_store(&shared->waiting, 1);
		uint64_t position = atomic_load(&shared->position);
		if (position >= target)
			return position;
		struct timespec patience = {0, STALL_NS};
		if (syscall(SYS_futex, &shared->bell, FUTEX_WAIT, bell, &patience, NULL, 0) < 0 && errno == ETIMEDOUT)
			return atomic_load(&shared->position) == position ? sent : atomic_load(&shared->position);
	}
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fputs("wirepump SEND_FD RECEIVE_FD OCTETS SECONDS WINDOW\n", stderr);
		return 2;
	}
	int out = atoi(argv[1]), in = atoi(argv[2]);
	size_t octets = strtoul(argv[3], NULL, 10);
	int64_t measured_ns = strtod(argv[4], NULL) * 1e9;
	uint64_t window = strtoul(argv[5], NULL, 10);
	uint64_t first = now_ns(), sent = first, floor = first; /* what an earlier load left is told by its number */
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || octets < HEADER + 8 || octets > OCTETS_MAX)
		return 2;
	atomic_store(&shared->position, first);
	pid_t child = fork();
	if (child == 0)
		receive(in);
	prepare(octets);
	int64_t begin = now_ns() + WARM_UP_NS, end = begin + measured_ns, now;
	uint64_t before = 0;
	bool warm = false;
	while ((now = now_ns()) < end) {
		if (!warm && now >= begin) {
			warm = true;
			begin = now;
			before = atomic_load(&shared->received);
		}
		uint64_t position = atomic_load(&shared->position);
		floor = position > floor ? position : floor;
		uint64_t room = window - (sent - floor);
		if (room == 0) {
			floor = wait_credit(sent - window / 2, sent);
			continue;
		}
		int batch = room < BATCH ? room : BATCH;
		for (int i = 0; i < batch; i++) {
			uint64_t number = sent + i;
			memcpy(frames[i] + HEADER, &number, sizeof number);
		}
		int done = sendmmsg(out, messages, batch, 0);
		if (done > 0)
			sent += done;
		else if (done < 0 && errno != EINTR && errno != ENOBUFS) {
			perror("wirepump: sendmmsg");
			kill(child, SIGKILL);
			return 1;
		}
	}
	uint64_t received = atomic_load(&shared->received);
	printf("%.1f %lu %lu %lu\n", (received - before) / ((now - begin) / 1e9), (unsigned long)(sent - first),
	       (unsigned long)received, (unsigned long)atomic_load(&shared->strays));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
