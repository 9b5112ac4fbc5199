//! The meaning of a refusal, where no rule knows its name.
//!
//! Providers invent new codes and sentences faster than rules can follow, and send them with any status: a
//! spent weekly plan as 403, an empty purse as 401, an overloaded model as 400. So between the rules of a
//! provider and the bare status, a refusal is *read*. The reading is the same for every provider, and a rule of
//! a provider comes before it.
//!
//! - [`statement`](text) leaves out quotations and addresses, which may repeat the request.
//! - The [tables](english), one file for each language, say which words are about which topic.
//! - The [lexicon] finds all of them in one pass.
//! - A [`Reading`] has the topics of the names and of the sentences.
//! - [`mod@weigh`] decides between several of them.

#[rustfmt::skip]
mod chinese;
mod english;
mod evidence;
mod lexicon;
mod names;
mod reading;
pub(in crate::classify) mod text;
mod topic;
mod weigh;

pub use self::evidence::{Evidence, Why};
pub(crate) use self::names::is_generic_name;
pub use self::reading::Reading;
pub(crate) use self::weigh::{LONGEST_RATE_LIMIT, Meaning, weigh};
