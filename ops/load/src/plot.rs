//! Pictures of a run as SVG, written by hand: lines over time, percentiles, and bars.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
/// Told apart also by who sees few colours (Okabe, Ito 2008).
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As they are, from 0.
    Linear,
    /// Each ten times as much as the one before, from the smallest.
    Logarithmic,
}

/// A line with its name.
#[derive(Debug, Clone)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// Its points; those that are no numbers are left out.
    pub points: Vec<(f64, f64)>,
}

/// What a picture says beside its lines.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    /// Above it.
    pub title: &'a str,
    /// Below it.
    pub x: &'a str,
    /// At its side.
    pub y: &'a str,
}

/// An axis: from where to where, and how.
#[derive(Debug, Clone, Copy)]
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    fn of(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let positive = values.clone().filter(|it| it.is_finite() && *it > 0.0);
        let high = values.filter(|it| it.is_finite()).fold(0.0, f64::max);
        match scale {
            Scale::Linear => Self { scale, low: 0.0, high: if high > 0.0 { high } else { 1.0 } },
            Scale::Logarithmic => {
                let low = positive.fold(f64::INFINITY, f64::min);
                let low = if low.is_finite() { 10_f64.powf(low.log10().floor()) } else { 1.0 };
                Self { scale, low, high: 10_f64.powf(high.max(low * 10.0).log10().ceil()) }
            }
        }
    }

    /// From 0 to 1.
    fn place(self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value / self.high,
            Scale::Logarithmic => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        }
    }

    fn ticks(self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let raw = self.high / 5.0;
                let ten = 10_f64.powf(raw.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * ten).into_iter().find(|it| *it >= raw).unwrap_or(raw);
                (0..=10).map(|at| f64::from(at) * step).filter(|it| *it <= self.high * 1.001).collect()
            }
            Scale::Logarithmic => {
                let mut ticks = vec![self.low];
                while let Some(last) = ticks.last().filter(|last| **last < self.high * 0.99) {
                    ticks.push(last * 10.0);
                }
                ticks
            }
        }
    }
}

/// Lines over a linear axis, their values on the one asked for.
pub fn lines(words: &Words<'_>, lines: &[Line], scale: Scale) -> String {
    let x = Axis::of(Scale::Linear, lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)));
    let named = x.ticks().into_iter().map(|tick| (tick, number(tick))).collect::<Vec<_>>();
    drawn(words, lines, x, &named, scale)
}

/// Latencies by percentile: each nine takes as much room as the one before. Points are (per cent, value).
pub fn percentiles(words: &Words<'_>, all: &[Line]) -> String {
    let nines = |percent: f64| -(1.0 - percent / 100.0).max(1e-5).log10();
    let moved = |line: &Line| Line {
        name: line.name.clone(),
        points: line.points.iter().map(|(percent, value)| (nines(*percent), *value)).collect(),
    };
    let named = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99].map(|percent| (nines(percent), format!("{percent} %")));
    let x = Axis { scale: Scale::Linear, low: 0.0, high: 4.2 };
    drawn(words, &all.iter().map(moved).collect::<Vec<_>>(), x, &named, Scale::Logarithmic)
}

fn drawn(words: &Words<'_>, lines: &[Line], x: Axis, named: &[(f64, String)], scale: Scale) -> String {
    let y = Axis::of(scale, lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)));
    let mut svg = frame(words, y);
    for (tick, name) in named {
        let at = across(x.place(*tick));
        let _ = writeln!(
            svg,
            r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            HEIGHT - BOTTOM + 18.0,
            escaped(name)
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let places: Vec<String> =
            points.map(|(at, value)| format!("{:.1},{:.1}", across(x.place(*at)), up(y.place(*value)))).collect();
        let _ = writeln!(
            svg,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{}"/>"#,
            places.join(" ")
        );
        legend(&mut svg, number, colour, &line.name);
    }
    svg + "</svg>\n"
}

