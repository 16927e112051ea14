//! Records as bytes and back: magic 0, schema id (big endian), Avro datum.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::event::Event;
use domain::root::Meta;

use crate::catalog::{EventType, RecordType, read_body, write_body};
use crate::control::Control;
use crate::error::{DecodeError, EncodeError, LearnError};
use crate::ids::Ids;
use crate::kept::{kept, limit_allocations, meta_shape};
use crate::learned::{Learned, rewrite};
use crate::person_key::PersonKey;
use crate::source::{NoSource, SchemaSource};
use crate::write::Unfit;

const HEADER_BYTES: usize = 5;

/// The schema id in a record's value, without decoding it.
pub fn schema_id(value: &[u8]) -> Option<u32> {
    split(value).ok().map(|(id, _)| id)
}

/// Encodes and decodes records. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Codec(Arc<Inner>);

struct Inner {
    ids: Ids,
    own: HashMap<u32, RecordType>,
    learned: RwLock<HashMap<u32, Arc<Learned>>>,
    source: Box<dyn SchemaSource>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Codec {
    /// A codec that writes under these ids, and asks the source about others.
    pub fn new(ids: Ids, source: impl SchemaSource + 'static) -> Self {
        limit_allocations();
        let own = RecordType::all().map(|record| (ids.of(record), record)).collect();
        Self(Arc::new(Inner { ids, own, learned: RwLock::default(), source: Box::new(source) }))
    }

    /// A codec that reads by these schemas alone, whatever the registry says today: for a log that lies in files. What it
    /// would write nobody could read.
    ///
    /// # Errors
    /// When a text is no schema.
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = (u32, &'t str)>) -> Result<Self, LearnError> {
        limit_allocations();
        let (own, learned) = (HashMap::new(), RwLock::default());
        let codec = Self(Arc::new(Inner { ids: Ids::in_memory(), own, learned, source: Box::new(NoSource) }));
        texts.into_iter().try_for_each(|(id, text)| codec.learn_text(id, text))?;
        Ok(codec)
    }

    /// A codec for a log in memory: fixed ids, no registry.
    pub fn in_memory() -> Self {
        Self::new(Ids::in_memory(), NoSource)
    }

    /// The ids under which it writes.
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// Encodes an event.
    ///
    /// # Errors
    /// When the event does not fit its schema.
    pub fn encode(&self, meta: &Meta, event: &Event) -> Result<Vec<u8>, EncodeError> {
        let record = RecordType::Event(EventType::of(event));
        let mut out = self.begin(record, 512);
        let written = meta_shape().write(meta, &mut out);
        let written = written.and_then(|()| write_body(&kept(record).shape, event, &mut out));
        finish(record, written, out)
    }

    /// Decodes an event.
    ///
    /// # Errors
    /// [`DecodeError`]; never panics, whatever the bytes are.
    pub fn decode(&self, value: &[u8]) -> Result<(Meta, Event), DecodeError> {
        let (record, datum) = self.resolved(value)?;
        let RecordType::Event(event_type) = record else {
            return Err(unexpected(record));
        };
        let rest = &mut &*datum;
        let meta = meta_shape().read(rest).map_err(|error| malformed(record, error))?;
        let event = read_body(&kept(record).shape, event_type, rest).map_err(|error| malformed(record, error))?;
        whole(record, rest)?;
        Ok((meta, event))
    }

    /// Encodes a control record.
    ///
    /// # Errors
    /// When it does not fit its schema.
    pub fn encode_control(&self, control: &Control) -> Result<Vec<u8>, EncodeError> {
        let record = control.record();
        let mut out = self.begin(record, 160);
        let written = control.write(&kept(record).shape, &mut out);
        finish(record, written, out)
    }

    /// Decodes a control record.
    ///
    /// # Errors
    /// [`DecodeError`]; never panics, whatever the bytes are.
    pub fn decode_control(&self, value: &[u8]) -> Result<Control, DecodeError> {
        let (record, datum) = self.resolved(value)?;
        let rest = &mut &*datum;
        if matches!(record, RecordType::Event(_) | RecordType::PersonKey) {
            return Err(unexpected(record));
        }
        let control = Control::read(&kept(record).shape, record, rest).map_err(|error| malformed(record, error))?;
        whole(record, rest)?;
        control.ok_or(DecodeError::Malformed { name: record.full_name(), source: None })
    }

    /// Encodes a record of the topic `person-keys`.
    ///
    /// # Errors
    /// When it does not fit its schema.
    pub fn encode_person_key(&self, key: &PersonKey) -> Result<Vec<u8>, EncodeError> {
        let record = RecordType::PersonKey;
        let mut out = self.begin(record, 192);
        let written = kept(record).shape.write(key, &mut out);
        finish(record, written, out)
    }

    /// Decodes a record of the topic `person-keys`.
    ///
    /// # Errors
    /// [`DecodeError`]; never panics, whatever the bytes are.
    pub fn decode_person_key(&self, value: &[u8]) -> Result<PersonKey, DecodeError> {
        let (record, datum) = self.resolved(value)?;
        if record != RecordType::PersonKey {
            return Err(unexpected(record));
        }
        let rest = &mut &*datum;
        let key = kept(record).shape.read(rest).map_err(|error| malformed(record, error))?;
        whole(record, rest)?;
        Ok(key)
    }

    /// The type of a record and its fields as this version would have written them, for readers that go by the schema.
    ///
    /// # Errors
    /// [`DecodeError`]; whether the fields follow the schema is not looked at unless another version wrote them.
    pub fn datum<'v>(&self, value: &'v [u8]) -> Result<(RecordType, Cow<'v, [u8]>), DecodeError> {
        self.resolved(value)
    }

