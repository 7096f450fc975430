//! The instruction table of the PowerPC processors here: the only place that knows encodings.
//!
//! A row: the engine's name · the manual's mnemonic · its form with the opcodes · who has it · how it is written. A form
//! says which bits decide, as the manual's instruction formats do (PEM §4.1, "Instruction formats"); where a form has an
//! OE or Rc bit, both of its values are the same row. The first row that matches and that the model has is it.
//!
//! References: Programming Environments Manual for 32-Bit Implementations of the PowerPC Architecture (MPCFPE32B, "PEM"
//! here), chapter 8, where each instruction is a section under its mnemonic; AltiVec Technology Programming
//! Environments Manual (ALTIVECPEM).

#[macro_use]
mod altivec;
mod format;

pub use format::Format;

/// All of them have it.
pub const BASE: u16 = 0;
/// The optional graphics group: stfiwx, fres, frsqrte, fsel.
pub const GRAPHICS: u16 = 1;
/// AltiVec, and what came with it.
pub const VECTOR: u16 = 2;

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub insn: Insn,
    /// As in the manual, without suffixes.
    pub name: &'static str,
    /// The bits that decide, and what they are.
    pub mask: u32,
    pub value: u32,
    /// A model has the instruction if it has all of these.
    pub needs: u16,
    pub format: Format,
    /// [`Row::rc`] asks for CR0 (or CR1, CR6).
    pub records: bool,
    /// Bit 21 asks for XER[OV] and XER[SO].
    pub overflows: bool,
}

impl Row {
    /// Rc, where the instruction has it.
    pub fn rc(&self) -> u32 {
        if self.format == Format::VCompare { 1 << 10 } else { 1 }
    }
}

/// Fields of an instruction word, by the manual's names.
pub mod field {
    macro_rules! fields {
        ($($name:ident $shift:literal $mask:literal $text:literal;)*) => {$(
            #[doc = $text]
            #[inline(always)]
            pub const fn $name(word: u32) -> u8 {
                (word >> $shift & $mask) as u8
            }
        )*};
    }
    fields! {
        d 21 31 "rD, rS, frD, BO, TO, crbD";
        a 16 31 "rA, frA, BI, crbA";
        b 11 31 "rB, frB, SH, NB, crbB";
        c 6 31 "frC, MB";
        me 1 31 "ME";
        crfd 23 7 "crfD";
        crfs 18 7 "crfS";
        crm 12 0xff "CRM";
        fm 17 0xff "FM";
        sr 16 15 "SR";
        imm 12 15 "IMM of mtfsfi";
    }
    /// The immediate, zero-extended.
    #[inline(always)]
    pub const fn uimm(word: u32) -> u32 {
        word & 0xffff
    }
    /// The immediate, or a displacement, sign-extended.
    #[inline(always)]
    pub const fn simm(word: u32) -> u32 {
        word as i16 as i32 as u32
    }
    /// LI, sign-extended, with two zeros behind it.
    #[inline(always)]
    pub const fn li(word: u32) -> u32 {
        ((word << 6) as i32 >> 6) as u32 & !3
    }
    /// BD, likewise.
    #[inline(always)]
    pub const fn bd(word: u32) -> u32 {
        simm(word) & !3
    }
    /// The number of a special-purpose or time base register: its halves are exchanged.
    #[inline(always)]
    pub const fn spr(word: u32) -> u16 {
        (word >> 16 & 31 | word >> 6 & 0x3e0) as u16
    }
    #[inline(always)]
    pub const fn rc(word: u32) -> bool {
        word & 1 != 0
    }
    #[inline(always)]
    pub const fn lk(word: u32) -> bool {
        word & 1 != 0
    }
    #[inline(always)]
    pub const fn aa(word: u32) -> bool {
        word & 2 != 0
    }
    #[inline(always)]
    pub const fn oe(word: u32) -> bool {
        word & 1 << 10 != 0
    }
}

