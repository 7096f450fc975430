/* Two processors that count, each in a function of its own. */

#include <umps/libumps.h>
#include <umps/types.h>

#define STACK_WORDS 256

volatile unsigned first_count, second_count;
static unsigned stack[STACK_WORDS];
static state_t second_state;

__attribute__((noinline)) void first_turn(unsigned so_far)
{
	first_count = so_far + 1;
}

__attribute__((noinline)) void second_turn(unsigned so_far)
{
	second_count = so_far + 1;
}

static void second(void)
{
	for (;;)
		second_turn(second_count);
}

int main(void)
{
	STST(&second_state);
	second_state.pc_epc = second_state.reg_t9 = (unsigned)second;
	second_state.reg_sp = (unsigned)&stack[STACK_WORDS];
	INITCPU(1, &second_state);
	for (;;)
		first_turn(first_count);
}
