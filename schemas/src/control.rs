//! The records by which owners of a partition speak to each other.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::RecordType;
use crate::datum::BadDatum;
use crate::shape::Shape;
use crate::write::Unfit;

/// A control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// An owner starts to write to this partition.
    Claimed {
        /// Fresh for every claim.
        claim: Uuid,
        /// The one before plus 1.
        term: u32,
        /// The owner's name, for operators.
        instance: String,
        /// Where the owner takes commands.
        url: String,
    },
    /// Says nothing; its acknowledgement proves that its writer still owns the partition.
    Barrier,
    /// Everything that records before `below` made others do has been answered.
    Settled {
        /// An offset.
        below: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct PartitionClaimed {
    claim: Uuid,
    term: i64,
    instance: String,
    url: String,
}

#[derive(Serialize, Deserialize)]
struct Barrier {}

#[derive(Serialize, Deserialize)]
struct Settled {
    below: i64,
}

impl Control {
    pub(crate) fn record(&self) -> RecordType {
        match self {
            Self::Claimed { .. } => RecordType::PartitionClaimed,
            Self::Barrier => RecordType::Barrier,
            Self::Settled { .. } => RecordType::Settled,
        }
    }

    pub(crate) fn write(&self, shape: &Shape, out: &mut Vec<u8>) -> Result<(), Unfit> {
        match self {
            Self::Claimed { claim, term, instance, url } => {
                let (instance, url) = (instance.clone(), url.clone());
                shape.write(&PartitionClaimed { claim: *claim, term: i64::from(*term), instance, url }, out)
            }
            Self::Barrier => shape.write(&Barrier {}, out),
            Self::Settled { below } => shape.write(&Settled { below: *below }, out),
        }
    }

    /// `None` if the type is no control record's, or the term no `u32`.
    pub(crate) fn read<'de>(
        shape: &'de Shape,
        record: RecordType,
        datum: &mut &'de [u8],
    ) -> Result<Option<Self>, BadDatum> {
        match record {
            RecordType::PartitionClaimed => {
                let PartitionClaimed { claim, term, instance, url } = shape.read(datum)?;
                Ok(u32::try_from(term).ok().map(|term| Self::Claimed { claim, term, instance, url }))
            }
            RecordType::Barrier => shape.read(datum).map(|Barrier {}| Some(Self::Barrier)),
            RecordType::Settled => shape.read(datum).map(|Settled { below }| Some(Self::Settled { below })),
            RecordType::Event(_) | RecordType::PersonKey => Ok(None),
        }
    }
}
