# Real mode: interrupts, far transfers, stacks that wrap, segments with the limits of protected mode, and the ways
# between the modes. The lines are as those of frame.inc, but of 16 bits: vector, IP behind the case's start, flags.

.intel_syntax noprefix
.set LOAD, 0x100000
.set REAL, 0x1000           # the segment that everything is copied to

.code32
.text
.globl _start
_start:
    .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
    .long LOAD, LOAD, image_end, image_end, entry
.align 16
entry:
    cli
    mov esp, 0x8000
    mov esi, offset real
    mov edi, REAL << 4
    mov ecx, offset image_end - real
    cld
    rep movsb
    lgdt [REAL * 16 + gdt_pointer - real]
    ljmp 0x18, offset to_real - real

.code16
real:
to_real:
    mov ax, 0x20
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    ljmp REAL, offset 1f - real
1:  mov ax, cs
    mov ds, ax
    mov ss, ax
    mov esp, 0xf000
    xor ax, ax
    mov fs, ax
    mov gs, ax
    lidt [idt_pointer - real]
    # every vector tells itself
    mov es, ax
    xor di, di
    mov cx, 32
    mov ax, offset stubs - real
1:  stosw
    mov word ptr es:[di], REAL
    add di, 2
    add ax, 8
    loop 1b
    mov ax, cs
    mov es, ax
    mov al, 0xff            # no interrupts from outside
    out 0x21, al
    out 0xa1, al
    call cases
    mov si, offset text_end - real
    call print
    xor al, al
    out 0xf4, al
1:  hlt
    jmp 1b

print:
    lodsb
    test al, al
    jz 1f
    out 0xe9, al
    jmp print
1:  ret

print_hex:
    push cx
    mov cx, 8
1:  rol eax, 4
    push eax
    and al, 15
    add al, '0'
    cmp al, '9'
    jbe 2f
    add al, 'a' - '0' - 10
2:  out 0xe9, al
    pop eax
    loop 1b
    pop cx
    ret

.macro CASE text
    .pushsection .text, 1
88: .asciz "\text"
    .popsection
    mov word ptr cs:[resume - real], offset 77f - real
    mov word ptr cs:[start - real], offset 76f - real
    mov cs:[saved_sp - real], sp
    mov si, offset 88b - real
    call print
    mov eax, 0x5a5a5a5a
    mov ecx, eax
    mov edx, eax
76:
.endm

.macro END
    call nothing
77: mov sp, cs:[saved_sp - real]
.endm

nothing:
    push eax
    mov si, offset text_ok - real
    call print
    pop eax
    call print_hex
    mov al, 10
    out 0xe9, al
    ret

.align 8
stubs:
.set vector, 0
.rept 32
    .balign 8
    push vector
    jmp told
    .set vector, vector + 1
.endr

told:
    mov ax, cs
    mov ds, ax
    mov es, ax
    mov bp, sp
    cld
    mov si, offset text_v - real
    call print
    movzx eax, word ptr ss:[bp]
    call print_hex
    mov si, offset text_at - real
    call print
    movzx eax, word ptr ss:[bp + 2]
    sub ax, cs:[start - real]
    call print_hex
    mov si, offset text_f - real
    call print
    movzx eax, word ptr ss:[bp + 6]
    and ax, 0x7f00
    call print_hex
    mov al, 10
    out 0xe9, al
    mov ax, cs
    mov ss, ax
    mov sp, cs:[saved_sp - real]
    jmp word ptr cs:[resume - real]

cases:
    CASE "div by 0"
    xor cx, cx
    div cx
    END
    CASE "div too large"
    mov dx, 2
    mov ax, 0
    mov cx, 1
    div cx
    END
    CASE "aam 0"
    aam 0
    END
    CASE "into"
    mov al, 0x7f
    inc al
    into
    END
    CASE "into without overflow"
    xor eax, eax
    into
    END
    CASE "bound"
    mov ax, 7
    bound ax, [bounds - real]
    END
    CASE "bound within"
    mov eax, 3
    bound ax, [bounds - real]
    END
    CASE "ud2"
    ud2
    END
    CASE "int 1fh"
    int 0x1f
    END
    CASE "int3"
    int3
    END
    CASE "int clears if and tf"
    sti
    nop
    int 0x10
    END
    cli
    CASE "arpl"
    arpl ax, cx
    END
    CASE "lar"
    lar ax, cx
    END
    CASE "sldt"
    sldt ax
    END
    CASE "lldt"
    lldt ax
    END
    CASE "call far, retf"
    mov ax, sp
    lcall REAL, offset 1f - real
    sub ax, sp
    movzx eax, ax
    jmp 2f
