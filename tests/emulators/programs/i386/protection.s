# Segments, gates, levels, tasks, virtual-8086 mode: what faults, how, and where.
.include "frame.inc"

.set TSS0, 0x28
.set TSS1, 0x30
.set LDT0, 0x38
.set CONFORMING, 0x40
.set GATE, 0x48
.set TASK, 0x50
.set CODE1, 0x58
.set DATA1, 0x60
.set ABSENT, 0x68
.set BLIND, 0x70
.set ABSENT_CODE, 0x78
.set GATE0, 0x80
.set READONLY, 0x88
.set SMALL, 0x90
.set LAST, 0x90

cases:
    # descriptors with addresses that only the linker knows
    mov eax, offset tss0
    mov edi, offset gdt + TSS0
    call set_base
    mov eax, offset tss1
    mov edi, offset gdt + TSS1
    call set_base
    mov eax, offset ldt
    mov edi, offset gdt + LDT0
    call set_base
    mov eax, offset gate_target
    mov [gdt + GATE], ax
    mov [gdt + GATE0], ax
    shr eax, 16
    mov [gdt + GATE + 6], ax
    mov [gdt + GATE0 + 6], ax
    mov dword ptr [tss0 + 4], offset stack_inner
    mov dword ptr [tss0 + 8], DATA0
    mov dword ptr [tss0 + 12], offset stack_inner1
    mov dword ptr [tss0 + 16], DATA1 | 1
    mov word ptr [tss0 + 0x66], 0x68
    mov dword ptr [tss0 + 0x68 + 0x3f8 / 8], 0xfffffffe

    CASE "ltr code"
    mov eax, CODE0
    ltr ax
    END
    CASE "ltr beyond"
    mov eax, LAST + 8
    ltr ax
    END
    CASE "ltr"
    mov eax, TSS0
    ltr ax
    movzx eax, byte ptr [gdt + TSS0 + 5]
    END
    CASE "ltr busy"
    mov eax, TSS0
    ltr ax
    END
    CASE "lldt of a tss"
    mov eax, TSS1
    lldt ax
    END
    CASE "lldt"
    mov eax, LDT0
    lldt ax
    sldt eax
    END
    CASE "es of the ldt"
    mov eax, 4
    mov es, ax
    mov eax, es:[offset ldt]
    END
    CASE "es beyond the ldt"
    mov eax, 0x0c
    mov es, ax
    END

    # Segment registers
    CASE "es beyond"
    mov eax, LAST + 8
    mov es, ax
    END
    CASE "es absent"
    mov eax, ABSENT
    mov es, ax
    END
    CASE "es code that cannot be read"
    mov eax, BLIND
    mov es, ax
    END
    CASE "es of a tss"
    mov eax, TSS1
    mov es, ax
    END
    CASE "es with rpl above dpl"
    mov eax, DATA0 | 3
    mov es, ax
    END
    CASE "es null, loaded"
    mov eax, 3
    mov es, ax
    mov eax, es
    END
    CASE "es read only"
    mov eax, READONLY
    mov es, ax
    mov eax, es:[offset gdt + 8]
    END
    CASE "accessed bit"
    mov eax, DATA1 | 1
    mov es, ax
    movzx eax, byte ptr [gdt + DATA1 + 5]
    END
    CASE "ss null"
    xor eax, eax
    mov ss, ax
    END
    CASE "ss absent"
    mov eax, ABSENT
    mov ss, ax
    END
    CASE "ss of another level"
    mov eax, DATA1
    mov ss, ax
    END
    CASE "ss read only"
    mov eax, READONLY
    mov ss, ax
    END
    CASE "mov to cs"
    .byte 0x8e, 0xc8
    END
    CASE "lds"
    lds eax, [far_null]
    mov ecx, ds
    mov edx, DATA0
    mov ds, dx
    mov eax, ecx
    END

    # JMP and CALL
    CASE "jmp null"
    ljmp 0, 0
    END
    CASE "jmp beyond"
    ljmp LAST + 8, 0
    END
    CASE "jmp to data"
    ljmp DATA0, 0
    END
    CASE "jmp to another level"
    ljmp CODE3, 0
    END
    CASE "jmp to absent code"
    ljmp ABSENT_CODE, 0
    END
    CASE "jmp to conforming code"
    ljmp CONFORMING, offset 1f
