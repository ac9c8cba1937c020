//! Words of several lanes, and the operations of SHA-512 on them.

use super::LANES;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi64, _mm256_and_si256, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi64x,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_xor_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_ror_epi64,
    _mm512_set_epi64, _mm512_set1_epi64, _mm512_srlv_epi64, _mm512_xor_si512,
};

/// A word of 64 bits of each of several lanes.
pub trait Words: Copy {
    /// Reads the words of the first lanes.
    fn read(from: &[u64; LANES]) -> Self;
    /// Writes the words of the first lanes.
    fn write(self, to: &mut [u64; LANES]);
    /// Returns the same word in each lane.
    fn splat(word: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// Rotates to the right. `LEFT` is 64 less `RIGHT`.
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self;
    fn shift_right<const BITS: i32>(self) -> Self;
}

/// Words for every processor. Compilers do not make vector instructions of them, so they are slow.
impl Words for [u64; LANES] {
    #[inline(always)]
    fn read(from: &[u64; LANES]) -> Self {
        *from
    }

    #[inline(always)]
    fn write(self, to: &mut [u64; LANES]) {
        *to = self;
    }

    #[inline(always)]
    fn splat(word: u64) -> Self {
        [word; LANES]
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane].wrapping_add(other[lane]))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] ^ other[lane])
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] & other[lane])
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        self.map(|word| word.rotate_right(RIGHT.unsigned_abs()))
    }

    #[inline(always)]
    fn shift_right<const BITS: i32>(self) -> Self {
        self.map(|word| word >> BITS)
    }
}

/// Words in a register of AVX2. Only functions that are compiled for AVX2 may use them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx2(__m256i);

#[cfg(target_arch = "x86_64")]
impl Words for Avx2 {
    #[inline(always)]
    fn read(from: &[u64; LANES]) -> Self {
        let [w0, w1, w2, w3, ..] = *from;
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_set_epi64x(w3.cast_signed(), w2.cast_signed(), w1.cast_signed(), w0.cast_signed()) })
    }

    #[inline(always)]
    fn write(self, to: &mut [u64; LANES]) {
        // SAFETY: both types have the same size, and all values of their bits are valid.
        let words: [u64; 4] = unsafe { std::mem::transmute(self.0) };
        to.iter_mut().zip(words).for_each(|(to, word)| *to = word);
    }

    #[inline(always)]
    fn splat(word: u64) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_set1_epi64x(word.cast_signed()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_add_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_or_si256(_mm256_srli_epi64::<RIGHT>(self.0), _mm256_slli_epi64::<LEFT>(self.0)) })
    }

    #[inline(always)]
    fn shift_right<const BITS: i32>(self) -> Self {
        // SAFETY: only functions that are compiled for AVX2 use this type.
        Avx2(unsafe { _mm256_srli_epi64::<BITS>(self.0) })
    }
}

/// Words in a register of AVX-512. Only functions that are compiled for AVX-512 may use them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx512(__m512i);

#[cfg(target_arch = "x86_64")]
impl Words for Avx512 {
    #[inline(always)]
    fn read(from: &[u64; LANES]) -> Self {
        let [w0, w1, w2, w3, w4, w5, w6, w7] = *from;
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        let words = unsafe {
            _mm512_set_epi64(
                w7.cast_signed(),
                w6.cast_signed(),
                w5.cast_signed(),
                w4.cast_signed(),
                w3.cast_signed(),
                w2.cast_signed(),
                w1.cast_signed(),
                w0.cast_signed(),
            )
        };
        Avx512(words)
    }

    #[inline(always)]
    fn write(self, to: &mut [u64; LANES]) {
        // SAFETY: both types have the same size, and all values of their bits are valid.
        let words: [u64; 8] = unsafe { std::mem::transmute(self.0) };
        to.iter_mut().zip(words).for_each(|(to, word)| *to = word);
    }

    #[inline(always)]
    fn splat(word: u64) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_set1_epi64(word.cast_signed()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_add_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_ror_epi64::<RIGHT>(self.0) })
    }

    #[inline(always)]
    fn shift_right<const BITS: i32>(self) -> Self {
        // SAFETY: only functions that are compiled for AVX-512 use this type.
        Avx512(unsafe { _mm512_srlv_epi64(self.0, _mm512_set1_epi64(BITS.into())) })
    }
}
