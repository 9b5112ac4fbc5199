//! Words: the texts of the values of an enum, as configuration files and logs write them.

/// An error: a text is none of the words of a setting.
///
/// It names the words that are accepted, and not the text, which may be a secret in the wrong place.
///
/// ```
/// use tower_key_rotation::pool::Selection;
///
/// let error = "fastest".parse::<Selection>().unwrap_err();
/// assert_eq!(error.allowed()[..2], ["round_robin", "in_order"]);
/// assert_eq!(
///     error.to_string(),
///     "write one of round_robin, in_order, random, least_in_flight, most_remaining"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write one of {}", allowed.join(", "))]
pub struct UnknownWord {
    allowed: &'static [&'static str],
}

impl UnknownWord {
    pub(crate) const fn new(allowed: &'static [&'static str]) -> Self {
        Self { allowed }
    }

    /// Returns the words that are accepted.
    pub const fn allowed(&self) -> &'static [&'static str] {
        self.allowed
    }
}

/// Gives each value of an enum a word: `as_str`, [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr).
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// All values.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Returns the word for this value, as configuration files, logs and snapshots write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// Parses the word for a value, as [`as_str`](Self::as_str) returns it.
        impl std::str::FromStr for $name {
            type Err = $crate::text::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::text::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::text::UnknownWord::new(&[$($word),+])),
                }
            }
        }
    };
}

pub(crate) use words;
