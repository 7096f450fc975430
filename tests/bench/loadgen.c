/* loadgen: load for an Ethernet switch from standard VDE clients.
 *
 * Why C: what is measured is the switch as its real users see it, so the client must be the unmodified libvdeplug of
 * the machine, and no slower than it. Every frame is one blocking vde_send() or vde_recv(), every client a process of
 * its own, nothing is pinned, batched or tuned.
 *
 * Modes (all counts are of frames delivered to a client, checked for length, flow, number and last octets):
 *
 *   pairs   N senders, each to its own receiver.
 *   flood   one sender of broadcasts, N receivers; a broadcast counts once for every receiver that got it.
 *   rtt     one client sends a frame, another returns it, one at a time; N pairs may load the switch meanwhile.
 *
 * Window: a sender has at most W frames outstanding at each of its receivers, so a lost frame was dropped by the
 * switch and is no mere overrun. Credit comes back through memory that the processes share, not through the switch:
 * a receiver stores the number after the last frame's; a sender out of credit sleeps on a futex until half of
 * the window is free, so that there is at most one wake-up for W/2 frames. A sender whose receiver stands still for
 * STALL_NS writes the outstanding frames off and goes on (counted in `stalls`); lost = sent - delivered in any case.
 *
 * Life: connect one after the other · every client announces its addresses by frames to itself (learned, forwarded
 * to nobody) and waits until the switch has taken them · run · warm-up · measured part · stop, drain · report as
 * JSON on stdout. Counters and clocks are read at both ends of the measured part; `sent`, `lost`, … are of the whole
 * run. The switch's processor time is its process clock (all threads, in ns); utime and stime of /proc/PID/stat
 * give the share spent in the kernel.
 *
 * --direct: the VNL joins the two clients themselves (`ptp://`), nobody learns; the bound that no switch can pass.
 *
 * --receiver-url: receivers and echoers connect there, so that what lies between two networks is loaded.
 *
 * Frame: 14 octets Ethernet header (type 0x88b5, IEEE 802 local experimental) · u32 magic · u32 flow · u64 number ·
 * pattern · the number again in the last 8 octets; native byte order.
 *
 * Limits: Linux, 60…9216 octets, 4,096 clients, 2^22 round-trip samples. Ends by itself: alarm(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libvdeplug.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER = 14,
	OCTETS_MIN = 60,
	OCTETS_MAX = 9216,
	CLIENTS_MAX = 4096,
	SAMPLES_MAX = 1 << 22,
	MAGIC = 0x6c6f6164,
	FLOW_RTT = 0xffffff,
	GRACE_S = 60, /* chosen: set-up of 1,000 ports through a slow switch, and draining */
};
static const int64_t STALL_NS = 20 * 1000 * 1000;  /* chosen: thousands of frames' time */
static const int64_t NUDGE_NS = 100 * 1000 * 1000; /* chosen: a lone frame not back by then is lost */
static const int64_t SETUP_NS = 30LL * 1000 * 1000 * 1000;

enum role { SENDER, RECEIVER, PINGER, ECHOER, SILENT };
enum phase { CONNECT, ANNOUNCE, RUN, STOP, DRAIN };
enum state { STARTED, CONNECTED, ANNOUNCED, DONE };

/* One process's page of what the others see: written by its owner, except `wake_at`, which its sender sets. */
struct client {
	_Alignas(128) _Atomic uint64_t position; /* number after the last frame's: the credit given back */
	_Atomic uint64_t delivered;
	_Atomic uint64_t wake_at; /* sender sleeps until position is this; ~0: it does not */
	_Atomic uint32_t bell;
	_Alignas(128) _Atomic uint64_t sent;
	_Atomic uint64_t stalls, refused, strays, damaged, misordered, lost_rounds;
	_Atomic uint32_t state;
	enum role role;
	uint32_t flow;
	bool stalled;
	pid_t pid;
};

static struct shared {
	_Atomic uint32_t phase, measuring;
	_Atomic uint32_t samples;
	struct client client[CLIENTS_MAX];
	uint32_t sample_ns[SAMPLES_MAX];
} *shared;

