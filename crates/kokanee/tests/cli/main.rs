//! The program as a user runs it: every command on tiny data made here, and what it says to bad input.

mod container;
mod demo;
mod evaluate;
mod inspect;
mod prepare;
mod records;
mod score;
mod train;
mod translate;
mod workplace;
