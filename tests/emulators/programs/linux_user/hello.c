/* A program for tests of tests/oracles/linux: what a C library does before main, and calls with bad arguments. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

static __thread int mine = 42;

static void try(const char *what, long result) {
    printf("%s %ld %d\n", what, result, result < 0 ? errno : 0);
}

int main(int argc, char **argv) {
    volatile double third = argc / 3.0;
    char *much = malloc(3000000);
    struct utsname name;
    struct iovec parts[2] = {{(void *)0xfffffff0u, 64}, {"x", 1}};
    memset(much, 'm', 3000000);
    printf("hello %s, %d, %.9f, %c, %d\n", argv[argc - 1], argc, third, much[2999999], mine);
    free(much);
    try("write to nowhere", write(1, (void *)8, 10));
    try("write of too much", write(1, argv, 0x7fffffff));
    try("write to the end", write(1, (void *)0xfffffff0u, 64));
    try("write to a closed one", write(9, "x", 1));
    try("writev from nowhere", writev(1, parts, 2));
    try("mmap of too much", mmap(0, 0x7f000000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
    try("uname", uname(&name));
    puts(name.machine);
    fflush(stdout);
    return 7;
}
