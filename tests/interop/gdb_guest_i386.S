# A program for tests/interop/test_gdb_i386.py: counts for ever. A multiboot kernel.
        .globl  _start, loop, bump, counter
        .text
        .align  4
        .long   0x1badb002, 0, -0x1badb002
_start: fninit
        fld1
        fadd    %st(0), %st(0)
        movl    $0x1234, %ebp
loop:   movl    counter, %eax
        pushl   %eax
        call    bump
        addl    $4, %esp
        movl    %eax, counter
        jmp     loop
bump:   movl    4(%esp), %eax
        incl    %eax
        ret
        .data
counter: .long  0