static struct options {
	char *url, *receiver_url;
	enum { PAIRS, FLOOD, RTT } mode;
	unsigned long pairs, receivers, size, window, count, warmup_ms, idle, addresses, spread, stalled, switch_pid;
	double seconds;
	bool direct;
} opt = {.pairs = 1, .receivers = 16, .size = 64, .window = 64, .warmup_ms = 200, .seconds = 2, .spread = 1};

static void fail(const char *format, ...)
{
	va_list arguments;
	fputs("loadgen: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void nap(int64_t ns)
{
	nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t ns)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, &(struct timespec){ns / 1000000000, ns % 1000000000}, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1 << 20, NULL, NULL, 0);
}

static void set_phase(enum phase phase)
{
	atomic_store(&shared->phase, phase);
	futex_wake(&shared->phase);
}

static void wait_phase(enum phase wanted)
{
	uint32_t phase;
	while ((phase = atomic_load(&shared->phase)) < wanted)
		futex_wait(&shared->phase, phase, SETUP_NS);
}

static bool in_phase(enum phase phase)
{
	return atomic_load_explicit(&shared->phase, memory_order_relaxed) == phase;
}

/* ---- frames ---- */

/* Locally administered address: number `index` of client `id` (12 bits); mixed, so that their order is no order. */
static void put_address(uint8_t *at, uint32_t id, uint32_t index)
{
	uint32_t mixed = (index + 1) * 2654435761u; /* Knuth's multiplier; odd, so no two are the same */
	at[0] = 0x02 | id >> 8 << 4;
	at[1] = id;
	memcpy(at + 2, &mixed, 4);
}

static void put_number(uint8_t *frame, uint64_t number)
{
	memcpy(frame + HEADER + 8, &number, 8);
	memcpy(frame + opt.size - 8, &number, 8);
}

static void make_frame(uint8_t *frame, uint32_t to, uint32_t from, uint32_t flow)
{
	uint32_t word = MAGIC;
	memset(frame, 0xa5, opt.size);
	put_address(frame, to, 0);
	put_address(frame + 6, from, 0);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + HEADER, &word, 4);
	memcpy(frame + HEADER + 4, &flow, 4);
	put_number(frame, 0);
}

/* Is this a whole frame of `flow`? Puts its number, else counts it as stray (another's) or damaged. */
static bool take_frame(struct client *me, const uint8_t *frame, ssize_t octets, uint32_t flow, uint64_t *number)
{
	uint32_t magic = 0, theirs = 0;
	uint64_t last;
	if (octets >= HEADER + 16) {
		memcpy(&magic, frame + HEADER, 4);
		memcpy(&theirs, frame + HEADER + 4, 4);
	}
	if (magic != MAGIC || theirs != flow) {
		me->strays++;
		return false;
	}
	memcpy(number, frame + HEADER + 8, 8);
	memcpy(&last, frame + opt.size - 8, 8);
	if ((size_t)octets != opt.size || last != *number) {
		me->damaged++;
		return false;
	}
	return true;
}

/* ---- clients ---- */

static VDECONN *conns[CLIENTS_MAX];
static unsigned long conns_open;

static void on_nudge(int signal)
{
	(void)signal; /* no SA_RESTART: a blocking vde_recv returns with EINTR */
}

static void connect_ports(struct client *me, unsigned long ports)
{
	char *url = opt.receiver_url && (me->role == RECEIVER || me->role == ECHOER) ? opt.receiver_url : opt.url;
	for (; conns_open < ports; conns_open++) {
		conns[conns_open] = vde_open(url, "loadgen", NULL);
		if (!conns[conns_open])
			fail("port %lu of %lu: cannot connect to %s: %s", conns_open + 1, ports, url, strerror(errno));
	}
	atomic_store(&me->state, CONNECTED);
}

/* Addresses become known by frames from and to themselves; an empty send queue says that the switch has them. */
static void announce(struct client *me, uint32_t id, unsigned long addresses)
{
	uint8_t frame[OCTETS_MAX];
	int queued;
	wait_phase(ANNOUNCE);
	for (unsigned long c = 0; c < conns_open && !opt.direct; c++) {
		for (unsigned long a = c; a < (addresses > c ? addresses : c + 1); a += conns_open) {
			make_frame(frame, id, id, ~0u);
			put_address(frame, id, a);
			put_address(frame + 6, id, a);
			if (vde_send(conns[c], frame, opt.size, 0) < 0)
				fail("announcing an address: %s", strerror(errno));
		}
		int known = ioctl(vde_datafd(conns[c]), SIOCOUTQ, &queued);
		if (known < 0) /* no socket: rings, which a switch empties at once, if it gets the processor */
			nap(20 * 1000 * 1000);
		for (; known == 0 && queued > 0; known = ioctl(vde_datafd(conns[c]), SIOCOUTQ, &queued))
			nap(100000);
	}
	atomic_store(&me->state, ANNOUNCED);
	wait_phase(RUN);
}

