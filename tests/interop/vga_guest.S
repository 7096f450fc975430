# A multiboot kernel that performs a list of accesses to a display, tells the debug port so, and halts.
# The list is "script.inc": records of four 32-bit words, an operation and its arguments a, b, c.
#
#   0 end    1 out octet b to port a    2 store octet b at a    3 fill c octets from a with b
#   4 load a    5 for i < c: store (i xor i >> 8) + b at a + i    6 move c octets from a to b, up    7 in port a
#   8 out word b to port a

        .set    MAGIC, 0x1BADB002
        .text
        .long   MAGIC, 0, -MAGIC
        .globl  _start
_start:
        movl    $stack, %esp
        cld
        movl    $script, %ebp
next:
        movl    (%ebp), %ecx
        cmpl    $8, %ecx
        ja      done
        movl    4(%ebp), %edx
        movl    8(%ebp), %eax
        jmp     *operations(, %ecx, 4)

out8:   outb    %al, %dx
        jmp     behind
out16:  outw    %ax, %dx
        jmp     behind
in8:    inb     %dx, %al
        jmp     behind
store:  movb    %al, (%edx)
        jmp     behind
load:   movb    (%edx), %al
        jmp     behind
fill:   movl    %edx, %edi
        movl    12(%ebp), %ecx
        rep     stosb
        jmp     behind
move:   movl    %edx, %esi
        movl    %eax, %edi
        movl    12(%ebp), %ecx
        rep     movsb
        jmp     behind
ramp:   movl    %eax, %ebx
        xorl    %ecx, %ecx
1:      movl    %ecx, %eax
        shrl    $8, %eax
        xorl    %ecx, %eax
        addl    %ebx, %eax
        movb    %al, (%edx,%ecx)
        incl    %ecx
        cmpl    12(%ebp), %ecx
        jb      1b
behind:
        addl    $16, %ebp
        jmp     next
done:
        movb    $'D', %al
        outb    %al, $0xE9
        cli
1:      hlt
        jmp     1b

        .section .rodata
        .align  4
operations:
        .long   done, out8, store, fill, load, ramp, move, in8, out16
script:
        .include "script.inc"
        .long   0, 0, 0, 0

        .bss
        .align  16
        .skip   4096
stack:
