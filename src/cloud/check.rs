//! The free call of each cloud that proves a key, in place of the list of models of the provider's preset.
//!
//! The table of the calls, with their sources, is in the docs of [`cloud`](crate::cloud#checks).

use http::Uri;
use http::request::Parts;
use http::uri::Authority;

use crate::cloud::call::behind_location;
use crate::cloud::platform::{Cloud, Platform};
use crate::cloud::rewrite::set_path;
use crate::provider::{CheckHost, Unroutable};

/// Name of the list of models in the path of the preset's call.
const MODELS: &str = "/models";

/// Turns the preset's call into the cloud's own. Returns `false` if the call is one that callers make, too.
pub(super) fn direct(cloud: &Cloud, parts: &mut Parts) -> Result<bool, Unroutable> {
    let path = parts.uri.path().to_owned();
    match cloud.0 {
        Platform::Vertex => match behind_location(&path) {
            0 => Err(Unroutable::NoEndpoint),
            end => {
                set_path(parts, &[&path[..end], MODELS].concat(), "", Some("pageSize=1"))?;
                Ok(true)
            }
        },
        Platform::Bedrock { .. } => {
            let base = path.strip_suffix(MODELS).unwrap_or_default();
            let base = base.strip_suffix("/openai/v1").unwrap_or(base);
            set_path(parts, &[base, "/foundation-models"].concat(), "", None)?;
            to_control_plane(parts).map(|()| true)
        }
        Platform::Mantle { .. } | Platform::Azure { .. } => Ok(false),
    }
}

/// Directs a request from the host of Bedrock's runtime to the host that lists models. Any other host stays.
fn to_control_plane(parts: &mut Parts) -> Result<(), Unroutable> {
    let Some((first, rest)) = parts.uri.authority().and_then(|host| host.as_str().split_once('.')) else {
        return Ok(());
    };
    let first = match first {
        "bedrock-runtime" => "bedrock",
        "bedrock-runtime-fips" => "bedrock-fips",
        _ => return Ok(()),
    };
    let host: Authority = [first, ".", rest].concat().parse().map_err(|_| Unroutable::Url)?;
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.authority = Some(host.clone());
    parts.uri = Uri::from_parts(uri).map_err(|_| Unroutable::Url)?;
    parts.extensions.insert(CheckHost(host));
    Ok(())
}
