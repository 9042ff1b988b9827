//! A connector whose sink is compiled in: its own keys, and those that every connector has.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::delivery::SinkConfig;
use crate::delivery::delivery_keys::Delivery;
use crate::delivery::problem::Problem;

/// Reads one.
#[derive(Debug)]
pub struct NativeConnector {
    /// The sink's own part.
    pub sink: Box<dyn SinkConfig>,
    /// How to deliver.
    pub delivery: Delivery,
    /// What a calendar month is.
    pub zone: TimeZone,
}

impl NativeConnector {
    /// Reads a connector's table.
    pub fn parse(table: &Value) -> Result<NativeConnector, Vec<Problem>> {
        let mut own = table.as_object().cloned().unwrap_or_default();
        let delivery = match own.remove("delivery") {
            Some(value) => serde_json::from_value(value).map_err(|error| vec![Problem::at(&["delivery"], error.to_string())])?,
            None => Delivery::default(),
        };
        let zone = match own.remove("timezone") {
            Some(Value::String(name)) => {
                TimeZone::get(&name).map_err(|_| vec![Problem::at(&["timezone"], format!("`{name}` is not an IANA time zone"))])?
            }
            Some(_) => return Err(vec![Problem::at(&["timezone"], "expected the name of an IANA time zone")]),
            None => TimeZone::UTC,
        };
        let sink: Box<dyn SinkConfig> =
            serde_json::from_value(Value::Object(own)).map_err(|error| vec![Problem::at(&[], error.to_string())])?;
        sink.validate().map_err(|text| vec![Problem::at(&[], text)])?;
        Ok(NativeConnector { sink, delivery, zone })
    }
}