1:  mov eax, cs
    ljmp CODE0, offset 2f
2:  END
    CASE "jmp through a gate"
    mov eax, offset 1f
    ljmp GATE0, 0
1:  END
    CASE "jmp beyond the limit"
    ljmp SMALL, 0x12345
    END
    CASE "jmp to a busy tss"
    ljmp TSS0, 0
    END
    CASE "call and ret far"
    mov eax, esp
    lcall CODE0, offset 1f
    sub eax, esp
    jmp 2f
1:  retf
2:  END
    CASE "call far pushes"
    lcall CODE0, offset 1f
1:  mov eax, [esp + 4]
    add esp, 8
    END
    CASE "retf to an inner level"
    push CODE0
    push offset 1f
    retf
1:  END
    CASE "retf null"
    push 0
    push 0
    retf
    END
    CASE "retf to data"
    push DATA0
    push 0
    retf
    END
    CASE "retf to an outer level, ss null"
    push 0
    push offset stack3
    push CODE3
    push offset 1f
    retf
1:  END
    CASE "retf to level 3"
    push DATA3
    push offset stack3
    push CODE3
    push offset 1f
    retf
1:  int 0x80
    END
    CASE "iret to level 3"
    RING3
    int 0x80
    END

    # What level 3 may not
    .macro FORBIDDEN text, code:vararg
    CASE "\text"
    RING3
    \code
    int 0x80
    END
    .endm
    FORBIDDEN "3: hlt", hlt
    FORBIDDEN "3: cli", cli
    FORBIDDEN "3: sti", sti
    FORBIDDEN "3: clts", clts
    FORBIDDEN "3: invd", invd
    FORBIDDEN "3: wbinvd", wbinvd
    FORBIDDEN "3: invlpg", invlpg [eax]
    FORBIDDEN "3: mov from cr0", mov eax, cr0
    FORBIDDEN "3: mov to cr3", mov cr3, eax
    FORBIDDEN "3: mov from dr7", mov eax, dr7
    FORBIDDEN "3: lgdt", lgdt [gdt_pointer]
    FORBIDDEN "3: lidt", lidt [idt_pointer]
    FORBIDDEN "3: lldt", lldt ax
    FORBIDDEN "3: ltr", ltr ax
    FORBIDDEN "3: lmsw", lmsw ax
    FORBIDDEN "3: rdmsr", rdmsr
    FORBIDDEN "3: wrmsr", wrmsr
    FORBIDDEN "3: rsm", rsm
    FORBIDDEN "3: smsw", smsw ax
    FORBIDDEN "3: int 20h", int 0x20
    FORBIDDEN "3: int3", int3
    FORBIDDEN "3: ud2", ud2
    FORBIDDEN "3: in 60h", in al, 0x60
    FORBIDDEN "3: out 80h", out 0x80, al
    CASE "3: into"
    RING3
    mov al, 0x7f
    add al, 1
    into
    int 0x80
    END
    CASE "3: bound"
    RING3
    mov eax, 7
    bound eax, [bounds]
    int 0x80
    END
    CASE "3: div"
    RING3
    xor ecx, ecx
    div ecx
    int 0x80
    END
    CASE "3: in 3f8h is allowed by the map"
    RING3
    mov edx, 0x3f8
    in al, dx
    int 0x80
    END
    CASE "3: in 3f9h is not"
    RING3
    mov edx, 0x3f9
    in al, dx
    int 0x80
    END
    CASE "3: in of two ports"
    RING3
    mov edx, 0x3f8
    in ax, dx
    int 0x80
    END
    CASE "3: port beyond the map"
    RING3
    mov edx, 0xffff
    in al, dx
    int 0x80
    END
    CASE "3: es of level 0"
    RING3
    mov eax, DATA0
    mov es, ax
    int 0x80
    END
    CASE "3: jmp to level 0"
    RING3
    ljmp CODE0, 0
    END
    CASE "3: jmp to conforming code"
    RING3
    ljmp CONFORMING | 3, offset 1f
