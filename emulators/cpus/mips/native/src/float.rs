//! Binary floating point, IEEE 754-1985, by integers: results, rounding and flags do not depend on the host.
//!
//! Numbers are their bits in a `u64`. NaNs are those of MIPS before 2008 (MD00086 §5.3): the fraction's first bit *set*
//! signals; a new quiet NaN has all others set. An operation on a signalling NaN gives the new NaN, else the first
//! operand that is a NaN. Tininess is detected after rounding. Not supported: fused operations.

/// Flags, in FCSR's order.
pub const INEXACT: u32 = 1;
pub const UNDERFLOW: u32 = 2;
pub const OVERFLOW: u32 = 4;
pub const DIVISION: u32 = 8;
pub const INVALID: u32 = 16;

/// FCSR.RM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    Nearest,
    Zero,
    Up,
    Down,
}

impl Rounding {
    pub fn new(bits: u32) -> Self {
        [Rounding::Nearest, Rounding::Zero, Rounding::Up, Rounding::Down][(bits & 3) as usize]
    }

    /// Is a magnitude to be increased, of which `rest` is cut off and `half` is half a unit?
    #[inline]
    fn increases(self, negative: bool, odd: bool, rest: u64, half: u64) -> bool {
        match self {
            Rounding::Nearest => rest > half || rest == half && odd,
            Rounding::Zero => false,
            Rounding::Up => rest != 0 && !negative,
            Rounding::Down => rest != 0 && negative,
        }
    }
}

/// How to compute, and what was noticed.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub rounding: Rounding,
    /// Tiny results become 0.
    pub flush: bool,
    pub flags: u32,
}

/// A format: bits of exponent and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    exponent: u32,
    fraction: u32,
}

pub const SINGLE: Format = Format { exponent: 8, fraction: 23 };
pub const DOUBLE: Format = Format { exponent: 11, fraction: 52 };

impl Format {
    const fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The exponent of infinities and NaNs.
    const fn top(self) -> u64 {
        (1 << self.exponent) - 1
    }

    const fn sign_bit(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }

    const fn fraction_mask(self) -> u64 {
        (1 << self.fraction) - 1
    }

    const fn signed(self, negative: bool) -> u64 {
        if negative { self.sign_bit() } else { 0 }
    }

    const fn infinity(self, negative: bool) -> u64 {
        self.signed(negative) | self.top() << self.fraction
    }

    /// A new quiet NaN.
    pub const fn nan(self) -> u64 {
        self.top() << self.fraction | self.fraction_mask() >> 1
    }

    pub const fn is_nan(self, bits: u64) -> bool {
        bits & !self.sign_bit() > self.infinity(false)
    }

    pub const fn is_signalling(self, bits: u64) -> bool {
        self.is_nan(bits) && bits >> (self.fraction - 1) & 1 != 0
    }

    const fn is_infinite(self, bits: u64) -> bool {
        bits & !self.sign_bit() == self.infinity(false)
    }

    const fn is_zero(self, bits: u64) -> bool {
        bits & !self.sign_bit() == 0
    }

    const fn is_negative(self, bits: u64) -> bool {
        bits & self.sign_bit() != 0
    }

    /// The result for operands of which one is a NaN.
    fn nan_of(self, operands: &[u64], context: &mut Context) -> u64 {
        if operands.iter().any(|&bits| self.is_signalling(bits)) {
            context.flags |= INVALID;
            return self.nan();
        }
        operands.iter().copied().find(|&bits| self.is_nan(bits)).unwrap_or(self.nan())
    }

    fn invalid(self, context: &mut Context) -> u64 {
        context.flags |= INVALID;
        self.nan()
    }

    /// A finite number that is not zero.
    #[inline]
    fn unpack(self, bits: u64) -> Finite {
        let negative = self.is_negative(bits);
        let fraction = bits & self.fraction_mask();
        let exponent = (bits >> self.fraction & self.top()) as i32;
        if exponent == 0 {
            let shift = fraction.leading_zeros() - 1;
            let exponent = 1 - self.bias() - (shift as i32 - (62 - self.fraction as i32));
            return Finite { negative, exponent, significand: fraction << shift };
        }
        let significand = (fraction | 1 << self.fraction) << (62 - self.fraction);
        Finite { negative, exponent: exponent - self.bias(), significand }
    }

