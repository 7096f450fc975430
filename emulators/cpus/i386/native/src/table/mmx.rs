//! Rows of MMX, with Pentium III's and SSE2's instructions for its registers. SDM 2, tables A-3.
//!
//! A line: name · opcode behind 0F, / and the reg field of a group · prefix · operands · what it
//! needs · what r/m may be · handler. With `any`, a handler's last parameter is "is r/m memory?".

use super::Prefix::*;
use super::{Row, Run};
use crate::mmx;
use crate::model::{MMX, SSE, SSE2};
use crate::sse::cacheability;
use crate::sse::lanes::*;

macro_rules! packed_rows {
    ($($name:literal $opcode:literal $(/ $group:literal)? $prefix:ident [$($operand:ident),*] $needs:ident
        $kind:ident $module:ident :: $handler:ident $(< $($argument:tt),* >)?;)*) => {
        vec![$({
            let run = packed_rows!(@run $kind $module $handler [$($($argument),*)?]);
            let row = Row::two($name, $opcode, &[$(super::Operand::$operand),*], run);
            packed_rows!(@kind $kind row)$(.group($group))?.prefix($prefix).needs($needs)
        }),*]
    };
    (@run any $module:ident $handler:ident [$($argument:tt),*]) => {
        Run::either($module::$handler::<$($argument,)* false>, $module::$handler::<$($argument,)* true>)
    };
    (@run $kind:ident $module:ident $handler:ident [$($argument:tt),*]) => {
        Run::all($module::$handler::<$($argument),*>)
    };
    (@kind register $row:ident) => { $row.register() };
    (@kind memory $row:ident) => { $row.memory() };
    (@kind $kind:ident $row:ident) => { $row };
}
pub(super) use packed_rows;

