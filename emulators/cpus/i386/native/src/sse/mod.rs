//! SSE and SSE2: Intel SDM volume 1, chapters 10 and 11.
//!
//! `lanes` and `float` (which stands on `unbounded`, and that on `mxcsr`) compute, without a processor; `operands` finds
//! what is computed with; the other files are the manual's sections. Everything is done at once, in order, by whole
//! registers.
//!
//! Not supported: SSE3 and later; it is not advertised either. RCP and RSQRT are within the manual's bounds, not any one
//! processor's bits.

pub mod arithmetic;
pub mod cacheability;
pub mod compare;
pub mod control;
pub mod convert;
pub mod float;
pub mod lanes;
pub mod moves;
pub mod mxcsr;
pub mod operands;
pub mod packed_integer;
pub mod shuffle;
pub mod state;
mod unbounded;

pub use state::Sse;
