//! The wrapped data keys of persons, from the compacted topic `person-keys`. A tombstone deletes the row: the person
//! is forgotten.
//!
//! View `person_keys`:
//!
//! | column | type | |
//! |---|---|---|
//! | `key_id` | uuid | what ciphertexts name it by |
//! | `master_key_id` | uuid | the master key that wraps it |
//! | `wrapped` | bytea | for `schemas::sealed::MasterKeys::unwrap` |

use crate::model::{Layout, View};

const TABLES: &str = "
create table if not exists person_keys (
    key_id uuid primary key,
    master_key_id uuid not null,
    wrapped bytea not null
);
";

const PERSON_KEYS: View = View {
    name: "person_keys",
    query: "
select key_id, master_key_id, wrapped
from {person_keys}.person_keys",
};

/// Its tables and view. It is no [`crate::ReadModel`], because its topic holds no events.
pub const LAYOUT: Layout = Layout {
    name: "person_keys",
    version: 1,
    tables: TABLES,
    table_names: &["person_keys"],
    views: &[PERSON_KEYS],
};
