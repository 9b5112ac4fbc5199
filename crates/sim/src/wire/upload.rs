//! Google's resumable uploads: the steps that the head of a request states.

use http::request;

/// A step of an upload. Empty for a request that is none.
#[derive(Debug, Default)]
pub(crate) struct UploadStep {
    /// The commands, such as `start` or `upload, finalize`.
    pub(super) command: String,
    /// Media type of the file, in the first step.
    pub(super) kind: String,
    /// Id of the upload, in all further steps.
    pub(super) id: Option<String>,
}

// === impl UploadStep ===

impl UploadStep {
    pub(super) fn of(head: &request::Parts) -> Self {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let mut pairs = head.uri.query().unwrap_or("").split('&');
        Self {
            command: text("x-goog-upload-command").unwrap_or("").to_owned(),
            kind: text("x-goog-upload-header-content-type").unwrap_or("").to_owned(),
            id: pairs.find_map(|pair| pair.strip_prefix("upload_id=")).map(str::to_owned),
        }
    }

    pub(super) fn has(&self, command: &str) -> bool {
        self.command.split(',').any(|it| it.trim() == command)
    }
}
