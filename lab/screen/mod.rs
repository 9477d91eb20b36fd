//! The dashboard: events → state → pure render, and the keys.
//!
//! In the order in which an event travels: [`state`] folds the run's events into a [`ViewState`]; [`layout`]
//! says where the panes are; `panes` draw them in a [`Theme`]; [`render`] puts a frame together. Keys go the
//! other way: `keys` is the one table, [`input`] turns a key into a [`UiCommand`](input::UiCommand). All of that
//! is pure: the live terminal, a replay and every recording share it. Only `terminal` and [`run`] touch the
//! world. `docs/screen.md` is for readers of the screen.

pub mod input;
mod keyboard;
pub mod keys;
pub mod layout;
mod menu;
mod paint;
mod panes;
pub mod run;
pub mod state;
pub mod terminal;
pub mod theme;
mod ui;

#[cfg(test)]
pub(crate) mod tests;

pub use self::input::UiState;
pub use self::state::ViewState;
pub use self::theme::Theme;
pub use self::ui::render;
