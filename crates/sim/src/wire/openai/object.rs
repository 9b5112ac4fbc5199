//! Objects that an account keeps: reading, listing and deleting them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::script::Refusal;
use crate::store::{Store, Stored};
use crate::wire::input::ResponseInput;
use crate::wire::reply::Reply;

/// A kind of objects.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    File,
    Batch,
    Response,
    Conversation,
}

// === impl Kind ===

impl Kind {
    /// Returns how ids begin.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::File => "file-",
            Self::Batch => "batch_",
            Self::Response => "resp_",
            Self::Conversation => "conv_",
        }
    }

    /// Returns the object that the path names.
    pub(super) fn named<'s>(
        self,
        input: &ResponseInput<'_>,
        store: &'s mut Store,
    ) -> Result<&'s mut Stored, Refusal> {
        self.get(input.request.route.id.as_deref().unwrap_or(""), store)
    }

    pub(super) fn get<'s>(self, id: &str, store: &'s mut Store) -> Result<&'s mut Stored, Refusal> {
        store.get(self.prefix(), id).ok_or_else(|| self.missing(id))
    }

    /// Returns the object that the path names as the response.
    pub(super) fn show(self, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
        Ok(Reply::json(StatusCode::OK, &self.named(input, store)?.object))
    }

    /// Returns the objects of the account, newest first.
    pub(super) fn list(self, store: &Store) -> Reply {
        list(&store.list(self.prefix()).cloned().collect::<Vec<_>>())
    }

    pub(super) fn delete(self, input: &ResponseInput<'_>, store: &mut Store) -> Result<Reply, Refusal> {
        let id = input.request.route.id.as_deref().unwrap_or("");
        store.remove(self.prefix(), id).ok_or_else(|| self.missing(id))?;
        let object = match self {
            Self::File => "file",
            Self::Batch => "batch",
            Self::Response => "response",
            Self::Conversation => "conversation.deleted",
        };
        Ok(Reply::json(StatusCode::OK, &json!({"id": id, "object": object, "deleted": true})))
    }

    fn missing(self, id: &str) -> Refusal {
        let message = match self {
            Self::File => format!("No such File object: {id}"),
            Self::Batch => format!("No batch found with id '{id}'."),
            Self::Response => format!("Response with id '{id}' not found."),
            Self::Conversation => format!("Conversation with id '{id}' not found."),
        };
        Refusal::ObjectNotFound(message.into())
    }
}

/// Returns a list as the response.
pub(super) fn list(data: &[Value]) -> Reply {
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let value = json!({
        "object": "list", "data": data, "has_more": false,
        "first_id": id(data.first()), "last_id": id(data.last()),
    });
    Reply::json(StatusCode::OK, &value)
}
