//! The instruction table of all MIPS processors here: the only place that knows encodings.
//!
//! A row: the engine's name · the manual's name · 32 bits, most significant first · who has it · how it is written.
//! In the bit string `0` and `1` are fixed, a letter is a field (see [`field`]), and `-` is a bit that the manual wants
//! to be zero and processors do not look at. The first row that matches and that the model has is the instruction.
//!
//! References: MIPS Architecture for Programmers, volume II-A (MD00086), where each instruction is a section under its
//! name; G. Kane, MIPS RISC Architecture, for [`R3K`]; uMPS3's principles of operation for [`UMPS`].

/// MIPS I.
pub const M1: u16 = 1;
/// Added by MIPS II.
pub const M2: u16 = 2;
/// Added by MIPS32 release 1.
pub const M32: u16 = 4;
/// Added by MIPS32 release 2.
pub const R2: u16 = 8;
/// Needs the floating-point unit.
pub const FP: u16 = 16;
/// Needs a TLB.
pub const TLB: u16 = 32;
/// The R3000's own.
pub const R3K: u16 = 64;
/// uMPS's own.
pub const UMPS: u16 = 128;

/// How the operands are written, in the assembler's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No operands.
    Bare,
    /// rd, rs, rt
    DST,
    /// rd, rt, sa
    DTA,
    /// rd, rt, rs
    DTS,
    /// rt, rs, signed immediate
    TSI,
    /// rt, rs, unsigned immediate
    TSU,
    /// rt, unsigned immediate
    TU,
    /// rs, rt
    ST,
    /// rd
    D,
    /// rs
    S,
    /// rt
    T,
    /// rd, rs (rd left out if 31)
    LinkDS,
    /// rd, rs
    DS,
    /// rd, rt
    DT,
    /// rs, rt, branch target
    STB,
    /// rs, branch target
    SB,
    /// jump target
    J,
    /// rt, offset(rs)
    Memory,
    /// operation, offset(rs)
    CacheOp,
    /// offset(rs)
    Address,
    /// rs, rt, code of 10 bits (left out if 0)
    Trap,
    /// rs, signed immediate
    SI,
    /// code of 20 bits (left out if 0)
    Code,
    /// code of 10 and of 10 bits (left out if 0)
    BreakCode,
    /// stype (left out if 0)
    Stype,
    /// rt, cp0 register rd, select
    Cp0,
    /// rt, rs, position, size − 1
    Extract,
    /// rt, rs, position, position + size − 1
    Insert,
    /// rt, hardware register rd
    Rdhwr,
    /// fd, fs, ft
    F3,
    /// fd, fs
    F2,
    /// cc, fs, ft; the condition is a part of the name
    Compare,
    /// fd, fr, fs, ft
    F4,
    /// rt, fs
    TF,
    /// rt, FPU control register fs
    TC,
    /// ft, offset(rs)
    FMemory,
    /// fd, rt(rs)
    FLoadIndexed,
    /// fs, rt(rs)
    FStoreIndexed,
    /// hint, rt(rs)
    PrefIndexed,
    /// cc (left out if 0), branch target
    CcB,
    /// rd, rs, cc
    DSCc,
    /// fd, fs, cc
    F2Cc,
    /// fd, fs, rt
    F2T,
    /// A coprocessor's operation: 25 bits.
    CopOp,
    /// coprocessor register rt, offset(rs)
    CopMemory,
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub insn: Insn,
    /// As in the manual; `cond` stands for a comparison's condition.
    pub name: &'static str,
    pub bits: &'static str,
    /// The bits that decide, and what they are.
    pub mask: u32,
    pub value: u32,
    /// A model has the instruction if it has all of these.
    pub needs: u16,
    pub format: Format,
}