1:  int 0x80
    END
    CASE "3: call a gate of level 0"
    RING3
    lcall GATE0, 0
    END
    CASE "3: popf changes neither iopl nor if"
    RING3
    push 0x3202
    popfd
    pushfd
    pop eax
    int 0x80
    END
    CASE "3: retf to level 0"
    RING3
    push CODE0
    push 0
    retf
    END
    CASE "3: iret to level 0"
    RING3
    pushfd
    push CODE0
    push 0
    iretd
    END
    CASE "3: call gate"
    RING3
    push 0x11111111
    push 0x22222222
    mov eax, offset 1f
    lcall GATE, 0
1:  int 0x80
    END
    # What LAR, LSL, VERR, VERW and ARPL say
    .macro ASK text, instruction, selector
    CASE "\text"
    mov ecx, \selector
    \instruction eax, ecx
    jz 1f
    mov eax, 0xbad
1:  END
    .endm
    ASK "lar code", lar, CODE0
    ASK "lar gate", lar, GATE
    ASK "lar task gate", lar, TASK
    ASK "lar tss", lar, TSS1
    ASK "lar ldt", lar, LDT0
    ASK "lar null", lar, 0
    ASK "lar beyond", lar, LAST + 8
    ASK "lar rpl above dpl", lar, DATA0 | 3
    ASK "lsl code", lsl, CODE0
    ASK "lsl small", lsl, SMALL
    ASK "lsl gate", lsl, GATE
    ASK "lsl tss", lsl, TSS1
    .macro VERIFY text, instruction, selector
    CASE "\text"
    mov ecx, \selector
    \instruction cx
    setz al
    END
    .endm
    VERIFY "verr code", verr, CODE0
    VERIFY "verr blind code", verr, BLIND
    VERIFY "verr tss", verr, TSS1
    VERIFY "verw data", verw, DATA0
    VERIFY "verw read only", verw, READONLY
    VERIFY "verw code", verw, CODE0
    CASE "arpl raises"
    mov eax, 0x10
    mov ecx, 3
    arpl ax, cx
    END
    CASE "arpl leaves"
    mov eax, 0x13
    mov ecx, 1
    arpl ax, cx
    setz ah
    END

    # Control registers
    CASE "cr1"
    .byte 0x0f, 0x20, 0xc8
    END
    CASE "cr5"
    .byte 0x0f, 0x22, 0xe8
    END
    CASE "lmsw does not clear pe"
    xor eax, eax
    lmsw ax
    mov eax, cr0
    and eax, 0xf
    END
    CASE "clts"
    mov eax, cr0
    or eax, 8
    mov cr0, eax
    clts
    mov eax, cr0
    and eax, 8
    END
    CASE "sgdt"
    sgdt [scratch]
    mov eax, [scratch]
    and eax, 0xffff
    END

    # Bad gates
    .macro GATE_OF vector, low, high
    mov dword ptr [idt + \vector * 8], \low
    mov dword ptr [idt + \vector * 8 + 4], \high
    .endm
    GATE_OF 0x90, 0x00080000, 0x00000e00
    CASE "int: absent gate"
    int 0x90
    END
    GATE_OF 0x90, 0x00080000, 0x00008c00
    CASE "int: a call gate"
    int 0x90
    END
    GATE_OF 0x90, 0x00000000, 0x00008e00
    CASE "int: null code"
    int 0x90
    END
    GATE_OF 0x90, 0x00100000, 0x00008e00
    CASE "int: code is data"
    int 0x90
    END
    GATE_OF 0x90, 0x001b0000, 0x00008e00
    CASE "int: code of an outer level"
    int 0x90
    END
    GATE_OF 0x90, ABSENT_CODE << 16, 0x00008e00
    CASE "int: absent code"
    int 0x90
    END
    GATE_OF 0x90, TSS0 << 16, 0x00008500
    CASE "int: busy task"
    int 0x90
    END

    # A double fault: #NP's gate is absent too, in the delivery of #GP
    GATE_OF 13, 0x00080000, 0x00000e00
    CASE "double fault"
    mov eax, LAST + 8
    mov es, ax
    END
    mov eax, offset stubs + 13 * STUB
    mov [idt + 13 * 8], eax
    mov word ptr [idt + 13 * 8 + 2], CODE0
    mov [idt + 13 * 8 + 4], eax
    mov word ptr [idt + 13 * 8 + 4], 0x8e00

    # Tasks
    mov dword ptr [tss1 + 0x1c], 0
    mov dword ptr [tss1 + 0x20], offset task_entry
    mov dword ptr [tss1 + 0x24], 2
    mov dword ptr [tss1 + 0x38], offset stack_task
    mov dword ptr [tss1 + 0x48], DATA0
    mov dword ptr [tss1 + 0x4c], CODE0
    mov dword ptr [tss1 + 0x50], DATA0
    mov dword ptr [tss1 + 0x54], DATA0
    mov dword ptr [tss1 + 0x60], LDT0
    CASE "call a task, and its iret"
    lcall TASK, 0
    mov eax, [task_seen]
    END
    CASE "call it again"
    lcall TSS1, 0
    mov eax, [task_seen]
    END
    CASE "jmp to a task and back"
    mov dword ptr [task_way], 1
    ljmp TSS1, 0
    mov dword ptr [task_way], 0
    mov eax, [task_seen]
    END
    CASE "nt is clear in a task that was jumped to"
    mov eax, [task_flags]
    and eax, 0x7f00
    END
    CASE "iret with nt and no task"
    mov word ptr [tss0], 0
    pushfd
    or dword ptr [esp], 0x4000
    popfd
    iretd
    END
    GATE_OF 0x91, TASK << 16, 0x00008500
    mov word ptr [idt + 0x91 * 8 + 2], TSS1
    mov dword ptr [tss1 + 0x20], offset task_entry
    CASE "int to a task"
    int 0x91
    mov eax, [task_seen]
    END

    # Virtual-8086 mode: code at 8000H, stack below 8000H
    mov esi, offset v86_code
    mov edi, 0x8000
    mov ecx, offset v86_code_end - v86_code
    rep movsb
    .macro V86 text, code, flags
    CASE "\text"
    push 0x700
    push 0x600
    push 0x500
    push 0x400
    push 0x300
    push 0x1000
    push \flags | 0x20002
    push 0x800
    push offset \code - v86_code
    iretd
    END
    .endm
    V86 "v86: int 80h at iopl 3", v86_int, 0x3000
    V86 "v86: int 80h at iopl 0", v86_int, 0
    V86 "v86: int 20h at iopl 3", v86_int20, 0x3000
    V86 "v86: int3", v86_int3, 0
    V86 "v86: cli", v86_cli, 0
    V86 "v86: pushf", v86_pushf, 0
    V86 "v86: hlt", v86_hlt, 0x3000
    V86 "v86: lgdt", v86_lgdt, 0x3000
    V86 "v86: sldt", v86_sldt, 0x3000
    V86 "v86: lar", v86_lar, 0x3000
    V86 "v86: in 60h", v86_in, 0x3000
    V86 "v86: in 3f8h", v86_in3f8, 0x3000
    V86 "v86: mov cr0", v86_cr0, 0x3000
    V86 "v86: far jump, segments", v86_far, 0x3000
    V86 "v86: iret at iopl 3", v86_iret, 0x3000
    V86 "v86: popf keeps iopl", v86_popf, 0x3000

    # Single steps
    CASE "single step"
    pushfd
    or dword ptr [esp], 0x100
    popfd
    nop
    nop
    END
    CASE "instruction breakpoint"
    mov eax, offset 1f
    mov dr0, eax
    mov eax, 0x401
    mov dr7, eax
    nop
