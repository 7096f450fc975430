/* See core_portme.h. A new machine needs its first instructions and its serial line here. */
#include <stdarg.h>
#include "coremark.h"

volatile ee_s32 seed1_volatile = 0;
volatile ee_s32 seed2_volatile = 0;
volatile ee_s32 seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS;
volatile ee_s32 seed5_volatile = 0;
ee_u32 default_num_contexts = 1;

#define LSR 5
#define LSR_THRE 0x20 /* NS16550A: the transmitter takes an octet */

#if defined(UMPS3)
/* uMPS3: terminal 0's transmitter; Debian's crtso.o has the first instructions. */
#define STATUS (*(volatile ee_u32 *)0x1000025c)
#define COMMAND (*(volatile ee_u32 *)0x10000260)
#define BUSY 3
#define TRANSMIT 2
static int ready(void) { return (STATUS & 0xff) != BUSY; }
static void put(ee_u8 octet) { COMMAND = (ee_u32)octet << 8 | TRANSMIT; }
#elif defined(__mips__)
#define SERIAL ((volatile ee_u8 *)0xb80003f8) /* Malta: PCI I/O window, COM1 */
static int ready(void) { return SERIAL[LSR] & LSR_THRE; }
static void put(ee_u8 octet) { *SERIAL = octet; }
__asm__(".globl __start\n"
        ".text\n"
        ".set noreorder\n"
        "__start: lui $sp, 0x8040\n"
        "        j main\n"
        "        nop\n"
        ".set reorder\n");
#elif defined(__i386__)
#define SERIAL 0x3f8 /* COM1 */
static int ready(void)
{
    ee_u8 status;
    __asm__ volatile("inb %w1, %0" : "=a"(status) : "Nd"(SERIAL + LSR));
    return status & LSR_THRE;
}
static void put(ee_u8 octet) { __asm__ volatile("outb %0, %w1" : : "a"(octet), "Nd"(SERIAL)); }
__asm__(".globl __start\n"
        ".text\n"
        "__start: mov $0x400000, %esp\n"
        "        call main\n");
#elif defined(__powerpc__)
/* A Power Macintosh, from its ROM: the mac-io chip (device 16) is put to 0x80800000, and channel A switched on. */
#define MAC_IO 0x80800000u
#define CONTROL ((volatile ee_u8 *)(MAC_IO + 0x13020))
#define DATA ((volatile ee_u8 *)(MAC_IO + 0x13030))
#define RR0_TX_EMPTY 0x04 /* Z85C30 */
static void little(ee_u32 address, ee_u32 value)
{
    __asm__ volatile("stwbrx %0, 0, %1; eieio" : : "r"(value), "r"(address) : "memory");
}
void open_serial(void)
{
    little(0xfec00000, 0x80008010), little(0xfee00000, MAC_IO); /* base */
    little(0xfec00000, 0x80008004), little(0xfee00000, 6);      /* command: memory, bus master */
    *CONTROL = 4, *CONTROL = 0x44;                              /* WR4: x16, one stop bit */
    *CONTROL = 14, *CONTROL = 0x01;                             /* WR14: no loopback, which a reset leaves on */
    *CONTROL = 5, *CONTROL = 0x68;                              /* WR5: transmit, 8 bits */
}
static int ready(void) { return *CONTROL & RR0_TX_EMPTY; }
static void put(ee_u8 octet) { *DATA = octet; }
__asm__(".section .text.unlikely.first,\"ax\"\n" /* first in the ROM: where a reset goes */
        ".globl __start\n"
        "__start: lis 1, 0x40\n"
        "        li 0, 0\n"
        "        stwu 0, -16(1)\n"
        "        bl open_serial\n"
        "        bl main\n"
        ".text\n");
#elif defined(__x86_64__)
/* The host's own processor: a program of Linux, whose serial line is its output. */
#define SYS_WRITE 1
static int ready(void) { return 1; }
static void put(ee_u8 octet)
{
    long result = SYS_WRITE;
    __asm__ volatile("syscall" : "+a"(result) : "D"(1), "S"(&octet), "d"(1) : "rcx", "r11", "memory");
}
__asm__(".globl __start\n"
        ".text\n"
        "__start: call main\n");
#else
#error a machine that is not known here
#endif

static void say(ee_u8 octet)
{
    while (!ready())
        ;
    put(octet);
}

static void say_text(const char *text)
{
    for (; *text; text++)
        say(*text);
}

static void say_number(unsigned long value, unsigned base, int width)
{
    char digits[24];
    int count = 0;
    do
        digits[count++] = "0123456789abcdef"[value % base];
    while (value /= base);
    while (count < width)
        digits[count++] = '0';
    while (count)
        say(digits[--count]);
}

/* %d, %u, %lu, %04x and %s: all that is asked for without floating point. */
int ee_printf(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        int width = 0, wide = 0;
        if (*format != '%') {
            say(*format);
            continue;
        }
        for (format++; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + *format - '0';
        for (; *format == 'l'; format++)
            wide = 1;
        if (*format == 's')
            say_text(va_arg(values, const char *));
        else {
            unsigned long value = wide ? va_arg(values, unsigned long) : va_arg(values, unsigned);
            say_number(value, *format == 'x' ? 16 : 10, width);
        }
    }
    va_end(values);
    return 0;
}

void start_time(void) { say_text("begin\n"); }
void stop_time(void) { say_text("end\n"); }
CORE_TICKS get_time(void) { return 0; }
secs_ret time_in_secs(CORE_TICKS ticks) { return ticks; }
void portable_init(core_portable *port, int *argc, char *argv[])
{
    (void)argc, (void)argv;
    port->portable_id = 1;
}

void portable_fini(core_portable *port)
{
    port->portable_id = 0;
    say_text("finished\n");
    for (;;)
        ;
}

/* GCC wants them even of programs without a library. */
void *memcpy(void *to, const void *from, ee_size_t octets)
{
    ee_u8 *at = to;
    const ee_u8 *source = from;
    while (octets--)
        *at++ = *source++;
    return to;
}

void *memset(void *to, int value, ee_size_t octets)
{
    ee_u8 *at = to;
    while (octets--)
        *at++ = value;
    return to;
}