static uint64_t effective_position(struct client *receiver, uint64_t written_off)
{
	uint64_t position = atomic_load_explicit(&receiver->position, memory_order_acquire);
	return position > written_off ? position : written_off;
}

/* Sleep until `receiver` has all frames below `target`; returns the position up to which it owes nothing more. */
static uint64_t wait_credit(struct client *me, struct client *receiver, uint64_t target, uint64_t sent)
{
	uint64_t before = atomic_load(&receiver->position);
	for (;;) {
		uint32_t bell = atomic_load(&receiver->bell);
		atomic_store(&receiver->wake_at, target);
		uint64_t position = atomic_load(&receiver->position);
		if (position >= target || !in_phase(RUN)) {
			atomic_store(&receiver->wake_at, ~0ull);
			return position;
		}
		futex_wait(&receiver->bell, bell, STALL_NS);
		position = atomic_load(&receiver->position);
		if (position < target && position == before && bell == atomic_load(&receiver->bell)) {
			me->stalls++;
			atomic_store(&receiver->wake_at, ~0ull);
			return sent;
		}
		before = position;
	}
}

static void run_sender(struct client *me, uint32_t id, uint32_t to, struct client *receivers, unsigned long n)
{
	uint8_t frame[OCTETS_MAX];
	uint64_t sent = 0, floor = 0;
	uint64_t *written_off = calloc(n, sizeof *written_off);
	make_frame(frame, to, id, me->flow);
	if (opt.mode == FLOOD)
		memset(frame, 0xff, 6);
	while (in_phase(RUN) && (!opt.count || sent < opt.count)) {
		if (opt.window && sent - floor >= opt.window) {
			floor = sent;
			for (unsigned long r = 0; r < n; r++) {
				uint64_t position = effective_position(&receivers[r], written_off[r]);
				if (!receivers[r].stalled && position < floor)
					floor = position;
			}
			if (sent - floor >= opt.window) {
				uint64_t target = sent - opt.window / 2;
				for (unsigned long r = 0; r < n; r++)
					if (!receivers[r].stalled && effective_position(&receivers[r], written_off[r]) < target)
						written_off[r] = wait_credit(me, &receivers[r], target, sent);
				continue;
			}
		}
		if (opt.addresses) {
			uint32_t index = sent % opt.addresses;
			put_address(frame, to, index);
			put_address(frame + 6, id, index);
		} else if (opt.spread > 1) {
			put_address(frame, to, sent % opt.spread);
			put_address(frame + 6, id, sent % opt.spread);
		}
		put_number(frame, sent);
		if (vde_send(conns[sent % conns_open], frame, opt.size, 0) == (ssize_t)opt.size)
			atomic_store_explicit(&me->sent, ++sent, memory_order_relaxed);
		else if (errno != EINTR)
			me->refused++;
	}
	free(written_off);
}

static void run_receiver(struct client *me)
{
	uint8_t frame[OCTETS_MAX + 64];
	uint64_t number, delivered = 0, position = 0;
	unsigned long turn = 0; /* spread traffic comes to the connections in turn */
	if (me->stalled)
		wait_phase(DRAIN);
	while (!in_phase(DRAIN)) {
		ssize_t octets = vde_recv(conns[turn % conns_open], frame, sizeof frame, 0);
		if (octets < 0 && errno != EINTR)
			fail("receiving: %s", strerror(errno));
		if (octets < 0)
			turn++;
		if (octets < HEADER || !take_frame(me, frame, octets, me->flow, &number))
			continue;
		turn = number + 1;
		if (number < position)
			me->misordered++;
		else
			position = number + 1;
		atomic_store_explicit(&me->delivered, ++delivered, memory_order_relaxed);
		atomic_store(&me->position, position);
		if (position >= atomic_load(&me->wake_at)) {
			atomic_store(&me->wake_at, ~0ull);
			me->bell++;
			futex_wake(&me->bell);
		}
	}
	for (unsigned long c = 0; c < conns_open; c++) { /* what a stalled receiver has waiting */
		ssize_t octets;
		while ((octets = recv(vde_datafd(conns[c]), frame, sizeof frame, MSG_DONTWAIT)) >= 0)
			if (octets >= HEADER && take_frame(me, frame, octets, me->flow, &number))
				atomic_store(&me->delivered, ++delivered);
	}
}

