/* The first sector of a disk whose BIOS puts pieces of it into memory and enters 32-bit code: `boot_disk.py`, which
 * writes the second sector, too:
 *
 *     0x7e00  entry 4, ESI 4, then pieces: first sector 4, sectors 4, address 4; the last has no sectors
 *
 * Each piece is read by INT 13h, AH = 42h, into 64 KiB at 0x10000 and copied from there with a 4 GiB limit in DS and ES.
 * The code is entered with the Linux boot protocol's flat segments (0x10, 0x18), interrupts off, and `go` on COM1.
 */
        .code16
        .globl start
start:  ljmp $0, $begin
begin:  cli
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov $0x7c00, %sp
        mov %dl, drive
        in $0x92, %al
        or $2, %al
        out %al, $0x92
        movw $1, packet + 2
        movw $0x7e0, packet + 6
        movl $1, packet + 8
        call read
        movw $0x1000, packet + 6
next:   mov piece, %bx
        mov 4(%bx), %eax
        test %eax, %eax
        jz enter
        mov $64, %ecx
        cmp %ecx, %eax
        jae 1f
        mov %eax, %ecx
1:      mov %cx, packet + 2
        mov (%bx), %edx
        mov %edx, packet + 8
        add %ecx, (%bx)
        sub %ecx, 4(%bx)
        mov %ecx, %edx
        shl $9, %edx
        mov 8(%bx), %edi
        add %edx, 8(%bx)
        mov %edx, count
        mov %edi, target
        call read
        cli
        lgdt gdt_register
        mov %cr0, %eax
        or $1, %al
        mov %eax, %cr0
        mov $0x18, %bx
        mov %bx, %ds
        mov %bx, %es
        and $0xfe, %al
        mov %eax, %cr0
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %es
        mov count, %ecx
        mov target, %edi
        shr $2, %ecx
        mov $0x10000, %esi
        cld
        addr32 rep movsl
        mov piece, %bx
        cmpl $0, 4(%bx)
        jne next
        addw $12, piece
        jmp next

enter:  mov $0x3fb, %dx
        mov $3, %al                     /* LCR: eight bits; zero, as after a reset, is five */
        out %al, %dx
        mov $words, %si
2:      mov $0x3fd, %dx
        in %dx, %al
        test $0x20, %al
        jz 2b
        mov $0x3f8, %dx
        lodsb
        out %al, %dx
        cmp $10, %al
        jne 2b
        cli
        lgdt gdt_register
        mov %cr0, %eax
        or $1, %al
        mov %eax, %cr0
        ljmp $0x10, $flat

read:   sti
        mov $packet, %si
        mov drive, %dl
        mov $0x42, %ah
        int $0x13
        jc .
        ret

        .code32
flat:   mov $0x18, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %fs
        mov %eax, %gs
        mov %eax, %ss
        mov $0x7c00, %esp
        mov 0x7e04, %esi
        xor %ebx, %ebx
        xor %ebp, %ebp
        xor %edi, %edi
        jmp *0x7e00

        .balign 8
gdt:    .quad 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_register:
        .word . - gdt - 1
        .long gdt
packet: .byte 16, 0
        .word 0, 0, 0
        .quad 0
piece:  .word 0x7e08
drive:  .byte 0
words:  .ascii "go\n"
        .balign 4
count:  .long 0
target: .long 0
        .org 510
        .word 0xaa55
