//! The schema registry: whether it answers, and means by every id what the log means.

use super::Finding;
use crate::registry::compare;
use crate::site::Site;

pub(super) async fn check(site: &Site) -> Vec<Finding> {
    let compared = match compare(site).await {
        Ok(compared) => compared,
        Err(error) => {
            let remedy = "start the registry, or set BOXOFFICE_REGISTRY to its address (boxctl schemas check)";
            return vec![Finding::wrong("schema registry", format!("{error:#}"), remedy)];
        }
    };
    let total = compared.schemas.len();
    if compared.holds {
        return vec![Finding::ok(
            "schema registry",
            format!("{total} schemas, each under the id that the log has for it"),
        )];
    }
    if let Some(refusal) = compared.refusal() {
        let remedy = "point BOXOFFICE_REGISTRY at the registry that the log was written with, or at an empty one and run `boxctl schemas restore`";
        return vec![Finding::wrong("schema registry", refusal, remedy)];
    }
    let lost = compared.lost().len();
    match lost {
        0 => {
            let missing = compared.unregistered.len();
            vec![Finding::wrong(
                "schema registry",
                format!("{missing} schemas of this version are not registered"),
                "boxctl init",
            )]
        }
        _ => vec![Finding::wrong(
            "schema registry",
            format!("it lost {lost} of {total} schemas"),
            "boxctl schemas restore",
        )],
    }
}
