//! Something for each alert source, and for all others.

use std::collections::BTreeMap;

use crate::config::Ilert;
use crate::event::Named;
use crate::secret::Secret;

/// By a source's id or name, else what is for all others.
#[derive(Debug, Default)]
pub(super) struct BySource<T> {
    named: BTreeMap<String, T>,
    others: Option<T>,
}

impl<T> BySource<T> {
    /// From the integration keys.
    pub(super) fn of_keys(config: &Ilert, make: impl Fn(&Secret) -> T) -> BySource<T> {
        let named = config.integration_keys.iter().map(|(source, key)| (source.clone(), make(key))).collect();
        BySource { named, others: config.integration_key.as_ref().map(make) }
    }

    /// The one for every source.
    #[cfg(test)]
    pub(super) fn all(value: T) -> BySource<T> {
        BySource { named: BTreeMap::new(), others: Some(value) }
    }

    /// The one for a source.
    pub(super) fn get(&self, source: Option<&Named>) -> Option<&T> {
        let named = source.and_then(|source| self.named.get(&source.id).or_else(|| self.named.get(&source.name)));
        named.or(self.others.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_id_or_its_name() {
        let key = |name: &str| (name.to_owned(), Secret::new(name));
        let keys = BTreeMap::from([key("42"), key("Zabbix")]);
        let mut config = Ilert { integration_keys: keys, ..Ilert::default() };
        let source = |id: &str, name: &str| Named { id: id.into(), name: name.into() };
        let sources = [source("42", "Nagios"), source("7", "Zabbix"), source("8", "API")];
        let found = |config: &Ilert| {
            let keys = BySource::of_keys(config, |key| key.expose().to_owned());
            sources.each_ref().map(|source| keys.get(Some(source)).cloned())
        };
        assert_eq!(found(&config), [Some("42".into()), Some("Zabbix".into()), None]);
        config.integration_key = Some(Secret::new("default"));
        assert_eq!(found(&config)[2].as_deref(), Some("default"));
        assert_eq!(BySource::of_keys(&config, |_| ()).get(None), Some(&()));
    }
}
