//! The `[cors]` table.

use http::HeaderValue;

use crate::config::error::{ConfigError, Problem};
use crate::config::file::CorsTable;
use crate::config::location::ValuePath;

/// Returns the origins whose pages may use the gateway, as browsers write them. Without a token, `*` is refused, and
/// `null`, which any page sends from a sandboxed frame: any page could spend money.
pub(super) fn origins(table: CorsTable, has_token: bool) -> Result<Vec<HeaderValue>, ConfigError> {
    let at = ValuePath::default().field("cors").field("origins");
    let origin = |(index, text): (usize, String)| {
        let text = text.trim().trim_end_matches('/');
        let problem = || Problem::Origin.at(at.index(index));
        if ["*", "null"].contains(&text) && !has_token {
            return Err(Problem::OpenCors.at(at.index(index)));
        }
        let host = text.split_once("://").map_or("", |(_, host)| host);
        let is_origin =
            text == "*" || text == "null" || (!host.is_empty() && !host.contains(['/', '@', '*', ' ']));
        let text = without_port(&text.to_ascii_lowercase()).to_owned();
        let value = HeaderValue::try_from(text).map_err(|_| problem())?;
        if is_origin { Ok(value) } else { Err(problem()) }
    };
    table.origins.unwrap_or_default().into_iter().enumerate().map(origin).collect()
}

/// Removes the port that a scheme has anyway.
fn without_port(origin: &str) -> &str {
    let port =
        [("https:", ":443"), ("http:", ":80")].into_iter().find(|(scheme, _)| origin.starts_with(scheme));
    port.and_then(|(_, port)| origin.strip_suffix(port)).unwrap_or(origin)
}