    /// Round and pack.
    #[inline]
    fn pack(self, number: Finite, context: &mut Context) -> u64 {
        let Finite { negative, exponent, significand } = number;
        debug_assert!(significand >> 62 == 1);
        let cut = 62 - self.fraction;
        let half = 1 << (cut - 1);
        let rounded = |significand: u64| {
            let rest = significand & ((1 << cut) - 1);
            let kept = significand >> cut;
            (kept + u64::from(context.rounding.increases(negative, kept & 1 != 0, rest, half)), rest != 0)
        };
        let mut biased = exponent + self.bias();
        if biased >= 1 {
            let (mut kept, inexact) = rounded(significand);
            if kept >> (self.fraction + 1) != 0 {
                kept >>= 1;
                biased += 1;
            }
            if biased >= self.top() as i32 {
                context.flags |= OVERFLOW | INEXACT;
                let away = match context.rounding {
                    Rounding::Nearest => true,
                    Rounding::Zero => false,
                    Rounding::Up => !negative,
                    Rounding::Down => negative,
                };
                return if away { self.infinity(negative) } else { self.infinity(negative) - 1 };
            }
            if inexact {
                context.flags |= INEXACT;
            }
            return self.signed(negative) | (biased as u64) << self.fraction | kept & self.fraction_mask();
        }
        let tiny = biased < 0 || rounded(significand).0 >> (self.fraction + 1) == 0;
        if tiny && context.flush {
            context.flags |= UNDERFLOW | INEXACT;
            return self.signed(negative);
        }
        let (kept, inexact) = rounded(shifted(significand, (1 - biased) as u32));
        if inexact {
            context.flags |= if tiny { UNDERFLOW | INEXACT } else { INEXACT };
        }
        self.signed(negative) | kept // a carry into the exponent is right
    }

    pub fn add(self, a: u64, b: u64, context: &mut Context) -> u64 {
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(&[a, b], context);
        }
        match (self.is_infinite(a), self.is_infinite(b)) {
            (true, true) if a != b => return self.invalid(context),
            (true, _) => return a,
            (_, true) => return b,
            _ => {}
        }
        match (self.is_zero(a), self.is_zero(b)) {
            (true, true) if a == b => return a,
            (true, true) => return self.signed(context.rounding == Rounding::Down),
            (true, false) => return self.renormal(b, context),
            (false, true) => return self.renormal(a, context),
            _ => {}
        }
        let (mut x, mut y) = (self.unpack(a), self.unpack(b));
        if (x.exponent, x.significand) < (y.exponent, y.significand) {
            std::mem::swap(&mut x, &mut y);
        }
        let other = shifted(y.significand, (x.exponent - y.exponent) as u32);
        if x.negative == y.negative {
            let sum = x.significand + other; // below 2⁶⁴
            let carry = (sum >> 63) as u32;
            return self
                .pack(Finite { exponent: x.exponent + carry as i32, significand: shifted(sum, carry), ..x }, context);
        }
        let difference = x.significand - other;
        if difference == 0 {
            return self.signed(context.rounding == Rounding::Down);
        }
        let shift = difference.leading_zeros() - 1;
        self.pack(Finite { exponent: x.exponent - shift as i32, significand: difference << shift, ..x }, context)
    }

    /// A number that an operation gives unchanged: flushing may change it.
    fn renormal(self, bits: u64, context: &mut Context) -> u64 {
        self.pack(self.unpack(bits), context)
    }

    pub fn sub(self, a: u64, b: u64, context: &mut Context) -> u64 {
        if self.is_nan(b) { self.add(a, b, context) } else { self.add(a, b ^ self.sign_bit(), context) }
    }

    pub fn mul(self, a: u64, b: u64, context: &mut Context) -> u64 {
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(&[a, b], context);
        }
        let negative = self.is_negative(a ^ b);
        match (self.is_infinite(a) || self.is_infinite(b), self.is_zero(a) || self.is_zero(b)) {
            (true, true) => return self.invalid(context),
            (true, false) => return self.infinity(negative),
            (false, true) => return self.signed(negative),
            _ => {}
        }
        let (x, y) = (self.unpack(a), self.unpack(b));
        let product = u128::from(x.significand) * u128::from(y.significand); // 2¹²⁴ to 2¹²⁶
        let carry = (product >> 125) as u32;
        let exponent = x.exponent + y.exponent + carry as i32;
        self.pack(Finite { negative, exponent, significand: narrowed(product, 62 + carry) }, context)
    }

    pub fn div(self, a: u64, b: u64, context: &mut Context) -> u64 {
        if self.is_nan(a) || self.is_nan(b) {
            return self.nan_of(&[a, b], context);
        }
        let negative = self.is_negative(a ^ b);
        match (self.is_infinite(a), self.is_infinite(b)) {
            (true, true) => return self.invalid(context),
            (true, false) => return self.infinity(negative),
            (false, true) => return self.signed(negative),
            _ => {}
        }
        match (self.is_zero(a), self.is_zero(b)) {
            (true, true) => return self.invalid(context),
            (true, false) => return self.signed(negative),
            (false, true) => {
                context.flags |= DIVISION;
                return self.infinity(negative);
            }
            _ => {}
        }
        let (x, y) = (self.unpack(a), self.unpack(b));
        let less = u32::from(x.significand < y.significand);
        let dividend = u128::from(x.significand) << (62 + less);
        let divisor = u128::from(y.significand);
        let quotient = (dividend / divisor) as u64; // 2⁶² to 2⁶³
        let significand = quotient | u64::from(dividend % divisor != 0);
        self.pack(Finite { negative, exponent: x.exponent - y.exponent - less as i32, significand }, context)
    }

    pub fn sqrt(self, a: u64, context: &mut Context) -> u64 {
        if self.is_nan(a) {
            return self.nan_of(&[a], context);
        }
        if self.is_zero(a) {
            return a;
        }
        if self.is_negative(a) {
            return self.invalid(context);
        }
        if self.is_infinite(a) {
            return a;
        }
        let x = self.unpack(a);
        let odd = x.exponent & 1;
        let square = u128::from(x.significand) << (62 + odd as u32); // 2¹²⁴ to 2¹²⁶
        let (root, exact) = root(square);
        let significand = root | u64::from(!exact);
        self.pack(Finite { negative: false, exponent: (x.exponent - odd) / 2, significand }, context)
    }

    /// Compared: (less, equal, unordered). Flags are the caller's business.
    pub fn compare(self, a: u64, b: u64) -> (bool, bool, bool) {
        if self.is_nan(a) || self.is_nan(b) {
            return (false, false, true);
        }
        if self.is_zero(a) && self.is_zero(b) {
            return (false, true, false);
        }
        let key = |bits: u64| {
            let magnitude = (bits & !self.sign_bit()) as i64;
            if self.is_negative(bits) { -magnitude } else { magnitude }
        };
        (key(a) < key(b), a == b, false)
    }

    /// To another format.
    pub fn convert(self, a: u64, to: Format, context: &mut Context) -> u64 {
        let negative = self.is_negative(a);
        if self.is_nan(a) {
            let quiet = self.nan_of(&[a], context);
            if context.flags & INVALID != 0 {
                return to.nan();
            }
            let payload = quiet & self.fraction_mask();
            let moved = if to.fraction > self.fraction {
                payload << (to.fraction - self.fraction)
            } else {
                payload >> (self.fraction - to.fraction)
            };
            return if moved == 0 { to.nan() } else { to.infinity(negative) | moved };
        }
        if self.is_infinite(a) {
            return to.infinity(negative);
        }
        if self.is_zero(a) {
            return to.signed(negative);
        }
        to.pack(self.unpack(a), context)
    }

    /// To an integer of `bits` bits; the largest one, if it does not fit.
    pub fn to_integer(self, a: u64, bits: u32, rounding: Rounding, context: &mut Context) -> u64 {
        let largest = (1u64 << (bits - 1)) - 1;
        if self.is_zero(a) {
            return 0;
        }
        if self.is_nan(a) || self.is_infinite(a) {
            context.flags |= INVALID;
            return largest;
        }
        let x = self.unpack(a);
        if x.exponent >= 64 {
            context.flags |= INVALID;
            return largest;
        }
        // Two bits behind the point are enough to round by: the first, and whether anything follows.
        let wide = if x.exponent >= 61 {
            u128::from(x.significand) << (x.exponent - 60)
        } else {
            u128::from(shifted(x.significand, (60 - x.exponent) as u32))
        };
        let rest = (wide & 3) as u64;
        let kept = wide >> 2;
        let magnitude = kept + u128::from(rounding.increases(x.negative, kept & 1 != 0, rest, 2));
        if magnitude > u128::from(largest) + u128::from(x.negative) {
            context.flags |= INVALID;
            return largest;
        }
        if rest != 0 {
            context.flags |= INEXACT;
        }
        let magnitude = magnitude as u64;
        if x.negative { magnitude.wrapping_neg() } else { magnitude }
    }

    /// From an integer.
    pub fn of_integer(self, value: i64, context: &mut Context) -> u64 {
        if value == 0 {
            return 0;
        }
        let magnitude = value.unsigned_abs();
        let zeros = magnitude.leading_zeros();
        let significand = if zeros == 0 { shifted(magnitude, 1) } else { magnitude << (zeros - 1) };
        self.pack(Finite { negative: value < 0, exponent: 63 - zeros as i32, significand }, context)
    }
}

