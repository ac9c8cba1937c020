//! A number of wrong passwords that goes back with time.

/// Some of what is counted, and when that was.
///
/// It goes back evenly: of an allowance of ten an hour, one is given back every six minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    level: f32,
    /// Seconds since 1970.
    at: u64,
}

/// How much is allowed, and in how many seconds that much is given back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    pub most: u32,
    pub window: u64,
}

impl Allowance {
    fn given_back(&self, seconds: u64) -> f32 {
        seconds as f32 * self.most as f32 / self.window.max(1) as f32
    }

    /// How many seconds pass until `count` is below `level`.
    pub fn seconds_until_below(&self, level: f32, count: &Count, now: u64) -> u64 {
        let above = (count.level(self, now) - level).max(0.0);
        (above * self.window.max(1) as f32 / self.most.max(1) as f32).ceil() as u64
    }
}

impl Count {
    /// What was counted, as a file has kept it. A time in the future is one of a clock that was set.
    pub fn kept(level: f32, at: u64, now: u64) -> Option<Self> {
        (level.is_finite() && level >= 0.0).then_some(Count { level, at: at.min(now) })
    }

    /// What is left of it.
    pub fn level(&self, allowance: &Allowance, now: u64) -> f32 {
        (self.level - allowance.given_back(now.saturating_sub(self.at))).max(0.0)
    }

    /// One more, and what there is with it.
    pub fn add(&mut self, allowance: &Allowance, now: u64) -> f32 {
        *self = Count { level: self.level(allowance, now) + 1.0, at: now.max(self.at) };
        self.level
    }

    /// What there was when it was last added to, and when.
    pub fn parts(&self) -> (f32, u64) {
        (self.level, self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_AN_HOUR: Allowance = Allowance { most: 10, window: 3600 };

    #[test]
    fn it_goes_back_evenly_and_never_below_nothing() {
        let mut count = Count::default();
        (0..20).for_each(|_| _ = count.add(&TEN_AN_HOUR, 1000));
        assert_eq!(count.level(&TEN_AN_HOUR, 1000), 20.0);
        assert_eq!(count.level(&TEN_AN_HOUR, 1360), 19.0);
        assert_eq!(TEN_AN_HOUR.seconds_until_below(10.0, &count, 1360), 9 * 360);
        assert_eq!(count.level(&TEN_AN_HOUR, 1_000_000), 0.0);
        assert_eq!(count.add(&TEN_AN_HOUR, 1_000_000), 1.0);
        assert_eq!(count.level(&TEN_AN_HOUR, 5), 1.0, "a clock that goes back gives nothing back");
    }

    #[test]
    fn what_a_file_has_kept_is_no_number_of_the_future_and_no_odd_one() {
        assert_eq!(Count::kept(3.0, 99, 50), Some(Count { level: 3.0, at: 50 }));
        for level in [f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(Count::kept(level, 1, 50), None);
        }
    }
}
