//! A key that is being checked.
//!
//! A check takes no lease: it counts against no limit, takes no probe, and asks a key that is out of use. Its results
//! change the state of the key in two cases only. A confirmed refusal marks it as invalid, unless the key has served a
//! request since the check began. A proof that the key is valid ends the cooldown of an invalid key, unless the key was
//! refused again since.

use std::sync::Arc;

use http::{HeaderMap, Request, Uri};

use crate::classify::{Fault, Scope};
use crate::clock::{Moment, Timestamp};
use crate::event::{EventKind, Severity};
use crate::key::{Issued, KeyCheck, KeyId, Secret, SecretSource};
use crate::pool::keys::candidate::Candidate;
use crate::pool::keys::key::Key;
use crate::pool::keys::key_set::KeySet;
use crate::pool::learn::outage as auth_outage;
#[cfg(feature = "sigv4")]
use crate::pool::lease::apply_key::add_signing_secret;
use crate::pool::lease::apply_key::{add_chosen_key, apply_key};
use crate::pool::lease::undo::Target;
use crate::pool::scope::level::Level;
use crate::pool::scope::slot::{Cause, FOREVER, Permit, State};
use crate::pool::verbs::find;
use crate::pool::{ApplyKeyError, KeyPool, UnknownKey};

/// A key that is being checked, and its state when the check began.
pub(crate) struct CheckedKey {
    set: Arc<KeySet>,
    key: usize,
    account: usize,
    began: Moment,
    /// The epochs of the key's own scope and of its account's.
    epochs: [u16; 2],
}

// === impl CheckedKey ===

impl CheckedKey {
    /// Begins a check of the key with this id.
    pub(crate) fn begin(pool: &KeyPool, id: &KeyId) -> Result<Self, UnknownKey> {
        let set = pool.0.set.load_full();
        let key = find(&set, id)?;
        let candidate = Candidate::new(&set, None, key);
        let epochs = Level::OF_KEY.map(|level| candidate.state(level).epoch);
        let account = candidate.account;
        Ok(Self { key, account, began: Moment::now(), epochs, set })
    }

    /// Returns the source of the key's secret, if it may change.
    pub(crate) fn source(&self) -> Option<&SecretSource> {
        self.entry().spec.source()
    }

    /// Returns the secret that must not appear in any output.
    pub(crate) fn secret<'a>(&'a self, issued: Option<&'a Issued>) -> &'a Secret {
        issued.map_or_else(|| self.entry().spec.secret(), Issued::secret)
    }

    /// Directs a request to the key's base URL, adds its headers, and applies the key. Without `with_key` the
    /// credentials are removed again.
    pub(crate) fn apply<B>(
        &self,
        request: &mut Request<B>,
        issued: Option<&Issued>,
        with_key: bool,
    ) -> Result<(), ApplyKeyError> {
        let provider = &self.set.common.provider;
        let (mut uri, mut headers) = (Uri::default(), HeaderMap::new());
        std::mem::swap(&mut uri, request.uri_mut());
        std::mem::swap(&mut headers, request.headers_mut());
        apply_key(provider, self.entry(), &mut uri, &mut headers, None, issued)?;
        if !with_key {
            provider.auth().strip(&mut uri, &mut headers).map_err(ApplyKeyError::url)?;
            self.entry().spec.destination().into_iter().for_each(|own| own.set_headers(&mut headers));
        }
        (*request.uri_mut(), *request.headers_mut()) = (uri, headers);
        #[cfg(feature = "sigv4")]
        if with_key {
            add_signing_secret(request.extensions_mut(), provider, self.secret(issued));
        }
        if self.entry().spec.destination().is_some() {
            add_chosen_key(request.extensions_mut(), self.candidate());
        }
        Ok(())
    }

    /// Returns whether the key has served a request since the check began.
    pub(crate) fn has_served(&self) -> bool {
        self.entry().served.is_after(self.began.as_unix_ms())
    }

    /// Marks the key as invalid, or its account. A key that is invalid already stays as it is.
    pub(crate) fn refuse(&self, fault: &Fault, now: Timestamp) {
        let level = if fault.scope() == Scope::Account { Level::Account } else { Level::Key };
        let candidate = self.candidate();
        let is_known = |level: Level| {
            matches!(candidate.state(level), State { cause: Some(Cause::Invalid), until: FOREVER, .. })
        };
        if Level::OF_KEY.into_iter().any(is_known) {
            return;
        }
        let (set, key, account) = (Arc::clone(&self.set), self.key, self.account);
        let target = Target { set, model_state: None, key, account, level };
        let permit = Permit { epoch: self.epochs[usize::from(level == Level::Account)], ..Permit::default() };
        if let Some((cooldown, _)) = target.cool_down(permit, Cause::Invalid, None, now) {
            target.announce(fault, None, cooldown.wait(now));
        }
    }

    /// Ends the cooldown of a key that was out as invalid.
    pub(crate) fn prove_valid(&self, now: Timestamp) {
        let (candidate, now) = (self.candidate(), now.as_unix_ms());
        let mut has_recovered = false;
        for (level, epoch) in Level::OF_KEY.into_iter().zip(self.epochs) {
            let is_free = candidate.slot(level).is_some_and(|slot| slot.prove_valid(epoch, now));
            if is_free {
                candidate.sync(level, now);
            }
            has_recovered |= is_free;
        }
        if has_recovered {
            auth_outage::lift(&self.set, now);
            auth_outage::note(&self.set);
            let common = &self.set.common;
            common.released.tell();
            common.emit(Severity::Change, || EventKind::Recovered {
                key: self.entry().id.clone(),
                model: None,
            });
        }
    }

    /// Keeps the result of the check, and emits its event.
    pub(crate) fn record(&self, check: KeyCheck) {
        self.entry().last_check.set(check);
        let KeyCheck { result, status, .. } = check;
        self.set.common.emit(Severity::Detail, || EventKind::Checked {
            key: self.entry().id.clone(),
            result,
            status,
        });
    }

    fn entry(&self) -> &Key {
        &self.set.keys[self.key]
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate { set: &self.set, model: None, key: self.key, account: self.account }
    }
}
