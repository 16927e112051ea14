//! What must hold for a show's details and terms as a whole, however they were patched together.

use crate::queue;
use crate::show::{ClassTerms, DetailsPatch, Refusal, ShowDetails, TermsPatch};

/// A show has at most so many ticket classes.
pub(super) const MAX_CLASSES: usize = 100;

impl DetailsPatch {
    /// The details with these changes.
    pub(super) fn onto(self, old: &ShowDetails) -> ShowDetails {
        ShowDetails {
            name: self.name.unwrap_or_else(|| old.name.clone()),
            description: self.description.unwrap_or_else(|| old.description.clone()),
            starts_at: self.starts_at.unwrap_or(old.starts_at),
            ends_at: self.ends_at.unwrap_or(old.ends_at),
            time_zone: self.time_zone.unwrap_or_else(|| old.time_zone.clone()),
            venue_name: self.venue_name.unwrap_or_else(|| old.venue_name.clone()),
            venue_city: self.venue_city.unwrap_or_else(|| old.venue_city.clone()),
            currency: self.currency.unwrap_or(old.currency),
            categories: self.categories.unwrap_or_else(|| old.categories.clone()),
        }
    }
}

impl TermsPatch {
    /// The terms with these changes.
    pub(super) fn onto(self, old: &ClassTerms) -> ClassTerms {
        ClassTerms {
            ticket_class: old.ticket_class,
            name: self.name.unwrap_or_else(|| old.name.clone()),
            price: self.price.unwrap_or(old.price),
            capacity: self.capacity.unwrap_or(old.capacity),
            sale_starts_at: self.sale_starts_at.unwrap_or(old.sale_starts_at),
            sale_ends_at: self.sale_ends_at.unwrap_or(old.sale_ends_at),
            max_per_order: self.max_per_order.unwrap_or(old.max_per_order),
        }
    }
}

/// The details, if they do not contradict themselves.
pub(super) fn sound_details(details: ShowDetails) -> Result<ShowDetails, Refusal> {
    text("name", &details.name, 1, 200)?;
    text("description", details.description.as_deref().unwrap_or_default(), 0, 10_000)?;
    if details.ends_at.is_some_and(|ends| ends < details.starts_at) {
        return Err(invalid("ends_at", "a show cannot end before it starts"));
    }
    Ok(details)
}

/// The terms, if they do not contradict themselves.
pub(super) fn sound_terms(terms: ClassTerms) -> Result<ClassTerms, Refusal> {
    text("name", &terms.name, 1, 200)?;
    if terms.price < 0 {
        return Err(invalid("price", "a price cannot be negative"));
    }
    if terms.capacity < 0 {
        return Err(invalid("capacity", "a capacity cannot be negative"));
    }
    if !(1..=100).contains(&terms.max_per_order) {
        return Err(invalid("max_per_order", "between 1 and 100 of a class in one order"));
    }
    match (terms.sale_starts_at, terms.sale_ends_at) {
        (Some(starts), Some(ends)) if ends <= starts => {
            Err(invalid("sale_ends_at", "the sale cannot end before it starts"))
        }
        _ => Ok(terms),
    }
}

/// The settings of a waiting room, if each is within its bounds.
pub(super) fn sound_room(terms: &queue::Terms) -> Result<(), Refusal> {
    terms.check().map_err(|error| {
        let detail = format!("between {} and {}", error.min, error.max);
        invalid(&format!("waiting_room/{}", error.field), &detail)
    })
}

fn text(field: &str, text: &str, min: usize, max: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if (min..=max).contains(&length) {
        return Ok(());
    }
    Err(invalid(field, &format!("between {min} and {max} characters, not {length}")))
}

/// A refusal that names the field as the JSON body does.
pub(super) fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::Invalid { field: field.to_owned(), detail: detail.to_owned() }
}