#[rustfmt::skip]
pub(super) fn rows() -> Vec<Row> {
    packed_rows! {
        "punpcklbw" 0x60 Np [Pq, Qd] MMX any mmx::unpack_low<PunpcklBw>;
        "punpcklwd" 0x61 Np [Pq, Qd] MMX any mmx::unpack_low<PunpcklWd>;
        "punpckldq" 0x62 Np [Pq, Qd] MMX any mmx::unpack_low<PunpcklDq>;
        "packsswb" 0x63 Np [Pq, Qq] MMX any mmx::packed<PackssWb>;
        "pcmpgtb" 0x64 Np [Pq, Qq] MMX any mmx::packed<PcmpgtB>;
        "pcmpgtw" 0x65 Np [Pq, Qq] MMX any mmx::packed<PcmpgtW>;
        "pcmpgtd" 0x66 Np [Pq, Qq] MMX any mmx::packed<PcmpgtD>;
        "packuswb" 0x67 Np [Pq, Qq] MMX any mmx::packed<PackusWb>;
        "punpckhbw" 0x68 Np [Pq, Qq] MMX any mmx::packed<PunpckhBw>;
        "punpckhwd" 0x69 Np [Pq, Qq] MMX any mmx::packed<PunpckhWd>;
        "punpckhdq" 0x6a Np [Pq, Qq] MMX any mmx::packed<PunpckhDq>;
        "packssdw" 0x6b Np [Pq, Qq] MMX any mmx::packed<PackssDw>;
        "movd" 0x6e Np [Pq, Ed] MMX any mmx::movd_load;
        "movq" 0x6f Np [Pq, Qq] MMX any mmx::movq_load;
        "pshufw" 0x70 Np [Pq, Qq, Ib] SSE any mmx::pshufw;
        "psrlw" 0x71/2 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsrlW>;
        "psraw" 0x71/4 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsraW>;
        "psllw" 0x71/6 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsllW>;
        "psrld" 0x72/2 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsrlD>;
        "psrad" 0x72/4 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsraD>;
        "pslld" 0x72/6 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsllD>;
        "psrlq" 0x73/2 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsrlQ>;
        "psllq" 0x73/6 Np [Nq, Ib] MMX register mmx::shift_by_immediate<PsllQ>;
        "pcmpeqb" 0x74 Np [Pq, Qq] MMX any mmx::packed<PcmpeqB>;
        "pcmpeqw" 0x75 Np [Pq, Qq] MMX any mmx::packed<PcmpeqW>;
        "pcmpeqd" 0x76 Np [Pq, Qq] MMX any mmx::packed<PcmpeqD>;
        "emms" 0x77 Np [] MMX bare mmx::emms;
        "movd" 0x7e Np [Ed, Pq] MMX any mmx::movd_store;
        "movq" 0x7f Np [Qq, Pq] MMX any mmx::movq_store;
        "pinsrw" 0xc4 Np [Pq, Mw, Ib] SSE any mmx::pinsrw;
        "pextrw" 0xc5 Np [Gd, Nq, Ib] SSE register mmx::pextrw;
        "psrlw" 0xd1 Np [Pq, Qq] MMX any mmx::shift<PsrlW>;
        "psrld" 0xd2 Np [Pq, Qq] MMX any mmx::shift<PsrlD>;
        "psrlq" 0xd3 Np [Pq, Qq] MMX any mmx::shift<PsrlQ>;
        "paddq" 0xd4 Np [Pq, Qq] SSE2 any mmx::packed<PaddQ>;
        "pmullw" 0xd5 Np [Pq, Qq] MMX any mmx::packed<PmullW>;
        "pmovmskb" 0xd7 Np [Gd, Nq] SSE register mmx::pmovmskb;
        "psubusb" 0xd8 Np [Pq, Qq] MMX any mmx::packed<PsubusB>;
        "psubusw" 0xd9 Np [Pq, Qq] MMX any mmx::packed<PsubusW>;
        "pminub" 0xda Np [Pq, Qq] SSE any mmx::packed<PminuB>;
        "pand" 0xdb Np [Pq, Qq] MMX any mmx::packed<Pand>;
        "paddusb" 0xdc Np [Pq, Qq] MMX any mmx::packed<PaddusB>;
        "paddusw" 0xdd Np [Pq, Qq] MMX any mmx::packed<PaddusW>;
        "pmaxub" 0xde Np [Pq, Qq] SSE any mmx::packed<PmaxuB>;
        "pandn" 0xdf Np [Pq, Qq] MMX any mmx::packed<Pandn>;
        "pavgb" 0xe0 Np [Pq, Qq] SSE any mmx::packed<PavgB>;
        "psraw" 0xe1 Np [Pq, Qq] MMX any mmx::shift<PsraW>;
        "psrad" 0xe2 Np [Pq, Qq] MMX any mmx::shift<PsraD>;
        "pavgw" 0xe3 Np [Pq, Qq] SSE any mmx::packed<PavgW>;
        "pmulhuw" 0xe4 Np [Pq, Qq] SSE any mmx::packed<PmulhuW>;
        "pmulhw" 0xe5 Np [Pq, Qq] MMX any mmx::packed<PmulhW>;
        "movntq" 0xe7 Np [M64, Pq] SSE memory cacheability::movntq;
        "psubsb" 0xe8 Np [Pq, Qq] MMX any mmx::packed<PsubsB>;
        "psubsw" 0xe9 Np [Pq, Qq] MMX any mmx::packed<PsubsW>;
        "pminsw" 0xea Np [Pq, Qq] SSE any mmx::packed<PminsW>;
        "por" 0xeb Np [Pq, Qq] MMX any mmx::packed<Por>;
        "paddsb" 0xec Np [Pq, Qq] MMX any mmx::packed<PaddsB>;
        "paddsw" 0xed Np [Pq, Qq] MMX any mmx::packed<PaddsW>;
        "pmaxsw" 0xee Np [Pq, Qq] SSE any mmx::packed<PmaxsW>;
        "pxor" 0xef Np [Pq, Qq] MMX any mmx::packed<Pxor>;
        "psllw" 0xf1 Np [Pq, Qq] MMX any mmx::shift<PsllW>;
        "pslld" 0xf2 Np [Pq, Qq] MMX any mmx::shift<PsllD>;
        "psllq" 0xf3 Np [Pq, Qq] MMX any mmx::shift<PsllQ>;
        "pmuludq" 0xf4 Np [Pq, Qq] SSE2 any mmx::packed<PmuludQ>;
        "pmaddwd" 0xf5 Np [Pq, Qq] MMX any mmx::packed<PmaddWd>;
        "psadbw" 0xf6 Np [Pq, Qq] SSE any mmx::packed<PsadBw>;
        "maskmovq" 0xf7 Np [Pq, Nq] SSE register cacheability::maskmovq;
        "psubb" 0xf8 Np [Pq, Qq] MMX any mmx::packed<PsubB>;
        "psubw" 0xf9 Np [Pq, Qq] MMX any mmx::packed<PsubW>;
        "psubd" 0xfa Np [Pq, Qq] MMX any mmx::packed<PsubD>;
        "psubq" 0xfb Np [Pq, Qq] SSE2 any mmx::packed<PsubQ>;
        "paddb" 0xfc Np [Pq, Qq] MMX any mmx::packed<PaddB>;
        "paddw" 0xfd Np [Pq, Qq] MMX any mmx::packed<PaddW>;
        "paddd" 0xfe Np [Pq, Qq] MMX any mmx::packed<PaddD>;
    }
}
