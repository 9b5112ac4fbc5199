//! Guides: one page for each question of a new user.
//!
//! | page | question |
//! |---|---|
//! | [`getting_started`] | How do I begin? |
//! | [`apps`] | How do I build an app with it? |
//! | [`layers`] | In which order do layers go? |
//! | [`errors`] | Which errors are there, and what do I do about each? |
//! | [`testing`] | How do I test my app? |
//! | [`rotation`] | How is a key chosen, and when is it out? |
//! | [`limits`] | How are limits counted, and what may be paid twice? |
//! | [`security`] | Where do keys go? |
//! | [`troubleshooting`] | Why does it not do what I expect? |
//! | [`configuration`] | Which keys has the gateway's configuration file? |
//! | [`operating`] | How do I run the gateway, and see what it does? |
//! | [`integrations`] | How does it go into reqwest-middleware, rig, genai, octocrab, or tonic? |
//! | [`coming_from`] | I know LiteLLM, LangChain, or have a loop of my own: where is it here? |

#[doc = include_str!("../docs/guide/apps.md")]
pub mod apps {}
#[doc = include_str!("../docs/guide/coming_from.md")]
pub mod coming_from {}
#[doc = include_str!("../docs/guide/configuration.md")]
pub mod configuration {}
#[doc = include_str!("../docs/guide/errors.md")]
pub mod errors {}
#[doc = include_str!("../docs/guide/getting_started.md")]
pub mod getting_started {}
#[doc = include_str!("../docs/guide/integrations.md")]
pub mod integrations {
    #[doc = include_str!("../docs/guide/integrations/rig.md")]
    pub mod rig {}
    #[doc = include_str!("../docs/guide/integrations/tonic.md")]
    pub mod tonic {}
}
#[doc = include_str!("../docs/guide/layers.md")]
pub mod layers {}
#[doc = include_str!("../docs/guide/limits.md")]
pub mod limits {}
#[doc = include_str!("../docs/guide/operating.md")]
pub mod operating {}
#[doc = include_str!("../docs/guide/rotation.md")]
pub mod rotation {}
#[doc = include_str!("../docs/guide/security.md")]
pub mod security {}
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}
#[doc = include_str!("../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