static void run_pinger(struct client *me, uint32_t id, uint32_t to)
{
	uint8_t frame[OCTETS_MAX], back[OCTETS_MAX + 64];
	uint64_t number, sent = 0;
	make_frame(frame, to, id, FLOW_RTT);
	while (in_phase(RUN) && (!opt.count || sent < opt.count)) {
		put_number(frame, sent);
		int64_t begun = now_ns();
		if (vde_send(conns[0], frame, opt.size, 0) != (ssize_t)opt.size) {
			me->refused += errno != EINTR;
			continue;
		}
		me->sent = ++sent;
		ssize_t octets;
		while ((octets = vde_recv(conns[0], back, sizeof back, 0)) >= 0)
			if (octets >= HEADER && take_frame(me, back, octets, FLOW_RTT, &number) && number == sent - 1)
				break;
		if (octets < 0 && errno != EINTR)
			fail("receiving: %s", strerror(errno));
		if (octets < 0) {
			me->lost_rounds += in_phase(RUN);
			continue;
		}
		int64_t ended = now_ns();
		me->delivered++;
		uint32_t sample = shared->samples;
		if (shared->measuring && sample < SAMPLES_MAX) {
			shared->sample_ns[sample] = ended - begun > UINT32_MAX ? UINT32_MAX : ended - begun;
			shared->samples = sample + 1;
		}
	}
}

static void run_echoer(struct client *me)
{
	uint8_t frame[OCTETS_MAX + 64], address[6];
	uint64_t number;
	while (!in_phase(DRAIN)) {
		ssize_t octets = vde_recv(conns[0], frame, sizeof frame, 0);
		if (octets < 0 && errno != EINTR)
			fail("receiving: %s", strerror(errno));
		if (octets < HEADER || !take_frame(me, frame, octets, FLOW_RTT, &number))
			continue;
		memcpy(address, frame, 6);
		memcpy(frame, frame + 6, 6);
		memcpy(frame + 6, address, 6);
		if (vde_send(conns[0], frame, octets, 0) == octets)
			me->delivered++;
	}
}

static void run_silent(struct client *me)
{
	uint8_t frame[OCTETS_MAX + 64];
	wait_phase(DRAIN);
	for (unsigned long c = 0; c < conns_open; c++)
		while (recv(vde_datafd(conns[c]), frame, sizeof frame, MSG_DONTWAIT) >= 0)
			me->strays++;
}

/* ---- the measuring process ---- */

static unsigned long clients, receivers;

/* `to`: the peer's number; `first`, `n`: a sender's receivers. */
static void add_client(enum role role, uint32_t flow, uint32_t to, uint32_t first, unsigned long n)
{
	uint32_t id = clients++;
	if (clients > CLIENTS_MAX)
		fail("more than %d clients", CLIENTS_MAX);
	struct client *me = &shared->client[id];
	me->role = role;
	me->flow = flow;
	me->wake_at = ~0ull;
	me->stalled = role == RECEIVER && receivers++ < opt.stalled;
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		connect_ports(me, role == SILENT ? opt.idle : role == SENDER || role == RECEIVER ? opt.spread : 1);
		announce(me, id, role == SENDER || role == RECEIVER ? opt.addresses ? opt.addresses : opt.spread : 1);
		switch (role) {
		case SENDER: run_sender(me, id, to, &shared->client[first], n); break;
		case RECEIVER: run_receiver(me); break;
		case PINGER: run_pinger(me, id, to); break;
		case ECHOER: run_echoer(me); break;
		case SILENT: run_silent(me); break;
		}
		atomic_store(&me->state, DONE);
		wait_phase(DRAIN); /* the connection stays until all are done: a leaving port flushes the switch's table */
		_exit(0);
	}
	me->pid = pid;
	for (int64_t end = now_ns() + SETUP_NS; atomic_load(&me->state) < CONNECTED; nap(100000)) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			exit(1); /* it has said why */
		if (now_ns() > end)
			fail("%s: no port for client %lu within %" PRId64 " s", opt.url, clients, SETUP_NS / 1000000000);
	}
}

