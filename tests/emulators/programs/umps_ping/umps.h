/* What our programs for uMPS3 share: registers, memory moves, terminal 0. */
#ifndef UMPS_H
#define UMPS_H

typedef unsigned int word;
typedef unsigned char octet;

#define REGISTER(address) (*(volatile word *)(address))
#define TOD_LOW REGISTER(0x1000001C)
#define INTERVAL_TIMER REGISTER(0x10000020)
#define TIME_SCALE REGISTER(0x10000024)
#define INSTALLED(line) REGISTER(0x1000002C + ((line) - 3) * 4)
#define INTERRUPTING(line) REGISTER(0x10000040 + ((line) - 3) * 4)
#define POWER REGISTER(0x10000514)

/* STATUS, COMMAND, DATA0, DATA1 of a device. */
#define DEVICE(line, unit) ((volatile word *)(0x10000054 + (((line) - 3) * 8 + (unit)) * 16))
enum { STATUS, COMMAND, DATA0, DATA1 };
enum { RECV_STATUS, RECV_COMMAND, TRANSM_STATUS, TRANSM_COMMAND };
enum { DISK = 3, FLASH, ETHERNET, PRINTER, TERMINAL };
enum { READY = 1, BUSY = 3, CHARACTER_DONE = 5 };
enum { RESET, ACK };

static inline void put(int terminal, char character)
{
    volatile word *device = DEVICE(TERMINAL, terminal);
    device[TRANSM_COMMAND] = (word)(octet)character << 8 | 2;
    while ((device[TRANSM_STATUS] & 0xFF) == BUSY)
        ;
    device[TRANSM_COMMAND] = ACK;
}

static inline void say(int terminal, const char *text)
{
    while (*text)
        put(terminal, *text++);
}

/* Give a device a command and wait for its result. */
static inline word command(volatile word *device, word code)
{
    word status;
    device[COMMAND] = code;
    while ((device[STATUS] & 0x7F) == BUSY)
        ;
    status = device[STATUS] & 0x7F;
    device[COMMAND] = ACK;
    return status;
}

static inline void power_off(void)
{
    POWER = 0xFF;
    for (;;)
        ;
}

#endif
