//! An evening of a group, with the real programs: what everybody says and does from the opening round to the closing one, who may
//! do what, what a modified member changes, and rounds that end in unusual ways.

mod cast;
mod lawless;
mod practice;
mod roles;
mod rounds;
mod script;
