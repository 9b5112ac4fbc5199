//! Objects that an account keeps, in all APIs.

use super::input::ResponseInput;
use crate::script::Refusal;
use crate::store::{Store, Stored};

/// A kind of objects.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    File,
    Batch,
    Response,
    Conversation,
    AnthropicFile,
    MessageBatch,
    GeminiFile,
    GeminiBatch,
    Cache,
}

// === impl Kind ===

impl Kind {
    /// Returns how ids begin. Gemini's ids are names, such as `files/abc`.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::File => "file-",
            Self::Batch => "batch_",
            Self::Response => "resp_",
            Self::Conversation => "conv_",
            Self::AnthropicFile => "file_",
            Self::MessageBatch => "msgbatch_",
            Self::GeminiFile => "files/",
            Self::GeminiBatch => "batches/",
            Self::Cache => "cachedContents/",
        }
    }

    /// Returns the id of the object that the path names.
    pub(super) fn id(self, input: &ResponseInput<'_>) -> String {
        let id = input.request.route.id.as_deref().unwrap_or("");
        if self.prefix().ends_with('/') { [self.prefix(), id].concat() } else { id.to_owned() }
    }

    /// Returns the object that the path names.
    pub(super) fn named<'s>(
        self,
        input: &ResponseInput<'_>,
        store: &'s mut Store,
    ) -> Result<&'s mut Stored, Refusal> {
        self.get(&self.id(input), store)
    }

    pub(super) fn get<'s>(self, id: &str, store: &'s mut Store) -> Result<&'s mut Stored, Refusal> {
        store.get(self.prefix(), id).ok_or_else(|| self.missing(id))
    }

    /// Removes the object that the path names, and returns its id.
    pub(super) fn remove(self, input: &ResponseInput<'_>, store: &mut Store) -> Result<String, Refusal> {
        let id = self.id(input);
        store.remove(self.prefix(), &id).ok_or_else(|| self.missing(&id))?;
        Ok(id)
    }

    /// Returns the refusal of an object that the account does not have.
    fn missing(self, id: &str) -> Refusal {
        let message = match self {
            Self::File => format!("No such File object: {id}"),
            Self::Batch => format!("No batch found with id '{id}'."),
            Self::Response => format!("Response with id '{id}' not found."),
            Self::Conversation => format!("Conversation with id '{id}' not found."),
            Self::AnthropicFile => format!("File not found: {id}"),
            Self::MessageBatch => format!("Message batch not found: {id}"),
            Self::GeminiFile => {
                let id = id.trim_start_matches(self.prefix());
                format!("You do not have permission to access the File {id} or it may not exist.")
            }
            Self::GeminiBatch => "The caller does not have permission".to_owned(),
            Self::Cache => "CachedContent not found (or permission denied)".to_owned(),
        };
        Refusal::ObjectNotFound(message.into())
    }
}