static void check_children(void)
{
	pid_t pid = waitpid(-1, NULL, WNOHANG);
	if (pid > 0)
		fail("a client ended before its time (pid %d)", (int)pid);
}

static bool all_in(enum state state, bool senders_only)
{
	for (unsigned long c = 0; c < clients; c++) {
		enum role role = shared->client[c].role;
		if (senders_only && role != SENDER && role != PINGER)
			continue;
		if (atomic_load(&shared->client[c].state) < state)
			return false;
	}
	return true;
}

static uint64_t sum_delivered(enum role role)
{
	uint64_t sum = 0;
	for (unsigned long c = 0; c < clients; c++)
		if (shared->client[c].role == role)
			sum += atomic_load(&shared->client[c].delivered);
	return sum;
}

/* A blocking receive is interrupted where one lone frame is awaited and nothing has come for NUDGE_NS. */
static void nudge_waiting(bool all)
{
	static uint64_t seen[CLIENTS_MAX];
	static int64_t since[CLIENTS_MAX];
	int64_t now = now_ns();
	for (unsigned long c = 0; c < clients; c++) {
		struct client *one = &shared->client[c];
		uint64_t delivered = atomic_load(&one->delivered);
		bool lone = one->role == PINGER || (one->role == RECEIVER && opt.spread > 1);
		if (delivered != seen[c] || !since[c]) {
			seen[c] = delivered;
			since[c] = now;
		} else if (lone && now - since[c] > NUDGE_NS) {
			kill(one->pid, SIGUSR1);
			since[c] = now;
		}
		if (all && atomic_load(&one->state) < DONE)
			kill(one->pid, SIGUSR1);
	}
}

static void pass(int64_t until)
{
	for (int64_t now; (now = now_ns()) < until && !all_in(DONE, true); check_children(), nudge_waiting(false))
		nap(until - now < 50000000 ? until - now : 50000000);
}