    /// The type of the records with a schema id: ours, or learned.
    pub fn record_type(&self, id: u32) -> Option<RecordType> {
        if let Some(record) = self.0.own.get(&id) {
            return Some(*record);
        }
        match &*self.learned(id)? {
            Learned::Same(record) | Learned::Other(record, _) => Some(*record),
            Learned::Incompatible { .. } | Learned::Unknown { .. } => None,
        }
    }

    /// The name of the event type with a schema id, such as `OrderPaid`; `None` for what is no event or not learned.
    pub fn event_name(&self, id: u32) -> Option<&'static str> {
        match self.record_type(id)? {
            RecordType::Event(event) => Some(event.name()),
            _ => None,
        }
    }

    /// Asks the source for a schema that [`DecodeError::UnlearnedSchema`] named. What it turns out to be (readable,
    /// unknown, incompatible), the next decoding says. Learning twice does nothing.
    ///
    /// # Errors
    /// When the source has none, or cannot be asked.
    pub async fn learn(&self, id: u32) -> Result<(), LearnError> {
        if self.0.own.contains_key(&id) || self.learned(id).is_some() {
            return Ok(());
        }
        let answer = self.0.source.schema(id).await.map_err(|source| LearnError::Source { id, source })?;
        self.learn_text(id, &answer.ok_or(LearnError::NotFound(id))?)
    }

    /// Learns a schema whose text is at hand, such as one from the topic `event-schemas`.
    ///
    /// # Errors
    /// When the text is no schema.
    pub fn learn_text(&self, id: u32, text: &str) -> Result<(), LearnError> {
        if self.0.own.contains_key(&id) || self.learned(id).is_some() {
            return Ok(());
        }
        let learned = Learned::of(text).map_err(|detail| LearnError::NotASchema { id, detail })?;
        let mut all = self.0.learned.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Arc::new(learned));
        Ok(())
    }

    /// Whether values under this id can be read without asking the source.
    pub fn knows(&self, id: u32) -> bool {
        self.0.own.contains_key(&id) || self.learned(id).is_some()
    }

    fn begin(&self, record: RecordType, capacity: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity);
        out.push(0);
        out.extend_from_slice(&self.0.ids.of(record).to_be_bytes());
        out
    }

    fn learned(&self, id: u32) -> Option<Arc<Learned>> {
        self.0.learned.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The type of a value, and its datum as we would have written it.
    fn resolved<'v>(&self, value: &'v [u8]) -> Result<(RecordType, Cow<'v, [u8]>), DecodeError> {
        let (id, datum) = split(value)?;
        if let Some(record) = self.0.own.get(&id) {
            return Ok((*record, Cow::Borrowed(datum)));
        }
        let learned = self.learned(id).ok_or(DecodeError::UnlearnedSchema(id))?;
        match &*learned {
            Learned::Same(record) => Ok((*record, Cow::Borrowed(datum))),
            Learned::Other(record, reader) => {
                let ours = rewrite(reader, *record, datum).map_err(|error| malformed(*record, error))?;
                Ok((*record, Cow::Owned(ours)))
            }
            Learned::Incompatible { name, detail } => {
                Err(DecodeError::Incompatible { id, name: name.clone(), detail: detail.clone() })
            }
            Learned::Unknown { name } => Err(DecodeError::UnknownEvent { id, name: name.clone() }),
        }
    }
}

fn split(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match value.split_at_checked(HEADER_BYTES) {
        Some((&[0, a, b, c, d], datum)) => Ok((u32::from_be_bytes([a, b, c, d]), datum)),
        _ => Err(DecodeError::NotFramed),
    }
}

fn finish(record: RecordType, written: Result<(), Unfit>, out: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    match written {
        Ok(()) => Ok(out),
        Err(source) => Err(EncodeError { name: record.full_name(), source }),
    }
}

fn whole(record: RecordType, rest: &[u8]) -> Result<(), DecodeError> {
    match rest {
        [] => Ok(()),
        _ => Err(DecodeError::Malformed { name: record.full_name(), source: None }),
    }
}

fn malformed(record: RecordType, source: impl std::error::Error + Send + Sync + 'static) -> DecodeError {
    DecodeError::Malformed { name: record.full_name(), source: Some(Box::new(source)) }
}

fn unexpected(record: RecordType) -> DecodeError {
    DecodeError::Unexpected { name: record.full_name() }
}
