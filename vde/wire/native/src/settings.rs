//! What is set on a direction: the part of `vde.wire.impairments.Impairments` that is known here.

pub use crate::loss::Loss;
pub use crate::shape::Shape;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub delay_ns: i64,
    pub jitter_ns: i64,
    pub shape: Shape,
    pub keep_order: bool,
    pub loss: Option<Loss>,
    /// Shares are probabilities.
    pub duplicate: Option<f64>,
    pub corrupt: Option<f64>,
    /// 0: none.
    pub ber: f64,
    pub reorder: Option<f64>,
    pub gap: u64,
    pub rate_bit_s: Option<u64>,
    pub burst_octets: u64,
    pub overhead_octets: i64,
    pub queue_octets: Option<u64>,
    pub queue_frames: u64,
    pub mtu_octets: Option<u64>,
}