/// Fields of an instruction word, by the letters of the bit strings.
pub mod field {
    /// `s`: rs, the first source or the base.
    #[inline(always)]
    pub const fn rs(word: u32) -> u8 {
        (word >> 21 & 31) as u8
    }
    /// `t`: rt, the second source, or ft.
    #[inline(always)]
    pub const fn rt(word: u32) -> u8 {
        (word >> 16 & 31) as u8
    }
    /// `d`: rd, the destination, or fs.
    #[inline(always)]
    pub const fn rd(word: u32) -> u8 {
        (word >> 11 & 31) as u8
    }
    /// `a`: sa, the shift's amount, or fd.
    #[inline(always)]
    pub const fn sa(word: u32) -> u8 {
        (word >> 6 & 31) as u8
    }
    /// `i`: the immediate, zero-extended.
    #[inline(always)]
    pub const fn unsigned(word: u32) -> u32 {
        word & 0xffff
    }
    /// `i`: the immediate, sign-extended.
    #[inline(always)]
    pub const fn signed(word: u32) -> u32 {
        word as i16 as u32
    }
    /// `i`: a branch's distance in octets from its delay slot.
    #[inline(always)]
    pub const fn branch(word: u32) -> u32 {
        signed(word) << 2
    }
    /// `j`: a jump's target, within 256 MiB.
    #[inline(always)]
    pub const fn jump(word: u32) -> u32 {
        (word & 0x03ff_ffff) << 2
    }
    /// `e`: a CP0 register's select.
    #[inline(always)]
    pub const fn select(word: u32) -> u8 {
        (word & 7) as u8
    }
    /// `n`: a condition's number, in comparisons.
    #[inline(always)]
    pub const fn cc_set(word: u32) -> u8 {
        (word >> 8 & 7) as u8
    }
    /// `n`: a condition's number, in branches and moves.
    #[inline(always)]
    pub const fn cc_test(word: u32) -> u8 {
        (word >> 18 & 7) as u8
    }
    /// `c`: the code of SYSCALL, BREAK and SDBBP.
    #[inline(always)]
    pub const fn code(word: u32) -> u32 {
        word >> 6 & 0xf_ffff
    }
}

const fn parsed(bits: &str) -> (u32, u32) {
    let octets = bits.as_bytes();
    let (mut mask, mut value, mut count, mut at) = (0u32, 0u32, 0, 0);
    while at < octets.len() {
        if octets[at] != b' ' {
            mask = mask << 1 | (octets[at] == b'0' || octets[at] == b'1') as u32;
            value = value << 1 | (octets[at] == b'1') as u32;
            count += 1;
        }
        at += 1;
    }
    assert!(count == 32, "a row of the instruction table has not 32 bits");
    (mask, value)
}

const fn row(insn: Insn, name: &'static str, bits: &'static str, needs: u16, format: Format) -> Row {
    let (mask, value) = parsed(bits);
    Row { insn, name, bits, mask, value, needs, format }
}

macro_rules! rows {
    ($($insn:ident $name:literal $bits:literal $needs:expr, $format:ident;)*) => {
        /// What an instruction does; as a number, its row in [`ROWS`]. The last ones are in no program.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Insn {
            $(#[doc = $name] $insn,)*
            /// No instruction of the model.
            Reserved,
            /// A place in a decoded page that is still to be decoded.
            Undecoded,
            /// The place behind a decoded page's last.
            PageEnd,
            /// Any instruction that only writes register 0.
            Nop,
        }

        /// The instruction table.
        pub static ROWS: &[Row] = &[$(row(Insn::$insn, $name, $bits, $needs, Format::$format)),*];
    };
}

