//! Judges a history in the words of Jepsen: a register that two clients use, and a read that comes too late.
//!
//!     cargo run --example judge_a_history

use kvlab::judge::Linearizable;
use kvlab::judge::import::{Format, ImportOptions, Imported, import};
use kvlab::judge::offline::{Refutation, check_key};

const HISTORY: &str = "
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok,     :f :write, :value 1}
{:process 0, :type :invoke, :f :write, :value 2}
{:process 0, :type :ok,     :f :write, :value 2}
{:process 1, :type :invoke, :f :read,  :value nil}
{:process 1, :type :ok,     :f :read,  :value 1}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Imported::Keys(keys) = import(HISTORY, Format::Edn, ImportOptions::default())? else {
        return Err("EDN has keys".into());
    };
    // The search for an order of the operations may take long: it asks now and then whether to go on.
    let verdict = check_key(&keys[0], &mut |steps| steps < 1_000_000);
    println!("{} operations, linearizable: {:?}", verdict.operations, verdict.linearizable);
    if let Some(Refutation::Violation(violation)) = verdict.refutation {
        println!("{}", violation.explanation());
    }
    assert_eq!(verdict.linearizable, Linearizable::No, "1 was read after 2 had been written");
    Ok(())
}
