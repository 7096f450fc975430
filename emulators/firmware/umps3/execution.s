# uMPS3's execution ROM, at 0: exceptions, four services, processors that are started.
#
#   0x000  TLB refill               0x100  a processor that was started
#   0x080  all other exceptions     0x108  panic
#
# Of the bus registers, two words are each processor's own: 0x40C says where its state is saved (35 words:
# EntryHi, Cause, Status, EPC, registers 1-25 and 28-31, HI, LO), 0x410 where its handlers are (refill: program counter,
# stack pointer; others: the same). Registers 26 and 27 belong to this ROM.
#
# BREAK in kernel mode with register 4 = 0: go on with stack pointer, Status and program counter in registers 5-7;
# 1: with the state that register 5 points to; 2: panic; 3: halt. All other exceptions, a BREAK in user mode or with
# another number too, are the kernel's.
#
# After a panic or a halt register 4 points to the end of what was written, and the processor is at `forever`.

        .set    noreorder
        .set    noat
        .text

base:   lui     $27, 0x1000             # TLB refill
        lw      $27, 0x410($27)         # its handler is the first
        b       save
        nop

        .org    0x080
        mfc0    $26, $13                # Cause
        lui     $27, 0x1000
        andi    $26, $26, 0x7C
        xori    $26, $26, 9 << 2        # breakpoint
        beq     $26, $0, service
        mfc0    $26, $14                # EPC
other:  lui     $27, 0x1000
        sltu    $26, $26, $27
        bne     $26, $0, panic          # this ROM's own fault
        lw      $27, 0x410($27)
        nop
        b       save
        addiu   $27, $27, 8             # its handler is the second

        .org    0x100
        b       secondary
        nop

        .org    0x108
panic:  b       say
        ori     $4, $0, panic_text - base

halt:   ori     $4, $0, halt_text - base

say:    lui     $7, 0x1000
wait:   lw      $6, 0x25C($7)           # terminal 0: transmitter's status
        ori     $8, $0, 3
        beq     $6, $8, wait            # busy
        lbu     $5, 0($4)
        nop
        beq     $5, $0, forever
        sll     $5, $5, 8
        ori     $5, $5, 2               # transmit
        sw      $5, 0x260($7)
        b       wait
        addiu   $4, $4, 1

forever:
        b       forever
        nop

# $26 = EPC, $27 = 0x10000000
service:
        nop                             # until EPC is there
        sltu    $27, $26, $27
        bne     $27, $0, panic
        mfc0    $27, $12                # Status
        nop
        andi    $27, $27, 8             # KUp: who did it?
        bne     $27, $0, other
        sltiu   $27, $4, 4
        beq     $27, $0, other
        nop
        beq     $4, $0, load_context
        addiu   $27, $4, -2
        beq     $27, $0, panic
        nop
        bgtz    $27, halt
        nop
        b       load                    # 1
        or      $26, $5, $0

load_context:
        srl     $27, $6, 2              # no interrupt and no user mode before the jump
        sll     $27, $27, 2
        mtc0    $27, $12
        or      $29, $5, $0
        or      $25, $7, $0
        jr      $7
        rfe

# A processor that was started: its own words, then the state whose address INITCPU left in its place for states.
secondary:
        mfc0    $8, $15                 # PRId: its number
        lui     $12, 0x0FFF
        ori     $12, $12, 0xF000
        sll     $9, $8, 7               # 140 octets each: 128 + 8 + 4
        sll     $10, $8, 3
        addu    $9, $9, $10
        sll     $10, $8, 2
        addu    $9, $9, $10
        addu    $9, $9, $12
        lui     $13, 0x1000
        sw      $9, 0x40C($13)
        sll     $10, $8, 4
        addu    $10, $10, $12
        addiu   $10, $10, 0x900
        sw      $10, 0x410($13)
        lw      $26, 0($9)
        nop
        b       load
        nop

# $27 = the handler's program counter and stack pointer
save:   lui     $26, 0x1000
        lw      $26, 0x40C($26)
        nop
        sw      $1, 16($26)
        sw      $2, 20($26)
        sw      $3, 24($26)
        sw      $4, 28($26)
        sw      $5, 32($26)
        sw      $6, 36($26)
        sw      $7, 40($26)
        sw      $8, 44($26)
        sw      $9, 48($26)
        sw      $10, 52($26)
        sw      $11, 56($26)
        sw      $12, 60($26)
        sw      $13, 64($26)
        sw      $14, 68($26)
        sw      $15, 72($26)
        sw      $16, 76($26)
        sw      $17, 80($26)
        sw      $18, 84($26)
        sw      $19, 88($26)
        sw      $20, 92($26)
        sw      $21, 96($26)
        sw      $22, 100($26)
        sw      $23, 104($26)
        sw      $24, 108($26)
        sw      $25, 112($26)
        sw      $28, 116($26)
        sw      $29, 120($26)
        sw      $30, 124($26)
        sw      $31, 128($26)
        mfhi    $1
        sw      $1, 132($26)
        mflo    $1
        sw      $1, 136($26)
        mfc0    $1, $10                 # EntryHi
        nop
        sw      $1, 0($26)
        mfc0    $1, $13                 # Cause
        nop
        sw      $1, 4($26)
        mfc0    $1, $12                 # Status
        nop
        sw      $1, 8($26)
        mfc0    $1, $14                 # EPC
        nop
        sw      $1, 12($26)
        lw      $1, 16($26)
        lw      $29, 4($27)
        lw      $27, 0($27)
        nop
        jr      $27
        nop

# $26 = the state. It may be anywhere: EntryHi and Status come last.
load:   lw      $27, 132($26)
        lw      $1, 16($26)
        mthi    $27
        lw      $27, 136($26)
        lw      $2, 20($26)
        mtlo    $27
        lw      $3, 24($26)
        lw      $4, 28($26)
        lw      $5, 32($26)
        lw      $6, 36($26)
        lw      $7, 40($26)
        lw      $8, 44($26)
        lw      $9, 48($26)
        lw      $10, 52($26)
        lw      $11, 56($26)
        lw      $12, 60($26)
        lw      $13, 64($26)
        lw      $14, 68($26)
        lw      $15, 72($26)
        lw      $16, 76($26)
        lw      $17, 80($26)
        lw      $18, 84($26)
        lw      $19, 88($26)
        lw      $20, 92($26)
        lw      $21, 96($26)
        lw      $22, 100($26)
        lw      $23, 104($26)
        lw      $24, 108($26)
        lw      $25, 112($26)
        lw      $28, 116($26)
        lw      $29, 120($26)
        lw      $30, 124($26)
        lw      $31, 128($26)
        lw      $27, 4($26)
        nop
        mtc0    $27, $13                # Cause
        lw      $27, 8($26)
        nop
        srl     $27, $27, 2             # no interrupt and no user mode before the jump
        sll     $27, $27, 2
        mtc0    $27, $12                # Status
        lw      $27, 0($26)
        lw      $26, 12($26)
        mtc0    $27, $10                # EntryHi
        jr      $26
        rfe

        .word   0                       # texts begin behind a zero
panic_text:
        .asciz  "kernel panic()\n"
halt_text:
        .asciz  "System halted \n"
        .balign 4
