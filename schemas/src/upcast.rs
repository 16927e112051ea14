//! Events that were renamed: what lies in the log under a former name is read as if under the present one, for ever.
//!
//! The former names of a type are the `aliases` of its schema file, where Avro has them, so that other readers find them, too.
//! This file is the only code that knows them: whoever decodes gets the present name.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;

use crate::catalog::RecordType;
use crate::kept::kept;

static FORMER: LazyLock<HashMap<String, RecordType>> = LazyLock::new(|| {
    let names = RecordType::all().flat_map(|record| record.former_names().into_iter().map(move |name| (name, record)));
    names.collect()
});

impl RecordType {
    /// The full names that it had before, such as `boxoffice.payment.PaymentClosing`. Their subjects and ids stay in the
    /// registry of an installation that ever wrote them.
    pub fn former_names(self) -> Vec<String> {
        let Schema::Record(record) = kept(self).whole else { unreachable!("every schema file holds a record") };
        record.aliases.iter().flatten().map(|alias| alias.fullname(None)).collect()
    }

    /// The type that had this full name before.
    pub fn formerly(full_name: &str) -> Option<Self> {
        FORMER.get(full_name).copied()
    }
}

/// Gives a writer's schema the present name of its type.
pub(crate) fn upcast(mut writer: Schema) -> Schema {
    if let Schema::Record(record) = &mut writer
        && let Some(now) = RecordType::formerly(&record.name.fullname(None))
        && let Schema::Record(ours) = kept(now).whole
    {
        record.name = ours.name.clone();
    }
    writer
}
