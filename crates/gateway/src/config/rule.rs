//! The `[[provider.rule]]` tables.

use tower_key_rotation::classify::{Reason, Scope};
use tower_key_rotation::provider::{Provider, Rule, RuleBuilder, RuleError, RuleField};

use crate::config::choices::VERDICTS;
use crate::config::duration;
use crate::config::error::{ConfigError, Problem};
use crate::config::file::RuleTable;
use crate::config::invalid_rule::InvalidRule;
use crate::config::location::ValuePath;

/// Value of `until`, alone or before a time zone.
const MIDNIGHT: &str = "midnight";

/// Adds the rules of the tables to a provider.
pub(super) fn with_rules(
    provider: Provider,
    tables: Vec<RuleTable>,
    at: &ValuePath,
) -> Result<Provider, ConfigError> {
    let mut numbered = tables.into_iter().enumerate();
    numbered.try_fold(provider, |provider, (index, table)| {
        let at = at.field("rule").index(index);
        let rule = rule(table, &at)?;
        match provider.rules().iter().position(|earlier| earlier.hides(&rule)) {
            Some(by) => Err(Problem::Rule(InvalidRule::Hidden { by }).at(at)),
            None => Ok(provider.rule(rule)),
        }
    })
}

fn rule(table: RuleTable, at: &ValuePath) -> Result<Rule, ConfigError> {
    let RuleTable { name, status, code, says, header, path, verdict, reason, scope, wait, until } = table;
    let (status, code) = (status.map_or_else(Vec::new, |it| it.0), code.map_or_else(Vec::new, |it| it.0));
    let texts = [says, header, path].map(|given| given.map_or_else(Vec::new, |it| it.0));
    let is_list = |field| match field {
        RuleField::Status => status.len() > 1,
        RuleField::Code => code.len() > 1,
        RuleField::Says => texts[0].len() > 1,
        RuleField::Header => texts[1].len() > 1,
        _ => texts[2].len() > 1,
    };
    let place = |error: &RuleError| match (error.field(), error.index()) {
        (RuleField::Whole, _) => at.clone(),
        (field, Some(index)) if is_list(field) => at.field(field.as_str()).index(index),
        (field, _) => at.field(field.as_str()),
    };
    let rule = name.into_iter().fold(Rule::builder(), RuleBuilder::name);
    // A number that no status can be is out of range as well.
    let rule = status.iter().fold(rule, |rule, status| rule.status(u16::try_from(*status).unwrap_or(0)));
    let rule = code.iter().fold(rule, |rule, code| rule.code(code.0.as_str()));
    let adders: [fn(RuleBuilder, &str) -> RuleBuilder; 3] =
        [|rule, words| rule.says(words), |rule, header| rule.header(header), |rule, path| rule.path(path)];
    let rule = adders
        .into_iter()
        .zip(&texts)
        .fold(rule, |rule, (add, texts)| texts.iter().fold(rule, |rule, text| add(rule, text)));
    let rule = consequence(rule, verdict.as_deref(), reason.as_deref(), scope.as_deref(), at)?;
    let wait = duration::optional(wait, &at.field("wait"))?;
    let rule = wait.into_iter().fold(rule, RuleBuilder::wait);
    let rule = match until {
        Some(until) => until_midnight(rule, &until)
            .ok_or_else(|| Problem::Rule(InvalidRule::Until).at(at.field("until")))?,
        None => rule,
    };
    rule.build().map_err(|error| Problem::Rule(InvalidRule::Part(error.problem())).at(place(&error)))
}

/// Adds the verdict. A table with a reason or a scope describes a fault if it names no verdict.
fn consequence(
    rule: RuleBuilder,
    verdict: Option<&str>,
    reason: Option<&str>,
    scope: Option<&str>,
    at: &ValuePath,
) -> Result<RuleBuilder, ConfigError> {
    let invalid = |problem: InvalidRule, field: &str| Problem::Rule(problem).at(at.field(field));
    let of_fault = reason.map(|_| "reason").or_else(|| scope.map(|_| "scope"));
    match (verdict, of_fault) {
        (None, None) => Ok(rule),
        (None | Some("fault"), _) => {
            let reason = reason.ok_or_else(|| invalid(InvalidRule::NoReason, "reason"))?;
            let reason = reason.parse().map_err(|unknown| invalid(InvalidRule::Reason(unknown), "reason"))?;
            let scope = scope.map(str::parse).transpose();
            let scope = scope.map_err(|unknown| invalid(InvalidRule::Scope(unknown), "scope"))?;
            Ok(rule.fault(reason, scope.unwrap_or_else(|| usual_scope(reason))))
        }
        (Some("deliver" | "ignore"), Some(field)) => Err(invalid(InvalidRule::OfFault, field)),
        (Some("deliver"), None) => Ok(rule.deliver()),
        (Some("ignore"), None) => Ok(rule.ignore()),
        _ => Err(Problem::Choice { allowed: VERDICTS }.at(at.field("verdict"))),
    }
}

/// Returns the scope of a fault whose table names none: the key, or the provider for a reason that no key is
/// the cause of.
const fn usual_scope(reason: Reason) -> Scope {
    match reason {
        Reason::Forbidden | Reason::InvalidKey | Reason::QuotaExceeded | Reason::RateLimited => Scope::Key,
        _ => Scope::Provider,
    }
}

fn until_midnight(rule: RuleBuilder, until: &str) -> Option<RuleBuilder> {
    let zone = until.trim().strip_prefix(MIDNIGHT)?;
    if zone.is_empty() {
        return Some(rule.until_midnight());
    }
    let zone = zone.strip_prefix(' ')?.parse().ok()?;
    Some(rule.until_midnight_in(zone))
}
