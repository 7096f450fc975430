//! One direction of a wire, and what carries frames through two of them.
//!
//! The twin of `vde/wire/{direction,lane,…}.py` without rules, traces, CoDel and correlation: for the same frames at the
//! same times it decides the same, to the bit (`tests/vde/wire/test_native.py`). [`lane`] knows no descriptors and no
//! clock; [`pump`] is the thread that has both.

pub mod chance;
mod corrupt;
pub mod end;
pub mod lane;
mod line;
mod loss;
mod prompt;
pub mod pump;
mod queue;
mod reader;
mod sender;
pub mod settings;
mod shape;
pub mod verdict;
