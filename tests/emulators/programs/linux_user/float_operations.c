/* Floating-point instructions over boundary operands, in every rounding mode and precision: one line a block.
 *
 *     float_operations CASES SEED                  name, mode, and a sum over the results and flags of CASES pairs
 *     float_operations CASES SEED NAME MODE        that block's pairs: operands, result, flags
 *
 * Operands are those that TestFloat chooses from: exponents at the edges of the formats and around 1, fractions of few
 * ones or zeros, of one random end, and random; of 80 bits the forms without an integer bit, too. Both operands of a
 * pair come from near one another half of the time, so that subtraction cancels.
 *
 * Modes: x87: RC * 3 + PC (24, 53, 64 bits); SSE: RC * 4 + FZ * 2 + DAZ. All exceptions are masked. The flags are the
 * whole status word, C1 (rounded up) included, or MXCSR's exception flags.
 *
 * Statically linked for 32 bits with SSE2; calls of Linux: write and exit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char u8;

static u8 a[16] __attribute__((aligned(16))), b[16] __attribute__((aligned(16))), r[32] __attribute__((aligned(16)));
static uint64_t state;

static uint64_t chance(void) /* xorshift64*: Vigna, 2016 */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned end)
{
	return (unsigned)(chance() >> 32) % end;
}

static uint64_t fraction(int bits)
{
	uint64_t all = bits == 64 ? ~0ull : (1ull << bits) - 1;
	int at = (int)below((unsigned)bits);
	switch (chance() & 7) {
	case 0:
		return 0;
	case 1:
		return 1ull << at;
	case 2:
		return all & ~(1ull << at);
	case 3:
		return all >> at;
	case 4:
		return all << at & all;
	case 5:
		return (chance() >> (64 - bits)) >> at;
	case 6:
		return (chance() >> (64 - bits)) << at & all;
	default:
		return chance() >> (64 - bits);
	}
}

/* Of `bits` bits, with `width` bits of fraction; `near`: another one's exponent, or -1. */
static unsigned exponent(unsigned bits, int width, int near)
{
	unsigned top = (1u << bits) - 1, bias = top >> 1;
	int offset = (int)below(7) - 3;
	if (near >= 0 && chance() & 1)
		return (unsigned)(near + (chance() & 1 ? offset : (int)below(141) - 70)) & top;
	switch (below(9)) {
	case 0:
		return chance() & 1 ? top : 0;
	case 1:
		return (unsigned)offset & top; /* 0 1 2, top … */
	case 2:
		return (bias + (unsigned)offset) & top;
	case 3:
		return (bias + (unsigned)(width + offset)) & top;
	case 4:
		return (bias - (unsigned)(width + offset)) & top;
	case 5: { /* the ends of smaller formats, and of integers */
		static const int ends[] = {-1022, -1074, 1023, -126, -149, 127, 15, 31, 63};
		return (bias + (unsigned)(ends[below(9)] + offset)) & top;
	}
	case 6:
		return (bias + below(129) - 64) & top;
	default:
		return (unsigned)chance() & top;
	}
}

static int number(u8 *to, int octets, int near)
{
	unsigned e;
	uint64_t sign = chance() & 1, bits;
	if (octets == 10) {
		e = exponent(15, 63, near);
		bits = fraction(63) | (e ? 1ull << 63 : 0);
		if (below(16) == 0)
			bits ^= 1ull << 63; /* pseudo-denormals, unnormals, pseudo-NaNs */
		uint16_t high = (uint16_t)(sign << 15 | e);
		memcpy(to, &bits, 8);
		memcpy(to + 8, &high, 2);
	} else if (octets == 8) {
		e = exponent(11, 52, near);
		bits = sign << 63 | (uint64_t)e << 52 | fraction(52);
		memcpy(to, &bits, 8);
	} else {
		e = exponent(8, 23, near);
		uint32_t word = (uint32_t)(sign << 31 | (uint64_t)e << 23 | fraction(23));
		memcpy(to, &word, 4);
	}
	return (int)e;
}

static void integer(u8 *to)
{
	uint64_t bits = fraction(64);
	memcpy(to, &bits, 8);
}

/* Each leaves its result in r and returns the flags. */

#define X87(name, code)                                                                                             \
	static unsigned name(void)                                                                                  \
	{                                                                                                           \
		uint16_t flags;                                                                                     \
		__asm__ volatile("fnclex\n\t" code "\n\tffree %%st(0)\n\tfincstp"                                   \
				 : "=a"(flags), "+m"(r), "+m"(a), "+m"(b));                                         \
		return flags;                                                                                       \
	}
#define TWO(name, code)                                                                                             \
	X87(x_##name, "fldt b\n\tfldt a\n\t" code "\n\tfnstsw %%ax\n\tfstpt r")
#define ONE(name, code) X87(x_##name, "fldt a\n\t" code "\n\tfnstsw %%ax\n\tfld %%st(0)\n\tfstpt r")
#define STORE(name, code) X87(x_##name, "fldt a\n\t" code "\n\tfnstsw %%ax")
#define STORE_POP(name, code) X87(x_##name, "fldz\n\tfldt a\n\t" code "\n\tfnstsw %%ax")
#define LOAD(name, code) X87(x_##name, code "\n\tfnstsw %%ax\n\tfld %%st(0)\n\tfstpt r")

TWO(fadd, "fadd %%st(1), %%st")
TWO(fsub, "fsub %%st(1), %%st")
TWO(fsubr, "fsubr %%st(1), %%st")
TWO(fmul, "fmul %%st(1), %%st")
TWO(fdiv, "fdiv %%st(1), %%st")
TWO(fdivr, "fdivr %%st(1), %%st")
TWO(fprem, "fprem")
TWO(fprem1, "fprem1")
TWO(fscale, "fscale")
TWO(fcom, "fcom %%st(1)")
TWO(fucom, "fucom %%st(1)")
ONE(fsqrt, "fsqrt")
ONE(frndint, "frndint")
ONE(fxam, "fxam")
ONE(ftst, "ftst")
X87(x_fxtract, "fldt a\n\tfxtract\n\tfnstsw %%ax\n\tfstpt r+16\n\tfld %%st(0)\n\tfstpt r")
STORE(fst_32, "fsts r")
STORE(fst_64, "fstl r")
STORE(fist_16, "fists r")
STORE(fist_32, "fistl r")
STORE_POP(fistp_64, "fistpll r")
STORE_POP(fbstp, "fbstp r")
LOAD(fld_32, "flds a")
LOAD(fld_64, "fldl a")
LOAD(fild_64, "fildll a")
LOAD(fadd_32, "fldt b\n\tfadds a")
LOAD(fmul_32, "fldt b\n\tfmuls a")
LOAD(fdiv_64, "fldt b\n\tfdivl a")
LOAD(fsubr_64, "fldt b\n\tfsubrl a")
LOAD(fcom_64, "fldt b\n\tfcoml a")
LOAD(fimul_32, "fldt b\n\tfimull a")
LOAD(fidivr_16, "fldt b\n\tfidivrs a")

#define SSE(name, code)                                                                                             \
	static unsigned s_##name(void)                                                                              \
	{                                                                                                           \
		unsigned flags;                                                                                     \
		__asm__ volatile(code : "+m"(r), "+m"(a), "+m"(b)::"eax", "xmm0", "xmm1");                          \
		__asm__ volatile("stmxcsr %0" : "=m"(flags));                                                       \
		return flags & 0x3f;                                                                                \
	}
#define SINGLE(name) SSE(name, "movss a, %%xmm0\n\t" #name " b, %%xmm0\n\tmovss %%xmm0, r")
#define DOUBLE(name) SSE(name, "movsd a, %%xmm0\n\t" #name " b, %%xmm0\n\tmovsd %%xmm0, r")
#define COMPARE(name, move) SSE(name, #move " a, %%xmm0\n\t" #name " b, %%xmm0\n\tpushfl\n\tpopl %%eax\n\tandl $0x45, %%eax\n\tmovl %%eax, r")
#define TO_INTEGER(name) SSE(name, #name " a, %%eax\n\tmovl %%eax, r")

SINGLE(addss)
SINGLE(subss)
SINGLE(mulss)
SINGLE(divss)
SINGLE(minss)
SINGLE(maxss)
SINGLE(sqrtss)
SINGLE(cmpltss)
SINGLE(cmpeqss)
DOUBLE(addsd)
DOUBLE(subsd)
DOUBLE(mulsd)
DOUBLE(divsd)
DOUBLE(minsd)
DOUBLE(maxsd)
DOUBLE(sqrtsd)
DOUBLE(cmplesd)
DOUBLE(cmpunordsd)
COMPARE(comiss, movss)
COMPARE(ucomiss, movss)
COMPARE(comisd, movsd)
COMPARE(ucomisd, movsd)
TO_INTEGER(cvtss2si)
TO_INTEGER(cvttss2si)
TO_INTEGER(cvtsd2si)
TO_INTEGER(cvttsd2si)
SSE(cvtsi2ss, "cvtsi2ssl a, %%xmm0\n\tmovss %%xmm0, r")
SSE(cvtsi2sd, "cvtsi2sdl a, %%xmm0\n\tmovsd %%xmm0, r")
SSE(cvtss2sd, "cvtss2sd a, %%xmm0\n\tmovsd %%xmm0, r")
SSE(cvtsd2ss, "cvtsd2ss a, %%xmm0\n\tmovss %%xmm0, r")

static const struct operation {
	const char *name;
	unsigned (*run)(void);
	int octets, other; /* of a and b; 0: an integer */
} operations[] = {
#define E(name) {#name, x_##name, 10, 10}
	E(fadd), E(fsub), E(fsubr), E(fmul), E(fdiv), E(fdivr), E(fprem), E(fprem1), E(fscale), E(fcom), E(fucom),
	E(fsqrt), E(frndint), E(fxam), E(ftst), E(fxtract), E(fst_32), E(fst_64), E(fist_16), E(fist_32), E(fistp_64),
	E(fbstp),
#define M(name, octets) {#name, x_##name, octets, 10}
	M(fld_32, 4), M(fld_64, 8), M(fild_64, 0), M(fadd_32, 4), M(fmul_32, 4), M(fdiv_64, 8), M(fsubr_64, 8),
	M(fcom_64, 8), M(fimul_32, 0), M(fidivr_16, 0),
#define S(name) {#name, s_##name, 4, 4}
	S(addss), S(subss), S(mulss), S(divss), S(minss), S(maxss), S(sqrtss), S(cmpltss), S(cmpeqss), S(comiss),
	S(ucomiss), S(cvtss2si), S(cvttss2si), S(cvtss2sd),
#define D(name) {#name, s_##name, 8, 8}
	D(addsd), D(subsd), D(mulsd), D(divsd), D(minsd), D(maxsd), D(sqrtsd), D(cmplesd), D(cmpunordsd), D(comisd),
	D(ucomisd), D(cvtsd2si), D(cvttsd2si), D(cvtsd2ss),
#define I(name) {#name, s_##name, 0, 0}
	I(cvtsi2ss), I(cvtsi2sd),
};

static void show(const u8 *octets, int count)
{
	while (count--)
		printf("%02x", octets[count]);
	putchar(' ');
}

static void block(const struct operation *one, unsigned mode, long cases, uint64_t seed, int dump)
{
	uint64_t sum = 0xcbf29ce484222325ull; /* FNV-1a, but by words of 32 bits */
	int sse = one->name[0] != 'f';
	static const unsigned precisions[] = {0, 2, 3};
	uint16_t control = (uint16_t)(0x3f | mode / 3 << 10 | precisions[mode % 3] << 8);
	unsigned mxcsr = 0x1f80 | mode / 4 << 13 | (mode >> 1 & 1) << 15 | (mode & 1) << 6;
	state = seed * 0x9e3779b97f4a7c15ull + mode + 1;
	for (const char *name = one->name; *name; name++)
		state = state * 31 + (u8)*name;
	while (cases--) {
		int near = -1;
		memset(r, 0, sizeof r);
		if (one->octets)
			near = number(a, one->octets, -1);
		else
			integer(a);
		if (one->other)
			number(b, one->other, one->other == one->octets ? near : -1);
		if (sse)
			__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
		else
			__asm__ volatile("fldcw %0" ::"m"(control));
		unsigned flags = one->run();
		for (unsigned n = 0; n < 32; n += 4) {
			uint32_t word;
			memcpy(&word, r + n, 4);
			sum = (sum ^ word) * 0x100000001b3ull;
		}
		sum = (sum ^ flags) * 0x100000001b3ull;
		if (dump) {
			show(a, one->octets ? one->octets : 8);
			show(b, one->other);
			show(r, 32);
			printf("%04x\n", flags);
		}
	}
	unsigned usual = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" ::"m"(usual));
	if (!dump)
		printf("%s %u %016llx\n", one->name, mode, (unsigned long long)sum);
}

int main(int count, char **arguments)
{
	if (count != 3 && count != 5)
		return 2;
	long cases = atol(arguments[1]);
	uint64_t seed = strtoull(arguments[2], NULL, 10);
	for (unsigned n = 0; n < sizeof operations / sizeof *operations; n++)
		for (unsigned mode = 0; mode < (operations[n].name[0] == 'f' ? 12 : 16); mode++)
			if (count == 3)
				block(&operations[n], mode, cases, seed, 0);
			else if (!strcmp(arguments[3], operations[n].name) && mode == (unsigned)atoi(arguments[4]))
				block(&operations[n], mode, cases, seed, 1);
	return 0;
}
