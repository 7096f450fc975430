/* CoreMark's port to bare machines with a 16550 and nothing else: `python -m tests.bench.cpu`.
 *
 * There is no clock in the guest, whose seconds would not be the host's: the benchmark looks at the serial line from
 * outside, at `begin` and `end`. So CoreMark itself says that a run without seconds is not a valid result; its CRCs are
 * what is checked. No floating point, one context, memory is static.
 */
#ifndef CORE_PORTME_H
#define CORE_PORTME_H

#define HAS_FLOAT 0
#define HAS_TIME_H 0
#define USE_CLOCK 0
#define HAS_STDIO 0
#define HAS_PRINTF 0
#define SEED_METHOD SEED_VOLATILE
#define MEM_METHOD MEM_STATIC
#define MULTITHREAD 1
#define MAIN_HAS_NOARGC 1
#define MAIN_HAS_NORETURN 1
#define PERFORMANCE_RUN 1
#define COMPILER_VERSION "GCC " __VERSION__
#define COMPILER_FLAGS FLAGS
#define MEM_LOCATION "STATIC"

typedef signed short ee_s16;
typedef unsigned short ee_u16;
typedef signed int ee_s32;
typedef unsigned char ee_u8;
typedef unsigned int ee_u32;
typedef unsigned long ee_ptr_int;
typedef __SIZE_TYPE__ ee_size_t;
typedef ee_u32 CORE_TICKS;
#ifndef NULL
#define NULL ((void *)0)
#endif

#define align_mem(x) (void *)(4 + (((ee_ptr_int)(x)-1) & ~3))

extern ee_u32 default_num_contexts;

typedef struct CORE_PORTABLE_S {
    ee_u8 portable_id;
} core_portable;

void portable_init(core_portable *port, int *argc, char *argv[]);
void portable_fini(core_portable *port);
int ee_printf(const char *format, ...);

#endif
