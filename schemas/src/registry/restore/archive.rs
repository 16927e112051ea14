//! An archive as Apicurio Registry 3 exports and imports it, with the ids of contents kept: those are the ids that records
//! of the log carry.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

use super::Versions;

/// The archive's bytes.
pub(super) fn of(subjects: &[Versions<'_>]) -> ZipResult<Vec<u8>> {
    let mut archive = Archive(ZipWriter::new(Cursor::new(Vec::new())));
    archive.json("manifest.Manifest.json", &manifest())?;
    // Contents first, because versions refer to them.
    let records = subjects.iter().flat_map(|subject| &subject.new).map(|(_, record)| (record.id, record));
    for record in records.collect::<BTreeMap<_, _>>().into_values() {
        let hash = hex(digest(&SHA256, record.schema.as_bytes()).as_ref());
        let about = json!({
            "contentId": record.id, "contentHash": hash, "canonicalHash": hash, "artifactType": "AVRO",
            "contentType": "application/json", "serializedReferences": null,
        });
        archive.json(&format!("content/{hash}.Content.json"), &about)?;
        archive.file(&format!("content/{hash}.Content.data"), record.schema.as_bytes())?;
    }
    for subject in subjects {
        archive.subject(subject)?;
    }
    Ok(archive.0.finish()?.into_inner())
}

struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    fn subject(&mut self, versions: &Versions<'_>) -> ZipResult<()> {
        let Versions { subject, there, new } = versions;
        let folder = format!("groups/default/artifacts/{subject}");
        if there.is_empty() {
            let artifact = json!({ "artifactType": "AVRO", "name": null, "labels": null });
            self.json(&format!("{folder}/MetaData.Artifact.json"), &about(subject, artifact))?;
        }
        for (version, record) in new {
            let told = json!({
                "globalId": record.id, "version": version.to_string(), "versionOrder": version, "state": "ENABLED",
                "contentId": record.id, "name": null, "labels": null,
            });
            self.json(&format!("{folder}/versions/{version}.ArtifactVersion.json"), &about(subject, told))?;
        }
        let all: Vec<String> =
            there.iter().copied().chain(new.iter().map(|(it, _)| *it)).map(|it| it.to_string()).collect();
        let branch = json!({ "branchId": "latest", "systemDefined": true, "versions": all });
        let mut branch = about(subject, branch);
        // A branch has none of these, and Apicurio refuses what it does not know.
        if let Value::Object(fields) = &mut branch {
            fields.retain(|name, _| !matches!(name.as_str(), "name" | "labels"));
        }
        self.json(&format!("{folder}/branches/latest.Branch.json"), &branch)
    }

    fn json(&mut self, name: &str, value: &Value) -> ZipResult<()> {
        self.file(name, value.to_string().as_bytes())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> ZipResult<()> {
        let plain = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        self.0.start_file(name, plain)?;
        Ok(self.0.write_all(bytes)?)
    }
}

fn manifest() -> Value {
    json!({
        "systemVersion": "3.0.0", "systemName": "Apicurio Registry (SQL)", "systemDescription": "", "exportVersion": "3.0",
        "exportedOn": 0, "exportedBy": "boxctl", "dbVersion": "109",
    })
}

/// What every entry has, with its own fields.
fn about(subject: &str, mut fields: Value) -> Value {
    let common = json!({
        "groupId": null, "artifactId": subject, "description": null, "owner": "", "createdOn": 0, "modifiedBy": "",
        "modifiedOn": 0,
    });
    if let (Value::Object(fields), Value::Object(common)) = (&mut fields, common) {
        fields.extend(common);
    }
    fields
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
