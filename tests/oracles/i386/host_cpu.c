/* Runs single instructions on the host's processor, in 32-bit code: gcc -m32 -static -nostdlib -ffreestanding -O1.
 *
 * Reads cases (struct before) from descriptor 0 and writes what became of each (struct after) to descriptor 1.
 * A case's registers and FXSAVE image are loaded and its code, at CODE in a page of INT3, is jumped to; whatever signal
 * ends it brings the registers: SIGTRAP behind the instruction or where it branched to, or an exception's signal.
 *
 * Limits: what hangs (a jump to itself) ends by SIGALRM. Memory that is not mapped faults; only CODE, DATA and STACK are
 * at known places, so a case's operands belong there.
 * References: Intel SDM volume 1, §10.5 (FXSAVE); Linux's asm/sigcontext.h, struct sigcontext_32 and _fpstate_32.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { CODE = 0x10000000, DATA = 0x20000000, STACK = 0x30000000, PAGE = 4096, WINDOW = 512, MIDDLE = 0x800 };

struct before {
	u32 regs[8]; /* EAX ECX EDX EBX ESP EBP ESI EDI */
	u32 eflags;
	u32 length;
	u8 code[16];
	u8 fx[512] __attribute__((aligned(16)));
	u8 data[WINDOW]; /* at DATA + MIDDLE - WINDOW / 2 */
};

struct after {
	u32 regs[8];
	u32 eip, eflags, trap, error, cr2, signal;
	u8 fx[512];
	u8 data[WINDOW];
};

struct fpstate {
	u32 cw, sw, tag, ipoff, cssel, dataoff, datasel;
	u8 st[80];
	u16 status, magic;
	u8 fx[512];
};

struct sigcontext {
	u16 gs, gsh, fs, fsh, es, esh, ds, dsh;
	u32 edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip;
	u16 cs, csh;
	u32 eflags, esp_at_signal;
	u16 ss, ssh;
	struct fpstate *fp;
	u32 oldmask, cr2;
};

struct ucontext {
	u32 flags, link;
	u32 stack[3];
	struct sigcontext mc;
};

static struct before one __attribute__((aligned(16)));
static struct after end;
static u8 alternate[65536] __attribute__((aligned(16)));
u32 saved_esp;

extern void enter(struct before *);
extern void leave(void);
extern void back(void);

static long call(long nr, long a, long b, long c, long d, long e)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

void *memcpy(void *to, const void *from, unsigned n)
{
	u8 *t = to;
	const u8 *f = from;
	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, unsigned n)
{
	u8 *t = to;
	while (n--)
		*t++ = (u8)value;
	return to;
}

static void quit(int code)
{
	call(1, code, 0, 0, 0, 0);
	__builtin_unreachable();
}

static int all(int nr, int fd, void *buffer, unsigned n)
{
	u8 *at = buffer;
	while (n) {
		long got = call(nr, fd, (long)at, (long)n, 0, 0);
		if (got <= 0)
			return 0;
		at += got;
		n -= (unsigned)got;
	}
	return 1;
}

static void arrived(int number, void *info, struct ucontext *context)
{
	struct sigcontext *mc = &context->mc;
	(void)info;
	end.regs[0] = mc->eax;
	end.regs[1] = mc->ecx;
	end.regs[2] = mc->edx;
	end.regs[3] = mc->ebx;
	end.regs[4] = mc->esp;
	end.regs[5] = mc->ebp;
	end.regs[6] = mc->esi;
	end.regs[7] = mc->edi;
	end.eip = mc->eip;
	end.eflags = mc->eflags;
	end.trap = mc->trapno;
	end.error = mc->err;
	end.cr2 = mc->cr2;
	end.signal = (u32)number;
	memcpy(end.fx, mc->fp->fx, 512);
	mc->eip = (u32)&leave;
	mc->esp = saved_esp;
	mc->eflags = 0x202;
}

static void handle(int number)
{
	struct {
		void *handler;
		u32 flags;
		void *restorer;
		u64 mask;
	} action = {(void *)arrived, 0x4 | 0x04000000 | 0x08000000, (void *)back, 0}; /* SIGINFO RESTORER ONSTACK */
	call(174, number, (long)&action, 0, 8, 0);
}

static void map(u32 at, int protection)
{
	struct {
		u32 address, length, protection, flags, fd, offset;
	} what = {at, PAGE, (u32)protection, 0x32, (u32)-1, 0}; /* PRIVATE FIXED ANONYMOUS */
	if ((u32)call(90, (long)&what, 0, 0, 0, 0) != at)
		quit(2);
}

__attribute__((used)) static void go(void)
{
	static const u8 signals[] = {4, 5, 7, 8, 11, 14};
	struct {
		void *at;
		u32 flags, size;
	} stack = {alternate, 0, sizeof alternate};
	call(186, (long)&stack, 0, 0, 0, 0);
	for (unsigned i = 0; i < sizeof signals; i++)
		handle(signals[i]);
	map(CODE, 7);
	map(DATA, 3);
	map(STACK, 3);
	u8 *window = (u8 *)(DATA + MIDDLE - WINDOW / 2);
	while (all(3, 0, &one, sizeof one)) {
		memset((void *)CODE, 0xcc, PAGE);
		memcpy((void *)(CODE + MIDDLE), one.code, one.length);
		memset((void *)DATA, 0, PAGE);
		memcpy(window, one.data, WINDOW);
		memset(&end, 0, sizeof end);
		call(27, 2, 0, 0, 0, 0); /* alarm */
		enter(&one);
		call(27, 0, 0, 0, 0, 0); /* none while the pipe waits */
		memcpy(end.data, window, WINDOW);
		if (!all(4, 1, &end, sizeof end))
			quit(3);
	}
	quit(0);
}

__asm__(
	".globl _start\n_start: andl $-16, %esp\n call go\n"
	".globl back\nback: movl $173, %eax\n int $0x80\n"
	".globl enter\nenter: pushal\n movl %esp, saved_esp\n movl 36(%esp), %eax\n"
	" fxrstor 64(%eax)\n"
	" pushl 32(%eax)\n movl 4(%eax), %ecx\n movl 8(%eax), %edx\n movl 12(%eax), %ebx\n movl 20(%eax), %ebp\n"
	" movl 24(%eax), %esi\n movl 28(%eax), %edi\n popfl\n movl 16(%eax), %esp\n movl (%eax), %eax\n"
	" jmp 0x10000800\n"
	".globl leave\nleave: popal\n ret\n");