/// Bars in groups: each group has a name and one value for each of the names.
pub fn bars(words: &Words<'_>, names: &[String], groups: &[(String, Vec<f64>)]) -> String {
    let y = Axis::of(Scale::Linear, groups.iter().flat_map(|(_, values)| values.iter().copied()));
    let mut svg = frame(words, y);
    let (groups_count, count) = (float(groups.len().max(1)), float(names.len().max(1)));
    let room = (WIDTH - LEFT - RIGHT) / groups_count;
    let wide = room * 0.8 / count;
    for (at, (group, values)) in groups.iter().enumerate() {
        let from = LEFT + room * (float(at) + 0.1);
        for (number, value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let (x, top) = (from + wide * float(number), up(y.place(*value)));
            let colour = COLOURS[number % COLOURS.len()];
            let high = HEIGHT - BOTTOM - top;
            let _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{top:.1}" width="{:.1}" height="{high:.1}" fill="{colour}"/>"#,
                wide * 0.92
            );
            let middle = x + wide * 0.46;
            let _ = writeln!(
                svg,
                r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                top - 4.0,
                number_of(*value)
            );
        }
        let middle = from + room * 0.4;
        let _ = writeln!(
            svg,
            r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            HEIGHT - BOTTOM + 18.0,
            escaped(group)
        );
    }
    for (number, name) in names.iter().enumerate() {
        legend(&mut svg, number, COLOURS[number % COLOURS.len()], name);
    }
    svg + "</svg>\n"
}

fn frame(words: &Words<'_>, y: Axis) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let _ = writeln!(svg, r#"<text x="{LEFT}" y="26" font-size="16">{}</text>"#, escaped(words.title));
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = writeln!(
        svg,
        r#"<text x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        HEIGHT - 14.0,
        escaped(words.x)
    );
    let half = (TOP + HEIGHT - BOTTOM) / 2.0;
    let _ = writeln!(
        svg,
        r#"<text transform="rotate(-90)" x="{:.1}" y="18" text-anchor="middle">{}</text>"#,
        -half,
        escaped(words.y)
    );
    for tick in y.ticks() {
        let at = up(y.place(tick));
        let _ =
            writeln!(svg, r##"<line x1="{LEFT}" y1="{at:.1}" x2="{:.1}" y2="{at:.1}" stroke="#ddd"/>"##, WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 6.0,
            at + 4.0,
            number(tick)
        );
    }
    svg
}

fn legend(svg: &mut String, at: usize, colour: &str, name: &str) {
    let (x, y) = (WIDTH - RIGHT + 14.0, TOP + 8.0 + 20.0 * float(at));
    let _ = writeln!(svg, r#"<rect x="{x:.1}" y="{:.1}" width="12" height="12" fill="{colour}"/>"#, y - 10.0);
    let _ = writeln!(svg, r#"<text x="{:.1}" y="{y:.1}">{}</text>"#, x + 18.0, escaped(name));
}

fn across(place: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * place.clamp(0.0, 1.0)
}

fn up(place: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * place.clamp(0.0, 1.0)
}

fn number(value: f64) -> String {
    let text = if value.abs() >= 1.0 || value == 0.0 { format!("{value:.1}") } else { format!("{value:.3}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number_of(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { number(value) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[allow(clippy::cast_precision_loss, reason = "a picture has few parts")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tag is closed in turn, every quote ends, nothing is unescaped, and no place is not a number.
    fn well_formed(svg: &str) {
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (inside, text) = tag.split_once('>').expect("a tag ends");
            assert!(!text.contains('>') && inside.matches('"').count() % 2 == 0, "{tag}");
            match inside.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{tag}"),
                None if inside.ends_with('/') => {}
                None => open.push(inside.split(' ').next().unwrap().to_owned()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    const WORDS: Words<'static> = Words { title: "a < b & c", x: "s", y: "ms" };

    fn line(points: &[(f64, f64)]) -> Line {
        Line { name: "p<99>".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn pictures_are_well_formed_whatever_they_show() {
        let some = [line(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 250.5)]), line(&[])];
        for scale in [Scale::Linear, Scale::Logarithmic] {
            well_formed(&lines(&WORDS, &some, scale));
            well_formed(&lines(&WORDS, &[], scale));
        }
        well_formed(&percentiles(&WORDS, &[line(&[(50.0, 1.0), (100.0, 1e4)])]));
        let names = ["d1".to_owned(), "d2".to_owned()];
        well_formed(&bars(&WORDS, &names, &[("ours".to_owned(), vec![1.0, f64::NAN]), ("&".to_owned(), vec![])]));
        well_formed(&bars(&WORDS, &[], &[]));
    }

    #[test]
    fn higher_values_are_drawn_higher() {
        let axis = Axis::of(Scale::Logarithmic, [0.5, 900.0].into_iter());
        assert_eq!((axis.low, axis.high), (0.1, 1000.0));
        assert!(up(axis.place(900.0)) < up(axis.place(0.5)));
        assert_eq!(Axis::of(Scale::Linear, [0.0, 10.0].into_iter()).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }
}