/// What of a row its form gives.
struct Form {
    mask: u32,
    value: u32,
    records: bool,
    overflows: bool,
}

const fn form(mask: u32, value: u32) -> Form {
    Form { mask, value, records: false, overflows: false }
}

/// D, I, B and SC forms: the opcode alone.
const fn op(op: u32) -> Form {
    form(0xfc00_0000, op << 26)
}

/// D form with Rc's meaning built in: `addic.`, `andi.`, `andis.`.
const fn dot(form: Form) -> Form {
    Form { records: true, ..form }
}

/// M form.
const fn m(op: u32) -> Form {
    Form { records: true, ..form(0xfc00_0000, op << 26) }
}

/// X and XL forms without Rc.
const fn x(op: u32, xo: u32) -> Form {
    form(0xfc00_07ff, op << 26 | xo << 1)
}

/// XL form with LK.
const fn xl(op: u32, xo: u32) -> Form {
    form(0xfc00_07fe, op << 26 | xo << 1)
}

/// X form with Rc.
const fn xr(op: u32, xo: u32) -> Form {
    Form { records: true, ..form(0xfc00_07fe, op << 26 | xo << 1) }
}

/// X form whose Rc is 1.
const fn x1(op: u32, xo: u32) -> Form {
    form(0xfc00_07ff, op << 26 | xo << 1 | 1)
}

/// XO form, with OE and Rc.
const fn xo(xo: u32) -> Form {
    Form { mask: 0xfc00_03fe, value: 31 << 26 | xo << 1, records: true, overflows: true }
}

/// XO form without OE: bit 21 is reserved.
const fn xh(xo: u32) -> Form {
    Form { records: true, ..form(0xfc00_03fe, 31 << 26 | xo << 1) }
}

/// A form, with Rc.
const fn a(op: u32, xo: u32) -> Form {
    Form { records: true, ..form(0xfc00_003e, op << 26 | xo << 1) }
}

/// VX form.
const fn vx(xo: u32) -> Form {
    form(0xfc00_07ff, 4 << 26 | xo)
}

/// VXR form, with Rc.
const fn vxr(xo: u32) -> Form {
    Form { records: true, ..form(0xfc00_03ff, 4 << 26 | xo) }
}

/// VA form.
const fn va(xo: u32) -> Form {
    form(0xfc00_003f, 4 << 26 | xo)
}

/// X form of the data streams, whose bit 6 is a part of the opcode.
const fn stream(xo: u32, bit6: u32) -> Form {
    form(0xfe00_07ff, 31 << 26 | bit6 << 25 | xo << 1)
}

const fn row(insn: Insn, name: &'static str, form: Form, needs: u16, format: Format) -> Row {
    Row {
        insn,
        name,
        mask: form.mask,
        value: form.value,
        needs,
        format,
        records: form.records,
        overflows: form.overflows,
    }
}

macro_rules! rows {
    ($($insn:ident $name:literal $form:expr, $needs:expr, $format:ident;)*) => {
        /// What an instruction does; as a number, its row in [`ROWS`]. The last ones are in no program.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Insn {
            $(#[doc = $name] $insn,)*
            /// No instruction of the model.
            Reserved,
            /// A place in a decoded page that is still to be decoded.
            Undecoded,
            /// Forms of frequent instructions that the decoder picks out: `li`/`lis`, `mr`, `b` and `bl` without AA;
            /// `bc` on a bit of CR that is set or clear, without CTR, AA, LK; `bdnz`; `blr`, `bctr`, `bctrl`, always;
            /// `lwz` and others with rA = 0 keep their general form.
            Li,
            Mr,
            Near,
            Call,
            IfSet,
            IfClear,
            Bdnz,
            Blr,
            Bctr,
            Bctrl,
        }

        /// The instruction table.
        pub static ROWS: &[Row] = &[$(row(Insn::$insn, $name, $form, $needs, Format::$format)),*];
    };
}

