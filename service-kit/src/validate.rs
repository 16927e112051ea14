//! Rules of a body beyond its shape, each breach named by a JSON pointer.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::problem::{FieldError, Problem};

/// A body that can say what is wrong with itself.
pub trait Validate {
    /// Adds every breach of a rule to `errors`.
    fn validate(&self, errors: &mut Errors);
}

/// What is wrong with a body, collected while walking through it.
#[derive(Debug, Default)]
pub struct Errors {
    at: String,
    list: Vec<FieldError>,
}

impl Errors {
    /// `name` (a field or an index, at the present place) breaks a rule.
    pub fn reject(&mut self, name: impl Display, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.at, escape(&name.to_string()));
        self.list.push(FieldError { pointer, detail: detail.into() });
    }

    /// The present place as a whole breaks a rule.
    pub fn reject_whole(&mut self, detail: impl Into<String>) {
        self.list.push(FieldError { pointer: self.at.clone(), detail: detail.into() });
    }

    /// Walks into a field or an index.
    pub fn within(&mut self, name: impl Display, walk: impl FnOnce(&mut Self)) {
        let outside = self.at.len();
        self.at.push('/');
        self.at.push_str(&escape(&name.to_string()));
        walk(self);
        self.at.truncate(outside);
    }

    /// Walks into every element of a list.
    pub fn each<T: Validate>(&mut self, name: impl Display, items: &[T]) {
        self.within(name, |errors| {
            for (index, item) in items.iter().enumerate() {
                errors.within(index, |errors| item.validate(errors));
            }
        });
    }

    /// A text of so many characters (not bytes), without control characters other than line breaks and tabs.
    pub fn text(&mut self, name: impl Display, text: &str, length: RangeInclusive<usize>) {
        let (min, max) = (*length.start(), *length.end());
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if !length.contains(&text.chars().count()) {
            self.reject(name, format!("must have from {min} to {max} characters"));
        } else if min > 0 && text.trim().is_empty() {
            self.reject(name, "must not be blank");
        } else if text.contains(control) {
            self.reject(name, "must not have control characters");
        }
    }

    /// A number of this range.
    pub fn range<N: PartialOrd + Display>(&mut self, name: impl Display, number: N, range: RangeInclusive<N>) {
        if !range.contains(&number) {
            self.reject(name, format!("must be from {} to {}", range.start(), range.end()));
        }
    }

    /// An absolute `http` or `https` URL of at most 2,048 characters, without credentials or spaces.
    pub fn url(&mut self, name: impl Display, text: &str) {
        if !is_web_url(text) {
            self.reject(name, "must be an absolute http or https URL of at most 2048 characters");
        }
    }

    /// What was found, in the order it was found.
    pub fn into_list(self) -> Vec<FieldError> {
        self.list
    }

    /// 422 `validation` if anything was found.
    ///
    /// # Errors
    /// The problem that names each place.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.list.is_empty() { Ok(()) } else { Err(Problem::validation(self.list)) }
    }
}

/// Whether a text is an absolute `http` or `https` URL that is safe to send a browser to.
pub fn is_web_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.authority().is_some_and(|it| !it.host().is_empty() && !it.as_str().contains('@'));
    web && host && text.len() <= 2048
}

/// One step of an RFC 6901 pointer.
pub(crate) fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line(i32);

    impl Validate for Line {
        fn validate(&self, errors: &mut Errors) {
            errors.range("quantity", self.0, 1..=100);
        }
    }

    fn pointers(walk: impl FnOnce(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::default();
        walk(&mut errors);
        errors.into_list().into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn pointers_follow_the_walk() {
        let found = pointers(|errors| {
            errors.each("lines", &[Line(1), Line(0), Line(101)]);
            errors.reject("a/b~c", "");
            errors.reject_whole("");
        });
        assert_eq!(found, ["/lines/1/quantity", "/lines/2/quantity", "/a~1b~0c", ""]);
    }

    #[test]
    fn a_text_is_counted_in_characters_and_is_not_blank() {
        assert!(pointers(|e| e.text("name", &"ế".repeat(200), 1..=200)).is_empty());
        assert!(pointers(|e| e.text("name", "two\nlines", 1..=200)).is_empty());
        for bad in ["", "  ", "a\0b", &"x".repeat(201)] {
            assert_eq!(pointers(|e| e.text("name", bad, 1..=200)), ["/name"], "{bad:?}");
        }
    }

    #[test]
    fn a_url_leads_to_the_web() {
        assert!(is_web_url("https://shop.example/return?x=1"));
        for bad in ["javascript:alert(1)", "/return", "ftp://a.example/", "https://u:p@a.example/", "http://", "a b"] {
            assert!(!is_web_url(bad), "{bad}");
        }
    }
}
