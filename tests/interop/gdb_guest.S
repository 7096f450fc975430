# A program for tests/interop/test_gdb.py: counts for ever, with branches whose delay slots do the work.
        .set    noreorder
        .globl  _start, loop, bump, counter
        .text
_start: mfc0    $t0, $12
        lui     $t1, 0x2000             # Status.CU1
        or      $t0, $t0, $t1
        mtc0    $t0, $12
        ehb
        lui     $t0, 0x3f80             # 1.0
        mtc1    $t0, $f2
        add.s   $f4, $f2, $f2
        lui     $s0, %hi(counter)
        addiu   $s0, $s0, %lo(counter)
loop:   lw      $t2, 0($s0)
        nop
        jal     bump
        move    $a0, $t2                # delay slot
        sw      $v0, 0($s0)
        b       loop
        nop
bump:   jr      $ra
        addiu   $v0, $a0, 1             # delay slot
        .data
counter: .word  0
