//! Vectors as elements, element 0 first, and saturation.

use std::array::from_fn;

macro_rules! elements {
    ($type:ty, $count:literal, $split:ident, $join:ident, $each:ident, $what:literal) => {
        #[doc = concat!("The ", $what, " of a vector.")]
        #[inline(always)]
        pub(super) fn $split(vector: u128) -> [$type; $count] {
            const OCTETS: usize = size_of::<$type>();
            let octets = vector.to_be_bytes();
            from_fn(|n| <$type>::from_be_bytes(from_fn(|m| octets[n * OCTETS + m])))
        }

        #[doc = concat!("The vector of these ", $what, ".")]
        #[inline(always)]
        pub(super) fn $join(elements: [$type; $count]) -> u128 {
            let mut octets = [0; 16];
            for (place, element) in octets.chunks_exact_mut(size_of::<$type>()).zip(elements) {
                place.copy_from_slice(&element.to_be_bytes());
            }
            u128::from_be_bytes(octets)
        }

        #[doc = concat!("What `of` makes of each pair of ", $what, ".")]
        #[inline(always)]
        pub(super) fn $each(a: u128, b: u128, mut of: impl FnMut($type, $type) -> $type) -> u128 {
            let (a, b) = ($split(a), $split(b));
            $join(from_fn(|n| of(a[n], b[n])))
        }
    };
}

elements!(u8, 16, octets, of_octets, by_octets, "octets");
elements!(u16, 8, halves, of_halves, by_halves, "half words");
elements!(u32, 4, words, of_words, by_words, "words");

/// Makes numbers fit, and remembers whether one did not: VSCR\[SAT\].
#[derive(Debug, Default)]
pub(super) struct Saturation {
    pub happened: bool,
}

impl Saturation {
    #[inline(always)]
    fn fit(&mut self, value: i64, least: i64, greatest: i64) -> i64 {
        let fitting = value.clamp(least, greatest);
        self.happened |= fitting != value;
        fitting
    }

    /// A signed octet, and so on.
    #[inline(always)]
    pub(super) fn sb(&mut self, value: i64) -> u8 {
        self.fit(value, i8::MIN.into(), i8::MAX.into()) as u8
    }

    #[inline(always)]
    pub(super) fn ub(&mut self, value: i64) -> u8 {
        self.fit(value, 0, u8::MAX.into()) as u8
    }

    #[inline(always)]
    pub(super) fn sh(&mut self, value: i64) -> u16 {
        self.fit(value, i16::MIN.into(), i16::MAX.into()) as u16
    }

    #[inline(always)]
    pub(super) fn uh(&mut self, value: i64) -> u16 {
        self.fit(value, 0, u16::MAX.into()) as u16
    }

    #[inline(always)]
    pub(super) fn sw(&mut self, value: i64) -> u32 {
        self.fit(value, i32::MIN.into(), i32::MAX.into()) as u32
    }

    #[inline(always)]
    pub(super) fn uw(&mut self, value: i64) -> u32 {
        self.fit(value, 0, u32::MAX.into()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_numbered_from_the_most_significant() {
        let vector = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
        assert_eq!(octets(vector), from_fn(|n| n as u8));
        assert_eq!(halves(vector)[1], 0x0203);
        assert_eq!(words(vector), [0x0001_0203, 0x0405_0607, 0x0809_0a0b, 0x0c0d_0e0f]);
        assert_eq!(of_octets(octets(vector)), vector);
        assert_eq!(of_halves(halves(vector)), vector);
        assert_eq!(of_words(words(vector)), vector);
    }

    #[test]
    fn only_what_does_not_fit_is_remembered() {
        let mut saturation = Saturation::default();
        assert_eq!(
            (saturation.sb(-128), saturation.sb(127), saturation.ub(255), saturation.ub(0)),
            (0x80, 0x7f, 255, 0)
        );
        assert_eq!(
            (saturation.sh(-32768), saturation.uh(65535), saturation.sw(i32::MIN.into())),
            (0x8000, 65535, 1 << 31)
        );
        assert!(!saturation.happened);
        assert_eq!(saturation.uw(1 << 32), u32::MAX);
        assert!(saturation.happened);
    }
}
