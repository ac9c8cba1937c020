//! Ranges of values, as of the Monitoring Plugins Development Guidelines: `10`, `10:`, `~:10`, `10:20` and `@10:20`.

use super::performance::Metric;
use std::fmt;

/// A range of values. A value outside of it is an alert, or inside of it if it is inverted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    from: f64,
    to: f64,
    is_inverted: bool,
}

impl Range {
    /// Returns the range from 0 to `most`.
    pub fn up_to(most: f64) -> Self {
        Range { from: 0.0, to: most, is_inverted: false }
    }

    fn parse(text: &str) -> Option<Self> {
        let (is_inverted, text) = text.strip_prefix('@').map_or((false, text), |text| (true, text));
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
        let (from, to) = match text.split_once(':') {
            None => (0.0, number(text)?),
            Some((from, to)) => {
                let from = if from == "~" { f64::NEG_INFINITY } else { number(from)? };
                (from, if to.is_empty() { f64::INFINITY } else { number(to)? })
            }
        };
        (from <= to).then_some(Range { from, to, is_inverted })
    }

    /// Returns true if this value is an alert.
    pub fn is_broken_by(self, value: f64) -> bool {
        (self.from..=self.to).contains(&value) == self.is_inverted
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { from, to, is_inverted } = *self;
        f.write_str(if is_inverted { "@" } else { "" })?;
        match from {
            f64::NEG_INFINITY => f.write_str("~:")?,
            0.0 if to.is_finite() => {}
            from => write!(f, "{from}:")?,
        }
        if to.is_finite() { write!(f, "{to}") } else { Ok(()) }
    }
}

/// Reads `NAME=RANGE`.
pub(super) fn named(text: &str) -> Result<(Metric, Range), String> {
    let (name, range) = text.split_once('=').ok_or("write it as NAME=RANGE, such as latency=0.5")?;
    let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name).ok_or_else(|| {
        let names = Metric::ALL.map(Metric::name).join(", ");
        format!("there is no value {name:?}; the values are {names}")
    })?;
    let range = Range::parse(range).ok_or("write the range as 10, 10:, ~:10, 10:20 or @10:20")?;
    Ok((metric, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_guidelines() {
        for (text, alerts, fine) in [
            ("10", &[-0.1, 10.1][..], &[0.0, 10.0][..]),
            ("10:", &[9.9], &[10.0, 1e9]),
            ("~:10", &[10.1], &[-1e9, 10.0]),
            ("10:20", &[9.9, 20.1], &[10.0, 20.0]),
            ("@10:20", &[10.0, 20.0], &[9.9, 20.1]),
        ] {
            let range = Range::parse(text).unwrap();
            assert_eq!(range.to_string(), text);
            assert!(alerts.iter().all(|value| range.is_broken_by(*value)), "{text}");
            assert!(!fine.iter().any(|value| range.is_broken_by(*value)), "{text}");
        }
        for wrong in ["", "x", "20:10", "1:2:3", "inf", "NaN", "~", ":"] {
            assert_eq!(Range::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_value_is_refused_with_the_names() {
        assert_eq!(named("queue=40"), Ok((Metric::Queue, Range::up_to(40.0))));
        let refused = named("load=40").unwrap_err();
        assert!(refused.ends_with("time, latency, snapshot_age, queue, connections, kept"), "{refused}");
        assert!(named("queue").is_err() && named("queue=many").is_err());
    }
}
