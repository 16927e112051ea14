//! How schemas and notification channels are called.

use crate::generations::Generation;
use crate::model::Layout;

/// A namespace that cannot name schemas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace {0:?} cannot name database schemas: at most 40 letters, digits, '_', '-' or '.', not beginning with pg_"
)]
pub struct BadNamespace(String);

/// How schemas and notification channels are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    base: String,
}

impl Names {
    /// The names of a namespace; the empty one is called `boxoffice`.
    ///
    /// # Errors
    /// A namespace with other characters than letters, digits, `_`, `.` and `-`, longer than 40 (a database's names
    /// have at most 63 characters), or beginning with `pg_`.
    pub fn of(namespace: &str) -> Result<Self, BadNamespace> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if namespace.len() > 40 || !namespace.chars().all(fits) || namespace.starts_with("pg_") {
            return Err(BadNamespace(namespace.chars().take(60).collect()));
        }
        let base = if namespace.is_empty() { "boxoffice" } else { namespace };
        Ok(Self { base: base.to_owned() })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The schema of the views, quoted.
    pub fn views(&self) -> String {
        format!("\"{}\"", self.base)
    }

    /// The schema that says which generations there are, and which one the views show; quoted.
    pub fn control(&self) -> String {
        format!("\"{}_control\"", self.base)
    }

    /// The schema of a generation's tables, quoted.
    pub fn generation(&self, name: &str, Generation { version, number }: Generation) -> String {
        format!("\"{}_{name}_v{version}_g{number}\"", self.base)
    }

    /// The schema of the generation that a fresh database begins with, quoted.
    pub fn first(&self, layout: &Layout) -> String {
        self.generation(layout.name, Generation::first(layout))
    }

    /// The channel that tells the ids of changed orders: 32 hex digits each, comma between, at most 239 a message.
    pub fn orders_channel(&self) -> String {
        format!("{}_orders", self.base)
    }

    /// The channel that tells the ids of changed shows (details, classes, availability), written like orders.
    pub fn shows_channel(&self) -> String {
        format!("{}_shows", self.base)
    }

    /// The channel that tells the ids of shows whose waiting room moved on, written like orders.
    pub fn queues_channel(&self) -> String {
        format!("{}_queues", self.base)
    }

    /// The channel that tells the name of a read model whose checkpoints moved.
    pub fn checkpoints_channel(&self) -> String {
        format!("{}_checkpoints", self.base)
    }

    /// The channel that tells the name of a read model of which another generation is shown, or that was paused or
    /// resumed.
    pub fn control_channel(&self) -> String {
        format!("{}_control", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::LAYOUTS;

    #[test]
    fn a_namespace_names_schemas_or_is_refused() {
        let names = Names::of("").unwrap();
        assert_eq!(names.first(&LAYOUTS[2]), format!("\"boxoffice_orders_v{}_g1\"", LAYOUTS[2].version));
        assert_eq!(names.generation("orders", Generation { version: 3, number: 12 }), "\"boxoffice_orders_v3_g12\"");
        assert_eq!(Names::of("t-1.a").unwrap().views(), "\"t-1.a\"");
        for bad in ["a\"b", "ä", "a b", "pg_x", &"a".repeat(41)] {
            assert!(Names::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_name_is_longer_than_a_database_takes() {
        let names = Names::of(&"a".repeat(40)).unwrap();
        for layout in LAYOUTS {
            let schema = names.generation(layout.name, Generation { version: 99, number: 9999 });
            assert!(schema.len() <= 63 + 2, "{schema}");
        }
    }
}
