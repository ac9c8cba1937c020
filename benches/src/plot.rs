//! Plots over time as SVG: panels above each other that share the axis of the time.
//!
//! The colours are legible on white and on dark pages: the background is transparent, texts and lines are grey.

use std::fmt::Write;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 18.0;
/// Height of the title and of the names of the bands.
const TOP: f64 = 46.0;
const BOTTOM: f64 = 46.0;
/// Height between two panels, in which the title and the legend of the lower one are.
const GAP: f64 = 44.0;
const TEXT: &str = "#7d858f";
const GRID: &str = "#8c959f";

/// Colours of series: those of answers, and two others.
pub mod colour {
    /// Yes.
    pub const YES: &str = "#2f9e6e";
    /// No.
    pub const NO: &str = "#d9892b";
    /// Not now, and what is down.
    pub const NOT_NOW: &str = "#d64550";
    /// A value.
    pub const VALUE: &str = "#3f83c8";
    /// A second value.
    pub const OTHER: &str = "#9a6cc4";
}

/// A line, or an area below it.
pub struct Series {
    /// Name in the legend.
    pub name: &'static str,
    /// Colour, such as [`colour::YES`].
    pub colour: &'static str,
    /// Seconds and values, in ascending order of the seconds. A value that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
}

/// Scale of the values.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0 to the largest value.
    Linear,
    /// Powers of ten.
    Logarithmic,
}

/// A panel with one scale.
pub struct Panel {
    /// What is shown, with the unit.
    pub title: &'static str,
    /// Scale of the values.
    pub scale: Scale,
    /// True if the series are areas on top of each other.
    pub stacked: bool,
    /// Height in pixels.
    pub height: f64,
    /// The lines or areas.
    pub series: Vec<Series>,
}

/// A span of time that is marked in all panels.
pub struct Band {
    /// First second.
    pub from: f64,
    /// Last second.
    pub to: f64,
    /// What happened.
    pub name: &'static str,
}

/// A picture.
pub struct Figure {
    /// Title above all panels.
    pub title: &'static str,
    /// Last second.
    pub seconds: f64,
    /// Marked spans.
    pub bands: Vec<Band>,
    /// Panels from top to bottom.
    pub panels: Vec<Panel>,
}

impl Figure {
    /// Returns the picture as SVG.
    pub fn svg(&self) -> String {
        let panels: f64 = self.panels.iter().map(|panel| panel.height + GAP).sum();
        let height = TOP + panels + BOTTOM;
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{TEXT}\">\n<title>{0}</title>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" font-weight=\"600\">{0}</text>\n",
            escaped(self.title)
        );
        let mut top = TOP;
        for (number, panel) in self.panels.iter().enumerate() {
            top += GAP - if number == 0 { 12.0 } else { 0.0 };
            self.bands.iter().for_each(|band| self.add_band(&mut out, band, top, panel.height, number == 0));
            self.add_panel(&mut out, panel, top);
            top += panel.height;
        }
        self.add_seconds(&mut out, top);
        out.push_str("</svg>\n");
        out
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    fn add_band(&self, out: &mut String, band: &Band, top: f64, height: f64, named: bool) {
        let (from, to) = (self.x(band.from), self.x(band.to));
        let red = colour::NOT_NOW;
        let _ = writeln!(
            out,
            "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{red}\" fill-opacity=\"0.09\"/>",
            to - from
        );
        if named {
            let (middle, y) = ((from + to) / 2.0, top - 28.0);
            let name = escaped(band.name);
            let _ = writeln!(
                out,
                "<text x=\"{middle:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{red}\">{name}</text>"
            );
        }
    }

