//! What there is: every read model with its generations, as of one moment.

use std::collections::BTreeMap;

use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow, PgExecutor};

use super::Generation;
use crate::model::Layout;
use crate::names::Names;

/// What a generation is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was begun, and readers have not seen it yet.
    Filling,
    /// It was filled and verified, and waits for the switch.
    Ready,
    /// Readers see it.
    Live,
    /// Readers saw it before, and may go back to it.
    Kept,
}

/// A generation, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which one.
    pub generation: Generation,
    /// What it is there for.
    pub state: State,
    /// Whether its secondary indexes are still to be built.
    pub unindexed: bool,
    /// Whether readers ever saw it.
    pub served: bool,
    /// When it was begun, in microseconds since 1970.
    pub created_at_us: i64,
    /// The queries of its views by their names, with `{name}` for the schema of a read model.
    pub(crate) views: BTreeMap<String, String>,
}

/// A read model, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub name: String,
    /// The generation that readers see.
    pub live: Generation,
    /// Since when projectors do not fill it, in microseconds since 1970; none if they do.
    pub paused_at_us: Option<i64>,
    /// Every generation there is, the oldest first.
    pub generations: Vec<Known>,
}

/// Every read model by its name.
pub type Overview = BTreeMap<String, Standing>;

/// What code of one version has to do for a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Fill this one.
    Fill(Generation),
    /// Fill nothing until it is resumed; this one stands still.
    Paused(Generation),
    /// There is nothing that this version could fill.
    Nothing,
}

impl Standing {
    /// A generation by its number.
    pub fn numbered(&self, number: u32) -> Option<&Known> {
        self.generations.iter().find(|known| known.generation.number == number)
    }

    /// The newest generation of a version.
    pub fn newest_of(&self, version: u32) -> Option<&Known> {
        self.generations.iter().rev().find(|known| known.generation.version == version)
    }

    /// The generation that readers saw last before the live one.
    pub fn kept(&self) -> Option<&Known> {
        self.generations.iter().rev().find(|known| known.state == State::Kept)
    }

    /// What code of this version has to do: it fills what readers see if that is its own, else its newest.
    pub(crate) fn target(&self, layout: &Layout) -> Target {
        let ours = match self.live.version == layout.version {
            true => Some(self.live),
            false => self.newest_of(layout.version).map(|known| known.generation),
        };
        match (ours, self.paused_at_us) {
            (None, _) => Target::Nothing,
            (Some(generation), Some(_)) => Target::Paused(generation),
            (Some(generation), None) => Target::Fill(generation),
        }
    }

    /// Whether code of this version has to begin a generation of its own.
    pub(crate) fn lacks(&self, layout: &Layout) -> bool {
        self.live.version < layout.version && self.newest_of(layout.version).is_none()
    }

    /// What is to be shown as soon as it has caught up: of newer code than what is shown, and not yet seen by anybody.
    /// What readers saw before was taken away from them by a person.
    pub(crate) fn promised(&self, layout: &Layout) -> Option<Generation> {
        let newest = self.newest_of(layout.version).filter(|_| self.live.version < layout.version)?;
        (!newest.served).then_some(newest.generation)
    }
}

impl State {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Kept => "kept",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Filling, Self::Ready, Self::Live, Self::Kept].into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(FromRow)]
struct Row {
    name: String,
    live_generation: i32,
    paused_at_us: Option<i64>,
    generation: i32,
    version: i32,
    state: String,
    unindexed: bool,
    served: bool,
    created_at_us: i64,
    views: Json<BTreeMap<String, String>>,
}

