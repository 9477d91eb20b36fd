//! The judge from outside: scripts of known verdict, and agreement with an oracle that only tries every order.

mod agree;
mod brute;
mod checks;
mod draws;
mod edn;
mod exports;
mod imports;
mod models;
mod objects;
mod oracle;
mod parts;
mod random;
mod script;
mod scripts;
