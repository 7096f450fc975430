# Started by PearPC with its prom_loadfile: its RTL8139 sends a frame again and again, and once something has come in,
# that in its place. PearPC has the card's ports at 0x1800; translation is on, and maps this program alone: to 0x800000,
# where it has to be linked for the card to find what it finds. The card sends four octets more, the check sequence.
        .globl  _start
        .set    TSD0, 0x10
        .set    TSAD0, 0x20
        .set    RBSTART, 0x30
        .set    CR, 0x37
        .set    RCR, 0x44
_start: lis     3, 0xfe00               # a data BAT: 16 MiB of ports, 1:1, uncached
        ori     4, 3, 0x01fe
        mtspr   536, 4
        ori     4, 3, 0x002a
        mtspr   537, 4
        isync
        ori     4, 3, 0x1800
        li      7, 0x10                 # reset
        stb     7, CR(4)
        lis     5, ring@ha
        addi    5, 5, ring@l
        li      6, RBSTART
        stwbrx  5, 4, 6
        li      7, 0x0c                 # receiver and transmitter
        stb     7, CR(4)
        li      6, RCR
        li      7, 0x0f                 # take every frame
        stwbrx  7, 4, 6
        lis     9, frame@ha
        addi    9, 9, frame@l
again:  li      6, TSAD0
        stwbrx  9, 4, 6
        li      6, TSD0
        li      10, 60
        stwbrx  10, 4, 6                # goes out
        lis     11, 4
        mtctr   11
pause:  bdnz    pause
        lwz     12, 0(5)                # its status and length
        cmpwi   12, 0
        beq     again                   # nothing received
        addi    9, 5, 4
        b       again
frame:  .byte   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x07, 0x88, 0xb5
        .ascii  "from PearPC"
        .space  35
        .balign 16
ring:   .space  12288