rows! {
    // Shifts (SPECIAL 0…7). The three NOPs are shifts of register 0.
    Ssnop   "SSNOP"   "000000 00000 00000 00000 00001 000000"  M32, Bare;
    Ehb     "EHB"     "000000 00000 00000 00000 00011 000000"  R2, Bare;
    Sll     "SLL"     "000000 ----- ttttt ddddd aaaaa 000000"  M1, DTA;
    Movf    "MOVF"    "000000 sssss nnn-0 ddddd ----- 000001"  M32 | FP, DSCc;
    Movt    "MOVT"    "000000 sssss nnn-1 ddddd ----- 000001"  M32 | FP, DSCc;
    Rotr    "ROTR"    "000000 ----1 ttttt ddddd aaaaa 000010"  R2, DTA;
    Srl     "SRL"     "000000 ----- ttttt ddddd aaaaa 000010"  M1, DTA;
    Sra     "SRA"     "000000 ----- ttttt ddddd aaaaa 000011"  M1, DTA;
    Sllv    "SLLV"    "000000 sssss ttttt ddddd ----- 000100"  M1, DTS;
    Rotrv   "ROTRV"   "000000 sssss ttttt ddddd ----1 000110"  R2, DTS;
    Srlv    "SRLV"    "000000 sssss ttttt ddddd ----- 000110"  M1, DTS;
    Srav    "SRAV"    "000000 sssss ttttt ddddd ----- 000111"  M1, DTS;
    // Jumps by register, conditional moves, system calls (SPECIAL 8…15)
    JrHb    "JR.HB"   "000000 sssss ----- ----- 1---- 001000"  R2, S;
    Jr      "JR"      "000000 sssss ----- ----- ----- 001000"  M1, S;
    JalrHb  "JALR.HB" "000000 sssss ----- ddddd 1---- 001001"  R2, LinkDS;
    Jalr    "JALR"    "000000 sssss ----- ddddd ----- 001001"  M1, LinkDS;
    Movz    "MOVZ"    "000000 sssss ttttt ddddd ----- 001010"  M32, DST;
    Cas     "CAS"     "000000 sssss ttttt ddddd ----- 001011"  UMPS, DST;
    Movn    "MOVN"    "000000 sssss ttttt ddddd ----- 001011"  M32, DST;
    Syscall "SYSCALL" "000000 cccccccccccccccccccc 001100"     M1, Code;
    Break   "BREAK"   "000000 cccccccccccccccccccc 001101"     M1, BreakCode;
    Sync    "SYNC"    "000000 ----- ----- ----- aaaaa 001111"  M2, Stype;
    // HI and LO, multiplication, division (SPECIAL 16…27)
    Mfhi    "MFHI"    "000000 ----- ----- ddddd ----- 010000"  M1, D;
    Mthi    "MTHI"    "000000 sssss ----- ----- ----- 010001"  M1, S;
    Mflo    "MFLO"    "000000 ----- ----- ddddd ----- 010010"  M1, D;
    Mtlo    "MTLO"    "000000 sssss ----- ----- ----- 010011"  M1, S;
    Mult    "MULT"    "000000 sssss ttttt ----- ----- 011000"  M1, ST;
    Multu   "MULTU"   "000000 sssss ttttt ----- ----- 011001"  M1, ST;
    Div     "DIV"     "000000 sssss ttttt ----- ----- 011010"  M1, ST;
    Divu    "DIVU"    "000000 sssss ttttt ----- ----- 011011"  M1, ST;
    // Arithmetic and logic (SPECIAL 32…43)
    Add     "ADD"     "000000 sssss ttttt ddddd ----- 100000"  M1, DST;
    Addu    "ADDU"    "000000 sssss ttttt ddddd ----- 100001"  M1, DST;
    Sub     "SUB"     "000000 sssss ttttt ddddd ----- 100010"  M1, DST;
    Subu    "SUBU"    "000000 sssss ttttt ddddd ----- 100011"  M1, DST;
    And     "AND"     "000000 sssss ttttt ddddd ----- 100100"  M1, DST;
    Or      "OR"      "000000 sssss ttttt ddddd ----- 100101"  M1, DST;
    Xor     "XOR"     "000000 sssss ttttt ddddd ----- 100110"  M1, DST;
    Nor     "NOR"     "000000 sssss ttttt ddddd ----- 100111"  M1, DST;
    Slt     "SLT"     "000000 sssss ttttt ddddd ----- 101010"  M1, DST;
    Sltu    "SLTU"    "000000 sssss ttttt ddddd ----- 101011"  M1, DST;
    // Conditional traps (SPECIAL 48…54)
    Tge     "TGE"     "000000 sssss ttttt cccccccccc 110000"   M2, Trap;
    Tgeu    "TGEU"    "000000 sssss ttttt cccccccccc 110001"   M2, Trap;
    Tlt     "TLT"     "000000 sssss ttttt cccccccccc 110010"   M2, Trap;
    Tltu    "TLTU"    "000000 sssss ttttt cccccccccc 110011"   M2, Trap;
    Teq     "TEQ"     "000000 sssss ttttt cccccccccc 110100"   M2, Trap;
    Tne     "TNE"     "000000 sssss ttttt cccccccccc 110110"   M2, Trap;
    // REGIMM
    Bltz    "BLTZ"    "000001 sssss 00000 iiiiiiiiiiiiiiii"    M1, SB;
    Bgez    "BGEZ"    "000001 sssss 00001 iiiiiiiiiiiiiiii"    M1, SB;
    Bltzl   "BLTZL"   "000001 sssss 00010 iiiiiiiiiiiiiiii"    M2, SB;
    Bgezl   "BGEZL"   "000001 sssss 00011 iiiiiiiiiiiiiiii"    M2, SB;
    Tgei    "TGEI"    "000001 sssss 01000 iiiiiiiiiiiiiiii"    M2, SI;
    Tgeiu   "TGEIU"   "000001 sssss 01001 iiiiiiiiiiiiiiii"    M2, SI;
    Tlti    "TLTI"    "000001 sssss 01010 iiiiiiiiiiiiiiii"    M2, SI;
    Tltiu   "TLTIU"   "000001 sssss 01011 iiiiiiiiiiiiiiii"    M2, SI;
    Teqi    "TEQI"    "000001 sssss 01100 iiiiiiiiiiiiiiii"    M2, SI;
    Tnei    "TNEI"    "000001 sssss 01110 iiiiiiiiiiiiiiii"    M2, SI;
    Bltzal  "BLTZAL"  "000001 sssss 10000 iiiiiiiiiiiiiiii"    M1, SB;
    Bgezal  "BGEZAL"  "000001 sssss 10001 iiiiiiiiiiiiiiii"    M1, SB;
    Bltzall "BLTZALL" "000001 sssss 10010 iiiiiiiiiiiiiiii"    M2, SB;
    Bgezall "BGEZALL" "000001 sssss 10011 iiiiiiiiiiiiiiii"    M2, SB;
    Synci   "SYNCI"   "000001 sssss 11111 iiiiiiiiiiiiiiii"    R2, Address;
    // Jumps and branches
    J       "J"       "000010 jjjjjjjjjjjjjjjjjjjjjjjjjj"      M1, J;
    Jal     "JAL"     "000011 jjjjjjjjjjjjjjjjjjjjjjjjjj"      M1, J;
    Beq     "BEQ"     "000100 sssss ttttt iiiiiiiiiiiiiiii"    M1, STB;
    Bne     "BNE"     "000101 sssss ttttt iiiiiiiiiiiiiiii"    M1, STB;
    Blez    "BLEZ"    "000110 sssss ----- iiiiiiiiiiiiiiii"    M1, SB;
    Bgtz    "BGTZ"    "000111 sssss ----- iiiiiiiiiiiiiiii"    M1, SB;
    Beql    "BEQL"    "010100 sssss ttttt iiiiiiiiiiiiiiii"    M2, STB;
    Bnel    "BNEL"    "010101 sssss ttttt iiiiiiiiiiiiiiii"    M2, STB;
    Blezl   "BLEZL"   "010110 sssss 00000 iiiiiiiiiiiiiiii"    M2, SB;
    Bgtzl   "BGTZL"   "010111 sssss 00000 iiiiiiiiiiiiiiii"    M2, SB;
    // Immediates
    Addi    "ADDI"    "001000 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSI;
    Addiu   "ADDIU"   "001001 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSI;
    Slti    "SLTI"    "001010 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSI;
    Sltiu   "SLTIU"   "001011 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSI;
    Andi    "ANDI"    "001100 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSU;
    Ori     "ORI"     "001101 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSU;
    Xori    "XORI"    "001110 sssss ttttt iiiiiiiiiiiiiiii"    M1, TSU;
    Lui     "LUI"     "001111 ----- ttttt iiiiiiiiiiiiiiii"    M1, TU;
    // COP0
    Mfc0    "MFC0"    "010000 00000 ttttt ddddd --------eee"   M1, Cp0;
    Mtc0    "MTC0"    "010000 00100 ttttt ddddd --------eee"   M1, Cp0;
    Rdpgpr  "RDPGPR"  "010000 01010 ttttt ddddd -----------"   R2, DT;
    Di      "DI"      "010000 01011 ttttt 01100 00000 000000"  R2, T;
    Ei      "EI"      "010000 01011 ttttt 01100 00000 100000"  R2, T;
    Wrpgpr  "WRPGPR"  "010000 01110 ttttt ddddd -----------"   R2, DT;
    Tlbr    "TLBR"    "010000 1 ------------------- 000001"    TLB, Bare;
    Tlbwi   "TLBWI"   "010000 1 ------------------- 000010"    TLB, Bare;
    Tlbwr   "TLBWR"   "010000 1 ------------------- 000110"    TLB, Bare;
    Tlbp    "TLBP"    "010000 1 ------------------- 001000"    TLB, Bare;
    Rfe     "RFE"     "010000 1 ------------------- 010000"    R3K, Bare;
    Eret    "ERET"    "010000 1 ------------------- 011000"    M32, Bare;
    Deret   "DERET"   "010000 1 ------------------- 011111"    M32, Bare;
    Wait    "WAIT"    "010000 1 ccccccccccccccccccc 100000"    M32, Bare;
    WaitU   "WAIT"    "010000 1 ------------------- 100000"    UMPS, Bare;
    Cop0    "COP0"    "010000 iiiiiiiiiiiiiiiiiiiiiiiiii"      M1, CopOp;
    // COP1: moves and branches
    Mfc1    "MFC1"    "010001 00000 ttttt ddddd -----------"   M1 | FP, TF;
    Cfc1    "CFC1"    "010001 00010 ttttt ddddd -----------"   M1 | FP, TC;
    Mfhc1   "MFHC1"   "010001 00011 ttttt ddddd -----------"   R2 | FP, TF;
    Mtc1    "MTC1"    "010001 00100 ttttt ddddd -----------"   M1 | FP, TF;
    Ctc1    "CTC1"    "010001 00110 ttttt ddddd -----------"   M1 | FP, TC;
    Mthc1   "MTHC1"   "010001 00111 ttttt ddddd -----------"   R2 | FP, TF;
    Bc1f    "BC1F"    "010001 01000 nnn00 iiiiiiiiiiiiiiii"    M1 | FP, CcB;
    Bc1t    "BC1T"    "010001 01000 nnn01 iiiiiiiiiiiiiiii"    M1 | FP, CcB;
    Bc1fl   "BC1FL"   "010001 01000 nnn10 iiiiiiiiiiiiiiii"    M2 | FP, CcB;
    Bc1tl   "BC1TL"   "010001 01000 nnn11 iiiiiiiiiiiiiiii"    M2 | FP, CcB;
    // COP1: single precision
    AddS    "ADD.S"   "010001 10000 ttttt ddddd aaaaa 000000"  M1 | FP, F3;
    SubS    "SUB.S"   "010001 10000 ttttt ddddd aaaaa 000001"  M1 | FP, F3;
    MulS    "MUL.S"   "010001 10000 ttttt ddddd aaaaa 000010"  M1 | FP, F3;
    DivS    "DIV.S"   "010001 10000 ttttt ddddd aaaaa 000011"  M1 | FP, F3;
    SqrtS   "SQRT.S"  "010001 10000 ----- ddddd aaaaa 000100"  M2 | FP, F2;
    AbsS    "ABS.S"   "010001 10000 ----- ddddd aaaaa 000101"  M1 | FP, F2;
    MovS    "MOV.S"   "010001 10000 ----- ddddd aaaaa 000110"  M1 | FP, F2;
    NegS    "NEG.S"   "010001 10000 ----- ddddd aaaaa 000111"  M1 | FP, F2;
    RoundLS "ROUND.L.S" "010001 10000 ----- ddddd aaaaa 001000" R2 | FP, F2;
    TruncLS "TRUNC.L.S" "010001 10000 ----- ddddd aaaaa 001001" R2 | FP, F2;
    CeilLS  "CEIL.L.S"  "010001 10000 ----- ddddd aaaaa 001010" R2 | FP, F2;
    FloorLS "FLOOR.L.S" "010001 10000 ----- ddddd aaaaa 001011" R2 | FP, F2;
    RoundWS "ROUND.W.S" "010001 10000 ----- ddddd aaaaa 001100" M2 | FP, F2;
    TruncWS "TRUNC.W.S" "010001 10000 ----- ddddd aaaaa 001101" M2 | FP, F2;
    CeilWS  "CEIL.W.S"  "010001 10000 ----- ddddd aaaaa 001110" M2 | FP, F2;
    FloorWS "FLOOR.W.S" "010001 10000 ----- ddddd aaaaa 001111" M2 | FP, F2;
    MovfS   "MOVF.S"  "010001 10000 nnn-0 ddddd aaaaa 010001"  M32 | FP, F2Cc;
    MovtS   "MOVT.S"  "010001 10000 nnn-1 ddddd aaaaa 010001"  M32 | FP, F2Cc;
    MovzS   "MOVZ.S"  "010001 10000 ttttt ddddd aaaaa 010010"  M32 | FP, F2T;
    MovnS   "MOVN.S"  "010001 10000 ttttt ddddd aaaaa 010011"  M32 | FP, F2T;
    RecipS  "RECIP.S" "010001 10000 ----- ddddd aaaaa 010101"  R2 | FP, F2;
    RsqrtS  "RSQRT.S" "010001 10000 ----- ddddd aaaaa 010110"  R2 | FP, F2;
    CvtDS   "CVT.D.S" "010001 10000 ----- ddddd aaaaa 100001"  M1 | FP, F2;
    CvtWS   "CVT.W.S" "010001 10000 ----- ddddd aaaaa 100100"  M1 | FP, F2;
    CvtLS   "CVT.L.S" "010001 10000 ----- ddddd aaaaa 100101"  R2 | FP, F2;
    CS      "C.cond.S" "010001 10000 ttttt ddddd nnn-- 11cccc" M1 | FP, Compare;
    // COP1: double precision
    AddD    "ADD.D"   "010001 10001 ttttt ddddd aaaaa 000000"  M1 | FP, F3;
    SubD    "SUB.D"   "010001 10001 ttttt ddddd aaaaa 000001"  M1 | FP, F3;
    MulD    "MUL.D"   "010001 10001 ttttt ddddd aaaaa 000010"  M1 | FP, F3;
    DivD    "DIV.D"   "010001 10001 ttttt ddddd aaaaa 000011"  M1 | FP, F3;
    SqrtD   "SQRT.D"  "010001 10001 ----- ddddd aaaaa 000100"  M2 | FP, F2;
    AbsD    "ABS.D"   "010001 10001 ----- ddddd aaaaa 000101"  M1 | FP, F2;
    MovD    "MOV.D"   "010001 10001 ----- ddddd aaaaa 000110"  M1 | FP, F2;
    NegD    "NEG.D"   "010001 10001 ----- ddddd aaaaa 000111"  M1 | FP, F2;
    RoundLD "ROUND.L.D" "010001 10001 ----- ddddd aaaaa 001000" R2 | FP, F2;
    TruncLD "TRUNC.L.D" "010001 10001 ----- ddddd aaaaa 001001" R2 | FP, F2;
    CeilLD  "CEIL.L.D"  "010001 10001 ----- ddddd aaaaa 001010" R2 | FP, F2;
    FloorLD "FLOOR.L.D" "010001 10001 ----- ddddd aaaaa 001011" R2 | FP, F2;
    RoundWD "ROUND.W.D" "010001 10001 ----- ddddd aaaaa 001100" M2 | FP, F2;
    TruncWD "TRUNC.W.D" "010001 10001 ----- ddddd aaaaa 001101" M2 | FP, F2;
    CeilWD  "CEIL.W.D"  "010001 10001 ----- ddddd aaaaa 001110" M2 | FP, F2;
    FloorWD "FLOOR.W.D" "010001 10001 ----- ddddd aaaaa 001111" M2 | FP, F2;
    MovfD   "MOVF.D"  "010001 10001 nnn-0 ddddd aaaaa 010001"  M32 | FP, F2Cc;
    MovtD   "MOVT.D"  "010001 10001 nnn-1 ddddd aaaaa 010001"  M32 | FP, F2Cc;
    MovzD   "MOVZ.D"  "010001 10001 ttttt ddddd aaaaa 010010"  M32 | FP, F2T;
    MovnD   "MOVN.D"  "010001 10001 ttttt ddddd aaaaa 010011"  M32 | FP, F2T;
    RecipD  "RECIP.D" "010001 10001 ----- ddddd aaaaa 010101"  R2 | FP, F2;
    RsqrtD  "RSQRT.D" "010001 10001 ----- ddddd aaaaa 010110"  R2 | FP, F2;
    CvtSD   "CVT.S.D" "010001 10001 ----- ddddd aaaaa 100000"  M1 | FP, F2;
    CvtWD   "CVT.W.D" "010001 10001 ----- ddddd aaaaa 100100"  M1 | FP, F2;
    CvtLD   "CVT.L.D" "010001 10001 ----- ddddd aaaaa 100101"  R2 | FP, F2;
    CD      "C.cond.D" "010001 10001 ttttt ddddd nnn-- 11cccc" M1 | FP, Compare;
    // COP1: from integers
    CvtSW   "CVT.S.W" "010001 10100 ----- ddddd aaaaa 100000"  M1 | FP, F2;
    CvtDW   "CVT.D.W" "010001 10100 ----- ddddd aaaaa 100001"  M1 | FP, F2;
    CvtSL   "CVT.S.L" "010001 10101 ----- ddddd aaaaa 100000"  R2 | FP, F2;
    CvtDL   "CVT.D.L" "010001 10101 ----- ddddd aaaaa 100001"  R2 | FP, F2;
    Cop1    "COP1"    "010001 iiiiiiiiiiiiiiiiiiiiiiiiii"      M1, CopOp;
    // COP2: no model has one
    Cop2    "COP2"    "010010 iiiiiiiiiiiiiiiiiiiiiiiiii"      M1, CopOp;
    // COP1X
    Lwxc1   "LWXC1"   "010011 sssss ttttt ----- aaaaa 000000"  R2 | FP, FLoadIndexed;
    Ldxc1   "LDXC1"   "010011 sssss ttttt ----- aaaaa 000001"  R2 | FP, FLoadIndexed;
    Luxc1   "LUXC1"   "010011 sssss ttttt ----- aaaaa 000101"  R2 | FP, FLoadIndexed;
    Swxc1   "SWXC1"   "010011 sssss ttttt ddddd ----- 001000"  R2 | FP, FStoreIndexed;
    Sdxc1   "SDXC1"   "010011 sssss ttttt ddddd ----- 001001"  R2 | FP, FStoreIndexed;
    Suxc1   "SUXC1"   "010011 sssss ttttt ddddd ----- 001101"  R2 | FP, FStoreIndexed;
    Prefx   "PREFX"   "010011 sssss ttttt ddddd ----- 001111"  R2 | FP, PrefIndexed;
    MaddS   "MADD.S"  "010011 sssss ttttt ddddd aaaaa 100000"  R2 | FP, F4;
    MaddD   "MADD.D"  "010011 sssss ttttt ddddd aaaaa 100001"  R2 | FP, F4;
    MsubS   "MSUB.S"  "010011 sssss ttttt ddddd aaaaa 101000"  R2 | FP, F4;
    MsubD   "MSUB.D"  "010011 sssss ttttt ddddd aaaaa 101001"  R2 | FP, F4;
    NmaddS  "NMADD.S" "010011 sssss ttttt ddddd aaaaa 110000"  R2 | FP, F4;
    NmaddD  "NMADD.D" "010011 sssss ttttt ddddd aaaaa 110001"  R2 | FP, F4;
    NmsubS  "NMSUB.S" "010011 sssss ttttt ddddd aaaaa 111000"  R2 | FP, F4;
    NmsubD  "NMSUB.D" "010011 sssss ttttt ddddd aaaaa 111001"  R2 | FP, F4;
    Cop1x   "COP1X"   "010011 iiiiiiiiiiiiiiiiiiiiiiiiii"      M32, CopOp;
    Cop3    "COP3"    "010011 iiiiiiiiiiiiiiiiiiiiiiiiii"      R3K, CopOp;
    // SPECIAL2
    Madd    "MADD"    "011100 sssss ttttt ----- ----- 000000"  M32, ST;
    Maddu   "MADDU"   "011100 sssss ttttt ----- ----- 000001"  M32, ST;
    Mul     "MUL"     "011100 sssss ttttt ddddd ----- 000010"  M32, DST;
    Msub    "MSUB"    "011100 sssss ttttt ----- ----- 000100"  M32, ST;
    Msubu   "MSUBU"   "011100 sssss ttttt ----- ----- 000101"  M32, ST;
    Clz     "CLZ"     "011100 sssss ----- ddddd ----- 100000"  M32, DS;
    Clo     "CLO"     "011100 sssss ----- ddddd ----- 100001"  M32, DS;
    Sdbbp   "SDBBP"   "011100 cccccccccccccccccccc 111111"     M32, Code;
    // SPECIAL3
    Ext     "EXT"     "011111 sssss ttttt ddddd aaaaa 000000"  R2, Extract;
    Ins     "INS"     "011111 sssss ttttt ddddd aaaaa 000100"  R2, Insert;
    Wsbh    "WSBH"    "011111 ----- ttttt ddddd 00010 100000"  R2, DT;
    Seb     "SEB"     "011111 ----- ttttt ddddd 10000 100000"  R2, DT;
    Seh     "SEH"     "011111 ----- ttttt ddddd 11000 100000"  R2, DT;
    Rdhwr   "RDHWR"   "011111 ----- ttttt ddddd ----- 111011"  R2, Rdhwr;
    // Loads and stores
    Lb      "LB"      "100000 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lh      "LH"      "100001 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lwl     "LWL"     "100010 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lw      "LW"      "100011 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lbu     "LBU"     "100100 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lhu     "LHU"     "100101 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Lwr     "LWR"     "100110 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Sb      "SB"      "101000 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Sh      "SH"      "101001 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Swl     "SWL"     "101010 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Sw      "SW"      "101011 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Swr     "SWR"     "101110 sssss ttttt iiiiiiiiiiiiiiii"    M1, Memory;
    Cache   "CACHE"   "101111 sssss ttttt iiiiiiiiiiiiiiii"    M32, CacheOp;
    Ll      "LL"      "110000 sssss ttttt iiiiiiiiiiiiiiii"    M2, Memory;
    Lwc0    "LWC0"    "110000 sssss ttttt iiiiiiiiiiiiiiii"    R3K, CopMemory;
    Lwc1    "LWC1"    "110001 sssss ttttt iiiiiiiiiiiiiiii"    M1, FMemory;
    Lwc2    "LWC2"    "110010 sssss ttttt iiiiiiiiiiiiiiii"    M1, CopMemory;
    Pref    "PREF"    "110011 sssss ttttt iiiiiiiiiiiiiiii"    M32, CacheOp;
    Lwc3    "LWC3"    "110011 sssss ttttt iiiiiiiiiiiiiiii"    R3K, CopMemory;
    Ldc1    "LDC1"    "110101 sssss ttttt iiiiiiiiiiiiiiii"    M2, FMemory;
    Ldc2    "LDC2"    "110110 sssss ttttt iiiiiiiiiiiiiiii"    M2, CopMemory;
    Sc      "SC"      "111000 sssss ttttt iiiiiiiiiiiiiiii"    M2, Memory;
    Swc0    "SWC0"    "111000 sssss ttttt iiiiiiiiiiiiiiii"    R3K, CopMemory;
    Swc1    "SWC1"    "111001 sssss ttttt iiiiiiiiiiiiiiii"    M1, FMemory;
    Swc2    "SWC2"    "111010 sssss ttttt iiiiiiiiiiiiiiii"    M1, CopMemory;
    Swc3    "SWC3"    "111011 sssss ttttt iiiiiiiiiiiiiiii"    R3K, CopMemory;
    Sdc1    "SDC1"    "111101 sssss ttttt iiiiiiiiiiiiiiii"    M2, FMemory;
    Sdc2    "SDC2"    "111110 sssss ttttt iiiiiiiiiiiiiiii"    M2, CopMemory;
}

