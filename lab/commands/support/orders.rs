//! What a node is told on its standard input, line by line: see [`NodeOrder`].

use std::io::{self, BufRead, ErrorKind};

use anyhow::{Context as _, bail};
use kvlab::node::Token;

use crate::engine::{NodeOrder, NotAnOrder, ORDER_BYTES_MAX};

/// Reads the orders of a node.
#[derive(Debug)]
pub(crate) struct Orders<R> {
    input: R,
}

impl<R: BufRead> Orders<R> {
    /// Reads them from `input`, which is not read ahead of its own buffer: the next reader goes on after the last line.
    pub(crate) fn new(input: R) -> Self {
        Self { input }
    }

    /// The next line; `None` at the end of the input. No more of a line than [`ORDER_BYTES_MAX`] is held.
    ///
    /// # Errors
    /// If the input cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<NodeOrder, NotAnOrder>>> {
        let Some(line) = self.line()? else { return Ok(None) };
        if line.len() > ORDER_BYTES_MAX {
            return Ok(Some(Err(NotAnOrder::TooLong)));
        }
        let text = std::str::from_utf8(&line).map_err(|_| NotAnOrder::NotText(line.len()));
        Ok(Some(text.and_then(NodeOrder::parse)))
    }

    /// The token, which has to be the next line.
    ///
    /// # Errors
    /// If it is anything else, or there is no line.
    pub(crate) fn token(&mut self) -> anyhow::Result<Token> {
        const EXPECTED: &str = "--token-stdin needs a first line `token TOKEN` on standard input";
        match self.next().context("cannot read standard input")? {
            Some(Ok(NodeOrder::Token(token))) => Ok(token),
            Some(Ok(NodeOrder::Condition(_))) => bail!("{EXPECTED}, and there is another order"),
            Some(Err(error)) => bail!("{EXPECTED}, and there is {error}"),
            None => bail!("{EXPECTED}, which has ended"),
        }
    }

    /// A line without its newline, cut behind the longest that is allowed. At the end of the input the newline may lack.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut begun = false;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok([]) => return Ok(begun.then_some(line)),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            begun = true;
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            let room = (ORDER_BYTES_MAX + 1).saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            let taken = piece.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// What is heard of `input`, however small the pieces are in which it comes.
    fn heard(input: &[u8]) -> Vec<Result<String, NotAnOrder>> {
        let heard = |piece| {
            let mut orders = Orders::new(BufReader::with_capacity(piece, input));
            std::iter::from_fn(|| orders.next().expect("read"))
                .map(|order| order.map(|order| order.line()))
                .collect::<Vec<_>>()
        };
        let whole = heard(1 << 20);
        assert_eq!(heard(1), whole);
        whole
    }

    #[test]
    fn each_line_is_an_order_and_what_is_none_takes_nothing_with_it() {
        let said = heard(b"token one\nmake tea\n\n\xff\xfe\ntoken two\ntoken last");
        let token = |secret: &str| Ok(format!("token {secret}\n"));
        let expected = [
            token("one"),
            Err(NotAnOrder::Unknown(8)),
            Err(NotAnOrder::Unknown(0)),
            Err(NotAnOrder::NotText(2)),
            token("two"),
            token("last"),
        ];
        assert_eq!(said, expected);
        assert_eq!(heard(b""), []);
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let mut long = vec![b'x'; 1 << 20];
        long.extend_from_slice(b"\ntoken one\n");
        assert_eq!(heard(&long), [Err(NotAnOrder::TooLong), Ok("token one\n".to_owned())]);
        let longest = [&b"x".repeat(ORDER_BYTES_MAX)[..], b"\n"].concat();
        assert_eq!(heard(&longest), [Err(NotAnOrder::Unknown(ORDER_BYTES_MAX))]);
    }

    #[test]
    fn the_token_comes_first_and_what_follows_is_left() {
        let mut orders = Orders::new(&b"token s3cret\ntoken again\n"[..]);
        assert_eq!(orders.token().expect("a token").reveal(), "s3cret");
        assert!(matches!(orders.next(), Ok(Some(Ok(NodeOrder::Token(_))))));
        for input in [&b""[..], b"s3cret\n", b"token\n", b"\xff\n"] {
            let error = format!("{:#}", Orders::new(input).token().expect_err("no token"));
            assert!(error.contains("--token-stdin") && !error.contains("s3cret"), "{error}");
        }
    }
}
