/*
 * What a student's kernel does with uMPS3's devices, in small: one disk, one flash drive, one printer, eight terminals,
 * the interval timer, by interrupts; then it halts.
 *
 * 1. Writes 4 blocks of a pattern to the disk, copies them to the flash drive, reads them back and compares.
 * 2. Echoes a line that is typed on each of eight terminals on the next terminal, all at once.
 * 3. Prints what it counted, interrupts of disk and flash and characters, and says so on terminal 0.
 *
 * The interrupt handler is entered by the execution ROM: state saved at 0x0FFFF000, our handler at 0x0FFFF908.
 */
#include "../umps_ping/umps.h"

#define BLOCK 4096
#define BLOCKS 4
#define LINES 8
#define TERMINALS 8

struct state {
    word entry_hi, cause, status, epc, registers[29], hi, lo;
};

void LDST(struct state *state);
unsigned setSTATUS(unsigned status);
void HALT(void);
void PANIC(void);

static octet written[BLOCK] __attribute__((aligned(4)));
static octet found[BLOCK] __attribute__((aligned(4)));
static volatile word results[LINES], interrupts[LINES], done[LINES];
static char lines[TERMINALS][16];
static volatile word typed[TERMINALS], shown[TERMINALS], finished;
static word stack[1024];

static void terminal_interrupt(int unit)
{
    volatile word *terminal = DEVICE(TERMINAL, unit);
    word status = terminal[RECV_STATUS];
    if ((status & 0xFF) == CHARACTER_DONE) {
        char character = status >> 8;
        lines[unit][typed[unit]++] = character;
        terminal[RECV_COMMAND] = character == '\n' || typed[unit] == sizeof lines[0] ? ACK : 2;
        if (character == '\n') {
            int next = (unit + 1) % TERMINALS;
            DEVICE(TERMINAL, next)[TRANSM_COMMAND] = (word)(octet)lines[unit][0] << 8 | 2;
            shown[next] = 1;
        }
    }
    status = terminal[TRANSM_STATUS];
    if ((status & 0xFF) == CHARACTER_DONE) {
        const char *text = lines[(unit + TERMINALS - 1) % TERMINALS];
        if (text[shown[unit] - 1] == '\n') {
            terminal[TRANSM_COMMAND] = ACK;
            finished++;
        } else {
            terminal[TRANSM_COMMAND] = (word)(octet)text[shown[unit]++] << 8 | 2;
        }
    }
}

static void handler(void)
{
    struct state *state = (struct state *)0x0FFFF000;
    word pending = state->cause >> 8 & 0xFF;
    int line, unit;

    if (state->cause & 0x7C)
        PANIC();
    if (pending & 1 << 2) {
        INTERVAL_TIMER = 1000 * TIME_SCALE;
        interrupts[2]++;
    }
    for (line = DISK; line <= TERMINAL; line++) {
        word units = INTERRUPTING(line);
        for (unit = 0; unit < 8; unit++) {
            if (!(units & 1 << unit))
                continue;
            interrupts[line]++;
            if (line == TERMINAL) {
                terminal_interrupt(unit);
            } else {
                results[line] = DEVICE(line, unit)[STATUS];
                done[line] = 1;
                DEVICE(line, unit)[COMMAND] = ACK;
            }
        }
    }
    LDST(state);
}

static void wait_for(int line)
{
    while (!done[line])
        asm volatile(".set push; .set mips32; wait; .set pop");
    done[line] = 0;
    if (results[line] != READY)
        PANIC();
}

static void do_command(int line, word code, void *address)
{
    DEVICE(line, 0)[DATA0] = (word)address;
    DEVICE(line, 0)[COMMAND] = code;
    wait_for(line);
}

static void print(const char *text)
{
    for (; *text; text++) {
        DEVICE(PRINTER, 0)[DATA0] = *text;
        DEVICE(PRINTER, 0)[COMMAND] = 2;
        wait_for(PRINTER);
    }
}

static void print_count(const char *name, word value)
{
    char digits[11];
    int at = 10;
    digits[10] = 0;
    do
        digits[--at] = '0' + value % 10;
    while (value /= 10);
    print(name);
    print(digits + at);
    print("\n");
}

static void copy_blocks(void)
{
    word block, at;
    for (block = 0; block < BLOCKS; block++) {
        for (at = 0; at < BLOCK; at++)
            written[at] = at * 7 + block;
        do_command(DISK, block << 8 | 2, written);
        do_command(DISK, 1 << 16 | block << 8 | 4, written);
    }
    for (block = 0; block < BLOCKS; block++) {
        do_command(DISK, block << 8 | 2, found);
        do_command(DISK, 1 << 16 | block << 8 | 3, found);
        do_command(FLASH, block << 8 | 3, found);
        for (at = 0; at < BLOCK; at++)
            found[at] = 0;
        do_command(FLASH, block << 8 | 2, found);
        for (at = 0; at < BLOCK; at++)
            if (found[at] != (octet)(at * 7 + block))
                PANIC();
    }
    print("blocks are the same\n");
}

int main(void)
{
    volatile word *handlers = (volatile word *)0x0FFFF900;
    word characters = 0;
    int unit;

    handlers[2] = (word)handler;
    handlers[3] = (word)(stack + 1024);
    INTERVAL_TIMER = 1000 * TIME_SCALE;
    setSTATUS(0x1000FC01 | 1 << 10);
    copy_blocks();
    for (unit = 0; unit < TERMINALS; unit++)
        DEVICE(TERMINAL, unit)[RECV_COMMAND] = 2;
    while (finished < TERMINALS)
        asm volatile(".set push; .set mips32; wait; .set pop");
    print_count("disk ", interrupts[DISK]);
    print_count("flash ", interrupts[FLASH]);
    for (unit = 0; unit < TERMINALS; unit++)
        characters += typed[unit];
    print_count("characters ", characters);
    print(interrupts[2] ? "the timer ticks\n" : "no timer\n");
    setSTATUS(0x10000000);
    say(0, "all done\n");
    return 0;
}
