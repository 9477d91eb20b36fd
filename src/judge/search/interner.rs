//! A number for each thing that an object can hold.
#![expect(clippy::disallowed_types, reason = "its hasher is named: the same in every run")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::judge::hash::Hash;

/// Gives lists numbers from 0, equal ones the same. Nothing is forgotten: whoever searches bounds the steps.
#[derive(Debug)]
pub(super) struct Interner<T>(RefCell<Numbered<T>>);

#[derive(Debug)]
struct Numbered<T> {
    numbers: HashMap<Rc<[T]>, u32, Hash>,
    lists: Vec<Rc<[T]>>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(RefCell::new(Numbered { numbers: HashMap::default(), lists: Vec::new() }))
    }
}

impl<T: Copy + Eq + std::hash::Hash> Interner<T> {
    /// The number of a list.
    pub(super) fn number(&self, list: &[T]) -> u32 {
        let mut known = self.0.borrow_mut();
        if let Some(&number) = known.numbers.get(list) {
            return number;
        }
        let (number, list) = (known.lists.len() as u32, Rc::<[T]>::from(list));
        known.lists.push(Rc::clone(&list));
        known.numbers.insert(list, number);
        number
    }

    /// The list of a number that was given.
    pub(super) fn list(&self, number: u32) -> Rc<[T]> {
        Rc::clone(&self.0.borrow().lists[number as usize])
    }
}
