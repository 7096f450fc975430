"""Numbers of Linux's system calls, of those that are served.

References, in Linux's arch/: mips/kernel/syscalls/syscall_o32.tbl, powerpc/kernel/syscalls/syscall.tbl,
x86/entry/syscalls/syscall_32.tbl.
"""

TABLE = """
# name             o32  ppc  i386
exit                 1    1    1
read                 3    3    3
write                4    4    4
open                 5    5    5
close                6    6    6
lseek               19   19   19
getpid              20   20   20
getuid              24   24   24
kill                37   37   37
brk                 45   45   45
getgid              47   47   47
geteuid             49   49   49
getegid             50   50   50
ioctl               54   54   54
getppid             64   64   64
getrlimit           76   76   76
gettimeofday        78   78   78
readlink            85   85   85
mmap                90   90    -
old_mmap             -    -   90
munmap              91   91   91
sigreturn            -    -  119
uname              122  122  122
modify_ldt           -    -  123
mprotect           125  125  125
_llseek            140  140  140
writev             146  146  146
sched_yield        162  158  158
prctl              192  171  172
rt_sigreturn       193  172  173
rt_sigaction       194  173  174
rt_sigprocmask     195  174  175
sigaltstack        206  185  186
ugetrlimit           -  190  191
mmap2              210  192  192
stat64             213  195  195
fstat64            215  197  197
getuid32             -    -  199
getgid32             -    -  200
geteuid32            -    -  201
getegid32            -    -  202
madvise            218  205  219
gettid             222  207  224
tkill              236  208  238
futex              238  221  240
set_thread_area    283    -  243
exit_group         246  234  252
set_tid_address    252  232  258
clock_gettime      263  246  265
tgkill             266  250  270
openat             288  286  295
fstatat64          293  291  300
readlinkat         298  296  305
faccessat          300  298  307
set_robust_list    309  300  311
prlimit64          338  325  340
getrandom          353  359  355
statx              366  383  383
rseq               367  387  386
clock_gettime64    403  403  403
"""


def numbers(abi: str, first: int = 0) -> dict[int, str]:
    """Names by number.

    Args:
        abi: the column.
        first: what the table's numbers are added to.
    """
    heading, *rows = TABLE.strip().splitlines()
    column = heading.split().index(abi) - 1
    cells = [row.split() for row in rows]
    return {first + int(row[column]): row[0] for row in cells if row[column] != "-"}