1:  nop
    END
    CASE "data breakpoint"
    mov eax, offset scratch
    mov dr0, eax
    mov eax, 0xd0401
    mov dr7, eax
    mov eax, [scratch]
    mov [scratch + 2], ax
    nop
    END
    xor eax, eax
    mov dr7, eax
    CASE "shadow of mov ss"
    mov ecx, ss
    pushfd
    or dword ptr [esp], 0x100
    popfd
    mov ss, cx
    nop
    nop
    END

    # Lock and lengths
    CASE "lock nop"
    .byte 0xf0, 0x90
    END
    CASE "lock add to a register"
    .byte 0xf0, 0x01, 0xc0
    END
    CASE "lock cmp"
    .byte 0xf0, 0x39, 0x00
    END
    CASE "fifteen octets"
    .rept 14
    .byte 0x66
    .endr
    nop
    xor eax, eax
    END
    CASE "sixteen octets"
    .rept 15
    .byte 0x66
    .endr
    nop
    END
    ret

set_base:
    mov [edi + 2], ax
    shr eax, 16
    mov [edi + 4], al
    mov [edi + 7], ah
    ret

gate_target:
    mov ecx, cs
    test eax, eax
    jz 1f
    cmp dword ptr [esp + 4], CODE3
    je 2f
    jmp eax
