//! What a PromQL query asks for.

use std::collections::BTreeSet;

use promql_parser::parser::{self, Expr, LabelModifier};
use promql_parser::util::{ExprVisitor, walk_expr};

/// Metrics with the labels that they are chosen by, and labels that are grouped by.
#[derive(Debug, Default)]
pub struct Used {
    pub metrics: Vec<(String, Vec<String>)>,
    pub labels: BTreeSet<String>,
}

/// What a query asks for.
pub fn used(query: &str) -> Result<Used, String> {
    let expression = parser::parse(query)?;
    let mut used = Used::default();
    let Ok(_) = walk_expr(&mut used, &expression);
    Ok(used)
}

impl ExprVisitor for Used {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        let selector = match expression {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                    self.labels.extend(labels.labels.iter().cloned());
                }
                return Ok(true);
            }
            _ => return Ok(true),
        };
        let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        self.metrics.push((selector.name.clone().unwrap_or_default(), labels));
        Ok(true)
    }
}
