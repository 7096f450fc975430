/* Runs static 32-bit programs on the host's processor, each until a signal stops it, and says in which state: gcc -O1.
 *
 *     traced ADDRESS OCTETS
 *
 * Paths come from descriptor 0, one a line. For each, descriptor 1 gets a struct stop and OCTETS octets of the program's
 * memory at ADDRESS (hexadecimal). A program ends with HLT, which user mode may not, so that it stops with SIGSEGV there;
 * an exception stops it earlier. What loops is stopped by SIGALRM after two seconds. A program that exits has signal 0.
 *
 * References: ptrace(2), <sys/user.h>; FXSAVE: Intel SDM volume 1, section 10.5.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct stop {
	unsigned signal, code;
	unsigned regs[10]; /* EAX ECX EDX EBX ESP EBP ESI EDI EIP EFLAGS */
	unsigned char fx[512];
};

static void run(const char *path, struct stop *stop, char *memory, size_t octets, off_t at)
{
	pid_t child = fork();
	if (child == 0) {
		alarm(2);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	int status;
	waitpid(child, &status, 0);
	if (!WIFSTOPPED(status)) {
		fprintf(stderr, "traced: %s does not start\n", path);
		exit(1);
	}
	ptrace(PTRACE_CONT, child, 0, 0);
	waitpid(child, &status, 0);
	if (!WIFSTOPPED(status))
		return;
	struct user_regs_struct regs;
	siginfo_t info;
	if (ptrace(PTRACE_GETREGS, child, 0, &regs) || ptrace(PTRACE_GETFPREGS, child, 0, stop->fx) ||
	    ptrace(PTRACE_GETSIGINFO, child, 0, &info)) {
		perror("traced: ptrace");
		exit(1);
	}
	stop->signal = (unsigned)info.si_signo;
	stop->code = (unsigned)info.si_code;
	unsigned values[10] = {regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp,
			       regs.rbp, regs.rsi, regs.rdi, regs.rip, regs.eflags};
	memcpy(stop->regs, values, sizeof values);
	char name[64];
	snprintf(name, sizeof name, "/proc/%d/mem", child);
	int file = open(name, O_RDONLY);
	if (file < 0 || pread(file, memory, octets, at) != (ssize_t)octets) {
		fprintf(stderr, "traced: %s has no such memory\n", path);
		exit(1);
	}
	close(file);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

int main(int count, char **arguments)
{
	if (count != 3)
		return 2;
	off_t at = strtol(arguments[1], NULL, 16);
	size_t octets = strtoul(arguments[2], NULL, 10);
	char path[4096], *memory = malloc(octets);
	while (fgets(path, sizeof path, stdin)) {
		struct stop stop;
		path[strcspn(path, "\n")] = 0;
		memset(&stop, 0, sizeof stop);
		memset(memory, 0, octets);
		run(path, &stop, memory, octets, at);
		fwrite(&stop, sizeof stop, 1, stdout);
		fwrite(memory, octets, 1, stdout);
	}
	return 0;
}