1:  iretd
2:  mov eax, [esp + 8]
    mov ecx, [esp + 12]
    retf 8

task_entry:
    pushfd
    pop dword ptr [task_flags]
    inc dword ptr [task_seen]
    mov eax, cr0
    clts
    cmp dword ptr [task_way], 1
    je 1f
    iretd
    jmp task_entry
1:  ljmp TSS0, 0
    jmp task_entry

.code16
v86_code:
v86_int: int 0x80
v86_int20: int 0x20
v86_int3: int3
v86_cli: cli
v86_pushf: pushf
v86_hlt: hlt
v86_lgdt: lgdt [0]
v86_sldt: sldt ax
v86_lar: lar eax, eax
v86_in: in al, 0x60
v86_in3f8:
    mov dx, 0x3f8
    in al, dx
    int 0x80
v86_cr0: mov eax, cr0
v86_far:
    mov ax, 0x1234
    mov ds, ax
    ljmp 0x700, offset 1f - v86_code + 0x1000
1:  mov ax, cs
    push ds
    int 0x80
v86_iret:
    pushf
    push 0x7f0
    push offset 1f - v86_code + 0x100
    iret
1:  int 0x80
v86_popf:
    push 0x0202
    popf
    int 0x80
v86_code_end:
.code32

.data
.align 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    # CODE0
    .quad 0x00cf92000000ffff    # DATA0
    .quad 0x00cffb000000ffff    # CODE3
    .quad 0x00cff2000000ffff    # DATA3
    .quad 0x00008900000000ff    # TSS0
    .quad 0x0000890000000067    # TSS1
    .quad 0x000082000000000f - 8 # LDT0
    .quad 0x00cf9f000000ffff    # CONFORMING
    .quad 0x0000ec0200080000    # GATE, two parameters
    .quad 0x0000e50000300000    # TASK
    .quad 0x00cfba000000ffff    # CODE1
    .quad 0x00cfb2000000ffff    # DATA1
    .quad 0x00cf12000000ffff    # ABSENT
    .quad 0x00cf99000000ffff    # BLIND
    .quad 0x00cf1a000000ffff    # ABSENT_CODE
    .quad 0x00008c0000080000    # GATE0
    .quad 0x00cf90000000ffff    # READONLY
    .quad 0x00009b000000ffff    # SMALL
gdt_end:
ldt:
    .quad 0x00cf92000000ffff
far_null: .long 0x12345678
    .word 0
bounds: .long 1, 5
.align 4
scratch: .long 0, 0
task_seen: .long 0
task_flags: .long 0
task_way: .long 0
image_end:

.bss
.align 4096
tss0: .space 0x100
tss1: .space 0x68
.space 0x1000
stack_inner:
.space 0x400
stack_inner1:
.space 0x400
stack_task:
bss_end:
