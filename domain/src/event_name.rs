//! The name and the key of an event, the same way for every context.

/// Implements for an `Event` enum whose variants wrap structs of the same name: `DomainEvent`, the
/// name, the id of the aggregate (the field given), and `From` each struct.
macro_rules! recorded {
    ($event:ident, $key:ident; $($name:ident),* $(,)?) => {
        impl $event {
            /// The record's name, in Rust and in Avro.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }

            /// The aggregate it belongs to: its record key.
            pub fn aggregate(&self) -> uuid::Uuid {
                match self {
                    $(Self::$name(event) => event.$key.0,)*
                }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                "1".to_owned()
            }
        }

        $(impl From<$name> for $event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*
    };
}

/// Implements `Aggregate` by `decide` and `fold`, the same lines for every root.
macro_rules! aggregate {
    ($root:ident, $type:literal) => {
        impl cqrs_es::Aggregate for $root {
            const TYPE: &'static str = $type;
            type Command = crate::root::Issued<Command>;
            type Event = Event;
            type Error = Refusal;
            type Services = ();

            async fn handle(
                &mut self,
                issued: Self::Command,
                (): &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Refusal> {
                for event in self.decide(issued)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Event) {
                self.fold(event);
            }
        }
    };
}

pub(crate) use {aggregate, recorded};