/// Every read model with its generations.
///
/// # Errors
/// Whatever the database says; `undefined_table` or `invalid_schema_name` if [`crate::ensure`] never ran.
pub async fn overview(database: impl PgExecutor<'_>, names: &Names) -> Result<Overview, sqlx::Error> {
    let control = names.control();
    let sql = format!(
        "select p.name, p.live_generation, (extract(epoch from p.paused_at) * 1000000)::bigint as paused_at_us,
            g.generation, g.version, g.state, g.unindexed, g.live_since is not null as served,
            (extract(epoch from g.created_at) * 1000000)::bigint as created_at_us, g.views
         from {control}.projections p join {control}.generations g using (name)
         order by p.name, g.generation"
    );
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(database).await?;
    let mut overview = Overview::new();
    for row in rows {
        let (name, live, paused_at_us) = (row.name.clone(), row.live_generation, row.paused_at_us);
        let known = known(row)?;
        let standing = overview.entry(name.clone()).or_insert_with(|| Standing {
            name,
            live: known.generation,
            paused_at_us,
            generations: Vec::new(),
        });
        if i64::from(known.generation.number) == i64::from(live) {
            standing.live = known.generation;
        }
        standing.generations.push(known);
    }
    Ok(overview)
}

fn known(row: Row) -> Result<Known, sqlx::Error> {
    let number = |value: i32| u32::try_from(value).map_err(|error| sqlx::Error::Decode(error.into()));
    let generation = Generation { version: number(row.version)?, number: number(row.generation)? };
    let strange = || sqlx::Error::Decode(format!("{:?} is no state of a generation", row.state).into());
    Ok(Known {
        generation,
        state: State::of(&row.state).ok_or_else(strange)?,
        unindexed: row.unindexed,
        served: row.served,
        created_at_us: row.created_at_us,
        views: row.views.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::LAYOUTS;

    fn standing(live: u32, all: &[(u32, bool)]) -> Standing {
        let known = |(n, (version, served)): (u32, &(u32, bool))| Known {
            generation: Generation { version: *version, number: n },
            state: if n == live { State::Live } else { State::Kept },
            unindexed: false,
            served: *served,
            created_at_us: 0,
            views: BTreeMap::new(),
        };
        let generations: Vec<Known> = (1..).zip(all).map(known).collect();
        let live = generations[live as usize - 1].generation;
        Standing { name: "orders".to_owned(), live, paused_at_us: None, generations }
    }

    fn code(version: u32) -> Layout {
        Layout { version, ..LAYOUTS[2] }
    }

    #[test]
    fn code_fills_what_is_live_if_it_is_its_own_and_else_its_newest() {
        let of = |version, number| Target::Fill(Generation { version, number });
        let rebuilt = standing(2, &[(1, true), (1, true)]);
        assert_eq!(rebuilt.target(&code(1)), of(1, 2));
        let back = standing(1, &[(1, true), (1, true)]);
        assert_eq!(back.target(&code(1)), of(1, 1));
        let newer = standing(2, &[(1, true), (2, false), (2, false)]);
        assert_eq!((newer.target(&code(1)), newer.target(&code(2))), (of(1, 1), of(2, 2)));
        assert_eq!(newer.target(&code(3)), Target::Nothing);
        let paused = Standing { paused_at_us: Some(1), ..rebuilt };
        assert_eq!(paused.target(&code(1)), Target::Paused(Generation { version: 1, number: 2 }));
    }

    #[test]
    fn new_code_begins_a_generation_and_shows_it_once() {
        let first = standing(1, &[(1, true)]);
        assert!(first.lacks(&code(2)) && !first.lacks(&code(1)));
        let beside = standing(1, &[(1, true), (2, false)]);
        assert!(!beside.lacks(&code(2)));
        assert_eq!(beside.promised(&code(2)), Some(Generation { version: 2, number: 2 }));
        assert_eq!(beside.promised(&code(1)), None, "a rebuilding of the same version is switched by who rebuilds");
        let rolled_back = standing(1, &[(1, true), (2, true)]);
        assert_eq!(rolled_back.promised(&code(2)), None, "a person went back");
        let old = standing(2, &[(1, true), (2, true)]);
        assert!(!old.lacks(&code(1)) && old.promised(&code(1)).is_none(), "old code never switches back");
    }
}
