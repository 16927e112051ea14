//! What services tell about themselves, in Prometheus's text.

use std::collections::BTreeMap;

/// Every sample of one answer, by its name with labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Reads the text; lines that are no samples are left out.
    pub fn read(text: &str) -> Self {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse::<f64>().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum of all samples of this name, whatever their labels; 0 if there is none.
    pub fn sum(&self, name: &str) -> f64 {
        self.of(name).map(|(_, value)| value).filter(|value| value.is_finite()).sum()
    }

    /// Whether there is a sample of this name.
    pub fn has(&self, name: &str) -> bool {
        self.of(name).next().is_some()
    }

    /// The sample of this name that has all these labels.
    pub fn at(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |text: &str| labels.iter().all(|(label, value)| text.contains(&format!("{label}=\"{value}\"")));
        self.of(name).find(|(text, _)| has(text)).map(|(_, value)| value)
    }

    /// The sums of all samples of this name by the value of one label.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        let mark = format!("{label}=\"");
        for (labels, value) in self.of(name) {
            let Some((_, rest)) = labels.split_once(&mark) else { continue };
            let key = rest.split('"').next().unwrap_or_default();
            *sums.entry(key.to_owned()).or_insert(0.0) += value;
        }
        sums
    }

    /// The cumulative buckets of a histogram by the value of one label: upper bounds and counts.
    pub fn buckets(&self, name: &str, label: &str) -> BTreeMap<String, Vec<(f64, f64)>> {
        let value = |labels: &str, name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (labels, count) in self.of(&format!("{name}_bucket")) {
            let (Some(key), Some(bound)) = (value(labels, label), value(labels, "le")) else { continue };
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap_or(f64::NAN) };
            all.entry(key).or_default().push((bound, count));
        }
        all
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(full, value)| {
            let rest = full.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('{')).then_some((rest, *value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_by_label() {
        let text = "# TYPE outbox gauge\noutbox{topic=\"a\",partition=\"0\"} 3\noutbox{topic=\"b\",partition=\"0\"} 4\n\
                    outbox{topic=\"a\",partition=\"1\"} 5\noutbox_other 100\nplain 7\nage NaN\n";
        let metrics = Metrics::read(text);
        assert_eq!([metrics.sum("outbox"), metrics.sum("plain"), metrics.sum("age")], [12.0, 7.0, 0.0]);
        assert_eq!(metrics.by("outbox", "topic"), BTreeMap::from([("a".to_owned(), 8.0), ("b".to_owned(), 4.0)]));
        assert_eq!(metrics.at("outbox", &[("topic", "a"), ("partition", "1")]), Some(5.0));
        assert_eq!(metrics.at("outbox", &[("topic", "b"), ("partition", "1")]), None);
        assert!(metrics.has("age") && !metrics.has("nothing"));
        let text =
            "h_seconds_bucket{projection=\"a\",le=\"0.5\"} 3\nh_seconds_bucket{projection=\"a\",le=\"+Inf\"} 4\n";
        let buckets = Metrics::read(text).buckets("h_seconds", "projection");
        assert_eq!(buckets["a"], [(0.5, 3.0), (f64::INFINITY, 4.0)]);
    }
}