static int64_t switch_cpu_ns(void)
{
	clockid_t clock;
	struct timespec t;
	if (!opt.switch_pid)
		return 0;
	if (clock_getcpuclockid(opt.switch_pid, &clock) || clock_gettime(clock, &t))
		fail("no process clock of pid %lu", opt.switch_pid);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void switch_ticks(unsigned long *user, unsigned long *kernel)
{
	char path[64], line[1024], *at;
	*user = *kernel = 0;
	snprintf(path, sizeof path, "/proc/%lu/stat", opt.switch_pid);
	FILE *file = opt.switch_pid ? fopen(path, "r") : NULL;
	if (!file)
		return;
	/* proc(5): 14 utime, 15 stime; the second field is a name in brackets */
	if (fgets(line, sizeof line, file) && (at = strrchr(line, ')')))
		sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", user, kernel);
	fclose(file);
}

/* Resident memory of the switch now, all its ports and addresses in place. */
static unsigned long switch_rss_kib(void)
{
	char path[64];
	unsigned long pages = 0;
	snprintf(path, sizeof path, "/proc/%lu/statm", opt.switch_pid);
	FILE *file = opt.switch_pid ? fopen(path, "r") : NULL;
	if (!file)
		return 0;
	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (unsigned long)(sysconf(_SC_PAGESIZE) / 1024);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double quantile_us(double q)
{
	uint32_t n = shared->samples;
	return n ? shared->sample_ns[(uint32_t)(q * (n - 1))] / 1000.0 : 0;
}

static void start_clients(void)
{
	if (opt.mode == FLOOD) {
		for (unsigned long r = 0; r < opt.receivers; r++)
			add_client(RECEIVER, 0, 0, 0, 0);
		add_client(SENDER, 0, 0, 0, opt.receivers);
	} else {
		if (opt.mode == RTT) {
			add_client(ECHOER, FLOW_RTT, 0, 0, 0);
			add_client(PINGER, FLOW_RTT, 0, 0, 0);
		}
		for (unsigned long p = 0; p < opt.pairs; p++) {
			uint32_t receiver = clients;
			add_client(RECEIVER, p, 0, 0, 0);
			add_client(SENDER, p, receiver, receiver, 1);
		}
	}
	if (opt.idle)
		add_client(SILENT, ~0u, 0, 0, 0);
	set_phase(ANNOUNCE);
	for (int64_t end = now_ns() + SETUP_NS; !all_in(ANNOUNCED, false); check_children(), nap(200000))
		if (now_ns() > end)
			fail("%s: the switch does not take our frames", opt.url);
}

static void stop_clients(void)
{
	set_phase(STOP);
	for (int64_t end = now_ns() + SETUP_NS; !all_in(DONE, true); nap(1000000)) {
		nudge_waiting(false);
		if (now_ns() > end)
			fail("a sender is blocked: the switch no longer takes frames");
	}
	/* what is under way may arrive: until nothing more does */
	uint64_t delivered = ~0ull;
	while (delivered != sum_delivered(RECEIVER)) {
		delivered = sum_delivered(RECEIVER);
		nap(50000000);
	}
	set_phase(DRAIN);
	for (int64_t end = now_ns() + SETUP_NS; !all_in(DONE, false); nap(1000000)) {
		nudge_waiting(true);
		if (now_ns() > end)
			fail("a client does not end");
	}
	while (wait(NULL) > 0)
		;
}

static unsigned long number(const char *name, const char *text, unsigned long least, unsigned long most)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno || *end || !*text || value < least || value > most)
		fail("--%s %s: expected a number %lu…%lu", name, text, least, most);
	return value;
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
	    {"url", 1, NULL, 0},     {"mode", 1, NULL, 1},   {"pairs", 1, NULL, 2},      {"receivers", 1, NULL, 3},
	    {"size", 1, NULL, 4},    {"window", 1, NULL, 5}, {"seconds", 1, NULL, 6},    {"count", 1, NULL, 7},
	    {"warmup", 1, NULL, 8},  {"idle", 1, NULL, 9},   {"addresses", 1, NULL, 10}, {"spread", 1, NULL, 11},
	    {"stalled", 1, NULL, 12}, {"switch-pid", 1, NULL, 13}, {"direct", 0, NULL, 14}, {"receiver-url", 1, NULL, 15},
	    {NULL, 0, NULL, 0}};
	static const struct {
		unsigned long *value, least, most;
	} numbers[] = {[2] = {&opt.pairs, 0, 512},          [3] = {&opt.receivers, 1, 2048},
	               [4] = {&opt.size, OCTETS_MIN, OCTETS_MAX}, [5] = {&opt.window, 0, 1 << 20},
	               [7] = {&opt.count, 1, 1ul << 40},    [8] = {&opt.warmup_ms, 0, 60000},
	               [9] = {&opt.idle, 0, 4000},          [10] = {&opt.addresses, 1, 1 << 20},
	               [11] = {&opt.spread, 1, 2000},       [12] = {&opt.stalled, 0, 2048},
	               [13] = {&opt.switch_pid, 1, 1ul << 30}};
	int which, index;
	while ((which = getopt_long(argc, argv, "", names, &index)) != -1) {
		if (which == '?')
			exit(2);
		else if (which == 0)
			opt.url = optarg;
		else if (which == 1) {
			if (strcmp(optarg, "pairs") == 0)
				opt.mode = PAIRS;
			else if (strcmp(optarg, "flood") == 0)
				opt.mode = FLOOD;
			else if (strcmp(optarg, "rtt") == 0)
				opt.mode = RTT, opt.pairs = 0;
			else
				fail("--mode %s: expected pairs, flood or rtt", optarg);
		} else if (which == 15) {
			opt.receiver_url = optarg;
		} else if (which == 14) {
			opt.direct = true;
		} else if (which == 6) {
			char *end;
			opt.seconds = strtod(optarg, &end);
			if (*end || !(opt.seconds >= 0.05 && opt.seconds <= 600))
				fail("--seconds %s: expected a number 0.05…600", optarg);
		} else
			*numbers[which].value = number(names[index].name, optarg, numbers[which].least, numbers[which].most);
	}
	if (!opt.url || optind != argc)
		fail("usage: loadgen --url VNL [--mode pairs|flood|rtt] [--pairs N] [--receivers N] [--size OCTETS]\n"
		     "  [--window FRAMES (0: none)] [--seconds S] [--count FRAMES] [--warmup MS] [--idle PORTS]\n"
		     "  [--addresses N] [--spread PORTS] [--stalled RECEIVERS] [--switch-pid PID] [--direct] [--receiver-url VNL]");
	if (opt.window == 1)
		fail("--window 1: half of it must be a frame; expected 0 or 2 and more");
	if ((opt.addresses || opt.spread > 1) && opt.mode != PAIRS)
		fail("--addresses and --spread are for --mode pairs");
	if (opt.addresses && opt.spread > 1)
		fail("--addresses and --spread exclude each other");
	if (opt.mode == PAIRS && !opt.pairs)
		fail("--pairs 0: nothing to do");
}

int main(int argc, char **argv)
{
	setlinebuf(stdout);
	read_options(argc, argv);
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("shared memory: %s", strerror(errno));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_nudge}, NULL);
	alarm((unsigned)opt.seconds + opt.warmup_ms / 1000 + GRACE_S);

	start_clients();
	set_phase(RUN);
	if (!opt.count)
		pass(now_ns() + opt.warmup_ms * 1000000LL);
	unsigned long user0, kernel0, user1, kernel1;
	switch_ticks(&user0, &kernel0);
	uint64_t delivered0 = sum_delivered(RECEIVER), rounds0 = sum_delivered(PINGER);
	int64_t cpu0 = switch_cpu_ns(), begun = now_ns();
	shared->measuring = 1;
	pass(begun + (int64_t)(opt.seconds * 1e9));
	shared->measuring = 0;
	uint64_t delivered1 = sum_delivered(RECEIVER), rounds1 = sum_delivered(PINGER);
	int64_t cpu1 = switch_cpu_ns(), ended = now_ns();
	switch_ticks(&user1, &kernel1);
	unsigned long rss_kib = switch_rss_kib();
	stop_clients();

	uint64_t sent = 0, expected = 0, delivered = 0, stalls = 0, refused = 0, strays = 0, damaged = 0, misordered = 0;
	uint64_t rounds_lost = 0, stalled_delivered = 0;
	for (unsigned long c = 0; c < clients; c++) {
		struct client *one = &shared->client[c];
		if (one->role == SENDER) {
			sent += one->sent;
			expected += one->sent * (opt.mode == FLOOD ? opt.receivers : 1);
		} else if (one->role == RECEIVER) {
			delivered += one->delivered;
			stalled_delivered += one->stalled ? one->delivered : 0;
		}
		stalls += one->stalls;
		refused += one->refused;
		strays += one->strays;
		damaged += one->damaged;
		misordered += one->misordered;
		rounds_lost += one->lost_rounds;
	}
	qsort(shared->sample_ns, shared->samples, sizeof *shared->sample_ns, by_value);
	double seconds = (ended - begun) / 1e9;
	uint64_t crossings = delivered1 - delivered0 + 2 * (rounds1 - rounds0);
	printf("{\"seconds\": %.6f, \"sent\": %" PRIu64 ", \"expected\": %" PRIu64 ", \"delivered\": %" PRIu64
	       ", \"measured\": %" PRIu64 ", \"frames_per_s\": %.1f, \"stalled_delivered\": %" PRIu64
	       ", \"stalls\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"strays\": %" PRIu64 ", \"damaged\": %" PRIu64
	       ", \"misordered\": %" PRIu64 ", \"switch_cpu_ns\": %" PRId64 ", \"switch_cpu_ns_per_frame\": %.1f"
	       ", \"switch_user_ticks\": %lu, \"switch_kernel_ticks\": %lu, \"switch_rss_kib\": %lu"
	       ", \"rounds\": %" PRIu32 ", \"rounds_lost\": %" PRIu64
	       ", \"rtt_us\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f}}\n",
	       seconds, sent, expected, delivered, delivered1 - delivered0, (delivered1 - delivered0) / seconds,
	       stalled_delivered, stalls, refused, strays, damaged, misordered, cpu1 - cpu0,
	       crossings ? (double)(cpu1 - cpu0) / crossings : 0.0, user1 - user0, kernel1 - kernel0, rss_kib,
	       (uint32_t)shared->samples, rounds_lost, quantile_us(.5), quantile_us(.9), quantile_us(.99),
	       quantile_us(.999), quantile_us(1));
	return 0;
}