    fn add_panel(&self, out: &mut String, panel: &Panel, top: f64) {
        let axis = Axis::of(panel, top);
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"600\">{}</text>",
            top - 8.0,
            escaped(panel.title)
        );
        let mut right = WIDTH - RIGHT;
        for series in panel.series.iter().rev() {
            // About the width of the text.
            let width = series.name.chars().count() as f64 * 6.6;
            let (x, y) = (right - width, top - 8.0);
            let (colour, name) = (series.colour, escaped(series.name));
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{colour}\"/><text x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>",
                x - 15.0,
                y - 9.0
            );
            right = x - 30.0;
        }
        for tick in axis.ticks() {
            let y = axis.y(tick);
            let (end, shown) = (WIDTH - RIGHT, number(tick));
            let _ = writeln!(
                out,
                "<path d=\"M{LEFT} {y:.1}H{end}\" stroke=\"{GRID}\" stroke-opacity=\"0.3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{shown}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        let mut below: Vec<(f64, f64)> = Vec::new();
        for series in &panel.series {
            if panel.stacked {
                let above = stacked(&below, &series.points);
                self.add_area(out, &axis, &below, &above, series.colour);
                below = above;
            } else {
                self.add_line(out, &axis, &series.points, series.colour);
            }
        }
    }

    fn add_line(&self, out: &mut String, axis: &Axis, points: &[(f64, f64)], colour: &str) {
        let mut path = String::new();
        let mut draws = false;
        for (seconds, value) in points {
            if value.is_finite() {
                let _ = write!(path, "{}{:.1} {:.1}", if draws { 'L' } else { 'M' }, self.x(*seconds), axis.y(*value));
            }
            draws = value.is_finite();
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>"
        );
    }

    fn add_area(&self, out: &mut String, axis: &Axis, below: &[(f64, f64)], above: &[(f64, f64)], colour: &str) {
        let point = |(seconds, value): &(f64, f64)| format!("{:.1} {:.1}", self.x(*seconds), axis.y(*value));
        let upper: Vec<String> = above.iter().map(point).collect();
        let ground: Vec<(f64, f64)> = above.iter().map(|(seconds, _)| (*seconds, 0.0)).collect();
        let lower = if below.is_empty() { &ground } else { below };
        let lower: Vec<String> = lower.iter().rev().map(point).collect();
        let (edge, back) = (upper.join("L"), lower.join("L"));
        let _ = writeln!(out, "<path d=\"M{edge}L{back}Z\" fill=\"{colour}\" fill-opacity=\"0.55\"/>");
    }

    fn add_seconds(&self, out: &mut String, y: f64) {
        let step = step(self.seconds / 10.0);
        let mut seconds = 0.0;
        while seconds <= self.seconds {
            let x = self.x(seconds);
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {y:.1}v5\" stroke=\"{GRID}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 18.0,
                number(seconds)
            );
            seconds += step;
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(out, "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"{GRID}\"/>", WIDTH - RIGHT);
        let _ = writeln!(out, "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">seconds</text>", y + 36.0);
    }
}

/// Returns the sums of two lines with the same seconds.
fn stacked(below: &[(f64, f64)], points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let base = |at: usize| below.get(at).map_or(0.0, |(_, value)| *value);
    points.iter().enumerate().map(|(at, (seconds, value))| (*seconds, base(at) + value)).collect()
}

/// The values of a panel, and where they are.
struct Axis {
    scale: Scale,
    /// Lowest and highest value; their logarithms if the scale is logarithmic.
    low: f64,
    high: f64,
    top: f64,
    height: f64,
}

impl Axis {
    fn of(panel: &Panel, top: f64) -> Self {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        let mut values: Vec<f64> = Vec::new();
        for series in &panel.series {
            sums = if panel.stacked { stacked(&sums, &series.points) } else { series.points.clone() };
            values.extend(sums.iter().map(|(_, value)| *value).filter(|value| value.is_finite()));
        }
        let most = values.iter().copied().fold(0.0, f64::max);
        let (low, high) = match panel.scale {
            Scale::Linear => {
                let step = step(most.max(1.0) / 4.0);
                (0.0, (most.max(1.0) / step).ceil() * step)
            }
            Scale::Logarithmic => {
                let least = values.iter().copied().filter(|value| *value > 0.0).fold(most.max(1e-6), f64::min);
                (least.log10().floor(), most.max(least * 10.0).log10().ceil())
            }
        };
        Axis { scale: panel.scale, low, high, top, height: panel.height }
    }

    fn y(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(1e-9).log10(),
        };
        self.top + self.height * (1.0 - ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0))
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high / 4.0);
                (0..=(self.high / step).round() as u32).map(|number| f64::from(number) * step).collect()
            }
            Scale::Logarithmic => (self.low as i32..=self.high as i32).map(|power| 10_f64.powi(power)).collect(),
        }
    }
}

/// Returns the smallest of 1, 2, 5, 10 and so on that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least * 0.999).unwrap_or(power)
}

fn number(value: f64) -> String {
    if value >= 1.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_axes_series_and_bands() {
        let series = |name, value| Series { name, colour: colour::YES, points: vec![(0.0, value), (10.0, value)] };
        let panel = |scale, stacked| Panel {
            title: "values per second",
            scale,
            stacked,
            height: 100.0,
            series: vec![series("a & b", 30.0), series("c", 20.0)],
        };
        let figure = Figure {
            title: "Title",
            seconds: 10.0,
            bands: vec![Band { from: 2.0, to: 4.0, name: "down" }],
            panels: vec![panel(Scale::Linear, true), panel(Scale::Logarithmic, false)],
        };
        let svg = figure.svg();
        assert_eq!((svg.matches("<svg").count(), svg.matches("</svg>").count()), (1, 1));
        // The sum of both areas is 50, and the tick of that value is the uppermost.
        for part in [">Title<", ">down<", ">a &amp; b<", ">60<", ">100<", ">10<", ">seconds<"] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
    }

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([0.3, 1.0, 12.0, 25.0, 99.0].map(step), [0.5, 1.0, 20.0, 50.0, 100.0]);
    }
}
