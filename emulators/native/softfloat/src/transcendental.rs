//! F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN.
//!
//! Computed with significands of 128 bits (`wide.rs`) from series of rational terms, so that before the last rounding
//! the error is below 2⁻¹¹⁰ of the result: results are the nearest numbers but for cases that nobody knows. Arguments of
//! trigonometric functions are reduced by a π of 66 bits, as processors have done since the 387 (SDM vol. 1 §8.3.8):
//! what they give for large arguments is the function of *that* remainder.
//!
//! Limits: the processor's own results may differ in the last place (SDM vol. 1 §8.3.10 promises less than one).

mod arctangent;
mod exponential;
mod logarithm;
mod trigonometric;
mod wide;
