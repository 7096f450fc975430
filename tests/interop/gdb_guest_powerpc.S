# A program for tests/interop/test_gdb_powerpc.py: counts for ever. Linked as a kernel is, which the BATs then map.
        .globl  _start, loop, bump, counter
        .text
_start: lis     3, 0xC000
        ori     3, 3, 0x1FFF            # 256 MiB, supervisor and user
        li      4, 2                    # from 0 on, read and write
        mtspr   528, 3                  # IBAT0U
        mtspr   529, 4                  # IBAT0L
        mtspr   536, 3                  # DBAT0U
        mtspr   537, 4                  # DBAT0L
        isync
        lis     5, mapped@h
        ori     5, 5, mapped@l
        mtspr   26, 5                   # SRR0
        li      6, 0x2030               # MSR: FP, IR, DR
        mtspr   27, 6                   # SRR1
        rfi
mapped: lis     9, two@ha
        lfd     1, two@l(9)
        lis     10, counter@ha
loop:   lwz     3, counter@l(10)
        bl      bump
        stw     3, counter@l(10)
        b       loop
bump:   addi    4, 3, 1
        mr      3, 4
        blr
        .data
        .align  3
two:    .double 2.0
counter: .long  0
