/* Processes that run at once and hold different values in all vector registers, VSCR and VRSAVE: each looks at its own
 * after it was interrupted many times. A line each, and one at the end.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 3, ROUNDS = 4, SPINS = 3000000, VRSAVE = 256 };

struct vectors {
    unsigned char v[32][16];
} __attribute__((aligned(16)));

#define EACH(of) \
    of(0) of(1) of(2) of(3) of(4) of(5) of(6) of(7) of(8) of(9) of(10) of(11) of(12) of(13) of(14) of(15) of(16) of(17) \
    of(18) of(19) of(20) of(21) of(22) of(23) of(24) of(25) of(26) of(27) of(28) of(29) of(30) of(31)
#define LOAD(n) "lvx " #n ",0,%[in]\n addi %[in],%[in],16\n"
#define STORE(n) "stvx " #n ",0,%[out]\n addi %[out],%[out],16\n"
#define CLOBBERED(n) "v" #n,

static unsigned long spin(const struct vectors *in, struct vectors *out, unsigned long save)
{
    unsigned long spins = SPINS, saved;

    __asm__ volatile("mtspr 256,%[save]\n" EACH(LOAD) "mtctr %[spins]\n1: bdnz 1b\n" EACH(STORE) "mfspr %[saved],256"
                     : [in] "+b"(in), [out] "+b"(out), [saved] "=r"(saved)
                     : [spins] "r"(spins), [save] "r"(save)
                     : EACH(CLOBBERED) "ctr", "memory");
    return saved;
}

static void set_status(unsigned int value)
{
    unsigned int words[4] __attribute__((aligned(16))) = {0, 0, 0, value};

    __asm__ volatile("lvx 0,0,%0\n mtvscr 0" : : "r"(words), "m"(words) : "v0");
}

static unsigned int status(void)
{
    unsigned int words[4] __attribute__((aligned(16)));

    __asm__ volatile("mfvscr 0\n stvx 0,0,%0" : : "r"(words) : "v0", "memory");
    return words[3];
}

static int hold(unsigned int process)
{
    static const unsigned int statuses[PROCESSES] = {0x00000001, 0x00010000, 0x00010001};
    static struct vectors before, after;

    set_status(statuses[process]);
    for (unsigned int round = 0; round < ROUNDS; round++) {
        unsigned long save = 0xffff0000ul + 16 * process + round;
        for (unsigned int n = 0; n < sizeof before; n++)
            ((unsigned char *)&before)[n] = (unsigned char)(n * 7 + process * 83 + round * 29);
        memset(&after, 0, sizeof after);
        if (spin(&before, &after, save) != save || memcmp(&before, &after, sizeof before) || status() != statuses[process])
            return 1;
        sched_yield();
    }
    return 0;
}

int main(void)
{
    int failed = 0;

    for (unsigned int process = 0; process < PROCESSES; process++) {
        if (fork() == 0) {
            struct rusage usage;
            int result = hold(process);
            getrusage(RUSAGE_SELF, &usage);
            printf("process %u: %s, %s\n", process, result ? "LOST" : "kept",
                   usage.ru_nivcsw > ROUNDS ? "interrupted" : "alone");
            fflush(stdout);
            _exit(result);
        }
    }
    for (int left = PROCESSES, how; left; left--)
        if (wait(&how) < 0 || how)
            failed = 1;
    printf("vectors: %s\n", failed ? "failed" : "passed");
    return failed;
}
