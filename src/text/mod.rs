//! Types that are written as text: names of keys, accounts and models, and the words of settings.

pub(crate) mod find;
mod name;
mod words;

pub(crate) use self::name::name;
pub use self::words::UnknownWord;
pub(crate) use self::words::words;
