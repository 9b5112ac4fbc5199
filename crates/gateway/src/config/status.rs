//! The `[status]` table: who may operate on keys, and which providers health requires.

use crate::config::error::{ConfigError, Problem};
use crate::config::file::StatusTable;
use crate::config::location::ValuePath;
use crate::config::redact::redacted;
use crate::config::secret::{Reference, Sources, Token};

/// The `[status]` table.
#[derive(Clone, Debug, Default)]
pub struct StatusSettings {
    operator_token: Option<Token>,
    required: Vec<String>,
}

// === impl StatusSettings ===

impl StatusSettings {
    /// Returns the token that verbs require. `None` turns verbs off.
    pub const fn operator_token(&self) -> Option<&Token> {
        self.operator_token.as_ref()
    }

    /// Returns the providers that must have a usable key for `/health` to be 200. If there are none, any provider of
    /// the chain is sufficient.
    pub fn required(&self) -> &[String] {
        &self.required
    }

    pub(super) fn resolve(
        table: StatusTable,
        known: &[&str],
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let at = ValuePath::default().field("status");
        let token = |it: Reference| it.token(sources, &at.field("operator_token"));
        let required = table.required.unwrap_or_default();
        if let Some(index) = required.iter().position(|name| !known.contains(&name.as_str())) {
            let name = redacted(&required[index]).into_owned();
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            return Err(Problem::UnknownProvider { name, known }.at(at.field("required").index(index)));
        }
        Ok(Self { operator_token: table.operator_token.map(token).transpose()?, required })
    }
}