1:  retf
2:  END
    CASE "retf 4"
    push 0x1111
    push 0x2222
    mov ax, sp
    lcall REAL, offset 1f - real
    sub ax, sp
    movzx eax, ax
    jmp 2f
1:  retf 4
2:  END
    CASE "32-bit call far"
    mov ax, sp
    data32 lcall REAL, offset 1f - real
1:  sub ax, sp
    movzx eax, ax
    END
    CASE "iret"
    mov ax, 0x0ed7
    push ax
    push cs
    push offset 1f - real
    iret
1:  pushf
    cld
    pop ax
    movzx eax, ax
    END
    CASE "iretd"
    push dword ptr 0x00243202
    push 0
    push cs
    push 0
    push offset 1f - real
    iretd
1:  pushfd
    push dword ptr 2
    popfd
    pop eax
    END
    CASE "popfd cannot set vm"
    push dword ptr 0x00020002
    popfd
    pushfd
    pop eax
    END
    CASE "popf and pushf: what stays"
    push 0x7002
    popf
    pushf
    pop ax
    movzx eax, ax
    push 2
    popf
    END
    CASE "push sp"
    mov ax, sp
    push sp
    pop cx
    sub ax, cx
    movzx eax, ax
    END
    CASE "pusha, popa"
    mov eax, 0x11112222
    pusha
    xor eax, eax
    popa
    END
    CASE "stack wraps at 64 KiB"
    mov word ptr [0xfffe], 0x1234
    mov sp, 0xfffe
    pop ax
    mov cx, sp
    mov sp, cs:[saved_sp - real]
    shl eax, 16
    mov ax, cx
    END
    CASE "enter and leave"
    mov bp, 0x1234
    enter 16, 0
    mov ax, bp
    sub ax, sp
    leave
    shl eax, 16
    mov ax, bp
    END
    CASE "32-bit addresses"
    mov ebx, offset word_here - real
    mov ecx, 2
    mov eax, [ebx + ecx * 2 - 4]
    END
    CASE "single step"
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf
    nop
    nop
    END
    CASE "single step over mov ss"
    mov cx, ss
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf
    mov ss, cx
    nop
    nop
    END
    CASE "lmsw to protected mode and back"
    mov ax, 1
    lmsw ax
    mov eax, cr0
    mov ecx, eax
    and al, 0xfe
    mov cr0, eax
    movzx eax, cl
    END
    CASE "unreal mode: 4 GiB from fs"
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    xor bx, bx
    mov fs, bx
    mov ebx, LOAD
    mov eax, fs:[ebx]
    END
    CASE "32-bit code in real mode"
    mov ax, 0x28
    mov word ptr [way_back - real], offset 1f - real
    mov eax, cr0
    or al, 1
    mov cr0, eax
    ljmp 0x28, offset code32 - real
1:  END
    CASE "sgdt"
    sgdt [scratch - real]
    mov eax, [scratch - real]
    and eax, 0xffff
    END
    CASE "smsw"
    xor eax, eax
    smsw ax
    and eax, 0xf
    END
    CASE "mov from cr0"
    mov eax, cr0
    and eax, 0x8001000f
    END
    CASE "rep movsb with cx"
    mov si, offset word_here - real
    mov di, offset scratch - real
    mov ecx, 0x10004
    rep movsb
    mov eax, [scratch - real]
    END
    CASE "les"
    les bx, [far_here - real]
    mov eax, es
    shl eax, 16
    mov ax, bx
    push cs
    pop es
    END
    ret

.code32
code32:
    mov eax, 0x12345678
    ljmp 0x18, offset code16_again - real
.code16
code16_again:
    mov ecx, cr0
    and cl, 0xfe
    mov cr0, ecx
    ljmp REAL, offset 1f - real
1:  jmp word ptr cs:[way_back - real]

.text 1
.align 8
gdt:
    .quad 0
    .quad 0x00cf93000000ffff    # 08: flat data
    .quad 0
    .quad 0x00009b010000ffff    # 18: code of 16 bits at REAL
    .quad 0x000093010000ffff    # 20: data of 16 bits at REAL
    .quad 0x00409b010000ffff    # 28: code of 32 bits at REAL
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
    .long REAL * 16 + gdt - real
idt_pointer: .word 0x3ff
    .long 0
resume: .word 0
start: .word 0
saved_sp: .word 0
way_back: .word 0
bounds: .word 1, 5
word_here: .long 0xcafebabe
far_here: .word 0x5678, 0x1234
scratch: .long 0, 0
text_ok: .asciz " ok eax="
text_v: .asciz " v="
text_at: .asciz " at="
text_f: .asciz " f="
text_end: .asciz "end\n"
image_end:
