//! What the file says of the chain.

use std::time::Duration;

use jiff::SignedDuration;

use super::error::{ConfigError, Problem};
use super::file::ChainTable;
use super::place::Steps;
use super::shown::shown;
use crate::fallback::{Commit, ContextLength, Start};

/// What the file says of the chain; `None` is what it says nothing of.
#[derive(Clone, Debug)]
pub struct ChainSettings {
    pub(super) order: Vec<String>,
    pub(super) start: Start,
    pub(super) deadline: Option<Duration>,
    pub(super) head_timeout: Option<Duration>,
    pub(super) first_content_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) commit: Commit,
    pub(super) context_length: ContextLength,
}

// === impl ChainSettings ===

impl ChainSettings {
    /// The names of the providers, the first choice first; never empty. All of the file's if it has none.
    pub fn order(&self) -> &[String] {
        &self.order
    }

    /// Where a request starts.
    pub const fn start(&self) -> Start {
        self.start
    }

    /// How long a request may take, up to its answer's commit.
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// How long one provider may take to send a head.
    pub const fn head_timeout(&self) -> Option<Duration> {
        self.head_timeout
    }

    /// How long it may take from there to the first content.
    pub const fn first_content_timeout(&self) -> Option<Duration> {
        self.first_content_timeout
    }

    /// How long a stream may be silent.
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// When an answer is taken for good.
    pub const fn commit(&self) -> Commit {
        self.commit
    }

    /// What becomes of a request that is too long.
    pub const fn context_length(&self) -> ContextLength {
        self.context_length
    }

    pub(super) fn resolve(table: ChainTable, providers: &[&str]) -> Result<Self, ConfigError> {
        let at = Steps::default().field("chain");
        let time = |name, text: Option<String>| {
            text.map(|text| duration(&text).ok_or_else(|| Problem::Duration.at(at.field(name)))).transpose()
        };
        Ok(Self {
            order: order(table.order, providers, &at.field("order"))?,
            start: choice(table.start.as_deref(), STARTS, &at.field("start"))?,
            deadline: time("deadline", table.deadline)?,
            head_timeout: time("head_timeout", table.head_timeout)?,
            first_content_timeout: time("first_content_timeout", table.first_content_timeout)?,
            idle_timeout: time("idle_timeout", table.idle_timeout)?,
            commit: choice(table.commit.as_deref(), COMMITS, &at.field("commit"))?,
            context_length: choice(
                table.context_length.as_deref(),
                CONTEXT_LENGTHS,
                &at.field("context_length"),
            )?,
        })
    }
}

/// Words, and what they mean.
pub(super) struct Words<T: 'static>(pub(super) &'static [&'static str], pub(super) &'static [T]);

const STARTS: Words<Start> = Words(&["ordered", "round_robin"], &[Start::Ordered, Start::RoundRobin]);

const COMMITS: Words<Commit> =
    Words(&["head", "first_content", "complete"], &[Commit::Head, Commit::FirstContent, Commit::Complete]);

const CONTEXT_LENGTHS: Words<ContextLength> =
    Words(&["fall_over", "deliver"], &[ContextLength::FallOver, ContextLength::Deliver]);

/// What a word means; the default if there is none.
pub(super) fn choice<T: Copy + Default>(
    word: Option<&str>,
    words: Words<T>,
    at: &Steps,
) -> Result<T, ConfigError> {
    let Some(word) = word else { return Ok(T::default()) };
    let index = words.0.iter().position(|known| *known == word);
    let meaning = index.and_then(|index| words.1.get(index).copied());
    meaning.ok_or_else(|| Problem::Choice { allowed: words.0 }.at(at.clone()))
}

fn order(order: Option<Vec<String>>, providers: &[&str], at: &Steps) -> Result<Vec<String>, ConfigError> {
    let Some(order) = order else {
        return Ok(providers.iter().map(|&name| name.to_owned()).collect());
    };
    if order.is_empty() {
        return Err(Problem::EmptyOrder.at(at.clone()));
    }
    for (index, name) in order.iter().enumerate() {
        let problem = if !providers.contains(&name.as_str()) {
            let known = providers.iter().map(|name| shown(name).into_owned()).collect();
            Problem::UnknownProvider { name: shown(name).into_owned(), known }
        } else if order[..index].contains(name) {
            Problem::RepeatedProvider { name: shown(name).into_owned() }
        } else {
            continue;
        };
        return Err(problem.at(at.index(index)));
    }
    Ok(order)
}

/// A length of time that is neither zero nor negative.
fn duration(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero())
}
