//! Error documents in XML, as AWS and several API gateways send them.

/// Words that the name of the root element of an error document has.
const ERRORS: [&str; 3] = ["error", "fault", "exception"];

/// Returns the text of the elements of an error document, one a line. `None` if the text is another document, such as
/// an HTML page.
///
/// ```text
/// <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>
/// ```
pub(super) fn error_text(document: &[u8]) -> Option<String> {
    let document = String::from_utf8_lossy(document);
    let root = root_of(&document)?.to_ascii_lowercase();
    if !ERRORS.iter().any(|word| root.contains(word)) {
        return None;
    }
    let texts = document.split('<').filter_map(|part| Some(part.split_once('>')?.1.trim()));
    Some(texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// Returns the name of the first element. Declarations and comments come before it.
fn root_of(document: &str) -> Option<&str> {
    let mut tags = document.split('<').skip(1);
    let root = tags.find(|tag| !tag.starts_with(['?', '!']))?;
    root.split(|letter: char| letter.is_whitespace() || matches!(letter, '>' | '/')).next()
}