/// ± significand × 2^(exponent − 62), where the significand has bit 62 and not bit 63; its last bit may stand for more.
#[derive(Clone, Copy, Debug)]
struct Finite {
    negative: bool,
    exponent: i32,
    significand: u64,
}

/// Shifted right; the last bit is set if anything was lost.
#[inline]
fn shifted(significand: u64, by: u32) -> u64 {
    match by {
        0 => significand,
        1..64 => significand >> by | u64::from(significand << (64 - by) != 0),
        _ => u64::from(significand != 0),
    }
}

/// The same for 128 bits, of which 64 are left.
#[inline]
fn narrowed(value: u128, by: u32) -> u64 {
    (value >> by) as u64 | u64::from(value << (128 - by) != 0)
}

/// The square root of a number of 2¹²⁴ to 2¹²⁶, rounded down; is it exact?
fn root(square: u128) -> (u64, bool) {
    // An estimate that is good to 50 bits, then Newton's steps with integers.
    let estimate = (square as f64).sqrt() as u64;
    let mut root = u128::from(estimate.clamp(1 << 62, (1 << 63) - 1));
    for _ in 0..2 {
        root = (root + square / root) >> 1;
    }
    while root * root > square {
        root -= 1;
    }
    while (root + 1) * (root + 1) <= square {
        root += 1;
    }
    (root as u64, root * root == square)
}

#[cfg(test)]
mod tests;
