//! The folder `golden/`: every version of every record that was ever released, under the name it had then.

use std::fs;
use std::path::{Path, PathBuf};

use schemas::RecordType;

/// One version of one record as it was released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// Its name then, such as `boxoffice.payment.PaymentClosing`.
    pub full_name: String,
    pub version: usize,
}

impl Release {
    /// Every release there is, in the order of names and versions.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for folder in fs::read_dir(golden()).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_dir()) {
            let files = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            let schemas: Vec<String> = files.filter_map(|it| it.strip_suffix(".avsc").map(str::to_owned)).collect();
            for schema in schemas {
                let (name, version) = schema.split_once(".v").unwrap();
                let context = folder.file_name().unwrap().to_str().unwrap();
                let full_name = format!("boxoffice.{context}.{name}");
                all.push(Self { full_name, version: version.parse().unwrap() });
            }
        }
        all.sort();
        all
    }

    /// Every release of a type, under its former names and its present one, oldest first.
    pub fn of(record: RecordType) -> Vec<Self> {
        let names = record.former_names().into_iter().chain([record.full_name().to_owned()]);
        names.flat_map(|name| Self::all().into_iter().filter(move |it| it.full_name == name)).collect()
    }

    /// The newest release under the present name.
    pub fn newest(record: RecordType) -> Option<Self> {
        Self::of(record).into_iter().rfind(|it| it.full_name == record.full_name())
    }

    /// The present type of its records.
    pub fn record(&self) -> Option<RecordType> {
        RecordType::named(&self.full_name).or_else(|| RecordType::formerly(&self.full_name))
    }

    /// The name without the namespace.
    pub fn name(&self) -> &str {
        self.full_name.rsplit('.').next().unwrap()
    }

    pub fn path(&self, ending: &str) -> PathBuf {
        let name = self.full_name.replace("boxoffice.", "").replace('.', "/");
        golden().join(format!("{name}.v{}{ending}", self.version))
    }

    /// The schema's text.
    pub fn schema(&self) -> String {
        fs::read_to_string(self.path(".avsc")).unwrap()
    }

    /// A golden value of it: of the kind `""` with every optional field, of `.bare` with none.
    pub fn value(&self, kind: &str) -> Option<Vec<u8>> {
        fs::read(self.path(&format!("{kind}.bin"))).ok()
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}