impl Insn {
    /// Its row; None for what is in no program.
    pub fn row(self) -> Option<&'static Row> {
        ROWS.get(self as usize)
    }
}

/// A model's instructions, arranged for finding them.
pub struct Decoder {
    /// By primary opcode, in the table's order.
    rows: [Vec<&'static Row>; 64],
}

impl Decoder {
    /// The instructions of a model that has all of `has`.
    pub fn new(has: u16) -> Self {
        let of = |opcode: u32| {
            ROWS.iter().filter(|row| row.value >> 26 == opcode && row.needs & !has == 0).collect::<Vec<_>>()
        };
        Decoder { rows: std::array::from_fn(|opcode| of(opcode as u32)) }
    }

    /// The instruction `word`; [`Insn::Reserved`] if it is none.
    pub fn decode(&self, word: u32) -> Insn {
        let rows = &self.rows[(word >> 26) as usize];
        rows.iter().find(|row| word & row.mask == row.value).map_or(Insn::Reserved, |row| row.insn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_reached() {
        for has in [M1 | R3K, M1 | R3K | UMPS | TLB, M1 | M2 | M32 | R2 | FP | TLB] {
            let decoder = Decoder::new(has);
            for row in ROWS.iter().filter(|row| row.needs & !has == 0) {
                let words = [row.value, row.value | !row.mask];
                assert!(words.iter().any(|&word| decoder.decode(word) == row.insn), "{}", row.name);
                assert_eq!(row.mask >> 26, 63, "{}", row.name);
            }
        }
    }

    #[test]
    fn an_instruction_as_a_number_is_its_row() {
        for (number, row) in ROWS.iter().enumerate() {
            assert_eq!(row.insn as usize, number);
        }
        assert!(Insn::Reserved.row().is_none());
    }
}