with_altivec! {
    // PEM §4.2.1.1, table 4-1: integer arithmetic
    Addi    "addi"    op(14), BASE, DA0Simm;
    Addis   "addis"   op(15), BASE, DA0Simm;
    Addic   "addic"   op(12), BASE, DASimm;
    AddicRc "addic."  dot(op(13)), BASE, DASimm;
    Subfic  "subfic"  op(8), BASE, DASimm;
    Mulli   "mulli"   op(7), BASE, DASimm;
    Add     "add"     xo(266), BASE, DAB;
    Addc    "addc"    xo(10), BASE, DAB;
    Adde    "adde"    xo(138), BASE, DAB;
    Addme   "addme"   xo(234), BASE, DA;
    Addze   "addze"   xo(202), BASE, DA;
    Subf    "subf"    xo(40), BASE, DAB;
    Subfc   "subfc"   xo(8), BASE, DAB;
    Subfe   "subfe"   xo(136), BASE, DAB;
    Subfme  "subfme"  xo(232), BASE, DA;
    Subfze  "subfze"  xo(200), BASE, DA;
    Neg     "neg"     xo(104), BASE, DA;
    Mullw   "mullw"   xo(235), BASE, DAB;
    Mulhw   "mulhw"   xh(75), BASE, DAB;
    Mulhwu  "mulhwu"  xh(11), BASE, DAB;
    Divw    "divw"    xo(491), BASE, DAB;
    Divwu   "divwu"   xo(459), BASE, DAB;
    // §4.2.1.2: compare
    Cmpi    "cmpi"    op(11), BASE, CompareSimm;
    Cmpli   "cmpli"   op(10), BASE, CompareUimm;
    Cmp     "cmp"     x(31, 0), BASE, Compare;
    Cmpl    "cmpl"    x(31, 32), BASE, Compare;
    // §4.2.1.3: logical
    Andi    "andi."   dot(op(28)), BASE, ASUimm;
    Andis   "andis."  dot(op(29)), BASE, ASUimm;
    Ori     "ori"     op(24), BASE, ASUimm;
    Oris    "oris"    op(25), BASE, ASUimm;
    Xori    "xori"    op(26), BASE, ASUimm;
    Xoris   "xoris"   op(27), BASE, ASUimm;
    And     "and"     xr(31, 28), BASE, ASB;
    Or      "or"      xr(31, 444), BASE, ASB;
    Xor     "xor"     xr(31, 316), BASE, ASB;
    Nand    "nand"    xr(31, 476), BASE, ASB;
    Nor     "nor"     xr(31, 124), BASE, ASB;
    Eqv     "eqv"     xr(31, 284), BASE, ASB;
    Andc    "andc"    xr(31, 60), BASE, ASB;
    Orc     "orc"     xr(31, 412), BASE, ASB;
    Extsb   "extsb"   xr(31, 954), BASE, AS;
    Extsh   "extsh"   xr(31, 922), BASE, AS;
    Cntlzw  "cntlzw"  xr(31, 26), BASE, AS;
    // §4.2.1.4: rotate and shift
    Rlwimi  "rlwimi"  m(20), BASE, RotateImmediate;
    Rlwinm  "rlwinm"  m(21), BASE, RotateImmediate;
    Rlwnm   "rlwnm"   m(23), BASE, Rotate;
    Slw     "slw"     xr(31, 24), BASE, ASB;
    Srw     "srw"     xr(31, 536), BASE, ASB;
    Sraw    "sraw"    xr(31, 792), BASE, ASB;
    Srawi   "srawi"   xr(31, 824), BASE, ASSh;
    // §4.2.3.2: integer loads
    Lbz     "lbz"     op(34), BASE, Memory;
    Lbzu    "lbzu"    op(35), BASE, Memory;
    Lhz     "lhz"     op(40), BASE, Memory;
    Lhzu    "lhzu"    op(41), BASE, Memory;
    Lha     "lha"     op(42), BASE, Memory;
    Lhau    "lhau"    op(43), BASE, Memory;
    Lwz     "lwz"     op(32), BASE, Memory;
    Lwzu    "lwzu"    op(33), BASE, Memory;
    Lbzx    "lbzx"    x(31, 87), BASE, Indexed;
    Lbzux   "lbzux"   x(31, 119), BASE, Indexed;
    Lhzx    "lhzx"    x(31, 279), BASE, Indexed;
    Lhzux   "lhzux"   x(31, 311), BASE, Indexed;
    Lhax    "lhax"    x(31, 343), BASE, Indexed;
    Lhaux   "lhaux"   x(31, 375), BASE, Indexed;
    Lwzx    "lwzx"    x(31, 23), BASE, Indexed;
    Lwzux   "lwzux"   x(31, 55), BASE, Indexed;
    // §4.2.3.3: integer stores
    Stb     "stb"     op(38), BASE, Memory;
    Stbu    "stbu"    op(39), BASE, Memory;
    Sth     "sth"     op(44), BASE, Memory;
    Sthu    "sthu"    op(45), BASE, Memory;
    Stw     "stw"     op(36), BASE, Memory;
    Stwu    "stwu"    op(37), BASE, Memory;
    Stbx    "stbx"    x(31, 215), BASE, Indexed;
    Stbux   "stbux"   x(31, 247), BASE, Indexed;
    Sthx    "sthx"    x(31, 407), BASE, Indexed;
    Sthux   "sthux"   x(31, 439), BASE, Indexed;
    Stwx    "stwx"    x(31, 151), BASE, Indexed;
    Stwux   "stwux"   x(31, 183), BASE, Indexed;
    // §4.2.3.4 to 4.2.3.6: byte-reversed, multiple, string
    Lhbrx   "lhbrx"   x(31, 790), BASE, Indexed;
    Lwbrx   "lwbrx"   x(31, 534), BASE, Indexed;
    Sthbrx  "sthbrx"  x(31, 918), BASE, Indexed;
    Stwbrx  "stwbrx"  x(31, 662), BASE, Indexed;
    Lmw     "lmw"     op(46), BASE, Memory;
    Stmw    "stmw"    op(47), BASE, Memory;
    Lswi    "lswi"    x(31, 597), BASE, StringImmediate;
    Lswx    "lswx"    x(31, 533), BASE, Indexed;
    Stswi   "stswi"   x(31, 725), BASE, StringImmediate;
    Stswx   "stswx"   x(31, 661), BASE, Indexed;
    // §4.2.3.7 to 4.2.3.9: floating-point loads and stores
    Lfs     "lfs"     op(48), BASE, FMemory;
    Lfsu    "lfsu"    op(49), BASE, FMemory;
    Lfd     "lfd"     op(50), BASE, FMemory;
    Lfdu    "lfdu"    op(51), BASE, FMemory;
    Lfsx    "lfsx"    x(31, 535), BASE, FIndexed;
    Lfsux   "lfsux"   x(31, 567), BASE, FIndexed;
    Lfdx    "lfdx"    x(31, 599), BASE, FIndexed;
    Lfdux   "lfdux"   x(31, 631), BASE, FIndexed;
    Stfs    "stfs"    op(52), BASE, FMemory;
    Stfsu   "stfsu"   op(53), BASE, FMemory;
    Stfd    "stfd"    op(54), BASE, FMemory;
    Stfdu   "stfdu"   op(55), BASE, FMemory;
    Stfsx   "stfsx"   x(31, 663), BASE, FIndexed;
    Stfsux  "stfsux"  x(31, 695), BASE, FIndexed;
    Stfdx   "stfdx"   x(31, 727), BASE, FIndexed;
    Stfdux  "stfdux"  x(31, 759), BASE, FIndexed;
    Stfiwx  "stfiwx"  x(31, 983), GRAPHICS, FIndexed;
    // §4.2.4: branches, CR logic, traps, system call
    B       "b"       op(18), BASE, Branch;
    Bc      "bc"      op(16), BASE, BranchConditional;
    Bclr    "bclr"    xl(19, 16), BASE, BranchRegister;
    Bcctr   "bcctr"   xl(19, 528), BASE, BranchRegister;
    Crand   "crand"   x(19, 257), BASE, CrBits;
    Cror    "cror"    x(19, 449), BASE, CrBits;
    Crxor   "crxor"   x(19, 193), BASE, CrBits;
    Crnand  "crnand"  x(19, 225), BASE, CrBits;
    Crnor   "crnor"   x(19, 33), BASE, CrBits;
    Creqv   "creqv"   x(19, 289), BASE, CrBits;
    Crandc  "crandc"  x(19, 129), BASE, CrBits;
    Crorc   "crorc"   x(19, 417), BASE, CrBits;
    Mcrf    "mcrf"    x(19, 0), BASE, CrFields;
    Twi     "twi"     op(3), BASE, TrapSimm;
    Tw      "tw"      x(31, 4), BASE, Trap;
    Sc      "sc"      form(0xfc00_0002, 17 << 26 | 2), BASE, Bare;
    Rfi     "rfi"     x(19, 50), BASE, Bare;
    // §4.2.5 to 4.4.1: registers
    Mtcrf   "mtcrf"   x(31, 144), BASE, CrMask;
    Mcrxr   "mcrxr"   x(31, 512), BASE, CrField;
    Mfcr    "mfcr"    x(31, 19), BASE, D;
    Mfmsr   "mfmsr"   x(31, 83), BASE, D;
    Mtmsr   "mtmsr"   x(31, 146), BASE, S;
    Mtspr   "mtspr"   x(31, 467), BASE, ToSpr;
    Mfspr   "mfspr"   x(31, 339), BASE, FromSpr;
    Mftb    "mftb"    x(31, 371), BASE, FromTb;
    Mtsr    "mtsr"    x(31, 210), BASE, ToSr;
    Mtsrin  "mtsrin"  x(31, 242), BASE, DB;
    Mfsr    "mfsr"    x(31, 595), BASE, FromSr;
    Mfsrin  "mfsrin"  x(31, 659), BASE, DB;
    // §4.2.6, 4.3: synchronisation, caches, external control; 4.4.3: TLB
    Lwarx   "lwarx"   x(31, 20), BASE, Indexed;
    Stwcx   "stwcx."  x1(31, 150), BASE, Indexed;
    Sync    "sync"    x(31, 598), BASE, Bare;
    Isync   "isync"   x(19, 150), BASE, Bare;
    Eieio   "eieio"   x(31, 854), BASE, Bare;
    Dcbf    "dcbf"    x(31, 86), BASE, AB;
    Dcbi    "dcbi"    x(31, 470), BASE, AB;
    Dcbst   "dcbst"   x(31, 54), BASE, AB;
    Dcbt    "dcbt"    x(31, 278), BASE, AB;
    Dcbtst  "dcbtst"  x(31, 246), BASE, AB;
    Dcbz    "dcbz"    x(31, 1014), BASE, AB;
    Dcba    "dcba"    x(31, 758), VECTOR, AB;
    Icbi    "icbi"    x(31, 982), BASE, AB;
    Eciwx   "eciwx"   x(31, 310), BASE, Indexed;
    Ecowx   "ecowx"   x(31, 438), BASE, Indexed;
    Tlbie   "tlbie"   x(31, 306), BASE, B;
    Tlbsync "tlbsync" x(31, 566), BASE, Bare;
    // §4.2.2: floating point
    Fadd    "fadd"    a(63, 21), BASE, F3;
    Fadds   "fadds"   a(59, 21), BASE, F3;
    Fsub    "fsub"    a(63, 20), BASE, F3;
    Fsubs   "fsubs"   a(59, 20), BASE, F3;
    Fmul    "fmul"    a(63, 25), BASE, FMul;
    Fmuls   "fmuls"   a(59, 25), BASE, FMul;
    Fdiv    "fdiv"    a(63, 18), BASE, F3;
    Fdivs   "fdivs"   a(59, 18), BASE, F3;
    Fres    "fres"    a(59, 24), GRAPHICS, F2;
    Frsqrte "frsqrte" a(63, 26), GRAPHICS, F2;
    Fsel    "fsel"    a(63, 23), GRAPHICS, F4;
    Fmadd   "fmadd"   a(63, 29), BASE, F4;
    Fmadds  "fmadds"  a(59, 29), BASE, F4;
    Fmsub   "fmsub"   a(63, 28), BASE, F4;
    Fmsubs  "fmsubs"  a(59, 28), BASE, F4;
    Fnmadd  "fnmadd"  a(63, 31), BASE, F4;
    Fnmadds "fnmadds" a(59, 31), BASE, F4;
    Fnmsub  "fnmsub"  a(63, 30), BASE, F4;
    Fnmsubs "fnmsubs" a(59, 30), BASE, F4;
    Frsp    "frsp"    xr(63, 12), BASE, F2;
    Fctiw   "fctiw"   xr(63, 14), BASE, F2;
    Fctiwz  "fctiwz"  xr(63, 15), BASE, F2;
    Fcmpu   "fcmpu"   x(63, 0), BASE, FCompare;
    Fcmpo   "fcmpo"   x(63, 32), BASE, FCompare;
    Fmr     "fmr"     xr(63, 72), BASE, F2;
    Fneg    "fneg"    xr(63, 40), BASE, F2;
    Fabs    "fabs"    xr(63, 264), BASE, F2;
    Fnabs   "fnabs"   xr(63, 136), BASE, F2;
    Mffs    "mffs"    xr(63, 583), BASE, F1;
    Mcrfs   "mcrfs"   x(63, 64), BASE, CrFields;
    Mtfsf   "mtfsf"   xr(63, 711), BASE, FMask;
    Mtfsfi  "mtfsfi"  xr(63, 134), BASE, FImmediate;
    Mtfsb0  "mtfsb0"  xr(63, 70), BASE, CrBit;
    Mtfsb1  "mtfsb1"  xr(63, 38), BASE, CrBit;
}

