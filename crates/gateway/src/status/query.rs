//! The query of a request for a status document.

use http::Uri;
use percent_encoding::percent_decode_str;
use tower_key_rotation::clock::Timestamp;

use crate::history::HistoryQuery;

/// Names and values of a query. Of repeated names the first counts.
pub(super) struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let decode =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Returns the selection of the history.
    pub(super) fn history(&self) -> HistoryQuery {
        let mut query = HistoryQuery::default();
        if let Some(id) = self.number("after") {
            query = query.after(id);
        }
        if let Some(ms) = self.number("since") {
            query = query.since(Timestamp::from_unix_ms(ms));
        }
        if let Some(entries) = self.number("limit") {
            query = query.limit(usize::try_from(entries).unwrap_or(usize::MAX));
        }
        for (name, set) in [
            ("provider", HistoryQuery::provider as fn(HistoryQuery, String) -> HistoryQuery),
            ("key", HistoryQuery::key),
            ("caller", HistoryQuery::caller),
            ("event", HistoryQuery::event),
        ] {
            if let Some(value) = self.get(name) {
                query = set(query, value.to_owned());
            }
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::of(&Uri::from_static("/api/history?provider=a%20b+c&limit=7&key&since=x"));
        assert_eq!((query.get("provider"), query.number("limit")), (Some("a b c"), Some(7)));
        assert_eq!((query.get("key"), query.number("since")), (None, None));
    }
}