/// Finds the row of an instruction word.
pub struct Decoder {
    /// The model's rows, by the six bits of the opcode.
    rows: Vec<Vec<&'static Row>>,
}

impl Decoder {
    /// For a model that has `has`.
    pub fn new(has: u16) -> Self {
        let of = |opcode: u32| ROWS.iter().filter(|row| row.value >> 26 == opcode && row.needs & !has == 0).collect();
        Decoder { rows: (0..64).map(of).collect() }
    }

    /// The instruction's row.
    pub fn row(&self, word: u32) -> Option<&'static Row> {
        self.rows[(word >> 26) as usize].iter().find(|row| word & row.mask == row.value).copied()
    }
}

impl Insn {
    /// The instruction's row, if it is in programs.
    pub fn row(self) -> Option<&'static Row> {
        ROWS.get(self as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_at_its_instructions_number() {
        for (number, row) in ROWS.iter().enumerate() {
            assert_eq!(row.insn as usize, number, "{}", row.name);
            assert_eq!(row.value & !row.mask, 0, "{}", row.name);
        }
    }

    #[test]
    fn no_word_is_two_instructions() {
        for (number, one) in ROWS.iter().enumerate() {
            for other in &ROWS[number + 1..] {
                let both = one.mask & other.mask;
                assert!(one.value & both != other.value & both, "{} and {}", one.name, other.name);
            }
        }
    }
}
